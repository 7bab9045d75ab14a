import { parsePrintk } from "../console/printk.ts";
import { Lines, textOf } from "../lines.ts";

/** Points that every Linux passes on its way up, in order, and the end of the way. */
export const MILESTONES = ["linux-version", "memory", "initcalls-done", "init", "pass"] as const;
export type Milestone = (typeof MILESTONES)[number];

/** Where a run is. */
interface Clock {
  readonly instructions: number;
  readonly guestNanoseconds: number;
}

/** When a milestone was seen: at the first moment of judging after its line. */
export interface MilestoneTime extends Clock {
  /**
   * The line's own time stamp. Until a kernel has its console it keeps what it says to itself, so that the first lines all come
   * at once; their stamps say when they were written.
   */
  readonly kernelSeconds: number | null;
}

export type Milestones = Readonly<Partial<Record<Milestone, MilestoneTime>>>;

interface SeenMilestone {
  readonly milestone: Milestone;
  readonly kernelSeconds: number | null;
}

export interface MilestoneState {
  readonly times: Milestones;
  readonly seen: readonly SeenMilestone[];
  readonly line: string;
}

/** The kernel's words: init/main.c, mm/page_alloc.c (mem_init_print_info), arch/x86/mm/init.c (free_init_pages). */
const WORDS: readonly (readonly [Milestone, RegExp])[] = [
  ["linux-version", /^Linux version /],
  ["memory", /^Memory: \d{1,12}[kK]\/\d{1,12}[kK] available/],
  ["initcalls-done", /^Freeing unused kernel (?:image|memory)/],
  ["init", /^Run \S{1,256} as init process/],
];

/** Notes when a kernel passes its milestones. As exact as the moments at which `check` is called, and as repeatable. */
export class MilestoneTracker {
  readonly #times: Partial<Record<Milestone, MilestoneTime>>;
  #seen: SeenMilestone[];
  readonly #lines: Lines;

  constructor(saved?: MilestoneState) {
    this.#times = { ...saved?.times };
    this.#seen = [...(saved?.seen ?? [])];
    this.#lines = new Lines(saved?.line);
  }

  save(): MilestoneState {
    return { times: this.#times, seen: this.#seen, line: this.#lines.unfinished };
  }

  get times(): Milestones {
    return this.#times;
  }

  output(bytes: Uint8Array): void {
    for (const line of this.#lines.take(bytes)) {
      const { text, time } = parsePrintk(textOf(line));
      for (const [milestone, words] of WORDS) if (words.test(text)) this.mark(milestone, time);
    }
  }

  /** What was asked for has been seen, or a milestone is known from elsewhere; its time is that of the next check. */
  mark(milestone: Milestone, kernelSeconds: number | null = null): void {
    if (this.#times[milestone] !== undefined || this.#seen.some((seen) => seen.milestone === milestone))
      return;
    this.#seen.push({ milestone, kernelSeconds });
  }

  check({ instructions, guestNanoseconds }: Clock): void {
    for (const { milestone, kernelSeconds } of this.#seen)
      this.#times[milestone] = { instructions, guestNanoseconds, kernelSeconds };
    this.#seen = [];
  }
}
