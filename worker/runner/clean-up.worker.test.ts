import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { RUNNER_LIMITS } from "../limits.ts";
import { TEST_BOUNDS } from "../testing/bounds.ts";
import { consoleOf, createJob, endOf, jobOf, request } from "../testing/client.ts";
import type { JobRunner } from "../testing/index.ts";
import type { ScriptEvent } from "../testing/scripted-machine.ts";
import type { JobRecord } from "./record.ts";

/*
 * What a job leaves in storage. While it runs, a bounded amount; when it passed or was canceled, none of its guest's memory;
 * when it failed, that for a while; and at last nothing at all. Time is moved by writing earlier times into the record.
 */

const TURN = TEST_BOUNDS.turnInstructions;
const POWEROFF: ScriptEvent["end"] = { kind: "shutdown", reason: "poweroff", code: 0 };
const CRASH: ScriptEvent["end"] = { kind: "shutdown", reason: "crash", code: 3 };
const MiB = 2 ** 20;

/** Rows of every table of a job's storage. */
function rowsOf(id: string): Promise<Record<string, number>> {
  return runInDurableObject(env.JOB_RUNNER.getByName(id), (_, { storage: { sql } }) => {
    const tables = sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
      )
      .toArray();
    return Object.fromEntries(
      tables.map(({ name }) => [name, sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${name}`).one().n]),
    );
  });
}

const NO_PAGES = { page: 0, page_overlay: 0, base_page: 0, checkpoint: 0, checkpoint_part: 0 };

/** Sets the clock of a job that has ended forward, as far as its record goes, and has its alarm come. */
async function later(id: string, milliseconds: number): Promise<void> {
  await runInDurableObject(env.JOB_RUNNER.getByName(id), async (object, { storage }) => {
    const text = storage.sql.exec<{ record: string }>("SELECT record FROM job").one().record;
    const record = JSON.parse(text) as JobRecord;
    const moved: JobRecord = {
      ...record,
      endedAt: record.endedAt! - milliseconds,
      ...(record.keptUntil === undefined ? {} : { keptUntil: record.keptUntil - milliseconds }),
    };
    const { JobStore } = await import("./job-store.ts");
    const store = new JobStore(storage.sql);
    const stored = store.read();
    if (stored.kind !== "job") throw new Error("there is no job");
    store.save({ ...moved, request: stored.record.request }, stored.epoch);
    await (object as unknown as JobRunner).alarm();
  });
}

function alarmOf(id: string): Promise<number | null> {
  return runInDurableObject(env.JOB_RUNNER.getByName(id), (_, { storage }) => storage.getAlarm());
}

test("a job that passed leaves no pages, and after its time nothing", async () => {
  const { id } = await createJob({
    events: [
      { at: 10, print: "x\n" },
      { at: 1.5 * TURN, end: POWEROFF },
    ],
  });
  const job = await endOf(id);
  expect(job).toMatchObject({ state: "passed", keptUntil: null, checkpoints: { count: 1 } });
  expect(await rowsOf(id)).toMatchObject({ ...NO_PAGES, job: 1, console: 1 });
  expect(job.storage.bytes).toBeLessThan(MiB);

  await later(id, RUNNER_LIMITS.keepResultMilliseconds - 60_000);
  expect(await consoleOf(id)).toBe("x\n");
  await later(id, 60_000);
  expect((await request(`/jobs/${id}`)).status).toBe(404);
  expect((await request(`/jobs/${id}/console`)).status).toBe(404);
  expect(await rowsOf(id)).toEqual({});
  expect(await alarmOf(id)).toBeNull();
});

test("a job says for how long its memory and its result are kept; memory no longer than the result", async () => {
  const crash = {
    events: [
      { at: 10, print: "Kernel panic - not syncing: no init\n" },
      { at: 20, end: CRASH },
    ],
  };
  const kept = async (retention: object): Promise<number | null> => {
    const { keptUntil, endedAt } = await endOf((await createJob(crash, { retention })).id);
    return keptUntil === null ? null : Date.parse(keptUntil) - Date.parse(endedAt!);
  };
  expect(await kept({ failedMemoryHours: 2 })).toBe(2 * 3_600_000);
  expect(await kept({ failedMemoryHours: 0 })).toBeNull();
  expect(await kept({ failedMemoryHours: 48, days: 0.5 })).toBe(12 * 3_600_000);
  const { id } = await createJob(
    {
      events: [
        { at: 10, print: "x\n" },
        { at: 20, end: POWEROFF },
      ],
    },
    { retention: { days: 2 } },
  );
  const { endedAt } = await endOf(id);
  expect(await alarmOf(id)).toBe(Date.parse(endedAt!) + 2 * 24 * 3_600_000);
  await later(id, 47 * 3_600_000);
  expect((await jobOf(id)).state).toBe("passed");
  await later(id, 3_600_000);
  expect((await request(`/jobs/${id}`)).status).toBe(404);
});

test("the memory of a guest that failed is kept as it was at its end, for a while", async () => {
  const { id } = await createJob(
    {
      events: [
        { at: 10, print: "Kernel panic - not syncing: no init\n" },
        { at: 1.5 * TURN, fill: 200 },
        { at: 1.6 * TURN, end: CRASH },
      ],
    },
    { limits: { graceSeconds: 100 } },
  );
  const job = await endOf(id);
  expect(job).toMatchObject({ state: "crashed", checkpoints: { instructions: 1.6 * TURN } });
  const kept = Date.parse(job.keptUntil!) - Date.parse(job.endedAt!);
  expect(kept).toBe(RUNNER_LIMITS.keepFailedMilliseconds);
  expect(await alarmOf(id)).toBe(Date.parse(job.keptUntil!));
  const rows = await rowsOf(id);
  expect(rows.page).toBeGreaterThan(200 / 16);
  expect(rows).toMatchObject({ page_overlay: 0, checkpoint: 1 });

  await later(id, kept - 60_000);
  expect((await rowsOf(id)).page).toBe(rows.page);
  await later(id, 60_000);
  expect(await rowsOf(id)).toMatchObject({ ...NO_PAGES, job: 1, console: 1 });
  expect(await jobOf(id)).toMatchObject({ state: "crashed", keptUntil: null });
  expect(await alarmOf(id)).toBeGreaterThan(Date.now() + RUNNER_LIMITS.keepResultMilliseconds / 2);
});

test.each([
  ["while it runs", 3 * TURN],
  ["before its first checkpoint", 1],
])("a canceled job leaves no pages: %s", async (_, instructions) => {
  const events: ScriptEvent[] = [
    { at: 10, print: "x\n" },
    { at: 20, fill: 500 },
  ];
  const { id } = await createJob(
    { events },
    { limits: { silentSeconds: 1000, silentInstructions: 1e12, instructions: 1e12 } },
  );
  while ((await jobOf(id)).instructions < instructions) await scheduler.wait(1);
  await request(`/jobs/${id}`, { method: "DELETE" });
  expect(await jobOf(id)).toMatchObject({ state: "canceled", keptUntil: null });
  // The turn that was under way must not put anything back.
  await scheduler.wait(200);
  expect(await rowsOf(id)).toMatchObject(NO_PAGES);
});

test("a job canceled while its object was gone leaves no pages", async () => {
  const events: ScriptEvent[] = [
    { at: 10, print: "x\n" },
    { at: 20, fill: 500 },
  ];
  const { id } = await createJob(
    { events },
    { limits: { silentSeconds: 1000, silentInstructions: 1e12, instructions: 1e12 } },
  );
  while ((await jobOf(id)).instructions < 2 * TURN) await scheduler.wait(1);
  await abortAllDurableObjects();
  expect((await rowsOf(id)).page).toBeGreaterThan(0);
  await request(`/jobs/${id}`, { method: "DELETE" });
  expect(await rowsOf(id)).toMatchObject(NO_PAGES);
  expect(await jobOf(id)).toMatchObject({ state: "canceled" });
});

test("a job that stores more than it may ends with that as the reason, and what it stored goes", async () => {
  const pages = TEST_BOUNDS.storageBytes / 4096;
  const events: ScriptEvent[] = [{ at: 10, print: "x\n" }];
  for (let turn = 0; turn < 8; turn++)
    events.push({ at: (turn + 0.5) * TURN, fill: (pages * (turn + 1)) / 4 });
  const { id } = await createJob({ events }, { limits: { instructions: 1e12 } });
  const job = await endOf(id);
  expect(job).toMatchObject({
    state: "error",
    reasonCode: "storage",
    reason: "The job's storage has outgrown its limit of 16 MiB; give the guest less memory.",
    storage: { limit: TEST_BOUNDS.storageBytes },
  });
  expect(job.instructions).toBeGreaterThan(TURN);
  expect(job.storage.most).toBeGreaterThan(TEST_BOUNDS.storageBytes);
  expect(job.storage.most).toBeLessThan(2 * TEST_BOUNDS.storageBytes);
  expect(await rowsOf(id)).toMatchObject(NO_PAGES);
});

test("what checkpoints write is what changed", async () => {
  const events: ScriptEvent[] = [
    { at: 0.5 * TURN, fill: 800 },
    { at: 3.5 * TURN, print: "x\n", end: POWEROFF },
  ];
  const { id } = await createJob({ events });
  const { checkpoints } = await endOf(id);
  expect(checkpoints.count).toBe(3);
  expect(checkpoints.bytesWritten).toBeGreaterThan(800 * 4096);
  // The two that came after wrote one cluster each.
  expect(checkpoints.last!.bytes).toBeLessThan(100_000);
});
