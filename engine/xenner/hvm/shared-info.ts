/* struct shared_info and struct vcpu_info of the one virtual processor (xen/include/public/xen.h), in either word size. */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { CORE_TSC, PAGE_BYTES } from "../abi.ts";
import { BLOB_COUNTERS, NOSYS_NUMBERS, SIGNATURE, TAIL } from "./blob-layout.ts";

export const VCPU_INFO_BYTES = 64;
const UPCALL_PENDING = 0;
const UPCALL_MASK = 1;
const TIME = 32;
export const TIME_INFO_BYTES = 32;
/** PVCLOCK_TSC_STABLE_BIT. */
const TSC_STABLE = 1;

interface Offsets {
  readonly word: 4 | 8;
  /** In vcpu_info. */
  readonly pendingSel: number;
  /** In shared_info. */
  readonly pending: number;
  readonly mask: number;
  readonly wallclock: number;
}
export const WIDE: Offsets = { word: 8, pendingSel: 8, pending: 2048, mask: 2560, wallclock: 3072 };
export const NARROW: Offsets = { word: 4, pendingSel: 4, pending: 2048, mask: 2176, wallclock: 2304 };

export interface SavedSharedInfo {
  readonly page: number;
  readonly vcpuInfo: number | null;
  readonly wide: boolean;
  /** The code in the hypercall pages finds what it needs behind struct shared_info. */
  readonly hasTail: boolean;
  /** Events are marked here; else in FIFO queues. */
  readonly isTwoLevel: boolean;
}

/** What the code in the hypercall pages is told of the domain. */
export interface TailValues {
  /** By which it knows the page: not zero. */
  readonly magic: number;
  /** XENMEM_maximum_ram_page. */
  readonly lastPage: number;
}

/** What the code in the hypercall pages has counted: calls by number that are not offered, and by BLOB_COUNTERS. */
export interface TailCounts {
  readonly nosys: readonly number[];
  readonly counters: readonly number[];
}

/** Where event channels leave their marks. It knows no ports' meaning: event-channels.ts does. */
export class SharedInfo {
  readonly #memory: PhysicalMemory;
  /** Physical byte addresses. */
  #page: number;
  #vcpuInfo: number | undefined;
  #wide: boolean;
  #hasTail: boolean;
  #isTwoLevel: boolean;
  readonly #tail: TailValues;

  constructor(memory: PhysicalMemory, saved: SavedSharedInfo, tail: TailValues) {
    this.#tail = tail;
    this.#hasTail = saved.hasTail;
    this.#isTwoLevel = saved.isTwoLevel;
    this.#memory = memory;
    this.#page = saved.page;
    this.#vcpuInfo = saved.vcpuInfo ?? undefined;
    this.#wide = saved.wide;
  }

  get page(): number {
    return this.#page;
  }

  /** What the code in the hypercall pages knows this page by. */
  get magic(): number {
    return this.#tail.magic;
  }

