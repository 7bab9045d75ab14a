import { expect, test } from "vitest";
import type { MachineApi } from "../../engine/machine-api.ts";
import { FIGURE_LIMITS } from "../limits.ts";
import { FigureKeeper, PoolTooSmall } from "./run-figures.ts";

/*
 * The figures of a job beside its guest's: hashes at the first moment at or after every so many instructions however the
 * moments are spread, nothing twice after a restart, sums over machines, and the end of a guest that the pool cannot follow.
 */

interface Fake {
  instructions: number;
  pagesIn: number;
}

function fake(instructions = 0): Fake & MachineApi {
  const machine = {
    instructions,
    pagesIn: 0,
    stateHash: () => `hash ${machine.instructions}`,
    get paging() {
      return {
        poolPages: 512,
        residentPages: 3,
        peakResidentPages: 7,
        pagesIn: machine.pagesIn,
        pagesOut: 2,
        evictions: 1,
        linearMemoryBytes: 100,
      };
    },
  };
  return machine as unknown as Fake & MachineApi;
}

/** The instruction counts of the hashes for moments at these instruction counts. */
function trail(every: number, moments: readonly number[]): number[] {
  const machine = fake();
  const keeper = new FigureKeeper(machine, every, {});
  for (const [index, at] of moments.entries()) {
    machine.instructions = at;
    keeper.moment(index === moments.length - 1);
  }
  return (keeper.figures.stateHashes ?? []).map(({ instructions }) => instructions);
}

test("a hash at the first moment at or after each multiple, and at the end", () => {
  expect(trail(100, [50, 100, 150, 199, 205, 420, 500, 555])).toEqual([100, 205, 420, 500, 555]);
  expect(trail(100, [100, 200, 200])).toEqual([100, 200]);
  expect(trail(1000, [1, 2, 3])).toEqual([3]);
});

test("slices that go no further than untilHash stop at every multiple", () => {
  const machine = fake();
  const keeper = new FigureKeeper(machine, 100, {});
  while (machine.instructions < 1000) {
    machine.instructions += Math.min(70, keeper.untilHash);
    keeper.moment(false);
  }
  const at = keeper.figures.stateHashes?.map(({ instructions }) => instructions);
  expect(at).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
});

test("no hashes unless they are asked for, and no more than the limit", () => {
  const none = new FigureKeeper(fake(), null, {});
  none.moment(true);
  expect(none.untilHash).toBe(Number.POSITIVE_INFINITY);
  expect(none.figures.stateHashes).toBeUndefined();
  const points = trail(
    1,
    Array.from({ length: FIGURE_LIMITS.stateHashes + 10 }, (_, i) => i + 1),
  );
  expect(points).toHaveLength(FIGURE_LIMITS.stateHashes);
});

test("a machine that goes on from a checkpoint keeps the points up to there, and counts on", () => {
  const first = fake();
  first.pagesIn = 5;
  const before = new FigureKeeper(first, 100, {});
  for (const at of [100, 200, 300]) {
    first.instructions = at;
    before.moment(false);
  }
  const again = fake(200);
  again.pagesIn = 4;
  const keeper = new FigureKeeper(again, 100, before.figures);
  expect(keeper.figures.stateHashes?.map(({ instructions }) => instructions)).toEqual([100, 200]);
  expect(keeper.figures.paging).toEqual({
    poolPages: 512,
    peakResidentPages: 7,
    pagesIn: 9,
    pagesOut: 4,
    evictions: 2,
    linearMemoryBytes: 100,
  });
});

test("a guest that does little but fetch pages is ended, with what to do about it", () => {
  const { thrashingPageIns, thrashingInstructions } = FIGURE_LIMITS;
  const machine = fake();
  const keeper = new FigureKeeper(machine, null, {});
  const step = (pages: number, instructions: number) => () => {
    machine.pagesIn += pages;
    machine.instructions += instructions;
    keeper.moment(false);
  };
  expect(step(thrashingPageIns, thrashingPageIns * thrashingInstructions)).not.toThrow();
  expect(step(thrashingPageIns - 1, 1)).not.toThrow();
  expect(step(1, 1)).toThrow(PoolTooSmall);
  expect(step(0, 1)).toThrow(/pool of 2 MiB.*POOL_MIB/);
});
