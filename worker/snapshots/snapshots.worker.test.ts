import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { RegisterObject } from "../register/register.ts";
import { DamagedCheckpoint } from "../runner/damaged.ts";
import type { JobView } from "../runner/record.ts";
import { createTables } from "../runner/schema.ts";
import { SqlPageStore } from "../runner/sql-page-store.ts";
import { TEST_BOUNDS } from "../testing/bounds.ts";
import { consoleOf, createJob, endOf, errorOf, jobOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script, ScriptEvent } from "../testing/scripted-machine.ts";
import { as, ended, jobAs, makeToken } from "../testing/tokens.ts";
import type { MemoryBase } from "./base.ts";
import type { SnapshotHeader } from "./header.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import { copySnapshot, readSnapshot } from "./read.ts";
import { deleteSnapshotsOf, listSnapshotsOf, type SnapshotView } from "./store.ts";
import { snapshotFile } from "./write.ts";

/*
 * Snapshots over HTTP, in workerd: a guest is kept at a prompt, and others go on from there, here or in what stands for
 * another worker, as if there had been no break. The machine plays scripts; it says what is typed and when, and refuses to be
 * restored from pages and a state that do not belong together.
 */

const TURN = TEST_BOUNDS.turnInstructions;
const POWEROFF: ScriptEvent["end"] = { kind: "shutdown", reason: "poweroff", code: 0 };
const NO_JOB = "0".repeat(32);

/** Comes to a prompt at 20 M instructions, then does something now and then, and powers off. */
const EVENTS: readonly ScriptEvent[] = [
  { at: 10_000_000, print: "boot\n", fill: 40 },
  { at: 20_000_000, print: "ready> " },
  { at: 0.4 * TURN, print: "first\n" },
  { at: 1.4 * TURN, print: "second\n" },
  { at: 2.4 * TURN, print: "third\n" },
  { at: 2.5 * TURN, end: POWEROFF },
];
const WHOLE = "boot\nready> first\nsecond\nthird\n";
/** The first moment of judging after one at which nothing was printed. */
const AT_REST = 21_000_000;

function post(path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function fork(from: unknown, config: unknown = {}): Promise<JobView> {
  const response = await post("/jobs", { from, config });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as JobView;
}

async function snapshotsOf(id: string): Promise<SnapshotView[]> {
  const response = await request(`/jobs/${id}/snapshots`);
  return ((await response.json()) as { snapshots: SnapshotView[] }).snapshots;
}

async function exported(id: string, name: string): Promise<Uint8Array> {
  const response = await request(`/jobs/${id}/snapshots/${name}`);
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

const imported = (file: Uint8Array): Promise<Response> =>
  request("/snapshots", { method: "POST", body: file });

async function importedList(): Promise<SnapshotView[]> {
  return ((await (await request("/snapshots")).json()) as { snapshots: SnapshotView[] }).snapshots;
}

/** A job that keeps itself at its prompt. */
async function prompted(name: string, more: readonly ScriptEvent[] = []): Promise<JobView> {
  const { id } = await createJob(
    { name, events: [...EVENTS, ...more] },
    { snapshots: [{ name: "ready", at: "ready> $" }] },
  );
  return endOf(id);
}

async function again(id: string): Promise<void> {
  // The test's runtime drops the alarm of an aborted object; in production and in Miniflare it comes again.
  await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) => state.storage.setAlarm(Date.now()));
}

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

