/*
 * A bzImage carries its kernel in one of six compressions. Each decoder here meets the output of the real compressor,
 * run with the options of the Linux build, and must give back the same bytes; then the same streams cut off, damaged
 * and lying about their size, to which the only answers allowed are the right bytes or a LoadError.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { LOADER_LIMITS } from "../../limits.ts";
import { LoadError } from "../errors.ts";
import type { ByteSource } from "../source.ts";
import { MemorySpool, SPOOL_CHUNK_BYTES } from "../spool.ts";
import { Mutator } from "../testing/mutator.ts";
import { plainBytes } from "../testing/plain.ts";
import { type Compression, decompressPayload, detectCompression } from "./index.ts";

const plain = plainBytes();

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes of array buffers, more than `limit` only if they are in use: when garbage is collected is nobody's promise. */
function bufferBytes(limit: number): number {
  const { arrayBuffers } = process.memoryUsage();
  if (arrayBuffers <= limit) return arrayBuffers;
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(`${import.meta.dirname}/fixtures/${name}`));
}

/** The stream as the Linux build leaves it: with the size behind it, except gzip, which ends with it anyway. */
function payloadOf(name: string, size = plain.length): Uint8Array {
  const stream = fixture(name);
  const payload = new Uint8Array(name.endsWith(".gz") ? stream.length : stream.length + 4);
  payload.set(stream);
  new DataView(payload.buffer).setUint32(payload.length - 4, size, true);
  return payload;
}

const FIXTURES = [
  ["plain.gz", "gzip"],
  ["plain.bz2", "bzip2"],
  ["plain.lzma", "lzma"],
  ["plain.xz", "xz"],
  ["plain-crc64.xz", "xz"],
  ["plain.lz4", "lz4"],
  ["plain.zst", "zstd"],
  ["plain-fast.zst", "zstd"],
] as const;

/** The streams with a checksum that is verified: a damaged one may never pass. */
const CHECKED = new Set(["plain.gz", "plain.bz2", "plain.xz", "plain-crc64.xz", "plain.zst"]);

/** The payload lies at 0x4000 of its file, as that of a bzImage does. */
const START = 0x4000;

/** A source whose bytes are good until the next read and no longer: their buffer is taken away then. */
class OneBufferSource implements ByteSource {
  readonly #file: Uint8Array<ArrayBuffer>;
  #last = new ArrayBuffer(0);
  largest = 0;
  total = 0;

  constructor(file: Uint8Array<ArrayBuffer>) {
    this.#file = file;
  }

  get size(): number {
    return this.#file.length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.largest = Math.max(this.largest, length);
    this.total += length;
    this.#last.transfer();
    const bytes = this.#file.slice(offset, offset + length);
    this.#last = bytes.buffer;
    return Promise.resolve(bytes);
  }
}

async function decompress(
  payload: Uint8Array,
  limit?: number,
): Promise<{ compression: Compression; data: Uint8Array }> {
  const file = new Uint8Array(START + payload.length + 100);
  file.set(payload, START);
  const { compression, image } = await decompressPayload(
    new OneBufferSource(file),
    START,
    payload.length,
    new MemorySpool(),
    limit,
  );
  return { compression, data: image.bytes(0, image.length) };
}

