import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { errorOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { BatchView } from "./record.ts";
import { batchEnd, createBatchOf, membersOf, stored, tokenOf, viewOf } from "./testing.ts";

/*
 * Whose a batch is. Another token's private batch is not there, in none of its routes and no list; a public one can be looked at and
 * not be canceled. Its jobs are its owner's, too, and need what a job needs: a token that may run, and its own snapshots. A token that
 * was deleted, or has expired, starts no more of them.
 */

const PASSES: Script = {
  name: "owned",
  events: [{ at: 1000, print: "BOOT-OK\n", end: { kind: "shutdown", reason: "poweroff", code: 0 } }],
};

async function makeToken(scopes: readonly string[]): Promise<string> {
  const body = JSON.stringify({ name: scopes.join(" "), scopes });
  const response = await request("/tokens", { method: "POST", body });
  expect(response.status).toBe(201);
  return ((await response.json()) as { token: string }).token;
}

function as(token: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...(init.headers as object), authorization: `Bearer ${token}` };
  return request(path, { ...init, headers });
}

function postAs(token: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return as(token, "/batches", { method: "POST", headers, body: JSON.stringify(body) });
}

async function batchAs(token: string, body: unknown): Promise<BatchView> {
  const response = await postAs(token, body);
  expect(response.status).toBe(201);
  return (await response.json()) as BatchView;
}

async function listed(token: string): Promise<string[]> {
  const { batches } = (await (await as(token, "/batches?limit=1000")).json()) as { batches: BatchView[] };
  return batches.map(({ id }) => id);
}

const ROUTES = ["", "/jobs", "/report.json", "/report.xml", "/badge.svg"];

test("a private batch is there for its owner and administrators only; a public one for all to see", async () => {
  const [mine, other, reader] = await Promise.all([
    makeToken(["run", "read"]),
    makeToken(["run", "read"]),
    makeToken(["read"]),
  ]);
  const jobs = [{ kernel: await stored(PASSES) }];
  expect((await postAs(reader, { jobs })).status).toBe(403);
  const hidden = await batchAs(mine, { jobs });
  const open = await batchAs(mine, { config: { visibility: "public" }, jobs });
  expect([hidden.visibility, open.visibility]).toEqual(["private", "public"]);
  for (const route of ROUTES) {
    const statusOf = async (token: string, { id }: BatchView) =>
      (await as(token, `/batches/${id}${route}`)).status;
    expect([route, await statusOf(mine, hidden), await statusOf("test-token", hidden)]).toEqual([
      route,
      200,
      200,
    ]);
    expect([route, await statusOf(other, hidden), await statusOf(reader, hidden)]).toEqual([route, 404, 404]);
    expect([route, await statusOf(other, open), await statusOf(reader, open)]).toEqual([route, 200, 200]);
  }
  await expect.poll(() => listed(mine)).toEqual(expect.arrayContaining([hidden.id, open.id]));
  expect(await listed(other)).toContain(open.id);
  expect(await listed(other)).not.toContain(hidden.id);
  const cancel = (token: string, { id }: BatchView) => as(token, `/batches/${id}`, { method: "DELETE" });
  expect((await cancel(other, hidden)).status).toBe(404);
  expect((await cancel(other, open)).status).toBe(403);
  expect((await cancel(reader, open)).status).toBe(403);
  expect((await cancel(mine, open)).status).toBe(200);
});

test("a public batch that an older version made with a private job is private, also in lists once they are repaired", async () => {
  const [mine, other] = await Promise.all([makeToken(["run", "read"]), makeToken(["run", "read"])]);
  const jobs = [{ kernel: await stored(PASSES) }, { kernel: await stored(PASSES) }];
  const { id } = await batchAs(mine, { config: { visibility: "public" }, jobs });
  await batchEnd(id);
  const object = env.BATCH.getByName(id);
  await runInDurableObject(object, (_, { storage: { sql } }) => {
    sql.exec("UPDATE member SET spec = json_set(spec, '$.config.visibility', 'private') WHERE ix = 1");
  });
  await abortAllDurableObjects();
  for (const route of ROUTES) {
    const statusOf = async (token: string) => (await as(token, `/batches/${id}${route}`)).status;
    expect([route, await statusOf(other), await statusOf(mine)]).toEqual([route, 404, 200]);
  }
  await env.BATCH.getByName(id).reindex();
  await expect.poll(() => listed(other)).not.toContain(id);
  expect(await listed(mine)).toContain(id);
});

