import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { makeTables } from "../database/database.ts";
import type { JobPage } from "../database/list-jobs.ts";
import type { RepairReport } from "../register/repair.ts";
import { createJob, endOf, jobOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { JobEvent } from "./event.ts";

/*
 * From a job's object to the index. An event is stored with the change it tells of, and delivered at least once: also when the
 * database is away, when the object's process dies, and when all of the database was lost. A job never waits for any of that.
 */

const HELLO: Script = {
  events: [
    { at: 1_000_000, print: "hello\n" },
    { at: 2_500_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};

// Asked for each time: a stub does not outlive its object's process.
const register = () => env.REGISTER.getByName("register");

async function listed(): Promise<Map<string, string>> {
  const { jobs } = (await (await request("/jobs?limit=500")).json()) as JobPage;
  return new Map(jobs.map(({ id, state }) => [id, state]));
}

/** Until it is so. */
async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await scheduler.wait(10);
}

async function repaired(): Promise<RepairReport> {
  expect((await request("/admin/repair", { method: "POST" })).status).toBe(202);
  for (;;) {
    const { repair } = (await (await request("/admin/repair")).json()) as { repair: RepairReport };
    if (repair.phase === "done") return repair;
    await scheduler.wait(10);
  }
}

/** Until no repair is under way: the register's alarm does nothing else meanwhile. */
const noRepair = (): Promise<void> =>
  until(async () => ((await register().lastRepair())?.phase ?? "done") === "done");

/** All tables go, as with a database that was deleted and made anew. */
async function loseDatabase(): Promise<void> {
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all<{ name: string }>();
  for (const { name } of results) await env.DB.prepare(`DROP TABLE "${name}"`).run();
}

interface OutboxRow extends Record<string, SqlStorageValue> {
  number: number;
  event: string | null;
  attempts: number;
  due: number;
}

function outboxOf(id: string): Promise<OutboxRow[]> {
  return runInDurableObject(env.JOB_RUNNER.getByName(id), (_, { storage }) =>
    storage.sql.exec<OutboxRow>("SELECT * FROM outbox ORDER BY number").toArray(),
  );
}

/** A job that is kept for 0.01 days has ended so long ago that nothing of it is to be left. */
async function outlive({ sql }: DurableObjectStorage): Promise<void> {
  const { JobStore } = await import("../runner/job-store.ts");
  const store = new JobStore(sql);
  const stored = store.read();
  if (stored.kind !== "job") throw new Error("there is no job");
  store.save({ ...stored.record, endedAt: Date.now() - 15 * 60_000 }, stored.epoch);
}

beforeEach(() => makeTables(env));

test("a job's three events are delivered in order, and only the last one's number is kept", async () => {
  const { id } = await createJob(HELLO);
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  await until(async () => (await outboxOf(id))[0]?.event === null);
  expect(await outboxOf(id)).toMatchObject([{ number: 3, event: null }]);
  const last = (await env.JOB_RUNNER.getByName(id).lastEvent()) as JobEvent;
  expect(last).toMatchObject({ id: `${id}.3`, type: "job.ended", owner: "root", batch: null, notify: [] });
  expect(last.job).toEqual({ ...(await jobOf(id)), storage: last.job.storage });
});

test("an event that is older than the row, or comes twice, changes nothing", async () => {
  const { id } = await createJob(HELLO);
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  const { indexJobEvent } = await import("../database/on-job-event.ts");
  const { accountJobEvent } = await import("../register/on-job-event.ts");
  const last = (await env.JOB_RUNNER.getByName(id).lastEvent()) as JobEvent;
  const before = await register().usage("root");
  for (const event of [
    { ...last, number: 2, type: "job.running", job: { ...last.job, state: "running" } } as const,
    last,
    last,
  ]) {
    await indexJobEvent(env as never, event);
    await accountJobEvent(env as never, event);
  }
  expect((await listed()).get(id)).toBe("passed");
  expect(await register().usage("root")).toEqual(before);
});

test("while the database is away jobs run and end; their events wait, and come when it is back", async () => {
  await env.DB.prepare("ALTER TABLE jobs RENAME COLUMN summary TO gone").run();
  const { id } = await createJob(HELLO);
  expect(await endOf(id)).toMatchObject({ state: "passed" });
  await until(async () => (await outboxOf(id)).length === 3 && (await outboxOf(id))[0]!.attempts > 0);
  await env.DB.prepare("ALTER TABLE jobs RENAME COLUMN gone TO summary").run();
  // The object's alarm is set for the next attempt, and comes by itself.
  await until(async () => (await listed()).get(id) === "passed");
});

test("an object whose process dies with events undelivered delivers them when it is back", async () => {
  await env.DB.prepare("ALTER TABLE jobs RENAME COLUMN summary TO gone").run();
  const { id } = await createJob(HELLO);
  await endOf(id);
  await abortAllDurableObjects();
  await env.DB.prepare("ALTER TABLE jobs RENAME COLUMN gone TO summary").run();
  expect((await listed()).has(id)).toBe(false);
  await until(async () => (await listed()).get(id) === "passed");
});

test("an object whose process dies while its last event is on its way sends it again when it is back", async () => {
  const { id } = await createJob(ENDLESS, UNLIMITED);
  await until(async () => (await listed()).get(id) === "running");
  // Whoever hears of jobs first hears nothing until all processes are gone.
  void runInDurableObject(register(), (_, state) =>
    state.blockConcurrencyWhile(() => scheduler.wait(20_000)),
  ).catch(() => {});
  void env.JOB_RUNNER.getByName(id)
    .cancel()
    .catch(() => {});
  await until(async () => (await outboxOf(id)).at(-1)?.number === 3);
  expect((await outboxOf(id)).at(-1)).toMatchObject({
    attempts: 0,
    event: expect.stringContaining("job.ended"),
  });
  await abortAllDurableObjects();
  await until(async () => (await listed()).get(id) === "canceled");
  // There is nothing left to do before the clean-up.
  await until(async () => (await outboxOf(id)).at(-1)?.event === null);
  const alarm = await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, { storage }) =>
    storage.getAlarm(),
  );
  expect(alarm).toBeGreaterThan(Date.now() + 3_600_000);
});