describe("a file", () => {
  test("that was exported is imported, and the guest goes on the same", async () => {
    const job = await prompted("migrates");
    const file = await exported(job.id, "ready");
    const response = await imported(file);
    expect(response.status).toBe(201);
    const view = (await response.json()) as SnapshotView;
    expect(view).toMatchObject({ name: "ready", bytes: file.length, instructions: AT_REST });
    expect(response.headers.get("location")).toBe(view.links.self);
    expect(new Uint8Array(await (await request(view.links.self)).arrayBuffer())).toEqual(file);
    expect(await importedList()).toContainEqual(view);
    await request(`/jobs/${job.id}/snapshots/ready`, { method: "DELETE" });
    const forked = await endOf((await fork(view.from)).id);
    expect(forked).toMatchObject({ state: "passed", instructions: 2.5 * TURN });
    expect(await consoleOf(forked.id)).toBe(WHOLE.slice(12));
    expect((await request(view.links.self, { method: "DELETE" })).status).toBe(204);
    expect((await request(view.links.self)).status).toBe(404);
  });

  test("that is damaged, cut off, of another version or something else is refused, and nothing of it stays", async () => {
    const job = await prompted("damaged");
    const file = await exported(job.id, "ready");
    const before = (await importedList()).length;
    const changed = (at: number): Uint8Array => file.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const stories: [Uint8Array, string, RegExp][] = [
      [changed(100), "damaged", /header/],
      [changed(file.length - 100), "damaged", /Record \d+.*checksum/],
      [changed(file.length - 1), "damaged", /checksum/],
      [file.subarray(0, file.length - 48), "truncated", /ends after \d+ records/],
      [file.subarray(0, 20), "truncated", /header/],
      [new Uint8Array(0), "truncated", /ends before its header/],
      [changed(8), "wrong-version", /version 0.*version 1/],
      [new TextEncoder().encode("hello, this is no snapshot"), "not-a-snapshot", /no snapshot/],
    ];
    for (const [bytes, code, message] of stories) {
      const response = await imported(bytes);
      expect(response.status).toBe(422);
      expect(await errorOf(response)).toMatchObject({ code, message: expect.stringMatching(message) });
    }
    expect((await importedList()).length).toBe(before);
  });

  test("that is larger than fits into memory is copied to the job's storage as it comes", async () => {
    const job = await prompted("large");
    const file = await exported(job.id, "ready");
    const whole = readSnapshot(file);
    await runInDurableObject(env.JOB_RUNNER.getByName("f".repeat(32)), async (_, { storage }) => {
      createTables(storage.sql);
      const body = new Response(file).body as ReadableStream<Uint8Array>;
      const copied = await copySnapshot(body, storage.sql);
      expect({ ...copied, base: null }).toEqual({ ...whole, base: null });
      for (const cluster of [0, 62, 125, 126, 127, 128]) {
        expect(copied.base.read(cluster)).toEqual(whole.base.read(cluster));
      }
    });
  });
});

