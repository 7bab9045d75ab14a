import type { TestResult, TestStatus } from "../ktap/results.ts";
import { writeKtap } from "../ktap/write.ts";
import type { Verdict } from "../verdict.ts";
import { nameOf, type ReportedJob } from "./job.ts";

const STATUSES: Readonly<Record<Verdict, TestStatus>> = {
  pass: "pass",
  skip: "skip",
  canceled: "skip",
  timeout: "timeout",
  "no-output": "fail",
  fail: "fail",
  crash: "fail",
  error: "error",
};

/** Jobs as KTAP: for each a group with "boot" and the tests that ran on its console; for one job, just these. */
export function writeKtapReport(jobs: readonly ReportedJob[]): string {
  const [first] = jobs;
  const results =
    jobs.length === 1 && first !== undefined ? resultsOf(first) : jobs.map((job) => groupOf(job));
  return writeKtap({ results, problems: [], dropped: 0 });
}

function statusOf(job: ReportedJob): TestStatus {
  return job.verdict === null ? "skip" : STATUSES[job.verdict];
}

function resultsOf(job: ReportedJob): readonly TestResult[] {
  const boot: TestResult = {
    name: "boot",
    status: statusOf(job),
    reason: job.verdict === "pass" ? "" : (job.reason ?? job.state),
    diagnostics: job.console.events.flatMap(({ title, excerpt }) => [title, ...excerpt]),
    children: [],
  };
  return [boot, ...job.console.tests.results];
}

/** A job as one of several. */
export function groupOf(job: ReportedJob): TestResult {
  return {
    name: `${nameOf(job)} ${job.id.slice(0, 8)}`,
    status: statusOf(job),
    reason: "",
    diagnostics: [],
    children: resultsOf(job),
  };
}