test("a database that was lost is made anew, and filled again by itself: jobs, running ones too, labels and tokens", async () => {
  const made = await request("/tokens", { method: "POST", body: JSON.stringify({ name: "survivor" }) });
  const { token } = (await made.json()) as { token: string };
  const ids: string[] = [];
  for (let i = 0; i < 8; i++) ids.push((await createJob(HELLO, { labels: { n: `${i}` } })).id);
  for (const id of ids) await endOf(id);
  const running = (await createJob(ENDLESS, UNLIMITED)).id;
  await until(async () => (await listed()).get(running) === "running");
  const before = await listed();
  await loseDatabase();
  // Whoever asks first finds an empty list, and what he did not ask for: a repair.
  expect((await request("/jobs")).status).toBe(200);
  await until(async () => (await listed()).size === before.size);
  expect(await listed()).toEqual(before);
  expect(((await (await request("/jobs?label=n=7")).json()) as JobPage).jobs.map(({ id }) => id)).toEqual([
    ids[7],
  ]);
  expect((await request("/fixtures", { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  expect(
    (await env.DB.prepare("SELECT count(*) AS n FROM tokens").first<{ n: number }>())?.n,
  ).toBeGreaterThan(0);
  await request(`/jobs/${running}`, { method: "DELETE" });
  expect((await listed()).get(running)).toBe("canceled");
});

test("a repair puts right what differs, removes what is of no job, and forgets what was never made", async () => {
  const { id } = await createJob(HELLO);
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  const row = (await env.DB.prepare("SELECT * FROM jobs WHERE id = ?").bind(id).first())!;
  await env.DB.batch([
    env.DB.prepare("UPDATE jobs SET state = 'failed', summary = '{}' WHERE id = ?").bind(id),
    env.DB.prepare(
      "INSERT INTO jobs SELECT ?, owner, visibility, batch, state, verdict, created_at, ended_at, instructions, run_milliseconds, checkpoints, event, text, summary FROM jobs WHERE id = ?",
    ).bind("f".repeat(32), id),
  ]);
  // The process died between the register and the job: more often than one step of a repair takes.
  const never = Array.from({ length: 60 }, (_, i) => `${i}`.padStart(32, "e"));
  const quotas = { concurrentJobs: never.length, instructionsPerDay: null, storageBytes: null };
  for (const ghost of never) expect(await register().admit(ghost, "ghost", quotas)).toBeNull();
  expect(await register().admit("d".repeat(32), "ghost", quotas)).toMatchObject({ quota: "concurrentJobs" });
  await runInDurableObject(register(), (_, { storage }) => {
    storage.sql.exec("UPDATE job SET created_at = 0, heard_at = 0 WHERE owner = 'ghost'");
  });
  expect(await repaired()).toMatchObject({ forgotten: 60, removed: 1, failures: 0 });
  expect(await env.DB.prepare("SELECT * FROM jobs WHERE id = ?").bind(id).first()).toEqual(row);
  expect((await register().usage("ghost")).concurrentJobs).toBe(0);
});

test("when nothing is left of a job, nothing of it is left in the index or the register", async () => {
  const { id } = await createJob(HELLO, { labels: { name: "goes" }, retention: { days: 0.01 } });
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  await runInDurableObject(env.JOB_RUNNER.getByName(id), async (object, { storage }) => {
    await outlive(storage);
    await object.alarm();
  });
  expect((await request(`/jobs/${id}`)).status).toBe(404);
  expect((await listed()).has(id)).toBe(false);
  expect(await env.DB.prepare("SELECT * FROM job_labels WHERE job = ?").bind(id).first()).toBeNull();
  const known = await runInDurableObject(register(), (_, { storage }) =>
    storage.sql.exec("SELECT * FROM job WHERE id = ?", id).toArray(),
  );
  expect(known).toEqual([]);
});

test("a database that is lost is made once, however many notice at once", async () => {
  const { withDatabase } = await import("../database/database.ts");
  await loseDatabase();
  const counts = await Promise.all(
    [1, 2, 3, 4, 5].map(() =>
      withDatabase(env as never, (database) =>
        database.prepare("SELECT count(*) AS n FROM jobs").first<number>("n"),
      ),
    ),
  );
  expect(counts.every((count) => count !== null)).toBe(true);
});

test("a job that nobody heard of for long is asked: its end is accounted, and its place is free", async () => {
  const { id } = await createJob(HELLO);
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  const before = await register().usage("root");
  const liveOf = (): Promise<number> =>
    runInDurableObject(
      register(),
      (_, { storage }) =>
        storage.sql.exec<{ live: number }>("SELECT live FROM job WHERE id = ?", id).one().live,
    );
  expect(await liveOf()).toBe(0);
  await noRepair();
  // As if the news of its end had been lost with a process.
  await runInDurableObject(register(), async (object, { storage }) => {
    storage.sql.exec("UPDATE job SET live = 1, heard_at = 0, bytes = 0, bytes_after = 0 WHERE id = ?", id);
    storage.sql.exec("UPDATE used SET instructions = instructions - 2500000 WHERE owner = 'root'");
    await object.alarm();
  });
  expect(await liveOf()).toBe(0);
  expect(await register().usage("root")).toEqual(before);
});

test("a repair does not forget a job that cannot be read, and says so", async () => {
  const { id } = await createJob(HELLO);
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, { storage }) => {
    storage.sql.exec("UPDATE job_request SET sum = sum + 1");
  });
  expect(await repaired()).toMatchObject({
    failures: 1,
    forgotten: 0,
    lastError: expect.stringMatching(new RegExp(`${id}: .*damaged`)),
  });
  expect((await listed()).has(id)).toBe(true);
});

/** What dies in the middle of it: nothing that the process had not stored by then is ever done. */
const NEVER = new Promise<never>(() => {});

test("a database whose process died when its tables had been made is filled all the same", async () => {
  const { withDatabase } = await import("../database/database.ts");
  const { id } = await createJob(HELLO);
  await endOf(id);
  await until(async () => (await listed()).get(id) === "passed");
  await loseDatabase();
  const { MIGRATIONS } = await import("../database/migrations/index.ts");
  let made = 0;
  const DB = new Proxy(env.DB, {
    get: (database, name) => {
      if (name !== "batch") return Reflect.get(database, name, database).bind(database);
      return async (statements: D1PreparedStatement[]) => {
        const results = await database.batch(statements);
        return ++made < MIGRATIONS.length ? results : await NEVER;
      };
    },
  });
  void withDatabase({ DB, REGISTER: env.REGISTER } as never, (database) =>
    database.prepare("SELECT 1 FROM jobs").run(),
  );
  await until(async () => made === MIGRATIONS.length || (await listed()).has(id));
  await until(async () => (await listed()).get(id) === "passed");
});

test("a job whose process died before it was made takes no place for long; one that was made late takes its own", async () => {
  await noRepair();
  const id = "c".repeat(32);
  const quotas = { concurrentJobs: 1, instructionsPerDay: null, storageBytes: null };
  expect(await register().admit(id, "unmade", quotas)).toBeNull();
  expect(await register().admit("b".repeat(32), "unmade", quotas)).toMatchObject({ quota: "concurrentJobs" });
  await runInDurableObject(register(), async (object, { storage }) => {
    expect(await storage.getAlarm()).toBeLessThan(Date.now() + 45_000);
    // Not at once: it may be about to be made.
    await object.alarm();
    expect(object.usage("unmade").concurrentJobs).toBe(1);
    storage.sql.exec("UPDATE job SET heard_at = heard_at - 45000 WHERE id = ?", id);
    await object.alarm();
    expect(object.usage("unmade").concurrentJobs).toBe(0);
  });
  const { accountJobEvent } = await import("../register/on-job-event.ts");
  const { id: late } = await createJob(ENDLESS, UNLIMITED);
  const running = (await env.JOB_RUNNER.getByName(late).lastEvent()) as JobEvent;
  await register().forget(late);
  const before = (await register().usage("root")).concurrentJobs;
  await accountJobEvent(env as never, { ...running, number: 1, type: "job.queued" });
  expect((await register().usage("root")).concurrentJobs).toBe(before + 1);
  await request(`/jobs/${late}`, { method: "DELETE" });
  expect((await register().usage("root")).concurrentJobs).toBe(before);
});

test("a token whose process died while it was removed is not valid for ever", async () => {
  const made = await request("/tokens", { method: "POST", body: JSON.stringify({ name: "half removed" }) });
  const { id } = (await made.json()) as { id: string };
  const copies = async (): Promise<number | null> =>
    env.DB.prepare("SELECT count(*) AS n FROM tokens WHERE id = ?").bind(id).first<number>("n");
  expect(await copies()).toBe(1);
  await runInDurableObject(register(), (object) => {
    const died = { prepare: () => ({ bind: () => ({ run: () => NEVER }) }) };
    Object.assign(object, { env: { ...env, DB: died } });
    void object.removeToken(id);
  });
  await runInDurableObject(register(), async (_, { storage }) => {
    expect(storage.sql.exec("SELECT 1 FROM token WHERE id = ?", id).toArray()).toEqual([]);
  });
  await abortAllDurableObjects();
  expect(await copies()).toBe(1);
  await runInDurableObject(register(), async (object, { storage }) => {
    expect(await storage.getAlarm()).toBeLessThan(Date.now() + 30_000);
    await object.alarm();
  });
  expect(await copies()).toBe(0);
});

test("what is left of a job goes, also if the process died while it went", async () => {
  const { id } = await createJob(HELLO, { retention: { days: 0.01 } });
  await endOf(id);
  await until(async () => (await outboxOf(id)).at(-1)?.event === null);
  await runInDurableObject(env.JOB_RUNNER.getByName(id), async (object, { storage }) => {
    await outlive(storage);
    Object.assign(storage, { deleteAll: () => Promise.reject(new Error("the process died")) });
    await expect(object.alarm()).rejects.toThrow("the process died");
    // It comes again.
    expect(await storage.getAlarm()).not.toBeNull();
  });
});

test("a repair counts the snapshots that are there, and no files that are not", async () => {
  const { SNAPSHOT_LIMITS } = await import("../snapshots/limits.ts");
  const { QUOTA_LIMITS } = await import("../limits.ts");
  const job = "a".repeat(32);
  const owner = "counts";
  const put = (name: string, size: number) =>
    env.BLOBS.put(`snapshots/jobs/${job}/${name}`, new Uint8Array(size), { customMetadata: { name, owner } });
  // One whose process died before it was counted, one that was replaced by a larger one, one that is gone.
  await Promise.all([put("uncounted", 1000), put("larger", 300), put("counted", 20)]);
  const until30 = Date.now() + SNAPSHOT_LIMITS.keepMilliseconds;
  for (const [name, bytes] of [
    ["larger", 1],
    ["counted", 20],
    ["gone", 50_000],
  ] as const)
    await register().store(`snapshots/jobs/${job}/${name}`, owner, bytes, until30, false);
  // Of uploads one that never came, and one that is on its way.
  const { uploadMilliseconds } = QUOTA_LIMITS;
  const old = Date.now() + uploadMilliseconds - 2 * 3_600_000;
  await register().store(`blob ${"0".repeat(64)}`, owner, 600_000, old, false);
  await register().store(`blob ${"1".repeat(64)}`, owner, 4, Date.now() + uploadMilliseconds, false);
  await repaired();
  expect((await register().usage(owner)).storageBytes).toBe(1000 + 300 + 20 + 4);
});
