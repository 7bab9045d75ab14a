/*
 * Guest-virtual addresses through page tables of every kind, made by hand after the SDM, vol. 3A chapter 4: what is mapped is
 * read and written where it lies, also across pages that lie apart; what is not is refused, with nothing written.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { ArrayMemory } from "../testing/memory.ts";
import { GuestVirtual } from "./guest-virtual.ts";

const PG = 0x80000001n;
const WP = 0x10000n;
const LONG = { cr0: PG | WP, cr4: 0x20n, efer: 0xd00n };
const PAE = { cr0: PG | WP, cr4: 0x20n, efer: 0n };
const TWO_LEVELS = { cr0: PG | WP, cr4: 0x10n, efer: 0n };
const FLAT = { cr0: 1n, cr4: 0n, efer: 0n };
/** P and W. */
const RW = 3n;
const LARGE = 0x80n;

let memory: ArrayMemory;
beforeEach(() => {
  memory = new ArrayMemory(0x1000);
});

function guest(
  registers: { readonly cr0: bigint; readonly cr4: bigint; readonly efer: bigint },
  cr3 = 0x1000n,
): GuestVirtual {
  const all = { ...registers, cr3 };
  return new GuestVirtual(memory, { getControl: (name) => all[name] });
}

/** The tables of long mode from 0x1000 on, for the address 0xffffffff80000000 and the two pages from 0xffffffff80200000. */
function longTables(): GuestVirtual {
  memory.writeU64(0x1000 + 511 * 8, 0x2000n | RW);
  memory.writeU64(0x2000 + 510 * 8, 0x3000n | RW);
  memory.writeU64(0x3000, 0x400000n | RW | LARGE);
  memory.writeU64(0x3008, 0x4000n | RW);
  memory.writeU64(0x4000, 0x9000n | RW);
  memory.writeU64(0x4008, 0x6000n | 1n); // read-only
  return guest(LONG);
}

describe("long mode", () => {
  test("small, large and no pages", () => {
    const it = longTables();
    expect(it.translate(0xffffffff80012345n, true)).toBe(0x412345);
    expect(it.translate(0xffffffff80200abcn, true)).toBe(0x9abc);
    expect(it.translate(0xffffffff80201abcn, false)).toBe(0x6abc);
    expect(it.translate(0xffffffff80202000n, false)).toBeUndefined();
    expect(it.translate(0x1000n, false)).toBeUndefined();
    expect(it.translate(0x800000000000n, false)).toBeUndefined();
  });

  test("a read across two pages that lie apart", () => {
    const it = longTables();
    memory.write(0x9ffe, Uint8Array.of(1, 2));
    memory.write(0x6000, Uint8Array.of(3, 4));
    expect(it.read(0xffffffff80200ffen, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(it.read(0xffffffff80201ffen, 4)).toBeUndefined();
  });

  test("a write that would reach a read-only page writes nothing; without CR0.WP it is the kernel's to write", () => {
    const it = longTables();
    expect(it.write(0xffffffff80200ffen, Uint8Array.of(5, 6, 7, 8))).toBe(false);
    expect([...memory.read(0x9ffe, 2), ...memory.read(0x6000, 2)]).toEqual([0, 0, 0, 0]);
    const bold = guest({ ...LONG, cr0: PG });
    expect(bold.write(0xffffffff80200ffen, Uint8Array.of(5, 6, 7, 8))).toBe(true);
    expect([...memory.read(0x9ffe, 2), ...memory.read(0x6000, 2)]).toEqual([5, 6, 7, 8]);
  });

  test("accessed everywhere on the way, dirty at its end, for a write only", () => {
    const it = longTables();
    it.translate(0xffffffff80200000n, false);
    const bits = () => [0x1ff8, 0x2ff0, 0x3008, 0x4000].map((at) => memory.readU64(at) & 0x60n);
    expect(bits()).toEqual([0x20n, 0x20n, 0x20n, 0x20n]);
    it.translate(0xffffffff80200000n, true);
    expect(bits()).toEqual([0x20n, 0x20n, 0x20n, 0x60n]);
  });

  test("tables and pages outside of memory are not there", () => {
    const it = longTables();
    memory.writeU64(0x4000, 0x10000000n | RW);
    expect(it.read(0xffffffff80200000n, 1)).toBeUndefined();
    memory.writeU64(0x3008, 0x10000000n | RW);
    expect(it.read(0xffffffff80200000n, 1)).toBeUndefined();
  });
});

test("PAE: four pointers, then pages of 2 MiB and 4 KiB; addresses have 32 bits", () => {
  memory.writeU64(0x1020 + 3 * 8, 0x2000n | 1n);
  memory.writeU64(0x2000, 0x400000n | RW | LARGE);
  memory.writeU64(0x2008, 0x3000n | RW);
  memory.writeU64(0x3000 + 8 * 5, 0x9000n | RW);
  const it = guest(PAE, 0x1020n);
  expect(it.translate(0xc0012345n, true)).toBe(0x412345);
  expect(it.translate(0xff_c0205678n, true)).toBe(0x9678);
  expect(it.translate(0x00205678n, true)).toBeUndefined();
});

test("two levels: pages of 4 MiB and 4 KiB", () => {
  memory.writeU32(0x1000 + 768 * 4, 0x400083);
  memory.writeU32(0x1000 + 769 * 4, 0x2003);
  memory.writeU32(0x2000 + 4 * 5, 0x9003);
  const it = guest(TWO_LEVELS);
  expect(it.translate(0xc0212345n, true)).toBe(0x612345);
  expect(it.translate(0xc0405678n, true)).toBe(0x9678);
  expect(it.translate(0xc0406678n, true)).toBeUndefined();
  // Without CR4.PSE the bit means nothing: the entry is a table.
  expect(guest({ ...TWO_LEVELS, cr4: 0n }).translate(0xc0212345n, true)).toBeUndefined();
});

test("no paging: addresses are physical, of 32 bits", () => {
  const it = guest(FLAT);
  expect(it.translate(0x12_0000_5678n, true)).toBe(0x5678);
  expect(it.read(0xfffff000n, 16)).toBeUndefined();
});
