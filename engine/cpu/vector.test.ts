// The vector unit against silicon. Every encoding from MMX to SSE4.2 runs with random and nasty registers, memory, MXCSR
// modes and masks. What the processor makes of a fixed suite is recorded, so the first tests run anywhere; where gcc and
// an x86-64 are at hand, the processor itself is asked about another, larger suite, and about which forms are #UD.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCase, Random } from "./vector-oracle/cases.ts";
import { buildVectorUnit, type VectorUnit } from "./vector-oracle/machine.ts";
import { RECORDED_CASES, RECORDED_SEED, readRecording } from "./vector-oracle/record.ts";
import { Silicon, type VectorCase } from "./vector-oracle/silicon.ts";
import { differences, digests, vectorKinds } from "./vector-oracle/suite.ts";
import { UnitRunner } from "./vector-oracle/unit.ts";

const BUILD_TIMEOUT = 120_000;
const LIVE_SEED = 77;
const LIVE_CASES = 60;

let unit: VectorUnit;
let runner: UnitRunner;
const silicon = Silicon.build();

beforeAll(async () => {
  unit = await buildVectorUnit();
  runner = new UnitRunner(unit);
}, BUILD_TIMEOUT);
afterAll(() => silicon?.dispose());

test("every vector encoding gives what the recorded processor gave", () => {
  const recorded = readRecording().vector;
  const kinds = vectorKinds(unit, RECORDED_SEED, RECORDED_CASES);
  const ours = digests(kinds, (cases) => cases.map((c) => runner.run(c)));
  expect(kinds.length).toBeGreaterThan(300);
  expect(ours).toEqual(recorded);
});

describe.skipIf(silicon === undefined)("this machine's processor", () => {
  test("agrees on results, flags, MXCSR and faults of every encoding", () => {
    const kinds = vectorKinds(unit, LIVE_SEED, LIVE_CASES);
    const cases = kinds.flatMap((kind) => kind.cases);
    const native = silicon!.run(cases);
    const wrong = cases.flatMap((c, i) => differences(c, native[i]!, runner.run(c)));
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(cases.length).toBeGreaterThan(10_000);
  });

  test("agrees on which prefixes and operand forms of vector opcodes are undefined", () => {
    const random = new Random(5);
    const cases: VectorCase[] = [];
    const known: boolean[] = [];
    for (const map of [1, 2, 3] as const) {
      for (let opcode = 0; opcode < 256; opcode++) {
        const forms = [0, 1, 2, 3].flatMap((prefix) =>
          [...Array(8).keys()].flatMap((group) => [
            { prefix, modrm: 3 | (group << 3) },
            { prefix, modrm: 0xc0 | (group << 3) | 1 },
          ]),
        );
        // Opcodes with any vector form; 0F AE also has fences and FSGSBASE, which are not this unit's.
        if (map === 1 && opcode === 0xae) continue;
        if (!forms.some((f) => unit.decodeVector(map, f.prefix, opcode, f.modrm, 0) !== 0)) continue;
        for (const { prefix, modrm } of forms) {
          // SSE4A's MOVNTSS and MOVNTSD exist on some processors only.
          if (map === 1 && opcode === 0x2b && prefix >= 2) continue;
          const escapeBytes = map === 1 ? [0x0f] : map === 2 ? [0x0f, 0x38] : [0x0f, 0x3a];
          const code = [...[[], [0x66], [0xf3], [0xf2]][prefix]!, ...escapeBytes, opcode, modrm];
          const id = unit.decodeVector(map, prefix, opcode, modrm, 0);
          if ((id >> 16) & 1 || (id === 0 && map === 3)) code.push(0);
          cases.push(makeCase(random, code, { values: "integer", mxcsr: () => 0x1f80, offset: 0 }));
          known.push(id !== 0);
        }
      }
    }
    const native = silicon!.run(cases);
    const wrong = cases.flatMap((c, i) =>
      (native[i]!.vector !== 6) === known[i]
        ? []
        : [`${c.code.map((b) => b.toString(16)).join(" ")}: silicon ${native[i]!.vector}, known ${known[i]}`],
    );
    expect(wrong).toEqual([]);
  });
});

test("RCPPS and RSQRTPS are within 1.5 * 2^-12 of the exact value, and exact at the ends", () => {
  const random = new Random(9);
  const view = new DataView(new ArrayBuffer(4));
  const float = (bits: number): number => {
    view.setUint32(0, bits);
    return view.getFloat32(0);
  };
  const approximate = (opcode: number, bits: number): number => {
    const c = makeCase(random, [0xf3, 0x0f, opcode, 0xc1], { values: "single", mxcsr: () => 0x1f80 });
    new DataView(c.fx.buffer).setUint32(176, bits, true);
    const after = runner.run(c);
    expect(new DataView(after.fx.buffer, after.fx.byteOffset).getUint32(24, true)).toBe(0x1f80);
    return new DataView(after.fx.buffer, after.fx.byteOffset).getUint32(160, true);
  };
  for (let i = 0; i < 2000; i++) {
    const bits = ((1 + random.below(252)) << 23) | (random.u32() & 0x7fffff);
    const x = float(bits);
    expect(Math.abs(float(approximate(0x53, bits)) * x - 1)).toBeLessThan(1.5 * 2 ** -12);
    expect(Math.abs(float(approximate(0x52, bits)) * Math.sqrt(x) - 1)).toBeLessThan(1.5 * 2 ** -12);
  }
  const ends: [number, number, number][] = [
    [0x53, 0, 0x7f800000],
    [0x53, 0x80000001, 0xff800000],
    [0x53, 0xff800000, 0x80000000],
    [0x53, 0x7f800001, 0x7fc00001],
    [0x52, 0x80000000, 0xff800000],
    [0x52, 0xbf800000, 0xffc00000],
    [0x52, 0x7f800000, 0],
  ];
  for (const [opcode, operand, result] of ends) expect(approximate(opcode, operand)).toBe(result);
});
