import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { KernelInspector } from "../runner/kernel-inspector.ts";
import { SqlSpool } from "../runner/sql-spool.ts";
import { createJob, jobOf, request } from "../testing/client.ts";

/*
 * Profiles of jobs that were canceled: before the guest ran it is an empty one like any other, and while somebody was given one that
 * is not kept for the one at the end. And what is left of a kernel that was read for one.
 */

test("a job that never ran has an empty profile", async () => {
  const { id } = await createJob({ name: "never-run", buildMilliseconds: 60_000, events: [] });
  await request(`/jobs/${id}`, { method: "DELETE" });
  for (let times = 0; times < 2; times++) {
    const response = await request(`/jobs/${id}/profile`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ samples: 0, frames: [] });
  }
});

test("a profile that was asked for before the end is not the one of the end", async () => {
  const { id } = await createJob({ events: [{ at: 1_000_000, print: "up\n" }] });
  await expect.poll(async () => (await jobOf(id)).instructions).toBeGreaterThan(0);
  await runInDurableObject(env.JOB_RUNNER.getByName(id), async (object, { storage: { sql } }) => {
    const asked = object.profile();
    await object.cancel();
    await asked;
    const kept = (): unknown[] => sql.exec("SELECT 1 FROM profile_named").toArray();
    expect(kept()).toEqual([]);
    const named = await object.profile();
    expect(kept()).toHaveLength(1);
    // It comes from another object, and is nothing that whoever gets it has to dispose of.
    expect(Object.getOwnPropertySymbols(named ?? {})).toEqual([]);
  });
});

test("of a kernel that was being read when the process died nothing stays", async () => {
  const { kernel } = await createJob({ name: "inspected", events: [] });
  await runInDurableObject(env.JOB_RUNNER.getByName(`kernel ${kernel.sha256}`), async (object, state) => {
    const { storage } = state;
    const tables = () => storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'spool'").toArray();
    const calls: string[] = [];
    const watched = new Proxy(storage, {
      get(target, name) {
        if (name === "setAlarm" || name === "deleteAlarm") calls.push(name);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await new KernelInspector(watched, env.BLOBS).inspect(
      { kernel, initrdBytes: 0, memoryMiB: 128, mode: "pv" },
      async () => {
        calls.push("inspects");
        return { bits: 64 };
      },
    );
    expect(calls).toEqual(["setAlarm", "inspects", "deleteAlarm"]);
    const dying = new SqlSpool(storage.sql);
    dying.clear();
    dying.write(0, new Uint8Array(100_000));
    expect(tables()).toHaveLength(1);
    await object.alarm();
    expect(tables()).toEqual([]);
  });
});
