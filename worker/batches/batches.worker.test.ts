import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { errorOf, jobOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { MemberPage } from "./member.ts";
import type { BatchView } from "./record.ts";
import {
  batchEnd,
  createBatch,
  createBatchOf,
  getJson,
  membersOf,
  postBatch,
  stored,
  viewOf,
} from "./testing.ts";

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

describe("a batch", () => {
  test("of a matrix runs each combination as a job, and its verdict is the worst", async () => {
    const kernel = [await stored(PASSES), await stored(FAILS)];
    const batch = await createBatch({
      name: "matrix",
      config: { expect: { pass: ["BOOT-OK"] }, labels: { suite: "worker" } },
      matrix: {
        kernel,
        memory: [64, 128],
        include: [{ kernel: await stored(CRASHES), memory: 32, seed: 7 }],
      },
    });
    expect(batch).toMatchObject({ name: "matrix", owner: "root", visibility: "private", jobs: { total: 5 } });
    const over = await batchEnd(batch.id);
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
    const batch = await createBatch({
      jobs: [
        { kernel: await stored(PASSES) },
        { kernel: await stored("this is no kernel") },
        { kernel: { sha256: "0".repeat(64) } },
        { kernel: { fixture: "unheard-of" } },
      ],
    });
    const over = await batchEnd(batch.id);
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
    const response = await postBatch({ matrix: { kernel: [kernel], memory: [64, 7] } });
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code: "out-of-range", field: "matrix.memory[1]" });
    const form = await request("/batches", { method: "POST", body: new FormData() });
    expect(form.status).toBe(415);
    const huge = await postBatch({ name: "x".repeat(1100 * 1024) });
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
      const { id } = await createBatch({ kernel, jobs: [{}] });
      expect([query, (await request(`/batches/${id}/jobs?${query}`)).status]).toEqual([query, 400]);
    }
    for (const query of ["limit=0", "cursor=5", "state=passed"])
      expect([query, (await request(`/batches?${query}`)).status]).toEqual([query, 400]);
  });

  test("is in the list, page by page, newest first, as it is now", async () => {
    const kernel = await stored(PASSES);
    const made: string[] = [];
    for (let i = 0; i < 5; i++)
      made.unshift((await createBatch({ name: `listed ${i}`, kernel, jobs: [{}] })).id);
    for (const id of made) await batchEnd(id);
    const list = async (): Promise<BatchView[]> => {
      const batches: BatchView[] = [];
      for (let cursor: string | null = null; ; ) {
        const page: { batches: BatchView[]; next: string | null } = await getJson(
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
    const { batches } = await getJson<{ batches: BatchView[] }>("/batches?state=queued");
    expect(batches.filter(({ id }) => made.includes(id))).toEqual([]);
  });
});

test("canceling ends what runs and what waits, and nothing begins afterwards", async () => {
  const kernel = await stored(ENDLESS);
  const { id } = await createBatch({ kernel, config: UNLIMITED, maxConcurrent: 3, jobs: Array(20).fill({}) });
  await expect.poll(async () => (await viewOf(id)).states.running ?? 0).toBeGreaterThan(0);
  const during = await viewOf(id);
  expect(during.jobs.waiting).toBe(17);
  expect(during).toMatchObject({ state: "running", verdict: null });
  const response = await request(`/batches/${id}`, { method: "DELETE" });
  expect(response.status).toBe(200);
  const over = await batchEnd(id);
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
  const members = Array.from({ length: 10_000 }, (_, i) => ({ name: `member ${i}`, config: { seed: i } }));
  // Its jobs are not what this is about: none may run.
  const common = { kernel: { sha256: "0".repeat(64) }, config: {} };
  const id = await createBatchOf("root", members, common, { maxConcurrent: 0 });
  const seen = new Set<number>();
  const milliseconds: number[] = [];
  let pages = 0;
  for (let cursor: string | null = null; ; pages++) {
    const began = performance.now();
    const page: MemberPage = await getJson(
      `/batches/${id}/jobs?limit=500${cursor === null ? "" : `&cursor=${cursor}`}`,
    );
    milliseconds.push(performance.now() - began);
    for (const { index, name } of page.jobs) {
      expect(name).toBe(`member ${index}`);
      seen.add(index);
    }
    cursor = page.next;
    if (cursor === null) break;
  }
  expect(seen.size).toBe(10_000);
  expect(pages).toBe(20);
  // The last are got as the first are: what went through all before it would take twenty times as long. Time is compared with time.
  expect(Math.min(...milliseconds.slice(-6, -1))).toBeLessThan(8 * Math.max(1, ...milliseconds.slice(0, 5)));
  await request(`/batches/${id}`, { method: "DELETE" });
  expect(await viewOf(id)).toMatchObject({ state: "ended", verdict: "canceled", jobs: { ended: 10_000 } });
});
