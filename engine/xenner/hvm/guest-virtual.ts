/* Guest-virtual memory of an HVM guest as its kernel sees it: the arguments of its hypercalls. SDM vol. 3A, chapter 4. */

import type { PhysicalMemory } from "../../cpu/types.ts";

/** Where they are read: engine/cpu's Cpu. */
export interface PagingSource {
  getControl(name: "cr0" | "cr3" | "cr4" | "efer"): bigint;
}

const PAGE = 4096;
const CR0_WP = 1n << 16n;
const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const EFER_LMA = 1n << 10n;
const PRESENT = 1n;
const WRITABLE = 2n;
const ACCESSED = 0x20n;
const DIRTY = 0x40n;
const LARGE = 0x80n;
const ADDRESS = 0x000ffffffffff000n;

/** Levels of a walk: how far the address is shifted for the index, and whether a large page can be there. */
interface Level {
  readonly shift: bigint;
  readonly large: boolean;
}
const LONG: readonly Level[] = [
  { shift: 39n, large: false },
  { shift: 30n, large: true },
  { shift: 21n, large: true },
  { shift: 12n, large: false },
];

export class GuestVirtual {
  readonly #memory: PhysicalMemory;
  readonly #registers: PagingSource;

  constructor(memory: PhysicalMemory, registers: PagingSource) {
    this.#memory = memory;
    this.#registers = registers;
  }

  /** A copy of guest memory, undefined if a part of it is not mapped: -EFAULT. */
  read(address: bigint, length: number): Uint8Array | undefined {
    const pieces = this.#pieces(address, length, false);
    if (pieces === undefined) return undefined;
    const out = new Uint8Array(length);
    let done = 0;
    for (const { physical, bytes } of pieces) {
      out.set(this.#memory.read(physical, bytes), done);
      done += bytes;
    }
    return out;
  }

  /** Writes guest memory, or nothing at all and says false: -EFAULT. */
  write(address: bigint, bytes: Uint8Array): boolean {
    const pieces = this.#pieces(address, bytes.length, true);
    if (pieces === undefined) return false;
    let done = 0;
    for (const piece of pieces) {
      this.#memory.write(piece.physical, bytes.subarray(done, done + piece.bytes));
      done += piece.bytes;
    }
    return true;
  }

  #pieces(
    address: bigint,
    length: number,
    writing: boolean,
  ): { physical: number; bytes: number }[] | undefined {
    const pieces: { physical: number; bytes: number }[] = [];
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const bytes = Math.min(length - done, PAGE - Number(at & 0xfffn));
      const physical = this.translate(at, writing);
      if (physical === undefined || physical + bytes > this.#memory.bytes) return undefined;
      pieces.push({ physical, bytes });
      done += bytes;
    }
    return pieces;
  }

  /**
   * The physical address of a supervisor's access, undefined for a page fault. Accessed and dirty bits are set as the
   * processor would.
   */
  translate(virtual: bigint, writing: boolean): number | undefined {
    const r = this.#registers;
    const cr0 = r.getControl("cr0");
    const isLong = (r.getControl("efer") & EFER_LMA) !== 0n;
    const address = isLong ? BigInt.asUintN(64, virtual) : BigInt.asUintN(32, virtual);
    if (!(cr0 & CR0_PG)) return Number(address);
    const cr3 = r.getControl("cr3");
    const cr4 = r.getControl("cr4");
    const protect = writing && (cr0 & CR0_WP) !== 0n;
    if (isLong) {
      if (BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address) return undefined;
      return this.#walk(address, cr3 & ADDRESS, LONG, 8, writing, protect);
    }
    if (cr4 & CR4_PAE) {
      const pointer = this.#entry(Number((cr3 & 0xffffffe0n) + (address >> 30n) * 8n), 8);
      if (pointer === undefined || !(pointer & PRESENT)) return undefined;
      return this.#walk(address, pointer & ADDRESS, LONG.slice(2), 8, writing, protect);
    }
    const levels = [
      { shift: 22n, large: (cr4 & CR4_PSE) !== 0n },
      { shift: 12n, large: false },
    ];
    return this.#walk(address, cr3 & 0xfffff000n, levels, 4, writing, protect);
  }

  #walk(
    address: bigint,
    root: bigint,
    levels: readonly Level[],
    entryBytes: 4 | 8,
    writing: boolean,
    protect: boolean,
  ): number | undefined {
    const indexMask = BigInt(PAGE / entryBytes - 1);
    const addressMask = entryBytes === 8 ? ADDRESS : 0xfffff000n;
    let table = root;
    const seen: { at: number; entry: bigint }[] = [];
    for (const [i, { shift, large }] of levels.entries()) {
      const at = Number(table) + Number((address >> shift) & indexMask) * entryBytes;
      const entry = this.#entry(at, entryBytes);
      if (entry === undefined || !(entry & PRESENT) || (protect && !(entry & WRITABLE))) return undefined;
      seen.push({ at, entry });
      const isLast = i === levels.length - 1 || (large && (entry & LARGE) !== 0n);
      if (!isLast) {
        table = entry & addressMask;
        continue;
      }
      for (const [j, step] of seen.entries()) this.#touch(step, writing && j === seen.length - 1);
      const offset = (1n << shift) - 1n;
      return Number((entry & addressMask & ~offset) | (address & offset));
    }
    return undefined;
  }

  #entry(at: number, bytes: 4 | 8): bigint | undefined {
    if (at + bytes > this.#memory.bytes) return undefined;
    return bytes === 8 ? this.#memory.readU64(at) : BigInt(this.#memory.readU32(at));
  }

  #touch({ at, entry }: { at: number; entry: bigint }, dirty: boolean): void {
    const wanted = entry | ACCESSED | (dirty ? DIRTY : 0n);
    if (wanted !== entry) this.#memory.writeU8(at, Number(wanted & 0xffn));
  }
}
