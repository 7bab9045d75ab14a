import { VERDICTS, type Verdict } from "../verdict.ts";

/** How many jobs of a batch ended with each verdict. */
export type VerdictCounts = Readonly<Partial<Record<Verdict, number>>>;

/** The worst verdict that any job has; null if none has one. */
export function worstVerdict(counts: VerdictCounts): Verdict | null {
  return VERDICTS.findLast((verdict) => (counts[verdict] ?? 0) > 0) ?? null;
}

/** What a batch says of all its jobs together. */
export interface BatchSummary {
  readonly state: "queued" | "running" | "ended";
  /** Once every job has ended: the worst of theirs. */
  readonly verdict: Verdict | null;
  /** The worst so far. */
  readonly worst: Verdict | null;
  /** Share of the jobs that have ended, 0 to 1. */
  readonly progress: number;
}

/** `begun` is whether any job has left the queue. */
export function summarize(total: number, verdicts: VerdictCounts, begun: boolean): BatchSummary {
  const ended = Object.values(verdicts).reduce((sum, count) => sum + count, 0);
  const worst = worstVerdict(verdicts);
  const over = ended >= total;
  return {
    state: over ? "ended" : begun ? "running" : "queued",
    verdict: over ? worst : null,
    worst,
    progress: total === 0 ? 1 : ended / total,
  };
}
