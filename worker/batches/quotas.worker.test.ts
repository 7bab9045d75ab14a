import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { errorOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { BatchView } from "./record.ts";
import { batchEnd, createBatch, membersOf, objectOf, stored, viewOf } from "./testing.ts";

/*
 * Batches and quotas. A member for which there is no room says so and gives its place to others, until it may be worth trying again; and
 * a batch of which no job could be made today is not accepted at all. A batch takes storage itself, and a token has not too many of them.
 */

const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
const PASSES: Script = { name: "counted", events: [{ at: 1000, print: "BOOT-OK\n", end: POWEROFF }] };
// Made each time: a stub is of no use after its object was aborted.
const register = () => env.REGISTER.getByName("register");
const dispatcher = () => env.DISPATCHER.getByName("dispatcher");

interface Token {
  readonly id: string;
  readonly token: string;
}

async function newToken(quotas: object): Promise<Token> {
  const body = JSON.stringify({ name: JSON.stringify(quotas), quotas });
  const response = await request("/tokens", { method: "POST", body });
  expect(response.status).toBe(201);
  return (await response.json()) as Token;
}

const tokenWith = async (quotas: object): Promise<string> => (await newToken(quotas)).token;

const storageOf = async ({ id }: Token): Promise<number> => (await register().usage(id)).storageBytes;

function postAs(token: string, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function madeAs<T = BatchView>(token: string, path: string, body: unknown): Promise<T> {
  const response = await postAs(token, path, body);
  expect(response.status).toBe(201);
  return (await response.json()) as T;
}

test("over a quota a batch's members say so, keep no place, and go on when there is room", async () => {
  const token = await tokenWith({ concurrentJobs: 1 });
  const job = await madeAs<{ id: string }>(token, "/jobs", {
    kernel: await stored(ENDLESS),
    config: UNLIMITED,
  });
  const kernel = await stored(PASSES);
  const { id } = await madeAs(token, "/batches", { jobs: Array(3).fill({ kernel }) });
  await expect
    .poll(async () => (await membersOf(id))[0])
    .toMatchObject({ state: "waiting", verdict: null, job: null, reasonCode: "over-quota" });
  const [first] = await membersOf(id);
  expect(first?.reason).toMatch(/has 1 jobs that have not ended, and may have 1/);
  await expect.poll(() => dispatcher().figures()).toMatchObject({ waiting: 3, running: 0 });
  // It looks again by itself, when the answer to a POST /jobs would say to.
  const alarm = await runInDurableObject(dispatcher(), (_, { storage }) => storage.getAlarm());
  expect(alarm).not.toBeNull();
  expect(alarm).toBeLessThanOrEqual(Date.now() + 10_000);

  await request(`/jobs/${job.id}`, { method: "DELETE" });
  expect((await viewOf(id)).jobs.ended).toBe(0);
  await runInDurableObject(dispatcher(), (_, { storage }) =>
    storage.sql.exec("UPDATE resting SET until = 0").toArray(),
  );
  await runDurableObjectAlarm(dispatcher());
  expect(await batchEnd(id)).toMatchObject({ verdict: "pass", verdicts: { pass: 3 } });
  expect((await membersOf(id)).map(({ reasonCode }) => reasonCode)).toEqual(Array(3).fill("powered-off"));
  await expect.poll(() => dispatcher().figures()).toEqual({ waiting: 0, running: 0, owners: 0 });
});

test("canceled while it waits for a quota, nothing is left of it", async () => {
  const token = await tokenWith({ concurrentJobs: 1 });
  const job = await madeAs<{ id: string }>(token, "/jobs", {
    kernel: await stored(ENDLESS),
    config: UNLIMITED,
  });
  const { id } = await madeAs(token, "/batches", { jobs: [{ kernel: await stored(PASSES) }] });
  await expect.poll(async () => (await membersOf(id))[0]?.reasonCode).toBe("over-quota");
  await request(`/batches/${id}`, { method: "DELETE" });
  expect(await batchEnd(id)).toMatchObject({ verdict: "canceled" });
  await expect.poll(() => dispatcher().figures()).toEqual({ waiting: 0, running: 0, owners: 0 });
  await request(`/jobs/${job.id}`, { method: "DELETE" });
});

test("a batch is refused when the day's instructions or the storage are used up, or no job may ever run", async () => {
  const kernel = await stored(PASSES);
  const refusedFor = async (token: string, quota: string): Promise<void> => {
    const refused = await postAs(token, "/batches", { jobs: [{ kernel }] });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await errorOf(refused)).toMatchObject({ code: "over-quota", field: quota });
  };
  const busy = await tokenWith({ instructionsPerDay: 1000 });
  await batchEnd((await madeAs(busy, "/batches", { jobs: [{ kernel }] })).id);
  await refusedFor(busy, "instructionsPerDay");
  const full = await newToken({ storageBytes: 10_000_000 });
  await register().store("something large", full.id, 10_000_000, Date.now() + 60_000, false);
  await refusedFor(full.token, "storageBytes");
  await refusedFor(await tokenWith({ concurrentJobs: 0 }), "concurrentJobs");
});

test("a batch counts as its token's storage, also while it is being made", async () => {
  const owner = await newToken({ storageBytes: 1_000_000 });
  const kernel = await stored(PASSES);
  const labels = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`l${i}`, "x".repeat(200)]));
  const large = {
    jobs: Array.from({ length: 200 }, () => ({ kernel: { sha256: "0".repeat(64) }, config: { labels } })),
  };
  const bytes = JSON.stringify(large.jobs).length;
  expect(bytes).toBeGreaterThan(350_000);
  const answers = await Promise.all(Array.from({ length: 6 }, () => postAs(owner.token, "/batches", large)));
  const made = answers.filter(({ status }) => status === 201);
  expect(made.length).toBeLessThanOrEqual(2);
  for (const answer of answers.filter(({ status }) => status !== 201))
    expect([answer.status, (await errorOf(answer)).field]).toEqual([429, "storageBytes"]);
  for (const answer of made) await batchEnd(((await answer.json()) as BatchView).id);
  // What was refused takes nothing.
  await expect.poll(() => storageOf(owner)).toBeLessThan(made.length * 1_000_000 + 1);
  const other = await newToken({ storageBytes: 10_000_000 });
  const { id } = await madeAs(other.token, "/batches", { jobs: [{ kernel }] });
  expect(await storageOf(other)).toBeGreaterThan(0);
  await batchEnd(id);
  interface Stored extends Record<string, SqlStorageValue> {
    readonly bytes: number;
    readonly until: number;
  }
  const counted = (): Promise<Stored> =>
    runInDurableObject(register(), (_, { storage: { sql } }) =>
      sql.exec<Stored>("SELECT bytes, until FROM stored WHERE key = ?", `batch ${id}`).one(),
    );
  const kept = Date.now() + 31 * 24 * 3_600_000;
  await expect.poll(async () => (await counted()).until).toBeLessThan(kept);
  const { bytes: size } = await counted();
  const now = await runInDurableObject(objectOf(id), (_, { storage }) => storage.sql.databaseSize);
  expect(Math.abs(now - size)).toBeLessThanOrEqual(8192);
  const used = await storageOf(other);
  expect(used).toBeGreaterThan(size);
  // When it is forgotten, it takes nothing any more.
  await runInDurableObject(objectOf(id), (_, { storage: { sql } }) =>
    sql.exec("UPDATE batch SET record = json_set(record, '$.endedAt', 1)").toArray(),
  );
  await abortAllDurableObjects();
  await runInDurableObject(objectOf(id), (_, { storage }) => storage.setAlarm(Date.now() + 60_000));
  await runDurableObjectAlarm(objectOf(id));
  await expect.poll(() => storageOf(other)).toBe(used - size);
});