test("its jobs are its owner's, and start from no snapshot that its owner may not see", async () => {
  const [mine, other] = await Promise.all([makeToken(["run", "read"]), makeToken(["run", "read"])]);
  const kernel = await stored(PASSES);
  const first = await batchAs(mine, { jobs: [{ kernel, config: { snapshots: [{ name: "end" }] } }] });
  const end = async (
    token: string,
    id: string,
  ): Promise<{ state: string; job: string | null; reasonCode: string }> => {
    for (;;) {
      const { jobs } = (await (await as(token, `/batches/${id}/jobs`)).json()) as {
        jobs: [{ state: string; verdict: string | null; job: string | null; reasonCode: string }];
      };
      if (jobs[0].verdict !== null) return jobs[0];
      await scheduler.wait(20);
    }
  };
  const { job } = await end(mine, first.id);
  expect((await as(mine, `/jobs/${job}`)).status).toBe(200);
  expect((await as(other, `/jobs/${job}`)).status).toBe(404);
  const stolen = await batchAs(other, { jobs: [{ from: { job, snapshot: "end" } }] });
  expect(await end(other, stolen.id)).toMatchObject({
    state: "refused",
    reasonCode: "no-snapshot",
    job: null,
  });
  // To its owner it is there; that its guest has ended is another matter.
  const own = await batchAs(mine, { jobs: [{ from: { job, snapshot: "end" } }] });
  expect((await end(mine, own.id)).reasonCode).not.toBe("no-snapshot");
  expect((await errorOf(await as("nobody", "/batches"))).code).toBe("unauthorized");
});

test("a deleted token's batch makes no more jobs: it is canceled, and says why", async () => {
  const made = await request("/tokens", { method: "POST", body: JSON.stringify({ name: "leaked" }) });
  const { id: tokenId, token } = (await made.json()) as { id: string; token: string };
  const jobs = [
    { kernel: await stored(ENDLESS), config: UNLIMITED },
    ...Array(5).fill({ kernel: await stored(PASSES) }),
  ];
  const { id } = await batchAs(token, { maxConcurrent: 1, jobs });
  await expect.poll(async () => (await viewOf(id)).states.running).toBe(1);
  expect((await request(`/tokens/${tokenId}`, { method: "DELETE" })).status).toBe(204);
  // Whatever its object believed of the token is gone with its memory.
  await abortAllDurableObjects();
  const [running] = await membersOf(id);
  await request(`/jobs/${running?.job}`, { method: "DELETE" });
  expect(await batchEnd(id)).toMatchObject({ verdict: "canceled", states: { canceled: 6 } });
  const [, ...others] = await membersOf(id);
  for (const { job, reasonCode, reason } of others) {
    expect([job, reasonCode]).toEqual([null, "no-token"]);
    expect(reason).toMatch(/token was deleted/);
  }
  const { results } = await env.DB.prepare("SELECT id FROM jobs WHERE batch = ?").bind(id).all();
  expect(results).toHaveLength(1);
});

test("an expired token's batch makes no job", async () => {
  await tokenOf("expired", Date.now() - 1);
  const id = await createBatchOf("expired", [{ name: "late", config: {} }], {
    kernel: await stored(PASSES),
    config: {},
  });
  expect(await batchEnd(id)).toMatchObject({ verdict: "canceled", states: { canceled: 1 } });
  expect(await membersOf(id)).toMatchObject([{ job: null, reasonCode: "no-token" }]);
});
