import { Crc32 } from "../../crc32.ts";
import { inflate } from "./inflate.ts";
import type { Input } from "./input.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/* The gzip format: RFC 1952. */

const HEADER_BYTES = 10;
/** More than any header of a kernel: its texts and its extra field lie in these. */
const HEADER_BYTES_MAX = 128 * 1024;
/** CRC-32 and ISIZE. */
const TRAILER_BYTES = 8;
const METHOD_DEFLATE = 8;
const FLAG_HEADER_CRC = 0x02;
const FLAG_EXTRA = 0x04;
const FLAG_NAME = 0x08;
const FLAG_COMMENT = 0x10;
const FLAGS_RESERVED = 0xe0;

/** Decompresses one gzip member that fills `input`, and verifies its CRC-32. */
export async function decompressGzip(input: Input, output: Output): Promise<void> {
  const end = input.length - TRAILER_BYTES;
  await input.fill(HEADER_BYTES_MAX);
  input.at = skipHeader(input.bytes, end);
  const crc = new Crc32();
  output.tap = (piece) => crc.update(piece);
  await inflate(input, end, output);
  const behind = input.offset;
  if (behind !== end) throw new StreamError(`${end - behind} bytes follow the compressed data`, behind);
  const trailer = await input.take(TRAILER_BYTES, "the trailer");
  const stated = new DataView(trailer.buffer, trailer.byteOffset, 4).getUint32(0, true);
  output.flush();
  if (output.length === output.expected && crc.value !== stated) {
    throw new StreamError("the CRC-32 of the decompressed bytes is wrong", end);
  }
}

/** The offset of the compressed data, which ends at `end`; `input` is the beginning of the stream. */
function skipHeader(input: Uint8Array, end: number): number {
  const flags = input[3]!;
  if (end < HEADER_BYTES) throw new StreamError("the gzip header is cut off", 0);
  if (input[2] !== METHOD_DEFLATE || flags & FLAGS_RESERVED) {
    throw new StreamError("the gzip header names an unknown method", 2);
  }
  let at = HEADER_BYTES;
  if (flags & FLAG_EXTRA) at += 2 + (input[at]! | (input[at + 1]! << 8));
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if (!(flags & flag)) continue;
    const nul = input.indexOf(0, at);
    if (nul < 0) throw new StreamError("a text in the gzip header has no end", at);
    at = nul + 1;
  }
  if (flags & FLAG_HEADER_CRC) at += 2;
  if (at >= end || at > input.length) throw new StreamError("the gzip header is cut off", at);
  return at;
}
