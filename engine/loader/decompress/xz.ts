import { crc32 } from "../../crc32.ts";
import { LOADER_LIMITS } from "../../limits.ts";
import { decodeX86Branches } from "./bcj-x86.ts";
import { crc64 } from "./checksum.ts";
import { LzmaDecoder, lzmaProperties } from "./lzma-decoder.ts";
import { type Output, StreamError } from "./output.ts";

/* The .xz container (tukaani.org/xz/xz-file-format.txt); section numbers below are of that document. */

const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const STREAM_HEADER_BYTES = 12;
const CHECK_CRC32 = 0x01;
const CHECK_CRC64 = 0x04;
/** Bytes of the check field by its identifier (2.1.1.2). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;

/** Decompresses one .xz stream that fills `input`; CRC-32 and CRC-64 checks are verified. */
export function decompressXz(input: Uint8Array, output: Output): void {
  const reader = new XzReader(input);
  if (!HEADER_MAGIC.every((byte, i) => input[i] === byte)) throw new StreamError("no xz stream header", 0);
  reader.need(0, STREAM_HEADER_BYTES, "the stream header");
  const check = input[7]! & 0x0f;
  if (input[6] !== 0 || input[7]! > 0x0f) throw new StreamError("the stream flags are unknown", 6);
  if (crc32(input.subarray(6, 8)) !== reader.u32(8))
    throw new StreamError("the stream header's CRC is wrong", 8);

  let at = STREAM_HEADER_BYTES;
  let blocks = 0;
  for (;;) {
    reader.need(at, 1, "a block header");
    if (input[at] === 0) break;
    if (++blocks > LOADER_LIMITS.compressedBlocks) throw new StreamError("too many blocks", at);
    at = decodeBlock(reader, at, check, output);
  }
  checkIndex(reader, at, blocks, check);
}

/** Bounds-checked reads of the container's fields. */
class XzReader {
  readonly input: Uint8Array;
  readonly #view: DataView;

  constructor(input: Uint8Array) {
    this.input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.length);
  }

  need(at: number, bytes: number, what: string): void {
    if (at + bytes > this.input.length) throw new StreamError(`${what} is cut off`, at);
  }

  u32(at: number): number {
    this.need(at, 4, "a field");
    return this.#view.getUint32(at, true);
  }

  /** A variable-length integer (1.2), and the offset behind it. */
  integer(at: number, end: number): [value: number, next: number] {
    let value = 0;
    for (let i = 0; i < 7; i++) {
      if (at + i >= end) break;
      const byte = this.input[at + i]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if ((byte & 0x80) === 0) return [value, at + i + 1];
    }
    throw new StreamError("a number is too long or cut off", at);
  }
}

/** One block (3.1); returns the offset behind it. */
function decodeBlock(reader: XzReader, start: number, check: number, output: Output): number {
  const input = reader.input;
  const headerBytes = (input[start]! + 1) * 4;
  reader.need(start, headerBytes, "a block header");
  const headerEnd = start + headerBytes - 4;
  if (crc32(input.subarray(start, headerEnd)) !== reader.u32(headerEnd)) {
    throw new StreamError("a block header's CRC is wrong", headerEnd);
  }
  const flags = input[start + 1]!;
  if (flags & 0x3c) throw new StreamError("a block has unknown flags", start + 1);
  let at = start + 2;
  if (flags & 0x40) [, at] = reader.integer(at, headerEnd);
  if (flags & 0x80) [, at] = reader.integer(at, headerEnd);
  let x86Start: number | undefined;
  let dictionarySize = 0;
  const filters = (flags & 3) + 1;
  for (let i = 0; i < filters; i++) {
    let id: number;
    let propertyBytes: number;
    [id, at] = reader.integer(at, headerEnd);
    [propertyBytes, at] = reader.integer(at, headerEnd);
    if (at + propertyBytes > headerEnd) throw new StreamError("a filter's properties are cut off", at);
    if (id === FILTER_LZMA2 && i === filters - 1 && propertyBytes === 1) {
      dictionarySize = lzma2DictionarySize(input[at]!, at);
    } else if (id === FILTER_X86 && i < filters - 1 && x86Start === undefined) {
      if (propertyBytes !== 0 && propertyBytes !== 4)
        throw new StreamError("the x86 filter is malformed", at);
      x86Start = propertyBytes === 4 ? reader.u32(at) : 0;
    } else {
      throw new StreamError(`filter 0x${id.toString(16)} is not one that kernels are compressed with`, at);
    }
    at += propertyBytes;
  }

  const from = output.length;
  const end = decodeLzma2(input, start + headerBytes, dictionarySize, output);
  const block = output.bytes.subarray(from, output.length);
  if (x86Start !== undefined) decodeX86Branches(block, x86Start);
  const padded = end + (-(end - start) & 3);
  const checkBytes = CHECK_BYTES[check]!;
  reader.need(padded, checkBytes, "a block's check");
  if (check === CHECK_CRC32 && crc32(block) !== reader.u32(padded)) {
    throw new StreamError("the CRC-32 of a block is wrong", padded);
  }
  if (check === CHECK_CRC64) {
    const { low, high } = crc64(block);
    if (low !== reader.u32(padded) || high !== reader.u32(padded + 4)) {
      throw new StreamError("the CRC-64 of a block is wrong", padded);
    }
  }
  return padded + checkBytes;
}

