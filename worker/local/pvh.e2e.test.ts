import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HVM_CALLS } from "../../r2-fixtures/hvm-calls/build.ts";
import { bootWithKills, differences, type Result } from "./soak/boot.ts";
import { KillableServer } from "./soak/killable-server.ts";
import { type Kill, QUICK_KILLS } from "./soak/plan.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * PVH guests over HTTP, which call by their hypercall pages: GRUB's PVH port answers what is typed at its prompt, and our own guests, 32- and
 * 64-bit, find every answer right. Then the processes of one of them are killed, in the build, in the run and at the end, and what
 * comes out is the same to the byte: console, verdict, and how many hypercalls were served where.
 */

const grub = await availableFixture("grub-pvh");
/** Boots in a row that may be over before they are killed. */
const MISSES = 10;

let directory: string;
let server: KillableServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-pvh-"));
  server = new KillableServer(directory, "pvh-test-token");
  await server.start();
});

afterAll(async () => {
  await server?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

async function requestFor(path: string, config: Readonly<Record<string, unknown>>): Promise<unknown> {
  const kernel = { sha256: await server.client().putFile(path) };
  return { kernel, config: { mode: "pvh", ...config } };
}

async function boot(request: unknown): Promise<Result> {
  return (await bootWithKills(server, request, [], undefined)).result;
}

const textOf = ({ console }: Result): string => new TextDecoder().decode(console);

async function survives(request: unknown, reference: Result, plan: readonly Kill[]): Promise<void> {
  const done: Kill[] = [];
  let missed = 0;
  while (done.length < plan.length) {
    const killed = await bootWithKills(server, request, plan.slice(done.length), reference);
    expect(differences(reference, killed)).toEqual([]);
    if (killed.kills.length === 0) expect(++missed).toBeLessThan(MISSES);
    done.push(...killed.kills);
  }
}

testWith(grub)("GRUB answers ls and help", { timeout: 600_000 }, async () => {
  const request = await requestFor(grub!.kernelPath, {
    memory: 32,
    expect: { pass: ["write_byte ADDR VALUE"], fail: [] },
    input: [
      { expect: "grub> $", send: "ls\n" },
      { expect: "\\(proc\\)", send: "help\n" },
    ],
  });
  const reference = await boot(request);
  expect(reference.job).toMatchObject({ verdict: "pass", resumes: 0 });
  expect(textOf(reference)).toMatch(/\(memdisk\) \(proc\)[\s\S]*ls \[-l\|-h\|-a\] \[FILE \.\.\.\]/);
  // One page: every call leaves by the port.
  expect(reference.statistics?.totals).toMatchObject({ inEmu: 0, byVmcall: 0 });
  expect(reference.statistics?.totals.byPort).toBeGreaterThan(15);
});

test.each(HVM_CALLS)(
  "$output: every answer is right; the last one survives its kills",
  { timeout: 600_000 },
  async (build) => {
    const request = await requestFor(join(build.directory, build.output), {
      memory: 16,
      expect: { pass: ["HVM-OK"], fail: ["FAIL"] },
    });
    const reference = await boot(request);
    expect(reference.job, textOf(reference)).toMatchObject({ verdict: "pass", resumes: 0 });
    expect(reference.statistics?.totals.inEmu).toBeGreaterThan(5000);
    // One of them will do: each kill costs a new server.
    if (build === HVM_CALLS.at(-1)) await survives(request, reference, QUICK_KILLS);
  },
);
