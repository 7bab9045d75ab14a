import type { Quotas } from "../auth/principal.ts";
import { QUOTA_LIMITS } from "../limits.ts";

/** What a token's jobs take now. */
export interface Usage {
  readonly concurrentJobs: number;
  /** Guest instructions of the jobs that ended today (UTC). */
  readonly instructionsToday: number;
  readonly storageBytes: number;
}

/** More than a token may have. */
export interface OverQuota {
  readonly quota: keyof Quotas;
  readonly message: string;
  /** Seconds after which it may be worth trying again. */
  readonly retryAfter: number;
}

const DAY_MILLISECONDS = 24 * 3_600_000;

/** The day in UTC, as 2026-11-23. */
export const dayOf = (milliseconds: number): string => new Date(milliseconds).toISOString().slice(0, 10);

/** What of a token's quotas is used up; undefined if there is room. `bytes` are to be stored besides. */
export function overQuota(
  quotas: Quotas,
  usage: Usage,
  now: number,
  asks: { readonly job: boolean; readonly bytes: number },
): OverQuota | undefined {
  const { concurrentJobs, instructionsPerDay, storageBytes } = quotas;
  if (asks.job && concurrentJobs !== null && usage.concurrentJobs >= concurrentJobs) {
    return {
      quota: "concurrentJobs",
      message: `This token has ${usage.concurrentJobs} jobs that have not ended, and may have ${concurrentJobs}; wait for one to end, or cancel one.`,
      retryAfter: QUOTA_LIMITS.jobRetrySeconds,
    };
  }
  if (asks.job && instructionsPerDay !== null && usage.instructionsToday >= instructionsPerDay) {
    return {
      quota: "instructionsPerDay",
      message: `This token's jobs executed ${usage.instructionsToday} guest instructions today, and may execute ${instructionsPerDay} a day (UTC); go on tomorrow.`,
      retryAfter: Math.ceil((DAY_MILLISECONDS - (now % DAY_MILLISECONDS)) / 1000),
    };
  }
  const bytes = usage.storageBytes + asks.bytes;
  if (storageBytes !== null && (bytes > storageBytes || (asks.job && bytes >= storageBytes))) {
    return {
      quota: "storageBytes",
      message: `This token's jobs, snapshots and uploads take ${usage.storageBytes} bytes${asks.bytes > 0 ? `, and these are ${asks.bytes} more` : ""}; it may have ${storageBytes}. Remove snapshots, or wait until what is kept expires.`,
      retryAfter: QUOTA_LIMITS.storageRetrySeconds,
    };
  }
  return undefined;
}
