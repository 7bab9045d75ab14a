import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { createJob, jobOf, request } from "../testing/client.ts";

/*
 * Profiles of jobs that were canceled: before the guest ran it is an empty one like any other, and while somebody was given one that
 * is not kept for the one at the end.
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
