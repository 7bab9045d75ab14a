import { Lines, textOf } from "./lines.ts";
import { Pattern } from "./pattern/match.ts";
import type { InputStep } from "./spec.ts";

/** A step that was typed, and the instruction count at which the guest got it. */
export interface TypedInput {
  readonly instructions: number;
  readonly send: string;
}

/** All an input script remembers, as JSON. */
export interface InputState {
  /** Instruction counts at which the steps so far were typed. */
  readonly typedAt: readonly number[];
  /** The next step is to be typed now. */
  readonly due: boolean;
  readonly line: string;
}

/**
 * Types a job's input. A step waits until its pattern is on a line printed after the step before it was typed; a step
 * without a pattern follows at once. Lines are what they are for verdicts, and they are looked at at the same moments, so the
 * instruction at which a step is typed depends on the guest alone.
 */
export class InputScript {
  readonly #steps: readonly InputStep[];
  readonly #patterns: readonly (Pattern | undefined)[];
  readonly #typedAt: number[];
  readonly #lines: Lines;
  #due: boolean;

  /** `line`: what is on the guest's unfinished line at the start; it counts for the first step. */
  constructor(steps: readonly InputStep[], saved?: InputState, line = "") {
    this.#steps = steps;
    this.#patterns = steps.map(({ expect }) => (expect === undefined ? undefined : new Pattern(expect)));
    this.#typedAt = [...(saved?.typedAt ?? [])];
    this.#lines = new Lines(saved?.line ?? line);
    this.#due = saved?.due ?? false;
    if (saved === undefined) this.check();
  }

  save(): InputState {
    return { typedAt: this.#typedAt, due: this.#due, line: this.#lines.unfinished };
  }

  /** Steps typed so far. */
  get typed(): readonly TypedInput[] {
    return this.#typedAt.map((instructions, index) => ({
      instructions,
      send: this.#steps[index]?.send ?? "",
    }));
  }

  /** Whether `take` has anything to give. */
  get isDue(): boolean {
    return this.#due;
  }

  /** For people: the step that was not typed, because its pattern never came; undefined if all were. */
  get waitingFor(): string | undefined {
    const index = this.#typedAt.length;
    const step = this.#steps[index];
    if (step === undefined) return undefined;
    return `input step ${index + 1} of ${this.#steps.length} waited for /${step.expect ?? ""}/`;
  }

  output(bytes: Uint8Array): void {
    for (const line of this.#lines.take(bytes)) this.#look(line);
  }

  /** A moment at which the console is judged. `atRest`: the guest will print no more unless something is typed. */
  check(atRest = false): void {
    const printed = this.#lines.check();
    if ((!printed || atRest) && this.#lines.unfinished !== "") this.#look(this.#lines.unfinished);
    this.#unconditional();
  }

  /** What is to be typed now, at `instructions`; the steps count as typed. */
  take(instructions: number): string[] {
    const texts: string[] = [];
    for (let step = this.#next(); this.#due && step !== undefined; step = this.#next()) {
      texts.push(step.send);
      this.#typedAt.push(instructions);
      this.#due = false;
      this.#lines.clear();
      this.#unconditional();
    }
    return texts;
  }

  #next(): InputStep | undefined {
    return this.#steps[this.#typedAt.length];
  }

  #unconditional(): void {
    const step = this.#next();
    if (step !== undefined && step.expect === undefined) this.#due = true;
  }

  #look(line: string): void {
    if (!this.#due && this.#patterns[this.#typedAt.length]?.test(textOf(line)) === true) this.#due = true;
  }
}
