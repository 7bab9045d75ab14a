import {
  CMDLINE_BYTES,
  INPUT_BYTES,
  INPUT_STEPS,
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
} from "./limits.ts";
import { nearestName } from "./nearest.ts";
import { Pattern } from "./pattern/match.ts";
import { PatternError } from "./pattern/parse.ts";
import { SpecError } from "./spec-error.ts";

export type LimitName = keyof typeof LIMIT_RANGES;
export type Limits = Readonly<Record<LimitName, number>>;

/** A job's configuration with every default filled in: all that a run depends on besides its kernel and initrd. */
export interface JobConfig {
  readonly cmdline: string;
  /** Guest RAM in MiB. */
  readonly memory: number;
  readonly expect: {
    /** All of these must be seen. */
    readonly pass: readonly string[];
    /** None of these may be seen. */
    readonly fail: readonly string[];
  };
  readonly limits: Limits;
  /** Decimal, because JSON numbers do not hold 64 bits. */
  readonly seed: string;
  /** Seconds since 1970-01-01 UTC. */
  readonly startTime: number;
  /** What is typed on the console, in order. */
  readonly input: readonly InputStep[];
  /** Snapshots the job makes of itself. */
  readonly snapshots: readonly SnapshotPoint[];
  /** Instructions between two hashes of the whole state in the result; null for none. */
  readonly stateHashEvery: number | null;
}

/** One thing to type. */
export interface InputStep {
  /** Pattern that a line printed after the step before must match first; without it, the text follows at once. */
  readonly expect?: string;
  readonly send: string;
}

/** Where a job that makes a snapshot of itself does so if it does not say. */
export const AT_END = "end";

/** A snapshot to be made by the job itself. */
export interface SnapshotPoint {
  readonly name: string;
  /** When: a pattern has been seen, this many instructions have been executed, or the run is over (AT_END). */
  readonly at: string | number;
}

/** What a fixture says about itself; a user's configuration goes before it. */
export interface ConfigDefaults {
  readonly cmdline?: string;
  readonly memory?: number;
  readonly expect?: { readonly pass: readonly string[]; readonly fail: readonly string[] };
}

export const DEFAULT_CMDLINE = "console=hvc0";

type Fields = Readonly<Record<string, unknown>>;

/** `value` as an object with no other fields than `known`. Throws SpecError naming the nearest known field. */
export function fieldsOf(value: unknown, path: string, known: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SpecError("wrong-type", path, `${path} must be a JSON object, but it is ${describe(value)}.`);
  }
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue;
    const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name;
    throw new SpecError(
      "unknown-field",
      `${path}.${shown}`,
      `${path} has no field "${shown}"; did you mean "${nearestName(name, known)}"? Known: ${known.join(", ")}.`,
    );
  }
  return value as Fields;
}

/** What JSON type a value has, for messages. */
export function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function numberIn(value: unknown, path: string, range: Range, unit: string, integer: boolean): number {
  if (value === undefined) return range.default;
  if (typeof value !== "number" || !Number.isFinite(value) || (integer && !Number.isInteger(value))) {
    throw new SpecError(
      "wrong-type",
      path,
      `${path} must be ${integer ? "a whole" : "a"} number (${unit}), but it is ${shown(value)}.`,
    );
  }
  if (value < range.min || value > range.max) {
    throw new SpecError(
      "out-of-range",
      path,
      `${path} is ${value}; set it between ${range.min} and ${range.max} (${unit}).`,
    );
  }
  return value;
}

function shown(value: unknown): string {
  return typeof value === "number" ? String(value) : describe(value);
}

function cmdlineOf(value: unknown, path: string): string {
  if (typeof value !== "string") {
    throw new SpecError("wrong-type", path, `${path} must be a string, but it is ${describe(value)}.`);
  }
  const bytes = new TextEncoder().encode(value).length;
  if (bytes > CMDLINE_BYTES) {
    throw new SpecError(
      "too-long",
      path,
      `${path} is ${bytes} bytes long; shorten it to ${CMDLINE_BYTES}, the most Xen passes to a guest.`,
    );
  }
  if (value.includes("\0"))
    throw new SpecError("bad-character", path, `${path} contains a NUL byte; remove it.`);
  return value;
}

