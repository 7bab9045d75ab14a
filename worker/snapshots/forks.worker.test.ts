import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { DamagedCheckpoint } from "../runner/damaged.ts";
import { createTables } from "../runner/schema.ts";
import { SqlPageStore } from "../runner/sql-page-store.ts";
import { consoleOf, createJob, endOf, errorOf, jobOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import {
  AT_REST,
  again,
  exported,
  fork,
  imported,
  importedList,
  NO_JOB,
  POWEROFF,
  post,
  prompted,
  TURN,
  WHOLE,
} from "../testing/snapshots.ts";
import type { MemoryBase } from "./base.ts";
import type { SnapshotHeader } from "./header.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import { copySnapshot, readSnapshot } from "./read.ts";
import { deleteSnapshotsOf, listSnapshotsOf, type SnapshotView } from "./store.ts";
import { snapshotFile } from "./write.ts";

/*
 * Jobs start from snapshots, over HTTP and in workerd: from those that lie here, and from files that come from what stands for another
 * worker, which may be damaged, be a lie or be gone by then.
 */

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
