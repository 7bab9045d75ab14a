// The table of undefined flags decides what a comparison may not see, so a mistake in it hides bugs. It was written from
// the manual; here every form of the encoding table is looked up in it and in the reference decoder's own table, and the
// two must agree except where the decoder is coarser than the manual.

import iced from "iced-x86";
import { describe, expect, test } from "vitest";
import { enumerateForms } from "./encodings.ts";
import { rflagsOfIced } from "./iced-flags.ts";
import { mnemonicName } from "./instruction-kinds.ts";
import { FLAG } from "./state.ts";
import { undefinedFlags } from "./undefined-flags.ts";

const { Decoder, DecoderOptions, Mnemonic: M } = iced;
const DEFAULT_IMMEDIATE = 0x21; // a count that is above 31, so every kind of undefinedness of shifts shows

function bytesOf(form: ReturnType<typeof enumerateForms>[number]): Uint8Array {
  const prefix = form.mandatory === 0 ? [] : [form.mandatory];
  const rex = form.rexW ? [0x48] : [];
  const modrm = form.modrm.slice(0, 1);
  return Uint8Array.from([
    ...prefix,
    ...rex,
    ...form.opcode,
    ...modrm,
    ...new Array(10).fill(DEFAULT_IMMEDIATE),
  ]);
}

/** Mnemonics whose undefined flags depend on the count, which the two tables see differently. */
const BY_COUNT = new Set<number>([M.Shl, M.Sal, M.Shr, M.Sar, M.Rol, M.Ror, M.Rcl, M.Rcr, M.Shld, M.Shrd]);

describe("undefined flags", () => {
  test("agree with the reference decoder for every form whose flags do not depend on a count", () => {
    const differing = new Set<string>();
    let compared = 0;
    for (const form of enumerateForms(64)) {
      const decoder = new Decoder(64, bytesOf(form), DecoderOptions.None);
      const instruction = decoder.decode();
      // MOV to and from control registers, undefined too, faults in user mode.
      if (!BY_COUNT.has(instruction.mnemonic) && !instruction.isPrivileged) {
        compared++;
        const theirs = rflagsOfIced(instruction.rflagsUndefined);
        const ours = undefinedFlags(instruction);
        if (ours !== theirs)
          differing.add(
            `${mnemonicName(instruction.mnemonic)}: ours ${ours.toString(16)}, theirs ${theirs.toString(16)}`,
          );
      }
      instruction.free();
      decoder.free();
    }
    expect(compared).toBeGreaterThan(5000);
    expect([...differing]).toEqual([]);
  });

  const flagsAfter = (hex: string, cl: number): number => {
    const decoder = new Decoder(64, Uint8Array.from(Buffer.from(hex, "hex")), DecoderOptions.None);
    const instruction = decoder.decode();
    const flags = undefinedFlags(instruction, cl);
    instruction.free();
    decoder.free();
    return flags;
  };

  test("of shifts and rotates follow the masked count", () => {
    expect(flagsAfter("d3e0", 0)).toBe(0); // shl eax, cl
    expect(flagsAfter("d3e0", 32)).toBe(0);
    expect(flagsAfter("d3e0", 1)).toBe(FLAG.AF);
    expect(flagsAfter("d3e0", 2)).toBe(FLAG.AF | FLAG.OF);
    expect(flagsAfter("d2e0", 8)).toBe(FLAG.AF | FLAG.OF | FLAG.CF); // shl al, cl
    expect(flagsAfter("d2f8", 8)).toBe(FLAG.AF | FLAG.OF); // sar al, cl
    expect(flagsAfter("d3c0", 1)).toBe(0); // rol eax, cl
    expect(flagsAfter("d3c0", 5)).toBe(FLAG.OF);
    expect(flagsAfter("48d3e0", 32)).toBe(FLAG.AF | FLAG.OF); // shl rax, cl
    expect(flagsAfter("660fa5d8", 17)).toBe(0x8d5); // shld ax, bx, cl
  });
});
