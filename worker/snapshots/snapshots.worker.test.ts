import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { RegisterObject } from "../register/register.ts";
import { consoleOf, createJob, endOf, errorOf, jobOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { ScriptEvent } from "../testing/scripted-machine.ts";
import {
  AT_REST,
  again,
  EVENTS,
  exported,
  fork,
  NO_JOB,
  POWEROFF,
  post,
  prompted,
  snapshotsOf,
  TURN,
  WHOLE,
} from "../testing/snapshots.ts";
import { as, ended, jobAs, makeToken } from "../testing/tokens.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import { readSnapshot } from "./read.ts";
import { listSnapshotsOf, type SnapshotView } from "./store.ts";

/*
 * Snapshots are made, over HTTP and in workerd: a guest is kept at a prompt, at its end or when somebody asks, and what goes on from
 * there is as if there had been no break. The machine plays scripts; it says what is typed and when, and refuses to be restored from
 * pages and a state that do not belong together.
 */

describe("a snapshot that a job makes of itself", () => {
  test("is made at its point, is listed, and changes nothing of the run", async () => {
    const job = await prompted("made");
    expect(job).toMatchObject({ state: "passed", instructions: 2.5 * TURN, consoleBytes: WHOLE.length });
    expect(job.snapshots).toEqual([{ name: "ready", instructions: AT_REST, bytes: expect.any(Number) }]);
    const [listed, ...others] = await snapshotsOf(job.id);
    expect(others).toEqual([]);
    expect(listed).toMatchObject({
      from: { job: job.id, snapshot: "ready" },
      name: "ready",
      instructions: AT_REST,
      guestSeconds: AT_REST / 1e9,
      memory: 128,
      kernel: job.kernel.sha256,
    });
    expect(listed?.bytes).toBe((await exported(job.id, "ready")).length);
    expect(Date.parse(listed?.expiresAt ?? "") - Date.now()).toBeGreaterThan(29 * 24 * 3600 * 1000);
  });

  test("lets another go on from there, byte for byte", async () => {
    const job = await prompted("go on");
    const began = Date.now();
    const forked = await endOf((await fork({ job: job.id, snapshot: "ready" })).id);
    const took = Date.now() - began;
    expect(forked).toMatchObject({
      state: "passed",
      instructions: 2.5 * TURN,
      kernel: job.kernel,
      from: {
        snapshot: { job: job.id, snapshot: "ready" },
        name: "ready",
        instructions: AT_REST,
        consoleBytes: 12,
        since: { instructions: 2.5 * TURN - AT_REST, guestSeconds: (2.5 * TURN - AT_REST) / 1e9 },
      },
    });
    expect(forked.firstInstruction?.milliseconds).toBeGreaterThanOrEqual(0);
    expect(forked.firstInstruction?.milliseconds).toBeLessThanOrEqual(took);
    expect(await consoleOf(job.id)).toBe(WHOLE);
    expect(WHOLE.slice(0, 12) + (await consoleOf(forked.id))).toBe(WHOLE);
  });

  test("serves many forks that differ in what is typed", async () => {
    const job = await prompted("many");
    const forks = await Promise.all(
      ["a", "b", "c"].map((text) =>
        fork(
          { job: job.id, snapshot: "ready" },
          {
            expect: { pass: [`^<${text}`] },
            input: [
              { expect: "ready> $", send: text },
              { expect: "second", send: text.toUpperCase() },
            ],
          },
        ),
      ),
    );
    for (const [index, { id }] of forks.entries()) {
      const text = "abc".charAt(index);
      const late = 1.4 * TURN + 1_000_000 - ((1.4 * TURN) % 1_000_000);
      expect(await endOf(id)).toMatchObject({
        verdict: "pass",
        input: [
          { instructions: AT_REST, send: text },
          { instructions: expect.any(Number), send: text.toUpperCase() },
        ],
      });
      const console = await consoleOf(id);
      expect(console).toMatch(
        new RegExp(`^<${text} at ${AT_REST}>\nfirst\nsecond\n<${text.toUpperCase()} at (\\d+)>`),
      );
      const typed = Number(/<[A-C] at (\d+)>/.exec(console)?.[1]);
      expect(typed).toBeGreaterThanOrEqual(1.4 * TURN);
      expect(typed).toBeLessThanOrEqual(late);
    }
  });

  test("is what input does without: a job that starts from its kernel gets the same keys at the same instruction", async () => {
    const input = [{ expect: "ready> $", send: "a" }];
    const { id } = await createJob({ name: "no snapshot", events: EVENTS }, { input });
    expect(await endOf(id)).toMatchObject({ verdict: "pass", input: [{ instructions: AT_REST, send: "a" }] });
    const job = await prompted("with a snapshot");
    const forked = await endOf((await fork({ job: job.id, snapshot: "ready" }, { input })).id);
    expect(await consoleOf(id)).toBe(WHOLE.slice(0, 12) + (await consoleOf(forked.id)));
  });

  test("can be made of a fork, too", async () => {
    const job = await prompted("generations");
    const child = await endOf(
      (await fork({ job: job.id, snapshot: "ready" }, { snapshots: [{ name: "later", at: "^second" }] })).id,
    );
    const grandchild = await endOf((await fork({ job: child.id, snapshot: "later" })).id);
    expect(grandchild).toMatchObject({
      state: "passed",
      instructions: 2.5 * TURN,
      from: { consoleBytes: WHOLE.length - "third\n".length },
    });
    expect(await consoleOf(grandchild.id)).toBe("third\n");
    // Pages that the child never wrote came through it unchanged.
    const [first, second] = await Promise.all([exported(job.id, "ready"), exported(child.id, "later")]);
    const [old, young] = [readSnapshot(first), readSnapshot(second)];
    expect(young.base.read(125)).toEqual(old.base.read(125));
    expect(old.base.read(125)?.[0]).toBe(1);
  });

  test("of the end is one from which nothing goes on if the guest is no more", async () => {
    const { id } = await createJob({ name: "over", events: EVENTS }, { snapshots: [{ name: "last" }] });
    expect(await endOf(id)).toMatchObject({
      state: "passed",
      snapshots: [{ name: "last", instructions: 2.5 * TURN }],
    });
    const refused = await post("/jobs", { from: { job: id, snapshot: "last" } });
    expect(refused.status).toBe(422);
    expect(await errorOf(refused)).toMatchObject({
      code: "guest-ended",
      message: expect.stringMatching(/poweroff/),
    });
  });

  test("of the end is made although the object is torn down meanwhile, and the verdict stays", async () => {
    const events: ScriptEvent[] = [
      { at: 10, print: "up\n" },
      { at: 20, fill: 3000 },
      { at: 2_000_000, print: "done\n" },
    ];
    const { id } = await createJob(
      { name: "torn at the end", events },
      { expect: { pass: ["done"] }, limits: { graceSeconds: 0 }, snapshots: [{ name: "last" }] },
    );
    const ending = () =>
      runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) =>
        state.storage.sql
          .exec<{ record: string }>("SELECT record FROM job")
          .one()
          .record.includes('"ending"'),
      );
    while (!(await ending())) await scheduler.wait(1);
    await abortAllDurableObjects();
    await again(id);
    const job = await endOf(id);
    expect(job).toMatchObject({
      verdict: "pass",
      instructions: 2_000_000,
      snapshots: [{ name: "last", instructions: 2_000_000 }],
    });
    const forked = await endOf(
      (await fork({ job: id, snapshot: "last" }, { limits: { instructions: 5000 } })).id,
    );
    expect(forked).toMatchObject({ verdict: "no-output", from: { instructions: 2_000_000 } });
  });

  test("that finds no room is told, and the job goes on", async () => {
    const { id } = await createJob(
      { name: "full", events: [{ at: 30_000_000, print: "x> " }, ...EVENTS.slice(2)] },
      { snapshots: [{ name: "one", at: "x> $" }] },
    );
    await Promise.all(
      Array.from({ length: SNAPSHOT_LIMITS.perJob }, (_, i) =>
        env.BLOBS.put(`snapshots/jobs/${id}/old${i}`, "x"),
      ),
    );
    expect(await endOf(id)).toMatchObject({
      state: "passed",
      snapshots: [{ name: "one", error: expect.stringMatching(/16 snapshots.*DELETE/) }],
    });
  });
});

