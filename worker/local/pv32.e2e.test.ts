import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import { bootWithKills, differences, type Result } from "./soak/boot.ts";
import { KillableServer } from "./soak/killable-server.ts";
import { type Kill, QUICK_KILLS } from "./soak/plan.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * 32-bit PV guests over HTTP: GRUB's i386 port answers what is typed at its prompt, and hello32 finds every answer of every
 * hypercall right; then its processes are killed, and what comes out is the same to the byte.
 */

const grub = await availableFixture("grub-pv32");
/** Boots in a row that may be over before they are killed. */
const MISSES = 10;

let directory: string;
let server: KillableServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-pv32-"));
  server = new KillableServer(directory, "pv32-test-token");
  await server.start();
});

afterAll(async () => {
  await server?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

async function requestFor(path: string, config: Readonly<Record<string, unknown>>): Promise<unknown> {
  return { kernel: { sha256: await server.client().putFile(path) }, config };
}

const textOf = ({ console }: Result): string => new TextDecoder().decode(console);

/** Boots undisturbed, and again and again with kills until all of them were. */
async function bootAndKill(request: unknown, plan: readonly Kill[]): Promise<Result> {
  const { result: reference } = await bootWithKills(server, request, [], undefined);
  const done: Kill[] = [];
  let missed = 0;
  while (done.length < plan.length) {
    const killed = await bootWithKills(server, request, plan.slice(done.length), reference);
    expect(differences(reference, killed)).toEqual([]);
    if (killed.kills.length === 0) expect(++missed).toBeLessThan(MISSES);
    done.push(...killed.kills);
  }
  return reference;
}

testWith(grub)("GRUB answers ls and help", { timeout: 600_000 }, async () => {
  const request = await requestFor(grub!.kernelPath, {
    memory: 32,
    expect: { pass: ["write_byte ADDR VALUE"], fail: [] },
    limits: { instructions: 400_000_000 },
    input: [
      { expect: "grub> $", send: "ls\n" },
      { expect: "\\(memdisk\\) \\(proc\\)", send: "help\n" },
    ],
  });
  const reference = await bootAndKill(request, []);
  expect(reference.job, textOf(reference)).toMatchObject({ verdict: "pass", resumes: 0 });
  expect(textOf(reference)).toContain("ls [-l|-h|-a] [FILE ...]");
  expect(reference.statistics?.totals.inEmu).toBeGreaterThan(40);
});

test("hello32 finds every answer right, and survives its kills", { timeout: 600_000 }, async () => {
  const hello = await prepareFixture("hello32", { log: () => {} });
  const request = await requestFor(hello.kernelPath, { memory: 16, expect: hello.expect });
  const reference = await bootAndKill(request, QUICK_KILLS);
  expect(reference.job, textOf(reference)).toMatchObject({ verdict: "pass", resumes: 0 });
  expect(reference.statistics?.traps).toMatchObject({ failsafe: 2, nmi: 1, emulated_page_table_write: 3 });
});
