// Page tables for a flat program: 4-level paging (SDM vol. 3A 4.5), built in guest-physical memory by the host half.

import type { PhysicalMemory } from "../types.ts";

export const PAGE_BYTES = 4096;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const NO_EXECUTE = 1n << 63n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const TABLE = PRESENT | WRITABLE | USER;
const LEVEL_SHIFTS = [39n, 30n, 21n];
const INDEX = 0x1ffn;

export interface Access {
  readonly write: boolean;
  readonly execute: boolean;
  readonly user: boolean;
}

/**
 * An address space that takes its pages, tables and memory alike, one after the other from guest-physical memory,
 * starting at page `firstPage`. `root` is what belongs into CR3.
 */
export class AddressSpace {
  readonly root: number;
  readonly #memory: PhysicalMemory;
  #next: number;
  /** Guest-physical address of each mapped virtual page. */
  readonly #pages = new Map<bigint, number>();

  constructor(memory: PhysicalMemory, firstPage: number) {
    this.#memory = memory;
    this.#next = firstPage;
    this.root = this.#take();
  }

  #take(): number {
    const address = this.#next++ * PAGE_BYTES;
    if (address + PAGE_BYTES > this.#memory.bytes)
      throw new RangeError("out of guest-physical memory for page tables and maps");
    return address;
  }

  /** Maps every page that [virtual, virtual + bytes) touches to a fresh zero page; a page already mapped stays. */
  map(virtual: bigint, bytes: bigint, access: Access): void {
    const first = virtual & ~0xfffn;
    for (let at = first; at < virtual + bytes; at += 4096n) {
      const page = BigInt.asUintN(64, at);
      if (!this.#pages.has(page)) this.#mapPage(page, this.#take(), access);
    }
  }

  #mapPage(virtual: bigint, physical: number, access: Access): void {
    let table = this.root;
    for (const shift of LEVEL_SHIFTS) {
      const entryAt = table + 8 * Number((virtual >> shift) & INDEX);
      let entry = this.#memory.readU64(entryAt);
      if ((entry & PRESENT) === 0n) {
        entry = BigInt(this.#take()) | TABLE;
        this.#memory.writeU64(entryAt, entry);
      }
      table = Number(entry & ADDRESS);
    }
    const leaf =
      BigInt(physical) |
      PRESENT |
      (access.write ? WRITABLE : 0n) |
      (access.user ? USER : 0n) |
      (access.execute ? 0n : NO_EXECUTE);
    this.#memory.writeU64(table + 8 * Number((virtual >> 12n) & INDEX), leaf);
    this.#pages.set(virtual, physical);
  }

  /** The guest-physical address behind a virtual one, or undefined if it is not mapped. */
  translate(virtual: bigint): number | undefined {
    const page = this.#pages.get(BigInt.asUintN(64, virtual) & ~0xfffn);
    return page === undefined ? undefined : page + Number(virtual & 0xfffn);
  }

  /** Writes bytes at a virtual address. Throws RangeError if some of it is not mapped. */
  write(virtual: bigint, bytes: Uint8Array): void {
    this.#chunks(virtual, bytes.length, (physical, from, n) =>
      this.#memory.write(physical, bytes.subarray(from, from + n)),
    );
  }

  /** Reads bytes at a virtual address. Throws RangeError if some of it is not mapped. */
  read(virtual: bigint, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.#chunks(virtual, length, (physical, from, n) => out.set(this.#memory.read(physical, n), from));
    return out;
  }

  #chunks(virtual: bigint, length: number, each: (physical: number, from: number, n: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = virtual + BigInt(done);
      const physical = this.translate(at);
      if (physical === undefined)
        throw new RangeError(`0x${BigInt.asUintN(64, at).toString(16)} is not mapped`);
      const n = Math.min(length - done, PAGE_BYTES - (physical % PAGE_BYTES));
      each(physical, done, n);
      done += n;
    }
  }
}