function patternsOf(value: unknown, path: string): readonly string[] {
  if (value === undefined) return [];
  // One pattern is such a common case that it may come without its brackets.
  const list: unknown[] = typeof value === "string" ? [value] : Array.isArray(value) ? value : [];
  if (typeof value !== "string" && !Array.isArray(value)) {
    throw new SpecError(
      "wrong-type",
      path,
      `${path} must be a list of patterns, but it is ${describe(value)}.`,
    );
  }
  if (list.length > PATTERNS) {
    throw new SpecError(
      "too-many",
      path,
      `${path} has ${list.length} patterns; at most ${PATTERNS} are allowed: join some with |.`,
    );
  }
  return list.map((entry, index) => patternOf(entry, `${path}[${index}]`));
}

function patternOf(value: unknown, path: string): string {
  if (typeof value !== "string") {
    throw new SpecError("wrong-type", path, `${path} must be a string, but it is ${describe(value)}.`);
  }
  if (value === "")
    throw new SpecError("empty", path, `${path} is empty and would match every line; remove it.`);
  if (value.length > PATTERN_CHARACTERS) {
    throw new SpecError(
      "too-long",
      path,
      `${path} has ${value.length} characters; shorten it to ${PATTERN_CHARACTERS}.`,
    );
  }
  try {
    new Pattern(value);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new SpecError(
      "bad-pattern",
      path,
      `${path} is not a valid pattern: ${error.message} (at character ${error.offset}).`,
    );
  }
  return value;
}

function seedOf(value: unknown, path: string): string {
  if (value === undefined) return SEED_DEFAULT.toString();
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || !/^\d{1,20}$/.test(text) || BigInt(text) > SEED_MAX) {
    throw new SpecError(
      "wrong-type",
      path,
      `${path} must be a whole number from 0 to 2^64-1; write it as a string if it is above 2^53.`,
    );
  }
  return BigInt(text).toString();
}

function stateHashEveryOf(value: unknown, path: string): number | null {
  if (value === undefined || value === null) return null;
  return numberIn(value, path, { ...STATE_HASH_EVERY, default: STATE_HASH_EVERY.min }, "instructions", true);
}

function startTimeOf(value: unknown, path: string, now: () => number): number {
  if (value === "now") return Math.floor(now());
  const range = { default: START_TIME_DEFAULT, min: 0, max: START_TIME_MAX };
  return numberIn(value, path, range, 'seconds since 1970-01-01 UTC, or "now"', true);
}

function inputOf(value: unknown, path: string): readonly InputStep[] {
  const list = listOf(value, path, "steps", INPUT_STEPS);
  const steps = list.map((entry, index): InputStep => {
    const at = `${path}[${index}]`;
    const { expect, send } = fieldsOf(entry, at, ["expect", "send"]);
    if (typeof send !== "string" || send === "") {
      throw new SpecError(
        send === "" ? "empty" : "wrong-type",
        `${at}.send`,
        `${at}.send must be the text to type, such as "ls\\n" (the \\n is the Enter key), but it is ${send === "" ? "empty" : describe(send)}.`,
      );
    }
    return expect === undefined ? { send } : { expect: patternOf(expect, `${at}.expect`), send };
  });
  const bytes = steps.reduce((sum, { send }) => sum + new TextEncoder().encode(send).length, 0);
  if (bytes <= INPUT_BYTES) return steps;
  throw new SpecError("too-long", path, `${path} types ${bytes} bytes; at most ${INPUT_BYTES} are allowed.`);
}

