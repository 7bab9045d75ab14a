import { expect, test } from "vitest";
import type { PreparedFixture } from "../../r2-fixtures/index.ts";
import type { PagingFigures } from "../runner/run-figures.ts";
import { LocalServer } from "./server.ts";
import { stateHashes } from "./state-hashes.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * The same job leaves the same state, to the bit: guest memory, processor and devices at 20 points on the way, for slices of
 * 1 M, 7 M and 100 M instructions and as long as they come, with pools of 24, 64 and 256 MiB, in Node and through the worker
 * in workerd. GRUB in every combination, and the beginning of Debian in a pool of 8 MiB, which it does not fit; all of Debian
 * in every combination, which takes an hour, with LONG=1.
 */

const grub = await availableFixture("grub-pv");
const debian = await availableFixture("debian-cloud");
const POINTS = 20;
const SLICES = [1e6, 7e6, 100e6, 1e12];
const POOLS_MIB = [24, 64, 256];
const SMALL_POOL_MIB = 8;
const PAGES_PER_MIB = 256;

interface Trail {
  readonly points: readonly string[];
  readonly paging: PagingFigures;
}

interface Subject {
  readonly fixture: PreparedFixture;
  readonly every: number;
  /** More fields of the config. */
  readonly config: Readonly<Record<string, unknown>>;
}

async function inNode({ fixture, every, config }: Subject, slice: number, poolMiB: number): Promise<Trail> {
  const points: string[] = [];
  const { kernelPath, initrdPath, cmdline, memoryMiB } = fixture;
  const guest = {
    kernel: kernelPath,
    ...(initrdPath !== undefined && { initrd: initrdPath }),
    config: { cmdline, memory: memoryMiB, ...config },
  };
  const run = { poolPages: poolMiB * PAGES_PER_MIB, sliceInstructions: slice };
  const { paging } = await stateHashes(guest, every, (at, hash) => points.push(`${at} ${hash}`), run);
  return { points: points.slice(0, POINTS), paging };
}

async function inWorkerd(
  { fixture, every, config }: Subject,
  slice: number,
  poolMiB: number,
): Promise<Trail> {
  const variables = { POOL_MIB: String(poolMiB), SLICE_INSTRUCTIONS: String(slice) };
  const server = await LocalServer.start({ variables });
  try {
    await server.storeFixture(fixture);
    const client = server.client();
    const { id } = await client.createJob({
      kernel: { fixture: fixture.name },
      config: { ...config, stateHashEvery: every },
    });
    const { stateHashes: hashes, paging } = await client.followConsole(id, () => {});
    const points = (hashes ?? []).map(({ instructions, hash }) => `${instructions} ${hash}`);
    return { points: points.slice(0, POINTS), paging: paging! };
  } finally {
    await server.stop();
  }
}

async function compareAll(subject: Subject, pools: readonly number[]): Promise<void> {
  const expected = (await inNode(subject, Number.POSITIVE_INFINITY, 1024)).points;
  expect(new Set(expected).size).toBe(POINTS);
  for (const poolMiB of pools) {
    for (const slice of SLICES) {
      for (const run of [inNode, inWorkerd]) {
        const { points, paging } = await run(subject, slice, poolMiB);
        const what = `${run.name}, slices of ${slice}, a pool of ${poolMiB} MiB`;
        expect(points, what).toEqual(expected);
        console.log(`${what}: the same; ${paging.evictions} evictions`);
      }
    }
  }
}

testWith(grub)("GRUB, in every combination", { timeout: 900_000 }, async () => {
  const config = { memory: 32, limits: { instructions: 21_000_000 } };
  await compareAll({ fixture: grub!, every: 1_000_000, config }, POOLS_MIB);
});

testWith(debian)(
  "the first 100 M instructions of Debian, most of it evicted",
  { timeout: 300_000 },
  async () => {
    const config = { limits: { instructions: 101_000_000 } };
    const subject = { fixture: debian!, every: 5_000_000, config };
    const expected = (await inNode(subject, Number.POSITIVE_INFINITY, 1024)).points;
    expect(new Set(expected).size).toBe(POINTS);
    for (const run of [inNode, inWorkerd]) {
      const { points, paging } = await run(subject, 7e6, SMALL_POOL_MIB);
      expect(points, run.name).toEqual(expected);
      expect(paging.evictions, run.name).toBeGreaterThan(1000);
    }
  },
);

const testLong = process.env.LONG === "1" ? testWith(debian) : test.skip;
testLong("Debian, in every combination", { timeout: 7_200_000 }, async () => {
  await compareAll({ fixture: debian!, every: 160_000_000, config: {} }, POOLS_MIB);
});
