import type { Paging } from "../../engine/cpu/types.ts";
import type { MachineApi } from "../../engine/machine-api.ts";
import { FIGURE_LIMITS } from "../limits.ts";

/** The state of a machine at one moment: MachineApi.stateHash. */
export interface StatePoint {
  readonly instructions: number;
  readonly hash: string;
}

/** What paging did for a job: sums over all the machines that ran it, but the most of sizes. */
export type PagingFigures = Omit<Paging, "residentPages">;

/** Figures of a job that are not its guest's: they differ with the size of the pool, and no verdict depends on them. */
export interface RunFigures {
  readonly paging: PagingFigures;
  /** Only of a job that asks for them. */
  readonly stateHashes?: readonly StatePoint[];
}

/** The guest touches more memory than the pool can follow: it would run for days. The message says so. */
export class PoolTooSmall extends Error {
  constructor(pageIns: number, instructions: number, poolPages: number) {
    super(
      `The guest needs more of its memory at once than a pool of ${poolPages / PAGES_PER_MIB} MiB holds: ${pageIns} pages had to be ` +
        `fetched in ${instructions} instructions. Give it a smaller working set, or the worker a larger pool (POOL_MIB).`,
    );
  }
}

const PAGES_PER_MIB = 256;

/** Keeps the figures of a job while one machine of it runs. */
export class FigureKeeper {
  readonly #machine: MachineApi;
  readonly #every: number | null;
  readonly #before: PagingFigures | undefined;
  readonly #points: StatePoint[];
  /** Where the pool was last looked at. */
  #looked: { readonly pagesIn: number; readonly instructions: number };

  /** `every`: instructions between two state hashes, null for none. `stored`: the figures as of where the machine begins. */
  constructor(machine: MachineApi, every: number | null, stored: Partial<RunFigures>) {
    this.#machine = machine;
    this.#every = every;
    this.#before = stored.paging;
    this.#looked = { pagesIn: machine.paging.pagesIn, instructions: machine.instructions };
    // A machine that starts over will come to the same points again.
    this.#points = (stored.stateHashes ?? []).filter(
      ({ instructions }) => instructions <= machine.instructions,
    );
  }

  /** Instructions to the next state hash; Infinity if there is none. */
  get untilHash(): number {
    if (this.#every === null || this.#points.length >= FIGURE_LIMITS.stateHashes) {
      return Number.POSITIVE_INFINITY;
    }
    const { instructions } = this.#machine;
    const last = this.#points.at(-1)?.instructions ?? 0;
    return Math.max(1, (Math.floor(last / this.#every) + 1) * this.#every - instructions);
  }

  /**
   * Call at each moment that does not depend on how the run is sliced: takes a state hash if one is due there, or if this
   * is the end.
   *
   * @throws PoolTooSmall
   */
  moment(isEnd: boolean): void {
    this.#lookAtPool();
    if (this.#every === null || this.#points.length >= FIGURE_LIMITS.stateHashes) return;
    const { instructions } = this.#machine;
    const last = this.#points.at(-1)?.instructions ?? 0;
    const isDue = Math.floor(instructions / this.#every) > Math.floor(last / this.#every);
    if (isDue || (isEnd && instructions > last))
      this.#points.push({ instructions, hash: this.#machine.stateHash() });
  }

  #lookAtPool(): void {
    const { thrashingPageIns, thrashingInstructions } = FIGURE_LIMITS;
    const { pagesIn, poolPages } = this.#machine.paging;
    const fetched = pagesIn - this.#looked.pagesIn;
    if (fetched < thrashingPageIns) return;
    const { instructions } = this.#machine;
    const executed = instructions - this.#looked.instructions;
    if (executed < fetched * thrashingInstructions) throw new PoolTooSmall(fetched, executed, poolPages);
    this.#looked = { pagesIn, instructions };
  }

  get figures(): RunFigures {
    const now = this.#machine.paging;
    const before = this.#before;
    const paging = {
      poolPages: now.poolPages,
      peakResidentPages: Math.max(now.peakResidentPages, before?.peakResidentPages ?? 0),
      pagesIn: now.pagesIn + (before?.pagesIn ?? 0),
      pagesOut: now.pagesOut + (before?.pagesOut ?? 0),
      evictions: now.evictions + (before?.evictions ?? 0),
      linearMemoryBytes: Math.max(now.linearMemoryBytes, before?.linearMemoryBytes ?? 0),
    };
    return { paging, ...(this.#every === null ? {} : { stateHashes: [...this.#points] }) };
  }
}
