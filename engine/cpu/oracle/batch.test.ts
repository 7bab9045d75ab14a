// What `npm run fuzz:cpu` does with its cases: some hundred codes, each from several start states, go through the processor
// of this machine and through our core, in both modes, and nothing differs. And the comparison is one: whatever is falsified in
// the processor's answers is reported, and nothing is counted that was not executed. Skipped where there is no gcc or no
// Linux on x86-64.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batch, BatchComparer, type Failure, makeBatch } from "./batch.ts";
import { oracleUnavailable } from "./build.ts";
import { codeCase, type Template } from "./case.ts";
import { CoreRunner } from "./core-runner.ts";
import { Generator } from "./generator.ts";
import { Processor } from "./processor.ts";
import { Random } from "./random.ts";
import { toSource } from "./source.ts";
import { Variations } from "./variations.ts";

const STATES = 4;
const TEMPLATES = 400;
/** In a response: the header's fields, then the state, then changed memory (harness.c). */
const AT = {
  error: 12,
  rax: 32,
  rflags: 32 + 136,
  xmm3: 32 + 176 + 160 + 48,
  st0: 32 + 176 + 32,
  changed: 32 + 688 + 16,
} as const;

const code = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

function template(hex: string): Template {
  return { ...codeCase(code(hex)), instructions: 1, code: 1, group: "sse", pinned: 0, fixed: true };
}

function compareAll(batch: Batch, responses: Uint8Array, comparer = new BatchComparer()): Failure[] {
  const failures: Failure[] = [];
  comparer.compare(batch, responses, (f) => failures.push(f));
  return failures;
}

test("the core counts what it executes: no INT3, no faulting instruction, every turn of a loop", () => {
  const core = new CoreRunner();
  const retired = (hex: string): number => {
    core.run(codeCase(code(hex)));
    return core.end.retired;
  };
  expect(retired("90 90 90")).toBe(3);
  // mov ecx, 5; dec ecx; jnz
  expect(retired("b9 05000000 ff c9 75 fc")).toBe(11);
  // nop; ud2; nop
  expect(retired("90 0f0b 90")).toBe(1);
});

describe.skipIf(oracleUnavailable() !== undefined)("batches", () => {
  let processor: Processor;
  beforeAll(() => {
    processor = new Processor();
  });
  afterAll(() => processor.close());

  test.each([64, 32] as const)(
    "of generated cases do not differ in %i-bit mode",
    { timeout: 120_000 },
    async (mode) => {
      const generator = new Generator({ mode, seed: 12, only: [] });
      const templates = Array.from({ length: TEMPLATES }, () => generator.next());
      const batch = makeBatch(templates, STATES, new Variations(new Random(12, mode)));
      const responses = await processor.exchange(batch.requests, TEMPLATES * STATES);
      const comparer = new BatchComparer();
      const failures = compareAll(batch, responses, comparer);
      expect(
        failures.map((f) => `${JSON.stringify(f.differences)} ${JSON.stringify(toSource(f.case))}`),
      ).toEqual([]);
      expect(comparer.tally.cases + comparer.tally.left).toBe(TEMPLATES * STATES);
      expect(comparer.tally.retired).toBeGreaterThan(3 * TEMPLATES * STATES);
      expect(comparer.tally.codes.size).toBeGreaterThan(150);
    },
  );

  // mov [200000h], rax; paddb xmm1, xmm2; fld1: something of everything.
  const CASE = "48 89 04 25 00 00 20 00 66 0f fc ca d9 e8";

  test.each([
    ["a register", AT.rax, "rax"],
    ["a flag", AT.rflags, "rflags"],
    ["a vector register", AT.xmm3, "xmm3"],
    ["an x87 register", AT.st0, "st0"],
    ["the error code", AT.error, "error code"],
    ["memory", AT.changed, "memory"],
  ])("see %s that is not what the processor said", async (_name, at, what) => {
    const batch = makeBatch([template(CASE)], 1, new Variations(new Random(1)));
    const responses = await processor.exchange(batch.requests, 1);
    expect(compareAll(batch, responses.slice())).toEqual([]);
    const falsified = responses.slice();
    falsified[at]! ^= 1;
    const comparer = new BatchComparer();
    const failures = compareAll(batch, falsified, comparer);
    expect(failures.map((f) => f.differences.map((d) => d.what))).toEqual([[what]]);
    expect(comparer.tally).toMatchObject({ cases: 0, retired: 0 });
  });

  test("see a store that only one side did", async () => {
    const store = makeBatch([template(CASE)], 1, new Variations(new Random(1)));
    const none = makeBatch(
      [template("90 90 90 90 90 90 90 90 66 0f fc ca d9 e8")],
      1,
      new Variations(new Random(1)),
    );
    const responses = [
      await processor.exchange(store.requests, 1),
      await processor.exchange(none.requests, 1),
    ];
    expect(compareAll(store, responses[1]!)[0]!.differences.map((d) => d.what)).toEqual(["memory"]);
    expect(compareAll(none, responses[0]!)[0]!.differences.map((d) => d.what)).toEqual(["memory"]);
  });
});
