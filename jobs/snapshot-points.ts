import { Lines, textOf } from "./lines.ts";
import { Pattern } from "./pattern/match.ts";
import { AT_END, type SnapshotPoint } from "./spec.ts";

/** All that is remembered, as JSON. */
export interface SnapshotPointsState {
  /** Points reached, in the order of the configuration, and whether their snapshot is kept already. */
  readonly reached: readonly boolean[];
  readonly kept: readonly boolean[];
  readonly line: string;
}

/**
 * When a job is to make snapshots of itself: at the first moment of judging at which a pattern has been seen or an
 * instruction count has been reached, so that they are made at the same instruction each time.
 */
export class SnapshotPoints {
  readonly #points: readonly SnapshotPoint[];
  readonly #patterns: readonly (Pattern | undefined)[];
  readonly #reached: boolean[];
  readonly #kept: boolean[];
  readonly #lines: Lines;

  constructor(points: readonly SnapshotPoint[], saved?: SnapshotPointsState) {
    this.#points = points;
    this.#patterns = points.map(({ at }) =>
      typeof at === "string" && at !== AT_END ? new Pattern(at) : undefined,
    );
    this.#reached = points.map((_, index) => saved?.reached[index] ?? false);
    this.#kept = points.map((_, index) => saved?.kept[index] ?? false);
    this.#lines = new Lines(saved?.line);
  }

  save(): SnapshotPointsState {
    return { reached: this.#reached, kept: this.#kept, line: this.#lines.unfinished };
  }

  output(bytes: Uint8Array): void {
    if (this.#points.length === 0) return;
    for (const line of this.#lines.take(bytes)) this.#look(line);
  }

  /** A moment at which the console is judged. `atRest`: the guest will print no more by itself. */
  check(instructions: number, atRest = false): void {
    const printed = this.#lines.check();
    if ((!printed || atRest) && this.#lines.unfinished !== "") this.#look(this.#lines.unfinished);
    for (const [index, { at }] of this.#points.entries()) {
      if (typeof at === "number" && instructions >= at) this.#reached[index] = true;
    }
  }

  /** The run is over. */
  end(): void {
    for (const [index, { at }] of this.#points.entries()) if (at === AT_END) this.#reached[index] = true;
  }

  /** Names of the snapshots to be made now. */
  get due(): readonly string[] {
    return this.#points
      .filter((_, index) => this.#reached[index] === true && this.#kept[index] === false)
      .map(({ name }) => name);
  }

  /** The snapshot of this name was made, or cannot be made. */
  settle(name: string): void {
    for (const [index, point] of this.#points.entries()) if (point.name === name) this.#kept[index] = true;
  }

  #look(line: string): void {
    const text = textOf(line);
    for (const [index, pattern] of this.#patterns.entries()) {
      if (pattern?.test(text) === true) this.#reached[index] = true;
    }
  }
}
