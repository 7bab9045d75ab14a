// The generator must reach every instruction and be the same everywhere for one seed, or "fuzzed for an hour without a
// mismatch" says little. And what it finds must come out small: the minimiser is shown on a failure made up for it.

import { describe, expect, test } from "vitest";
import type { Case } from "./case.ts";
import { describeCase } from "./disassemble.ts";
import { Generator } from "./generator.ts";
import { minimize } from "./minimize.ts";
import { fromSource, toSource } from "./source.ts";

const take = (generator: Generator, n: number): Case[] => Array.from({ length: n }, () => generator.next());

describe("the generator", () => {
  test("gives the same cases for the same seed, others for another", () => {
    const texts = (seed: number): string[] =>
      take(new Generator({ mode: 64, seed, only: [] }), 300).map((c) => JSON.stringify(toSource(c)));
    expect(texts(1)).toEqual(texts(1));
    expect(texts(1)).not.toEqual(texts(2));
  });

  test.each([64, 32] as const)("reaches nearly every instruction code in %i-bit mode", (mode) => {
    const generator = new Generator({ mode, seed: 4, only: [] });
    take(generator, 16_000);
    expect(generator.codes).toBeGreaterThan(mode === 64 ? 1250 : 1100);
    expect(generator.hits.size / generator.codes).toBeGreaterThan(0.97);
  });

  test("keeps to what is asked for", () => {
    const generator = new Generator({ mode: 64, seed: 5, only: ["imul"] });
    for (const c of take(generator, 50)) expect(describeCase(c)).toMatch(/imul/);
    expect(() => new Generator({ mode: 64, seed: 5, only: ["nonsense"] })).toThrow(/nonsense/);
  });

  test("makes cases that survive being written down", () => {
    for (const c of take(new Generator({ mode: 64, seed: 6, only: [] }), 200)) {
      const again = fromSource(JSON.parse(JSON.stringify(toSource(c))));
      expect(Buffer.compare(again.state.bytes, c.state.bytes)).toBe(0);
      expect(again).toMatchObject({ mode: c.mode, instructions: c.instructions, ignore: c.ignore });
    }
  });
});

describe("the minimiser", () => {
  test("keeps only the instruction and the registers that matter", async () => {
    const runs = take(new Generator({ mode: 64, seed: 7, only: ["integer"] }), 200).filter(
      (c) => c.instructions > 8,
    );
    const victim = runs[0]!;
    const wanted = victim.state.gpr(3);
    const code = victim.patches[0]!.bytes;
    const marker = code.slice(-3);
    // "Fails" as long as RBX has its value and the last bytes of the code are there.
    const small = await minimize(victim, async (c) => {
      const bytes = c.patches[0]!.bytes;
      return c.state.gpr(3) === wanted && Buffer.compare(bytes.slice(-3), marker) === 0;
    });
    const source = toSource(small);
    expect(Object.keys(source.set)).toEqual(["rbx"]);
    expect(source.poke).toBeUndefined();
    expect(small.patches[0]!.bytes.filter((b) => b === 0x90).length).toBeGreaterThan(code.length / 2);
  });
});
