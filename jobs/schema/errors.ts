import * as z from "zod";
import { nearestName } from "../nearest.ts";
import { SpecError } from "../spec-error.ts";

// Workers forbid making code from strings, which zod would otherwise try.
z.config({ jitless: true });

/** Stands in a message for the path of the field, which a schema does not know. */
export const PATH = "\u0001";
/** Ends a code of ours that stands before a message. */
const CODE_END = "\u0002";
const NAME_CHARACTERS = 64;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
const CONTROL = /[\u0000-\u001f\u007f]/g;

type Issue = z.core.$ZodIssue;
/** What an error function is given: an issue that is still being made. */
export type RawIssue = z.core.$ZodRawIssue;

/** What JSON type a value has, for messages. */
export function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** A message whose SpecError has this code, where the one that follows from the kind of issue would be wrong. */
export function coded(code: string, message: string): string {
  return `${code}${CODE_END}${message}`;
}

/** Adds what is wrong with a value: `code` is the SpecError's, `message` has PATH for the field's path. */
export function complain(context: z.core.$RefinementCtx, code: string, message: string): void {
  context.addIssue({ code: "custom", message: coded(code, message) });
}

/** An object with these fields and no others. An unknown one is an error that suggests the nearest name. */
export function fields<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys")
        return `${PATH} must be a JSON object, but it is ${describe(issue.input)}.`;
      return unknownField(issue.keys[0] ?? "", known);
    },
  });
}

function unknownField(name: string, known: readonly string[]): string {
  return `${PATH} has no field "${shorten(name)}"; did you mean "${nearestName(name, known)}"? Known: ${known.join(", ")}.`;
}

/** A name as somebody sent it, fit for a message: not too long, and nothing in it that messages are put together with. */
function shorten(sent: string): string {
  const name = sent.replace(CONTROL, "\ufffd");
  return name.length > NAME_CHARACTERS ? `${name.slice(0, NAME_CHARACTERS)}…` : name;
}

/** `value` as `schema` has it. Throws SpecError for the first thing that is wrong; `root` names the value itself. */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw specError(result.error.issues, root);
}

function specError(issues: readonly Issue[], root: string): SpecError {
  // A misspelt name may be the cause of all the rest; of several, the outermost.
  const [misspelt] = issues
    .filter(({ code }) => code === "unrecognized_keys")
    .sort((a, b) => a.path.length - b.path.length);
  const issue = misspelt ?? issues[0];
  if (issue === undefined) throw new Error("no issue");
  const path = issue.path.reduce<string>(
    (at, part) => (typeof part === "number" ? `${at}[${part}]` : `${at}.${String(part)}`),
    root,
  );
  if (issue.code === "invalid_union") {
    // The alternative of the value's own type knows best what is wrong with it.
    const branch = issue.errors.find(
      (inner) => !inner.some((one) => one.path.length === 0 && isMismatch(one)),
    );
    if (branch !== undefined && branch.length > 0) return specError(branch, path);
  }
  const field = issue.code === "unrecognized_keys" ? `${path}.${shorten(issue.keys[0] ?? "")}` : path;
  const [message = "", code = codeOf(issue)] = issue.message.split(CODE_END, 2).reverse();
  return new SpecError(code, field, message.replaceAll(PATH, path));
}

function isMismatch({ code }: Issue): boolean {
  return code === "invalid_type" || code === "invalid_value";
}

function codeOf(issue: Issue): string {
  switch (issue.code) {
    case "unrecognized_keys":
      return "unknown-field";
    case "too_big":
    case "too_small":
      if (issue.origin === "array" || issue.origin === "record") return "too-many";
      if (issue.origin === "string") return issue.code === "too_big" ? "too-long" : "empty";
      return "out-of-range";
    default:
      return "wrong-type";
  }
}
