import { hex, LoadError, REMEDY_COMPLETE_FILE } from "./errors.ts";

/** Bytes that can be read anywhere. */
export interface RandomAccess {
  readonly length: number;
  /** A copy or a view of bytes that lie inside; not to be written to. */
  bytes(offset: number, length: number): Uint8Array;
  /** Fills `into` with bytes that lie inside. */
  copy(offset: number, into: Uint8Array): void;
}

/** A copy of bytes that lie inside, which begins at the beginning of its buffer: typed arrays need that. */
export function copyOf(from: RandomAccess, offset: number, length: number): ArrayBuffer {
  const bytes = new Uint8Array(length);
  from.copy(offset, bytes);
  return bytes.buffer;
}

/**
 * Little-endian reads of a file that may end anywhere. Every read is checked; a read past the end is a LoadError
 * "truncated" that names the structure being read.
 */
export class Bytes {
  readonly #data: RandomAccess;

  constructor(data: Uint8Array | RandomAccess) {
    this.#data =
      data instanceof Uint8Array
        ? {
            length: data.length,
            bytes: (offset, length) => data.subarray(offset, offset + length),
            copy: (offset, into) => into.set(data.subarray(offset, offset + into.length)),
          }
        : data;
  }

  get length(): number {
    return this.#data.length;
  }

  u8(offset: number, what: string): number {
    return this.slice(offset, 1, what)[0]!;
  }

  u16(offset: number, what: string): number {
    const b = this.slice(offset, 2, what);
    return b[0]! | (b[1]! << 8);
  }

  u32(offset: number, what: string): number {
    const b = this.slice(offset, 4, what);
    return (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0;
  }

  u64(offset: number, what: string): bigint {
    this.slice(offset, 8, what);
    return BigInt(this.u32(offset, what)) | (BigInt(this.u32(offset + 4, what)) << 32n);
  }

  /** A view or a copy, not to be written to. */
  slice(offset: number, length: number, what: string): Uint8Array {
    if (this.has(offset, length)) return this.#data.bytes(offset, length);
    throw new LoadError({
      code: "truncated",
      what: `the file has ${this.length} bytes and ends inside ${what}, which needs ${length} bytes`,
      where: `offset ${hex(offset)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }

  /** True if `length` bytes at `offset` are inside. */
  has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.length;
  }
}

/** The text up to the first NUL (or the end), one character a byte. */
export function asciiz(data: Uint8Array, limit: number): string {
  const window = data.subarray(0, limit);
  const end = window.indexOf(0);
  return String.fromCharCode(...(end < 0 ? window : window.subarray(0, end)));
}
