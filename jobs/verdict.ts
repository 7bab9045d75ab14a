import type { EventKind } from "./console/kinds.ts";

/** Best first. Several things may be found wrong with a run; the worst is its verdict. */
export const VERDICTS = [
  "pass",
  "skip",
  "canceled",
  "timeout",
  "no-output",
  "fail",
  "crash",
  "error",
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What exactly was found; stable, for programs. */
export type FindingCode =
  /** pass: every pass pattern was seen. */
  | "patterns-seen"
  /** pass: no patterns were asked for; the guest printed something and powered off. */
  | "powered-off"
  | "canceled"
  /** timeout: limits.guestSeconds, limits.instructions. */
  | "guest-time"
  | "instructions"
  /** timeout: the guest had printed, then stopped. */
  | "silent"
  /** timeout: the guest waits for an event that can never come. */
  | "hang"
  /** timeout: a step of expect.steps took longer than its limit. */
  | "step"
  | "no-output"
  | "fail-pattern"
  | "pattern-missing"
  | "console-flood"
  | "rebooted"
  | "suspended"
  /** What the kernel complained about, "panic" among them. */
  | EventKind
  /** fail: test results on the console (KTAP). */
  | "tests-failed"
  | "tests-incomplete"
  /** skip: every test was skipped. */
  | "tests-skipped"
  /** fail: expect.instructions. */
  | "instruction-budget"
  /** crash: SHUTDOWN_crash or SHUTDOWN_watchdog. */
  | "guest-crash"
  /** crash: triple fault, or emu gave up. */
  | "machine-crash"
  /** error: the kernel passed the check at POST but cannot be built into a domain. */
  | "bad-kernel"
  /** error: the job stored more than one job may. */
  | "storage"
  /** error: ours. */
  | "infrastructure";

export interface Finding {
  readonly verdict: Verdict;
  readonly code: FindingCode;
  /** One sentence for people. */
  readonly message: string;
  /** The step of expect.steps, counted from 0, that the run stood at, and the pattern it waited for. */
  readonly step?: { readonly index: number; readonly wait: string };
}

export interface Outcome {
  readonly verdict: Verdict;
  readonly code: FindingCode;
  readonly reason: string;
  /** Everything that was found, worst first. */
  readonly findings: readonly Finding[];
}

/** The worst of `findings` (the earliest of equals) decides. */
export function judge(findings: readonly [Finding, ...Finding[]]): Outcome {
  const sorted = [...findings].sort((a, b) => VERDICTS.indexOf(b.verdict) - VERDICTS.indexOf(a.verdict));
  const worst = sorted[0] ?? findings[0];
  return { verdict: worst.verdict, code: worst.code, reason: worst.message, findings: sorted };
}
