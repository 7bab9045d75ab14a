import { casesOf, isFailure, type TestCase } from "../ktap/results.ts";
import { nameOf, type ReportedJob } from "./job.ts";
import { attributes, xml } from "./xml.ts";

/** How a case ended, in JUnit's words: a failure is the tested code's, an error is not. */
type Outcome = "passed" | "skipped" | "failure" | "error";

interface Case {
  readonly name: string;
  readonly className: string;
  readonly seconds: number | null;
  readonly outcome: Outcome;
  readonly type: string;
  readonly message: string;
  readonly details: string;
}

interface Suite {
  readonly name: string;
  readonly job: ReportedJob;
  readonly cases: readonly Case[];
  readonly out: string;
}

/**
 * Jobs as JUnit XML, as Jenkins' schema has it and GitHub's and GitLab's readers take it. Each job is a suite "boot" with the
 * verdict as its one case, and a suite for each group of tests that ran on its console.
 */
export function writeJunit(jobs: readonly ReportedJob[]): string {
  const named = jobs.length > 1;
  const totals = jobs.reduce((sum, job) => addJunitTotals(sum, job), NO_JUNIT_TOTALS);
  let suites = 0;
  const lines = jobs.flatMap((job) => {
    const written = junitSuites(job, named, suites);
    suites += written.suites;
    return written.lines;
  });
  return [...junitHead(totals), ...lines, ...JUNIT_TAIL, ""].join("\n");
}

/** What the head of a report says of all its jobs. */
export interface JunitTotals {
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly seconds: number;
}
export const NO_JUNIT_TOTALS: JunitTotals = { tests: 0, failures: 0, errors: 0, seconds: 0 };

export function addJunitTotals(
  { tests, failures, errors, seconds }: JunitTotals,
  job: ReportedJob,
): JunitTotals {
  const cases = suitesOf(job, false).flatMap((suite) => suite.cases);
  return {
    tests: tests + cases.length,
    failures: failures + count(cases, "failure"),
    errors: errors + count(cases, "error"),
    seconds: seconds + job.seconds,
  };
}

export function junitHead({ seconds, ...totals }: JunitTotals): string[] {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: "xenner", ...totals, time: seconds.toFixed(3) })}>`,
  ];
}

/** One job's suites, numbered from `first`; `named` if there are other jobs. */
export function junitSuites(
  job: ReportedJob,
  named: boolean,
  first: number,
): { readonly lines: readonly string[]; readonly suites: number } {
  const suites = suitesOf(job, named);
  return { lines: suites.flatMap((suite, index) => suiteLines(suite, first + index)), suites: suites.length };
}

export const JUNIT_TAIL: readonly string[] = ["</testsuites>"];

function count(cases: readonly Case[], outcome: Outcome): number {
  return cases.filter((one) => one.outcome === outcome).length;
}

function suitesOf(job: ReportedJob, named: boolean): readonly Suite[] {
  const prefix = named ? `${nameOf(job)} (${job.id.slice(0, 8)}): ` : "";
  const groups = new Map<string, Case[]>();
  for (const test of casesOf(job.console.tests)) {
    const group = test.path.join(".") || "tests";
    const cases = groups.get(group) ?? [];
    cases.push(testCase(test, group));
    groups.set(group, cases);
  }
  return [
    { name: `${prefix}boot`, job, cases: [bootCase(job)], out: job.console.tail },
    ...[...groups].map(([group, cases]) => ({ name: `${prefix}${group}`, job, cases, out: "" })),
  ];
}

function bootOutcome(job: ReportedJob): Outcome {
  switch (job.verdict) {
    case "pass":
      return "passed";
    case null:
    case "skip":
    case "canceled":
      return "skipped";
    case "error":
      return "error";
    default:
      return "failure";
  }
}

function bootCase(job: ReportedJob): Case {
  const details = [
    ...job.findings.map(({ message }) => message),
    ...job.console.events.map(({ title, excerpt, count: times }) =>
      ["", `${title}${times > 1 ? ` (${times} times)` : ""}`, ...excerpt].join("\n"),
    ),
    ...job.console.tests.problems,
  ];
  return {
    name: nameOf(job),
    className: "boot",
    seconds: job.seconds,
    outcome: bootOutcome(job),
    type: job.reasonCode ?? job.state,
    message: job.reason ?? `The job is ${job.state}.`,
    details: details.join("\n"),
  };
}

function testCase({ path, result }: TestCase, group: string): Case {
  const failed = isFailure(result.status);
  const outcome = result.status === "error" ? "error" : failed ? "failure" : null;
  return {
    name: result.name === "" ? "unnamed" : result.name,
    className: path.length === 0 ? "tests" : group,
    seconds: null,
    outcome: outcome ?? (result.status === "pass" ? "passed" : "skipped"),
    type: result.status,
    message: [result.status === "xfail" || result.status === "todo" ? `expected to fail` : "", result.reason]
      .filter((part) => part !== "")
      .join(": "),
    details: result.diagnostics.join("\n"),
  };
}

function suiteLines({ name, job, cases, out }: Suite, id: number): string[] {
  const seconds = cases.reduce((sum, one) => sum + (one.seconds ?? 0), 0);
  const properties = {
    job: job.id,
    ...(job.url === null ? {} : { url: job.url }),
    kernel: job.kernel.sha256,
    cmdline: job.cmdline,
    "memory.mib": job.memory,
    mode: job.mode,
    cpu: job.cpu,
    ...(job.architecture === null ? {} : { architecture: job.architecture }),
    instructions: job.instructions,
    "guest.seconds": job.guestSeconds,
    ...Object.fromEntries(Object.entries(job.labels).map(([key, value]) => [`label.${key}`, value])),
  };
  return [
    `  <testsuite${attributes({
      name,
      tests: cases.length,
      failures: count(cases, "failure"),
      errors: count(cases, "error"),
      skipped: count(cases, "skipped"),
      time: seconds.toFixed(3),
      timestamp: (job.startedAt ?? job.createdAt).replace(/(?:\.\d+)?Z$/, ""),
      hostname: "xenner",
      id,
    })}>`,
    "    <properties>",
    ...Object.entries(properties).map(
      ([key, value]) => `      <property${attributes({ name: key, value })}/>`,
    ),
    "    </properties>",
    ...cases.flatMap(caseLines),
    ...(out === "" ? [] : [`    <system-out>${xml(out)}</system-out>`]),
    "  </testsuite>",
  ];
}

function caseLines(one: Case): string[] {
  const time = one.seconds === null ? {} : { time: one.seconds.toFixed(3) };
  const head = `    <testcase${attributes({ name: one.name, classname: one.className, ...time })}`;
  if (one.outcome === "passed") return [`${head}/>`];
  // The schema gives <skipped> no attributes.
  const body =
    one.outcome === "skipped"
      ? `<skipped>${xml(one.message)}</skipped>`
      : `<${one.outcome}${attributes({ type: one.type, message: one.message })}>${xml(one.details)}</${one.outcome}>`;
  return [`${head}>`, `      ${body}`, "    </testcase>"];
}
