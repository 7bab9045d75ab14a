import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import { codePage, entriesWithCode, hvmHypercallPage } from "../../engine/xenner/hvm/hypercall-page.ts";
import { hypercallPage } from "../../engine/xenner/hypercall-page.ts";
import { HVM_CALLS } from "../../r2-fixtures/hvm-calls/build.ts";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { JobView } from "../runner/record.ts";
import { type OpenedSnapshot, readSnapshot } from "../snapshots/read.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";

/*
 * Guests of each mode in the middle of their work, sent from one worker to another: our own, which check every answer they get. There
 * they print the rest of what they print here, and come to the same instruction count, statistics, state hashes and memory, byte for
 * byte. Their code is that of the kernel's file before and after, and so are their hypercall pages the bytes they were.
 * snapshots.e2e.test.ts does it with Debian.
 */

const hello32 = await prepareFixture("hello32", { log: () => {} });
const calls = (bits: 32 | 64): string => {
  const { directory, output } = HVM_CALLS.find(({ output }) => output === `calls${bits}.elf`)!;
  return join(directory, output);
};
const CALLS = {
  expect: { pass: ["HVM-OK"], fail: ["FAIL"] },
  half: "done: one page",
  later: "done: two pages",
};

const GUESTS = [
  {
    mode: "pv",
    bits: 32,
    kernel: hello32.kernelPath,
    expect: hello32.expect,
    half: "ok: console_io",
    later: "ok: ring 3",
  },
  { mode: "pvh", bits: 64, kernel: calls(64), ...CALLS },
  { mode: "hvm", bits: 32, kernel: calls(32), ...CALLS },
] as const;
const HASHES_EVERY = 3_000_000;
const PAGE = 4096;
const ZEROS = Buffer.alloc(PAGE);
const PAGES_PER_CLUSTER = 16;
/** All that a guest of 16 MiB has. */
const PAGES = 0x20000;
/** What xenner writes into a page of its own accord begins behind this. */
const HYPERCALL_PAGE_HEAD = 256;
const HYPERCALL_PAGES = [
  hypercallPage(4),
  hypercallPage(8),
  hvmHypercallPage(),
  entriesWithCode(),
  codePage(),
].map((page) => Buffer.from(page.subarray(0, HYPERCALL_PAGE_HEAD)));

interface Run {
  readonly job: JobView;
  readonly console: string;
  readonly hypercalls: HypercallStatistics | undefined;
}

let directory: string;
let here: LocalServer;
let there: LocalServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-migration-"));
  here = await LocalServer.start();
  there = await LocalServer.start();
});

