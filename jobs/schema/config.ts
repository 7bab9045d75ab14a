import { z } from "zod";
import { CPU_DEFAULT, cpuError } from "../cpu.ts";
import {
  CMDLINE_BYTES,
  INPUT_BYTES,
  INPUT_STEPS,
  LABEL_CHARACTERS,
  LABEL_NAME,
  LABELS,
  LIMIT_RANGES,
  MEMORY_MIB,
  PATTERN_CHARACTERS,
  PATTERNS,
  type Range,
  SEED_DEFAULT,
  SEED_MAX,
  SNAPSHOT_NAME,
  SNAPSHOT_POINTS,
  START_TIME_DEFAULT,
  START_TIME_MAX,
  STATE_HASH_EVERY,
} from "../limits.ts";
import { Pattern } from "../pattern/match.ts";
import { PatternError } from "../pattern/parse.ts";
import { SpecError } from "../spec-error.ts";
import { coded, complain, describe, fields, PATH, parseWith, type RawIssue } from "./errors.ts";

/** Where a job that makes a snapshot of itself does so if it does not say. */
export const AT_END = "end";
export const DEFAULT_CMDLINE = "console=hvc0";

type Bounds = Omit<Range, "default">;

const utf8Length = (text: string): number => new TextEncoder().encode(text).length;

/** Says what is wrong with a number, naming the range and the unit. */
function numberError(range: Bounds, unit: string, whole: boolean): (issue: RawIssue) => string {
  return (issue) => {
    const { input } = issue;
    if ((issue.code === "too_big" || issue.code === "too_small") && typeof input === "number")
      return `${PATH} is ${input}; set it between ${range.min} and ${range.max} (${unit}).`;
    const shown = typeof input === "number" ? String(input) : describe(input);
    return `${PATH} must be ${whole ? "a whole" : "a"} number (${unit}), but it is ${shown}.`;
  };
}

function number(range: Bounds, unit: string, whole: boolean) {
  const error = numberError(range, unit, whole);
  return (whole ? z.int({ error }) : z.number({ error })).min(range.min, { error }).max(range.max, { error });
}

/** A string; `what` is said of anything else. */
const text = (what = "a string") =>
  z.string({ error: ({ input }) => `${PATH} must be ${what}, but it is ${describe(input)}.` });

const CMDLINE = text().superRefine((value, context) => {
  const bytes = utf8Length(value);
  if (bytes > CMDLINE_BYTES)
    complain(
      context,
      "too-long",
      `${PATH} is ${bytes} bytes long; shorten it to ${CMDLINE_BYTES}, the most Xen passes to a guest.`,
    );
  else if (value.includes("\0"))
    complain(context, "bad-character", `${PATH} contains a NUL byte; remove it.`);
});

const PATTERN = text()
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
function list<Item extends z.ZodType>(item: Item, what: string, most: number, hint = "") {
  return z
    .array(item, { error: ({ input }) => `${PATH} must be a list of ${what}, but it is ${describe(input)}.` })
    .max(most, {
      error: ({ input }) =>
        `${PATH} has ${(input as readonly unknown[]).length} ${what}; at most ${most} are allowed${hint}.`,
    });
}

/** One pattern is such a common case that it may come without its brackets. */
const PATTERN_LIST = z
  .union([PATTERN, list(PATTERN, "patterns", PATTERNS, ": join some with |")], {
    error: ({ input }) => `${PATH} must be a list of patterns, but it is ${describe(input)}.`,
  })
  .transform((value) => (typeof value === "string" ? [value] : value));

const EXPECT = fields({
  pass: PATTERN_LIST.default([]).meta({ description: "Each must appear on some line of the console." }),
  fail: PATTERN_LIST.default([]).meta({ description: "None may appear." }),
});

const UNITS: Readonly<Record<keyof typeof LIMIT_RANGES, string>> = {
  guestSeconds: "seconds",
  instructions: "instructions",
  consoleBytes: "bytes",
  silentSeconds: "seconds",
  silentInstructions: "instructions",
  graceSeconds: "seconds",
};
const LIMIT_DESCRIPTIONS: Readonly<Record<keyof typeof LIMIT_RANGES, string>> = {
  guestSeconds: "Guest time, idle time included.",
  instructions: "Guest instructions.",
  consoleBytes: "Console output; more is a flood.",
  silentSeconds: "Longest silence, in guest time.",
  silentInstructions: "Longest silence, in instructions.",
  graceSeconds:
    "Guest time a guest may go on after its verdict is known, to power off or to end its call trace.",
};
const limit = (name: keyof typeof LIMIT_RANGES) =>
  number(LIMIT_RANGES[name], UNITS[name], UNITS[name] !== "seconds")
    .default(LIMIT_RANGES[name].default)
    .meta({ description: LIMIT_DESCRIPTIONS[name] });

const LIMITS = fields({
  guestSeconds: limit("guestSeconds"),
  instructions: limit("instructions"),
  consoleBytes: limit("consoleBytes"),
  silentSeconds: limit("silentSeconds"),
  silentInstructions: limit("silentInstructions"),
  graceSeconds: limit("graceSeconds"),
});

