// Our decoder against another one, iced-x86: both say how long an instruction is, or that there is none, for every form of
// the encoding table under random prefixes and operands, and for random bytes. Instructions of extensions that the core
// does not offer must be undefined, unless the manual says that a processor without the extension runs something else.

import iced, { type Instruction } from "iced-x86";
import { describe, expect, test } from "vitest";
import { createCpu } from "../door/create-cpu.ts";
import { enumerateForms } from "./encodings.ts";
import { isOffered } from "./offered.ts";
import { Random } from "./random.ts";

const { CpuidFeature: F, Decoder, DecoderOptions, Instruction: IcedInstruction, Mnemonic: M, OpKind } = iced;
type Mode = 64 | 32 | 16;
const BYTES = 16;
const SHOWN = 20;

/**
 * Extensions whose encodings run as something older where they are missing: LZCNT and TZCNT as BSR and BSF, CET's as the
 * NOPs they were carved from, WBNOINVD as WBINVD (SDM vol. 2, each instruction's page).
 */
const FALLS_BACK = new Set<number>([
  F.LZCNT,
  F.BMI1,
  F.CET_IBT,
  F.CET_SS,
  F.WBNOINVD,
  F.CLDEMOTE,
  F.PREFETCHWT1,
  F.PREFETCHITI,
]);
/** Of CET, only what is carved from 0F 1E. */
const CET = new Set<number>([F.CET_IBT, F.CET_SS]);
const HINT_NOP = 0x1e;
const PREFIXES = [0x66, 0xf2, 0xf3, 0x67, 0x2e, 0x64, 0x65, 0xf0, 0x26, 0x36, 0x3e];
/** The core takes them as calls to its host. */
const HYPERCALLS = new Set<number>([M.Vmcall, M.Vmmcall, M.Vmgexit]);
/** Defined to be undefined. */
const UNDEFINED = new Set<number>([M.Ud0, M.Ud1, M.Ud2]);
const VEX_OR_EVEX = new Set([0xc4, 0xc5, 0x62, 0x8f]);

/** Undefined x87 encodings have a length like the others; that they are undefined shows when they run (recorded vectors). */
function isX87Escape(bytes: Uint8Array): boolean {
  const opcode = bytes.find((b) => !PREFIXES.includes(b) && (b & 0xf0) !== 0x40);
  return opcode !== undefined && opcode >= 0xd8 && opcode <= 0xdf;
}

/** 0F 0D with a register operand: a NOP to Intel, undefined to AMD. */
function isReservedNop0F0D(instruction: Instruction): boolean {
  return (
    instruction.opCode.opCode === 0x0d &&
    instruction.opCode.table === 1 &&
    instruction.op0Kind === OpKind.Register
  );
}

class Reference {
  readonly #instruction = new IcedInstruction();
  text = "";

  /** Length; 0 if undefined; undefined if the two may disagree. */
  length(bytes: Uint8Array, bitness: Mode): number | undefined {
    const decoder = new Decoder(bitness, bytes, DecoderOptions.None);
    const instruction = this.#instruction;
    decoder.decodeOut(instruction);
    decoder.free();
    if (instruction.isInvalid && isX87Escape(bytes)) return undefined;
    if (HYPERCALLS.has(instruction.mnemonic)) return instruction.length;
    if (isReservedNop0F0D(instruction)) return undefined;
    if (instruction.isInvalid || UNDEFINED.has(instruction.mnemonic)) {
      this.text = "(undefined)";
      return 0;
    }
    this.text = instruction.toString();
    if (isOffered(instruction)) return instruction.length;
    const vex = VEX_OR_EVEX.has(instruction.opCode.opCode) || instruction.opCode.encoding !== 0;
    const hint =
      !instruction.cpuidFeatures().some((f) => CET.has(f)) || instruction.opCode.opCode === HINT_NOP;
    if (!vex && hint && instruction.cpuidFeatures().every((f) => FALLS_BACK.has(f)))
      return instruction.length;
    return 0;
  }
}

function disagreements(
  mode: Mode,
  cases: Iterable<Uint8Array>,
): { readonly count: number; readonly shown: string } {
  const cpu = createCpu({ pages: 16 });
  const reference = new Reference();
  const found: string[] = [];
  for (const bytes of cases) {
    const theirs = reference.length(bytes, mode);
    if (theirs === undefined) continue;
    const ours = cpu.decodeLength(bytes, mode);
    if (ours !== theirs)
      found.push(`${Buffer.from(bytes).toString("hex")} ${reference.text}: iced ${theirs}, ours ${ours}`);
  }
  return { count: found.length, shown: found.slice(0, SHOWN).join("\n") };
}

function* formsUnderPrefixes(mode: Mode, seed: number, each: number): Generator<Uint8Array> {
  const r = new Random(seed);
  for (const form of enumerateForms(mode === 64 ? 64 : 32)) {
    for (let i = 0; i < each; i++) {
      const bytes = new Uint8Array(BYTES);
      r.fill(bytes);
      let n = 0;
      if (form.mandatory !== 0) bytes[n++] = form.mandatory;
      if (r.chance(0.3)) bytes[n++] = r.pick(PREFIXES);
      if (mode === 64 && (form.rexW || r.chance(0.3))) bytes[n++] = 0x40 | (form.rexW ? 8 : 0) | r.below(8);
      for (const o of form.opcode) bytes[n++] = o;
      if (form.modrm.length > 0)
        bytes[n] = form.memory ? r.pick(form.modrm) | (r.below(3) << 6) | r.below(8) : r.pick(form.modrm);
      yield bytes;
    }
  }
}

function* randomBytes(seed: number, count: number): Generator<Uint8Array> {
  const r = new Random(seed);
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(BYTES);
    r.fill(bytes);
    // Escapes are rarer in uniform bytes than they deserve.
    if (r.chance(0.3)) bytes[r.below(2)] = 0x0f;
    yield bytes;
  }
}

describe.each([64, 32, 16] as const)(
  "in %i-bit code, instruction lengths agree with the reference decoder",
  (mode) => {
    test("for every form of the encoding table", { timeout: 120_000 }, () => {
      const { count, shown } = disagreements(mode, formsUnderPrefixes(mode, 5, mode === 64 ? 6 : 3));
      expect(shown, `${count} disagreements`).toBe("");
    });

    test("for random bytes", { timeout: 120_000 }, () => {
      const { count, shown } = disagreements(mode, randomBytes(6, 100_000));
      expect(shown, `${count} disagreements`).toBe("");
    });
  },
);