afterAll(async () => {
  await here?.stop();
  await there?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

async function run(client: Client, body: unknown): Promise<Run> {
  const { id } = await client.createJob(body);
  const chunks: Uint8Array[] = [];
  const job = await client.followConsole(id, (bytes) => chunks.push(bytes));
  const console = Buffer.concat(chunks).toString("latin1");
  return { job, console, hypercalls: await client.hypercalls(id) };
}

async function fileOf(client: Client, { job }: Run, name: string): Promise<string> {
  const path = join(directory, `${job.id}-${name}`);
  await client.exportSnapshot(job.id, name, path);
  return path;
}

/** The pages of a guest that are not zero, by number. */
function pagesOf({ base }: OpenedSnapshot): ReadonlyMap<number, Buffer> {
  const pages = new Map<number, Buffer>();
  for (let cluster = 0; cluster < PAGES / PAGES_PER_CLUSTER; cluster++) {
    const bytes = base.read(cluster);
    if (bytes === undefined) continue;
    for (let i = 0; i < PAGES_PER_CLUSTER; i++) {
      const page = Buffer.from(bytes.subarray(i * PAGE, (i + 1) * PAGE));
      if (page.some((byte: number) => byte !== 0)) pages.set(cluster * PAGES_PER_CLUSTER + i, page);
    }
  }
  return pages;
}

const isHypercallPage = (page: Buffer | undefined): boolean =>
  page !== undefined && HYPERCALL_PAGES.some((head) => head.equals(page.subarray(0, HYPERCALL_PAGE_HEAD)));

/** The whole pages of the file's first loadable segment, which has code and constants, by their number in the guest. */
function codeOf(path: string, bits: 32 | 64): ReadonlyMap<number, Buffer> {
  const file = readFileSync(path);
  const [offset, address, bytes] = (bits === 64 ? [72, 88, 96] : [56, 64, 68]).map((at) =>
    file.readUInt32LE(at),
  );
  const pages = new Map<number, Buffer>();
  for (let at = 0; at + PAGE <= bytes!; at += PAGE) {
    pages.set((address! + at) / PAGE, file.subarray(offset! + at, offset! + at + PAGE));
  }
  return pages;
}

function hashOf(pages: ReadonlyMap<number, Buffer>, numbers: Iterable<number>): string {
  const hash = createHash("sha256");
  for (const number of numbers) hash.update(`${number}`).update(pages.get(number) ?? ZEROS);
  return hash.digest("hex");
}

test.each(GUESTS)("a guest in mode $mode of $bits bits", { timeout: 300_000 }, async (guest) => {
  const { mode, bits, expect: expected, half, later } = guest;
  const kernel = { sha256: await here.client().putFile(guest.kernel) };
  const common = { expect: expected, stateHashEvery: HASHES_EVERY };
  const snapshots = [
    { name: "half", at: half },
    { name: "later", at: later },
  ];
  const stayed = await run(here.client(), {
    kernel,
    config: { mode, memory: 16, ...common, snapshots },
  });
  expect(stayed.job, stayed.console).toMatchObject({ verdict: "pass" });
  const file = await fileOf(here.client(), stayed, "half");
  const imported = await there.client().importSnapshot(file);
  const moved = await run(there.client(), {
    from: imported.from,
    config: { ...common, snapshots: snapshots.slice(1) },
  });

  const printed = moved.job.from!.consoleBytes;
  expect(printed).toBeGreaterThan(10);
  expect(moved.console).toBe(stayed.console.slice(printed));
  expect(moved.console).toMatch(/-OK/);
  const { verdict, instructions, guestSeconds } = stayed.job;
  expect(moved.job).toMatchObject({ verdict, instructions, guestSeconds, restarts: 0 });
  expect(moved.hypercalls).toEqual(stayed.hypercalls);
  // The first one is where it went on, which is no moment of the other's.
  const hashes = moved.job.stateHashes!.slice(1);
  expect(hashes.length).toBeGreaterThan(1);
  expect(hashes).toEqual(stayed.job.stateHashes!.slice(-hashes.length));

  const before = readSnapshot(readFileSync(file));
  const [afterHere, afterThere] = await Promise.all([
    fileOf(here.client(), stayed, "later").then((path) => readSnapshot(readFileSync(path))),
    fileOf(there.client(), moved, "later").then((path) => readSnapshot(readFileSync(path))),
  ]);
  expect(afterThere.header.instructions).toBe(afterHere.header.instructions);
  const [old, stayedPages, movedPages] = [before, afterHere, afterThere].map(pagesOf);
  expect([...movedPages!.keys()]).toEqual([...stayedPages!.keys()]);
  for (const [number, page] of movedPages!)
    expect(page.equals(stayedPages!.get(number)!), `page ${number}`).toBe(true);

  const hypercallPages = [...old!.keys()].filter((number) => isHypercallPage(old!.get(number)));
  expect(hypercallPages.length).toBeGreaterThan(0);
  const code = codeOf(guest.kernel, bits);
  const codePages = [...code.keys()].filter((number) => !hypercallPages.includes(number));
  expect(codePages.length).toBeGreaterThan(4);
  expect(hashOf(old!, codePages)).toBe(hashOf(code, codePages));
  expect(hashOf(movedPages!, codePages)).toBe(hashOf(code, codePages));
  expect(hashOf(movedPages!, hypercallPages)).toBe(hashOf(old!, hypercallPages));
});