  /** Event channels of the two-level ABI: as many as bits of a word squared. */
  get ports(): number {
    return (this.#offsets.word * 8) ** 2;
  }

  get hasOwnVcpuInfo(): boolean {
    return this.#vcpuInfo !== undefined;
  }

  get upcallPending(): boolean {
    return this.#memory.readU8(this.#vcpu + UPCALL_PENDING) !== 0;
  }

  /** Fills in what the hypervisor says: wall clock at time zero, and the clock. */
  initialise(startTime: number): void {
    const { wallclock } = this.#offsets;
    this.#memory.writeU32(this.#page + wallclock, 2);
    this.#memory.writeU32(this.#page + wallclock + 4, Math.floor(startTime) >>> 0);
    this.#memory.writeU32(this.#page + wallclock + 8, 0);
    if (this.#wide) {
      this.#memory.writeU32(this.#page + wallclock + 12, Math.floor(startTime / 2 ** 32));
    }
    this.#memory.write(this.#vcpu + TIME, timeInfo());
  }

  /** The page goes elsewhere, with what is in it. */
  moveTo(page: number): void {
    this.#memory.write(page, this.#memory.read(this.#page, PAGE_BYTES));
    // Whoever still has the old page mapped must not take it for this one.
    if (this.#hasTail) this.#memory.writeU32(this.#page + TAIL.magic, 0);
    this.#page = page;
  }

  /** From now on the code in the hypercall pages finds in the page's tail what it needs. */
  openTail(): void {
    if (this.#hasTail) return;
    this.#hasTail = true;
    this.#memory.write(this.#page + TAIL.magic, new Uint8Array(PAGE_BYTES - TAIL.magic));
    this.#writeTail();
  }

  /** The guest may have written over it. */
  repairTail(): void {
    const { magic } = this.#tail;
    const isWhole =
      this.#memory.readU32(this.#page + TAIL.magic) === magic &&
      this.#memory.readU32(this.#page + TAIL.signature) === SIGNATURE;
    if (this.#hasTail && !isWhole) this.#writeTail();
  }

  /** Undefined if nothing is counted there. A guest can write there what it likes: it deceives itself. */
  tailCounts(): TailCounts | undefined {
    if (!this.#hasTail) return undefined;
    const list = (at: number, length: number): number[] =>
      Array.from({ length }, (_, i) => {
        const count = this.#memory.readU64(this.#page + at + 8 * i);
        return count > BigInt(Number.MAX_SAFE_INTEGER) ? 0 : Number(count);
      });
    return { nosys: list(TAIL.nosys, NOSYS_NUMBERS), counters: list(TAIL.counters, BLOB_COUNTERS.length) };
  }

  /** The layout is that of a guest with this word size from now on; a change loses what is pending. */
  setWide(wide: boolean, startTime: number): void {
    if (wide === this.#wide) return;
    this.#wide = wide;
    this.#memory.write(this.#page, new Uint8Array(TAIL.magic));
    this.initialise(startTime);
    if (this.#hasTail) this.#writeTail();
  }

  /** VCPUOP_register_vcpu_info: as Xen, marks everything as pending, so that the guest looks at all once. */
  registerVcpuInfo(address: number): void {
    this.#memory.write(address, this.#memory.read(this.#vcpu, VCPU_INFO_BYTES));
    this.#vcpuInfo = address;
    this.#writeWord(address + this.#offsets.pendingSel, (1n << 64n) - 1n);
    this.#memory.writeU8(address + UPCALL_PENDING, 1);
    if (this.#hasTail) this.#writeTail();
  }

  /** Makes the upcall pending; true if it was not. */
  markUpcall(): boolean {
    if (this.upcallPending) return false;
    this.#memory.writeU8(this.#vcpu + UPCALL_PENDING, 1);
    return true;
  }

  /** Whether this page is where events are marked, which the code in the hypercall pages has to know. */
  setTwoLevel(isTwoLevel: boolean): void {
    this.#isTwoLevel = isTwoLevel;
    if (this.#hasTail) this.#writeTail();
  }

  /** Marks a port; true if the upcall has become pending by it. */
  mark(port: number): boolean {
    if (this.#setBit(this.#page + this.#offsets.pending, port)) return false;
    return !this.isMasked(port) && this.#select(port);
  }

  isMarked(port: number): boolean {
    return this.#bit(this.#page + this.#offsets.pending, port);
  }

  isMasked(port: number): boolean {
    return this.#bit(this.#page + this.#offsets.mask, port);
  }

  /** EVTCHNOP_unmask; true if the upcall has become pending by it. */
  unmask(port: number): boolean {
    const wasMasked = this.#clearBit(this.#page + this.#offsets.mask, port);
    return wasMasked && this.isMarked(port) && this.#select(port);
  }

  /** The port is nobody's any more. */
  clear(port: number): void {
    this.#clearBit(this.#page + this.#offsets.pending, port);
  }

  /** SCHEDOP_block lets events through again. */
  clearUpcallMask(): void {
    this.#memory.writeU8(this.#vcpu + UPCALL_MASK, 0);
  }

  save(): SavedSharedInfo {
    return {
      page: this.#page,
      vcpuInfo: this.#vcpuInfo ?? null,
      wide: this.#wide,
      hasTail: this.#hasTail,
      isTwoLevel: this.#isTwoLevel,
    };
  }

  /** All but the counters. */
  #writeTail(): void {
    const put = (offset: number, value: number): void => this.#memory.writeU32(this.#page + offset, value);
    put(TAIL.magic, this.#tail.magic);
    put(TAIL.signature, SIGNATURE);
    put(TAIL.ports64, this.#isTwoLevel && this.#wide ? this.ports : 0);
    put(TAIL.ports32, this.#isTwoLevel && !this.#wide ? this.ports : 0);
    put(TAIL.vcpuInfo, this.#vcpuInfo === undefined ? 0 : 1);
    put(TAIL.lastPage, this.#tail.lastPage);
  }

  get #offsets(): Offsets {
    return this.#wide ? WIDE : NARROW;
  }

  get #vcpu(): number {
    return this.#vcpuInfo ?? this.#page;
  }

  #select(port: number): boolean {
    const { word, pendingSel } = this.#offsets;
    if (this.#setBit(this.#vcpu + pendingSel, Math.floor(port / (word * 8)))) return false;
    return this.markUpcall();
  }

  #writeWord(address: number, value: bigint): void {
    if (this.#wide) this.#memory.writeU64(address, value);
    else this.#memory.writeU32(address, Number(value & 0xffffffffn));
  }

  #bit(base: number, bit: number): boolean {
    return (this.#memory.readU8(base + (bit >> 3)) & (1 << (bit & 7))) !== 0;
  }

  /** Returns what it was. */
  #setBit(base: number, bit: number): boolean {
    const at = base + (bit >> 3);
    const old = this.#memory.readU8(at);
    this.#memory.writeU8(at, old | (1 << (bit & 7)));
    return (old & (1 << (bit & 7))) !== 0;
  }

  #clearBit(base: number, bit: number): boolean {
    const at = base + (bit >> 3);
    const old = this.#memory.readU8(at);
    this.#memory.writeU8(at, old & ~(1 << (bit & 7)));
    return (old & (1 << (bit & 7))) !== 0;
  }
}

/** struct pvclock_vcpu_time_info: the clock never changes its rate, so this is written once. */
export function timeInfo(): Uint8Array {
  const bytes = new Uint8Array(TIME_INFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 2, true);
  view.setUint32(24, CORE_TSC.tscToSystemMul, true);
  view.setInt8(28, CORE_TSC.tscShift);
  view.setUint8(29, TSC_STABLE);
  return bytes;
}
