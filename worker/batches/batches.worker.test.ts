import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { errorOf, jobOf, request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { MemberPage, MemberView } from "./member.ts";
import type { BatchView } from "./record.ts";

/*
 * Batches over HTTP, with guests that are scripts: what comes of a matrix, what of a member that cannot be booted, that paging
 * shows each member once, and that canceling leaves nothing running.
 */

const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
const CRASH = { kind: "shutdown", reason: "crash", code: 3 } as const;
const PASSES: Script = {
  name: "passes",
  events: [{ at: 1000, print: "hello\nBOOT-OK\n", end: POWEROFF }],
};
const FAILS: Script = { name: "fails", events: [{ at: 1000, print: "BAD\n", end: POWEROFF }] };
const CRASHES: Script = { name: "crashes", events: [{ at: 1000, print: "oops\n", end: CRASH }] };

async function stored(script: Script | string): Promise<{ sha256: string }> {
  const bytes = new TextEncoder().encode(typeof script === "string" ? script : JSON.stringify(script));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const response = await request(`/blobs/${sha256}`, { method: "PUT", body: bytes });
  if (!response.ok) throw new Error(await response.text());
  return { sha256 };
}

function post(body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return request("/batches", { method: "POST", headers, body: JSON.stringify(body) });
}

async function create(body: unknown): Promise<BatchView> {
  const response = await post(body);
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  const batch = (await response.json()) as BatchView;
  expect(response.headers.get("location")).toBe(`/batches/${batch.id}`);
  return batch;
}

const get = async <T>(path: string): Promise<T> => (await (await request(path)).json()) as T;
const viewOf = (id: string): Promise<BatchView> => get(`/batches/${id}`);

async function ended(id: string): Promise<BatchView> {
  for (;;) {
    const batch = await viewOf(id);
    if (batch.state === "ended") return batch;
    await scheduler.wait(20);
  }
}

async function membersOf(id: string, query = ""): Promise<MemberView[]> {
  const members: MemberView[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: MemberPage = await get(
      `/batches/${id}/jobs?limit=3${query}${cursor === null ? "" : `&cursor=${cursor}`}`,
    );
    members.push(...page.jobs);
    cursor = page.next;
    if (cursor === null) return members;
  }
}

describe("a batch", () => {
  test("of a matrix runs each combination as a job, and its verdict is the worst", async () => {
    const kernel = [await stored(PASSES), await stored(FAILS)];
    const batch = await create({
      name: "matrix",
      config: { expect: { pass: ["BOOT-OK"] }, labels: { suite: "worker" } },
      matrix: {
        kernel,
        memory: [64, 128],
        include: [{ kernel: await stored(CRASHES), memory: 32, seed: 7 }],
      },
    });
    expect(batch).toMatchObject({ name: "matrix", owner: "root", visibility: "private", jobs: { total: 5 } });
    const over = await ended(batch.id);
    expect(over).toMatchObject({
      state: "ended",
      verdict: "crash",
      worst: "crash",
      progress: 1,
      jobs: { total: 5, waiting: 0, running: 0, ended: 5 },
      states: { passed: 2, failed: 2, crashed: 1 },
      verdicts: { pass: 2, fail: 2, crash: 1 },
    });
    const members = await membersOf(batch.id);
    expect(members.map(({ index, verdict }) => [index, verdict])).toEqual([
      [0, "pass"],
      [1, "pass"],
      [2, "fail"],
      [3, "fail"],
      [4, "crash"],
    ]);
    const last = await jobOf(members[4]?.job ?? "");
    expect(last.batch).toBe(batch.id);
    expect(last.config).toMatchObject({
      memory: 32,
      seed: "7",
      labels: { suite: "worker", name: members[4]?.name },
    });
    expect(last.config.expect.pass).toEqual(["BOOT-OK"]);
    expect(members[4]).toMatchObject({
      state: "crashed",
      reason: last.reason,
      instructions: last.instructions,
    });
  });

  test("has members that cannot be booted, and goes on", async () => {
    const batch = await create({
      jobs: [
        { kernel: await stored(PASSES) },
        { kernel: await stored("this is no kernel") },
        { kernel: { sha256: "0".repeat(64) } },
        { kernel: { fixture: "unheard-of" } },
      ],
    });
    const over = await ended(batch.id);
    expect(over).toMatchObject({ verdict: "error", states: { passed: 1, refused: 3 } });
    const members = await membersOf(batch.id);
    expect(
      members.map(({ state, verdict, reasonCode, job }) => ({
        state,
        verdict,
        reasonCode,
        made: job !== null,
      })),
    ).toEqual([
      { state: "passed", verdict: "pass", reasonCode: "powered-off", made: true },
      { state: "refused", verdict: "error", reasonCode: "not-a-kernel", made: false },
      { state: "refused", verdict: "error", reasonCode: "no-blob", made: false },
      { state: "refused", verdict: "error", reasonCode: "no-fixture", made: false },
    ]);
    expect(members[1]?.reason).toMatch(/this is no script/);
    expect((await membersOf(batch.id, "&state=refused")).map(({ index }) => index)).toEqual([1, 2, 3]);
    expect((await membersOf(batch.id, "&verdict=pass")).map(({ index }) => index)).toEqual([0]);
  });

  test("that is wrong is refused as a whole, and leaves nothing", async () => {
    const kernel = await stored(PASSES);
    const response = await post({ matrix: { kernel: [kernel], memory: [64, 7] } });
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code: "out-of-range", field: "matrix.memory[1]" });
    const form = await request("/batches", { method: "POST", body: new FormData() });
    expect(form.status).toBe(415);
    const huge = await post({ name: "x".repeat(1100 * 1024) });
    expect(huge.status).toBe(413);
    expect(
      (
        await request("/batches", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: "{",
        })
      ).status,
    ).toBe(400);
    for (const path of ["/batches/x", `/batches/${"0".repeat(32)}`, `/batches/${"0".repeat(32)}/jobs`])
      expect([path, (await request(path)).status]).toEqual([path, 404]);
    for (const query of ["limit=0", "limit=1001", "limit=x", "cursor=x", "state=x", "verdict=x"]) {
      const { id } = await create({ kernel, jobs: [{}] });
      expect([query, (await request(`/batches/${id}/jobs?${query}`)).status]).toEqual([query, 400]);
    }
    for (const query of ["limit=0", "cursor=5", "state=passed"])
      expect([query, (await request(`/batches?${query}`)).status]).toEqual([query, 400]);
  });

  test("is in the list, page by page, newest first, as it is now", async () => {
    const kernel = await stored(PASSES);
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await create({ name: `listed ${i}`, kernel, jobs: [{}] })).id);
    for (const id of made) await ended(id);
    const list = async (): Promise<BatchView[]> => {
      const batches: BatchView[] = [];
      for (let cursor: string | null = null; ; ) {
        const page: { batches: BatchView[]; next: string | null } = await get(
          `/batches?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`,
        );
        batches.push(...page.batches);
        cursor = page.next;
        if (cursor === null) return batches;
      }
    };
    await expect
      .poll(async () =>
        (await list()).filter(({ id }) => made.includes(id)).every(({ state }) => state === "ended"),
      )
      .toBe(true);
    const listed = await list();
    expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
    expect(listed.map(({ id }) => id).filter((id) => made.includes(id))).toEqual(made);
    const { batches } = await get<{ batches: BatchView[] }>("/batches?state=queued");
    expect(batches.filter(({ id }) => made.includes(id))).toEqual([]);
  });
});

