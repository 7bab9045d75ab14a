/**
 * What the comparison with the processor lets pass: results and exceptions in which models differ and the manuals allow each.
 * The pairs are what one processor and our core really did; what looks like them but is wrong must still be seen.
 */
import { expect, test } from "vitest";
import { type Case, codeCase, type Outcome } from "./case.ts";
import { compare, VECTOR } from "./compare.ts";

const NOP = Uint8Array.of(0x90);
const NONCANONICAL_BY_LITTLE = 0xffff_8000_001f_ffffn;

function exception(c: Case, vector: number, cr2 = 0n): Outcome {
  return {
    kind: "exception",
    vector,
    error: vector === VECTOR.PF ? 4 : 0,
    cr2,
    state: c.state.clone(),
    changes: [],
  };
}

test("a non-canonical offset with a base that makes the address canonical", () => {
  const c = codeCase(NOP, (s) => {
    s.u64[18] = 0x20_0000n;
  });
  const refused = exception(c, VECTOR.GP);
  expect(compare(c, refused, exception(c, VECTOR.PF, NONCANONICAL_BY_LITTLE))).toEqual([]);
  expect(compare(c, refused, exception(c, VECTOR.PF, 0x40_0000n))).toHaveLength(1);
  expect(compare(c, exception(c, VECTOR.PF, NONCANONICAL_BY_LITTLE), refused)).toHaveLength(1);
  const flat = codeCase(NOP);
  expect(
    compare(flat, exception(flat, VECTOR.GP), exception(flat, VECTOR.PF, NONCANONICAL_BY_LITTLE)),
  ).toHaveLength(1);
});

test("an operand that wraps around at 4 GiB", () => {
  const c: Case = { ...codeCase(NOP), mode: 32 };
  expect(compare(c, exception(c, VECTOR.PF, 0n), exception(c, VECTOR.GP))).toEqual([]);
  expect(compare(c, exception(c, VECTOR.PF, 0x1000n), exception(c, VECTOR.GP))).toHaveLength(1);
  expect(compare(c, exception(c, VECTOR.GP), exception(c, VECTOR.PF, 0n))).toHaveLength(1);
});

test("a reciprocal about the smallest normal number, flushed to zero or not", () => {
  const c: Case = { ...codeCase(NOP), ignore: { approximateXmm: true } };
  const withSingle = (bits: number): Outcome => {
    const outcome = exception(c, VECTOR.BP);
    const xmm = outcome.state.xmm(6);
    new DataView(xmm.buffer, xmm.byteOffset, 16).setUint32(12, bits, true);
    return outcome;
  };
  expect(compare(c, withSingle(0x8000_0000), withSingle(0x8080_0000))).toEqual([]);
  expect(compare(c, withSingle(0x8080_0000), withSingle(0x8000_0000))).toEqual([]);
  expect(compare(c, withSingle(0), withSingle(0x8080_0000))).toHaveLength(1);
  expect(compare(c, withSingle(0), withSingle(0x0090_0000))).toHaveLength(1);
});
