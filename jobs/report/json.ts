import type { Comparison } from "../compare/compare.ts";
import { casesOf, countsOf } from "../ktap/results.ts";
import type { ReportedJob } from "./job.ts";
import { worstOf } from "./summary.ts";

/** Raised when a field changes its meaning or goes away; new fields may come at any time. */
export const REPORT_VERSION = 1;

/** Jobs as JSON: everything the other reports say, for programs. */
export function writeJsonReport(
  jobs: readonly ReportedJob[],
  comparisons: ReadonlyMap<string, Comparison> = new Map(),
): string {
  const report = {
    reportVersion: REPORT_VERSION,
    verdict: worstOf(jobs),
    jobs: jobs.map((job) => jsonOfJob(job, comparisons.get(job.id))),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** One of the report's jobs. */
export function jsonOfJob({ console, ...job }: ReportedJob, comparison?: Comparison): object {
  return {
    ...job,
    events: console.events,
    tests: { counts: countsOf(casesOf(console.tests)), ...console.tests },
    comparison: comparison ?? null,
  };
}
