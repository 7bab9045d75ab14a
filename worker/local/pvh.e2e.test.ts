import { join } from "node:path";
import { expect, test } from "vitest";
import { HVM_CALLS } from "../../r2-fixtures/hvm-calls/build.ts";
import { QUICK_KILLS } from "./soak/plan.ts";
import { availableFixture, testWith } from "./testing/guests.ts";
import { KilledGuests, textOf } from "./testing/kills.ts";

/*
 * Guests over HTTP that call by their hypercall pages: GRUB's PVH port answers what is typed at its prompt, and our own guests, 32- and
 * 64-bit, by PVH and by Linux's boot protocol, find every answer right. Then the processes of one of them are killed, in the build,
 * in the run and at the end, and what comes out is the same to the byte: console, verdict, and how many hypercalls were
 * served where.
 */

const grub = await availableFixture("grub-pvh");
const guests = new KilledGuests("pvh");

testWith(grub)("GRUB answers ls and help", { timeout: 600_000 }, async () => {
  const request = await guests.requestFor(grub!.kernelPath, {
    mode: "pvh",
    memory: 32,
    expect: { pass: ["write_byte ADDR VALUE"], fail: [] },
    input: [
      { expect: "grub> $", send: "ls\n" },
      { expect: "\\(proc\\)", send: "help\n" },
    ],
  });
  const reference = await guests.boot(request);
  expect(reference.job).toMatchObject({ verdict: "pass", resumes: 0 });
  expect(textOf(reference)).toMatch(/\(memdisk\) \(proc\)[\s\S]*ls \[-l\|-h\|-a\] \[FILE \.\.\.\]/);
  // One page: every call leaves by the port.
  expect(reference.statistics?.totals).toMatchObject({ inEmu: 0, byVmcall: 0 });
  expect(reference.statistics?.totals.byPort).toBeGreaterThan(15);
});

const RUNS = HVM_CALLS.flatMap((build) => (["pvh", "hvm"] as const).map((mode) => ({ ...build, mode })));

test.each(RUNS)(
  "$output in mode $mode: every answer is right; the last one survives its kills",
  { timeout: 600_000 },
  async ({ directory, output, mode }) => {
    const request = await guests.requestFor(join(directory, output), {
      mode,
      memory: 16,
      expect: { pass: ["HVM-OK"], fail: ["FAIL"] },
    });
    const reference = await guests.boot(request);
    const architecture = output.includes("32") ? "i386" : "x86_64";
    expect(reference.job, textOf(reference)).toMatchObject({ verdict: "pass", resumes: 0, architecture });
    expect(reference.statistics?.totals.inEmu).toBeGreaterThan(5000);
    // One of them will do: each kill costs a new server.
    const last = RUNS.at(-1)!;
    if (output === last.output && mode === last.mode) await guests.survive(request, reference, QUICK_KILLS);
  },
);
