import { VERDICTS, type Verdict } from "../verdict.ts";
import type { ReportedJob } from "./job.ts";

/** A job's verdict, or its state as long as it has none. */
export function verdictOf(job: ReportedJob): string {
  return job.verdict ?? job.state;
}

/** The verdict of several jobs: the worst. "running" while one of them has none, unless another is bad already. */
export function worstOf(jobs: readonly ReportedJob[]): Verdict | "running" {
  let worst = -1;
  let waiting = false;
  for (const { verdict } of jobs) {
    if (verdict === null) waiting = true;
    else worst = Math.max(worst, VERDICTS.indexOf(verdict));
  }
  const found = VERDICTS[worst];
  const good = found === undefined || found === "pass" || found === "skip";
  return waiting && good ? "running" : (found ?? "skip");
}
