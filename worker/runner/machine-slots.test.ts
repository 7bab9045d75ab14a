import { describe, expect, test } from "vitest";
import { RUNNER_LIMITS } from "../limits.ts";
import { MachineSlots } from "./machine-slots.ts";

/*
 * Machines are large and an isolate is small, so jobs queue for slots. What must hold: never more holders than slots, first
 * come first served, nobody holds for ever while others wait, and a job that vanished blocks nobody.
 */

const QUANTUM = RUNNER_LIMITS.machineQuantumMilliseconds;
const STALE = RUNNER_LIMITS.machineStaleMilliseconds;

describe("slots", () => {
  test("are given first come, first served", () => {
    const slots = new MachineSlots(1);
    expect(slots.acquire("a", 0)).toBe(0);
    expect([slots.acquire("b", 1), slots.acquire("c", 2), slots.acquire("b", 3)]).toEqual([1, 2, 1]);
    slots.release("a");
    expect([slots.acquire("c", 4), slots.acquire("b", 5), slots.acquire("c", 6)]).toEqual([2, 0, 1]);
  });

  test("are never more than there are, whatever the order of asking", () => {
    const slots = new MachineSlots(3);
    const holding = new Set<string>();
    let seed = 1;
    for (let now = 0; now < 5000; now++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const job = `job ${(seed >>> 8) % 10}`;
      if ((seed >>> 20) % 3 === 0) {
        slots.release(job);
        holding.delete(job);
      } else if (slots.acquire(job, now) === 0) holding.add(job);
      else expect(holding.has(job)).toBe(false);
      expect(holding.size).toBeLessThanOrEqual(3);
    }
  });

  test("are to be given back after a while if others wait, and only then", () => {
    const slots = new MachineSlots(1);
    slots.acquire("a", 0);
    slots.acquire("a", QUANTUM);
    expect(slots.shouldYield("a", QUANTUM)).toBe(false);
    slots.acquire("b", QUANTUM);
    expect(slots.shouldYield("a", QUANTUM)).toBe(true);
    slots.release("a");
    expect(slots.acquire("a", QUANTUM + 1)).toBe(2);
    expect(slots.acquire("b", QUANTUM + 2)).toBe(0);
    expect(slots.shouldYield("b", QUANTUM + 3)).toBe(false);
  });

  test("come back from jobs that are not heard of any more", () => {
    const slots = new MachineSlots(1);
    slots.acquire("gone", 0);
    slots.acquire("waiting and gone", 1);
    expect(slots.acquire("b", STALE)).toBe(2);
    expect(slots.acquire("b", STALE + 2)).toBe(0);
    expect(slots.shouldYield("gone", STALE + 3)).toBe(true);
  });
});
