import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { errorOf, request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { BatchView } from "./record.ts";
import { batchEnd, membersOf, stored, viewOf } from "./testing.ts";

/*
 * Batches and quotas. A member for which there is no room says so and gives its place to others, until it may be worth trying again; and
 * a batch of which no job could be made today is not accepted at all.
 */

/** The first test of a file waits until all of the worker is loaded. */
const FIRST_MILLISECONDS = 60_000;

const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
const PASSES: Script = { name: "counted", events: [{ at: 1000, print: "BOOT-OK\n", end: POWEROFF }] };
/** Ends only when it is canceled: it waits, and is not judged silent. */
const WAITS: Script = {
  name: "keeps its place",
  events: Array.from({ length: 400 }, (_, i) => ({ at: (i + 1) * 40_000_000, print: `${i}\n` })),
};

const dispatcher = env.DISPATCHER.getByName("dispatcher");

async function tokenWith(quotas: object): Promise<string> {
  const body = JSON.stringify({ name: JSON.stringify(quotas), quotas });
  const response = await request("/tokens", { method: "POST", body });
  expect(response.status).toBe(201);
  return ((await response.json()) as { token: string }).token;
}

function postAs(token: string, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function madeAs<T = BatchView>(token: string, path: string, body: unknown): Promise<T> {
  const response = await postAs(token, path, body);
  expect(response.status).toBe(201);
  return (await response.json()) as T;
}

test("over a quota a batch's members say so, keep no place, and go on when there is room", {
  timeout: FIRST_MILLISECONDS,
}, async () => {
  const token = await tokenWith({ concurrentJobs: 1 });
  const job = await madeAs<{ id: string }>(token, "/jobs", { kernel: await stored(WAITS) });
  const kernel = await stored(PASSES);
  const { id } = await madeAs(token, "/batches", { jobs: Array(3).fill({ kernel }) });
  await expect
    .poll(async () => (await membersOf(id))[0], { timeout: 10_000 })
    .toMatchObject({ state: "waiting", verdict: null, job: null, reasonCode: "over-quota" });
  const [first] = await membersOf(id);
  expect(first?.reason).toMatch(/has 1 jobs that have not ended, and may have 1/);
  await expect.poll(() => dispatcher.figures()).toMatchObject({ waiting: 3, running: 0 });
  // It looks again by itself, when the answer to a POST /jobs would say to.
  const alarm = await runInDurableObject(dispatcher, (_, { storage }) => storage.getAlarm());
  expect(alarm).not.toBeNull();
  expect(alarm).toBeLessThanOrEqual(Date.now() + 10_000);

  await request(`/jobs/${job.id}`, { method: "DELETE" });
  expect((await viewOf(id)).jobs.ended).toBe(0);
  await runInDurableObject(dispatcher, (_, { storage }) =>
    storage.sql.exec("UPDATE resting SET until = 0").toArray(),
  );
  await runDurableObjectAlarm(dispatcher);
  expect(await batchEnd(id)).toMatchObject({ verdict: "pass", verdicts: { pass: 3 } });
  expect((await membersOf(id)).map(({ reasonCode }) => reasonCode)).toEqual(Array(3).fill("powered-off"));
  await expect.poll(() => dispatcher.figures()).toEqual({ waiting: 0, running: 0, owners: 0 });
});

test("canceled while it waits for a quota, nothing is left of it", async () => {
  const token = await tokenWith({ concurrentJobs: 1 });
  const job = await madeAs<{ id: string }>(token, "/jobs", { kernel: await stored(WAITS) });
  const { id } = await madeAs(token, "/batches", { jobs: [{ kernel: await stored(PASSES) }] });
  await expect.poll(async () => (await membersOf(id))[0]?.reasonCode, { timeout: 10_000 }).toBe("over-quota");
  await request(`/batches/${id}`, { method: "DELETE" });
  expect(await batchEnd(id)).toMatchObject({ verdict: "canceled" });
  await expect.poll(() => dispatcher.figures()).toEqual({ waiting: 0, running: 0, owners: 0 });
  await request(`/jobs/${job.id}`, { method: "DELETE" });
});

test("a batch is refused when the day's instructions or the storage are used up, or no job may ever run", async () => {
  const kernel = await stored(PASSES);
  for (const [quota, most] of [
    ["instructionsPerDay", 1000],
    ["storageBytes", 100],
  ] as const) {
    const token = await tokenWith({ [quota]: most });
    const batch = await madeAs(token, "/batches", { jobs: [{ kernel }] });
    await batchEnd(batch.id);
    const refused = await postAs(token, "/batches", { jobs: [{ kernel }] });
    expect([quota, refused.status]).toEqual([quota, 429]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await errorOf(refused)).toMatchObject({ code: "over-quota", field: quota });
  }
  const never = await postAs(await tokenWith({ concurrentJobs: 0 }), "/batches", { jobs: [{ kernel }] });
  expect([never.status, (await errorOf(never)).field]).toEqual([429, "concurrentJobs"]);
});
