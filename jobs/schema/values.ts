import * as z from "zod";
import { PATTERN_CHARACTERS, PATTERNS, type Range } from "../limits.ts";
import { Pattern } from "../pattern/match.ts";
import { PatternError } from "../pattern/parse.ts";
import { complain, describe, PATH, type RawIssue } from "./errors.ts";

/** Kinds of values that several fields have, with what is said of a value that is none. */

export type Bounds = Omit<Range, "default">;

export const utf8Length = (text: string): number => new TextEncoder().encode(text).length;

/** Says what is wrong with a number, naming the range and the unit. */
export function numberError(range: Bounds, unit: string, whole: boolean): (issue: RawIssue) => string {
  return (issue) => {
    const { input } = issue;
    if ((issue.code === "too_big" || issue.code === "too_small") && typeof input === "number")
      return `${PATH} is ${input}; set it between ${range.min} and ${range.max} (${unit}).`;
    const shown = typeof input === "number" ? String(input) : describe(input);
    return `${PATH} must be ${whole ? "a whole" : "a"} number (${unit}), but it is ${shown}.`;
  };
}

export function number(range: Bounds, unit: string, whole: boolean) {
  const error = numberError(range, unit, whole);
  return (whole ? z.int({ error }) : z.number({ error })).min(range.min, { error }).max(range.max, { error });
}

/** A string; `what` is said of anything else. */
export const text = (what = "a string") =>
  z.string({ error: ({ input }) => `${PATH} must be ${what}, but it is ${describe(input)}.` });

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  const known = words.map((word) => JSON.stringify(word));
  const wanted = [known.slice(0, -1).join(", "), known.at(-1)].filter((part) => part !== "").join(" or ");
  return z.enum(words, {
    error: ({ input }) =>
      `${PATH} must be ${wanted}, but it is ${typeof input === "string" ? JSON.stringify(input.slice(0, 40)) : describe(input)}.`,
  });
}

export const PATTERN = text()
  .min(1, { error: `${PATH} is empty and would match every line; remove it.`, abort: true })
  .max(PATTERN_CHARACTERS, {
    error: ({ input }) =>
      `${PATH} has ${String(input).length} characters; shorten it to ${PATTERN_CHARACTERS}.`,
    abort: true,
  })
  .superRefine((value, context) => {
    try {
      new Pattern(value);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      complain(
        context,
        "bad-pattern",
        `${PATH} is not a valid pattern: ${error.message} (at character ${error.offset}).`,
      );
    }
  })
  .meta({ description: "A regular expression in JavaScript's notation, matched against one line." });

/** A list with a most, both in its errors. */
export function list<Item extends z.ZodType>(item: Item, what: string, most: number, hint = "") {
  return z
    .array(item, { error: ({ input }) => `${PATH} must be a list of ${what}, but it is ${describe(input)}.` })
    .max(most, {
      error: ({ input }) =>
        `${PATH} has ${(input as readonly unknown[]).length} ${what}; at most ${most} are allowed${hint}.`,
    });
}

/** One pattern is such a common case that it may come without its brackets. */
export const PATTERN_LIST = z
  .union([PATTERN, list(PATTERN, "patterns", PATTERNS, ": join some with |")], {
    error: ({ input }) => `${PATH} must be a list of patterns, but it is ${describe(input)}.`,
  })
  .transform((value) => (typeof value === "string" ? [value] : value));
