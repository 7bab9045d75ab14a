import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { FoldedProfile } from "../../engine/profile/fold.ts";
import type { JobView } from "../runner/record.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";
import { crowding } from "./testing/crowding.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * The main job: Debian's own kernel boots in a Durable Object over HTTP. It takes long enough for what a short guest cannot
 * show: status requests while it runs, and a workerd that is killed in the middle. Every boot must print the same bytes
 * in the same number of instructions.
 */

const debian = await availableFixture("debian-cloud");
const STATUS_LIMIT_MILLISECONDS = 200;
/** Most of the time from POST to verdict that checkpoints may take. */
const CHECKPOINT_SHARE = 0.05;
/** Most from the alarm after a kill to the first guest instruction. */
const RESUME_MILLISECONDS = 150;

/** Instructions of a boot of some 3.2 G that has come far. */
const LATE = 2_000_000_000;

interface Boot {
  readonly job: JobView;
  readonly console: string;
}

let directory: string;
let server: LocalServer;
/** The boot nothing disturbs; the others are compared with it. */
let undisturbed: Boot | undefined;
let undisturbedProfile = "";
const latencies: number[] = [];

async function begin(client: Client): Promise<string> {
  return (await client.createJob({ kernel: { fixture: "debian-cloud" } })).id;
}

async function finish(client: Client, id: string): Promise<Boot> {
  const chunks: Uint8Array[] = [];
  const job = await client.followConsole(id, (bytes) => chunks.push(bytes));
  return { job, console: Buffer.concat(chunks).toString() };
}

beforeAll(async () => {
  if (debian === undefined) return;
  directory = await mkdtemp(join(tmpdir(), "xenner-debian-"));
  server = await LocalServer.start({ directory });
  await server.storeFixture(debian);
});

afterAll(async () => {
  await server?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

describe("Debian's cloud kernel", () => {
  testWith(debian)("boots to BOOT-OK and powers off, and answers status requests all the while", async () => {
    const client = server.client();
    const id = await begin(client);
    let running = true;
    const asking = (async () => {
      while (running) {
        const began = performance.now();
        await client.job(id);
        latencies.push(performance.now() - began);
        await sleep(20);
      }
    })();
    undisturbed = await finish(client, id);
    running = false;
    await asking;
    expect(undisturbed.console).toMatch(/BOOT-OK/);
    expect(undisturbed.job).toMatchObject({ state: "passed", verdict: "pass", resumes: 0, restarts: 0 });
    expect(undisturbed.job.checkpoints.milliseconds / 1000 / undisturbed.job.seconds).toBeLessThan(
      CHECKPOINT_SHARE,
    );
    const sorted = latencies.sort((a, b) => a - b);
    expect(sorted.length).toBeGreaterThan(50);
    expect(sorted[Math.floor(sorted.length * 0.95)]).toBeLessThan(STATUS_LIMIT_MILLISECONDS * crowding());
  });

  testWith(debian)("serves at least 95 % of its hypercalls without leaving the guest", async () => {
    const statistics = await server.client().hypercalls(undisturbed!.job.id);
    expect(statistics?.totals.calls).toBeGreaterThan(10_000);
    expect(statistics?.totals.shareInEmu).toBeGreaterThanOrEqual(0.95);
  });

  testWith(debian)("says where its instructions went, and all of them", async () => {
    const { id, instructions } = undisturbed!.job;
    const response = await server.client().request(`/jobs/${id}/profile`);
    expect(response.status).toBe(200);
    const profile = (await response.json()) as FoldedProfile;
    const { samplingInstructions, frames } = profile;
    const sum = frames.reduce((all, { samples }) => all + samples, 0) * samplingInstructions;
    expect(Math.abs(sum - instructions)).toBeLessThanOrEqual(samplingInstructions);
    // Linux goes through every page frame number that there could be: arch/x86/xen/p2m.c.
    const widest = frames.slice(0, 3).flatMap(({ stack }) => stack);
    expect(widest.some((name) => name.startsWith("xen_rebuild_p2m_list"))).toBe(true);
    expect(profile.samples).toBeGreaterThan(1000);
    undisturbedProfile = await folded(id);
    expect(undisturbedProfile.split("\n")).toHaveLength(frames.length + 1);
  });

  testWith(debian)(
    "goes on after its workerd was killed in mid-boot, byte for byte as if nothing had happened",
    async () => {
      const client = server.client();
      const id = await begin(client);
      const finished = finish(client, id);
      // Once before the first checkpoint, once after it.
      const moments = [
        (job: JobView) => job.instructions >= 0.1 * undisturbed!.job.instructions,
        (job: JobView) => job.checkpoints.count > 0,
      ];
      for (const moment of moments) {
        await until(client, id, moment);
        process.kill(server.workerd()!, "SIGKILL");
        await sleep(500);
      }
      const boot = await finished;
      expect(boot.job).toMatchObject({ interruptions: 2, lastError: null });
      expect(boot.job.resumes).toBeGreaterThan(0);
      expect(boot.job.resumeMilliseconds?.most).toBeLessThan(RESUME_MILLISECONDS * crowding());
      expectSame(boot);
      expect(await folded(id)).toBe(undisturbedProfile);
    },
  );

  testWith(debian)("goes on after everything was killed and started again on the same storage", async () => {
    const id = await begin(server.client());
    // A fast machine may be through before its first checkpoint is worth while; then the job starts over.
    await until(server.client(), id, (job) => job.checkpoints.count > 0 || job.instructions > LATE);
    const soFar = await (await server.client().request(`/jobs/${id}/console`)).text();
    process.kill(server.workerd()!, "SIGKILL");
    await server.stop();
    server = await LocalServer.start({ directory });
    // Nobody asks for the job: it ends by itself.
    const boot = await finish(server.client(), id);
    expect(soFar).not.toBe("");
    expect(boot.console.startsWith(soFar)).toBe(true);
    expect(boot.job.resumes + boot.job.restarts).toBeGreaterThan(0);
    expectSame(boot);
  });

  async function folded(id: string): Promise<string> {
    return (await server.client().request(`/jobs/${id}/profile?format=folded`)).text();
  }

  function expectSame({ job, console }: Boot): void {
    expect(job).toMatchObject({ verdict: "pass", instructions: undisturbed!.job.instructions });
    expect(job.guestSeconds).toBe(undisturbed!.job.guestSeconds);
    expect(console).toBe(undisturbed!.console);
  }

  /** Waits until the job has come to a moment. */
  async function until(client: Client, id: string, moment: (job: JobView) => boolean): Promise<void> {
    for (;;) {
      const job = await client.job(id).catch(() => undefined);
      if (job !== undefined && job.endedAt !== null)
        throw new Error(`the job ended too early: ${job.reason}`);
      if (job !== undefined && moment(job)) return;
      await sleep(20);
    }
  }
});
