import { RUNNER_LIMITS } from "../limits.ts";

/**
 * How many instructions to run before letting other events in. Where the clock stands still during computing (it does in
 * production) the size never changes; nothing the guest sees depends on it either way.
 */
export class Pace {
  #instructions: number = RUNNER_LIMITS.sliceInstructions;

  get instructions(): number {
    return this.#instructions;
  }

  /** The last slice ran this many instructions in this many milliseconds of the local clock. */
  took(instructions: number, milliseconds: number): void {
    if (milliseconds <= 0 || instructions <= 0) return;
    const wanted = (instructions / milliseconds) * RUNNER_LIMITS.sliceMilliseconds;
    // Half way each time: one slow slice, such as one that paged a lot, says little about the next.
    const next = (this.#instructions + wanted) / 2;
    this.#instructions = Math.min(
      RUNNER_LIMITS.maxSliceInstructions,
      Math.max(RUNNER_LIMITS.minSliceInstructions, Math.round(next)),
    );
  }
}
