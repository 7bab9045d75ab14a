// Makes a failing case small: registers go back to their defaults, instructions become NOPs, pokes go away, as long as
// the case still fails.

import iced from "iced-x86";
import { type Case, defaultState } from "./case.ts";
import { disassemble } from "./disassemble.ts";
import { differingFields, withFields } from "./source.ts";

const { Decoder, DecoderOptions } = iced;
const NOP = 0x90;

/** `fails` runs a candidate on both sides. At most `tries` candidates are run. */
export async function minimize(
  failing: Case,
  fails: (c: Case) => Promise<boolean>,
  tries = 400,
): Promise<Case> {
  let best = failing;
  let left = tries;
  const attempt = async (candidate: Case): Promise<boolean> => {
    if (left-- <= 0 || !(await fails(candidate))) return false;
    best = candidate;
    return true;
  };

  for (const [from, to] of instructionRanges(failing)) {
    const [code, ...rest] = best.patches;
    const bytes = code!.bytes.slice();
    bytes.fill(NOP, from, to);
    await attempt({ ...best, patches: [{ address: code!.address, bytes }, ...rest] });
  }
  for (let i = best.patches.length - 1; i > 0; i--) {
    await attempt({ ...best, patches: best.patches.filter((_, j) => j !== i) });
  }
  const plain = defaultState(best.mode);
  plain.rip = best.state.rip;
  const defaults = differingFields(plain, best.state);
  // All at once first: most fields do not matter.
  const names = Object.keys(defaults);
  const all = async (some: readonly string[]): Promise<void> => {
    if (some.length === 0) return;
    const fields = Object.fromEntries(some.map((n) => [n, defaults[n]!]));
    if (await attempt({ ...best, state: withFields(best.state, fields) })) return;
    if (some.length === 1) return;
    const half = some.length >> 1;
    await all(some.slice(0, half));
    await all(some.slice(half));
  };
  await all(names);
  return { ...best, text: disassemble(best) };
}

/** Byte ranges of the instructions of a run; none for a single instruction, which is its own minimum. */
function instructionRanges(c: Case): [number, number][] {
  if (c.instructions === 1) return [];
  const code = c.patches[0]!.bytes;
  const decoder = new Decoder(c.mode, code, DecoderOptions.None);
  const ranges: [number, number][] = [];
  let at = 0;
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    ranges.push([at, at + instruction.length]);
    at += instruction.length;
    instruction.free();
  }
  decoder.free();
  return ranges;
}
