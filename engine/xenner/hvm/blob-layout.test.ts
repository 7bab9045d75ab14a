/*
 * docs/hypercalls.md tells which hypercalls are served inside the guest. What it names so is what the code in the hypercall pages has
 * counters for, all of it. And the tail of shared_info has room for the counters, behind the structure as Xen's headers have it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HYPERCALLS } from "../hypercall-names.ts";
import { BLOB_COUNTERS, NOSYS_NUMBERS, TAIL } from "./blob-layout.ts";
import { canAskCompiler, constants } from "./testing/offsets.ts";

const rows = readFileSync(join(import.meta.dirname, "../../../docs/hypercalls.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && line.split("|").length === 5)
  .map((line) => line.split("|").map((cell) => cell.trim()));

/** Sub-operations that the rows with this word name. */
const named = (served: string): string[] =>
  rows
    .filter((cells) => cells[2]!.includes(served))
    .flatMap((cells) => [...cells[1]!.matchAll(/`([A-Z]+_\w+)`/g)].map((match) => match[1]!))
    .sort();

/** Not in the table of names, which is emu's, too. */
const HVMOP_FLUSH_TLBS = { number: 34, subop: 5, name: "HVMOP_flush_tlbs" };

test("the table's rows that are served inside are those that are counted", () => {
  const counted = new Set<string>();
  for (const { hypercall, subop } of BLOB_COUNTERS) {
    const known = HYPERCALLS.find(({ number }) => number === hypercall)?.subops.find(([n]) => n === subop);
    const isFlush = hypercall === HVMOP_FLUSH_TLBS.number && subop === HVMOP_FLUSH_TLBS.subop;
    const name = isFlush ? HVMOP_FLUSH_TLBS.name : known?.[1];
    if (name !== undefined) counted.add(name);
  }
  expect(named("inside")).toEqual([...counted].sort());
});

test("the tail has room for all counters", () => {
  expect(TAIL.counters).toBe(TAIL.nosys + 8 * NOSYS_NUMBERS);
  expect(TAIL.counters + 8 * BLOB_COUNTERS.length).toBeLessThanOrEqual(4096);
});

describe.skipIf(!canAskCompiler() && process.env.CI === undefined)(
  "Xen's headers (skipped without gcc and libxen-dev)",
  () => {
    test.each([32, 64] as const)("%d-bit shared_info ends before the tail", (bits) => {
      const [size] = constants(["sizeof(struct shared_info)"], bits);
      expect(size).toBeLessThanOrEqual(BigInt(TAIL.magic));
    });
  },
);
