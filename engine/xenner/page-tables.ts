import { PAGE_BYTES } from "./abi.ts";

/*
 * The page tables a domain starts with: of 4 levels, or 3 for a 32-bit guest (PAE), with 4 KiB pages only, as Xen gives a PV
 * guest (SDM vol. 3A 4.4, 4.5).
 */

/** Page-table entry bits. */
export const PTE = {
  PRESENT: 1n << 0n,
  WRITE: 1n << 1n,
  USER: 1n << 2n,
  ACCESSED: 1n << 5n,
  DIRTY: 1n << 6n,
} as const;

/* Ring 3 runs the guest kernel, so everything is a user page; Xen sets the bit itself on what a guest leaves out. */
const TABLE_FLAGS = PTE.PRESENT | PTE.WRITE | PTE.USER | PTE.ACCESSED | PTE.DIRTY;
const DATA_FLAGS = TABLE_FLAGS;
const READ_ONLY_FLAGS = DATA_FLAGS & ~PTE.WRITE;

const ENTRIES = 512n;
/** Levels of page tables, by the guest's word size. */
export type Levels = 3 | 4;
/** A 32-bit guest always has an L2 for the highest GiB, as the hypervisor is there. */
const PAE_TOP_GIB = 0xc0000000n;

/** Page tables that cover a virtual range, each with its page. */
export interface TablePlan {
  readonly levels: Levels;
  /** First page; `count` pages in a row: L4, then L3s, L2s, L1s, each ascending by address. With 3 levels: L3, ... */
  readonly pfn: number;
  readonly count: number;
  readonly from: bigint;
  readonly to: bigint;
  /** Page number of the table at `level` that covers `address`; undefined if there is none. */
  find(level: number, address: bigint): number | undefined;
}

/** Identifies the table of a level that covers an address. */
function tableKey(level: number, address: bigint): string {
  return level === 4 ? "4" : `${level}:${address >> (12n + 9n * BigInt(level))}`;
}

/**
 * Assigns pages from `pfn` on to the tables that map [from, to), both page-aligned. Tables that `existing` already has
 * are shared.
 */
export function planTables(
  pfn: number,
  from: bigint,
  to: bigint,
  existing?: TablePlan,
  levels: Levels = 4,
): TablePlan {
  const tables = new Map<string, number>();
  for (let level: number = levels; level >= 1; level--) {
    const span = 1n << (12n + 9n * BigInt(level));
    for (let address = (from / span) * span; address < to; address += span) {
      if (existing?.find(level, address) !== undefined) continue;
      tables.set(tableKey(level, address), pfn + tables.size);
    }
    const top = tableKey(level, PAE_TOP_GIB);
    if (levels === 3 && level === 2 && !tables.has(top)) tables.set(top, pfn + tables.size);
  }
  return {
    levels,
    pfn,
    count: tables.size,
    from,
    to,
    find: (level, address) => tables.get(tableKey(level, address)) ?? existing?.find(level, address),
  };
}

/** Writes one 64-bit word of guest memory. */
export type WriteEntry = (physicalAddress: number, value: bigint) => void;

/**
 * Fills the tables of `plan` so that page `from + n` maps page `firstPfn + n`; pages for which `isReadOnly` holds are
 * mapped without write permission.
 */
export function fillTables(
  plan: TablePlan,
  firstPfn: number,
  isReadOnly: (pfn: number) => boolean,
  write: WriteEntry,
): void {
  const entryAddress = (level: number, address: bigint): number => {
    const index = Number((address >> (3n + 9n * BigInt(level))) % ENTRIES);
    return plan.find(level, address)! * PAGE_BYTES + index * 8;
  };
  for (let level: number = plan.levels; level > 1; level--) {
    const span = 1n << (3n + 9n * BigInt(level));
    // The rights in an L3 of PAE are reserved bits.
    const flags = plan.levels === 3 && level === 3 ? PTE.PRESENT : TABLE_FLAGS;
    for (let address = (plan.from / span) * span; address < plan.to; address += span) {
      write(entryAddress(level, address), pageEntry(plan.find(level - 1, address)!, flags));
    }
  }
  if (plan.levels === 3) write(entryAddress(3, PAE_TOP_GIB), pageEntry(paeTopL2(plan), PTE.PRESENT));
  let pfn = firstPfn;
  for (let address = plan.from; address < plan.to; address += BigInt(PAGE_BYTES)) {
    write(entryAddress(1, address), pageEntry(pfn, isReadOnly(pfn) ? READ_ONLY_FLAGS : DATA_FLAGS));
    pfn++;
  }
}

/** Page number of the L2 of the highest GiB, which a 32-bit guest's tables always have. */
export function paeTopL2(plan: TablePlan): number {
  return plan.find(2, PAE_TOP_GIB)!;
}

function pageEntry(pfn: number, flags: bigint): bigint {
  return (BigInt(pfn) << 12n) | flags;
}
