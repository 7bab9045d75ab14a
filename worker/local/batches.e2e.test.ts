import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MemberPage, MemberView } from "../batches/member.ts";
import type { BatchView } from "../batches/record.ts";
import { KillableServer } from "./soak/killable-server.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * Batches as a person or a CI system runs them, with real guests. Eight Debian kernels, one of which panics, one hangs and one
 * prints nothing: eight right verdicts, and the right exit status. And a worker that is killed again and again in the middle of a
 * batch: every job runs, and none twice.
 */

const hello = await availableFixture("hello");
const cloud = await availableFixture("debian-cloud");
const generic = await availableFixture("debian-generic");

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-batches-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `npm start -- --batch` with this batch, or this text, in the file. */
async function npmStartBatch(batch: unknown, ...args: string[]): Promise<Ended> {
  const path = join(directory, "batch.json");
  await writeFile(path, typeof batch === "string" ? batch : JSON.stringify(batch));
  const child = spawn(process.execPath, [join(import.meta.dirname, "start.ts"), "--batch", path, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout, stderr };
}

describe("npm start -- --batch", () => {
  testWith(hello)("a line for each job, a table, the worst verdict, and its exit status", async () => {
    const kernel = { file: hello?.kernelPath };
    const good = await npmStartBatch({
      name: "good",
      kernel,
      config: { expect: { pass: ["HELLO-OK"] } },
      matrix: { memory: [16, 32], seed: [1, 2] },
    });
    expect(good.stdout.match(/^pass {2,}[0-9a-f]{12} \(memory \d+, seed \d\) .*$/gm)).toHaveLength(4);
    expect(good.stdout).toMatch(/^job +verdict +reason +instructions.*\n(?:[0-9a-f]{12} .* pass .*\n){4}/m);
    expect(good.stdout).toMatch(/^PASS {2}4 jobs: 4 pass$/m);
    expect(good.status).toBe(0);
    const bad = await npmStartBatch(
      { kernel, jobs: [{}, { config: { expect: { pass: ["NEVER"] } } }] },
      "--json",
    );
    expect(JSON.parse(bad.stdout)).toMatchObject({ verdict: "fail", verdicts: { pass: 1, fail: 1 } });
    expect(bad.status).toBe(1);
  });

  test("64 for what is refused, as a whole or a single job", async () => {
    const wrong = await npmStartBatch({ kernel: { fixture: "hello" }, matrix: { memory: [16, 1] } });
    expect(wrong).toMatchObject({ status: 64, stdout: "" });
    expect(wrong.stderr).toContain("matrix.memory[1]");
    expect((await npmStartBatch("{")).status).toBe(64);
    expect((await npmStartBatch({}, "--memory", "64")).status).toBe(64);
    const refused = await npmStartBatch({ jobs: [{ kernel: { sha256: "0".repeat(64) } }] });
    expect(refused.stdout).toMatch(/^error .*PUT \/blobs\//m);
    expect(refused.status).toBe(64);
  });
});

testWith(cloud === undefined ? undefined : generic)(
  "two Debian kernels x two command lines x two memory sizes: each its own verdict",
  { timeout: 1_200_000 },
  async () => {
    const [one, two] = [{ fixture: "debian-cloud" }, { fixture: "debian-generic" }];
    const early = (pattern: string) => ({ expect: { pass: [pattern] }, limits: { graceSeconds: 0 } });
    const [loud, quiet] = ["console=hvc0", "console=hvc0 quiet"];
    const { status, stdout, stderr } = await npmStartBatch(
      {
        config: { expect: { pass: ["BOOT-OK"] } },
        matrix: {
          kernel: [one, two],
          cmdline: [loud, quiet],
          memory: [128, 256],
          exclude: [
            { kernel: one, memory: 256 },
            { kernel: two, cmdline: quiet, memory: 128 },
          ],
          include: [
            // Two boot whole; three are let go when they have begun, for the time it takes.
            { kernel: one, cmdline: loud, memory: 128, ...early("mapping kernel into physical memory") },
            { kernel: two, cmdline: loud, memory: 256, ...early("mapping kernel into physical memory") },
            { kernel: two, cmdline: quiet, memory: 256, ...early("mapping kernel into physical memory") },
            // In mode pvh a boot takes half of the instructions.
            { kernel: one, cmdline: quiet, memory: 128, mode: "pvh" },
            {
              kernel: one,
              cmdline: `${quiet} rdinit=/nonexistent init=/nonexistent`,
              memory: 256,
              mode: "pvh",
            },
            // A shell that nobody types to.
            {
              kernel: one,
              cmdline: `${quiet} rdinit=/bin/sh`,
              memory: 256,
              mode: "pvh",
              limits: { silentSeconds: 5 },
            },
            // A PVH guest prints to the consoles it is told of, and to no others.
            {
              kernel: two,
              cmdline: "console=ttyS0",
              memory: 128,
              mode: "pvh",
              limits: { silentInstructions: 3e8 },
            },
          ],
        },
      },
      "--json",
    );
    expect(stdout, stderr).not.toBe("");
    const batch = JSON.parse(stdout) as BatchView & { readonly members: readonly MemberView[] };
    const got = batch.members.map(({ request, verdict, reasonCode }) => {
      const { kernel, memory } = request as { kernel: { fixture: string }; memory?: number } & {
        config: { memory: number };
      };
      const { config } = request as { config: { cmdline: string; memory: number } };
      return [kernel.fixture, config.cmdline, memory ?? config.memory, verdict, reasonCode];
    });
    expect(got).toEqual([
      ["debian-cloud", loud, 128, "pass", "patterns-seen"],
      ["debian-cloud", quiet, 128, "pass", "patterns-seen"],
      ["debian-generic", loud, 128, "pass", "patterns-seen"],
      ["debian-generic", loud, 256, "pass", "patterns-seen"],
      ["debian-generic", quiet, 256, "pass", "patterns-seen"],
      ["debian-cloud", `${quiet} rdinit=/nonexistent init=/nonexistent`, 256, "crash", "no-root"],
      ["debian-cloud", `${quiet} rdinit=/bin/sh`, 256, "timeout", "silent"],
      ["debian-generic", "console=ttyS0", 128, "no-output", "no-output"],
    ]);
    expect(batch).toMatchObject({ state: "ended", verdict: "crash" });
    expect(status).toBe(1);
  },
);

/** Ids of the jobs that have an object, from the objects' own databases. */
function jobsOnDisk(folder: string): string[] {
  const ids: string[] = [];
  for (const file of readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))) {
    const database = new DatabaseSync(join(folder, file), { readOnly: true });
    try {
      const isJob =
        database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'job_request'").get() !== undefined;
      const row = isJob ? database.prepare("SELECT request FROM job_request").get() : undefined;
      if (row !== undefined)
        ids.push((JSON.parse(String(row.request)) as { request: { id: string } }).request.id);
    } finally {
      database.close();
    }
  }
  return ids.sort();
}

