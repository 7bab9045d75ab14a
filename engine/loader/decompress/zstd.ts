import { decompress } from "fzstd";
import { LOADER_LIMITS } from "../../limits.ts";
import { type Output, StreamError } from "./output.ts";
import { xxh64Low } from "./xxh64.ts";

const ZSTD_MAGIC = 0xfd2fb528;
/** Largest block in a frame (RFC 8878, 3.1.1.2.4). */
const BLOCK_BYTES_MAX = 128 * 1024;

/** Decompresses one zstd frame (RFC 8878) that fills `input`. */
export function decompressZstd(input: Uint8Array, output: Output): void {
  const checksum = checkFrame(input, output);
  // With a buffer given, fzstd decodes into it and needs no window of its own (128 MiB for zstd --ultra -22).
  output.reserve(output.expected, 0);
  try {
    decompress(input, output.bytes);
  } catch (error) {
    throw new StreamError(error instanceof Error ? error.message : String(error), 0);
  }
  // fzstd does not say how much it has written; the frame's checksum, which zstd writes by default, covers that too.
  output.length = output.expected;
  if (checksum !== undefined && xxh64Low(output.bytes.subarray(0, output.length)) !== checksum) {
    throw new StreamError("the checksum of the decompressed bytes is wrong", input.length - 4);
  }
}

/**
 * Walks the frame's blocks without decoding them. fzstd trusts headers: a frame it would decode past its buffer, or
 * into a window of 2 GiB, is refused here. Returns the content checksum, if the frame has one.
 */
function checkFrame(input: Uint8Array, output: Output): number | undefined {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  if (input.length < 6 || view.getUint32(0, true) !== ZSTD_MAGIC) throw new StreamError("no zstd frame", 0);
  const descriptor = input[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >>> 6;
  if (descriptor & 0x08) throw new StreamError("a reserved bit of the frame header is set", 4);
  if (descriptor & 0x03) throw new StreamError("the frame needs a dictionary", 4);
  const contentSizeBytes = contentSizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << contentSizeFlag;
  let at = singleSegment ? 5 : 6;
  if (input.length < at + contentSizeBytes) throw new StreamError("the frame header is cut off", at);
  if (contentSizeBytes > 0) {
    let stated = 0;
    for (let i = contentSizeBytes - 1; i >= 0; i--) stated = stated * 256 + input[at + i]!;
    if (contentSizeBytes === 2) stated += 256;
    if (stated !== output.expected) {
      throw new StreamError(
        `the frame holds ${stated} bytes where the payload states ${output.expected}`,
        at,
      );
    }
  }
  at += contentSizeBytes;

  let blocks = 0;
  let plainBytes = 0;
  for (let last = false; !last; ) {
    if (input.length < at + 3) throw new StreamError("a block header is cut off", at);
    const header = input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16);
    last = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (type === 3) throw new StreamError("a block has the reserved type", at);
    if (size > BLOCK_BYTES_MAX) throw new StreamError(`a block of ${size} bytes exceeds 128 KiB`, at);
    if (type !== 2) plainBytes += size;
    if (plainBytes > output.expected || ++blocks > LOADER_LIMITS.compressedBlocks) {
      throw new StreamError("the frame holds more than it states", at);
    }
    const stored = type === 1 ? 1 : size;
    at += 3;
    if (stored > input.length - at) throw new StreamError("a block is cut off", at);
    at += stored;
  }
  const hasChecksum = (descriptor & 0x04) !== 0;
  if (at + (hasChecksum ? 4 : 0) !== input.length)
    throw new StreamError("the frame does not end with its stream", at);
  return hasChecksum ? view.getUint32(at, true) : undefined;
}