function lzma2DictionarySize(property: number, at: number): number {
  const size = property === 40 ? 2 ** 32 - 1 : (2 | (property & 1)) * 2 ** ((property >>> 1) + 11);
  if (property > 40 || size > LOADER_LIMITS.dictionaryBytes) {
    throw new StreamError(`a dictionary of ${size} bytes exceeds ${LOADER_LIMITS.dictionaryBytes}`, at);
  }
  return size;
}

/** The chunks of LZMA2 (5.3.1) from `at`; returns the offset behind the end marker. */
function decodeLzma2(input: Uint8Array, start: number, dictionarySize: number, output: Output): number {
  const decoder = new LzmaDecoder(input, output);
  let needDictionary = true;
  let needProperties = true;
  let at = start;
  for (;;) {
    if (at >= input.length) throw new StreamError("a chunk is cut off", at);
    const control = input[at]!;
    if (control === 0) return at + 1;
    const isLzma = control >= 0x80;
    if (!isLzma && control > 2) throw new StreamError("a chunk has an unknown type", at);
    const headerBytes = isLzma ? (control >= 0xc0 ? 6 : 5) : 3;
    if (at + headerBytes > input.length) throw new StreamError("a chunk header is cut off", at);
    if (control === 1 || control >= 0xe0) {
      decoder.resetDictionary(dictionarySize);
      needDictionary = false;
    } else if (needDictionary) {
      throw new StreamError("the first chunk does not reset the dictionary", at);
    }
    const low = (input[at + 1]! << 8) | input[at + 2]!;
    if (!isLzma) {
      const size = low + 1;
      at += headerBytes;
      if (at + size > input.length) throw new StreamError("a stored chunk is cut off", at);
      output.append(input.subarray(at, at + size), at);
      at += size;
      continue;
    }

    const plainBytes = (((control & 0x1f) << 16) | low) + 1;
    const packedBytes = ((input[at + 3]! << 8) | input[at + 4]!) + 1;
    if (control >= 0xc0) {
      const properties = lzmaProperties(input[at + 5]!);
      if (properties === undefined || properties.lc + properties.lp > 4) {
        throw new StreamError("a chunk's properties byte is impossible", at + 5);
      }
      decoder.setProperties(properties.lc, properties.lp, properties.pb);
      needProperties = false;
    } else if (needProperties) {
      throw new StreamError("the first compressed chunk brings no properties", at);
    }
    if (control >= 0xa0) decoder.resetState();
    at += headerBytes;
    if (at + packedBytes > input.length) throw new StreamError("a compressed chunk is cut off", at);
    output.reserve(plainBytes, at);
    decoder.start(at, at + packedBytes);
    if (decoder.decodeUntil(output.length + plainBytes))
      throw new StreamError("LZMA2 has no end markers", at);
    decoder.normalize();
    if (decoder.offset !== at + packedBytes)
      throw new StreamError("a compressed chunk is longer than its data", at);
    at += packedBytes;
  }
}

/** Index (4) and footer (2.1.2), which end the stream. */
function checkIndex(reader: XzReader, start: number, blocks: number, check: number): void {
  const input = reader.input;
  const end = input.length;
  let [records, at] = reader.integer(start + 1, end);
  if (records !== blocks)
    throw new StreamError(`the index lists ${records} blocks instead of ${blocks}`, start);
  for (; records > 0; records--) {
    [, at] = reader.integer(at, end);
    [, at] = reader.integer(at, end);
  }
  at += -(at - start) & 3;
  reader.need(at, 16, "the stream footer");
  if (crc32(input.subarray(start, at)) !== reader.u32(at))
    throw new StreamError("the index's CRC is wrong", at);
  const footer = at + 4;
  const isFooter = input[footer + 9] === check && input[footer + 10] === 0x59 && input[footer + 11] === 0x5a;
  if (!isFooter || footer + 12 !== end) throw new StreamError("the stream footer is wrong", footer);
}
