import { Crc32, crc32 } from "../../crc32.ts";
import { LOADER_LIMITS } from "../../limits.ts";
import { X86Branches } from "./bcj-x86.ts";
import { Crc64 } from "./checksum.ts";
import { type Input, inPart } from "./input.ts";
import { LzmaDecoder, lzmaProperties } from "./lzma-decoder.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/* The .xz container (tukaani.org/xz/xz-file-format.txt); section numbers below are of that document. */

const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const STREAM_HEADER_BYTES = 12;
const CHECK_CRC32 = 0x01;
const CHECK_CRC64 = 0x04;
/** Bytes of the check field by its identifier (2.1.1.2). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;

/** More than the index of any kernel: 65,536 blocks of two numbers. */
const INDEX_BYTES_MAX = 2 * 1024 * 1024;

/** Decompresses one .xz stream that fills `input`; CRC-32 and CRC-64 checks are verified. */
export async function decompressXz(input: Input, output: Output): Promise<void> {
  const header = await input.take(STREAM_HEADER_BYTES, "the stream header");
  if (!HEADER_MAGIC.every((byte, i) => header[i] === byte)) throw new StreamError("no xz stream header", 0);
  const check = header[7]! & 0x0f;
  if (header[6] !== 0 || header[7]! > 0x0f) throw new StreamError("the stream flags are unknown", 6);
  if (crc32(header.subarray(6, 8)) !== new XzReader(header).u32(8))
    throw new StreamError("the stream header's CRC is wrong", 8);

  let blocks = 0;
  for (;;) {
    await input.fill(1);
    if (input.left === 0) throw new StreamError("a block header is cut off", input.offset);
    const first = input.bytes[input.at]!;
    if (first === 0) break;
    if (++blocks > LOADER_LIMITS.compressedBlocks) throw new StreamError("too many blocks", input.offset);
    await decodeBlock(input, (first + 1) * 4, check, output);
  }
  const start = input.offset;
  if (input.left > INDEX_BYTES_MAX) throw new StreamError("the index is too long", start);
  const index = await input.take(input.left, "the index");
  inPart(start, () => checkIndex(new XzReader(index), blocks, check));
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

/** What a block header says (3.1). */
interface BlockHeader {
  readonly dictionarySize: number;
  /** Start offset of the x86 branch filter, if there is one. */
  readonly x86Start: number | undefined;
}

function readBlockHeader(header: Uint8Array): BlockHeader {
  const reader = new XzReader(header);
  const end = header.length - 4;
  if (crc32(header.subarray(0, end)) !== reader.u32(end)) {
    throw new StreamError("a block header's CRC is wrong", end);
  }
  const flags = header[1]!;
  if (flags & 0x3c) throw new StreamError("a block has unknown flags", 1);
  let at = 2;
  if (flags & 0x40) [, at] = reader.integer(at, end);
  if (flags & 0x80) [, at] = reader.integer(at, end);
  let x86Start: number | undefined;
  let dictionarySize = 0;
  const filters = (flags & 3) + 1;
  for (let i = 0; i < filters; i++) {
    let id: number;
    let propertyBytes: number;
    [id, at] = reader.integer(at, end);
    [propertyBytes, at] = reader.integer(at, end);
    if (at + propertyBytes > end) throw new StreamError("a filter's properties are cut off", at);
    if (id === FILTER_LZMA2 && i === filters - 1 && propertyBytes === 1) {
      dictionarySize = lzma2DictionarySize(header[at]!, at);
    } else if (id === FILTER_X86 && i < filters - 1 && x86Start === undefined) {
      if (propertyBytes !== 0 && propertyBytes !== 4)
        throw new StreamError("the x86 filter is malformed", at);
      x86Start = propertyBytes === 4 ? reader.u32(at) : 0;
    } else {
      throw new StreamError(`filter 0x${id.toString(16)} is not one that kernels are compressed with`, at);
    }
    at += propertyBytes;
  }
  return { dictionarySize, x86Start };
}

/** One block (3.1). */
async function decodeBlock(input: Input, headerBytes: number, check: number, output: Output): Promise<void> {
  const headerStart = input.offset;
  const header = await input.take(headerBytes, "a block header");
  const { dictionarySize, x86Start } = inPart(headerStart, () => readBlockHeader(header));

  const from = output.length;
  output.flush();
  const sum = check === CHECK_CRC32 ? new Crc32() : check === CHECK_CRC64 ? new Crc64() : undefined;
  output.tap = x86Start === undefined ? (piece) => sum?.update(piece) : undefined;
  const start = input.offset;
  await decodeLzma2(input, dictionarySize, output);
  output.flush();
  if (x86Start !== undefined) {
    // Only now: the matches of a block refer to its bytes as they were before.
    const branches = new X86Branches(x86Start);
    output.rewrite(from, (piece, isLast) => {
      const finished = branches.decode(piece, isLast);
      sum?.update(piece.subarray(0, finished));
      return finished;
    });
  }
  await input.take(-(input.offset - start) & 3, "a block's padding");
  const checkStart = input.offset;
  const stated = new XzReader(await input.take(CHECK_BYTES[check]!, "a block's check"));
  if (sum instanceof Crc32 && sum.value !== stated.u32(0)) {
    throw new StreamError("the CRC-32 of a block is wrong", checkStart);
  }
  if (sum instanceof Crc64 && (sum.value.low !== stated.u32(0) || sum.value.high !== stated.u32(4))) {
    throw new StreamError("the CRC-64 of a block is wrong", checkStart);
  }
}

function lzma2DictionarySize(property: number, at: number): number {
  const size = property === 40 ? 2 ** 32 - 1 : (2 | (property & 1)) * 2 ** ((property >>> 1) + 11);
  if (property > 40 || size > LOADER_LIMITS.dictionaryBytes) {
    throw new StreamError(`a dictionary of ${size} bytes exceeds ${LOADER_LIMITS.dictionaryBytes}`, at);
  }
  return size;
}

/** The chunks of LZMA2 (5.3.1), to the end marker. */
async function decodeLzma2(input: Input, dictionarySize: number, output: Output): Promise<void> {
  const decoder = new LzmaDecoder(output);
  let needDictionary = true;
  let needProperties = true;
  for (;;) {
    const at = input.offset;
    const control = (await input.take(1, "a chunk"))[0]!;
    if (control === 0) return;
    const isLzma = control >= 0x80;
    if (!isLzma && control > 2) throw new StreamError("a chunk has an unknown type", at);
    const header = await input.take(isLzma ? (control >= 0xc0 ? 5 : 4) : 2, "a chunk header");
    if (control === 1 || control >= 0xe0) {
      decoder.resetDictionary(dictionarySize);
      needDictionary = false;
    } else if (needDictionary) {
      throw new StreamError("the first chunk does not reset the dictionary", at);
    }
    const low = (header[0]! << 8) | header[1]!;
    if (!isLzma) {
      const stored = await input.take(low + 1, "a stored chunk");
      output.append(stored, at);
      continue;
    }

    const plainBytes = (((control & 0x1f) << 16) | low) + 1;
    const packedBytes = ((header[2]! << 8) | header[3]!) + 1;
    if (control >= 0xc0) {
      const properties = lzmaProperties(header[4]!);
      if (properties === undefined || properties.lc + properties.lp > 4) {
        throw new StreamError("a chunk's properties byte is impossible", at + 5);
      }
      decoder.setProperties(properties.lc, properties.lp, properties.pb);
      needProperties = false;
    } else if (needProperties) {
      throw new StreamError("the first compressed chunk brings no properties", at);
    }
    if (control >= 0xa0) decoder.resetState();
    const start = input.offset;
    const packed = await input.take(packedBytes, "a compressed chunk");
    decoder.feed(packed, start, true);
    decoder.start();
    if (decoder.decodeUntil(output.length + plainBytes) !== "stop")
      throw new StreamError("LZMA2 has no end markers", start);
    decoder.normalize();
    if (decoder.offset !== start + packedBytes)
      throw new StreamError("a compressed chunk is longer than its data", start);
  }
}

/** Index (4) and footer (2.1.2), which end the stream and fill the reader's input. */
function checkIndex(reader: XzReader, blocks: number, check: number): void {
  const input = reader.input;
  const end = input.length;
  let [records, at] = reader.integer(1, end);
  if (records !== blocks) throw new StreamError(`the index lists ${records} blocks instead of ${blocks}`, 0);
  for (; records > 0; records--) {
    [, at] = reader.integer(at, end);
    [, at] = reader.integer(at, end);
  }
  at += -at & 3;
  reader.need(at, 16, "the stream footer");
  if (crc32(input.subarray(0, at)) !== reader.u32(at)) throw new StreamError("the index's CRC is wrong", at);
  const footer = at + 4;
  const isFooter = input[footer + 9] === check && input[footer + 10] === 0x59 && input[footer + 11] === 0x5a;
  if (!isFooter || footer + 12 !== end) throw new StreamError("the stream footer is wrong", footer);
}
