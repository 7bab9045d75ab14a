// The reference decoder numbers flags its own way.

import iced from "iced-x86";
import { FLAG } from "./state.ts";

const { RflagsBits: B } = iced;

const PAIRS: readonly (readonly [theirs: number, ours: number])[] = [
  [B.OF, FLAG.OF],
  [B.SF, FLAG.SF],
  [B.ZF, FLAG.ZF],
  [B.AF, FLAG.AF],
  [B.CF, FLAG.CF],
  [B.PF, FLAG.PF],
];

/** iced's RflagsBits to bits of RFLAGS; only the arithmetic flags. */
export function rflagsOfIced(bits: number): number {
  let flags = 0;
  for (const [theirs, ours] of PAIRS) if ((bits & theirs) !== 0) flags |= ours;
  return flags;
}
