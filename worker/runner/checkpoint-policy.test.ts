import { describe, expect, test } from "vitest";
import { CHECKPOINT_LIMITS } from "../limits.ts";
import { type CheckpointCircumstances, checkpointInterval, isCheckpointDue } from "./checkpoint-policy.ts";

/*
 * When checkpoints are written. The judge is a simulation: processes that live for an exponentially distributed time run a
 * job with a fixed cost a checkpoint, and what is wasted (written, and run again) is added up. The interval that is chosen
 * has to waste little more than the best of all intervals.
 */

const NEW: CheckpointCircumstances = {
  millisecondsSince: 0,
  dirtyPages: 4000,
  pagesWritten: 0,
  milliseconds: 0,
  runMilliseconds: 0,
  interruptions: 0,
};

/** Share of the time that is wasted if a checkpoint of `cost` is written every `interval` and processes live `life` on average. */
function waste(interval: number, cost: number, life: number): number {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed + 1) / (2 ** 32 + 1);
  };
  let wasted = 0;
  let useful = 0;
  let death = -Math.log(random()) * life;
  for (let rounds = 0; rounds < 100_000; rounds++) {
    if (death < interval + cost) {
      wasted += death;
      death = -Math.log(random()) * life;
      continue;
    }
    death -= interval + cost;
    wasted += cost;
    useful += interval;
  }
  return wasted / (wasted + useful);
}

describe("the interval", () => {
  test.each([
    [1_000, 300_000, 0],
    [4_000, 300_000, 0],
    [4_000, 300_000, 20],
    [400, 600_000, 5],
  ])(
    "wastes hardly more than the best one: %i pages, %i ms run, %i kills",
    (dirtyPages, runMilliseconds, interruptions) => {
      const microseconds = CHECKPOINT_LIMITS.microsecondsPerPage;
      const circumstances = { ...NEW, dirtyPages, runMilliseconds, interruptions };
      const cost = CHECKPOINT_LIMITS.baseMilliseconds + (dirtyPages * microseconds) / 1000;
      const life = (CHECKPOINT_LIMITS.lifeMilliseconds + runMilliseconds) / (1 + interruptions);
      const chosen = waste(checkpointInterval(circumstances), cost, life);
      const best = Math.min(...Array.from({ length: 60 }, (_, i) => waste(500 * 1.08 ** i, cost, life)));
      expect(chosen).toBeLessThan(best * 1.1);
      expect(chosen).toBeGreaterThan(0);
    },
  );

  test("grows with the pages to write, as the square root", () => {
    const one = checkpointInterval({ ...NEW, dirtyPages: 2_000 });
    const four = checkpointInterval({ ...NEW, dirtyPages: 8_000 });
    expect(four / one).toBeGreaterThan(1.9);
    expect(four / one).toBeLessThan(2.1);
  });

  test("follows what checkpoints were measured to cost", () => {
    const slowDisk = { ...NEW, pagesWritten: 20_000, milliseconds: 20_000 * 0.18 };
    expect(checkpointInterval(slowDisk) / checkpointInterval(NEW)).toBeGreaterThan(1.7);
  });

  test("a clock that stands still while rows are written does not make checkpoints free", () => {
    const frozen = { ...NEW, pagesWritten: 1_000_000, milliseconds: 0 };
    expect(checkpointInterval(frozen)).toBeGreaterThan(CHECKPOINT_LIMITS.minMilliseconds);
  });

  test("keeps writing below 5 % of the time, up to the most that a pool of 64 MiB can have dirty", () => {
    for (let dirtyPages = 0; dirtyPages <= 16_384; dirtyPages += 128) {
      const cost =
        CHECKPOINT_LIMITS.baseMilliseconds + (dirtyPages * CHECKPOINT_LIMITS.microsecondsPerPage) / 1000;
      const interval = checkpointInterval({ ...NEW, dirtyPages });
      expect(cost / (cost + interval)).toBeLessThan(0.05);
    }
  });

  test("stays within its bounds", () => {
    expect(checkpointInterval({ ...NEW, dirtyPages: 0, interruptions: 1000 })).toBe(
      CHECKPOINT_LIMITS.minMilliseconds,
    );
    expect(checkpointInterval({ ...NEW, dirtyPages: 10 ** 6 })).toBe(CHECKPOINT_LIMITS.maxMilliseconds);
  });

  test("is over when it has passed", () => {
    const interval = checkpointInterval(NEW);
    expect(isCheckpointDue({ ...NEW, millisecondsSince: interval - 1 })).toBe(false);
    expect(isCheckpointDue({ ...NEW, millisecondsSince: interval })).toBe(true);
  });
});
