import type { KernelEvent } from "../console/kernel-log.ts";
import { casesOf, type TestCase, type TestStatus } from "../ktap/results.ts";
import type { Verdict } from "../verdict.ts";
import { nameOf, type ReportedJob } from "./job.ts";
import { KCIDB_EXCERPT_CHARACTERS } from "./limits.ts";

/** Status of a test in KCIDB: "MISS" is the harness's failure, not the code's. */
export type KcidbStatus = "FAIL" | "ERROR" | "MISS" | "PASS" | "DONE" | "SKIP";

type Fields = Readonly<Record<string, unknown>>;

/** A submission to KernelCI's database, schema 5.3 (kernelci/kcidb-io, kcidb_io/schema/v05_03.py). */
export interface Kcidb {
  readonly version: { readonly major: 5; readonly minor: 3 };
  readonly checkouts: readonly Fields[];
  readonly builds: readonly Fields[];
  readonly tests: readonly Fields[];
  readonly issues: readonly Fields[];
  readonly incidents: readonly Fields[];
}

export interface KcidbOptions {
  /** The submitting CI system's name in KCIDB: lower-case letters, digits and "_". */
  readonly origin: string;
}

const STATUSES: Readonly<Record<Verdict, KcidbStatus>> = {
  pass: "PASS",
  skip: "SKIP",
  canceled: "MISS",
  timeout: "FAIL",
  "no-output": "FAIL",
  fail: "FAIL",
  crash: "FAIL",
  error: "MISS",
};

const TEST_STATUSES: Readonly<Record<TestStatus, KcidbStatus>> = {
  pass: "PASS",
  skip: "SKIP",
  xfail: "PASS",
  todo: "PASS",
  fail: "FAIL",
  timeout: "FAIL",
  error: "ERROR",
};

const GUESTS: Readonly<Record<ReportedJob["mode"], string>> = {
  pv: "Xen PV guest",
  pvh: "PVH guest",
  hvm: "HVM guest",
};

/** Labels that describe the checkout a kernel was built from, by the names KCIDB has for them. */
const CHECKOUT_LABELS: Readonly<Record<string, RegExp>> = {
  tree_name: /^.+$/,
  git_repository_url: /^https:\/\/[^\s]+$/,
  git_commit_hash: /^[0-9a-f]{40}$/,
  git_commit_name: /^.+$/,
  git_repository_branch: /^.+$/,
};

/**
 * Jobs as a KCIDB submission: a test "boot" each, one for each test that ran on the console, and an issue for each thing the
 * kernel complained about, whose id depends on its normalised title only. Labels kcidb_build_id and kcidb_checkout_id link to
 * what another system submitted; without them there is a build for each kernel, made of what labels say of its checkout.
 */
export function kcidbOf(jobs: readonly ReportedJob[], { origin }: KcidbOptions): Kcidb {
  const checkouts = new Map<string, Fields>();
  const builds = new Map<string, Fields>();
  const issues = new Map<string, Fields>();
  const tests: Fields[] = [];
  const incidents: Fields[] = [];
  for (const job of jobs) {
    const buildId = idLabel(job, "kcidb_build_id") ?? addBuild(job, origin, checkouts, builds);
    const boot = bootTest(job, origin, buildId);
    tests.push(
      boot,
      ...casesOf(job.console.tests).map((test, at) => caseTest(job, test, at, origin, buildId)),
    );
    for (const [at, event] of job.console.events.entries()) {
      const issue = issueOf(event, origin);
      issues.set(String(issue.id), issue);
      incidents.push({
        id: `${origin}:${job.id}:${at}`,
        origin,
        issue_id: issue.id,
        issue_version: issue.version,
        test_id: boot.id,
        present: true,
        misc: { count: event.count, ...(event.initcall !== null && { initcall: event.initcall }) },
      });
    }
  }
  return {
    version: { major: 5, minor: 3 },
    checkouts: [...checkouts.values()],
    builds: [...builds.values()],
    tests,
    issues: [...issues.values()],
    incidents,
  };
}

export function writeKcidb(jobs: readonly ReportedJob[], options: KcidbOptions): string {
  return `${JSON.stringify(kcidbOf(jobs, options), null, 2)}\n`;
}

/** A label that is the id of an object in KCIDB, if it is one. */
function idLabel(job: ReportedJob, name: string): string | undefined {
  const value = job.labels[name];
  return value !== undefined && /^[a-z0-9_]+:[^\0\n]*$/.test(value) ? value : undefined;
}

