import { type Input, inPart } from "./input.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/** Magic number of the legacy LZ4 frame (lz4 -l), which the Linux build uses; little endian. */
const LEGACY_MAGIC = 0x184c2102;
/** Uncompressed size of every block but the last (LZ4 frame format, "Legacy frame"). */
const LEGACY_BLOCK_BYTES = 8 * 1024 * 1024;

/** What a block that does not compress may become (LZ4_COMPRESSBOUND of lz4.h). */
const PACKED_BLOCK_BYTES_MAX = LEGACY_BLOCK_BYTES + Math.ceil(LEGACY_BLOCK_BYTES / 255) + 16;

/** Decompresses a legacy LZ4 frame (doc/lz4_Frame_format.md of lz4, "Legacy frame") that fills `input`. */
export async function decompressLz4Legacy(input: Input, output: Output): Promise<void> {
  await input.take(4, "the magic number");
  while (input.left > 0) {
    const header = await input.take(4, "the size of a block");
    const size = new DataView(header.buffer, header.byteOffset, 4).getUint32(0, true);
    // Frames may be concatenated: another magic number instead of a block size.
    if (size === LEGACY_MAGIC) continue;
    if (size > input.left || size > PACKED_BLOCK_BYTES_MAX) {
      throw new StreamError(`a block of ${size} bytes reaches past the end or exceeds 8 MiB`, input.offset);
    }
    const start = input.offset;
    const block = await input.take(size, "a block");
    inPart(start, () => decodeBlock(block, output));
  }
}

/** Decodes one LZ4 block (doc/lz4_Block_format.md); matches reach back to the start of the block only. */
function decodeBlock(input: Uint8Array, output: Output): void {
  const from = output.length;
  const end = input.length;
  let at = 0;
  while (at < end) {
    const token = input[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= end) throw new StreamError("a literal length is cut off", at);
        more = input[at++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > end - at) throw new StreamError("literals reach past the end of their block", at);
    checkBlock(output, from, literals, at);
    output.append(input.subarray(at, at + literals), at);
    at += literals;
    // The last sequence of a block has literals only.
    if (at === end) return;

    if (end - at < 2) throw new StreamError("a match offset is cut off", at);
    const distance = input[at]! | (input[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + 4;
    if (length === 19) {
      let more: number;
      do {
        if (at >= end) throw new StreamError("a match length is cut off", at);
        more = input[at++]!;
        length += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > output.length - from) {
      throw new StreamError(`a match reaches ${distance} bytes back, before the start of its block`, at);
    }
    checkBlock(output, from, length, at);
    output.copy(distance, length, at);
  }
}

function checkBlock(output: Output, from: number, count: number, at: number): void {
  if (output.length - from + count > LEGACY_BLOCK_BYTES) throw new StreamError("a block exceeds 8 MiB", at);
}
