import { expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import { QUICK_KILLS } from "./soak/plan.ts";
import { availableFixture, testWith } from "./testing/guests.ts";
import { KilledGuests, textOf } from "./testing/kills.ts";

/*
 * 32-bit PV guests over HTTP: GRUB's i386 port answers what is typed at its prompt, and hello32 finds every answer of every
 * hypercall right; then its processes are killed, and what comes out is the same to the byte.
 */

const grub = await availableFixture("grub-pv32");
const guests = new KilledGuests("pv32");

testWith(grub)("GRUB answers ls and help", { timeout: 600_000 }, async () => {
  const request = await guests.requestFor(grub!.kernelPath, {
    memory: 32,
    expect: { pass: ["write_byte ADDR VALUE"], fail: [] },
    limits: { instructions: 400_000_000 },
    input: [
      { expect: "grub> $", send: "ls\n" },
      { expect: "\\(memdisk\\) \\(proc\\)", send: "help\n" },
    ],
  });
  const reference = await guests.boot(request);
  expect(reference.job, textOf(reference)).toMatchObject({ verdict: "pass", resumes: 0 });
  expect(textOf(reference)).toContain("ls [-l|-h|-a] [FILE ...]");
  expect(reference.statistics?.totals.inEmu).toBeGreaterThan(40);
});

test("hello32 finds every answer right, and survives its kills", { timeout: 600_000 }, async () => {
  const hello = await prepareFixture("hello32", { log: () => {} });
  const request = await guests.requestFor(hello.kernelPath, { memory: 16, expect: hello.expect });
  const reference = await guests.boot(request);
  expect(reference.job, textOf(reference)).toMatchObject({
    verdict: "pass",
    resumes: 0,
    architecture: "i386",
  });
  expect(reference.statistics?.traps).toMatchObject({ failsafe: 2, nmi: 1, emulated_page_table_write: 3 });
  await guests.survive(request, reference, QUICK_KILLS);
});