async function refusal(payload: Uint8Array, limit?: number): Promise<LoadError | undefined> {
  try {
    await decompress(payload, limit);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  return undefined;
}

describe.each(FIXTURES)("%s", (name, format) => {
  test("gives back the bytes", async () => {
    expect(detectCompression(fixture(name))).toBe(format);
    const { compression, data } = await decompress(payloadOf(name));
    expect(compression).toBe(format);
    expect(Buffer.compare(data, plain)).toBe(0);
  });

  test("says that it is corrupt when it ends early, at every length", async () => {
    const payload = payloadOf(name);
    for (let length = 12; length < payload.length; length += 97) {
      const cut = payload.slice(0, length);
      new DataView(cut.buffer).setUint32(length - 4, plain.length, true);
      expect((await refusal(cut))?.code, `cut to ${length} bytes`).toBe("corrupt-payload");
    }
  });

  test("refuses a size that is not the stream's", async () => {
    for (const size of [0, 1, plain.length - 1, plain.length + 1]) {
      const error = await refusal(payloadOf(name, size));
      expect(error?.code, `size ${size}`).toBe("corrupt-payload");
      expect(error?.message).toMatch(/offset 0x[0-9a-f]+/);
    }
  });

  test("stops at the limit before it decompresses", async () => {
    expect((await refusal(payloadOf(name), plain.length - 1))?.code).toBe("too-large");
    expect((await refusal(payloadOf(name, 0xffffffff)))?.code).toBe("too-large");
  });

  test("damaged in 400 ways, gives a LoadError or (unchecked formats) as many bytes as stated", async () => {
    const payload = payloadOf(name);
    const mutator = new Mutator(0x5eed + payload.length);
    for (let round = 0; round < 400; round++) {
      const damaged = mutator.damage(payload, payload.length - 4);
      try {
        const { data } = await decompress(damaged);
        expect(data.length).toBe(plain.length);
        if (CHECKED.has(name)) expect(Buffer.compare(data, plain)).toBe(0);
      } catch (error) {
        expect(error).toBeInstanceOf(LoadError);
      }
    }
  });
});

test("an unknown compression is named by its first bytes", async () => {
  const error = await refusal(Uint8Array.from([0x89, 0x4c, 0x5a, 0x4f, 0, 0, 0, 0, 0]));
  expect(error?.code).toBe("unknown-compression");
  expect(error?.message).toContain("89 4c 5a 4f");
  expect(error?.message).toContain("offset 0x4000");
});

test("a small stream that claims to be huge does not get its memory", async () => {
  const payload = payloadOf("plain.lz4", 0x1f000000);
  const before = process.memoryUsage().arrayBuffers;
  expect((await refusal(payload))?.code).toBe("corrupt-payload");
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
});

describe("half a megabyte, through the compressors of this machine", () => {
  // Several blocks and chunks, tables that are used again, matches over long distances: too large to keep as fixtures.
  const large = new Uint8Array(512 * 1024);
  const mutator = new Mutator(99);
  for (let at = 0; at < large.length; ) {
    const piece =
      mutator.below(3) === 0 ? mutator.damage(plain) : plain.subarray(mutator.below(plain.length));
    large.set(piece.subarray(0, large.length - at), at);
    at += piece.length;
  }
  const compress = ([program, ...options]: readonly string[]): Uint8Array | undefined => {
    const { status, stdout } = spawnSync(program!, [...options, "-c"], { input: large, maxBuffer: 1 << 24 });
    return status === 0 ? new Uint8Array(stdout) : undefined;
  };
  test.each([
    ["gzip", "-1"],
    ["gzip", "-9"],
    ["bzip2", "-1"],
    ["bzip2", "-9"],
    ["xz", "--format=lzma", "-1"],
    ["xz", "--format=xz", "--check=none", "--block-size=100000"],
    ["xz", "--x86", "--lzma2=dict=64KiB,lc=1,lp=3,pb=4"],
    ["lz4", "-l", "-1"],
    ["lz4", "-l", "-12"],
    ["zstd", "-1"],
    ["zstd", "-9", "--no-check"],
    ["zstd", "-22", "--ultra"],
  ])("%s %s %s", async (...command) => {
    const stream = compress(command.filter((word) => word !== undefined));
    // Without the program there is nothing to compare with; the fixtures above are always there.
    if (stream === undefined) return;
    const payload = new Uint8Array(command[0] === "gzip" ? stream.length : stream.length + 4);
    payload.set(stream);
    new DataView(payload.buffer).setUint32(payload.length - 4, large.length, true);
    expect(Buffer.compare((await decompress(payload)).data, large)).toBe(0);
  });
});

describe("15 MiB that repeat each other from far back", () => {
  // More than the history in memory: matches reach into the spool. Calls in it, for xz's branch filter.
  const size = 15 * 1024 * 1024 + 12_345;
  const vast = new Uint8Array(size);
  const mutator = new Mutator(7);
  for (let at = 0; at < size; ) {
    const back = 12 * 1024 * 1024 + mutator.below(512 * 1024);
    const length = Math.min(size - at, 1000 + mutator.below(50_000));
    if (at > back) vast.copyWithin(at, at - back, at - back + length);
    else for (let i = 0; i < length; i++) vast[at + i] = i % 50 === 0 ? 0xe8 : mutator.below(256);
    at += length;
  }
  const file = (stream: Uint8Array): OneBufferSource => {
    const payload = new Uint8Array(stream.length + 4);
    payload.set(stream);
    new DataView(payload.buffer).setUint32(stream.length, size, true);
    return new OneBufferSource(payload);
  };
  test.each([
    ["xz", "--format=lzma", "--lzma1=dict=16MiB,mode=fast,mf=hc3,nice=64"],
    ["xz", "--x86", "--lzma2=dict=16MiB,mode=fast,mf=hc3,nice=64"],
    ["zstd", "-3", "--long=27"],
  ])("%s %s %s", async (...[program, ...options]) => {
    const { status, stdout } = spawnSync(program, [...options, "-c"], { input: vast, maxBuffer: 1 << 26 });
    if (status !== 0) return;
    expect(stdout.length).toBeLessThan(size * 0.9);
    const source = file(new Uint8Array(stdout));
    const before = process.memoryUsage().arrayBuffers;
    const limit = 64 * 1024 * 1024;
    let most = 0;
    class WatchedSpool extends MemorySpool {
      chunks = 0;
      override write(index: number, chunk: Uint8Array): void {
        super.write(index, chunk);
        this.chunks = Math.max(this.chunks, index + 1);
        // What is in memory besides the spool itself.
        const expected = before + this.chunks * SPOOL_CHUNK_BYTES;
        most = Math.max(most, bufferBytes(expected + limit) - expected);
      }
    }
    const { image } = await decompressPayload(source, 0, source.size, new WatchedSpool());
    expect(image.loads).toBeGreaterThan(20);
    expect(Buffer.compare(image.bytes(0, image.length), vast)).toBe(0);
    expect(source.largest).toBeLessThanOrEqual(LOADER_LIMITS.inputPieceBytes);
    expect(source.total).toBeLessThan(source.size + 100);
    expect(most).toBeLessThan(limit);
  });
});