/** Ends only when it is canceled: it waits, and is not judged silent. */
const WAITS: Script = {
  name: "waits",
  events: Array.from({ length: 400 }, (_, i) => ({ at: (i + 1) * 40_000_000, print: `${i}\n` })),
};

test("canceling ends what runs and what waits, and nothing begins afterwards", async () => {
  const kernel = await stored(WAITS);
  const { id } = await create({ kernel, maxConcurrent: 3, jobs: Array(20).fill({}) });
  await expect
    .poll(async () => (await viewOf(id)).states.running ?? 0, { timeout: 10_000 })
    .toBeGreaterThan(0);
  const during = await viewOf(id);
  expect(during.jobs.waiting).toBe(17);
  expect(during).toMatchObject({ state: "running", verdict: null });
  const response = await request(`/batches/${id}`, { method: "DELETE" });
  expect(response.status).toBe(200);
  const over = await ended(id);
  expect(over).toMatchObject({ verdict: "canceled", states: { canceled: 20 } });
  expect(over.canceledAt).not.toBeNull();
  const members = await membersOf(id);
  for (const { job } of members.filter(({ job }) => job !== null)) {
    expect((await jobOf(job ?? "")).verdict).toBe("canceled");
  }
  expect(members.filter(({ job }) => job !== null).length).toBeLessThanOrEqual(3);
  const dispatcher = env.DISPATCHER.getByName("dispatcher");
  await expect.poll(() => dispatcher.figures()).toEqual({ waiting: 0, running: 0, owners: 0 });
  // Doing it again changes nothing.
  expect((await request(`/batches/${id}`, { method: "DELETE" })).status).toBe(200);
  expect((await viewOf(id)).endedAt).toBe(over.endedAt);
});

test("of 10,000 jobs the first page and the last come quickly, and each member is on one page", async () => {
  const id = "f".repeat(32);
  const batch = env.BATCH.getByName(id);
  const members = Array.from({ length: 10_000 }, (_, i) => ({ name: `member ${i}`, config: { seed: i } }));
  await runInDurableObject(batch, async (instance, state) => {
    // Its jobs are not what this is about.
    await instance.create({
      id,
      name: "large",
      owner: {
        tokenId: "root",
        scopes: ["admin"],
        quotas: { concurrentJobs: 0, instructionsPerDay: null, storageBytes: null },
      },
      visibility: "private",
      maxConcurrent: 1,
      common: { kernel: { sha256: "0".repeat(64) }, config: {} },
      members,
    });
    expect(state.storage.sql.exec("SELECT count(*) AS n FROM member").one().n).toBe(10_000);
  });
  const began = performance.now();
  const seen = new Set<number>();
  let pages = 0;
  for (let cursor: string | null = null; ; pages++) {
    const page: MemberPage = await get(
      `/batches/${id}/jobs?limit=500${cursor === null ? "" : `&cursor=${cursor}`}`,
    );
    for (const { index, name } of page.jobs) {
      expect(name).toBe(`member ${index}`);
      seen.add(index);
    }
    cursor = page.next;
    if (cursor === null) break;
  }
  expect(seen.size).toBe(10_000);
  expect(pages).toBe(20);
  // Fast is what a person does not notice; here all 21 pages together are to be.
  expect(performance.now() - began).toBeLessThan(5_000);
  await request(`/batches/${id}`, { method: "DELETE" });
  expect(await viewOf(id)).toMatchObject({ state: "ended", verdict: "canceled", jobs: { ended: 10_000 } });
});
