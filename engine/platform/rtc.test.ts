/*
 * The real-time clock, where qemu's (which testing/pc-guest.c is compared with) differs from the chip, or cannot be asked: the
 * periods of the MC146818A data sheet's table 5, flags without their interrupts, one interrupt until register C is read, the
 * announcement of an update, days of the week that are wrong, and checkpoints.
 */
import { beforeEach, expect, test } from "vitest";
import { Rtc, type SavedRtc } from "./rtc.ts";

const START = Date.UTC(2026, 10, 23, 8, 59, 57) / 1000;
const SECOND = 1e9;
const A = 10;
const B = 11;
const C = 12;

let levels: boolean[];
let rtc: Rtc;
const interrupt = (level: boolean) => {
  if (level !== (levels.at(-1) ?? false)) levels.push(level);
};
beforeEach(() => {
  levels = [];
  rtc = new Rtc(START, interrupt);
});

function get(register: number, now: number): number {
  rtc.write(0x70, register, now);
  return rtc.read(0x71, now)!;
}

function set(register: number, value: number, now: number): void {
  rtc.write(0x70, register, now);
  rtc.write(0x71, value, now);
}

test.each([
  [1, 3906.25],
  [2, 7812.5],
  [3, 122.0703125],
  [6, 976.5625],
  [10, 15625],
  [15, 500000],
])("rate %i: an interrupt each %d us", (rate, us) => {
  set(A, 0x20 | rate, 0);
  set(B, 0x42, 0);
  for (const beat of [1, 2, 1001]) {
    // Of the beats that nobody waits for, none is missed afterwards.
    get(C, Math.ceil((beat - 1) * us * 1000));
    const due = rtc.deadline;
    expect(due).toBe(Math.ceil(beat * us * 1000));
    rtc.advance(due! - 1);
    expect(levels.at(-1) ?? false).toBe(false);
    rtc.advance(due!);
    expect(levels.at(-1)).toBe(true);
    expect(rtc.deadline).toBeUndefined();
    rtc.advance(due! + 10 * SECOND);
    expect(get(C, due!) & 0xc0).toBe(0xc0);
    expect(levels.at(-1)).toBe(false);
  }
});

test("rate 0 has no beat, and a divider in reset none of anything", () => {
  set(A, 0x20, 0);
  set(B, 0x42, 0);
  expect(rtc.deadline).toBeUndefined();
  set(A, 0x66, 0);
  set(B, 0x72, 0);
  expect(rtc.deadline).toBeUndefined();
  expect(get(C, 100 * SECOND)).toBe(0);
  expect(get(0, 100 * SECOND)).toBe(0x57);
});

test("flags rise without their interrupts, and an interrupt that is enabled late comes at once", () => {
  set(1, 0x58, 0);
  set(3, 0x59, 0);
  set(5, 0x08, 0);
  expect(get(C, 0.5 * SECOND)).toBe(0x40);
  expect(get(C, 1 * SECOND)).toBe(0x70);
  expect(get(C, 1 * SECOND)).toBe(0);
  expect(get(C, 2 * SECOND)).toBe(0x50);
  expect(levels).toEqual([]);
  set(B, 0x12, 3.5 * SECOND);
  expect(levels).toEqual([true]);
  expect(get(C, 3.5 * SECOND)).toBe(0xd0);
  expect(rtc.deadline).toBe(4 * SECOND);
});

test("an alarm comes once a day, and one that matches everything each second", () => {
  for (const [register, value] of [
    [1, 0x56],
    [3, 0x59],
    [5, 0x08],
    [B, 0x22],
  ] as const)
    set(register, value, 0);
  expect(rtc.deadline).toBe((86_400 - 1) * SECOND);
  for (const register of [1, 3, 5]) set(register, 0xff, 0);
  expect(rtc.deadline).toBe(SECOND);
  set(1, 0x99, 0);
  expect(rtc.deadline).toBeUndefined();
});

test("an update is announced 244 us before, but not while it is stopped", () => {
  expect(get(A, SECOND - 244_001)).toBe(0x26);
  expect(get(A, SECOND - 244_000)).toBe(0xa6);
  expect(get(0, SECOND - 1)).toBe(0x57);
  expect(get(0, SECOND)).toBe(0x58);
  expect(get(A, SECOND)).toBe(0x26);
  set(B, 0x82, 1.2 * SECOND);
  expect(get(A, 2 * SECOND - 1)).toBe(0x26);
  expect(get(0, 10 * SECOND)).toBe(0x58);
});

test("the day of the week is counted on from what it was set to; days that do not exist are the next month's", () => {
  set(B, 0x82, 0);
  for (const [register, value] of [
    [6, 7],
    [7, 0x31],
    [8, 0x02],
    [4, 0x23],
    [2, 0x59],
    [0, 0x59],
  ] as const)
    set(register, value, 0);
  expect([6, 7, 8].map((register) => get(register, 0))).toEqual([7, 0x31, 0x02]);
  set(B, 0x02, 0);
  expect([6, 7, 8].map((register) => get(register, 1 * SECOND))).toEqual([1, 0x04, 0x03]);
});

test("a clock made anew from what it saved goes on, one of before it could be set, too", () => {
  set(B, 0x12, 0.25 * SECOND);
  set(9, 0x31, 0.5 * SECOND);
  const saved = JSON.parse(JSON.stringify(rtc.save())) as SavedRtc;
  rtc = new Rtc(0, interrupt, saved);
  expect(rtc.deadline).toBe(1 * SECOND);
  expect([9, 0].map((register) => get(register, 2 * SECOND))).toEqual([0x31, 0x59]);
  const { index, bytes } = new Rtc(START, interrupt).save();
  rtc = new Rtc(START, interrupt, { index, bytes });
  expect(get(0, 2 * SECOND)).toBe(0x59);
});
