import { parsePrintk } from "../console/printk.ts";
import { Lines, textOf } from "../lines.ts";
import type { Verdict } from "../verdict.ts";
import { MILESTONES, type Milestone, type Milestones } from "./milestones.ts";

/** What is compared of a run. */
export interface RunFacts {
  readonly id: string;
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly milestones: Milestones;
  /** Calls by hypercall, sub-operations joined with ": ". */
  readonly hypercalls: Readonly<Record<string, number>>;
  /** The whole console. */
  readonly console: Uint8Array;
}

/** A number of this run and of the one it is compared with. */
export interface Change {
  readonly before: number;
  readonly now: number;
  /** (now - before) / before, in percent; 0 if both are 0, Infinity is never used: 100 stands for "from nothing". */
  readonly percent: number;
}

/** Where two consoles part. */
export interface LineDifference {
  /** Counted from 1. */
  readonly line: number;
  /** The lines as printed; null where a console has ended. */
  readonly before: string | null;
  readonly now: string | null;
}

/** A run beside its last known good. */
export interface Comparison {
  /** The good run's id. */
  readonly good: string;
  readonly instructions: Change;
  readonly guestSeconds: Change;
  /** Milestones that both runs or one of them passed; null where one did not. */
  readonly milestones: readonly {
    readonly milestone: Milestone;
    readonly before: number | null;
    readonly now: number | null;
    readonly percent: number | null;
    /** By the kernel's own time stamps, which are finer; null if one of the runs has none. */
    readonly kernelSeconds: Change | null;
  }[];
  /** Hypercalls whose number changed, the greatest change first. */
  readonly hypercalls: readonly ({ readonly hypercall: string } & Change)[];
  /** Not a byte differs. */
  readonly identical: boolean;
  /** The first line that differs in more than its time stamp; null if none does. */
  readonly console: LineDifference | null;
}

/** Hypercalls listed in a comparison. */
const HYPERCALLS = 50;
const SHOWN_CHARACTERS = 400;
const PIECE = 65_536;

function change(before: number, now: number): Change {
  const percent = before === now ? 0 : before === 0 ? 100 : ((now - before) / before) * 100;
  return { before, now, percent };
}

/** Compares a run with one that was good. */
export function compare(now: RunFacts, good: RunFacts): Comparison {
  const names = new Set([...Object.keys(good.hypercalls), ...Object.keys(now.hypercalls)]);
  const hypercalls = [...names]
    .map((hypercall) => ({
      hypercall,
      ...change(good.hypercalls[hypercall] ?? 0, now.hypercalls[hypercall] ?? 0),
    }))
    .filter(({ before, now: calls }) => before !== calls)
    .sort(
      (a, b) =>
        Math.abs(b.now - b.before) - Math.abs(a.now - a.before) || (a.hypercall < b.hypercall ? -1 : 1),
    );
  return {
    good: good.id,
    instructions: change(good.instructions, now.instructions),
    guestSeconds: change(good.guestSeconds, now.guestSeconds),
    milestones: MILESTONES.flatMap((milestone) => {
      const before = good.milestones[milestone]?.instructions ?? null;
      const present = now.milestones[milestone]?.instructions ?? null;
      if (before === null && present === null) return [];
      const percent = before === null || present === null ? null : change(before, present).percent;
      const stamps = [good, now].map((run) => run.milestones[milestone]?.kernelSeconds ?? null);
      const [stampBefore = null, stampNow = null] = stamps;
      const kernelSeconds = stampBefore === null || stampNow === null ? null : change(stampBefore, stampNow);
      return [{ milestone, before, now: present, percent, kernelSeconds }];
    }),
    hypercalls: hypercalls.slice(0, HYPERCALLS),
    identical: sameBytes(now.console, good.console),
    console: firstDifference(good.console, now.console),
  };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function* linesOf(console: Uint8Array): Generator<string> {
  const lines = new Lines();
  for (let at = 0; at < console.length; at += PIECE) yield* lines.take(console.subarray(at, at + PIECE));
  if (lines.unfinished !== "") yield lines.unfinished;
}

/** The first line at which two consoles differ, time stamps aside. */
export function firstDifference(before: Uint8Array, now: Uint8Array): LineDifference | null {
  const left = linesOf(before);
  const right = linesOf(now);
  for (let line = 1; ; line++) {
    const a = left.next();
    const b = right.next();
    if (a.done === true && b.done === true) return null;
    const old = a.done === true ? null : textOf(a.value);
    const present = b.done === true ? null : textOf(b.value);
    if (old !== null && present !== null && parsePrintk(old).text === parsePrintk(present).text) continue;
    return {
      line,
      before: old?.slice(0, SHOWN_CHARACTERS) ?? null,
      now: present?.slice(0, SHOWN_CHARACTERS) ?? null,
    };
  }
}

/** What has to be known of a job to find the last known good of another. */
export interface Candidate {
  readonly id: string;
  readonly verdict: Verdict | null;
  readonly labels: Readonly<Record<string, string>>;
  /** ISO 8601 */
  readonly createdAt: string;
}

/** The newest job before `job` that passed and has the same labels; undefined if there is none, or `job` has no labels. */
export function lastKnownGood<T extends Candidate>(job: Candidate, others: readonly T[]): T | undefined {
  const wanted = labelKey(job.labels);
  if (wanted === labelKey({})) return undefined;
  return others
    .filter(({ id, verdict, labels }) => id !== job.id && verdict === "pass" && labelKey(labels) === wanted)
    .filter(({ createdAt }) => createdAt < job.createdAt)
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))[0];
}

/** The same for equal labels. */
export function labelKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
