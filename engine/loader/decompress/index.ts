import { LOADER_LIMITS } from "../../limits.ts";
import { hex, LoadError, REMEDY_COMPLETE_FILE } from "../errors.ts";
import { Image } from "../image.ts";
import type { ByteSource } from "../source.ts";
import type { Spool } from "../spool.ts";
import { decompressBzip2 } from "./bzip2.ts";
import { decompressGzip } from "./gzip.ts";
import { Input } from "./input.ts";
import { decompressLz4Legacy } from "./lz4.ts";
import { decompressLzma } from "./lzma.ts";
import { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";
import { decompressXz } from "./xz.ts";
import { decompressZstd } from "./zstd.ts";

export type Compression = "gzip" | "bzip2" | "lzma" | "xz" | "lz4" | "zstd";

interface Format {
  readonly name: Compression;
  readonly magic: readonly number[];
  readonly decompress: (input: Input, output: Output) => Promise<void>;
  /** How far back matches reach at most, in bytes; what is further back than is kept in memory is read again. */
  readonly historyBytes: number;
}

const KIB = 1024;
const HISTORY = LOADER_LIMITS.historyBytes;

/** Magic numbers as in lib/decompress.c of Linux. */
const FORMATS: readonly Format[] = [
  { name: "gzip", magic: [0x1f, 0x8b], decompress: decompressGzip, historyBytes: 32 * KIB },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68], decompress: decompressBzip2, historyBytes: 0 },
  { name: "lzma", magic: [0x5d, 0x00, 0x00], decompress: decompressLzma, historyBytes: HISTORY },
  {
    name: "xz",
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
    decompress: decompressXz,
    historyBytes: HISTORY,
  },
  { name: "lz4", magic: [0x02, 0x21, 0x4c, 0x18], decompress: decompressLz4Legacy, historyBytes: 64 * KIB },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], decompress: decompressZstd, historyBytes: HISTORY },
];

export function detectCompression(data: Uint8Array): Compression | undefined {
  return FORMATS.find(({ magic }) => magic.every((byte, i) => data[i] === byte))?.name;
}

/**
 * Decompresses a kernel payload into `spool`: one compressed stream, then (for gzip: as its last field) the size of what it
 * holds, 32 bits, little endian. The payload is the bytes [start, start + length) of `file`; it is read once, in pieces,
 * and neither it nor the result is ever in memory as a whole. `limit` bounds the size of the result in bytes. Every
 * failure is a LoadError; its offsets are the file's.
 */
export async function decompressPayload(
  file: ByteSource,
  start: number,
  length: number,
  spool: Spool,
  limit: number = LOADER_LIMITS.decompressedBytes,
): Promise<{ compression: Compression; image: Image }> {
  const head = await file.read(start, Math.min(length, 6));
  const format = FORMATS.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
  if (format === undefined) {
    const first = [...head].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new LoadError({
      code: "unknown-compression",
      what: `the payload starts with ${first || "nothing"}, which is none of gzip, bzip2, lzma, xz, lz4 and zstd`,
      where: `offset ${hex(start)}`,
      remedy:
        "Build the kernel with one of CONFIG_KERNEL_GZIP, _BZIP2, _LZMA, _XZ, _LZ4 and _ZSTD, or send its vmlinux",
    });
  }
  if (length < 8) {
    throw new LoadError({
      code: "truncated",
      what: `the ${format.name} payload has only ${length} bytes`,
      where: `offset ${hex(start)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  const sizeAt = start + length - 4;
  const stated = await file.read(sizeAt, 4);
  const size = new DataView(stated.buffer, stated.byteOffset, 4).getUint32(0, true);
  if (size > limit) {
    throw new LoadError({
      code: "too-large",
      what: `the ${format.name} payload states that it decompresses to ${size} bytes; at most ${limit} are accepted`,
      where: `offset ${hex(sizeAt)}`,
      remedy: "Strip debugging information from the kernel, or give the guest more memory",
    });
  }
  const streamLength = format.name === "gzip" ? length : length - 4;
  const image = new Image(spool);
  const output = new Output(size, image, format.historyBytes);
  try {
    await format.decompress(new Input(file, start, streamLength), output);
    output.finish(streamLength);
    return { compression: format.name, image };
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    throw new LoadError({
      code: "corrupt-payload",
      what: `the ${format.name} payload cannot be decompressed: ${error.message}`,
      where: `offset ${hex(start + error.offset)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  } finally {
    output.release();
  }
}
