/** Page-ins that a pool of `frames` needs for a row of references, by policy. */
export interface PolicyCounts {
  readonly fifo: number;
  readonly secondChance: number;
  readonly leastRecentlyUsed: number;
  /** Belady's: the page whose next use is furthest away goes. Nothing can do better, and nothing can know. */
  readonly best: number;
}

/** Replays references under four policies of replacement. */
export function simulatePolicies(references: readonly number[], frames: number): PolicyCounts {
  return {
    fifo: firstInFirstOut(references, frames),
    secondChance: secondChance(references, frames),
    leastRecentlyUsed: leastRecentlyUsed(references, frames),
    best: best(references, frames),
  };
}

function firstInFirstOut(references: readonly number[], frames: number): number {
  const resident = new Set<number>();
  let misses = 0;
  for (const page of references) {
    if (resident.has(page)) continue;
    misses++;
    if (resident.size === frames) resident.delete(resident.values().next().value!);
    resident.add(page);
  }
  return misses;
}

function leastRecentlyUsed(references: readonly number[], frames: number): number {
  const resident = new Set<number>();
  let misses = 0;
  for (const page of references) {
    if (!resident.delete(page)) {
      misses++;
      if (resident.size === frames) resident.delete(resident.values().next().value!);
    }
    resident.add(page);
  }
  return misses;
}

function secondChance(references: readonly number[], frames: number): number {
  const owner: number[] = [];
  const referenced: boolean[] = [];
  const frameOf = new Map<number, number>();
  let hand = 0;
  let misses = 0;
  for (const page of references) {
    let frame = frameOf.get(page);
    if (frame === undefined) {
      misses++;
      if (owner.length < frames) frame = owner.length;
      else {
        while (referenced[hand]) {
          referenced[hand] = false;
          hand = (hand + 1) % frames;
        }
        frame = hand;
        hand = (hand + 1) % frames;
        frameOf.delete(owner[frame]!);
      }
      owner[frame] = page;
      frameOf.set(page, frame);
    }
    referenced[frame] = true;
  }
  return misses;
}

function best(references: readonly number[], frames: number): number {
  /** For each reference, the position of the next one to the same page. */
  const next = new Array<number>(references.length);
  const seen = new Map<number, number>();
  for (let i = references.length - 1; i >= 0; i--) {
    next[i] = seen.get(references[i]!) ?? Number.POSITIVE_INFINITY;
    seen.set(references[i]!, i);
  }
  const nextUse = new Map<number, number>();
  let misses = 0;
  for (const [i, page] of references.entries()) {
    if (!nextUse.has(page)) {
      misses++;
      if (nextUse.size === frames) nextUse.delete(furthest(nextUse));
    }
    nextUse.set(page, next[i]!);
  }
  return misses;
}

function furthest(nextUse: ReadonlyMap<number, number>): number {
  let page = -1;
  let most = -1;
  for (const [candidate, use] of nextUse) {
    if (use <= most) continue;
    page = candidate;
    most = use;
    if (use === Number.POSITIVE_INFINITY) break;
  }
  return page;
}
