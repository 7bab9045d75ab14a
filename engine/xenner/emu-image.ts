/**
 * Places emu in machine memory: its ELF segments and the page tables behind PML4 slot 256, or behind the end of the L2 of
 * the highest GiB for emu32pae (abi.ts, "Virtual memory map"). The result is a list of writes, so that a host other than
 * our own core can use it too.
 */

import {
  DIRECT_MAP_VIRTUAL,
  type EmuRegion,
  emuRegion,
  GDT_VIRTUAL,
  IMAGE_MAX_BYTES,
  IMAGE_VIRTUAL,
  M2P_VIRTUAL,
  MAP_32,
  MAX_REGION_PAGE_TABLES,
  PAGE_BYTES,
  type WordBytes,
} from "./abi.ts";
import type { FieldValue } from "./structure.ts";

export interface MemoryWrite {
  /** Machine byte address. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface PlacedEmu {
  readonly wordBytes: WordBytes;
  readonly region: EmuRegion;
  /** Address of emu's entry point: virtual, or of the machine for emu32pae, which starts without paging. */
  readonly entry: bigint;
  /** What entry 256 of the initial L4 must hold; for emu32pae an entry that refers to the L2 it has of its own. */
  readonly slot256: bigint;
  /** emu32pae: the entries for the end of the initial L2 of the highest GiB, and the machine address of its first L3. */
  readonly pae?: { readonly entries: readonly bigint[]; readonly startTable: number };
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
  readonly #rootLevel: number;
  readonly #tables: { readonly address: number; readonly entries: BigUint64Array }[] = [];

  constructor(base: number, rootLevel: number) {
    this.#base = base;
    this.#rootLevel = rootLevel;
    this.allocate();
  }

