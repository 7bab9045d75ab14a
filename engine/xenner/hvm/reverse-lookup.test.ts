/*
 * Where a page is mapped, found in page tables of every kind that were made by hand after the SDM, vol. 3A chapter 4. What is found is held
 * against the walk in the other direction (guest-virtual.ts), which has tests of its own.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { ArrayMemory } from "../testing/memory.ts";
import { GuestVirtual } from "./guest-virtual.ts";
import { findMapping } from "./reverse-lookup.ts";

const PG = 0x80000001n;
const WP = 0x10000n;
const LONG = { cr0: PG | WP, cr3: 0x1000n, cr4: 0x20n, efer: 0xd00n };
const PAE = { cr0: PG | WP, cr3: 0x1020n, cr4: 0x20n, efer: 0n };
const TWO_LEVELS = { cr0: PG | WP, cr3: 0x1000n, cr4: 0x10n, efer: 0n };
const FLAT = { cr0: 1n, cr3: 0n, cr4: 0n, efer: 0n };
/** P and W. */
const RW = 3n;
const RO = 1n;
const LARGE = 0x80n;

let memory: ArrayMemory;
beforeEach(() => {
  memory = new ArrayMemory(0x1000);
});

/** What is found; the walk from there must lead back, as a write. */
function find(registers: typeof LONG, physical: number): bigint | undefined {
  const source = { getControl: (name: keyof typeof LONG) => registers[name] };
  const before = memory.read(0, memory.bytes);
  const found = findMapping(memory, source, physical);
  expect(Buffer.compare(memory.read(0, memory.bytes), before)).toBe(0);
  if (found !== undefined) expect(new GuestVirtual(memory, source).translate(found, true)).toBe(physical);
  return found;
}

test("without paging it is where it is", () => {
  expect(find(FLAT, 0x5000)).toBe(0x5000n);
});

describe("long mode", () => {
  beforeEach(() => {
    memory.writeU64(0x1000 + 511 * 8, 0x2000n | RW);
    memory.writeU64(0x2000 + 510 * 8, 0x3000n | RW);
    memory.writeU64(0x3000, 0x400000n | RW | LARGE);
    memory.writeU64(0x3008, 0x4000n | RW);
    memory.writeU64(0x4000, 0x9000n | RW);
    memory.writeU64(0x4008, 0x6000n | RO);
  });

  test("in a large page and in a small one, in the upper half", () => {
    expect(find(LONG, 0x412000)).toBe(0xffffffff80012000n);
    expect(find(LONG, 0x9000)).toBe(0xffffffff80200000n);
  });

  test("not where it can only be read, on any level", () => {
    expect(find(LONG, 0x6000)).toBeUndefined();
    memory.writeU64(0x2000 + 510 * 8, 0x3000n | RO);
    expect(find(LONG, 0x9000)).toBeUndefined();
  });

  test("of two places the lower", () => {
    memory.writeU64(0x4010, 0x9000n | RW);
    expect(find(LONG, 0x9000)).toBe(0xffffffff80200000n);
  });

  test("tables that refer to themselves or to nowhere end the search", () => {
    for (let i = 0; i < 512; i++) memory.writeU64(0x1000 + i * 8, 0x1000n | RW);
    expect(find(LONG, 0x9000)).toBeUndefined();
    for (let i = 0; i < 512; i++) memory.writeU64(0x1000 + i * 8, 0xf_ffff_ffff_f003n);
    expect(find(LONG, 0x9000)).toBeUndefined();
  });
});

test("PAE: the pointers have no R/W bit and lie at a multiple of 32", () => {
  memory.writeU64(0x1020 + 3 * 8, 0x2000n | RO);
  memory.writeU64(0x2000 + 5 * 8, 0x3000n | RW);
  memory.writeU64(0x3000 + 7 * 8, 0x9000n | RW);
  memory.writeU64(0x2000 + 6 * 8, 0x400000n | RW | LARGE);
  expect(find(PAE, 0x9000)).toBe(0xc0a07000n);
  expect(find(PAE, 0x5ff000)).toBe(0xc0dff000n);
  expect(find(PAE, 0xa000)).toBeUndefined();
});

test("two levels, with large pages only if CR4.PSE is set", () => {
  memory.writeU32(0x1000 + 4 * 768, 0x2003);
  memory.writeU32(0x2000 + 4 * 9, 0x9003);
  memory.writeU32(0x1000 + 4 * 769, 0x400083);
  expect(find(TWO_LEVELS, 0x9000)).toBe(0xc0009000n);
  expect(find(TWO_LEVELS, 0x7ff000)).toBe(0xc07ff000n);
  expect(find({ ...TWO_LEVELS, cr4: 0n }, 0x7ff000)).toBeUndefined();
});
