import * as z from "zod";
import {
  CMDLINE_BYTES,
  LABEL_CHARACTERS,
  LABEL_NAME,
  LABELS,
  LIMIT_RANGES,
  SEED_DEFAULT,
  SEED_MAX,
  SNAPSHOT_NAME,
  SNAPSHOT_POINTS,
  START_TIME_DEFAULT,
  START_TIME_MAX,
  STATE_HASH_EVERY,
} from "../limits.ts";
import { SpecError } from "../spec-error.ts";
import { coded, complain, describe, fields, PATH, parseWith, type RawIssue } from "./errors.ts";
import { EXPECT, INPUT } from "./expect.ts";
import { GUEST, GUEST_FIELDS, GUEST_NAMES } from "./guest.ts";
import { refuseLargeTotal } from "./pattern-total.ts";
import { NOTIFY, RETENTION, VISIBILITY } from "./service.ts";
import { list, number, numberError, PATTERN, text, utf8Length } from "./values.ts";

/** Where a job that makes a snapshot of itself does so if it does not say. */
export const AT_END = "end";
export const DEFAULT_CMDLINE = "console=hvc0";

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

const PROTO = "__proto__";
const LABEL_ERROR = coded(
  "bad-label",
  `${PATH}: a label is a name of at most 64 letters, digits, dots, dashes and underscores, with a text of at most ${LABEL_CHARACTERS} characters.`,
);
const LABELS_RECORD = z
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

/** z.record passes over __proto__ in silence. */
const LABELS_SCHEMA = z.preprocess((value, context) => {
  if (isObject(value) && Object.hasOwn(value, PROTO))
    context.addIssue({ code: "custom", path: [PROTO], message: LABEL_ERROR });
  return value;
}, LABELS_RECORD);

function labelsError({ input }: RawIssue): string {
  return `${PATH} must be a JSON object of labels, but it is ${describe(input)}.`;
}

/** A job's configuration as users write it. */
export const CONFIG = fields({
  cmdline: CMDLINE.default(DEFAULT_CMDLINE).meta({
    description: `Kernel command line, at most ${CMDLINE_BYTES} bytes.`,
  }),
  ...GUEST_FIELDS,
  guest: GUEST.optional().meta({
    description: "The fields mode, memory, vcpus and cpu, here instead of beside it.",
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
  input: INPUT.default([]).meta({
    description: "The older way of writing expect.steps: what is typed on the console, in order.",
  }),
  snapshots: SNAPSHOTS.default([]).meta({ description: "Snapshots the job makes of itself." }),
  stateHashEvery: number(STATE_HASH_EVERY, "instructions", true).nullable().default(null).meta({
    description: "Instructions between two hashes of the whole state in the result; null for none.",
  }),
  notify: NOTIFY.default([]).meta({ description: "Who is told when the job changes." }),
  retention: RETENTION.prefault({}).meta({ description: "How long what is left of the job is kept." }),
  visibility: VISIBILITY.default("private").meta({
    description: 'Who may see the job: "private", its owner, or "public", everybody this worker lets read.',
  }),
});

/** Names of a config's fields, for whoever wrote one where it does not belong. */
export const CONFIG_FIELDS: ReadonlySet<string> = new Set(Object.keys(CONFIG.shape));

type Deep<T> = T extends readonly (infer Item)[]
  ? readonly Deep<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]: Deep<T[Name]> }
    : T;

type Parsed = z.output<typeof CONFIG>;
/** A job's configuration with every default filled in, each thing said in one place: all that a run depends on besides its kernel and initrd. */
export type JobConfig = Deep<Omit<Parsed, "startTime" | "guest" | "input"> & { startTime: number }>;
/** One thing that must happen in its turn: something seen, or typed, or both. */
export type Step = JobConfig["expect"]["steps"][number];
/** Someone to tell of the job. */
export type Notification = JobConfig["notify"][number];
/** A snapshot to be made by the job itself. */
export type SnapshotPoint = JobConfig["snapshots"][number];
export type LimitName = keyof typeof LIMIT_RANGES;
export type Limits = JobConfig["limits"];

