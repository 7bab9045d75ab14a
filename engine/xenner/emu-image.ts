/**
 * Places emu in machine memory: its ELF segments and the page tables behind PML4 slot 256 (abi.ts, "Virtual memory
 * map"). The result is a list of writes, so that a host other than our own core can use it too.
 */

import {
  DIRECT_MAP_VIRTUAL,
  type EmuRegion,
  emuRegion,
  GDT_VIRTUAL,
  IMAGE_MAX_BYTES,
  IMAGE_VIRTUAL,
  M2P_VIRTUAL,
  MAX_REGION_PAGE_TABLES,
  PAGE_BYTES,
} from "./abi.ts";
import type { FieldValue } from "./structure.ts";

export interface MemoryWrite {
  /** Machine byte address. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface PlacedEmu {
  readonly region: EmuRegion;
  /** Virtual address of emu's entry point. */
  readonly entry: bigint;
  /** What entry 256 of the initial L4 must hold. */
  readonly slot256: bigint;
  /** Machine memory not written here is expected to be zero. */
  readonly writes: readonly MemoryWrite[];
  /** The BOOT_INFO fields that follow from the placement; the rest is the domain builder's. */
  readonly bootInfo: Readonly<Record<string, FieldValue>>;
}

// Page-table entry bits (SDM vol. 3A table 4-20).
const PRESENT = 1n << 0n;
const WRITE = 1n << 1n;
const USER = 1n << 2n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const LARGE = 1n << 7n;
const NO_EXECUTE = 1n << 63n;
const TABLE = PRESENT | WRITE | ACCESSED;
const DATA = PRESENT | WRITE | ACCESSED | DIRTY | NO_EXECUTE;
const LARGE_PAGE_BYTES = 0x200000;

/** Hands out the region's page-table pages and fills them by virtual address. */
class TableBuilder {
  readonly #base: number;
  readonly #tables: { readonly address: number; readonly entries: BigUint64Array }[] = [];

  constructor(base: number) {
    this.#base = base;
    this.#allocate();
  }

  #allocate(): number {
    if (this.#tables.length === MAX_REGION_PAGE_TABLES)
      throw new Error("emu's page tables do not fit its region");
    const address = this.#base + this.#tables.length * PAGE_BYTES;
    this.#tables.push({ address, entries: new BigUint64Array(PAGE_BYTES / 8) });
    return address;
  }

  #entries(address: number): BigUint64Array {
    return this.#tables[(address - this.#base) / PAGE_BYTES]!.entries;
  }

  /**
   * The table that holds the entry for `virtual` at `level` (1 or 2), made if it is missing. Upper entries allow
   * everything `flags` adds; the leaf decides.
   */
  table(virtual: bigint, level: number, flags = 0n): number {
    let address = this.#base;
    for (let at = 3; at > level; at--) {
      const entries = this.#entries(address);
      const index = Number((virtual >> BigInt(12 + 9 * (at - 1))) & 511n);
      if (entries[index] === 0n) entries[index] = BigInt(this.#allocate()) | TABLE | flags;
      address = Number(entries[index]! & 0x000ffffffffff000n);
    }
    return address;
  }

  map(virtual: bigint, physical: number, level: number, leaf: bigint, upper = 0n): void {
    const entries = this.#entries(this.table(virtual, level, upper));
    const index = Number((virtual >> BigInt(12 + 9 * (level - 1))) & 511n);
    entries[index] = BigInt(physical) | leaf;
  }

  writes(): MemoryWrite[] {
    return this.#tables.map(({ address, entries }) => ({ address, bytes: new Uint8Array(entries.buffer) }));
  }
}

interface Segment {
  readonly virtual: bigint;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
  /** ELF p_flags: 1 execute, 2 write, 4 read. */
  readonly flags: number;
}

const PT_LOAD = 1;
const PF_X = 1;
const PF_W = 2;

/** emu64.elf is our own build, so this reads only what it needs and trusts the rest. */
function readElf(elf: Uint8Array): { entry: bigint; segments: Segment[] } {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (view.getUint32(0) !== 0x7f454c46) throw new Error("emu's image is not an ELF file");
  const headers = Number(view.getBigUint64(32, true));
  const segments: Segment[] = [];
  for (let index = 0; index < view.getUint16(56, true); index++) {
    const at = headers + index * view.getUint16(54, true);
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    segments.push({
      virtual: view.getBigUint64(at + 16, true),
      bytes: elf.slice(offset, offset + Number(view.getBigUint64(at + 32, true))),
      memoryBytes: Number(view.getBigUint64(at + 40, true)),
      flags: view.getUint32(at + 4, true),
    });
  }
  return { entry: view.getBigUint64(24, true), segments };
}

/**
 * @param elf emu64.elf
 * @param ramPages guest RAM in 4 KiB pages
 * @throws RangeError for an impossible `ramPages`, Error if `elf` is not emu or does not fit.
 */
export function placeEmu(elf: Uint8Array, ramPages: number): PlacedEmu {
  const region = emuRegion(ramPages);
  const { entry, segments } = readElf(elf);
  const tables = new TableBuilder(region.pageTables);
  const writes: MemoryWrite[] = [];

  for (let offset = 0; offset < region.m2pBytes; offset += LARGE_PAGE_BYTES)
    tables.map(
      M2P_VIRTUAL + BigInt(offset),
      region.m2p + offset,
      2,
      PRESENT | USER | ACCESSED | LARGE | NO_EXECUTE,
      USER,
    );
  for (let address = 0; address < region.machinePages * PAGE_BYTES; address += LARGE_PAGE_BYTES)
    tables.map(DIRECT_MAP_VIRTUAL + BigInt(address), address, 2, DATA | LARGE);
  for (const segment of segments) {
    const offset = Number(segment.virtual - IMAGE_VIRTUAL);
    if (offset < 0 || offset % PAGE_BYTES !== 0 || offset + segment.memoryBytes > IMAGE_MAX_BYTES)
      throw new Error(`emu's segment at offset ${offset} does not fit its region`);
    writes.push({ address: region.base + offset, bytes: segment.bytes });
    const leaf =
      PRESENT |
      ACCESSED |
      DIRTY |
      (segment.flags & PF_W ? WRITE : 0n) |
      (segment.flags & PF_X ? 0n : NO_EXECUTE);
    for (let at = offset; at < offset + segment.memoryBytes; at += PAGE_BYTES)
      tables.map(IMAGE_VIRTUAL + BigInt(at), region.base + at, 1, leaf);
  }
  // The L1 of the GDT and LDT windows; emu fills it as the guest sets its tables.
  const descriptorL1 = tables.table(GDT_VIRTUAL, 1);
  const slot256 = BigInt(region.pageTables) | TABLE | USER;
  writes.push(...tables.writes());

  return {
    region,
    entry,
    slot256,
    writes,
    bootInfo: {
      ramPages,
      machinePages: region.machinePages,
      regionBase: region.base,
      message: region.message,
      sharedInfo: region.sharedInfo,
      grantFrames: region.grantFrames,
      statistics: region.statistics,
      m2p: region.m2p,
      m2pBytes: region.m2pBytes,
      pageInfo: region.pageInfo,
      descriptorL1,
      slot256,
    },
  };
}
