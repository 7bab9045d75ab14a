// The descriptor tables of the door's start state in protected and 64-bit mode, so that a case can load the segment registers
// again, return far, or change between the widths of code, without tables of its own.

const PRESENT_ACCESSED = 0x81;
const CODE = 0x1a;
const DATA = 0x12;
const USER = 0x60;
const GRANULARITY_4K = 0x8;
const BITS: Readonly<Record<32 | 64, number>> = { 32: 0x4, 64: 0x2 };
const WHOLE_LIMIT = 0xfffff;

/** A segment over all addresses (SDM vol. 3A figure 3-8), accessed already, so that a load does not write to the table. */
function flat(type: number, bits: 32 | 64): bigint {
  const access = BigInt(PRESENT_ACCESSED | type);
  const flags = BigInt(GRANULARITY_4K | BITS[bits]);
  const limit = BigInt(WHOLE_LIMIT);
  return (limit & 0xffffn) | (access << 40n) | ((limit >> 16n) << 48n) | (flags << 52n);
}

function system(type: number, base: number, bytes: number): readonly [bigint, bigint] {
  const at = BigInt(base);
  const low =
    BigInt(bytes - 1) |
    ((at & 0xffffffn) << 16n) |
    (BigInt(0x80 | type) << 40n) |
    (((at >> 24n) & 0xffn) << 56n);
  return [low, at >> 32n];
}

const LDT_TYPE = 2;
const DESCRIPTOR = 8;
const GDT_ENTRIES = 10;

/** Selectors of the GDT; ring 0's are those of the start state, ring 3's those of Linux. */
export const SELECTORS = {
  code: 0x08,
  data: 0x10,
  code32: 0x18,
  userCode32: 0x23,
  userData: 0x2b,
  userCode64: 0x33,
  ldt: 0x40,
} as const;

export interface Tables {
  /** What belongs at the address they were made for: the GDT and behind it the LDT. */
  readonly bytes: Uint8Array;
  readonly gdt: { readonly base: number; readonly limit: number };
  readonly ldt: { readonly base: number; readonly limit: number };
}

/** The tables for code of `bits` bits, to be put at `base`. The LDT has ring 3's 32-bit code (0x0f) and data (0x17, 0x1f). */
export function tablesAt(base: number, bits: 32 | 64): Tables {
  const ldtBase = base + GDT_ENTRIES * DESCRIPTOR;
  const ldt = [0n, flat(USER | CODE, 32), flat(USER | DATA, 32), flat(USER | DATA, 32)];
  const gdt = [
    0n,
    flat(CODE, bits),
    flat(DATA, 32),
    flat(CODE, 32),
    flat(USER | CODE, 32),
    flat(USER | DATA, 32),
    flat(USER | CODE, 64),
    0n,
    ...system(LDT_TYPE, ldtBase, ldt.length * DESCRIPTOR),
  ];
  return {
    bytes: new Uint8Array(BigUint64Array.from([...gdt, ...ldt]).buffer),
    gdt: { base, limit: gdt.length * DESCRIPTOR - 1 },
    ldt: { base: ldtBase, limit: ldt.length * DESCRIPTOR - 1 },
  };
}