describe("a job that starts from a snapshot", () => {
  test("needs it no more after its first checkpoint, whatever happens to the process", async () => {
    const lines = Array.from({ length: 60 }, (_, i) => ({
      at: 30_000_000 + i * 0.1 * TURN,
      print: `${i}\n`,
    }));
    const { id } = await createJob(
      {
        name: "torn",
        events: [{ at: 10, print: "go> ", fill: 20 }, ...lines, { at: 30_000_000 + 6 * TURN, end: POWEROFF }],
      },
      { snapshots: [{ name: "go", at: "go> $" }] },
    );
    await endOf(id);
    const forked = await fork({ job: id, snapshot: "go" });
    while ((await jobOf(forked.id)).checkpoints.count === 0) await scheduler.wait(1);
    await request(`/jobs/${id}/snapshots/go`, { method: "DELETE" });
    await abortAllDurableObjects();
    await again(forked.id);
    const job = await endOf(forked.id);
    expect(job).toMatchObject({ state: "passed", restarts: 0, instructions: 30_000_000 + 6 * TURN });
    expect(await consoleOf(forked.id)).toBe(lines.map(({ print }) => print).join(""));
    const tables = await runInDurableObject(env.JOB_RUNNER.getByName(forked.id), (_, { storage }) =>
      ["page", "page_overlay", "base_page"].map(
        (table) => storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n,
      ),
    );
    expect(tables).toEqual([0, 0, 0]);
  });

  test("is refused if the snapshot is not there, with what is wrong", async () => {
    const stories: [unknown, number, string][] = [
      [{ from: { job: NO_JOB, snapshot: "x" } }, 422, "no-snapshot"],
      [{ from: { snapshot: NO_JOB } }, 422, "no-snapshot"],
      [{ from: { snapshot: "x" } }, 400, "bad-reference"],
      [{ from: { job: "x", snapshot: "x" } }, 400, "bad-reference"],
      [{ from: { snapshot: NO_JOB, name: "x" } }, 400, "unknown-field"],
      [{ from: { snapshot: NO_JOB }, kernel: { fixture: "hello" } }, 400, "excluded"],
    ];
    for (const [body, status, code] of stories) {
      const response = await post("/jobs", body);
      expect([response.status, (await errorOf(response)).code]).toEqual([status, code]);
    }
    const job = await prompted("fixed");
    const fixed = await post("/jobs", { from: { job: job.id, snapshot: "ready" }, config: { memory: 64 } });
    expect(await errorOf(fixed)).toMatchObject({ code: "fixed-by-snapshot", field: "config.memory" });
  });

  test("ends with a clear error if the snapshot goes before it has started", async () => {
    const job = await prompted("vanishes");
    const busy = await createJob({ ...ENDLESS, name: "busy" }, UNLIMITED);
    while ((await jobOf(busy.id)).state !== "running") await scheduler.wait(1);
    const { id } = await fork({ job: job.id, snapshot: "ready" });
    await request(`/jobs/${job.id}/snapshots/ready`, { method: "DELETE" });
    await request(`/jobs/${busy.id}`, { method: "DELETE" });
    expect(await endOf(id)).toMatchObject({
      state: "error",
      reason: expect.stringMatching(new RegExp(`"ready" of the job ${job.id}.*removed before`)),
    });
  });

  test("ends with a clear error if the snapshot is damaged where it is stored", async () => {
    const job = await prompted("rot in R2");
    const file = await exported(job.id, "ready");
    file[file.length - 100]! ^= 1;
    const key = `snapshots/jobs/${job.id}/ready`;
    await env.BLOBS.put(key, file);
    expect(await endOf((await fork({ job: job.id, snapshot: "ready" })).id)).toMatchObject({
      state: "error",
      reason: expect.stringMatching(/"ready" of the job.*cannot be used: record \d+ .*checksum/),
    });
    file[100]! ^= 1;
    await env.BLOBS.put(key, file);
    const refused = await post("/jobs", { from: { job: job.id, snapshot: "ready" } });
    expect(refused.status).toBe(422);
    expect(await errorOf(refused)).toMatchObject({
      code: "damaged",
      message: expect.stringMatching(/header/),
    });
  });

  test("ends with a clear error if the file that was imported is not of the machine that its header says", async () => {
    const job = await prompted("liar");
    const { header, state, base } = readSnapshot(await exported(job.id, "ready"));
    const errorOfFork = async (changed: SnapshotHeader, bytes: Uint8Array): Promise<string | null> => {
      const parts: Uint8Array[] = [];
      const clusters = (base as MemoryBase).records();
      for await (const part of snapshotFile(changed, bytes, clusters, async () => {})) parts.push(part);
      const answer = await imported(
        new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer()),
      );
      expect(answer.status).toBe(201);
      const { state: ended, reason } = await endOf(
        (await fork(((await answer.json()) as SnapshotView).from)).id,
      );
      expect(ended).toBe("error");
      return reason;
    };
    expect(await errorOfFork({ ...header, instructions: AT_REST - 1 }, state)).toMatch(
      /not where its header says/,
    );
    const saved = JSON.parse(new TextDecoder().decode(state)) as { script: Script };
    saved.script = { ...saved.script, machine: { mode: "pv", memoryMiB: 4096 } };
    expect(await errorOfFork(header, new TextEncoder().encode(JSON.stringify(saved)))).toMatch(
      /machine has 4096 MiB in mode "pv", its header says 128 MiB/,
    );
    expect(await errorOfFork(header, new Uint8Array(100))).toMatch(/cannot be used/);
  });

  test("is refused when the snapshot's time is over, and the snapshot goes", async () => {
    const job = await prompted("expires");
    const key = `snapshots/jobs/${job.id}/ready`;
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + SNAPSHOT_LIMITS.keepMilliseconds + 60_000 });
    try {
      const late = await post("/jobs", { from: { job: job.id, snapshot: "ready" } });
      expect(await errorOf(late)).toMatchObject({
        code: "no-snapshot",
        message: expect.stringMatching(/time is over/),
      });
      expect((await request(`/jobs/${job.id}/snapshots/ready`)).status).toBe(404);
      expect(await env.BLOBS.head(key)).not.toBeNull();
      // Looking for what there is removes it.
      await deleteSnapshotsOf(env.BLOBS, NO_JOB);
      expect(await listSnapshotsOf(env.BLOBS, job.id)).toEqual([]);
      expect(await env.BLOBS.head(key)).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  test("notices that a page of it is damaged in its storage", async () => {
    const job = await prompted("rot");
    const file = await exported(job.id, "ready");
    await runInDurableObject(env.JOB_RUNNER.getByName("e".repeat(32)), async (_, { storage }) => {
      createTables(storage.sql);
      await copySnapshot(new Response(file).body as ReadableStream<Uint8Array>, storage.sql);
      const page = new Uint8Array(4096);
      const record = storage.sql
        .exec<{ record: ArrayBuffer }>("SELECT record FROM base_page WHERE cluster = 125")
        .one().record;
      for (let at = 0; at < record.byteLength; at++) {
        const changed = new Uint8Array(record.slice(0));
        changed[at]! ^= 0x10;
        storage.sql.exec("UPDATE base_page SET record = ? WHERE cluster = 125", changed);
        const store = new SqlPageStore(storage.sql);
        expect(() => store.read(125 * 16, page), `byte ${at}`).toThrow(DamagedCheckpoint);
      }
    });
  });
});

