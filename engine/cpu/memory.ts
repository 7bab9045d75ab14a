import type { PageStore } from "../memory/page-store.ts";
import type { CoreExports } from "./cpu.ts";
import type { PhysicalMemory } from "./types.ts";

const PAGE = 4096;
const PAGE_DIRTY = 1;

/** Guest-physical memory, as the host half sees it through the core's frame table. */
export class CoreMemory implements PhysicalMemory {
  readonly bytes: number;
  readonly #core: CoreExports;
  readonly #wasm: WebAssembly.Memory;
  readonly #pages: number;
  readonly #store: PageStore;

  constructor(core: CoreExports, wasm: WebAssembly.Memory, pages: number, store: PageStore) {
    this.#core = core;
    this.#store = store;
    this.#wasm = wasm;
    this.#pages = pages;
    this.bytes = pages * PAGE;
  }

  #check(address: number, length: number): void {
    if (!(address >= 0 && length >= 0 && address + length <= this.bytes)) {
      throw new RangeError(
        `guest-physical range 0x${address.toString(16)}+0x${length.toString(16)} is outside memory`,
      );
    }
  }

  /** The bytes of one page from `offset`, after the core has been told what will happen to them. */
  #bytes(gfn: number, offset: number, size: number, write: boolean): Uint8Array {
    const frame = (write ? this.#core.pageForWrite(gfn, offset, size) : this.#core.pageForRead(gfn)) >>> 0;
    return new Uint8Array(this.#wasm.buffer, frame + offset, size);
  }

  read(address: number, length: number): Uint8Array {
    this.#check(address, length);
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + done;
      const offset = at % PAGE;
      const n = Math.min(PAGE - offset, length - done);
      out.set(this.#bytes((at - offset) / PAGE, offset, n, false), done);
      done += n;
    }
    return out;
  }

  write(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const offset = at % PAGE;
      const n = Math.min(PAGE - offset, bytes.length - done);
      this.#bytes((at - offset) / PAGE, offset, n, true).set(bytes.subarray(done, done + n));
      done += n;
    }
  }

  load(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const offset = at % PAGE;
      const n = Math.min(PAGE - offset, bytes.length - done);
      const piece = bytes.subarray(done, done + n);
      if (n === PAGE && this.#frame(at / PAGE) === 0) this.#store.write(at / PAGE, piece);
      else this.write(at, piece);
      done += n;
    }
  }

  /** Address of the page's frame, 0 if it is not resident. */
  #frame(gfn: number): number {
    const table = new Uint32Array(this.#wasm.buffer, this.#core.frameTableAddress() >>> 0, this.#pages);
    return table[gfn] ?? 0;
  }

  #readView(address: number, size: number): DataView {
    const b = this.read(address, size);
    return new DataView(b.buffer);
  }

  readU8(address: number): number {
    return this.#readView(address, 1).getUint8(0);
  }
  readU32(address: number): number {
    return this.#readView(address, 4).getUint32(0, true);
  }
  readU64(address: number): bigint {
    return this.#readView(address, 8).getBigUint64(0, true);
  }
  writeU8(address: number, value: number): void {
    this.write(address, Uint8Array.of(value));
  }
  writeU32(address: number, value: number): void {
    const b = new Uint8Array(4);
    new DataView(b.buffer).setUint32(0, value, true);
    this.write(address, b);
  }
  writeU64(address: number, value: bigint): void {
    const b = new Uint8Array(8);
    new DataView(b.buffer).setBigUint64(0, value, true);
    this.write(address, b);
  }

  dirtyPages(): number[] {
    const flags = new Uint8Array(this.#wasm.buffer, this.#core.pageFlagsAddress() >>> 0, this.#pages);
    const dirty: number[] = [];
    for (let gfn = 0; gfn < this.#pages; gfn++) if ((flags[gfn] ?? 0) & PAGE_DIRTY) dirty.push(gfn);
    return dirty;
  }

  countDirtyPages(): number {
    const flags = new Uint8Array(this.#wasm.buffer, this.#core.pageFlagsAddress() >>> 0, this.#pages);
    let count = 0;
    for (let gfn = 0; gfn < this.#pages; gfn++) count += (flags[gfn] ?? 0) & PAGE_DIRTY;
    return count;
  }

  page(gfn: number): Uint8Array {
    this.#check(gfn * PAGE, PAGE);
    return this.#bytes(gfn, 0, PAGE, false);
  }

  copyPage(gfn: number, into: Uint8Array): boolean {
    this.#check(gfn * PAGE, PAGE);
    const frame = this.#frame(gfn);
    if (frame !== 0) into.set(new Uint8Array(this.#wasm.buffer, frame, PAGE));
    else if (!this.#store.read(gfn, into)) {
      into.fill(0);
      return false;
    }
    return true;
  }

  clearDirty(): void {
    this.#core.clearDirty();
  }
}
