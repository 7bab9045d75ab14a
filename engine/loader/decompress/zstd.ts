import { LOADER_LIMITS } from "../../limits.ts";
import { type Output, StreamError } from "./output.ts";
import { xxh64Low } from "./xxh64.ts";
import { BLOCK_BYTES_MAX, type HuffmanTable, readLiterals } from "./zstd-literals.ts";
import { executeSequences, initialSequenceState } from "./zstd-sequences.ts";

/*
 * Zstandard frames: RFC 8878. Libraries decode a hostile frame for as long as it likes, because a few bits can ask for a
 * match of 128 KiB; here a block may not exceed its size, nor the frame what it states.
 */

const MAGIC = 0xfd2fb528;
const BLOCK_RAW = 0;
const BLOCK_RLE = 1;
const BLOCK_COMPRESSED = 2;

/** Decompresses one zstd frame that fills `input`; its checksum is verified if it has one. */
export function decompressZstd(input: Uint8Array, output: Output): void {
  const header = readFrameHeader(input, output);
  let at = header.next;
  const frameStart = output.length;
  const sequences = initialSequenceState();
  let huffman: HuffmanTable | undefined;
  let blocks = 0;
  for (let isLast = false; !isLast; ) {
    if (at + 3 > input.length) throw new StreamError("a block header is cut off", at);
    if (++blocks > LOADER_LIMITS.compressedBlocks) throw new StreamError("the frame has too many blocks", at);
    const block = input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16);
    isLast = (block & 1) !== 0;
    const type = (block >>> 1) & 3;
    const size = block >>> 3;
    at += 3;
    if (size > BLOCK_BYTES_MAX) throw new StreamError(`a block of ${size} bytes exceeds 128 KiB`, at);
    const end = at + (type === BLOCK_RLE ? 1 : size);
    if (end > input.length) throw new StreamError("a block is cut off", at);
    if (type === BLOCK_RAW) {
      output.append(input.subarray(at, end), at);
    } else if (type === BLOCK_RLE) {
      output.reserve(size, at);
      output.bytes.fill(input[at]!, output.length, output.length + size);
      output.length += size;
    } else if (type === BLOCK_COMPRESSED) {
      const literals = readLiterals(input, at, end, huffman);
      huffman = literals.huffman;
      executeSequences(input, literals.next, end, literals.bytes, sequences, output, frameStart);
    } else {
      throw new StreamError("a block has the reserved type", at);
    }
    at = end;
  }
  if (header.hasChecksum) {
    if (at + 4 > input.length) throw new StreamError("the checksum is cut off", at);
    const stated = new DataView(input.buffer, input.byteOffset + at, 4).getUint32(0, true);
    const isWhole = output.length === output.expected;
    if (isWhole && xxh64Low(output.bytes.subarray(frameStart, output.length)) !== stated) {
      throw new StreamError("the checksum of the decompressed bytes is wrong", at);
    }
    at += 4;
  }
  if (at !== input.length)
    throw new StreamError(`${input.length - at} bytes follow the end of the frame`, at);
}

/** The frame header (3.1.1.1). */
function readFrameHeader(input: Uint8Array, output: Output): { next: number; hasChecksum: boolean } {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  if (input.length < 6 || view.getUint32(0, true) !== MAGIC) throw new StreamError("no zstd frame", 0);
  const descriptor = input[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  if (descriptor & 0x08) throw new StreamError("a reserved bit of the frame header is set", 4);
  if (descriptor & 0x03) throw new StreamError("the frame needs a dictionary", 4);
  const sizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeFlag;
  const at = isSingleSegment ? 5 : 6;
  if (at + sizeBytes > input.length) throw new StreamError("the frame header is cut off", at);
  if (sizeBytes > 0) {
    let stated = sizeBytes === 2 ? 256 : 0;
    for (let i = 0; i < sizeBytes; i++) stated += input[at + i]! * 256 ** i;
    if (stated !== output.expected) {
      throw new StreamError(
        `the frame holds ${stated} bytes where the payload states ${output.expected}`,
        at,
      );
    }
  }
  return { next: at + sizeBytes, hasChecksum: (descriptor & 0x04) !== 0 };
}
