// One-byte opcodes: the operations of the ALU, shifts, multiplication and division, INC and DEC.

import { gen, immediate, invalid, refuseLock } from "./decode-common";
import {
  SEG_READ, SEG_WRITE, ZERO, emit, emitAlu, emitMem, isMem, lock, modrm, next8, prepareMem, readModrm, reg, rm,
  setRmRegister, slot,
} from "./decode-state";
import { Gen, Op } from "./ops";

const ADD: i32 = 0;
const OR: i32 = 1;
const AND: i32 = 4;
const SUB: i32 = 5;
const XOR: i32 = 6;
const CMP: i32 = 7;

/** Position of an operation in the op list's order ADD OR AND SUB XOR, or -1. */
function orderOf(k: i32): i32 {
  switch (k) {
    case ADD: return 0;
    case OR: return 1;
    case AND: return 2;
    case SUB: return 3;
    case XOR: return 4;
    default: return -1;
  }
}

/** Operation k (its place in the opcode map: ADD OR ADC SBB AND SUB XOR CMP) on rm, with a register. */
export function aluRmReg(k: i32, log2: i32): void {
  readModrm();
  if (lock && (!isMem || k == CMP)) return invalid();
  const order = orderOf(k);
  if (k == CMP) {
    const a = slot(reg, log2);
    if (!isMem) {
      emit(Op.CMP8_RR + log2 * 2, slot(rm, log2), a, 0, 0, 0, 0, 0);
    } else {
      prepareMem(SEG_READ, 1 << log2);
      emitMem(Op.CMP8_MR + log2, a, 0);
    }
  } else if (order >= 0 && log2 >= 2) {
    const wide = log2 - 2;
    if (!isMem) {
      emitAlu(Op.ADD32_RR + wide * 10 + order * 2, rm * 8, reg * 8, 0);
    } else {
      prepareMem(SEG_WRITE, 1 << log2);
      emitMem(Op.ADD32_MR + wide * 5 + order, reg * 8, 0);
    }
  } else gen(Gen.ALU_RM_R + k, log2, 0, SEG_WRITE);
}

/** Operation k on a register, with rm. */
export function aluRegRm(k: i32, log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  const order = orderOf(k);
  if (k == CMP) {
    if (!isMem) emit(Op.CMP8_RR + log2 * 2, slot(reg, log2), slot(rm, log2), 0, 0, 0, 0, 0);
    else {
      prepareMem(SEG_READ, 1 << log2);
      emitMem(Op.CMP8_RM + log2, slot(reg, log2), 0);
    }
  } else if (order >= 0 && log2 >= 2) {
    const wide = log2 - 2;
    if (!isMem) {
      if (k == XOR && reg == rm) return zeroIdiom(log2);
      emitAlu(Op.ADD32_RR + wide * 10 + order * 2, reg * 8, rm * 8, 0);
    } else {
      prepareMem(SEG_READ, 1 << log2);
      emitMem(Op.ADD32_RM + wide * 10 + order * 2, reg * 8, 0);
    }
  } else gen(Gen.ALU_R_RM + k, log2, 0, SEG_READ);
}

function zeroIdiom(log2: i32): void {
  emit(log2 == 2 ? Op.XOR32_RR : Op.XOR64_RR, reg * 8, ZERO, ZERO, 0, 0, 0, 0);
}

/** Operation k on rm (already read) with an immediate. */
export function aluImmediate(k: i32, log2: i32, imm: i32): void {
  const order = orderOf(k);
  if (lock && (!isMem || k == CMP)) return invalid();
  if (k == CMP) {
    if (!isMem) emit(Op.CMP8_RI + log2 * 2, slot(rm, log2), 0, 0, 0, 0, 0, imm);
    else {
      prepareMem(SEG_READ, 1 << log2);
      emitMem(Op.CMP8_MI + log2, 0, imm);
    }
  } else if (order >= 0 && log2 >= 2) {
    const wide = log2 - 2;
    if (!isMem) emitAlu(Op.ADD32_RI + wide * 10 + order * 2, rm * 8, ZERO, imm);
    else {
      prepareMem(SEG_WRITE, 1 << log2);
      emitMem(Op.ADD32_MI + wide * 5 + order, 0, imm);
    }
  } else gen(Gen.ALU_RM_I + k, log2, imm, SEG_WRITE);
}

/** Operation k on AL or rAX with an immediate. */
export function aluAccumulator(k: i32, log2: i32): void {
  const imm = immediate(log2);
  if (refuseLock()) return;
  setRmRegister(0);
  aluImmediate(k, log2, imm);
}

/** TEST of rm with a register. */
export function test(log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  if (!isMem) {
    if (log2 == 1) emit(Op.TEST16_RR, rm * 8, reg * 8, 0, 0, 0, 0, 0);
    else emit(log2 == 0 ? Op.TEST8_RR : log2 == 2 ? Op.TEST32_RR : Op.TEST64_RR, slot(rm, log2), slot(reg, log2), 0, 0, 0, 0, 0);
  } else if (log2 == 1) gen(Gen.TEST_R, log2, 0, SEG_READ);
  else {
    prepareMem(SEG_READ, 1 << log2);
    emitMem(log2 == 0 ? Op.TEST8_MR : log2 == 2 ? Op.TEST32_MR : Op.TEST64_MR, slot(reg, log2), 0);
  }
}