describe("the page store behind a fork", () => {
  test("has what was written before what the snapshot had, zero pages too, also after a restart", async () => {
    const job = await prompted("pages");
    const file = await exported(job.id, "ready");
    await runInDurableObject(env.JOB_RUNNER.getByName("d".repeat(32)), (_, { storage }) => {
      createTables(storage.sql);
      const page = new Uint8Array(4096);
      const firstByte = (store: SqlPageStore, gfn: number): number | undefined =>
        store.read(gfn, page) ? page[0] : undefined;
      const store = new SqlPageStore(storage.sql);
      store.startFrom(readSnapshot(file).base);
      // Pages 2000 to 2039 were filled with 1, 2, 3 ...
      expect([2000, 2001, 2039, 2040].map((gfn) => firstByte(store, gfn))).toEqual([1, 2, 40, 0]);
      for (let gfn = 2000; gfn < 2016; gfn++) store.write(gfn, new Uint8Array(4096));
      store.write(2016, new Uint8Array(4096).fill(99));
      expect([2000, 2016, 2017].map((gfn) => firstByte(store, gfn) ?? 0)).toEqual([0, 99, 18]);
      storage.transactionSync(() => {
        store.begin();
        store.commit();
      });
      const manifest = store.manifest();
      const later = new SqlPageStore(storage.sql);
      expect(later.manifest()).toBe(manifest);
      expect([2000, 2016, 2017, 2039].map((gfn) => firstByte(later, gfn))).toEqual([undefined, 99, 18, 40]);
      expect(later.checkpointedClusters()).not.toContain(125);
      expect(later.checkpointedClusters()).toContain(126);
      storage.sql.exec("DELETE FROM base_page WHERE cluster = 127");
      expect(later.manifest()).not.toBe(manifest);
    });
  });
});