function listOf(value: unknown, path: string, what: string, most: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    throw new SpecError(
      "wrong-type",
      path,
      `${path} must be a list of ${what}, but it is ${describe(value)}.`,
    );
  }
  if (value.length > most) {
    throw new SpecError(
      "too-many",
      path,
      `${path} has ${value.length} ${what}; at most ${most} are allowed.`,
    );
  }
  return value;
}

function snapshotsOf(value: unknown, path: string): readonly SnapshotPoint[] {
  const list = listOf(value, path, "snapshots", SNAPSHOT_POINTS);
  const points = list.map((entry, index): SnapshotPoint => {
    const where = `${path}[${index}]`;
    const { name, at } = fieldsOf(entry, where, ["name", "at"]);
    return { name: parseSnapshotName(name, `${where}.name`), at: pointOf(at, `${where}.at`) };
  });
  for (const [index, { name }] of points.entries()) {
    if (points.findIndex((other) => other.name === name) === index) continue;
    throw new SpecError(
      "duplicate",
      `${path}[${index}].name`,
      `${path} has two snapshots named "${name}"; give each its own name.`,
    );
  }
  return points;
}

function pointOf(value: unknown, path: string): string | number {
  if (value === undefined || value === AT_END) return AT_END;
  if (typeof value !== "number") return patternOf(value, path);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new SpecError(
    "out-of-range",
    path,
    `${path} is ${value}; an instruction count is a whole number above 0.`,
  );
}

/** A snapshot's name. Throws SpecError. */
export function parseSnapshotName(value: unknown, path: string): string {
  if (typeof value === "string" && SNAPSHOT_NAME.test(value)) return value;
  throw new SpecError(
    "bad-name",
    path,
    `${path} must be a name of at most 64 letters, digits, dots, dashes and underscores that begins with a letter or digit.`,
  );
}

/** What a snapshot fixes: the guest is past the moment at which these were asked for. */
export type MachineFields = Pick<JobConfig, "cmdline" | "memory" | "seed" | "startTime">;

/** As parseConfig, for a job that starts from a snapshot made with `machine`. Throws SpecError. */
export function parseForkConfig(value: unknown, machine: MachineFields): JobConfig {
  const { cmdline, memory, seed, startTime } = machine;
  const fixed = { cmdline, memory, seed, startTime };
  const fields = fieldsOf(value ?? {}, "config", CONFIG_FIELDS);
  for (const [name, known] of Object.entries(fixed)) {
    const asked = fields[name];
    if (asked === undefined || String(asked) === String(known)) continue;
    throw new SpecError(
      "fixed-by-snapshot",
      `config.${name}`,
      `config.${name} is fixed by the snapshot (${JSON.stringify(known)}); leave it out, or boot a kernel with another.`,
    );
  }
  return parseConfig({ ...fields, ...fixed }, () => startTime);
}

const CONFIG_FIELDS = [
  "cmdline",
  "memory",
  "expect",
  "limits",
  "seed",
  "startTime",
  "input",
  "snapshots",
  "stateHashEvery",
] as const;

/**
 * Validates a configuration and fills in defaults. `now` gives seconds since 1970, for `startTime: "now"`.
 * Throws SpecError: unknown fields are errors, as a misspelt limit would otherwise silently not be one.
 */
