/** Work of one batch that waits to be started. */
export interface WaitingWork {
  readonly batch: string;
  /** Whose it is. */
  readonly owner: string;
  /** Jobs of this batch that run, and how many may. */
  readonly running: number;
  readonly most: number;
  /** How many of its owner's batch jobs may run; null for no such bound. */
  readonly ownerMost: number | null;
  /** When this batch was last served, and when its owner was: a count that only grows; 0 for never. */
  readonly served: number;
  readonly ownerServed: number;
}

/** Bounds of everything that runs. */
export interface FairLimits {
  /** Jobs that run at the same time, of all owners. */
  readonly concurrent: number;
  /** Further ones, for owners of whose jobs none runs: whoever has a thousand does not keep another's single one waiting. */
  readonly reserve: number;
}

/**
 * Which batch's next job starts now: that of the owner with the fewest running, of equals the one served longest ago, and of
 * that owner's batches again the one served longest ago. Undefined if nothing may start.
 *
 * @param running jobs that run, by owner; batches without waiting work included
 */
export function nextToServe(
  waiting: readonly WaitingWork[],
  running: ReadonlyMap<string, number>,
  { concurrent, reserve }: FairLimits,
): WaitingWork | undefined {
  const total = [...running.values()].reduce((sum, count) => sum + count, 0);
  if (total >= concurrent + reserve) return undefined;
  let best: WaitingWork | undefined;
  for (const work of waiting) {
    const mine = running.get(work.owner) ?? 0;
    if (total >= concurrent && mine > 0) continue;
    if (work.running >= work.most || (work.ownerMost !== null && mine >= work.ownerMost)) continue;
    if (best === undefined || isBefore(work, best, running)) best = work;
  }
  return best;
}

function isBefore(a: WaitingWork, b: WaitingWork, running: ReadonlyMap<string, number>): boolean {
  const fewer = (running.get(a.owner) ?? 0) - (running.get(b.owner) ?? 0);
  if (fewer !== 0) return fewer < 0;
  if (a.ownerServed !== b.ownerServed) return a.ownerServed < b.ownerServed;
  return a.served < b.served;
}
