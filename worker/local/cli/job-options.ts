import { type ParseArgsConfig, parseArgs } from "node:util";
import { LIMIT_RANGES } from "../../../jobs/limits.ts";
import { editDistance, nearestName } from "../../../jobs/nearest.ts";
import { REPORTS } from "../../../jobs/report/formats.ts";
import type { LimitName } from "../../../jobs/spec.ts";

/** What the snapshot of --snapshot is called. */
export const SNAPSHOT_NAME = "snapshot";

/** The command line cannot be understood. */
export class UsageError extends Error {}

/** "guestSeconds" is --limit-guest-seconds. */
const flagOf = (limit: string): string =>
  `limit-${limit.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
const LIMIT_NAMES = Object.keys(LIMIT_RANGES) as LimitName[];
const LIMIT_FLAGS = Object.fromEntries(
  LIMIT_NAMES.map((name) => [flagOf(name), { type: "string" as const }]),
);

const FLAGS = {
  fixture: { type: "string" },
  kernel: { type: "string" },
  initrd: { type: "string" },
  rootfs: { type: "string" },
  cmdline: { type: "string" },
  "boot-args": { type: "string" },
  memory: { type: "string" },
  cpu: { type: "string" },
  mode: { type: "string" },
  expect: { type: "string", multiple: true },
  fail: { type: "string", multiple: true },
  from: { type: "string" },
  batch: { type: "string" },
  input: { type: "string" },
  snapshot: { type: "string" },
  "snapshot-at": { type: "string" },
  seed: { type: "string" },
  "start-time": { type: "string" },
  "state-hash-every": { type: "string" },
  label: { type: "string", multiple: true },
  junit: { type: "string" },
  report: { type: "string", multiple: true },
  url: { type: "string" },
  token: { type: "string" },
  json: { type: "boolean" },
  list: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  ...LIMIT_FLAGS,
} satisfies ParseArgsConfig["options"];

/** As tuxrun calls them. */
const ALIASES = { rootfs: "initrd", "boot-args": "cmdline" } as const;

/** A report to be written when the job has ended. */
export interface WantedReport {
  readonly format: ReportFormat;
  readonly path: string;
}

export type ReportFormat = keyof typeof REPORTS;
export const REPORT_FORMATS = Object.keys(REPORTS) as ReportFormat[];

/** What `run` and `submit` are asked for. */
export interface StartOptions {
  readonly fixture?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  /** A snapshot to start from: a file, or what a worker calls it (JOB/NAME, or the id of an imported one). */
  readonly from?: string;
  /** A file with many jobs instead, as POST /batches takes them. */
  readonly batch?: string;
  /** What to type: the steps as JSON, or the file they are in. */
  readonly input?: string;
  /** The file to write a snapshot to. */
  readonly snapshot?: string;
  /** What goes into the job's config; only what was given. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly expectPass?: readonly string[];
  readonly expectFail?: readonly string[];
  /** Instructions between two hashes of the whole state. */
  readonly stateHashEvery?: number;
  readonly reports: readonly WantedReport[];
  readonly url?: string;
  readonly token?: string;
  readonly json: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

function numberOf(text: string, flag: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (text.trim() === "" || !Number.isFinite(value))
    throw new UsageError(`--${flag} needs a number, not "${text}"`);
  return value;
}

/** @throws UsageError for the first option that is not among the known ones, with the nearest of them */
export function refuseUnknown(args: readonly string[], known: readonly string[]): void {
  const end = args.indexOf("--");
  const unknown = (end < 0 ? args : args.slice(0, end)).find(
    (argument) => /^--[^=]/.test(argument) && !known.includes(argument.slice(2).split("=")[0] ?? ""),
  );
  if (unknown === undefined) return;
  const name = unknown.slice(2).split("=")[0] ?? "";
  throw new UsageError(`there is no option --${name}${suggestion(name, known, "--")}`);
}

/** "; did you mean X?", if there is anything like it. */
export function suggestion(name: string, known: readonly string[], dashes = ""): string {
  const nearest = nearestName(name, known);
  const isNear = editDistance(name.toLowerCase(), nearest) <= Math.max(2, nearest.length / 3);
  return isNear
    ? `; did you mean ${dashes}${nearest}?`
    : `; there are: ${known.map((word) => dashes + word).join(", ")}`;
}

/** NAME=VALUE. @throws UsageError */
function pairOf(text: string, flag: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--${flag} needs NAME=VALUE, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** @throws UsageError */
export function reportFormat(name: string): ReportFormat {
  const format = REPORT_FORMATS.find((known) => known === name);
  if (format !== undefined) return format;
  throw new UsageError(`there is no report "${name}"${suggestion(name, REPORT_FORMATS)}`);
}

function reportsOf(junit: string | undefined, reports: readonly string[] = []): WantedReport[] {
  const wanted = reports.map((text): WantedReport => {
    const [name, path] = pairOf(text, "report");
    return { format: reportFormat(name), path };
  });
  return junit === undefined ? wanted : [{ format: "xml", path: junit }, ...wanted];
}

/** All options of `run`, for completion. */
export const RUN_FLAGS = Object.keys(FLAGS);

/** Parses the arguments of `run` and `submit`. @throws UsageError */
export function parseStartOptions(args: readonly string[]): StartOptions {
  refuseUnknown(args, Object.keys(FLAGS));
  const given = valuesOf(args);
  for (const [alias, name] of Object.entries(ALIASES) as [keyof typeof ALIASES, "initrd" | "cmdline"][]) {
    if (given[alias] !== undefined && given[name] !== undefined)
      throw new UsageError(`--${alias} is another name of --${name}; give one of them`);
  }
  const { rootfs, "boot-args": bootArgs, ...named } = given;
  const values = {
    ...named,
    ...(rootfs === undefined ? {} : { initrd: rootfs }),
    ...(bootArgs === undefined ? {} : { cmdline: bootArgs }),
  };
  const labels = Object.fromEntries((values.label ?? []).map((text) => pairOf(text, "label")));
  if (values.fixture !== undefined && values.kernel !== undefined) {
    throw new UsageError("--fixture and --kernel exclude each other");
  }
  if (values.token !== undefined && values.url === undefined) throw new UsageError("--token goes with --url");
  const limits = Object.fromEntries(
    LIMIT_NAMES.flatMap((name) => {
      const text = (values as Record<string, unknown>)[flagOf(name)];
      return typeof text === "string" ? [[name, numberOf(text, flagOf(name))]] : [];
    }),
  );
  if (values.from !== undefined) {
    const excluded = (["fixture", "kernel", "initrd", "state-hash-every"] as const).find(
      (name) => values[name] !== undefined,
    );
    if (excluded !== undefined) throw new UsageError(`--from and --${excluded} exclude each other`);
  }
  if (values.batch !== undefined) {
    const other = Object.keys(values).find(
      (name) => !["batch", "url", "token", "json", "help", "junit", "report"].includes(name),
    );
    if (other !== undefined)
      throw new UsageError(`--batch and --${other} exclude each other: write it into the batch`);
  }
  const snapshotAt = values["snapshot-at"];
  if (snapshotAt !== undefined && values.snapshot === undefined) {
    throw new UsageError("--snapshot-at goes with --snapshot");
  }
  if (values["state-hash-every"] !== undefined && (values.input ?? values.snapshot) !== undefined) {
    throw new UsageError("--state-hash-every does not go with --input or --snapshot");
  }
  const startTime = values["start-time"];
  const hashes = values["state-hash-every"];
  if (hashes !== undefined && values.url !== undefined) {
    throw new UsageError("--state-hash-every runs the guest in this process; it does not go with --url");
  }
  const stateHashEvery = hashes === undefined ? undefined : numberOf(hashes, "state-hash-every");
  if (stateHashEvery !== undefined && (!Number.isSafeInteger(stateHashEvery) || stateHashEvery < 1)) {
    throw new UsageError("--state-hash-every needs a number of instructions, at least 1");
  }
  return {
    ...(values.fixture === undefined ? {} : { fixture: values.fixture }),
    ...(values.kernel === undefined ? {} : { kernel: values.kernel }),
    ...(values.initrd === undefined ? {} : { initrd: values.initrd }),
    ...(values.from === undefined ? {} : { from: values.from }),
    ...(values.batch === undefined ? {} : { batch: values.batch }),
    ...(values.input === undefined ? {} : { input: values.input }),
    ...(values.snapshot === undefined ? {} : { snapshot: values.snapshot }),
    ...(values.expect === undefined ? {} : { expectPass: values.expect }),
    ...(values.fail === undefined ? {} : { expectFail: values.fail }),
    ...(stateHashEvery === undefined ? {} : { stateHashEvery }),
    ...(values.url === undefined ? {} : { url: urlOf(values.url) }),
    ...(values.token === undefined ? {} : { token: values.token }),
    config: {
      ...(values.cmdline === undefined ? {} : { cmdline: values.cmdline }),
      ...(values.memory === undefined ? {} : { memory: numberOf(values.memory, "memory") }),
      ...(values.cpu === undefined ? {} : { cpu: values.cpu }),
      ...(values.mode === undefined ? {} : { mode: values.mode }),
      ...(values.seed === undefined ? {} : { seed: values.seed }),
      ...(startTime === undefined
        ? {}
        : { startTime: startTime === "now" ? startTime : numberOf(startTime, "start-time") }),
      ...(Object.keys(limits).length === 0 ? {} : { limits }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(values.snapshot === undefined
        ? {}
        : { snapshots: [{ name: SNAPSHOT_NAME, ...(snapshotAt === undefined ? {} : { at: snapshotAt }) }] }),
    },
    reports: reportsOf(values.junit, values.report),
    json: values.json ?? false,
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

function valuesOf(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: FLAGS,
      strict: true,
      allowPositionals: true,
    });
    if (positionals.length === 0) return values;
    throw new UsageError(`"${positionals[0]}" is one word too many; a kernel's file goes behind --kernel`);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param name where it was given. @throws UsageError */