export function parseConfig(value: unknown, now: () => number, defaults: ConfigDefaults = {}): JobConfig {
  const path = "config";
  const fields = fieldsOf(value ?? {}, path, CONFIG_FIELDS);
  const expected = fieldsOf(fields.expect ?? {}, `${path}.expect`, ["pass", "fail"]);
  const limitNames = Object.keys(LIMIT_RANGES) as LimitName[];
  const limits = fieldsOf(fields.limits ?? {}, `${path}.limits`, limitNames);
  const units: Record<LimitName, string> = {
    guestSeconds: "seconds",
    instructions: "instructions",
    consoleBytes: "bytes",
    silentSeconds: "seconds",
    silentInstructions: "instructions",
    graceSeconds: "seconds",
  };
  const limitOf = (name: LimitName): number =>
    numberIn(
      limits[name],
      `${path}.limits.${name}`,
      LIMIT_RANGES[name],
      units[name],
      units[name] !== "seconds",
    );
  return {
    cmdline: cmdlineOf(fields.cmdline ?? defaults.cmdline ?? DEFAULT_CMDLINE, `${path}.cmdline`),
    memory: numberIn(fields.memory ?? defaults.memory, `${path}.memory`, MEMORY_MIB, "MiB", true),
    expect: {
      pass: patternsOf(expected.pass ?? defaults.expect?.pass, `${path}.expect.pass`),
      fail: patternsOf(expected.fail ?? defaults.expect?.fail, `${path}.expect.fail`),
    },
    limits: Object.fromEntries(limitNames.map((name) => [name, limitOf(name)])) as Record<LimitName, number>,
    seed: seedOf(fields.seed, `${path}.seed`),
    startTime: startTimeOf(fields.startTime, `${path}.startTime`, now),
    input: inputOf(fields.input, `${path}.input`),
    snapshots: snapshotsOf(fields.snapshots, `${path}.snapshots`),
    stateHashEvery: stateHashEveryOf(fields.stateHashEvery, `${path}.stateHashEvery`),
  };
}

/** Where a kernel or initrd comes from. */
export type BlobReference = { readonly sha256: string } | { readonly fixture: string };

const SHA256 = /^[0-9a-f]{64}$/;
const FIXTURE = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** `{sha256}` or `{fixture}`, exactly one. Throws SpecError. */
export function parseReference(value: unknown, path: string): BlobReference {
  const fields = fieldsOf(value, path, ["sha256", "fixture"]);
  const { sha256, fixture } = fields;
  if ((sha256 === undefined) === (fixture === undefined)) {
    throw new SpecError(
      "missing",
      path,
      `${path} must be {"sha256": …} of a stored blob or {"fixture": …}, exactly one of them.`,
    );
  }
  if (sha256 !== undefined) return { sha256: parseSha256(sha256, `${path}.sha256`) };
  if (typeof fixture !== "string" || !FIXTURE.test(fixture)) {
    throw new SpecError(
      "bad-name",
      `${path}.fixture`,
      `${path}.fixture must be a fixture's name, such as "hello".`,
    );
  }
  return { fixture };
}

/** A SHA-256 in hexadecimal, lower-cased. Throws SpecError. */
export function parseSha256(value: unknown, path: string): string {
  const text = typeof value === "string" ? value.toLowerCase() : "";
  if (!SHA256.test(text)) {
    throw new SpecError(
      "bad-hash",
      path,
      `${path} must be a SHA-256 of 64 hexadecimal digits, as sha256sum prints it.`,
    );
  }
  return text;
}

/** The snapshot a job starts from: one that a job of this worker made, or one that was imported. */
export type SnapshotReference =
  | { readonly job: string; readonly snapshot: string }
  | { readonly snapshot: string };

const JOB_ID = /^[0-9a-f]{32}$/;

/** `{job, snapshot}` or `{snapshot}`. Throws SpecError. */
export function parseSnapshotReference(value: unknown, path: string): SnapshotReference {
  const { job, snapshot } = fieldsOf(value, path, ["job", "snapshot"]);
  if (job === undefined) {
    if (typeof snapshot === "string" && JOB_ID.test(snapshot)) return { snapshot };
    throw new SpecError(
      "bad-reference",
      `${path}.snapshot`,
      `${path} must be {"job": ID, "snapshot": NAME} for a snapshot that a job made, or {"snapshot": ID} for an imported one.`,
    );
  }
  if (typeof job !== "string" || !JOB_ID.test(job)) {
    throw new SpecError(
      "bad-reference",
      `${path}.job`,
      `${path}.job must be the id of a job, 32 hexadecimal digits.`,
    );
  }
  return { job, snapshot: parseSnapshotName(snapshot, `${path}.snapshot`) };
}
