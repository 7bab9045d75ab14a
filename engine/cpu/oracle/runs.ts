// Runs: several instructions with live flags, registers and memory between them, with forward branches over some, and
// sometimes a loop around all. What one of them does wrong shows in what the others make of it.

import iced, { type Instruction } from "iced-x86";
import type { Ignore, Patch, Template } from "./case.ts";
import type { Decoded, Encoder } from "./encoder.ts";
import type { Form } from "./encodings.ts";
import { rflagsOfIced } from "./iced-flags.ts";
import {
  APPROXIMATE_XMM,
  BIT_TESTS,
  CONDITION_READS,
  DIVISIONS,
  movesToSegment,
  operandBytes,
  SHIFT_LIKE,
  skipOnModel,
  TRANSCENDENTAL,
  touchesStackPointer,
} from "./instruction-kinds.ts";
import { CODE, DATA } from "./layout.ts";
import { isComparable } from "./offered.ts";
import { nastyVector, type Random } from "./random.ts";
import { startState } from "./start-state.ts";
import { FLAG } from "./state.ts";
import { undefinedFlags } from "./undefined-flags.ts";

const { FlowControl, Mnemonic: M, OpKind, Register: R } = iced;

/** Most operands are in this window, so that loads meet stores; it is filled with values of all types. */
const WINDOW = DATA + 0x400;
const WINDOW_BYTES = 256;
/** Counts the turns of a loop; no operand is there. */
const COUNTER = DATA + 0x20;
const LOOP_SHARE = 0.2;
const LONG_SHARE = 0.5;
const BRANCH_SHARE = 0.15;

const NEVER_IN_RUNS = new Set<number>([
  M.Cli,
  M.Sti,
  M.In,
  M.Out,
  M.Hlt,
  M.Xlatb,
  M.Wrfsbase,
  M.Wrgsbase,
  M.Ldmxcsr,
  M.Fldcw,
  M.Fldenv,
  M.Fnstenv,
  M.Fnsave,
  M.Frstor,
  M.Wait,
  M.Maskmovq,
  M.Maskmovdqu,
]);

/** True for forms that can stand in the middle of a run: they neither branch nor touch the stack nor fault by their nature. */
export function isSimple(form: Form, d: Decoded): boolean {
  const { instruction } = d;
  const m = instruction.mnemonic;
  const moffs = form.opcode.length === 1 && form.opcode[0]! >= 0xa0 && form.opcode[0]! <= 0xa3;
  return (
    instruction.flowControl === FlowControl.Next &&
    !instruction.isStackInstruction &&
    !instruction.isPrivileged &&
    !instruction.isStringInstruction &&
    !instruction.isSaveRestoreInstruction &&
    !movesToSegment(instruction) &&
    !DIVISIONS.has(m) &&
    !APPROXIMATE_XMM.has(m) &&
    !TRANSCENDENTAL.has(m) &&
    !NEVER_IN_RUNS.has(m) &&
    !moffs
  );
}

/** Flags that are undefined on some path through the code so far. */
class OpenFlags {
  now = 0;
  /** Undefined anywhere: after a fault one cannot say which branch was taken. */
  ever = 0;

  /** `surely` false: the instruction may be jumped over, or leave the flags alone. */
  after(instruction: Instruction, surely: boolean): void {
    if (surely && !SHIFT_LIKE.has(instruction.mnemonic))
      this.now &= ~rflagsOfIced(
        instruction.rflagsWritten | instruction.rflagsCleared | instruction.rflagsSet,
      );
    const undefined_ = undefinedFlags(instruction);
    this.now |= undefined_;
    this.ever |= undefined_;
  }
}

/** Code of a loop's end: DEC dword [COUNTER]; JNZ. */
const loopEnd = (bodyBytes: number): number[] => {
  const bytes = new Uint8Array(13);
  const view = new DataView(bytes.buffer);
  bytes.set([0xff, 0x0c, 0x25]);
  view.setInt32(3, COUNTER, true);
  bytes.set([0x0f, 0x85], 7);
  view.setInt32(9, -(bodyBytes + bytes.length), true);
  return [...bytes];
};
/** CMP EAX, EAX: leaves no flag undefined. */
const DEFINE_FLAGS = [0x39, 0xc0];

