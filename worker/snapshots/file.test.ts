import { describe, expect, test } from "vitest";
import { CHECKPOINT_VERSION } from "../../engine/checkpoint.ts";
import { SnapshotError } from "../../engine/snapshot-format.ts";
import { pvhRegion } from "../../engine/xenner/hvm/layout.ts";
import { compress, decompress } from "./codec.ts";
import { CLUSTER_BYTES, FORMAT, PAGE_BYTES, type SnapshotHeader } from "./header.ts";
import { checkSnapshot, readSnapshot } from "./read.ts";
import { snapshotFile, type WrittenCluster } from "./write.ts";

/*
 * A snapshot's file from pages to pages: written, sent in pieces, checked, read. Any single bit that is turned on the way is
 * noticed, and so is a file whose records are whole but are not those that the header and the SHA-256 speak of.
 */

const HEADER: SnapshotHeader = {
  format: FORMAT,
  machine: CHECKPOINT_VERSION,
  name: "prompt",
  job: "0".repeat(32),
  createdAt: "2026-11-23T00:00:00.000Z",
  instructions: 2_730_000_000,
  guestNanoseconds: 132_673_479_760,
  consoleBytes: 241,
  line: "/ # \u001b[6n",
  config: {
    cmdline: "console=hvc0",
    memory: 16,
    mode: "pvh",
    cpu: "v2",
    seed: "18446744073709551615",
    startTime: 1_767_225_600,
  },
  kernel: { sha256: "a".repeat(64), size: 14_186_432 },
  initrd: { sha256: "b".repeat(64), size: 1_987_584 },
  fixture: "debian-cloud",
  pageBytes: PAGE_BYTES,
  pagesPerCluster: CLUSTER_BYTES / PAGE_BYTES,
  clusters: 3,
};
const STATE = new TextEncoder().encode("the machine");

function cluster(fill: (i: number) => number): Uint8Array {
  return Uint8Array.from({ length: CLUSTER_BYTES }, (_, i) => fill(i));
}
let noise = 1;
const CLUSTERS: readonly (WrittenCluster & { readonly raw: Uint8Array })[] = [
  { cluster: 0, raw: cluster((i) => i >> 8) },
  // Not to be compressed: it is stored as it is.
  {
    cluster: 17,
    raw: cluster(() => {
      noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
      return noise >>> 24;
    }),
  },
  { cluster: 255, raw: cluster((i) => (i === 5 ? 1 : 0)) },
];

async function fileOf(
  header: SnapshotHeader = HEADER,
  clusters: Iterable<WrittenCluster> = CLUSTERS,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of snapshotFile(header, STATE, clusters, async () => {})) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

async function* sent(file: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += size) yield file.slice(at, at + size);
}

/** What importing the file says. */
async function checked(file: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of (await checkSnapshot(sent(file))).chunks) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

describe("a snapshot", () => {
  test("is read as it was written, and so is one that was written from it", async () => {
    const file = await fileOf();
    expect(file.length).toBeLessThan(1.1 * CLUSTER_BYTES + 2000);
    const { header, state, base } = readSnapshot(file);
    expect(header).toEqual(HEADER);
    expect(state).toEqual(STATE);
    for (const { cluster, raw } of CLUSTERS) expect(base.read(cluster)).toEqual(raw);
    expect(base.has(1)).toBe(false);
    expect(base.read(1)).toBeUndefined();
    const records = (
      base as unknown as { records(): Iterable<{ cluster: number; encoded: Uint8Array }> }
    ).records();
    expect(await fileOf(HEADER, records)).toEqual(file);
  });

  test("that comes in pieces is passed on unchanged", async () => {
    const file = await fileOf();
    expect(await checked(file)).toEqual(file);
  });

  test("with any bit turned is refused", async () => {
    // The whole of a small file, and of a large one a bit here and there.
    const small = await fileOf({ ...HEADER, clusters: 1 }, [CLUSTERS[2]!]);
    for (let bit = 0; bit < small.length * 8; bit++) {
      const changed = small.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      await expect(checked(changed), `bit ${bit}`).rejects.toThrow(SnapshotError);
    }
    const large = await fileOf();
    for (let bit = 7; bit < large.length * 8; bit += 5003) {
      const changed = large.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      await expect(checked(changed), `bit ${bit}`).rejects.toThrow(SnapshotError);
      expect(() => readSnapshot(changed), `bit ${bit}`).toThrow(SnapshotError);
    }
  });

  test("that ends too early is refused", async () => {
    const file = await fileOf();
    for (const length of [0, 10, 100, 1000, file.length - 49, file.length - 1]) {
      await expect(checked(file.subarray(0, length)), `${length}`).rejects.toMatchObject({
        code: "truncated",
      });
    }
  });

  test("with more or fewer pages than its header says is refused", async () => {
    await expect(fileOf({ ...HEADER, clusters: 4 })).rejects.toThrow(/4 clusters was changed/);
    const file = await fileOf();
    const other = await fileOf({ ...HEADER, line: "other", clusters: 3 });
    // Whole records of two files: only the SHA-256 tells.
    const mixed = Buffer.concat([other.subarray(0, other.length - 48), file.subarray(-48)]);
    await expect(checked(new Uint8Array(mixed))).rejects.toThrow(/SHA-256/);
  });

  test.each([
    ["memory", { config: { ...HEADER.config, memory: 100_000 } }],
    ["sha256", { kernel: { sha256: "no", size: 1 } }],
    ["instructions", { instructions: -1 }],
    ["line", { line: "\u4000" }],
    ["pagesPerCluster", { pagesPerCluster: 8 }],
  ])("whose header is wrong in %s is refused, and that is said", async (field, change) => {
    const file = await fileOf({ ...HEADER, ...change });
    await expect(checked(file)).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining(`"${field}"`),
    });
  });

  test("of another version of the machine is refused", async () => {
    const file = await fileOf({ ...HEADER, machine: CHECKPOINT_VERSION + 1 });
    await expect(checked(file)).rejects.toMatchObject({ code: "wrong-version" });
  });

  test.each([8, 16, 128, 512])(
    "of a guest with %i MiB has pages as far as such a machine goes",
    async (memory) => {
      const last = pvhRegion((memory * 2 ** 20) / 4096).machinePages - 1;
      const config = { ...HEADER.config, memory };
      const cluster = Math.floor(last / (CLUSTER_BYTES / 4096));
      const file = await fileOf({ ...HEADER, config, clusters: 1 }, [{ cluster, raw: CLUSTERS[0]!.raw }]);
      expect(await checked(file)).toEqual(file);
    },
  );

  test("with pages that its guest has not is refused", async () => {
    const file = await fileOf({ ...HEADER, clusters: 1 }, [{ cluster: 1e6, raw: CLUSTERS[0]!.raw }]);
    await expect(checked(file)).rejects.toThrow(/none of this guest's/);
  });

  test("that would decompress to more than it says is refused, without doing so", () => {
    const bomb = compress(new Uint8Array(64 << 20));
    expect(() => decompress(bomb, CLUSTER_BYTES)).toThrow(SnapshotError);
    expect(() => decompress(compress(new Uint8Array(100)), CLUSTER_BYTES)).toThrow(/100 bytes instead/);
  });
});