test("a token has a most of batches that have not ended", async () => {
  const owner = await newToken({});
  const kernel = await stored(ENDLESS);
  const jobs = [{ kernel, config: UNLIMITED }];
  const others = Array.from({ length: 99 }, () => crypto.randomUUID().replaceAll("-", ""));
  // As if ninety-nine were being made just now.
  await runInDurableObject(dispatcher(), (_, { storage: { sql } }) => {
    for (const id of others) sql.exec("INSERT INTO live VALUES (?, ?, ?)", id, owner.id, Date.now());
  });
  const post = () => postAs(owner.token, "/batches", { jobs });
  const first = await post();
  expect(first.status).toBe(201);
  const { id } = (await first.json()) as BatchView;
  const refused = await post();
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await errorOf(refused)).message).toMatch(/100 batches that have not ended/);
  // Another token's, and the deployment's own, are not concerned.
  const unconcerned = [await madeAs(await tokenWith({}), "/batches", { jobs })];
  unconcerned.push(await createBatch({ jobs }));
  // One that ends makes room for one.
  await request(`/batches/${id}`, { method: "DELETE" });
  await batchEnd(id);
  await expect.poll(async () => (await post()).status).toBe(201);
  expect((await post()).status).toBe(429);
  // Those that never came to be are found out.
  await runInDurableObject(dispatcher(), (_, { storage: { sql } }) =>
    sql.exec("UPDATE live SET seen_at = 0 WHERE id = ?", others[0] ?? "").toArray(),
  );
  expect((await post()).status).toBe(201);
  expect((await post()).status).toBe(429);
  const { batches } = (await (await request("/batches?limit=100&state=running")).json()) as {
    batches: BatchView[];
  };
  for (const batch of [...unconcerned, ...batches])
    await request(`/batches/${batch.id}`, { method: "DELETE" });
});