/** What a fixture says about itself; a user's configuration goes before it. */
export interface ConfigDefaults {
  readonly cmdline?: string;
  readonly memory?: number;
  readonly mode?: JobConfig["mode"];
  readonly expect?: { readonly pass: readonly string[]; readonly fail: readonly string[] };
}

/** Fields that may be null as well as left out. */
const NULLABLE = ["cmdline", "memory", "expect", "limits"] as const;

/**
 * Validates a configuration and fills in defaults. `now` gives seconds since 1970, for `startTime: "now"`.
 * Throws SpecError: unknown fields are errors, as a misspelt limit would otherwise silently not be one.
 */
export function parseConfig(value: unknown, now: () => number, defaults: ConfigDefaults = {}): JobConfig {
  const sent = value ?? {};
  refuseContradictions(sent);
  const { guest, input, ...config } = parseWith(CONFIG, withDefaults(sent, defaults), "config");
  const typed = input.map(({ expect, send }) => (expect === undefined ? { send } : { wait: expect, send }));
  const steps = typed.length > 0 ? typed : config.expect.steps;
  refuseLargeTotal({
    "config.expect.pass": config.expect.pass,
    "config.expect.fail": config.expect.fail,
    [typed.length > 0 ? "config.input" : "config.expect.steps"]: steps.flatMap(({ wait }) => wait ?? []),
    "config.snapshots": config.snapshots.flatMap(({ at }) =>
      typeof at === "string" && at !== AT_END ? [at] : [],
    ),
  });
  const startTime = config.startTime === NOW ? Math.floor(now()) : config.startTime;
  return { ...config, ...given(guest ?? {}), expect: { ...config.expect, steps }, startTime };
}

/** What may be written in two places must not be: nobody could say which counts. */
function refuseContradictions(sent: unknown): void {
  if (!isObject(sent)) return;
  const { guest } = sent;
  if (isObject(guest))
    for (const name of GUEST_NAMES) refuseBoth(name, sent[name], `guest.${name}`, guest[name]);
  if (isObject(sent.expect)) refuseBoth("input", sent.input, "expect.steps", sent.expect.steps);
}

function refuseBoth(one: string, value: unknown, other: string, otherValue: unknown): void {
  if (isUnset(value) || isUnset(otherValue)) return;
  throw new SpecError(
    "contradiction",
    `config.${one}`,
    `config.${one} and config.${other} say the same thing; keep one of them.`,
  );
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value with a fixture's defaults where it says nothing. */
function withDefaults(value: unknown, { expect, ...defaults }: ConfigDefaults): unknown {
  if (!isObject(value)) return value;
  const filled = Object.fromEntries(
    Object.entries(value).filter(
      ([name, field]) => field !== null || !(NULLABLE as readonly string[]).includes(name),
    ),
  );
  const asked = filled.expect ?? {};
  const expected = isObject(asked)
    ? {
        ...expect,
        ...Object.fromEntries(Object.entries(asked).filter(([, patterns]) => patterns !== null)),
      }
    : asked;
  return { ...defaults, ...given(filled), expect: expected };
}

/** The fields that are there. */
function given<T extends object>(value: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [Name in keyof T]: Exclude<T[Name], undefined>;
  };
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
  refuseContradictions(asked);
  const guest = isObject(asked.guest) ? asked.guest : {};
  for (const [name, known] of Object.entries(fixed)) {
    const field = asked[name] === undefined ? `config.guest.${name}` : `config.${name}`;
    const wanted = asked[name] ?? guest[name];
    if (wanted === undefined || String(wanted) === String(known)) continue;
    throw new SpecError(
      "fixed-by-snapshot",
      field,
      `${field} is fixed by the snapshot (${JSON.stringify(known)}); leave it out, or boot a kernel with another.`,
    );
  }
  const { guest: _, ...rest } = asked;
  // What else is in it must be right, too.
  const others = isObject(asked.guest)
    ? { guest: Object.fromEntries(Object.entries(guest).filter(([name]) => !(name in fixed))) }
    : asked.guest === undefined
      ? {}
      : { guest: asked.guest };
  return parseConfig({ ...rest, ...fixed, ...others }, () => startTime);
}
