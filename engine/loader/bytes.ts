import { hex, LoadError, REMEDY_COMPLETE_FILE } from "./errors.ts";

/**
 * Little-endian reads of a file that may end anywhere. Every read is checked; a read past the end is a LoadError
 * "truncated" that names the structure being read.
 */
export class Bytes {
  readonly data: Uint8Array;
  readonly #view: DataView;

  constructor(data: Uint8Array) {
    this.data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get length(): number {
    return this.data.length;
  }

  u8(offset: number, what: string): number {
    this.#check(offset, 1, what);
    return this.#view.getUint8(offset);
  }

  u16(offset: number, what: string): number {
    this.#check(offset, 2, what);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number, what: string): number {
    this.#check(offset, 4, what);
    return this.#view.getUint32(offset, true);
  }

  u64(offset: number, what: string): bigint {
    this.#check(offset, 8, what);
    return this.#view.getBigUint64(offset, true);
  }

  /** A view, not a copy. */
  slice(offset: number, length: number, what: string): Uint8Array {
    this.#check(offset, length, what);
    return this.data.subarray(offset, offset + length);
  }

  /** True if `length` bytes at `offset` are inside. */
  has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.data.length;
  }

  #check(offset: number, length: number, what: string): void {
    if (this.has(offset, length)) return;
    throw new LoadError({
      code: "truncated",
      what: `the file has ${this.data.length} bytes and ends inside ${what}, which needs ${length} bytes`,
      where: `offset ${hex(offset)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
}

/** The text up to the first NUL (or the end), one character a byte. */
export function asciiz(data: Uint8Array, limit: number): string {
  const window = data.subarray(0, limit);
  const end = window.indexOf(0);
  return String.fromCharCode(...(end < 0 ? window : window.subarray(0, end)));
}
