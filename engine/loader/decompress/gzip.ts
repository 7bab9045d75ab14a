import { crc32 } from "../../crc32.ts";
import { inflate } from "./inflate.ts";
import { type Output, StreamError } from "./output.ts";

/* The gzip format: RFC 1952. */

const HEADER_BYTES = 10;
/** CRC-32 and ISIZE. */
const TRAILER_BYTES = 8;
const METHOD_DEFLATE = 8;
const FLAG_HEADER_CRC = 0x02;
const FLAG_EXTRA = 0x04;
const FLAG_NAME = 0x08;
const FLAG_COMMENT = 0x10;
const FLAGS_RESERVED = 0xe0;

/** Decompresses one gzip member that fills `input`, and verifies its CRC-32. */
export function decompressGzip(input: Uint8Array, output: Output): void {
  const end = input.length - TRAILER_BYTES;
  const start = skipHeader(input, end);
  const behind = inflate(input, start, end, output);
  if (behind !== end) throw new StreamError(`${end - behind} bytes follow the compressed data`, behind);
  const stated = new DataView(input.buffer, input.byteOffset + end, 4).getUint32(0, true);
  if (output.length === output.expected && crc32(output.bytes.subarray(0, output.length)) !== stated) {
    throw new StreamError("the CRC-32 of the decompressed bytes is wrong", end);
  }
}

/** The offset of the compressed data. */
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
  if (at >= end) throw new StreamError("the gzip header is cut off", at);
  return at;
}
