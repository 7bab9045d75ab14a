// Flags that the manual leaves undefined, by mnemonic: they are masked when a case ends, and no later instruction of a
// run may read them. Source: Intel SDM vol. 2, "Flags Affected" of each instruction (page headings as in the right
// column); the last column of vol. 1 appendix A, "EFLAGS cross-reference", agrees. undefined-flags.test.ts compares the
// table with the reference decoder's.

import iced, { type Instruction } from "iced-x86";
import { FLAG } from "./state.ts";

const { Mnemonic: M, OpKind } = iced;
const { CF, PF, AF, ZF, SF, OF } = FLAG;

const ALWAYS = new Map<number, number>([
  [M.And, AF], // AND
  [M.Or, AF], // OR
  [M.Xor, AF], // XOR
  [M.Test, AF], // TEST
  [M.Mul, SF | ZF | AF | PF], // MUL
  [M.Imul, SF | ZF | AF | PF], // IMUL
  [M.Div, CF | OF | SF | ZF | AF | PF], // DIV
  [M.Idiv, CF | OF | SF | ZF | AF | PF], // IDIV
  [M.Bsf, CF | OF | SF | AF | PF], // BSF
  [M.Bsr, CF | OF | SF | AF | PF], // BSR
  [M.Bt, OF | SF | AF | PF], // BT: ZF is unchanged
  [M.Bts, OF | SF | AF | PF],
  [M.Btr, OF | SF | AF | PF],
  [M.Btc, OF | SF | AF | PF],
  [M.Aaa, OF | SF | ZF | PF], // AAA
  [M.Aas, OF | SF | ZF | PF], // AAS
  [M.Aam, OF | AF | CF], // AAM
  [M.Aad, OF | AF | CF], // AAD
  [M.Daa, OF], // DAA
  [M.Das, OF], // DAS
]);

const SHIFTS = new Set<number>([M.Shl, M.Sal, M.Shr, M.Sar]);
const ROTATES = new Set<number>([M.Rol, M.Ror, M.Rcl, M.Rcr]);
const DOUBLE_SHIFTS = new Set<number>([M.Shld, M.Shrd]);

/** Operand size in bits of a shift or rotate, from its encoding. */
function shiftWidth(instruction: Instruction): number {
  if (DOUBLE_SHIFTS.has(instruction.mnemonic)) return instruction.opCode.operandSize;
  const opcode = instruction.opCode.opCode;
  return (opcode & 1) === 0 ? 8 : instruction.opCode.operandSize;
}

/**
 * The count of a shift or rotate after masking with 31 or 63, or undefined if CL is not known. `cl` is CL before the
 * instruction.
 */
function shiftCount(instruction: Instruction, width: number, cl: number | undefined): number | undefined {
  const last = instruction.opCount - 1;
  const count = instruction.opKind(last) === OpKind.Immediate8 ? instruction.immediate8 : cl;
  return count === undefined ? undefined : count & (width === 64 ? 63 : 31);
}

/**
 * Flags undefined after this instruction. With an unknown CL, the union over all counts.
 * SAL/SAR/SHL/SHR: AF for a count other than 0; OF for counts other than 1 (0 leaves it); CF of SHL and SHR for counts at
 * or above the width. RCL/RCR/ROL/ROR: OF for counts other than 0 and 1. SHLD/SHRD: AF for a count other than 0, OF for
 * counts above 1, all and the destination for counts above the width.
 */
export function undefinedFlags(instruction: Instruction, cl?: number): number {
  const m = instruction.mnemonic;
  const fixed = ALWAYS.get(m);
  if (fixed !== undefined) return fixed;
  const shift = SHIFTS.has(m);
  const double = DOUBLE_SHIFTS.has(m);
  if (!shift && !double && !ROTATES.has(m)) return 0;
  const width = shiftWidth(instruction);
  const count = shiftCount(instruction, width, cl);
  if (count === undefined) return double ? CF | OF | SF | ZF | AF | PF : shift ? AF | OF | CF : OF;
  if (count === 0) return 0;
  const overflow = count === 1 ? 0 : OF;
  if (double) return count > width ? CF | OF | SF | ZF | AF | PF : AF | overflow;
  if (!shift) return overflow;
  const carry = count >= width && m !== M.Sar ? CF : 0;
  return AF | overflow | carry;
}

/** True if the destination itself is undefined: SHLD and SHRD of 16 bits by more than 16. */
export function destinationUndefined(instruction: Instruction, cl: number): boolean {
  if (!DOUBLE_SHIFTS.has(instruction.mnemonic)) return false;
  const width = shiftWidth(instruction);
  return (shiftCount(instruction, width, cl) ?? 0) > width;
}
