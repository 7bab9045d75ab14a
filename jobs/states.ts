import type { Verdict } from "./verdict.ts";

/** A job's life. The last six are final. */
export const JOB_STATES = [
  "queued",
  "building",
  "running",
  "passed",
  "failed",
  "timeout",
  "crashed",
  "canceled",
  "error",
] as const;
export type JobState = (typeof JOB_STATES)[number];

const LIVE: ReadonlySet<JobState> = new Set(["queued", "building", "running"]);

export function isFinal(state: JobState): boolean {
  return !LIVE.has(state);
}

const STATE_OF_VERDICT: Readonly<Record<Verdict, JobState>> = {
  pass: "passed",
  skip: "passed",
  canceled: "canceled",
  timeout: "timeout",
  "no-output": "failed",
  fail: "failed",
  crash: "crashed",
  error: "error",
};

/** The final state of a job that ended with `verdict`. */
export function finalState(verdict: Verdict): JobState {
  return STATE_OF_VERDICT[verdict];
}
