import { Lines, textOf } from "./lines.ts";
import { Pattern } from "./pattern/match.ts";
import type { JobConfig, Step } from "./spec.ts";

/** Where a run is. */
interface Clock {
  readonly instructions: number;
  readonly guestNanoseconds: number;
}

/** Text that was typed, and the instruction count at which the guest got it. */
export interface TypedInput {
  readonly instructions: number;
  readonly send: string;
}

/** A step that is over, and the instruction count of the moment at which that was known. */
export interface StepDone {
  readonly wait: string | null;
  readonly send: string | null;
  readonly instructions: number;
}

/** The step that a run stands at. `index` counts from 0. */
export interface StepWaiting {
  readonly index: number;
  readonly wait: string;
}

/** All an input script remembers, as JSON. */
export interface InputState {
  /** When the steps so far were over. */
  readonly doneAt: readonly Clock[];
  /** Steps that have seen what they waited for, with nothing to type; the next check says when. */
  readonly seen: number;
  /** The next step is to be typed now. */
  readonly due: boolean;
  readonly line: string;
}

const NANOSECONDS = 1e9;

/**
 * Goes through a job's steps in their order: each waits until its pattern is on a line printed since the step before was over,
 * then types its text; a step without a pattern follows at once, one without a text is over when its line is there. One line
 * ends one step at most. Lines are what they are for verdicts, and they are looked at at the same moments, so the
 * instruction at which a step is typed depends on the guest alone.
 */
export class InputScript {
  readonly #steps: readonly Step[];
  readonly #patterns: readonly (Pattern | undefined)[];
  readonly #start: Clock;
  readonly #doneAt: Clock[];
  #seen: number;
  readonly #lines: Lines;
  #due: boolean;

  /**
   * `start`: where the run begins, which the first step's limit counts from. `line`: what is on the guest's unfinished line
   * then; it counts for the first step.
   */
  constructor(steps: readonly Step[], start: Clock, saved?: InputState, line = "") {
    this.#steps = steps;
    this.#patterns = steps.map(({ wait }) => (wait === undefined ? undefined : new Pattern(wait)));
    this.#start = start;
    this.#doneAt = [...(saved?.doneAt ?? [])];
    this.#seen = saved?.seen ?? 0;
    this.#lines = new Lines(saved?.line ?? line);
    this.#due = saved?.due ?? false;
    if (saved === undefined) this.#look();
  }

  save(): InputState {
    return { doneAt: this.#doneAt, seen: this.#seen, due: this.#due, line: this.#lines.unfinished };
  }

  /** Steps that are over, in order. */
  get done(): readonly StepDone[] {
    return this.#doneAt.map(({ instructions }, index) => {
      const { wait = null, send = null } = this.#steps[index] ?? {};
      return { wait, send, instructions };
    });
  }

  /** What was typed so far. */
  get typed(): readonly TypedInput[] {
    return this.done.flatMap(({ send, instructions }) => (send === null ? [] : [{ instructions, send }]));
  }

  /** Whether `take` has anything to give. */
  get isDue(): boolean {
    return this.#due;
  }

  /** The step that is not over yet; undefined if all are. */
  get waiting(): StepWaiting | undefined {
    const step = this.#next();
    return step === undefined ? undefined : { index: this.#index, wait: step.wait ?? "" };
  }

  /** For people: the step that never came to its end; undefined if all did. */
  get waitingFor(): string | undefined {
    const { waiting } = this;
    if (waiting === undefined) return undefined;
    return `step ${waiting.index + 1} of ${this.#steps.length} waited for /${waiting.wait}/`;
  }

  /** For people: the limit that the present step has exceeded at `now`, with the name of its field. */
  exceeded(now: Clock): string | undefined {
    const limit = this.#next()?.limit;
    if (limit === undefined || this.#due) return undefined;
    const since = this.#doneAt.at(-1) ?? this.#start;
    const field = `expect.steps[${this.#index}].limit`;
    const { guestSeconds, instructions } = limit;
    const seconds = (now.guestNanoseconds - since.guestNanoseconds) / NANOSECONDS;
    if (guestSeconds !== undefined && seconds >= guestSeconds)
      return `${guestSeconds} guest second${guestSeconds === 1 ? "" : "s"} (${field}.guestSeconds)`;
    if (instructions !== undefined && now.instructions - since.instructions >= instructions)
      return `${instructions.toLocaleString("en-US")} instructions (${field}.instructions)`;
    return undefined;
  }

  output(bytes: Uint8Array): void {
    for (const line of this.#lines.take(bytes)) this.#match(line);
  }

  /** A moment at which the console is judged. `atRest`: the guest will print no more unless something is typed. */
  check(now: Clock, atRest = false): void {
    const printed = this.#lines.check();
    if (!printed || atRest) this.#look();
    this.#settle(now);
    this.#unconditional();
  }

  /** What is to be typed now; the steps count as done. */
  take(now: Clock): string[] {
    const texts: string[] = [];
    for (let step = this.#next(); this.#due && step !== undefined; step = this.#next()) {
      this.#settle(now);
      texts.push(step.send ?? "");
      this.#doneAt.push(now);
      this.#due = false;
      this.#lines.clear();
      this.#unconditional();
    }
    return texts;
  }

  /** The present step's. */
  get #index(): number {
    return this.#doneAt.length + this.#seen;
  }

  #next(): Step | undefined {
    return this.#steps[this.#index];
  }

  /** Steps that have seen their line are over now. */
  #settle(now: Clock): void {
    for (; this.#seen > 0; this.#seen--) this.#doneAt.push(now);
  }

  #unconditional(): void {
    const step = this.#next();
    if (step !== undefined && step.wait === undefined) this.#due = true;
  }

  /** The line that has no end yet stands still. */
  #look(): void {
    const { unfinished } = this.#lines;
    if (unfinished !== "" && this.#match(unfinished)) this.#lines.clear();
    this.#unconditional();
  }

  /** Whether the line is what the present step waits for, and nothing is left of that step to do. */
  #match(line: string): boolean {
    if (this.#due || this.#patterns[this.#index]?.test(textOf(line)) !== true) return false;
    if (this.#next()?.send !== undefined) {
      this.#due = true;
      return false;
    }
    this.#seen++;
    this.#unconditional();
    return true;
  }
}

/** Patterns of what a run is to say, in order or not: a complaint of the kernel's that one of them matches was asked for. */
export function expectedPatterns({ pass, steps }: JobConfig["expect"]): readonly string[] {
  // Jobs of an older version have no steps.
  return [...pass, ...(steps ?? []).flatMap(({ wait }) => (wait === undefined ? [] : [wait]))];
}
