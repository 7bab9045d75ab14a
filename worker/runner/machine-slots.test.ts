import { describe, expect, test } from "vitest";
import { RUNNER_LIMITS } from "../limits.ts";
import { MachineSlots } from "./machine-slots.ts";

/*
 * Machines are large and an isolate is small, so jobs queue for slots. What must hold: never more holders than slots, first
 * come first served, nobody holds for ever while others wait, and a job that vanished blocks nobody.
 */

const QUANTUM = RUNNER_LIMITS.machineQuantumMilliseconds;
const OBJECT = {};
const STALE = RUNNER_LIMITS.machineStaleMilliseconds;

describe("slots", () => {
  test("are given first come, first served", () => {
    const slots = new MachineSlots(1);
    expect(slots.acquire("a", OBJECT, 0)).toBe(0);
    expect([
      slots.acquire("b", OBJECT, 1),
      slots.acquire("c", OBJECT, 2),
      slots.acquire("b", OBJECT, 3),
    ]).toEqual([1, 2, 1]);
    slots.release("a", OBJECT);
    expect([
      slots.acquire("c", OBJECT, 4),
      slots.acquire("b", OBJECT, 5),
      slots.acquire("c", OBJECT, 6),
    ]).toEqual([2, 0, 1]);
  });

  test("are never more than there are, whatever the order of asking", () => {
    const slots = new MachineSlots(3);
    const holding = new Set<string>();
    let seed = 1;
    for (let now = 0; now < 5000; now++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const job = `job ${(seed >>> 8) % 10}`;
      if ((seed >>> 20) % 3 === 0) {
        slots.release(job, OBJECT);
        holding.delete(job);
      } else if (slots.acquire(job, OBJECT, now) === 0) holding.add(job);
      else expect(holding.has(job)).toBe(false);
      expect(holding.size).toBeLessThanOrEqual(3);
    }
  });

  test("are to be given back after a while if others wait, and only then", () => {
    const slots = new MachineSlots(1);
    slots.acquire("a", OBJECT, 0);
    slots.acquire("a", OBJECT, QUANTUM);
    expect(slots.shouldYield("a", OBJECT, QUANTUM)).toBe(false);
    slots.acquire("b", OBJECT, QUANTUM);
    expect(slots.shouldYield("a", OBJECT, QUANTUM)).toBe(true);
    slots.release("a", OBJECT);
    expect(slots.acquire("a", OBJECT, QUANTUM + 1)).toBe(2);
    expect(slots.acquire("b", OBJECT, QUANTUM + 2)).toBe(0);
    expect(slots.shouldYield("b", OBJECT, QUANTUM + 3)).toBe(false);
  });

  test("come back from jobs that are not heard of any more", () => {
    const slots = new MachineSlots(1);
    slots.acquire("gone", OBJECT, 0);
    slots.acquire("waiting and gone", OBJECT, 1);
    expect(slots.acquire("b", OBJECT, STALE)).toBe(2);
    expect(slots.acquire("b", OBJECT, STALE + 2)).toBe(0);
    expect(slots.shouldYield("gone", OBJECT, STALE + 3)).toBe(true);
  });

  test("stay with a job that runs for long without asking again", () => {
    const slots = new MachineSlots(1);
    slots.acquire("a", OBJECT, 0);
    for (let now = 0; now < 3 * STALE; now += 1000) {
      slots.shouldYield("a", OBJECT, now);
      expect(slots.acquire("b", OBJECT, now)).toBe(1);
    }
  });

  test("pass to a job's new object; the old one cannot give them away", () => {
    const slots = new MachineSlots(1);
    const renewed = {};
    slots.acquire("a", OBJECT, 0);
    expect(slots.acquire("a", renewed, 1)).toBe(0);
    expect(slots.shouldYield("a", OBJECT, 2)).toBe(true);
    slots.release("a", OBJECT);
    expect(slots.acquire("b", OBJECT, 3)).toBe(1);
    slots.release("a", renewed);
    expect(slots.acquire("b", OBJECT, 4)).toBe(0);
  });

  test("come back when a job is over, whoever says so", () => {
    const slots = new MachineSlots(1);
    slots.acquire("a", OBJECT, 0);
    slots.release("a");
    expect(slots.acquire("b", OBJECT, 1)).toBe(0);
  });
});