const SEED_ERROR = coded(
  "wrong-type",
  `${PATH} must be a whole number from 0 to 2^64-1; write it as a string if it is above 2^53.`,
);
const SEED = z
  .union(
    [
      z.int({ error: SEED_ERROR }).min(0, { error: SEED_ERROR, abort: true }),
      z.string().regex(/^\d{1,20}$/, { error: SEED_ERROR, abort: true }),
    ],
    {
      error: SEED_ERROR,
    },
  )
  .superRefine((value, context) => {
    if (BigInt(value) > SEED_MAX) context.addIssue({ code: "custom", message: SEED_ERROR });
  })
  .transform((value) => BigInt(value).toString());

const NOW = "now";
const START_TIME_RANGE = { min: 0, max: START_TIME_MAX };
const START_TIME_UNIT = 'seconds since 1970-01-01 UTC, or "now"';
const START_TIME = z.union([z.literal(NOW), number(START_TIME_RANGE, START_TIME_UNIT, true)], {
  error: numberError(START_TIME_RANGE, START_TIME_UNIT, true),
});

const INPUT = list(
  fields({
    expect: PATTERN.optional().meta({
      description: "Waits for a line that matches; without it, the text follows at once.",
    }),
    send: text('the text to type, such as "ls\\n" (the \\n is the Enter key)')
      .min(1, {
        error: `${PATH} must be the text to type, such as "ls\\n" (the \\n is the Enter key), but it is empty.`,
      })
      .meta({ description: "The text to type." }),
  }),
  "steps",
  INPUT_STEPS,
).superRefine((steps, context) => {
  const bytes = steps.reduce((sum, { send }) => sum + utf8Length(send), 0);
  if (bytes > INPUT_BYTES)
    complain(context, "too-long", `${PATH} types ${bytes} bytes; at most ${INPUT_BYTES} are allowed.`);
});

const SNAPSHOT_NAME_ERROR = coded(
  "bad-name",
  `${PATH} must be a name of at most 64 letters, digits, dots, dashes and underscores that begins with a letter or digit.`,
);
export const SNAPSHOT_NAME_SCHEMA = z
  .string({ error: SNAPSHOT_NAME_ERROR })
  .regex(SNAPSHOT_NAME, SNAPSHOT_NAME_ERROR);

const countError = ({ input }: RawIssue): string =>
  coded("out-of-range", `${PATH} is ${String(input)}; an instruction count is a whole number above 0.`);
const SNAPSHOT_AT = z.union(
  [z.literal(AT_END), z.int({ error: countError }).min(1, { error: countError }), PATTERN],
  {
    error: (issue) =>
      typeof issue.input === "number"
        ? countError(issue)
        : `${PATH} must be a string, but it is ${describe(issue.input)}.`,
  },
);

const SNAPSHOTS = list(
  fields({
    name: SNAPSHOT_NAME_SCHEMA.meta({ description: "Part of the snapshot's address." }),
    at: SNAPSHOT_AT.default(AT_END).meta({
      description: 'A pattern that has been seen, an instruction count, or "end".',
    }),
  }),
  "snapshots",
  SNAPSHOT_POINTS,
).superRefine((points, context) => {
  for (const [index, { name }] of points.entries()) {
    if (points.findIndex((other) => other.name === name) === index) continue;
    context.addIssue({
      code: "custom",
      path: [index, "name"],
      message: coded("duplicate", `There are two snapshots named "${name}"; give each its own name.`),
    });
  }
});

const LABEL_ERROR = coded(
  "bad-label",
  `${PATH}: a label is a name of at most 64 letters, digits, dots, dashes and underscores, with a text of at most ${LABEL_CHARACTERS} characters.`,
);
const LABELS_SCHEMA = z
  .record(
    z.string().regex(LABEL_NAME, LABEL_ERROR),
    z.string({ error: LABEL_ERROR }).max(LABEL_CHARACTERS, LABEL_ERROR),
    { error: (issue) => (issue.code === "invalid_key" ? LABEL_ERROR : labelsError(issue)) },
  )
  .superRefine((labels, context) => {
    const count = Object.keys(labels).length;
    if (count > LABELS)
      complain(context, "too-many", `${PATH} has ${count} labels; at most ${LABELS} are allowed.`);
  });

function labelsError({ input }: RawIssue): string {
  return `${PATH} must be a JSON object of labels, but it is ${describe(input)}.`;
}

const CPU = text('a processor such as "v2" or "v1,+popcnt"').superRefine((value, context) => {
  const error = cpuError(value);
  if (error !== undefined) complain(context, "bad-cpu", `${PATH} ${error}`);
});

const MODE = z.enum(["pv", "pvh"], {
  error: ({ input }) =>
    `${PATH} must be "pv" or "pvh", but it is ${typeof input === "string" ? JSON.stringify(input.slice(0, 40)) : describe(input)}.`,
});

