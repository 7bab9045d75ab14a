import { join } from "node:path";
import { expect, test } from "vitest";
import { HVM_CALLS } from "../../r2-fixtures/hvm-calls/build.ts";
import { type PreparedFixture, prepareFixture } from "../../r2-fixtures/index.ts";
import type { PagingFigures } from "../runner/run-figures.ts";
import { LocalServer } from "./server.ts";
import { type HashedGuest, stateHashes } from "./state-hashes.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * The same job leaves the same state, to the bit: guest memory, processor and devices at 20 points on the way, for slices of
 * 1 M and 7 M instructions and as long as they come, with pools of 4, 24 and 64 MiB, in Node, where the machine is made anew from a
 * checkpoint after each slice, and through the worker in workerd. A small guest of each mode and word size; the beginning of
 * Debian in a pool of 8 MiB, which it does not fit. With LONG=1 all of Debian: in mode pv in every combination of slices
 * of 1 M, 7 M, 100 M and more with pools of 24, 64 and 256 MiB, which takes an hour, and in the other modes in four of them.
 */

const grub = await availableFixture("grub-pv");
const debian = await availableFixture("debian-cloud");
const hello32 = await prepareFixture("hello32", { log: () => {} });
const POINTS = 20;
const SLICES = [1e6, 7e6, 100e6, 1e12];
const POOLS_MIB = [24, 64, 256];
const PAGES_PER_MIB = 256;

interface Setting {
  readonly slice: number;
  readonly poolMiB: number;
}

const SMALL_POOL: Setting = { slice: 7e6, poolMiB: 8 };
/** For small guests: the first pool is too small for GRUB. */
const SMALL_SETTINGS: readonly Setting[] = [
  { slice: 1e6, poolMiB: 4 },
  { slice: 7e6, poolMiB: 24 },
  { slice: 1e12, poolMiB: 64 },
];
/** Each slice and each pool. */
const SETTINGS: readonly Setting[] = [
  { slice: 1e6, poolMiB: 64 },
  { slice: 7e6, poolMiB: 24 },
  { slice: 100e6, poolMiB: 256 },
  { slice: 1e12, poolMiB: 24 },
];
const ALL_SETTINGS: readonly Setting[] = POOLS_MIB.flatMap((poolMiB) =>
  SLICES.map((slice) => ({ poolMiB, slice })),
);

interface Trail {
  readonly points: readonly string[];
  readonly paging: PagingFigures;
}

interface Subject {
  readonly name: string;
  readonly guest: HashedGuest;
  readonly every: number;
}

function subjectOf(
  { name, kernelPath, initrdPath, cmdline, memoryMiB, expect }: PreparedFixture,
  every: number,
  config: Readonly<Record<string, unknown>> = {},
): Subject {
  const guest = {
    kernel: kernelPath,
    ...(initrdPath !== undefined && { initrd: initrdPath }),
    config: { cmdline, memory: memoryMiB, expect, ...config },
  };
  return { name: `${name} in mode ${config.mode ?? "pv"}`, guest, every };
}

/** A guest of r2-fixtures/hvm-calls. */
function callsOf(bits: 32 | 64, mode: "pvh" | "hvm", every: number): Subject {
  const { directory, output } = HVM_CALLS.find((build) => build.output === `calls${bits}.elf`)!;
  const config = { mode, memory: 16, expect: { pass: ["HVM-OK"], fail: ["FAIL"] } };
  return { name: `${output} in mode ${mode}`, guest: { kernel: join(directory, output), config }, every };
}

async function inNode({ guest, every }: Subject, run: Parameters<typeof stateHashes>[3]): Promise<Trail> {
  const points: string[] = [];
  const { paging } = await stateHashes(guest, every, (at, hash) => points.push(`${at} ${hash}`), run);
  return { points: points.slice(0, POINTS), paging };
}

async function inWorkerd({ guest, every }: Subject, server: LocalServer): Promise<Trail> {
  const client = server.client();
  const kernel = { sha256: await client.putFile(guest.kernel) };
  const initrd = guest.initrd === undefined ? {} : { initrd: { sha256: await client.putFile(guest.initrd) } };
  const config = { ...guest.config, stateHashEvery: every };
  const { id } = await client.createJob({ kernel, ...initrd, config });
  const { stateHashes: hashes, paging } = await client.followConsole(id, () => {});
  const points = (hashes ?? []).map(({ instructions, hash }) => `${instructions} ${hash}`);
  return { points: points.slice(0, POINTS), paging: paging! };
}

/** Compares with a run in one go whose pool has room for everything; gives the evictions that there were. */
async function compareAll(
  subjects: readonly Subject[],
  settings: readonly Setting[],
): Promise<ReadonlyMap<Subject, number>> {
  const expected = new Map<Subject, readonly string[]>();
  const evictions = new Map<Subject, number>();
  for (const subject of subjects) {
    const { points } = await inNode(subject, { poolPages: 1024 * PAGES_PER_MIB });
    expect(new Set(points).size, subject.name).toBe(POINTS);
    expected.set(subject, points);
  }
  for (const { slice, poolMiB } of settings) {
    const variables = { POOL_MIB: String(poolMiB), SLICE_INSTRUCTIONS: String(slice) };
    const run = { poolPages: poolMiB * PAGES_PER_MIB, sliceInstructions: slice, restores: true };
    const server = await LocalServer.start({ variables });
    try {
      for (const subject of subjects) {
        for (const [where, trail] of [
          ["Node", await inNode(subject, run)],
          ["workerd", await inWorkerd(subject, server)],
        ] as const) {
          const what = `${subject.name}, slices of ${slice}, a pool of ${poolMiB} MiB, in ${where}`;
          expect(trail.points, what).toEqual(expected.get(subject));
          console.log(`${what}: the same; ${trail.paging.evictions} evictions`);
          evictions.set(subject, (evictions.get(subject) ?? 0) + trail.paging.evictions);
        }
      }
    } finally {
      await server.stop();
    }
  }
  return evictions;
}

test("small guests of each mode and word size", { timeout: 900_000 }, async () => {
  const first = { memory: 32, limits: { instructions: 21_000_000 } };
  const pv = grub === undefined ? [] : [subjectOf(grub, 1_000_000, first)];
  const subjects = [
    ...pv,
    subjectOf(hello32, 2_000_000),
    callsOf(64, "pvh", 1_000_000),
    callsOf(32, "hvm", 2_000_000),
  ];
  const evictions = await compareAll(subjects, SMALL_SETTINGS);
  for (const subject of pv) expect(evictions.get(subject)).toBeGreaterThan(100);
});

testWith(debian)(
  "the first 100 M instructions of Debian, most of it evicted",
  { timeout: 300_000 },
  async () => {
    const subject = subjectOf(debian!, 5_000_000, { limits: { instructions: 101_000_000 } });
    const evictions = await compareAll([subject], [SMALL_POOL]);
    expect(evictions.get(subject)).toBeGreaterThan(2000);
  },
);

const testLong = process.env.LONG === "1" ? testWith(debian) : test.skip;
testLong.each([
  ["pv", 160_000_000, ALL_SETTINGS],
  ["pvh", 80_000_000, SETTINGS],
  ["hvm", 80_000_000, SETTINGS],
] as const)("Debian in mode %s", { timeout: 7_200_000 }, async (mode, every, settings) => {
  await compareAll([subjectOf(debian!, every, { mode })], settings);
});