describe("POST /jobs/:id/snapshots", () => {
  test("keeps a running guest, which goes on", async () => {
    const events = Array.from({ length: 60 }, (_, i) => ({ at: (i + 1) * 50_000_000, print: `${i}\n` }));
    const { id } = await createJob({
      name: "asked",
      events: [...events, { at: 61 * 50_000_000, end: POWEROFF }],
    });
    while ((await jobOf(id)).instructions < 100_000_000) await scheduler.wait(1);
    const response = await post(`/jobs/${id}/snapshots`, { name: "now" });
    expect(response.status).toBe(201);
    expect(response.headers.get("location")).toBe(`/jobs/${id}/snapshots/now`);
    const made = (await response.json()) as SnapshotView;
    expect(made.instructions % 1_000_000).toBe(0);
    expect(await endOf(id)).toMatchObject({ state: "passed", snapshots: [] });
    const forked = await endOf((await fork(made.from)).id);
    const whole = events.map(({ print }) => print).join("");
    expect(await consoleOf(id)).toBe(whole);
    expect(whole.slice(0, forked.from?.consoleBytes) + (await consoleOf(forked.id))).toBe(whole);
  });

  test("keeps a guest that failed, whose memory is still there", async () => {
    const { id } = await createJob({
      name: "failed",
      events: [
        { at: 10, print: "a" },
        { at: 20, end: { kind: "idle" } },
      ],
    });
    expect(await endOf(id)).toMatchObject({ state: "timeout" });
    const made = (await (await post(`/jobs/${id}/snapshots`, { name: "hung" })).json()) as SnapshotView;
    expect(made).toMatchObject({ name: "hung", instructions: 20 });
    const forked = await fork(made.from, { input: [{ send: "hello" }], limits: { instructions: 1000 } });
    expect(await endOf(forked.id)).toMatchObject({ input: [{ instructions: 20, send: "hello" }] });
    expect(await consoleOf(forked.id)).toBe("<hello at 20>\n");
  });

  test("says what to do if the memory is gone, the name is none, or there is no such job", async () => {
    const { id } = await createJob({
      name: "gone",
      events: [
        { at: 10, print: "a" },
        { at: 20, end: POWEROFF },
      ],
    });
    await endOf(id);
    const gone = await post(`/jobs/${id}/snapshots`, { name: "x" });
    expect(gone.status).toBe(409);
    expect(await errorOf(gone)).toMatchObject({
      code: "no-memory",
      message: expect.stringMatching(/config/),
    });
    expect((await post(`/jobs/${id}/snapshots`, { name: "../x" })).status).toBe(400);
    expect((await post(`/jobs/${id}/snapshots`, { nom: "x" })).status).toBe(400);
    expect((await post(`/jobs/${NO_JOB}/snapshots`, { name: "x" })).status).toBe(404);
    expect((await request(`/jobs/${NO_JOB}/snapshots`)).status).toBe(404);
    expect((await request(`/jobs/${id}/snapshots/none`)).status).toBe(404);
    expect((await request(`/jobs/${id}/snapshots/none`, { method: "DELETE" })).status).toBe(404);
  });

  test("is answered if the job is canceled first", async () => {
    const { id } = await createJob({ ...ENDLESS, name: "canceled" }, UNLIMITED);
    const answers = await Promise.all([
      post(`/jobs/${id}/snapshots`, { name: "x" }),
      request(`/jobs/${id}`, { method: "DELETE" }),
    ]);
    expect([201, 409]).toContain(answers[0].status);
  });
});

