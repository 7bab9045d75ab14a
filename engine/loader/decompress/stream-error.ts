/** Why a compressed stream cannot be decompressed; `offset` is relative to the start of the stream. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}