/** TEST of rm (already read) with an immediate. */
export function testImmediate(log2: i32, imm: i32): void {
  if (!isMem) {
    if (log2 == 1) gen(Gen.TEST_I, log2, imm, SEG_READ);
    else emit(log2 == 0 ? Op.TEST8_RI : log2 == 2 ? Op.TEST32_RI : Op.TEST64_RI, slot(rm, log2), 0, 0, 0, 0, 0, imm);
  } else if (log2 == 1) gen(Gen.TEST_I, log2, imm, SEG_READ);
  else {
    prepareMem(SEG_READ, 1 << log2);
    emitMem(log2 == 0 ? Op.TEST8_MI : log2 == 2 ? Op.TEST32_MI : Op.TEST64_MI, 0, imm);
  }
}

/** Group 2 by an immediate, or by one. */
export function shiftImmediate(log2: i32, one: bool): void {
  readModrm();
  const countBits = one ? 1 : <i32>next8();
  if (refuseLock()) return;
  const kind = <i32>(modrm >> 3) & 7;
  const n = countBits & (log2 == 3 ? 63 : 31);
  if (!isMem && log2 >= 2 && n > 0) {
    const a = rm * 8;
    let code = -1;
    if (kind == 4 || kind == 6) code = log2 == 2 ? Op.SHL32_I : Op.SHL64_I;
    else if (kind == 5) code = log2 == 2 ? Op.SHR32_I : Op.SHR64_I;
    else if (kind == 7) code = log2 == 2 ? Op.SAR32_I : Op.SAR64_I;
    else if (kind == 0) code = log2 == 2 ? Op.ROL32_I : Op.ROL64_I;
    else if (kind == 1) code = log2 == 2 ? Op.ROR32_I : Op.ROR64_I;
    if (code >= 0) {
      emitAlu(code, a, ZERO, n);
      return;
    }
  }
  if (!isMem && n == 0 && log2 == 2) {
    // A count of zero changes no flags, but a 32-bit destination is still zero-extended.
    emit(Op.MOV32_RR, rm * 8, rm * 8, 0, 0, 0, 0, 0);
    return;
  }
  gen(Gen.SHIFT_I + kind, log2, countBits, SEG_WRITE);
}

/** Group 2 by CL. */
export function shiftByCl(log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  const kind = <i32>(modrm >> 3) & 7;
  if (!isMem && log2 >= 2 && kind >= 4) {
    const wide = log2 == 3 ? 3 : 0;
    const k = kind == 5 ? 1 : kind == 7 ? 2 : 0;
    emit(Op.SHL32_CL + wide + k, rm * 8, 0, 0, 0, 0, 0, 0);
  } else gen(Gen.SHIFT_CL + kind, log2, 0, SEG_WRITE);
}

/** Group 3: TEST NOT NEG MUL IMUL DIV IDIV. */
export function group3(log2: i32): void {
  readModrm();
  const kind = (modrm >> 3) & 7;
  if (lock && (!isMem || (kind != 2 && kind != 3))) return invalid();
  switch (kind) {
    case 0:
    case 1: {
      testImmediate(log2, immediate(log2));
      break;
    }
    case 2:
      if (!isMem && log2 >= 2) emit(log2 == 2 ? Op.NOT32 : Op.NOT64, rm * 8, 0, 0, 0, 0, 0, 0);
      else gen(Gen.NOT, log2, 0, SEG_WRITE);
      break;
    case 3:
      if (!isMem && log2 >= 2) emit(log2 == 2 ? Op.NEG32 : Op.NEG64, rm * 8, 0, 0, 0, 0, 0, 0);
      else gen(Gen.NEG, log2, 0, SEG_WRITE);
      break;
    case 4: gen(Gen.MUL, log2, 0, SEG_READ); break;
    case 5: gen(Gen.IMUL, log2, 0, SEG_READ); break;
    case 6: gen(Gen.DIV, log2, 0, SEG_READ); break;
    default: gen(Gen.IDIV, log2, 0, SEG_READ);
  }
}

/** INC (kind 0) or DEC (1) of rm, already read. */
export function incDec(kind: u32, log2: i32): void {
  if (!isMem && log2 >= 2) {
    emit((kind == 0 ? Op.INC32 : Op.DEC32) + (log2 == 3 ? 2 : 0), rm * 8, 0, 0, 0, 0, 0, 0);
  } else if (isMem && log2 >= 2) {
    prepareMem(SEG_WRITE, 1 << log2);
    emitMem((kind == 0 ? Op.INC32_M : Op.DEC32_M) + (log2 == 3 ? 1 : 0), 0, 0);
  } else gen(kind == 0 ? Gen.INC : Gen.DEC, log2, 0, SEG_WRITE);
}