  allocate(): number {
    if (this.#tables.length === MAX_REGION_PAGE_TABLES)
      throw new Error("emu's page tables do not fit its region");
    const address = this.#base + this.#tables.length * PAGE_BYTES;
    this.#tables.push({ address, entries: new BigUint64Array(PAGE_BYTES / 8) });
    return address;
  }

  entries(address: number): BigUint64Array {
    return this.#tables[(address - this.#base) / PAGE_BYTES]!.entries;
  }

  /**
   * The table that holds the entry for `virtual` at `level` (1 or 2), made if it is missing. Upper entries allow
   * everything `flags` adds; the leaf decides.
   */
  table(virtual: bigint, level: number, flags = 0n): number {
    let address = this.#base;
    for (let at = this.#rootLevel; at > level; at--) {
      const entries = this.entries(address);
      const index = Number((virtual >> BigInt(12 + 9 * (at - 1))) & 511n);
      if (entries[index] === 0n) entries[index] = BigInt(this.allocate()) | TABLE | flags;
      address = Number(entries[index]! & 0x000ffffffffff000n);
    }
    return address;
  }

  map(virtual: bigint, physical: number, level: number, leaf: bigint, upper = 0n): void {
    const entries = this.entries(this.table(virtual, level, upper));
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

const ELFCLASS32 = 1;

interface EmuElf {
  readonly wordBytes: WordBytes;
  readonly entry: bigint;
  readonly segments: Segment[];
}

/** Both are our own builds, so this reads only what it needs and trusts the rest. */
function readElf(elf: Uint8Array): EmuElf {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (view.getUint32(0) !== 0x7f454c46) throw new Error("emu's image is not an ELF file");
  if (view.getUint8(4) === ELFCLASS32) return readElf32(view, elf);
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
  return { wordBytes: 8, entry: view.getBigUint64(24, true), segments };
}

function readElf32(view: DataView, elf: Uint8Array): EmuElf {
  const word = (at: number): number => view.getUint32(at, true);
  const segments: Segment[] = [];
  for (let index = 0; index < view.getUint16(44, true); index++) {
    const at = word(28) + index * view.getUint16(42, true);
    if (word(at) !== PT_LOAD) continue;
    segments.push({
      virtual: BigInt(word(at + 8)),
      bytes: elf.slice(word(at + 4), word(at + 4) + word(at + 16)),
      memoryBytes: word(at + 20),
      flags: word(at + 24),
    });
  }
  return { wordBytes: 4, entry: BigInt(word(24)), segments };
}

/** Copies the segments behind `region.base` and maps them with their rights. */
function placeSegments(
  segments: readonly Segment[],
  image: bigint,
  region: EmuRegion,
  tables: TableBuilder,
): MemoryWrite[] {
  const writes: MemoryWrite[] = [];
  for (const segment of segments) {
    const offset = Number(segment.virtual - image);
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
      tables.map(image + BigInt(at), region.base + at, 1, leaf);
  }
  return writes;
}

function mapM2p(tables: TableBuilder, virtual: bigint, region: EmuRegion): void {
  for (let offset = 0; offset < region.m2pBytes; offset += LARGE_PAGE_BYTES)
    tables.map(
      virtual + BigInt(offset),
      region.m2p + offset,
      2,
      PRESENT | USER | ACCESSED | LARGE | NO_EXECUTE,
      USER,
    );
}

function placementInfo(region: EmuRegion, ramPages: number): Record<string, FieldValue> {
  return {
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
  };
}

/**
 * @param elf emu64.elf or emu32pae.elf
 * @param ramPages guest RAM in 4 KiB pages
 * @throws RangeError for an impossible `ramPages`, Error if `elf` is not emu or does not fit.
 */
export function placeEmu(elf: Uint8Array, ramPages: number): PlacedEmu {
  const image = readElf(elf);
  const region = emuRegion(ramPages, image.wordBytes);
  return image.wordBytes === 8 ? placeEmu64(image, region, ramPages) : placeEmu32(image, region, ramPages);
}

function placeEmu64({ entry, segments }: EmuElf, region: EmuRegion, ramPages: number): PlacedEmu {
  const tables = new TableBuilder(region.pageTables, 3);
  mapM2p(tables, M2P_VIRTUAL, region);
  for (let address = 0; address < region.machinePages * PAGE_BYTES; address += LARGE_PAGE_BYTES)
    tables.map(DIRECT_MAP_VIRTUAL + BigInt(address), address, 2, DATA | LARGE);
  const writes = placeSegments(segments, IMAGE_VIRTUAL, region, tables);
  // The L1 of the GDT and LDT windows; emu fills it as the guest sets its tables.
  const descriptorL1 = tables.table(GDT_VIRTUAL, 1);
  const slot256 = BigInt(region.pageTables) | TABLE | USER;
  writes.push(...tables.writes());
  return {
    wordBytes: 8,
    region,
    entry,
    slot256,
    writes,
    bootInfo: { ...placementInfo(region, ramPages), descriptorL1, slot256 },
  };
}

const GIB = 0x40000000;
const L2_ENTRIES = 512;
const L3_TOP_ENTRY = 3;

function placeEmu32({ entry, segments }: EmuElf, region: EmuRegion, ramPages: number): PlacedEmu {
  // The root is an L2: the hypervisor's part of the highest GiB.
  const tables = new TableBuilder(region.pageTables, 2);
  mapM2p(tables, BigInt(MAP_32.M2P_VIRTUAL), region);
  const regionBytes = region.machinePages * PAGE_BYTES - region.base;
  if (regionBytes > MAP_32.GDT_VIRTUAL - MAP_32.REGION_VIRTUAL)
    throw new Error("emu's region does not fit its place in the address space");
  for (let offset = 0; offset < regionBytes; offset += LARGE_PAGE_BYTES)
    tables.map(BigInt(MAP_32.REGION_VIRTUAL + offset), region.base + offset, 2, DATA | LARGE);
  const writes = placeSegments(segments, BigInt(MAP_32.IMAGE_VIRTUAL), region, tables);
  const descriptorL1 = tables.table(BigInt(MAP_32.GDT_VIRTUAL), 1);
  const slot256 = BigInt(region.pageTables) | PRESENT;
  const entries = [...tables.entries(region.pageTables).subarray(MAP_32.HYPERVISOR_L2_SLOT)];

  // To start with: what is above, and the image where it lies in the machine.
  const startTable = tables.allocate();
  const topL2 = tables.allocate();
  tables.entries(topL2).set(entries, MAP_32.HYPERVISOR_L2_SLOT);
  tables.entries(startTable)[L3_TOP_ENTRY] = BigInt(topL2) | PRESENT;
  const gib = Math.floor(region.base / GIB);
  const imageL2 = gib === L3_TOP_ENTRY ? topL2 : tables.allocate();
  tables.entries(startTable)[gib] = BigInt(imageL2) | PRESENT;
  const index = Math.floor(region.base / LARGE_PAGE_BYTES) % L2_ENTRIES;
  tables.entries(imageL2)[index] = BigInt(region.base) | PRESENT | ACCESSED | LARGE;
  writes.push(...tables.writes());
  return {
    wordBytes: 4,
    region,
    entry: entry - BigInt(MAP_32.IMAGE_VIRTUAL) + BigInt(region.base),
    slot256,
    pae: { entries, startTable },
    writes,
    bootInfo: { ...placementInfo(region, ramPages), descriptorL1, slot256 },
  };
}