describe("what is removed", () => {
  test("is found again by whoever was told that it failed, and its room is free then", async () => {
    const { id: owner, token } = await makeToken({ name: "removes" });
    const id = await jobAs(token, { events: EVENTS }, { snapshots: [{ name: "ready", at: "ready> $" }] });
    await ended(token, id);
    const path = `/jobs/${id}/snapshots/ready`;
    const stored = async () => (await env.REGISTER.getByName("register").usage(owner)).storageBytes;
    const before = await stored();
    const { bytes } = (await snapshotsOf(id))[0] as SnapshotView;
    const unstore = vi.spyOn(RegisterObject.prototype, "unstore").mockImplementationOnce(() => {
      throw new Error("away");
    });
    try {
      expect((await as(token, path, { method: "DELETE" })).status).toBe(500);
    } finally {
      unstore.mockRestore();
    }
    expect((await as(token, path, { method: "DELETE" })).status).toBe(204);
    expect(await stored()).toBe(before - bytes);
    expect((await as(token, path, { method: "DELETE" })).status).toBe(404);
  });

  test("because its time is over is so page by page: R2 removes no more than a page at once", async () => {
    const uploaded = new Date(Date.now() - SNAPSHOT_LIMITS.keepMilliseconds - 1);
    const left = new Set(Array.from({ length: 2500 }, (_, index) => `snapshots/jobs/${NO_JOB}/${index}`));
    const page = 1000;
    const bucket = {
      list: async ({ cursor = "" }: R2ListOptions) => {
        const keys = [...left].sort().filter((key) => key > cursor);
        const objects = keys.slice(0, page).map((key) => ({ key, uploaded, size: 1 }));
        return { objects, truncated: keys.length > page, cursor: objects.at(-1)?.key };
      },
      delete: async (keys: string[]) => {
        if (keys.length > page) throw new Error(`delete: ${keys.length} keys`);
        for (const key of keys) left.delete(key);
      },
    };
    expect(await listSnapshotsOf(bucket as unknown as R2Bucket, NO_JOB)).toEqual([]);
    expect(left.size).toBe(0);
  });
});
