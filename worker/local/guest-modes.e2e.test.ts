import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { JobView } from "../runner/record.ts";
import { LocalServer } from "./server.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * Debian's own kernel in the modes in which it runs on the bare processor, over HTTP with 128 MB: "pvh", and "hvm" with its
 * console on the serial port, where a shell is told to go on with the boot. Each boots twice, the second time with a workerd
 * that is killed after a checkpoint: console, counts and hypercalls are the same to the byte.
 */

const debian = await availableFixture("debian-cloud");
const MEMORY_MIB = 128;
/** Boots in a row that may be over before they are killed, each of which is killed earlier than the one before. */
const TRIES = 4;
const EARLIER = 4;
/** Of a boot of some 1.7 G instructions, most of it. */
const LATE = 1_300_000_000;

const CONFIGS = {
  pvh: { mode: "pvh" },
  hvm: {
    mode: "hvm",
    cmdline: "console=ttyS0 rdinit=/bin/sh",
    expect: { steps: [{ wait: "# $", send: "exec /init\n" }] },
  },
} as const;

interface Boot {
  readonly job: JobView;
  readonly console: string;
  readonly hypercalls: HypercallStatistics | undefined;
}

let directory: string;
let server: LocalServer;

beforeAll(async () => {
  if (debian === undefined) return;
  directory = await mkdtemp(join(tmpdir(), "xenner-modes-"));
  server = await LocalServer.start({ directory });
  await server.storeFixture(debian);
});

afterAll(async () => {
  await server?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

/** Boots; `disturb` is called when there is a checkpoint, or so many instructions are done, unless it has ended before that was seen. */
async function boot(mode: keyof typeof CONFIGS, disturb?: () => void, late = LATE): Promise<Boot> {
  const client = server.client();
  const config = { memory: MEMORY_MIB, ...CONFIGS[mode] };
  const { id } = await client.createJob({ kernel: { fixture: "debian-cloud" }, config });
  const chunks: Uint8Array[] = [];
  const followed = client.followConsole(id, (bytes) => chunks.push(bytes));
  if (disturb !== undefined) {
    for (;;) {
      const { checkpoints, instructions, endedAt } = await client.job(id);
      if (endedAt !== null) break;
      if (checkpoints.count > 0 || instructions > late) {
        disturb();
        break;
      }
      await sleep(20);
    }
  }
  const job = await followed;
  return { job, console: Buffer.concat(chunks).toString(), hypercalls: await client.hypercalls(id) };
}

const kill = (): void => {
  process.kill(server.workerd()!, "SIGKILL");
};

describe.each(["pvh", "hvm"] as const)("Debian's cloud kernel in mode %s", (mode) => {
  let undisturbed: Boot;

  testWith(debian)("boots to BOOT-OK and powers off", { timeout: 600_000 }, async () => {
    undisturbed = await boot(mode);
    expect(undisturbed.console).toMatch(/^BOOT-OK\r?$/m);
    expect(undisturbed.console).toMatch(/reboot: Power down/);
    expect(undisturbed.job).toMatchObject({ state: "passed", verdict: "pass", resumes: 0, restarts: 0 });
    expect(undisturbed.job.findings).toEqual([expect.objectContaining({ verdict: "pass" })]);
    expect(undisturbed.hypercalls?.totals.calls).toBeGreaterThan(100);
  });

  testWith(debian)("goes on after its workerd was killed", { timeout: 600_000 }, async () => {
    let killed = await boot(mode, kill);
    // Where the machine is fast or this process is kept waiting, the guest may be through before it is killed.
    for (let tries = 1; killed.job.interruptions === 0 && tries < TRIES; tries++)
      killed = await boot(mode, kill, LATE / EARLIER ** tries);
    expect(killed.job.resumes + killed.job.restarts).toBeGreaterThan(0);
    expect(killed.console).toBe(undisturbed.console);
    expect(killed.hypercalls).toEqual(undisturbed.hypercalls);
    const { verdict, instructions, guestSeconds } = undisturbed.job;
    expect(killed.job).toMatchObject({ verdict, instructions, guestSeconds });
  });
});
