// The states that a case of the door can start from, and how its addresses reach memory.

import type { Cpu } from "../cpu.ts";
import type { PhysicalMemory } from "../types.ts";
import { AddressSpace, PAGE_BYTES } from "./address-space.ts";
import { SELECTORS, tablesAt } from "./descriptors.ts";

export type Mode = 64 | 32 | 16;

/** Memory as the addresses of a case see it. All throw RangeError for an address that is not there. */
export interface Space {
  map(address: bigint, bytes: bigint): void;
  write(address: bigint, bytes: Uint8Array): void;
  read(address: bigint, length: number): Uint8Array;
  /** Whether the page at an address whose access faulted was only waiting for one: it is there now. */
  provide(address: bigint): boolean;
}

/** What is mapped at once is at most so large; of a larger map each page comes with its first use. */
export const EAGER_BYTES = 64n << 20n;

const FIRST_PAGE = 1;
const MIB = 1 << 20;
const PAGE_OFFSET = BigInt(PAGE_BYTES) - 1n;
/** Virtual addresses have 48 bits, the last of them repeated (SDM vol. 1 3.3.7.1). */
const CANONICAL_BITS = 48;
const EVERYTHING = { write: true, execute: true, user: false } as const;

const STACK_BYTES = 0x10000n;
/** Top of the stack: apart from where people like to load things. */
const STACK_TOP: Readonly<Record<Mode, bigint>> = { 64: 0x7fff_0000n, 32: 0x7fff_0000n, 16: 0x7c00n };

/** Guest-physical pages of a processor that runs cases of a mode, where the case's maps do not ask for more. */
export const SHARED_PAGES: Readonly<Record<Mode, number>> = { 64: 4096, 32: 1 << 20, 16: 4096 };

const CR0_PROTECTED = 0x33n; // PE MP ET NE
const CR0_REAL = 0x32n;
const CR4_SSE = 0x600n; // OSFXSR OSXMMEXCPT
const CR4_FSGSBASE = 0x10000n;
const CODE_SEGMENT = 1;

/** Where the descriptor tables are, as the case sees it: out of the way of what people map. */
const TABLES_AT: Readonly<Record<64 | 32, number>> = { 64: 0x7ead_0000_0000, 32: 0x7ead_0000 };

/** Without paging, addresses are guest-physical: all of memory is there, and mapping only checks. */
class PhysicalSpace implements Space {
  readonly #memory: PhysicalMemory;

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
  }

  map(address: bigint, bytes: bigint): void {
    if (address + bytes > BigInt(this.#memory.bytes)) {
      const last = (address + (bytes > 0n ? bytes - 1n : 0n)).toString(16);
      throw new RangeError(`0x${last} is beyond the ${this.#memory.bytes / MIB} MiB of this mode`);
    }
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.map(address, BigInt(bytes.length));
    this.#memory.write(Number(address), bytes);
  }

  read(address: bigint, length: number): Uint8Array {
    this.map(address, BigInt(length));
    return this.#memory.read(Number(address), length);
  }

  provide(): boolean {
    return false;
  }
}

const isCanonical = (address: bigint): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(CANONICAL_BITS, address)) === address;

class PagedSpace implements Space {
  readonly pages: AddressSpace;
  readonly #onDemand: { readonly first: bigint; readonly end: bigint }[] = [];

  constructor(memory: PhysicalMemory) {
    this.pages = new AddressSpace(memory, FIRST_PAGE);
  }
  map(address: bigint, bytes: bigint): void {
    const last = address + (bytes > 0n ? bytes - 1n : 0n);
    for (const end of [address, last])
      if (!isCanonical(end)) throw new RangeError(`0x${end.toString(16)} is no canonical address`);
    if (address >> BigInt(CANONICAL_BITS) !== last >> BigInt(CANONICAL_BITS))
      throw new RangeError(`0x${address.toString(16)} to 0x${last.toString(16)} is not all canonical`);
    if (bytes <= EAGER_BYTES) this.pages.map(address, bytes, EVERYTHING);
    else this.#onDemand.push({ first: address & ~PAGE_OFFSET, end: (last | PAGE_OFFSET) + 1n });
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#provideAll(address, bytes.length);
    this.pages.write(address, bytes);
  }

  read(address: bigint, length: number): Uint8Array {
    this.#provideAll(address, length);
    return this.pages.read(address, length);
  }

  provide(address: bigint): boolean {
    if (this.pages.translate(address) !== undefined) return false;
    if (!this.#onDemand.some(({ first, end }) => address >= first && address < end)) return false;
    this.pages.map(address, 1n, EVERYTHING);
    return true;
  }

  #provideAll(address: bigint, length: number): void {
    if (this.#onDemand.length === 0) return;
    for (let at = address & ~PAGE_OFFSET; at < address + BigInt(length); at += PAGE_OFFSET + 1n)
      this.provide(at);
  }
}

/**
 * Puts a processor that comes from RESET into the start state of `mode`: ring 0, flat segments with descriptor tables that
 * have them, SSE enabled, a stack; in 64-bit mode with paging, and with RDFSBASE and its kin enabled where they are
 * `fsgsbase`, offered; in 32-bit protected mode without paging, in both without an IDT; 16 is real mode. Returns the memory the
 * case will see.
 */
export function enterMode(cpu: Cpu, mode: Mode, fsgsbase: boolean): Space {
  const space = mode === 64 ? new PagedSpace(cpu.memory) : new PhysicalSpace(cpu.memory);
  if (space instanceof PagedSpace) {
    cpu.enterLongMode(space.pages.root);
    if (fsgsbase) cpu.setControl("cr4", cpu.getControl("cr4") | CR4_FSGSBASE);
  } else {
    cpu.setControl("cr0", mode === 32 ? CR0_PROTECTED : CR0_REAL);
    cpu.setControl("cr4", CR4_SSE);
  }
  if (mode === 16) {
    for (let i = 0; i < 6; i++) {
      const attributes = i === CODE_SEGMENT ? 0x9b : 0x93;
      cpu.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes });
    }
  } else {
    const tables = tablesAt(TABLES_AT[mode], mode);
    space.map(BigInt(tables.gdt.base), BigInt(tables.bytes.length));
    space.write(BigInt(tables.gdt.base), tables.bytes);
    cpu.setFlatSegments(tables.gdt, SELECTORS.code, SELECTORS.data, mode);
    cpu.setLdt(SELECTORS.ldt, tables.ldt);
    // Without gates INT n tells its vector; the table of real mode is in memory, as poked by the case.
    cpu.setIdtLimit(0);
  }
  const bottom = STACK_TOP[mode] - (mode === 16 ? STACK_TOP[16] : STACK_BYTES);
  space.map(bottom, STACK_TOP[mode] - bottom);
  cpu.setRegister("rsp", STACK_TOP[mode]);
  return space;
}

/** Pages that the tables for some maps take at most. */
export function tablePages(mappedPages: number, maps: number): number {
  return mode64Tables(mappedPages) + 3 * (maps + 3) + Number(STACK_BYTES) / PAGE_BYTES + 3;
}

function mode64Tables(pages: number): number {
  return Math.ceil(pages / 512) + 1;
}
