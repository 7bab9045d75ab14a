import { LOADER_LIMITS } from "../../limits.ts";
import { type Input, inPart } from "./input.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";
import { Xxh64 } from "./xxh64.ts";
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

/** Magic number, descriptor, window descriptor, dictionary (refused) and size. */
const FRAME_HEADER_BYTES_MAX = 18;

/** Decompresses one zstd frame that fills `input`; its checksum is verified if it has one. */
export async function decompressZstd(input: Input, output: Output): Promise<void> {
  const hasChecksum = await readFrameHeader(input, output);
  const hash = new Xxh64();
  if (hasChecksum) output.tap = (piece) => hash.update(piece);
  const sequences = initialSequenceState();
  const room = new Uint8Array(BLOCK_BYTES_MAX);
  let huffman: HuffmanTable | undefined;
  let blocks = 0;
  for (let isLast = false; !isLast; ) {
    const header = await input.take(3, "a block header");
    const block = header[0]! | (header[1]! << 8) | (header[2]! << 16);
    const at = input.offset;
    if (++blocks > LOADER_LIMITS.compressedBlocks) throw new StreamError("the frame has too many blocks", at);
    isLast = (block & 1) !== 0;
    const type = (block >>> 1) & 3;
    const size = block >>> 3;
    if (size > BLOCK_BYTES_MAX) throw new StreamError(`a block of ${size} bytes exceeds 128 KiB`, at);
    const data = await input.take(type === BLOCK_RLE ? 1 : size, "a block");
    if (type === BLOCK_RAW) output.append(data, at);
    else if (type === BLOCK_RLE) output.fill(data[0]!, size, at);
    else if (type === BLOCK_COMPRESSED) {
      huffman = inPart(at, () => {
        const literals = readLiterals(data, 0, size, huffman, room);
        executeSequences(data, literals.next, size, literals.bytes, sequences, output);
        return literals.huffman;
      });
    } else {
      throw new StreamError("a block has the reserved type", at);
    }
  }
  if (hasChecksum) {
    const at = input.offset;
    const checksum = await input.take(4, "the checksum");
    const stated = new DataView(checksum.buffer, checksum.byteOffset, 4).getUint32(0, true);
    output.flush();
    if (output.length === output.expected && hash.low !== stated) {
      throw new StreamError("the checksum of the decompressed bytes is wrong", at);
    }
  }
  if (input.left > 0) throw new StreamError(`${input.left} bytes follow the end of the frame`, input.offset);
}

/** The frame header (3.1.1.1); whether a checksum follows the blocks. */
async function readFrameHeader(input: Input, output: Output): Promise<boolean> {
  await input.fill(FRAME_HEADER_BYTES_MAX);
  const { bytes } = input;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 6 || view.getUint32(0, true) !== MAGIC) throw new StreamError("no zstd frame", 0);
  const descriptor = bytes[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  if (descriptor & 0x08) throw new StreamError("a reserved bit of the frame header is set", 4);
  if (descriptor & 0x03) throw new StreamError("the frame needs a dictionary", 4);
  const sizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeFlag;
  const at = isSingleSegment ? 5 : 6;
  if (at + sizeBytes > bytes.length) throw new StreamError("the frame header is cut off", at);
  if (sizeBytes > 0) {
    let stated = sizeBytes === 2 ? 256 : 0;
    for (let i = 0; i < sizeBytes; i++) stated += bytes[at + i]! * 256 ** i;
    if (stated !== output.expected) {
      throw new StreamError(
        `the frame holds ${stated} bytes where the payload states ${output.expected}`,
        at,
      );
    }
  }
  input.at = at + sizeBytes;
  return (descriptor & 0x04) !== 0;
}
