// The memory every case sees, at the same addresses on the real processor and on our core.
//
//   LOW    0x0000_8000  2 pages, writable: what 16-bit addressing can reach
//   CODE   0x0010_0000  2 pages, executable, full of INT3
//   DATA   0x0020_0000  4 pages writable, then 1 page read-only, then nothing
//   STACK  0x0030_0000  2 pages writable, nothing behind it
//   TOP    0xffff_f000  2 pages writable across the 4 GiB line, where 32-bit addresses wrap
// Only CODE can be executed. Everything else is not mapped.

export const PAGE_BYTES = 4096;

export interface Region {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
  readonly write: boolean;
  readonly execute: boolean;
}

export const LOW = 0x8000;
export const CODE = 0x100000;
export const DATA = 0x200000;
export const DATA_READ_ONLY = 0x204000;
export const DATA_END = 0x205000;
export const STACK = 0x300000;
export const STACK_END = 0x302000;
export const TOP = 0xfffff000;

export const REGIONS: readonly Region[] = [
  { name: "low", address: LOW, bytes: 2 * PAGE_BYTES, write: true, execute: false },
  { name: "code", address: CODE, bytes: 2 * PAGE_BYTES, write: true, execute: true },
  { name: "data", address: DATA, bytes: 4 * PAGE_BYTES, write: true, execute: false },
  { name: "read-only", address: DATA_READ_ONLY, bytes: PAGE_BYTES, write: false, execute: false },
  { name: "stack", address: STACK, bytes: 2 * PAGE_BYTES, write: true, execute: false },
  { name: "top", address: TOP, bytes: 2 * PAGE_BYTES, write: true, execute: false },
];

const INT3 = 0xcc;

/** What a region holds between cases: INT3 in code, elsewhere a pattern in which no two near bytes are alike. */
export function baseContents(region: Region): Uint8Array {
  const bytes = new Uint8Array(region.bytes);
  if (region.execute) return bytes.fill(INT3);
  let x = region.address | 1;
  for (let i = 0; i < bytes.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** The region that holds `bytes` bytes at `address`, or undefined. */
export function regionOf(address: number, bytes: number): Region | undefined {
  return REGIONS.find((r) => address >= r.address && address + bytes <= r.address + r.bytes);
}