function addBuild(
  job: ReportedJob,
  origin: string,
  checkouts: Map<string, Fields>,
  builds: Map<string, Fields>,
): string {
  const known = Object.fromEntries(
    Object.entries(CHECKOUT_LABELS).flatMap(([name, pattern]) => {
      const value = job.labels[name];
      return value !== undefined && pattern.test(value) && !value.includes("\0")
        ? [[name, value] as const]
        : [];
    }),
  );
  const linked = idLabel(job, "kcidb_checkout_id");
  const checkoutId = linked ?? `${origin}:${known.git_commit_hash ?? job.kernel.sha256}`;
  if (linked === undefined && !checkouts.has(checkoutId))
    checkouts.set(checkoutId, { id: checkoutId, origin, ...known, valid: true });
  const buildId = `${origin}:${job.kernel.sha256}`;
  if (builds.has(buildId)) return buildId;
  builds.set(buildId, {
    id: buildId,
    origin,
    checkout_id: checkoutId,
    ...(job.architecture !== null && { architecture: job.architecture }),
    status: "PASS",
    comment: clean(nameOf(job)),
    misc: { kernel_sha256: job.kernel.sha256 },
  });
  return buildId;
}

function bootTest(job: ReportedJob, origin: string, buildId: string): Fields {
  const excerpt = job.console.events.flatMap(({ title, excerpt }) => [`# ${title}`, ...excerpt]).join("\n");
  const log = excerpt === "" ? job.console.tail.slice(-KCIDB_EXCERPT_CHARACTERS) : excerpt;
  return {
    id: `${origin}:${job.id}`,
    origin,
    build_id: buildId,
    path: "boot",
    status: job.verdict === null ? "MISS" : STATUSES[job.verdict],
    ...(job.reason !== null && { comment: clean(job.reason) }),
    ...(log !== "" && { log_excerpt: clean(log.slice(0, KCIDB_EXCERPT_CHARACTERS)) }),
    ...(job.url !== null && { log_url: `${job.url}/console` }),
    start_time: job.startedAt ?? job.createdAt,
    duration: job.seconds,
    number: { value: job.instructions, unit: "instructions", prefix: "metric" },
    environment: {
      comment: `${GUESTS[job.mode]} on xenner`,
      misc: { memory_mib: job.memory, cmdline: job.cmdline, mode: job.mode, cpu: job.cpu },
    },
    misc: {
      verdict: job.verdict,
      reason_code: job.reasonCode,
      guest_seconds: job.guestSeconds,
      labels: job.labels,
    },
  };
}

function caseTest(
  job: ReportedJob,
  { path, result }: TestCase,
  at: number,
  origin: string,
  buildId: string,
): Fields {
  const log = result.diagnostics.join("\n").slice(0, KCIDB_EXCERPT_CHARACTERS);
  return {
    id: `${origin}:${job.id}:test:${at}`,
    origin,
    build_id: buildId,
    path: [...path, result.name].map(pathPart).join("."),
    status: TEST_STATUSES[result.status],
    ...(result.reason !== "" && { comment: clean(result.reason) }),
    ...(log !== "" && { log_excerpt: clean(log) }),
    start_time: job.startedAt ?? job.createdAt,
    misc: { name: result.name, ktap_status: result.status },
  };
}

function issueOf(event: KernelEvent, origin: string): Fields {
  return {
    id: `${origin}:${slug(event.title)}`,
    version: 1,
    origin,
    report_subject: clean(event.title),
    culprit: { code: true, tool: false, harness: false },
    categories: [`kernel.${event.kind}`],
    misc: { kind: event.kind },
  };
}

/** A part of a test's path: letters, digits, "_" and "-". */
function pathPart(name: string): string {
  return name.replace(/[^\w-]+/g, "_").replace(/^_+|_+$/g, "") || "unnamed";
}

/** A title as part of an id: readable, and distinct by a hash (FNV-1a, 64 bits). */
function slug(title: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(title))
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `${pathPart(title).slice(0, 60)}-${hash.toString(16).padStart(16, "0")}`;
}

/** KCIDB's strings hold no NUL; half surrogate pairs are no text at all. */
function clean(text: string): string {
  return text.replaceAll("\0", "\ufffd").toWellFormed();
}
