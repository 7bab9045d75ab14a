// Several thousand cases, at least one for every instruction the core offers, whose outcomes a real processor gave (the
// file's header names it). They run on our core, and registers, flags, vector state, x87, memory and faults must be what
// the silicon did. This is the part of the oracle that needs no gcc and no Linux.

import { describe, expect, test } from "vitest";
import { compare } from "./compare.ts";
import { CoreRunner } from "./core-runner.ts";
import { readRecorded } from "./recorded.ts";
import { toSource } from "./source.ts";

const SHOWN = 20;

describe("recorded vectors", () => {
  const { header, vectors } = readRecorded();

  test("cover every instruction code the generator knows", () => {
    expect(header.processor).not.toBe("");
    expect(vectors.length).toBe(header.cases);
    expect(header.codes[64]).toBeGreaterThan(1250);
    expect(header.codes[32]).toBeGreaterThan(1150);
    for (const mode of [64, 32])
      expect(vectors.filter((v) => v.case.mode === mode).length).toBeGreaterThan(2000);
  });

  test("our core does what the processor did", { timeout: 120_000 }, () => {
    const core = new CoreRunner();
    const failures: string[] = [];
    for (const { case: c, outcome } of vectors) {
      const differences = compare(c, outcome, core.run(c));
      if (differences.length === 0) continue;
      const what = differences
        .map((d) => `${d.what}: processor ${d.expected}, our core ${d.got}`)
        .join("\n    ");
      failures.push(`${c.text}\n    ${what}\n    ${JSON.stringify(toSource(c))}`);
    }
    expect(failures.slice(0, SHOWN).join("\n"), `${failures.length} of ${vectors.length} differ`).toBe("");
  });
});
