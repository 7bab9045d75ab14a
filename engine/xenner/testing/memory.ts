import type { PhysicalMemory } from "../../cpu/types.ts";

const PAGE_BYTES = 4096;

/** Guest-physical memory in one array, for tests without a processor. */
export class ArrayMemory implements PhysicalMemory {
  readonly bytes: number;
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #dirty = new Set<number>();

  constructor(pages: number) {
    this.bytes = pages * PAGE_BYTES;
    this.#data = new Uint8Array(this.bytes);
    this.#view = new DataView(this.#data.buffer);
  }

  read(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.#data.slice(address, address + length);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    this.#data.set(bytes, address);
    this.#touch(address, bytes.length);
  }

  load(address: number, bytes: Uint8Array): void {
    this.write(address, bytes);
  }

  readU8(address: number): number {
    return this.#view.getUint8(address);
  }

  readU32(address: number): number {
    return this.#view.getUint32(address, true);
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(address, true);
  }

  writeU8(address: number, value: number): void {
    this.#view.setUint8(address, value);
    this.#touch(address, 1);
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(address, value, true);
    this.#touch(address, 4);
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(address, value, true);
    this.#touch(address, 8);
  }

  dirtyPages(): number[] {
    return [...this.#dirty].sort((a, b) => a - b);
  }

  countDirtyPages(): number {
    return this.#dirty.size;
  }

  page(gfn: number): Uint8Array {
    return this.#data.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
  }

  copyPage(gfn: number, into: Uint8Array): boolean {
    into.set(this.page(gfn));
    return true;
  }

  clearDirty(): void {
    this.#dirty.clear();
  }

  #touch(address: number, length: number): void {
    const last = Math.floor((address + length - 1) / PAGE_BYTES);
    for (let gfn = Math.floor(address / PAGE_BYTES); gfn <= last; gfn++) this.#dirty.add(gfn);
  }

  #check(address: number, length: number): void {
    if (address < 0 || length < 0 || address + length > this.bytes) {
      throw new RangeError(`${length} bytes at ${address} are outside memory`);
    }
  }
}
