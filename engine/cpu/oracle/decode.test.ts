// Our decoder against another one, iced-x86, for every form of the encoding table under random prefixes and operands, and
// for random bytes: both say how long an instruction is, or that there is none, and if there is one, they agree on its
// operands. Instructions of extensions that the core does not offer must be undefined, unless the manual says that a
// processor without the extension runs something else. `npm run decode:cpu` does the same with as many strings as one likes.

import { describe, expect, test } from "vitest";
import { DecoderComparer, formsUnderPrefixes, type Mode, randomBytes } from "./decoder-agreement.ts";

const SHOWN = 20;

function differences(mode: Mode, strings: Iterable<Uint8Array>): string {
  const comparer = new DecoderComparer(mode, 7);
  const found: string[] = [];
  for (const bytes of strings) {
    const difference = comparer.compare(bytes);
    if (difference !== undefined) found.push(difference);
  }
  expect(comparer.valid).toBeGreaterThan(comparer.compared / 2);
  return found.length === 0 ? "" : `${found.length} differ:\n${found.slice(0, SHOWN).join("\n")}`;
}

describe.each([64, 32, 16] as const)("in %i-bit code, the decoder agrees with the reference", (mode) => {
  test("for every form of the encoding table", { timeout: 120_000 }, () => {
    expect(differences(mode, formsUnderPrefixes(mode, 5, mode === 64 ? 6 : 3))).toBe("");
  });

  test("for random bytes", { timeout: 120_000 }, () => {
    expect(differences(mode, randomBytes(6, 60_000))).toBe("");
  });
});

describe("the comparison sees", () => {
  // The reference is given the first bytes, our decoder the second.
  test.each([
    ["another length", "01d1", "83c101", /length 2, ours 3/],
    ["another instruction", "01d1", "29d1", /another instruction/],
    ["another register", "01d1", "01d9", /register slot 16/],
    ["another destination", "0fafca", "0fafd1", /destination/],
    ["exchanged operands", "0fa4ca05", "0fa4d105", /register slot/],
    ["exchanged vector operands", "660fefca", "660fefd1", /register/],
    ["a high byte for a low one", "00d1", "00d5", /register slot/],
    ["another vector register", "660fefca", "660fefda", /register/],
    ["another vector instruction", "660fefca", "660febca", /opcode/],
    ["another base", "8b4b08", "8b4a08", /address/],
    ["another index", "8b0c8b", "8b0c93", /address/],
    ["another scale", "8b0c8b", "8b0ccb", /address/],
    ["another displacement", "8b4b08", "8b4b09", /address/],
    ["another segment", "648b4b08", "658b4b08", /address/],
    ["another address size", "678b4b08", "488b4b08", /address/],
    ["another constant", "81c178563412", "81c178563413", /constant/],
    ["another target", "7510", "7511", /branch/],
    ["another condition", "0f94c1", "0f95c1", /condition/],
    ["another string", "48a5", "48ab", /string/],
    ["another repeat", "f3a6", "f2a6", /repeat/],
    ["another x87 operation", "d8c1", "d8c9", /x87/],
  ])("%s", (_name, theirs, ours, expected) => {
    const bytes = (hex: string): Uint8Array => {
      const all = new Uint8Array(16);
      all.set(Buffer.from(hex, "hex"));
      return all;
    };
    const comparer = new DecoderComparer(64, 7);
    expect(comparer.compare(bytes(theirs))).toBeUndefined();
    expect(comparer.compare(bytes(theirs), bytes(ours))).toMatch(expected);
  });
});
