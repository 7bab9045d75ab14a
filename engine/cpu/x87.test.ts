// The x87 against silicon: every encoding, with random stacks (empty and full registers, denormals, NaNs, encodings that
// are not supported), precision and rounding control, masked and unmasked exceptions, pending exceptions. As for the
// vector unit, a fixed suite is recorded and a larger one asks this machine's processor. The transcendental
// instructions may differ from silicon in the last place, which Intel and AMD do among themselves.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCase, Random } from "./vector-oracle/cases.ts";
import { buildVectorUnit } from "./vector-oracle/machine.ts";
import {
  RECORDED_CASES,
  RECORDED_SEED,
  readRecording,
  recordedTranscendentals,
} from "./vector-oracle/record.ts";
import { Silicon } from "./vector-oracle/silicon.ts";
import { differences, digests, lastPlaceDistance, x87Kinds } from "./vector-oracle/suite.ts";
import { UnitRunner } from "./vector-oracle/unit.ts";

const BUILD_TIMEOUT = 120_000;
const LIVE_SEED = 78;
const LIVE_CASES = 40;

let runner: UnitRunner;
const silicon = Silicon.build();

beforeAll(async () => {
  runner = new UnitRunner(await buildVectorUnit());
}, BUILD_TIMEOUT);
afterAll(() => silicon?.dispose());

test("every x87 encoding gives what the recorded processor gave", () => {
  const kinds = x87Kinds(RECORDED_SEED, RECORDED_CASES, false);
  const ours = digests(kinds, (cases) => cases.map((c) => runner.run(c)));
  expect(kinds.length).toBeGreaterThan(500);
  expect(ours).toEqual(readRecording().x87);
});

test("transcendental instructions are within one unit in the last place of the recorded processor", () => {
  const recorded = readRecording().transcendental;
  for (const kind of recordedTranscendentals()) {
    kind.cases.forEach((c, i) => {
      const ours = runner.run(c);
      const fx = Uint8Array.from(Buffer.from(recorded[kind.name]![i]!, "base64"));
      expect(lastPlaceDistance({ ...ours, fx }, ours), `${kind.name} case ${i}`).toBeDefined();
    });
  }
});

describe.skipIf(silicon === undefined)("this machine's processor", () => {
  test("agrees on results, status, tags, flags and faults of every encoding", () => {
    const cases = x87Kinds(LIVE_SEED, LIVE_CASES, false).flatMap((kind) => kind.cases);
    const native = silicon!.run(cases);
    const wrong = cases.flatMap((c, i) => differences(c, native[i]!, runner.run(c)));
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  test("agrees on transcendental instructions but for the last place, and mostly there too", () => {
    for (const kind of x87Kinds(LIVE_SEED, 20 * LIVE_CASES, true)) {
      const native = silicon!.run(kind.cases);
      let unequal = 0;
      kind.cases.forEach((c, i) => {
        const distance = lastPlaceDistance(native[i]!, runner.run(c));
        if (distance === undefined) expect(differences(c, native[i]!, runner.run(c)), kind.name).toEqual([]);
        if (distance !== 0) unequal++;
      });
      expect(unequal / kind.cases.length, kind.name).toBeLessThan(0.1);
    }
  });
});

test("known values of pi's neighbourhood: the argument is reduced with a pi of 66 bits", () => {
  // SDM vol. 1 8.3.8: sin(pi rounded to 64 bits) comes out as -2^-64, not as the true -5.0e-20.
  const c = makeCase(new Random(1), [0xd9, 0xfe], { values: "integer", fsw: () => 0 });
  const view = new DataView(c.fx.buffer);
  view.setBigUint64(32, 0xc90fdaa22168c235n, true);
  view.setUint16(40, 0x4000, true);
  const after = runner.run(c);
  const result = new DataView(after.fx.buffer, after.fx.byteOffset);
  expect(result.getBigUint64(32, true)).toBe(0x8000000000000000n);
  expect(result.getUint16(40, true)).toBe(0xbfbf);
});
