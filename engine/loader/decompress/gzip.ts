import { Gunzip } from "fflate";
import { crc32 } from "../../crc32.ts";
import { type Output, StreamError } from "./output.ts";

/** Bytes given to the inflater at a time: it can expand them by 1032, so this bounds what is buffered. */
const CHUNK_BYTES = 16 * 1024;
/** Header, and CRC-32 with ISIZE at the end (RFC 1952). */
const MINIMUM_BYTES = 18;

/** Decompresses one gzip member (RFC 1952) that fills `input`, and verifies its CRC-32. */
export function decompressGzip(input: Uint8Array, output: Output): void {
  if (input.length < MINIMUM_BYTES) throw new StreamError("a gzip member has at least 18 bytes", 0);
  let at = 0;
  const inflater = new Gunzip((chunk) => output.append(chunk, at));
  try {
    for (; at < input.length; at += CHUNK_BYTES) {
      const end = Math.min(at + CHUNK_BYTES, input.length);
      inflater.push(input.subarray(at, end), end === input.length);
    }
  } catch (error) {
    if (error instanceof StreamError) throw error;
    throw new StreamError(error instanceof Error ? error.message : String(error), at);
  }
  const stated = new DataView(input.buffer, input.byteOffset + input.length - 8, 4).getUint32(0, true);
  if (output.length === output.expected && crc32(output.bytes.subarray(0, output.length)) !== stated) {
    throw new StreamError("the CRC-32 of the decompressed bytes is wrong", input.length - 8);
  }
}
