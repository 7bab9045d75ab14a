/** Bytes of a chunk. */
export const SPOOL_CHUNK_BYTES = 64 * 1024;

/**
 * Where a decompressed kernel waits until its segments are placed, chunk by chunk. Synchronous, because decompressors
 * reach back into it. It needs to outlive neither the process nor the job.
 */
export interface Spool {
  /** Keeps a copy of chunk `index`, SPOOL_CHUNK_BYTES long, which may replace an earlier one. */
  write(index: number, chunk: Uint8Array): void;
  /** Copies chunk `index`, which was written, into `into`. */
  read(index: number, into: Uint8Array): void;
  /** Forgets all chunks. */
  clear(): void;
  /** Called now and then in long work between two calls: a moment for other events of the process. */
  rest(): Promise<void>;
}

/** A spool in memory, where there is enough of it. */
export class MemorySpool implements Spool {
  readonly #chunks: Uint8Array[] = [];

  write(index: number, chunk: Uint8Array): void {
    const kept = this.#chunks[index];
    if (kept === undefined) this.#chunks[index] = chunk.slice();
    else kept.set(chunk);
  }

  read(index: number, into: Uint8Array): void {
    into.set(this.#chunks[index]!);
  }

  clear(): void {
    this.#chunks.length = 0;
  }

  rest(): Promise<void> {
    return Promise.resolve();
  }
}
