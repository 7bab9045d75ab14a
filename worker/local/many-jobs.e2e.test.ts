import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobView } from "../runner/record.ts";
import { LocalServer } from "./server.ts";
import { Crowding } from "./testing/crowding.ts";
import { availableFixture, ENDLESS_CONFIG, endlessKernel } from "./testing/guests.ts";

/*
 * 50 jobs posted at once to one workerd: guests that pass, fail, panic, time out and are canceled, short ones and a distribution's
 * kernel. Each gets its own verdict, status requests are answered all the while, and when the pages of those that failed have had
 * their time, no job's storage holds any: that is read from the database files themselves.
 */

const JOBS = 50;
const KEEP_SECONDS = 2;
const STATUS_LIMIT_MILLISECONDS = 200;
/** How long pages that have had their time may stay. */
const PATIENCE_MILLISECONDS = 180_000;
const PAGE_TABLES = ["page", "page_overlay", "base_page", "checkpoint", "checkpoint_part", "spool"];

const hello = await availableFixture("hello");
const grub = await availableFixture("grub-pv");
const debian = await availableFixture("debian-cloud");

interface Kind {
  readonly name: string;
  readonly body: unknown;
  readonly expected: Partial<JobView>;
  readonly cancel?: true;
}

const fixture = (name: string) => ({ kernel: { fixture: name } });

/** Those that end by themselves. */
const KINDS: readonly Kind[] = [
  { name: "hello", body: fixture("hello"), expected: { state: "passed", reasonCode: "patterns-seen" } },
  {
    name: "hello that misses a pattern",
    body: { ...fixture("hello"), config: { expect: { pass: ["never printed"] } } },
    expected: { state: "failed", reasonCode: "pattern-missing" },
  },
  {
    name: "hello with too few instructions",
    body: { ...fixture("hello"), config: { limits: { instructions: 100_000 } } },
    expected: { state: "failed", reasonCode: "no-output" },
  },
];

/** The long ones come once each, the others by turns. */
async function kinds(): Promise<Kind[]> {
  const long: Kind[] = [];
  if (grub !== undefined) {
    long.push({ name: "grub-pv", body: fixture("grub-pv"), expected: { state: "passed" } });
    long.push({
      name: "grub-pv that does not say what is wanted",
      body: {
        ...fixture("grub-pv"),
        config: { expect: { pass: ["never printed"] }, limits: { instructions: 4e8 } },
      },
      expected: { verdict: "timeout", instructions: 4e8 },
    });
  }
  if (debian !== undefined) {
    const kernel = { sha256: await server.client().putFile(debian.kernelPath) };
    long.push({
      name: "Debian",
      body: fixture("debian-cloud"),
      expected: { state: "passed", reasonCode: "patterns-seen" },
    });
    long.push({
      name: "Debian without an initrd",
      body: { kernel, config: { memory: 128, mode: "pvh" } },
      expected: { state: "crashed", reasonCode: "no-root" },
    });
  }
  const file = join(directory, "endless");
  await writeFile(file, endlessKernel());
  const canceled: Kind = {
    name: "canceled",
    body: { kernel: { sha256: await server.client().putFile(file) }, config: ENDLESS_CONFIG },
    expected: { state: "canceled", verdict: "canceled" },
    cancel: true,
  };
  const short = [...KINDS, canceled];
  return [...long, ...Array.from({ length: JOBS - long.length }, (_, i) => short[i % short.length]!)];
}

let directory: string;
let server: LocalServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-many-"));
  server = await LocalServer.start({ directory, variables: { KEEP_FAILED_SECONDS: String(KEEP_SECONDS) } });
  for (const guest of [hello, grub, debian]) if (guest !== undefined) await server.storeFixture(guest);
});

afterAll(async () => {
  await server?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

/** Rows that are left in the tables of pages and checkpoints, of all jobs together. */
function rowsLeft(): { readonly databases: number; readonly rows: Record<string, number> } {
  const folder = join(directory, "do", "xenner-JobRunner");
  const files = readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const rows: Record<string, number> = {};
  let databases = 0;
  for (const file of files) {
    const database = new DatabaseSync(join(folder, file), { readOnly: true });
    try {
      const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
      const names = tables.map(({ name }) => String(name));
      if (!names.includes("job")) continue;
      databases++;
      for (const table of PAGE_TABLES.filter((name) => names.includes(name))) {
        const count = database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n;
        rows[table] = (rows[table] ?? 0) + Number(count);
      }
    } finally {
      database.close();
    }
  }
  return { databases, rows };
}

test("50 jobs at once", { timeout: 1_200_000 }, async () => {
  expect(existsSync(directory)).toBe(true);
  const client = server.client();
  const wanted = await kinds();
  const ids = await Promise.all(wanted.map(async ({ body }) => (await client.createJob(body)).id));
  for (const [i, { cancel }] of wanted.entries()) if (cancel === true) await client.cancel(ids[i]!);

  const latencies: number[] = [];
  const crowding = new Crowding();
  const ended = new Map<string, JobView>();
  for (let asked = 0; ended.size < JOBS; asked++) {
    const id = ids[asked % JOBS]!;
    const began = performance.now();
    const job = await client.job(id);
    latencies.push(performance.now() - began);
    if (job.endedAt !== null) ended.set(id, job);
    await sleep(20);
  }
  const got = wanted.map(({ name, expected }, i) => {
    const job = ended.get(ids[i]!)!;
    const fields = Object.keys(expected) as (keyof JobView)[];
    return { name, ...Object.fromEntries(fields.map((field) => [field, job[field]])) };
  });
  expect(got).toEqual(wanted.map(({ name, expected }) => ({ name, ...expected })));
  const instructions = new Map<string, Set<number>>();
  for (const [i, { name, cancel }] of wanted.entries()) {
    if (cancel === true) continue;
    const counts = instructions.get(name) ?? new Set();
    instructions.set(name, counts.add(ended.get(ids[i]!)!.instructions));
  }
  expect([...instructions.values()].map((counts) => counts.size)).toEqual(
    [...instructions.keys()].map(() => 1),
  );

  const slower = (await crowding.stop())(0.95);
  const sorted = latencies.sort((a, b) => a - b);
  const p95 = sorted[Math.floor(sorted.length * 0.95)]!;
  console.log(
    `${sorted.length} status requests, p50 ${sorted[sorted.length >> 1]?.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms, ` +
      `longest ${sorted.at(-1)?.toFixed(0)} ms; work takes ${slower.toFixed(1)} times as long as on a machine of our own`,
  );
  expect(p95).toBeLessThan(STATUS_LIMIT_MILLISECONDS * slower);

  const deadline = performance.now() + KEEP_SECONDS * 1000 + PATIENCE_MILLISECONDS;
  const isEmpty = (): boolean => Object.values(rowsLeft().rows).every((rows) => rows === 0);
  while (!isEmpty() && performance.now() < deadline) await sleep(200);
  const { databases, rows } = rowsLeft();
  expect(databases).toBe(JOBS);
  expect(rows).toEqual(Object.fromEntries(Object.keys(rows).map((table) => [table, 0])));
  const kept = await Promise.all(ids.map(async (id) => (await client.job(id)).keptUntil));
  expect(kept).toEqual(ids.map(() => null));
});
