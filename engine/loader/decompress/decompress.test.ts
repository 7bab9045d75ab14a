/*
 * A bzImage carries its kernel in one of six compressions. Each decoder here meets the output of the real compressor,
 * run with the options of the Linux build, and must give back the same bytes; then the same streams cut off, damaged
 * and lying about their size, to which the only answers allowed are the right bytes or a LoadError.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LoadError } from "../errors.ts";
import { Mutator } from "../testing/mutator.ts";
import { plainBytes } from "../testing/plain.ts";
import { decompressPayload, detectCompression } from "./index.ts";

const plain = plainBytes();

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

function refusal(payload: Uint8Array, limit?: number): LoadError | undefined {
  try {
    decompressPayload(payload, 0x4000, limit);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  return undefined;
}

describe.each(FIXTURES)("%s", (name, format) => {
  test("gives back the bytes", () => {
    expect(detectCompression(fixture(name))).toBe(format);
    const { compression, data } = decompressPayload(payloadOf(name), 0);
    expect(compression).toBe(format);
    expect(Buffer.compare(data, plain)).toBe(0);
  });

  test("says that it is corrupt when it ends early, at every length", () => {
    const payload = payloadOf(name);
    for (let length = 12; length < payload.length; length += 97) {
      const cut = payload.slice(0, length);
      new DataView(cut.buffer).setUint32(length - 4, plain.length, true);
      expect(refusal(cut)?.code, `cut to ${length} bytes`).toBe("corrupt-payload");
    }
  });

  test("refuses a size that is not the stream's", () => {
    for (const size of [0, 1, plain.length - 1, plain.length + 1]) {
      const error = refusal(payloadOf(name, size));
      expect(error?.code, `size ${size}`).toBe("corrupt-payload");
      expect(error?.message).toMatch(/offset 0x[0-9a-f]+/);
    }
  });

  test("stops at the limit before it decompresses", () => {
    expect(refusal(payloadOf(name), plain.length - 1)?.code).toBe("too-large");
    expect(refusal(payloadOf(name, 0xffffffff))?.code).toBe("too-large");
  });

  test("damaged in 400 ways, gives a LoadError or (unchecked formats) as many bytes as stated", () => {
    const payload = payloadOf(name);
    const mutator = new Mutator(0x5eed + payload.length);
    for (let round = 0; round < 400; round++) {
      const damaged = mutator.damage(payload, payload.length - 4);
      try {
        const { data } = decompressPayload(damaged, 0);
        expect(data.length).toBe(plain.length);
        if (CHECKED.has(name)) expect(Buffer.compare(data, plain)).toBe(0);
      } catch (error) {
        expect(error).toBeInstanceOf(LoadError);
      }
    }
  });
});

test("an unknown compression is named by its first bytes", () => {
  const error = refusal(Uint8Array.from([0x89, 0x4c, 0x5a, 0x4f, 0, 0, 0, 0, 0]));
  expect(error?.code).toBe("unknown-compression");
  expect(error?.message).toContain("89 4c 5a 4f");
  expect(error?.message).toContain("offset 0x4000");
});

test("a small stream that claims to be huge does not get its memory", () => {
  const payload = payloadOf("plain.lz4", 0x1f000000);
  const before = process.memoryUsage().arrayBuffers;
  expect(refusal(payload)?.code).toBe("corrupt-payload");
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
  ])("%s %s %s", (...command) => {
    const stream = compress(command.filter((word) => word !== undefined));
    // Without the program there is nothing to compare with; the fixtures above are always there.
    if (stream === undefined) return;
    const payload = new Uint8Array(command[0] === "gzip" ? stream.length : stream.length + 4);
    payload.set(stream);
    new DataView(payload.buffer).setUint32(payload.length - 4, large.length, true);
    expect(Buffer.compare(decompressPayload(payload, 0).data, large)).toBe(0);
  });
});
