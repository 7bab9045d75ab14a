/**
 * A file that is read in pieces, wherever it is kept: a blob in R2, a file on disk, bytes in memory. It does not change
 * while it is read.
 */
export interface ByteSource {
  /** Bytes of the whole file. */
  readonly size: number;
  /**
   * The `length` bytes from `offset`, which lie inside the file. They are good until the next read, and not to be written
   * to. One read at a time.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Bytes that are in memory anyway. */
class MemorySource implements ByteSource {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes.subarray(offset, offset + length));
  }
}

/** A file as given, as a ByteSource. */
export function sourceOf(file: Uint8Array | ByteSource): ByteSource {
  return file instanceof Uint8Array ? new MemorySource(file) : file;
}

/** Calls `use` with the bytes [offset, offset + length), piece after piece, no more than `pieceBytes` at a time. */
export async function readPieces(
  source: ByteSource,
  offset: number,
  length: number,
  pieceBytes: number,
  use: (piece: Uint8Array, at: number) => void,
): Promise<void> {
  for (let at = offset, left = length; left > 0; ) {
    const piece = await source.read(at, Math.min(left, pieceBytes));
    use(piece, at);
    at += piece.length;
    left -= piece.length;
  }
}
