import type { ConsoleComparison, LineDifference } from "./consoles.ts";
import { MILESTONES, type Milestone, type Milestones } from "./milestones.ts";

/** What is compared of a run. */
export interface RunFacts {
  readonly id: string;
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly milestones: Milestones;
  /** Calls by hypercall, sub-operations joined with ": ". */
  readonly hypercalls: Readonly<Record<string, number>>;
}

/** A number of this run and of the one it is compared with. */
export interface Change {
  readonly before: number;
  readonly now: number;
  /** (now - before) / before, in percent; 0 if both are 0, Infinity is never used: 100 stands for "from nothing". */
  readonly percent: number;
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
  /** Not a byte of the console differs. */
  readonly identical: boolean;
  /** The first line that differs in more than what is ignored; null if none does. */
  readonly console: LineDifference | null;
}

/** Hypercalls listed in a comparison. */
const HYPERCALLS = 50;

function change(before: number, now: number): Change {
  const percent = before === now ? 0 : before === 0 ? 100 : ((now - before) / before) * 100;
  return { before, now, percent };
}

/** Compares a run with one that was good; `consoles` is what compareConsoles says of the two. */
export function compare(now: RunFacts, good: RunFacts, consoles: ConsoleComparison): Comparison {
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
    identical: consoles.identical,
    console: consoles.difference,
  };
}

/** Labels that say which commit or build a run was of. What is compared are runs of different ones. */
const OF_ONE_BUILD: ReadonlySet<string> = new Set(["git_commit_hash", "kcidb_build_id"]);

/** The same for equal labels, those of one build aside; undefined if there are no others: such jobs have nothing in common. */
export function labelKey(labels: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(labels).filter(([name]) => !OF_ONE_BUILD.has(name));
  return entries.length === 0 ? undefined : JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
