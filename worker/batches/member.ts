import type { Verdict } from "../../jobs/verdict.ts";
import { pick } from "../pick.ts";
import type { JobView } from "../runner/record.ts";

/**
 * What a member of a batch may be besides a job's states: "waiting" for its turn, "starting" while a job is made of it, "refused"
 * if none could be, because of what it asks for.
 */
export type MemberState = JobView["state"] | "waiting" | "starting" | "refused";

/** A member as the API shows it. */
export interface MemberView {
  /** Place in the batch, from 0. */
  readonly index: number;
  readonly name: string;
  /** Null as long as there is no such job. */
  readonly job: string | null;
  readonly state: MemberState;
  readonly verdict: Verdict | null;
  readonly reason: string | null;
  readonly reasonCode: string | null;
  readonly instructions: number;
  readonly guestSeconds: number;
  /** Wall time of running. */
  readonly runSeconds: number;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** What it asks for itself, besides what the batch's jobs share. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly links: { readonly job: string | null };
}

/** A page of a batch's members. */
export interface MemberPage {
  readonly jobs: readonly MemberView[];
  /** The cursor of the next page; null on the last. */
  readonly next: string | null;
}

/** The fields of a job that a batch keeps. */
const KEPT = [
  "state",
  "verdict",
  "reason",
  "reasonCode",
  "instructions",
  "guestSeconds",
  "runSeconds",
  "startedAt",
  "endedAt",
] as const satisfies readonly (keyof JobView)[];
/** Those of a member that are shown as they are kept. */
export const SHOWN = ["index", "name", ...KEPT] as const satisfies readonly (keyof MemberView)[];

/** What a batch keeps of one of its jobs, from an event or from its object. */
export interface JobNews {
  readonly job: string;
  /** The event's number: an older one changes nothing. */
  readonly number: number;
  readonly view: Pick<JobView, (typeof KEPT)[number]>;
}

export function newsOf(number: number, job: JobView): JobNews {
  return { job: job.id, number, view: pick(job, KEPT) };
}