/** A job's configuration as users write it. */
export const CONFIG = fields({
  cmdline: CMDLINE.default(DEFAULT_CMDLINE).meta({
    description: `Kernel command line, at most ${CMDLINE_BYTES} bytes.`,
  }),
  memory: number(MEMORY_MIB, "MiB", true)
    .default(MEMORY_MIB.default)
    .meta({ description: "Guest RAM in MiB." }),
  mode: MODE.default("pv").meta({
    description:
      'How the guest is started: "pv" (Xen PV, 64-bit) or "pvh" (PVH: the kernel needs XEN_ELFNOTE_PHYS32_ENTRY).',
  }),
  cpu: CPU.default(CPU_DEFAULT).meta({
    description:
      'What the processor offers: "v1" or "v2" (the x86-64 levels), with features added and removed, as in "v1,+popcnt" or "v2,-sse4.2".',
  }),
  expect: EXPECT.prefault({}).meta({ description: "What makes a run pass or fail." }),
  limits: LIMITS.prefault({}).meta({ description: "What ends a run." }),
  labels: LABELS_SCHEMA.default({}).meta({
    description:
      'What the job is about. Runs with the same labels are compared; "name" is its name in reports.',
  }),
  seed: SEED.default(SEED_DEFAULT.toString()).meta({
    description: "Seed of the guest's random sources, up to 64 bits (a string above 2^53).",
  }),
  startTime: START_TIME.default(START_TIME_DEFAULT).meta({
    description: 'The guest\'s date at the start, in seconds since 1970-01-01 UTC, or "now".',
  }),
  input: INPUT.default([]).meta({ description: "What is typed on the console, in order." }),
  snapshots: SNAPSHOTS.default([]).meta({ description: "Snapshots the job makes of itself." }),
  stateHashEvery: number(STATE_HASH_EVERY, "instructions", true).nullable().default(null).meta({
    description: "Instructions between two hashes of the whole state in the result; null for none.",
  }),
});

type Deep<T> = T extends readonly (infer Item)[]
  ? readonly Deep<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]: Deep<T[Name]> }
    : T;

/** A job's configuration with every default filled in: all that a run depends on besides its kernel and initrd. */
export type JobConfig = Deep<Omit<z.output<typeof CONFIG>, "startTime"> & { startTime: number }>;
/** One thing to type. */
export type InputStep = JobConfig["input"][number];
/** A snapshot to be made by the job itself. */
export type SnapshotPoint = JobConfig["snapshots"][number];
export type LimitName = keyof typeof LIMIT_RANGES;
export type Limits = JobConfig["limits"];

/** What a fixture says about itself; a user's configuration goes before it. */
export interface ConfigDefaults {
  readonly cmdline?: string;
  readonly memory?: number;
  readonly expect?: { readonly pass: readonly string[]; readonly fail: readonly string[] };
}

/** Fields that may be null as well as left out. */
const NULLABLE = ["cmdline", "memory", "expect", "limits"] as const;

/**
 * Validates a configuration and fills in defaults. `now` gives seconds since 1970, for `startTime: "now"`.
 * Throws SpecError: unknown fields are errors, as a misspelt limit would otherwise silently not be one.
 */
export function parseConfig(value: unknown, now: () => number, defaults: ConfigDefaults = {}): JobConfig {
  const config = parseWith(CONFIG, withDefaults(value ?? {}, defaults), "config");
  const { startTime } = config;
  return { ...config, startTime: startTime === NOW ? Math.floor(now()) : startTime };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value with a fixture's defaults where it says nothing. */
function withDefaults(value: unknown, { expect, ...defaults }: ConfigDefaults): unknown {
  if (!isObject(value)) return value;
  const given = Object.fromEntries(
    Object.entries(value).filter(
      ([name, field]) => field !== null || !(NULLABLE as readonly string[]).includes(name),
    ),
  );
  const asked = given.expect ?? {};
  const expected = isObject(asked)
    ? {
        ...expect,
        ...Object.fromEntries(Object.entries(asked).filter(([, patterns]) => patterns !== null)),
      }
    : asked;
  return { ...defaults, ...withoutUndefined(given), expect: expected };
}

function withoutUndefined(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}

/** What a snapshot fixes: the guest is past the moment at which these were asked for. */
export type MachineFields = Pick<JobConfig, "cmdline" | "memory" | "mode" | "cpu" | "seed" | "startTime">;

/** Only the names of the fields. */
const CONFIG_NAMES = fields(
  Object.fromEntries(Object.keys(CONFIG.shape).map((name) => [name, z.unknown().optional()])),
);

/** As parseConfig, for a job that starts from a snapshot made with `machine`. Throws SpecError. */
export function parseForkConfig(value: unknown, machine: MachineFields): JobConfig {
  const { cmdline, memory, mode, cpu, seed, startTime } = machine;
  const fixed = { cmdline, memory, mode, cpu, seed, startTime };
  const asked = parseWith(CONFIG_NAMES, value ?? {}, "config");
  for (const [name, known] of Object.entries(fixed)) {
    const field = asked[name];
    if (field === undefined || String(field) === String(known)) continue;
    throw new SpecError(
      "fixed-by-snapshot",
      `config.${name}`,
      `config.${name} is fixed by the snapshot (${JSON.stringify(known)}); leave it out, or boot a kernel with another.`,
    );
  }
  return parseConfig({ ...asked, ...fixed }, () => startTime);
}
