import { PAGE_BYTES } from "./abi.ts";

/* The page tables a domain starts with: 4-level, 4 KiB pages only, as Xen gives a PV guest (SDM vol. 3A 4.5). */

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
const L4 = 4;

/** Page tables that cover a virtual range, each with its page. */
export interface TablePlan {
  /** First page; `count` pages in a row: L4, then L3s, L2s, L1s, each ascending by address. */
  readonly pfn: number;
  readonly count: number;
  readonly from: bigint;
  readonly to: bigint;
  /** Page number of the table at `level` that covers `address`; undefined if there is none. */
  find(level: number, address: bigint): number | undefined;
}

/** Identifies the table of a level that covers an address. */
function tableKey(level: number, address: bigint): string {
  return level === L4 ? "4" : `${level}:${address >> (12n + 9n * BigInt(level))}`;
}

/**
 * Assigns pages from `pfn` on to the tables that map [from, to), both page-aligned. Tables that `existing` already has
 * are shared.
 */
export function planTables(pfn: number, from: bigint, to: bigint, existing?: TablePlan): TablePlan {
  const tables = new Map<string, number>();
  for (let level = L4; level >= 1; level--) {
    const span = 1n << (12n + 9n * BigInt(level));
    for (let address = (from / span) * span; address < to; address += span) {
      if (existing?.find(level, address) !== undefined) continue;
      tables.set(tableKey(level, address), pfn + tables.size);
    }
  }
  return {
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
  for (let level = L4; level > 1; level--) {
    const span = 1n << (3n + 9n * BigInt(level));
    for (let address = (plan.from / span) * span; address < plan.to; address += span) {
      write(entryAddress(level, address), pageEntry(plan.find(level - 1, address)!, TABLE_FLAGS));
    }
  }
  let pfn = firstPfn;
  for (let address = plan.from; address < plan.to; address += BigInt(PAGE_BYTES)) {
    write(entryAddress(1, address), pageEntry(pfn, isReadOnly(pfn) ? READ_ONLY_FLAGS : DATA_FLAGS));
    pfn++;
  }
}

function pageEntry(pfn: number, flags: bigint): bigint {
  return (BigInt(pfn) << 12n) | flags;
}
