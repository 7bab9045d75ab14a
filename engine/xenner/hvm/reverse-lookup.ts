/* Where a guest has mapped a page: a search through its page tables (SDM vol. 3A, chapter 4). Nothing in them is changed. */

import type { PhysicalMemory } from "../../cpu/types.ts";
import type { PagingSource } from "./guest-virtual.ts";

const PAGE = 4096;
const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const EFER_LMA = 1n << 10n;
const ADDRESS = 0x000ffffffffff000n;
const PRESENT = 1;
const WRITABLE = 2;
const LARGE = 0x80;
/** Tables that are looked at; a guest may have any number of them, or have them refer to themselves. */
const MAX_TABLES = 4096;

/** Levels below the present one: the size of what an entry covers, in bytes, and whether it may be a page. */
interface Level {
  readonly entryBytes: 4 | 8;
  readonly covers: number;
  readonly page: boolean;
  /** Entries of PAE's first level have no R/W bit. */
  readonly hasRights?: false;
}
const GIB = 2 ** 30;
const LONG: readonly Level[] = [
  { entryBytes: 8, covers: 512 * GIB, page: false },
  { entryBytes: 8, covers: GIB, page: true },
  { entryBytes: 8, covers: 2 ** 21, page: true },
  { entryBytes: 8, covers: PAGE, page: true },
];
const PAE_DIRECTORIES = 4;

/**
 * The lowest linear address at which the kernel can write the page at `physical` (a multiple of 4096); undefined if there is none,
 * or too many tables were looked at.
 */
export function findMapping(
  memory: PhysicalMemory,
  registers: PagingSource,
  physical: number,
): bigint | undefined {
  if (!(registers.getControl("cr0") & CR0_PG)) return physical < 2 ** 32 ? BigInt(physical) : undefined;
  const cr3 = registers.getControl("cr3");
  const cr4 = registers.getControl("cr4");
  if (registers.getControl("efer") & EFER_LMA) {
    const found = new Search(memory, physical, LONG).table(Number(cr3 & ADDRESS), 0, 512);
    // The upper half of the address space is negative.
    return found === undefined ? undefined : BigInt.asUintN(64, BigInt.asIntN(48, BigInt(found)));
  }
  const search = cr4 & CR4_PAE ? pae(memory, physical) : twoLevel(memory, physical, (cr4 & CR4_PSE) !== 0n);
  const root = Number(cr3 & (cr4 & CR4_PAE ? 0xffffffe0n : 0xfffff000n));
  const found = search.table(root, 0, cr4 & CR4_PAE ? PAE_DIRECTORIES : 1024);
  return found === undefined ? undefined : BigInt(found);
}

function pae(memory: PhysicalMemory, physical: number): Search {
  const pointers: Level = { entryBytes: 8, covers: GIB, page: false, hasRights: false };
  return new Search(memory, physical, [pointers, ...LONG.slice(2)]);
}

function twoLevel(memory: PhysicalMemory, physical: number, pse: boolean): Search {
  return new Search(memory, physical, [
    { entryBytes: 4, covers: 2 ** 22, page: pse },
    { entryBytes: 4, covers: PAGE, page: true },
  ]);
}

class Search {
  readonly #memory: PhysicalMemory;
  readonly #physical: number;
  readonly #levels: readonly Level[];
  #tables = 0;

  constructor(memory: PhysicalMemory, physical: number, levels: readonly Level[]) {
    this.#memory = memory;
    this.#physical = physical;
    this.#levels = levels;
  }

  /** The offset of the page in what the table at `at` maps. */
  table(at: number, depth: number, entries: number): number | undefined {
    const { entryBytes, covers, page, hasRights } = this.#levels[depth]!;
    const bytes = entries * entryBytes;
    if (++this.#tables > MAX_TABLES || at + bytes > this.#memory.bytes) return undefined;
    const copy = this.#memory.read(at, bytes);
    const view = new DataView(copy.buffer, copy.byteOffset, bytes);
    const isLast = depth === this.#levels.length - 1;
    for (let i = 0; i < entries; i++) {
      const low = view.getUint32(i * entryBytes, true);
      if (!(low & PRESENT) || (hasRights !== false && !(low & WRITABLE))) continue;
      const high = entryBytes === 8 ? view.getUint32(i * entryBytes + 4, true) & 0xfffff : 0;
      const address = high * 2 ** 32 + (low - (low % PAGE));
      if (isLast || (page && low & LARGE)) {
        const first = address - (address % covers);
        if (this.#physical >= first && this.#physical < first + covers)
          return i * covers + (this.#physical - first);
        continue;
      }
      const found = this.table(address, depth + 1, 512 * (entryBytes === 4 ? 2 : 1));
      if (found !== undefined) return i * covers + found;
    }
    return undefined;
  }
}
