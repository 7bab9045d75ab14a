import { type Output, StreamError } from "./output.ts";

/** Magic number of the legacy LZ4 frame (lz4 -l), which the Linux build uses; little endian. */
const LEGACY_MAGIC = 0x184c2102;
/** Uncompressed size of every block but the last (LZ4 frame format, "Legacy frame"). */
const LEGACY_BLOCK_BYTES = 8 * 1024 * 1024;

/** Decompresses a legacy LZ4 frame (doc/lz4_Frame_format.md of lz4, "Legacy frame") that fills `input`. */
export function decompressLz4Legacy(input: Uint8Array, output: Output): void {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  let at = 4;
  while (at < input.length) {
    if (input.length - at < 4) throw new StreamError("the size of a block is cut off", at);
    const size = view.getUint32(at, true);
    at += 4;
    // Frames may be concatenated: another magic number instead of a block size.
    if (size === LEGACY_MAGIC) continue;
    if (size > input.length - at) throw new StreamError(`a block of ${size} bytes reaches past the end`, at);
    decodeBlock(input, at, at + size, output);
    at += size;
  }
}

/** Decodes one LZ4 block (doc/lz4_Block_format.md); matches reach back to the start of the block only. */
function decodeBlock(input: Uint8Array, start: number, end: number, output: Output): void {
  const from = output.length;
  let at = start;
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
    reserveInBlock(output, from, literals, at);
    output.bytes.set(input.subarray(at, at + literals), output.length);
    output.length += literals;
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
    reserveInBlock(output, from, length, at);
    copyMatch(output, distance, length);
  }
}

function reserveInBlock(output: Output, from: number, count: number, at: number): void {
  if (output.length - from + count > LEGACY_BLOCK_BYTES) throw new StreamError("a block exceeds 8 MiB", at);
  output.reserve(count, at);
}

/** Appends `length` bytes from `distance` back; the ranges may overlap, which repeats a pattern. */
function copyMatch(output: Output, distance: number, length: number): void {
  const bytes = output.bytes;
  let to = output.length;
  if (distance >= length && length > 32) {
    bytes.copyWithin(to, to - distance, to - distance + length);
  } else {
    for (const stop = to + length; to < stop; to++) bytes[to] = bytes[to - distance]!;
  }
  output.length += length;
}
