/** Why a compressed stream cannot be decompressed; `offset` is relative to the start of the stream. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * The decompressed bytes, of which the total is known in advance (`expected`). The buffer grows with what really
 * arrives, so a tiny stream that claims to be huge costs nothing; a byte more than `expected` is a StreamError.
 */
export class Output {
  readonly expected: number;
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  /** `expected`: bytes that will come; `compressedLength`: size of the stream, from which a first size is guessed. */
  constructor(expected: number, compressedLength: number) {
    this.expected = expected;
    // Kernels compress to a quarter or less, but rarely below a tenth: usually this is the only allocation.
    this.bytes = new Uint8Array(Math.min(expected, Math.max(64 * 1024, compressedLength * 10)));
  }

  /** Makes room for `count` more bytes; call before writing, and read `bytes` again afterwards. */
  reserve(count: number, offset: number): void {
    const needed = this.length + count;
    if (needed > this.expected) {
      throw new StreamError(`the stream holds more than the ${this.expected} bytes it states`, offset);
    }
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.min(this.expected, Math.max(needed, this.bytes.length * 4)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  append(chunk: Uint8Array, offset: number): void {
    this.reserve(chunk.length, offset);
    this.bytes.set(chunk, this.length);
    this.length += chunk.length;
  }

  /** The finished bytes; a StreamError if fewer came than expected. */
  finish(offset: number): Uint8Array<ArrayBuffer> {
    if (this.length !== this.expected) {
      throw new StreamError(`the stream holds ${this.length} bytes where it states ${this.expected}`, offset);
    }
    return this.bytes.subarray(0, this.length);
  }
}