testWith(hello)(
  "workerd is killed again and again: nothing is lost, nothing runs twice",
  { timeout: 600_000 },
  async () => {
    const folder = join(directory, "killed");
    const server = new KillableServer(folder, randomBytes(16).toString("hex"));
    await server.start();
    /** Through the server's deaths. */
    const ask = async <T>(work: () => Promise<T>): Promise<T> => {
      for (let tries = 0; ; tries++) {
        try {
          return await work();
        } catch (error) {
          if (tries > 600) throw error;
          await sleep(100);
        }
      }
    };
    const get = <T>(path: string): Promise<T> =>
      ask(async () => (await (await server.client().request(path)).json()) as T);
    try {
      const sha256 = await server.client().putFile(hello?.kernelPath ?? "");
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({
        kernel: { sha256 },
        config: { expect: { pass: ["HELLO-OK"] }, memory: 16 },
        matrix: { seed: Array.from({ length: 24 }, (_, i) => i) },
      });
      const response = await server.client().request("/batches", { method: "POST", headers, body });
      const { id } = (await response.json()) as BatchView;
      for (const ended of [0, 3, 7, 8, 15, 20]) {
        while ((await get<BatchView>(`/batches/${id}`)).jobs.ended < ended) await sleep(20);
        await server.kill(ended === 8 ? "node" : "workerd");
      }
      let batch = await get<BatchView>(`/batches/${id}`);
      for (; batch.state !== "ended"; batch = await get<BatchView>(`/batches/${id}`)) await sleep(100);
      expect(batch).toMatchObject({ verdict: "pass", verdicts: { pass: 24 } });
      const { jobs } = await get<MemberPage>(`/batches/${id}/jobs?limit=100`);
      const ids = jobs.map(({ job }) => job ?? "");
      // The same guest with another seed: the same work, done once.
      expect(new Set(jobs.map(({ instructions }) => instructions)).size).toBe(1);
      expect(jobsOnDisk(join(folder, "do", "xenner-JobRunner"))).toEqual([...ids].sort());
      for (const job of ids) {
        const console = await ask(async () => (await server.client().request(`/jobs/${job}/console`)).text());
        expect(console.match(/HELLO-OK/g)).toHaveLength(1);
      }
    } finally {
      await server.stop();
    }
  },
);
