import { LOADER_LIMITS } from "../limits.ts";
import type { RandomAccess } from "./bytes.ts";
import { type ByteSource, readPieces } from "./source.ts";
import { SPOOL_CHUNK_BYTES, type Spool } from "./spool.ts";

const CHUNK = SPOOL_CHUNK_BYTES;

/**
 * A decompressed kernel: written once from front to end, then read anywhere. A few chunks are in memory, the rest is in the
 * spool.
 */
export class Image implements RandomAccess {
  readonly #spool: Spool;
  /** The last chunk, as far as it was written. */
  readonly #tail = new Uint8Array(CHUNK);
  #length = 0;
  /** Chunks read from the spool, least recently used first. */
  readonly #cache = new Map<number, Uint8Array>();
  /** Those of them that were changed since. */
  readonly #changed = new Set<number>();
  #loads = 0;

  /** An empty image; what the spool held is forgotten. */
  constructor(spool: Spool) {
    this.#spool = spool;
    spool.clear();
  }

  get length(): number {
    return this.#length;
  }

  /** Chunks that had to be read from the spool so far. */
  get loads(): number {
    return this.#loads;
  }

  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = this.#length % CHUNK;
      const count = Math.min(CHUNK - at, bytes.length - done);
      this.#tail.set(bytes.subarray(done, done + count), at);
      this.#length += count;
      done += count;
      if (at + count === CHUNK) this.#spool.write(this.#length / CHUNK - 1, this.#tail);
    }
  }

  bytes(offset: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.copy(offset, out);
    return out;
  }

  copy(offset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = (offset + done) % CHUNK;
      const count = Math.min(CHUNK - at, into.length - done);
      const chunk = this.#chunk(Math.floor((offset + done) / CHUNK));
      into.set(chunk.subarray(at, at + count), done);
      done += count;
    }
  }

  /** Replaces bytes that were written. */
  replace(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = (offset + done) % CHUNK;
      const count = Math.min(CHUNK - at, bytes.length - done);
      const index = Math.floor((offset + done) / CHUNK);
      const chunk = this.#chunk(index);
      chunk.set(bytes.subarray(done, done + count), at);
      if (chunk !== this.#tail) this.#changed.add(index);
      done += count;
    }
  }

  #chunk(index: number): Uint8Array {
    if (index === Math.floor(this.#length / CHUNK)) return this.#tail;
    const cached = this.#cache.get(index);
    if (cached !== undefined) {
      this.#cache.delete(index);
      this.#cache.set(index, cached);
      return cached;
    }
    const chunk = this.#cache.size < LOADER_LIMITS.imageChunks ? new Uint8Array(CHUNK) : this.#oldest();
    this.#spool.read(index, chunk);
    this.#loads++;
    this.#cache.set(index, chunk);
    return chunk;
  }

  /** Takes the least recently used chunk's buffer from the cache. */
  #oldest(): Uint8Array {
    for (const [index, chunk] of this.#cache) {
      this.#cache.delete(index);
      if (this.#changed.delete(index)) this.#spool.write(index, chunk);
      return chunk;
    }
    return new Uint8Array(CHUNK);
  }
}

/** The bytes [start, start + length) of `source` as an image: a kernel that is not compressed. */
export async function imageOf(
  source: ByteSource,
  start: number,
  length: number,
  spool: Spool,
): Promise<Image> {
  const image = new Image(spool);
  await readPieces(source, start, length, LOADER_LIMITS.inputPieceBytes, (piece) => image.append(piece));
  return image;
}
