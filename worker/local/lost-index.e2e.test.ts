import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { JobSummary } from "../database/jobs.ts";
import type { JobPage } from "../database/list-jobs.ts";
import type { RepairReport } from "../register/repair.ts";
import { insist } from "./soak/boot.ts";
import { availableFixture } from "./testing/guests.ts";
import { KilledGuests } from "./testing/kills.ts";

/*
 * The index is lost in mid-run, and really: the server's processes are killed, the database's files are deleted, and the server is
 * started again. Jobs that ran go on and end, tokens are still good, and the list of jobs comes back whole: by itself, and by a
 * repair that was asked for.
 */

const hello = await prepareFixture("hello", { log: () => {} });
const guest = (await availableFixture("grub-pv")) ?? hello;

const guests = new KilledGuests("index");

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  return insist(guests.server, async (client) => (await (await client.request(path, init)).json()) as T);
}

const list = async (): Promise<readonly JobSummary[]> => (await ask<JobPage>("/jobs?limit=500")).jobs;

/** Kills the server, deletes its database, and starts it again. */
async function loseIndex(): Promise<void> {
  const { server, directory } = guests;
  await server.stop();
  const files = await readdir(join(directory, "d1", "miniflare-D1DatabaseObject"));
  expect(files.length).toBeGreaterThan(0);
  await rm(join(directory, "d1"), { recursive: true });
  await server.start();
}

async function post(of: typeof hello, name: string): Promise<string> {
  const kernel = { sha256: await insist(guests.server, (client) => client.putFile(of.kernelPath)) };
  const { cmdline, memoryMiB: memory, expect } = of;
  const config = { cmdline, memory, expect, labels: { name, suite: "index" } };
  return (await insist(guests.server, (client) => client.createJob({ kernel, config }))).id;
}

const ended = async (id: string): Promise<string | null> => {
  for (;;) {
    const job = await insist(guests.server, (client) => client.job(id));
    if (job.endedAt !== null) return job.verdict;
    await sleep(50);
  }
};

test("jobs end, and the list comes back whole", async () => {
  const { token } = await ask<{ token: string }>("/tokens", {
    method: "POST",
    body: JSON.stringify({ name: "survivor", scopes: ["read"] }),
  });
  const finished = [await post(hello, "first"), await post(hello, "second"), await post(hello, "third")];
  for (const id of finished) expect(await ended(id)).toBe("pass");
  const running = await post(guest, "running");
  while ((await insist(guests.server, (client) => client.job(running))).state === "queued") await sleep(5);
  // A job's own word comes first, then its line in the index.
  const before = async () => (await list()).map(({ id }) => id).sort();
  await expect.poll(before).toEqual([...finished, running].sort());

  await loseIndex();
  expect(await ended(running)).toBe("pass");
  // Whoever asks for the list makes a lost index known.
  while ((await list()).filter(({ verdict }) => verdict === "pass").length < 4) await sleep(50);
  const jobs = await list();
  expect(jobs.map(({ id }) => id)).toEqual([running, ...finished.toReversed()]);
  expect(jobs.map(({ labels }) => labels.name)).toEqual(["running", "third", "second", "first"]);
  const labelled = await ask<JobPage>("/jobs?label=name=second&verdict=pass");
  expect(labelled.jobs.map(({ id }) => id)).toEqual([finished[1]]);
  const url = await insist(
    guests.server,
    async (client) => new URL((await client.request("/healthz")).url).origin,
  );
  expect((await fetch(`${url}/fixtures`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(
    200,
  );

  // Once more, with a repair that is asked for before anybody asks for anything else.
  await loseIndex();
  await ask("/admin/repair", { method: "POST" });
  let repair: RepairReport;
  do {
    await sleep(20);
    ({ repair } = await ask<{ repair: RepairReport }>("/admin/repair"));
  } while (repair.phase !== "done");
  expect(repair).toMatchObject({ jobs: 4, forgotten: 0, removed: 0, failures: 0 });
  expect(await list()).toEqual(jobs);
});
