import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { FoldedProfile } from "../../engine/profile/fold.ts";
import type { JobView } from "../runner/record.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";
import { Crowding } from "./testing/crowding.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * The main job: Debian's own kernel boots in a Durable Object over HTTP. It takes long enough for what a short guest cannot
 * show: status requests while it runs, and a workerd that is killed in the middle. Every boot must print the same bytes
 * in the same number of instructions.
 */

const debian = await availableFixture("debian-cloud");
const STATUS_LIMIT_MILLISECONDS = 200;
/** Status requests of which most must keep it. */
const STATUS_REQUESTS = 50;
/** Most of the time from POST to verdict that checkpoints may take. */
const CHECKPOINT_SHARE = 0.05;
/** Most from the alarm after a kill to the first guest instruction. */
const RESUME_MILLISECONDS = 150;

/** Boots in a row that may be over before they are killed, each of which is killed earlier than the one before. */
const TRIES = 4;
const EARLIER = 4;

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
    const crowding = new Crowding();
    const bootAsked = async (): Promise<Boot> => {
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
      const boot = await finish(client, id);
      running = false;
      await asking;
      return boot;
    };
    undisturbed = await bootAsked();
    // On a fast machine one boot is too short for so many.
    while (latencies.length <= STATUS_REQUESTS) expectSame(await bootAsked());
    const slower = await crowding.stop();
    expect(undisturbed.console).toMatch(/BOOT-OK/);
    expect(undisturbed.job).toMatchObject({ state: "passed", verdict: "pass", resumes: 0, restarts: 0 });
    expect(undisturbed.job.checkpoints.milliseconds / 1000 / undisturbed.job.seconds).toBeLessThan(
      CHECKPOINT_SHARE * slower(0.95),
    );
    const sorted = latencies.sort((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length * 0.95)]).toBeLessThan(STATUS_LIMIT_MILLISECONDS * slower(0.95));
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
      const crowding = new Crowding();
      let hadCheckpoint = false;
      const { id, boot } = await disturbed(2, async (id, follow, late) => {
        follow();
        // Once early, once after a checkpoint; each time it is on its way again.
        const early = 0.1 * late;
        const moments = [
          (job: JobView) => job.instructions >= early,
          (job: JobView) => {
            hadCheckpoint = job.checkpoints.count > 0;
            return job.interruptions === 1 && (hadCheckpoint || job.instructions > late);
          },
        ];
        for (const moment of moments) {
          if (!(await until(client, id, moment))) return false;
          process.kill(server.workerd()!, "SIGKILL");
          await sleep(500);
        }
        return true;
      });
      const slower = await crowding.stop();
      expect(boot.job).toMatchObject({ interruptions: 2, lastError: null });
      // A fast machine may be through before its first checkpoint is worth while; then the job starts over.
      if (hadCheckpoint) {
        expect(boot.job.resumes).toBeGreaterThan(0);
        expect(boot.job.resumeMilliseconds?.most).toBeLessThan(RESUME_MILLISECONDS * slower(1));
      } else expect(boot.job.restarts).toBeGreaterThan(0);
      expectSame(boot);
      expect(await folded(id)).toBe(undisturbedProfile);
    },
  );

  testWith(debian)("goes on after everything was killed and started again on the same storage", async () => {
    let soFar = "";
    const { boot } = await disturbed(1, async (id, _follow, late) => {
      const isLate = (job: JobView): boolean =>
        job.consoleBytes > 0 && (job.checkpoints.count > 0 || job.instructions > late);
      if (!(await until(server.client(), id, isLate))) return false;
      soFar = await (await server.client().request(`/jobs/${id}/console`)).text();
      process.kill(server.workerd()!, "SIGKILL");
      await server.stop();
      server = await LocalServer.start({ directory });
      // Nobody asks for the job: it ends by itself.
      return true;
    });
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

  /**
   * A boot to which something was done that interrupted it so many times, at the latest when it has done `late` instructions. Where the
   * machine is fast or this process is kept waiting the guest may have ended before, or be between two turns just then: then another
   * one, earlier. Every boot, disturbed or not, is compared with the first.
   */
  async function disturbed(
    interruptions: number,
    disturb: (id: string, follow: () => void, late: number) => Promise<boolean>,
  ): Promise<{ readonly id: string; readonly boot: Boot }> {
    for (let [tries, late] = [1, LATE]; ; tries++, late /= EARLIER) {
      const id = await begin(server.client());
      let boot: Promise<Boot> | undefined;
      const follow = (): void => {
        boot = finish(server.client(), id);
      };
      const isDone = await disturb(id, follow, late);
      boot ??= finish(server.client(), id);
      const ended = await boot;
      if (isDone && ended.job.interruptions >= interruptions) return { id, boot: ended };
      expectSame(ended);
      if (tries === TRIES) throw new Error(`${TRIES} boots were not interrupted ${interruptions} times`);
    }
  }

  /** Waits until the job has come to a moment; false if it has ended before. */
  async function until(client: Client, id: string, moment: (job: JobView) => boolean): Promise<boolean> {
    for (;;) {
      const job = await client.job(id).catch(() => undefined);
      if (job !== undefined && job.endedAt !== null) return false;
      if (job !== undefined && moment(job)) return true;
      await sleep(20);
    }
  }
});
