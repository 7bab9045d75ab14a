import { LOADER_LIMITS } from "../../limits.ts";
import type { ByteSource } from "../source.ts";
import { StreamError } from "./stream-error.ts";

/**
 * A compressed stream, read from front to end: a part of a file, of which a piece is in memory. Decoders wait only between
 * the units of their format; inside one, all bytes are there.
 */
export class Input {
  /** Bytes of the whole stream. */
  readonly length: number;
  /** The piece in memory, and where in it the next byte is. */
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  readonly #source: ByteSource;
  readonly #start: number;
  /** Offset of bytes[0] in the stream. */
  #base = 0;
  /** Where pieces are put together: one buffer again and again, because an isolate gets its memory back late. */
  #joined = new Uint8Array(0);

  /** The stream is the bytes [start, start + length) of `source`. */
  constructor(source: ByteSource, start: number, length: number) {
    this.#source = source;
    this.#start = start;
    this.length = length;
  }

  /** Offset of the next byte in the stream. */
  get offset(): number {
    return this.#base + this.at;
  }

  /** Bytes from the next one to the stream's end. */
  get left(): number {
    return this.length - this.offset;
  }

  /** Offset in the stream of bytes[index]. */
  offsetOf(index: number): number {
    return this.#base + index;
  }

  /** Makes the next `count` bytes, or all that are left, lie in `bytes`, which may be another array then. */
  async fill(count: number): Promise<void> {
    const wanted = Math.min(count, this.left);
    const kept = this.bytes.length - this.at;
    if (kept >= wanted) return;
    const missing = Math.max(wanted - kept, Math.min(LOADER_LIMITS.inputPieceBytes, this.left - kept));
    if (kept > 0) this.#keep(kept + missing);
    const piece = await this.#source.read(this.#start + this.offset + kept, missing);
    this.#base += this.at;
    this.at = 0;
    if (kept === 0) {
      this.bytes = piece;
    } else {
      this.#joined.set(piece, kept);
      this.bytes = this.#joined.subarray(0, kept + piece.length);
    }
  }

  /** Copies what is left of a piece, because the next read takes its memory, to where there is room for `total` bytes. */
  #keep(total: number): void {
    const unit = LOADER_LIMITS.inputPieceBytes;
    const joined =
      total <= this.#joined.length ? this.#joined : new Uint8Array(Math.ceil(total / unit) * unit);
    joined.set(this.bytes.subarray(this.at));
    this.#joined = joined;
  }

  /** The next `count` bytes: a view that is good until the next call. A StreamError "`what` is cut off" if there are fewer. */
  async take(count: number, what: string): Promise<Uint8Array> {
    if (count > this.left) throw new StreamError(`${what} is cut off`, this.offset);
    await this.fill(count);
    const taken = this.bytes.subarray(this.at, this.at + count);
    this.at += count;
    return taken;
  }
}

/** Runs `decode` on a part of the stream that begins at `offset`: the offsets in its StreamErrors become the stream's. */
export function inPart<T>(offset: number, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    throw new StreamError(error.message, offset + error.offset);
  }
}
