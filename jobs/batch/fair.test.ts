import { expect, test } from "vitest";
import { type FairLimits, nextToServe, type WaitingWork } from "./fair.ts";

/*
 * Who is served next. A day of a small cluster is played: owners with many jobs and with one, all jobs as long as each other,
 * and what is looked at is when each owner's jobs start.
 */

interface Load {
  readonly owner: string;
  readonly jobs: number;
  readonly from?: number;
  readonly most?: number;
  readonly ownerMost?: number;
}

/** Plays the loads, each a batch; a job lasts `length` ticks. When each job of each batch was started. */
function play(loads: readonly Load[], limits: FairLimits, length: number): number[][] {
  const state = loads.map((load, index) => ({ ...load, index, started: [] as number[], served: 0 }));
  const ownerServed = new Map<string, number>();
  let running: { readonly batch: number; readonly owner: string; readonly end: number }[] = [];
  let clock = 0;
  for (let tick = 0; state.some(({ started, jobs }) => started.length < jobs); tick++) {
    running = running.filter(({ end }) => end > tick);
    for (;;) {
      const byOwner = new Map<string, number>();
      for (const { owner } of running) byOwner.set(owner, (byOwner.get(owner) ?? 0) + 1);
      const waiting = state
        .filter(({ from = 0, started, jobs }) => from <= tick && started.length < jobs)
        .map(
          ({ index, owner, served, most = 1000, ownerMost = null }): WaitingWork => ({
            batch: String(index),
            owner,
            running: running.filter(({ batch }) => batch === index).length,
            most,
            ownerMost,
            served,
            ownerServed: ownerServed.get(owner) ?? 0,
          }),
        );
      const next = nextToServe(waiting, byOwner, limits);
      if (next === undefined) break;
      const served = state[Number(next.batch)]!;
      served.started.push(tick);
      served.served = ++clock;
      ownerServed.set(next.owner, clock);
      running.push({ batch: served.index, owner: next.owner, end: tick + length });
    }
    expect(running.length).toBeLessThanOrEqual(limits.concurrent + limits.reserve);
    if (tick > 100_000) throw new Error("never ends");
  }
  return state.map(({ started }) => started);
}

test("a thousand waiting jobs do not delay another owner's single one, though none of them ends soon", () => {
  const limits = { concurrent: 4, reserve: 4 };
  const [many, single] = play(
    [
      { owner: "a", jobs: 1000 },
      { owner: "b", jobs: 1, from: 3 },
    ],
    limits,
    50,
  );
  expect(single).toEqual([3]);
  // And the reserve is not for those who have something running already.
  expect(many?.filter((tick) => tick === 0)).toHaveLength(4);
});

test("owners share what there is, whoever came first and in however many batches", () => {
  const limits = { concurrent: 6, reserve: 0 };
  const [first, second, third] = play(
    [
      { owner: "a", jobs: 300 },
      { owner: "a", jobs: 300 },
      { owner: "b", jobs: 300, from: 10 },
    ],
    limits,
    1,
  );
  const until = 100;
  const count = (starts: readonly number[] | undefined) =>
    starts?.filter((tick) => tick >= 20 && tick < until).length;
  expect(count(third)).toBe(80 * 3);
  expect([count(first), count(second)]).toEqual([120, 120]);
});

test("a batch's own bound and an owner's hold", () => {
  const limits = { concurrent: 10, reserve: 2 };
  const [bounded, other, owned] = play(
    [
      { owner: "a", jobs: 10, most: 2 },
      { owner: "a", jobs: 10 },
      { owner: "b", jobs: 10, ownerMost: 3 },
    ],
    limits,
    10,
  );
  expect(bounded?.filter((tick) => tick === 0)).toHaveLength(2);
  expect(other?.filter((tick) => tick === 0)).toHaveLength(5);
  expect(owned?.filter((tick) => tick === 0)).toHaveLength(3);
});

test("nothing starts when all is taken, or nothing waits", () => {
  const work: WaitingWork = {
    batch: "x",
    owner: "a",
    running: 0,
    most: 1,
    ownerMost: null,
    served: 0,
    ownerServed: 0,
  };
  expect(nextToServe([], new Map(), { concurrent: 1, reserve: 0 })).toBeUndefined();
  expect(nextToServe([work], new Map([["b", 1]]), { concurrent: 1, reserve: 0 })).toBeUndefined();
  expect(nextToServe([work], new Map([["b", 1]]), { concurrent: 1, reserve: 1 })).toBe(work);
  expect(nextToServe([work], new Map([["b", 2]]), { concurrent: 1, reserve: 1 })).toBeUndefined();
});