export function urlOf(text: string, name = "--url"): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(
      `${name} needs an address such as https://xenner.example.workers.dev, not "${text}"`,
    );
  }
  return text;
}

/** The manual of `run`; `program` is how it is called. */
export const startHelp = (
  program: string,
): string => `Usage: ${program.endsWith(" --") ? `${program.slice(0, -3)} [-- OPTIONS]` : `${program} [OPTIONS]`}

Boots a guest kernel and shows its console, a verdict, and hypercall statistics.
Without options: Debian's cloud kernel, fetched with this system's package client.

What to boot
  --fixture NAME          a guest that comes with this repository (--list shows them)
  --kernel FILE           your own kernel: bzImage or vmlinux; Xen PV unless --mode says otherwise
  --initrd FILE           its initrd; also --rootfs, as tuxrun calls it
  --cmdline TEXT          kernel command line (default "console=hvc0"); also --boot-args
  --memory MIB            guest memory
  --mode MODE             how the kernel is started: pv (default), pvh, or hvm
  --cpu MODEL             what the processor offers: v1 or v2 (default), as in "v2,-sse4.2" or "v1,+popcnt"

  --from SNAPSHOT         go on from a snapshot instead: a file that --snapshot wrote, or with --url JOB/NAME
  --snapshot FILE         write a snapshot of the guest's end to this file
  --snapshot-at PATTERN   write it when this has appeared, not at the end

  --batch FILE            many jobs instead: JSON as POST /batches takes it, where {"file": PATH} may stand for a kernel
                          or initrd (relative to FILE); shows each job as it ends, a table, and the worst verdict

What to type
  --input FILE            JSON: [{"expect": PATTERN, "send": TEXT}, ...]; TEXT is typed when PATTERN has appeared after
                          the step before; or the JSON itself, which begins with a bracket

What to expect
  --expect PATTERN        must appear on a line of the console (may be repeated)
  --fail PATTERN          must not appear (may be repeated)

Limits
${LIMIT_NAMES.map((name) => `  ${`--${flagOf(name)} N`.padEnd(30)}default ${LIMIT_RANGES[name].default.toLocaleString("en-US")}`).join("\n")}

What to keep
  --junit FILE            write a JUnit report when the job has ended
  --report FORMAT=FILE    write a report: ${REPORT_FORMATS.join(", ")} (may be repeated)
  --label NAME=VALUE      what the job is about (may be repeated); jobs of the same labels are compared. Without one
                          it is called by its kernel's file: name=bzImage

Other
  --seed N                seed of the guest's random numbers (default 1)
  --start-time N|now      the guest's date, in seconds since 1970 (default: the beginning of 2026)
  --state-hash-every N    run the guest in this process and print a hash of its whole state every N instructions
  --url URL --token T     send the job to this worker instead of a local one
  --json                  print one JSON document and nothing else on standard output
  --list                  list the fixtures
  --help                  this text

Examples
  ${program} --kernel arch/x86/boot/bzImage --rootfs initrd.cpio.gz --expect 'login:'
  ${program} --kernel bzImage --boot-args 'console=hvc0 panic=-1' --memory 256 --junit junit.xml
  ${program} --fixture debian-cloud --mode hvm --json

Ctrl-C cancels the job, and ends with 130 when it has ended; once more ends at once.

Exit status: 0 pass, 1 fail, 2 infrastructure error, 64 wrong use or refused input; 130 after Ctrl-C.
`;
