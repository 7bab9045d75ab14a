import type { BatchSpec } from "../../jobs/batch/schema.ts";
import { type BatchSummary, summarize, type VerdictCounts } from "../../jobs/batch/summary.ts";
import { VERDICTS } from "../../jobs/verdict.ts";
import type { Principal, Scope, Visibility } from "../auth/principal.ts";

/** Whose the batch is, as far as its jobs are made in that name. */
export interface BatchOwner extends Pick<Principal, "tokenId" | "quotas"> {
  readonly scopes: readonly Scope[];
}

/** What a batch is made from. */
export interface BatchRequest extends BatchSpec {
  readonly id: string;
  readonly owner: BatchOwner;
  readonly visibility: Visibility;
}

/** A batch as its object stores it, its members aside. Times are milliseconds since 1970. */
export interface BatchRecord extends Omit<BatchRequest, "members"> {
  readonly total: number;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly canceledAt?: number;
  /** Why it was canceled, and a code for programs, if nobody asked for it. */
  readonly cancelReason?: string;
  readonly cancelCode?: string;
  /** The dispatcher has it; the dispatcher was told that it is canceled. */
  readonly registered: boolean;
  readonly withdrawn: boolean;
  /** What those whom the batch names were told last. */
  readonly told?: "created" | "ended";
  /** What the register and the dispatcher know of it: how large it is while it is live, and after its end. */
  readonly accounted?: "live" | "ended";
  /** Raised with each change that lists show, and which of them the index has. */
  readonly version: number;
  readonly indexed: number;
  /** Times that the alarm's work failed since it last did not. */
  readonly failures: number;
}

/** A batch as the API shows it. */
export interface BatchView extends BatchSummary {
  readonly id: string;
  readonly name: string | null;
  readonly owner: string;
  readonly visibility: Visibility;
  readonly createdAt: string;
  /** When its first job was begun. */
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly canceledAt: string | null;
  /** Wall time from creation to the end, or to now. */
  readonly seconds: number;
  readonly maxConcurrent: number;
  readonly jobs: {
    readonly total: number;
    /** Without their turn yet. */
    readonly waiting: number;
    readonly running: number;
    readonly ended: number;
  };
  /** Jobs by state, and those that ended by verdict; only what there is. */
  readonly states: Readonly<Record<string, number>>;
  readonly verdicts: VerdictCounts;
  /** Of all its jobs together. */
  readonly instructions: number;
  readonly runSeconds: number;
  readonly links: {
    readonly self: string;
    readonly jobs: string;
    readonly report: string;
    readonly badge: string;
  };
}

const iso = (milliseconds: number | undefined): string | null =>
  milliseconds === undefined ? null : new Date(milliseconds).toISOString();

export function viewOfBatch(
  record: BatchRecord,
  {
    states,
    verdicts,
  }: { readonly states: Readonly<Record<string, number>>; readonly verdicts: VerdictCounts },
  sums: { readonly instructions: number; readonly runSeconds: number },
  now: number,
): BatchView {
  const { id, name, owner, visibility, total, maxConcurrent } = record;
  const waiting = states.waiting ?? 0;
  const ended = VERDICTS.reduce((sum, verdict) => sum + (verdicts[verdict] ?? 0), 0);
  return {
    id,
    name,
    // One whose members all wait again, over a quota, has begun all the same.
    ...summarize(total, verdicts, waiting < total || record.startedAt !== undefined),
    owner: owner.tokenId,
    visibility,
    createdAt: new Date(record.createdAt).toISOString(),
    startedAt: iso(record.startedAt),
    endedAt: iso(record.endedAt),
    canceledAt: iso(record.canceledAt),
    seconds: ((record.endedAt ?? now) - record.createdAt) / 1000,
    maxConcurrent,
    jobs: { total, waiting, running: total - waiting - ended, ended },
    states,
    verdicts,
    ...sums,
    links: {
      self: `/batches/${id}`,
      jobs: `/batches/${id}/jobs`,
      report: `/batches/${id}/report.json`,
      badge: `/batches/${id}/badge.svg`,
    },
  };
}