/** Whether an instruction, as it came out of the encoder, can be part of this run. */
function fits(d: Decoded, form: Form, bytes: Uint8Array, mode: 32 | 64, open: number): boolean {
  const { instruction } = d;
  const m = instruction.mnemonic;
  if (!isComparable(instruction) || skipOnModel(instruction, bytes, mode)) return false;
  if (touchesStackPointer(instruction)) return false;
  if (instruction.isStringInstruction || instruction.hasLockPrefix) return false;
  if (form.memory && (instruction.memoryBase !== R.None || instruction.memoryIndex !== R.None)) return false;
  if (BIT_TESTS.has(m) && form.memory && instruction.op1Kind === OpKind.Register) return false;
  // Undefined results, not only flags.
  const sixteen = instruction.opCode.operandSize === 16;
  if (sixteen && (m === M.Shld || m === M.Shrd || m === M.Bswap)) return false;
  return (rflagsOfIced(instruction.rflagsRead) & open) === 0;
}

/** A run of forms from `pool`. `wanted` says which of the instructions that come out may be in it. */
export function makeRun(
  r: Random,
  encoder: Encoder,
  pool: readonly Form[],
  group: "integer" | "x87",
  wanted: (d: Decoded) => boolean,
): Template {
  const { mode } = encoder;
  const state = startState(r, mode, group);
  const at = CODE + 0x100 + r.below(0xe00);
  state.rip = BigInt(at);
  const length = r.chance(LONG_SHARE) ? 16 + r.below(40) : 2 + r.below(14);
  const turns = r.chance(LOOP_SHARE) ? 2 + r.below(6) : 1;
  const code: number[] = turns > 1 ? [...DEFINE_FLAGS] : [];
  const open = new OpenFlags();
  let skipped = 0; // instructions left that a branch may jump over
  let jump = -1; // where its displacement is
  let made = 0;
  while (made < length) {
    if (skipped === 0 && r.chance(BRANCH_SHARE)) {
      const condition = r.below(16);
      if ((CONDITION_READS[condition >> 1]! & open.now) === 0) {
        jump = code.length + 1;
        code.push(0x70 | condition, 0);
        skipped = 1 + r.below(2);
        made++;
        continue;
      }
    }
    const form = r.pick(pool);
    encoder.write(form, r, false);
    if (form.memory) encoder.makeAbsolute(form, operandTarget(r));
    const d = encoder.decode();
    if (d === undefined) continue;
    d.offsets.free();
    const { instruction } = d;
    const bytes = encoder.bytes.subarray(0, instruction.length);
    if (!fits(d, form, bytes, mode, open.now) || !wanted(d)) continue;
    if (form.memory && d.group === "integer" && operandBytes(instruction) < 16) unalign(encoder, form, r);
    open.after(instruction, skipped === 0);
    for (const b of bytes) code.push(b);
    made++;
    if (skipped > 0 && --skipped === 0) code[jump] = code.length - jump - 1;
  }
  if (skipped > 0) code[jump] = code.length - jump - 1;
  const patches: Patch[] = [{ address: at, bytes: Uint8Array.from(code) }, window(r)];
  if (turns > 1) {
    patches[0] = { address: at, bytes: Uint8Array.from([...code, ...loopEnd(code.length)]) };
    patches.push({ address: COUNTER, bytes: Uint8Array.of(turns, 0, 0, 0) });
    open.now &= FLAG.CF; // DEC defines the others
    made += 3;
  }
  const ignore: Ignore = open.ever === 0 ? {} : { flags: open.now, flagsAtFault: open.ever };
  return {
    text: "",
    mode,
    state,
    patches,
    instructions: made,
    ignore,
    group,
    code: undefined,
    pinned: 0,
    fixed: false,
  };
}

/** 16-byte aligned: vector operands must be. */
function operandTarget(r: Random): number {
  return r.chance(0.7) ? WINDOW + 16 * r.below(WINDOW_BYTES / 16) : DATA + 0x100 + 16 * r.below(0x3e0);
}

function unalign(encoder: Encoder, form: Form, r: Random): void {
  const d = encoder.decode();
  if (d === undefined) return;
  const { displacementOffset, displacementSize } = d.offsets;
  d.offsets.free();
  if (form.memory && displacementSize === 4) encoder.bytes[displacementOffset]! += r.below(9);
}

function window(r: Random): Patch {
  const bytes = new Uint8Array(WINDOW_BYTES);
  for (let i = 0; i < WINDOW_BYTES; i += 16) nastyVector(r, bytes.subarray(i, i + 16));
  return { address: WINDOW, bytes };
}
