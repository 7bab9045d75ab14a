import { LOADER_LIMITS } from "../../limits.ts";
import { freeBuffer } from "../../memory/free-buffer.ts";
import type { Image } from "../image.ts";
import { StreamError } from "./stream-error.ts";

/** New bytes that fit the window before it moves. */
const ROOM = LOADER_LIMITS.windowRoomBytes;
/** Copies longer than this are done in pieces, so that each fits the window. */
const PIECE = 64 * 1024;

/**
 * The decompressed bytes, of which the total is known in advance (`expected`). They go to an image; a window with the last
 * ones stays in memory, because matches repeat them. What lies further back is read from the image again.
 *
 * A byte more than `expected` is a StreamError.
 */
export class Output {
  readonly expected: number;
  /** The window. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where in the window the next byte goes. */
  at = 0;
  /** Bytes may be stored at `at` below this; then `reserve` is due. */
  limit: number;
  /** Sees every byte, in order, in pieces; before `flush` some may be missing. */
  tap: ((piece: Uint8Array) => void) | undefined;
  readonly #image: Image;
  readonly #history: number;
  /** Offset of bytes[0] in the image. */
  #base = 0;
  /** Everything in the window before this index is in the image. */
  #stored = 0;

  /** `historyBytes`: how far back matches usually reach, at most. */
  constructor(expected: number, image: Image, historyBytes: number) {
    this.expected = expected;
    this.#history = historyBytes;
    this.bytes = new Uint8Array(Math.min(expected, historyBytes + ROOM));
    this.limit = this.bytes.length;
    this.#image = image;
  }

  /** Bytes decompressed so far. */
  get length(): number {
    return this.#base + this.at;
  }

  /** Makes room for `count` more bytes, at most PIECE; `at` may be another afterwards. `offset` is the input's. */
  reserve(count: number, offset: number): void {
    if (this.length + count > this.expected) {
      throw new StreamError(`the stream holds more than the ${this.expected} bytes it states`, offset);
    }
    if (this.at + count > this.bytes.length) this.#move();
  }

  append(chunk: Uint8Array, offset: number): void {
    for (let done = 0; done < chunk.length; ) {
      const count = Math.min(PIECE, chunk.length - done);
      this.reserve(count, offset);
      this.bytes.set(chunk.subarray(done, done + count), this.at);
      this.at += count;
      done += count;
    }
  }

  fill(value: number, count: number, offset: number): void {
    for (let left = count; left > 0; ) {
      const now = Math.min(PIECE, left);
      this.reserve(now, offset);
      this.bytes.fill(value, this.at, this.at + now);
      this.at += now;
      left -= now;
    }
  }

  /**
   * Repeats `length` bytes from `distance` back, which may include the very bytes it appends. The caller has seen to it
   * that there are so many.
   */
  copy(distance: number, length: number, offset: number): void {
    for (let left = length; left > 0; ) {
      let count = Math.min(PIECE, left);
      this.reserve(count, offset);
      const { bytes, at } = this;
      const from = at - distance;
      if (from < 0) {
        count = Math.min(count, -from);
        this.#copyFar(distance, bytes.subarray(at, at + count), offset);
      } else if (distance >= count && count > 32) {
        bytes.copyWithin(at, from, from + count);
      } else {
        for (let i = 0; i < count; i++) bytes[at + i] = bytes[from + i]!;
      }
      this.at = at + count;
      left -= count;
    }
  }

  /** The byte `distance` back; there is one. */
  back(distance: number, offset: number): number {
    if (distance <= this.at) return this.bytes[this.at - distance]!;
    const byte = new Uint8Array(1);
    this.#copyFar(distance, byte, offset);
    return byte[0]!;
  }

  /** Everything decompressed so far is in the image, and was seen by `tap`. */
  flush(): void {
    if (this.#stored === this.at) return;
    const piece = this.bytes.subarray(this.#stored, this.at);
    this.#stored = this.at;
    this.#image.append(piece);
    this.tap?.(piece);
  }

  /** All is decompressed: a StreamError if fewer bytes came than expected. */
  finish(offset: number): void {
    this.flush();
    if (this.length !== this.expected) {
      throw new StreamError(`the stream holds ${this.length} bytes where it states ${this.expected}`, offset);
    }
  }

  /** Gives the window's memory back: the last call. */
  release(): void {
    freeBuffer(this.bytes.buffer);
  }

  /** Hands bytes that were decompressed, from `from` on, to `change`, and keeps what it made of them. */
  rewrite(from: number, change: (piece: Uint8Array, isLast: boolean) => number): void {
    this.flush();
    rewriteImage(this.#image, from, this.length, change);
  }

  #copyFar(distance: number, into: Uint8Array, offset: number): void {
    this.#image.copy(this.length - distance, into);
    if (this.#image.loads <= LOADER_LIMITS.farReads) return;
    throw new StreamError("the stream repeats bytes from too far back too often", offset);
  }

  #move(): void {
    this.flush();
    const kept = Math.min(this.at, this.#history);
    this.bytes.copyWithin(0, this.at - kept, this.at);
    this.#base += this.at - kept;
    this.at = kept;
    this.#stored = kept;
    this.limit = Math.min(this.bytes.length, this.expected - this.#base);
  }
}

/**
 * `change` changes the bytes it is given in place and says how many of them are finished; the others are given again, with
 * more behind them.
 */
function rewriteImage(
  image: Image,
  from: number,
  to: number,
  change: (piece: Uint8Array, isLast: boolean) => number,
): void {
  const buffer = new Uint8Array(PIECE);
  for (let at = from, held = 0; at < to; ) {
    const count = Math.min(PIECE, to - at);
    image.copy(at + held, buffer.subarray(held, count));
    const isLast = at + count === to;
    const finished = change(buffer.subarray(0, count), isLast);
    image.replace(at, buffer.subarray(0, finished));
    held = count - finished;
    buffer.copyWithin(0, finished, count);
    at += finished;
  }
}
