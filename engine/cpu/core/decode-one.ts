// One-byte opcodes (SDM vol. 2D, table A-2).

import { decode0f } from "./decode-0f";
import { emitFault, emitLink, follow } from "./decode";
import {
  SEG_NONE, SEG_READ, SEG_WRITE, TMP0, TMP1, ZERO, addressSize, count, default64, emit, emit64, emitAlu, emitMem, emitSecond,
  instructionRip, isMem, lock, bumpDisplacement, setRmRegister, setXlat, shareIndex, memB, memC, memD, memS, memSegment, mode, modrm, next16, next32, next64, next8, nextRip, nextS8, out,
  overflow, prefix66, prepareLea, prepareMem, previousOp, readModrm, reg, repeat, rex, rm, segment,
  segmentSlot, setAbsolute, setSize, size, slot, slot8, terminate,
} from "./decode-state";
import { GP, UD } from "./exception";
import { MODE_16, MODE_64 } from "./layout";
import { Gen, Op, Rare } from "./ops";
import { limitOf } from "./segment";
import { x87Bytes, x87Defined, x87Waits } from "./x87-decode";

// --- building blocks shared with decode-0f.ts ---

/** #UD. */
export function invalid(): void {
  emitFault(UD, -1);
}

/** A LOCK prefix where none is allowed is #UD (SDM vol. 2A, LOCK). True if the instruction was refused. */
export function refuseLock(): bool {
  if (!lock) return false;
  invalid();
  return true;
}

/** A generic instruction on reg and rm. */
export function gen(fn: i32, log2: i32, imm: i32, access: i32): void {
  if (isMem) prepareMem(access, 1 << log2);
  emit(Op.GEN, slot(reg, log2), isMem ? 0 : slot(rm, log2), isMem ? 1 : 0, log2, fn, 0, imm);
  emitSecond(0, 0);
}

/** Like gen, with explicit slots. */
export function genSlots(fn: i32, a: i32, b: i32, log2: i32, imm: i32): void {
  emit(Op.GEN, a, b, 0, log2, fn, 0, imm);
  emit(0, 0, ZERO, ZERO, 0, 0, 0, 0);
}

/** A system instruction; ends the block. */
export function rare(fn: i32, log2: i32, imm: i32, access: i32, bytes: i32): void {
  if (isMem) prepareMem(access, bytes);
  const p = emit64(Op.RARE, isMem || true ? reg * 8 : 0, isMem ? 0 : rm * 8, isMem ? 1 : 0, log2, count(), nextRip());
  emitSecond(fn, imm);
  terminate();
}

/** A system instruction without ModRM. */
export function rareSimple(fn: i32, log2: i32, imm: i32): void {
  emit64(Op.RARE, 0, 0, 0, log2, count(), nextRip());
  emit(0, 0, ZERO, ZERO, 0, fn, 0, imm);
  terminate();
}

/** Immediate of the operand size, at most 32 bits, sign-extended. */
export function immediate(log2: i32): i32 {
  if (log2 == 0) return nextS8();
  if (log2 == 1) return <i32>(<i16>next16());
  return next32();
}

/** Loads rm (register or memory) and returns the slot that holds it: its own, or TMP1 after a zero-extending load. */
export function rmToSlot(log2: i32): i32 {
  if (!isMem) return slot(rm, log2);
  prepareMem(SEG_READ, 1 << log2);
  emitMem(log2 == 0 ? Op.LDZX8 : log2 == 1 ? Op.LDZX16 : log2 == 2 ? Op.LD32 : Op.LD64, TMP1, 0);
  return TMP1;
}

// --- arithmetic ---

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

function aluRmReg(k: i32, log2: i32): void {
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

function aluRegRm(k: i32, log2: i32): void {
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
function aluImmediate(k: i32, log2: i32, imm: i32): void {
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

function aluAccumulator(k: i32, log2: i32): void {
  const imm = immediate(log2);
  if (refuseLock()) return;
  setRmRegister(0);
  aluImmediate(k, log2, imm);
}

function test(log2: i32): void {
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

function testImmediate(log2: i32, imm: i32): void {
  if (!isMem) {
    if (log2 == 1) gen(Gen.TEST_I, log2, imm, SEG_READ);
    else emit(log2 == 0 ? Op.TEST8_RI : log2 == 2 ? Op.TEST32_RI : Op.TEST64_RI, slot(rm, log2), 0, 0, 0, 0, 0, imm);
  } else if (log2 == 1) gen(Gen.TEST_I, log2, imm, SEG_READ);
  else {
    prepareMem(SEG_READ, 1 << log2);
    emitMem(log2 == 0 ? Op.TEST8_MI : log2 == 2 ? Op.TEST32_MI : Op.TEST64_MI, 0, imm);
  }
}

function shiftImmediate(log2: i32, one: bool): void {
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

function shiftByCl(log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  const kind = <i32>(modrm >> 3) & 7;
  if (!isMem && log2 >= 2 && kind >= 4) {
    const wide = log2 == 3 ? 3 : 0;
    const k = kind == 5 ? 1 : kind == 7 ? 2 : 0;
    emit(Op.SHL32_CL + wide + k, rm * 8, 0, 0, 0, 0, 0, 0);
  } else gen(Gen.SHIFT_CL + kind, log2, 0, SEG_WRITE);
}

function group3(log2: i32): void {
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

function incDec(kind: u32, log2: i32): void {
  if (!isMem && log2 >= 2) {
    emit((kind == 0 ? Op.INC32 : Op.DEC32) + (log2 == 3 ? 2 : 0), rm * 8, 0, 0, 0, 0, 0, 0);
  } else if (isMem && log2 >= 2) {
    prepareMem(SEG_WRITE, 1 << log2);
    emitMem((kind == 0 ? Op.INC32_M : Op.DEC32_M) + (log2 == 3 ? 1 : 0), 0, 0);
  } else gen(kind == 0 ? Gen.INC : Gen.DEC, log2, 0, SEG_WRITE);
}

// --- moves ---

function movRmReg(log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  const a = slot(reg, log2);
  if (!isMem) emit(Op.MOV8_RR + log2, slot(rm, log2), a, 0, 0, 0, 0, 0);
  else {
    prepareMem(SEG_WRITE, 1 << log2);
    store_(a, log2);
  }
}

function store_(a: i32, log2: i32): void {
  if (memC == ZERO && log2 >= 2) emitMem(log2 == 2 ? Op.ST32_BD : Op.ST64_BD, a, 0);
  else emitMem(Op.ST8 + log2, a, 0);
}

function load_(a: i32, log2: i32): void {
  if (memC == ZERO && log2 >= 2) emitMem(log2 == 2 ? Op.LD32_BD : Op.LD64_BD, a, 0);
  else emitMem(Op.LD8 + log2, a, 0);
}

function movRegRm(log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  const a = slot(reg, log2);
  if (!isMem) emit(Op.MOV8_RR + log2, a, slot(rm, log2), 0, 0, 0, 0, 0);
  else {
    prepareMem(SEG_READ, 1 << log2);
    load_(a, log2);
  }
}

function movRmImmediate(log2: i32): void {
  readModrm();
  const imm = immediate(log2);
  if ((modrm & 0x38) != 0) return invalid();
  if (refuseLock()) return;
  if (isMem) {
    prepareMem(SEG_WRITE, 1 << log2);
    emitMem(Op.STI8 + log2, 0, imm);
  } else if (log2 == 3) emit64(Op.MOV64_RI, rm * 8, 0, 0, 0, 0, <u64>(<i64>imm));
  else emit(Op.MOV8_RI + log2, slot(rm, log2), 0, 0, 0, 0, 0, imm);
}

function lea(): void {
  readModrm();
  if (!isMem || lock) return invalid();
  prepareLea();
  const a = reg * 8;
  if (size == 1) {
    emit(Op.LEA64, TMP1, memB, memC, memS, 0, memD, 0);
    emit(Op.MOV16_RR, a, TMP1, 0, 0, 0, 0, 0);
  } else if (size == 3 && addressSize == 3) {
    emitMem(memC == ZERO ? Op.LEA64_BD : Op.LEA64, a, 0);
  } else if (addressSize == 1) {
    emit(Op.LEA64, TMP1, memB, memC, memS, 0, memD, 0);
    emit(Op.MOVZX16_RR, a, TMP1, 0, 0, 0, 0, 0);
  } else emitMem(Op.LEA32, a, 0);
}

// --- stack ---

function push(r: i32): void {
  default64();
  if (refuseLock()) return;
  if (size == 3) emit(Op.PUSH64, r * 8, 0, 0, STACK, 0, 0, 0);
  else genSlots(Gen.PUSH, r * 8, 0, size, 0);
}

const STACK: i32 = 0x80;

function pop(r: i32): void {
  default64();
  if (refuseLock()) return;
  if (size == 3) emit(Op.POP64, r * 8, 0, 0, STACK, 0, 0, 0);
  else genSlots(Gen.POP, r * 8, 0, size, 0);
}

function pushImmediate(imm: i32): void {
  if (refuseLock()) return;
  if (size == 3) emit(Op.PUSHI64, 0, 0, 0, STACK, 0, 0, imm);
  else genSlots(Gen.PUSH_I, 0, 0, size, imm);
}

// --- branches ---

/** Condition's place in the fused lists B AE E NE BE A L GE LE G, or -1. */
function fusedOrder(cc: i32): i32 {
  if (cc >= 2 && cc <= 7) return cc - 2;
  if (cc >= 12) return cc - 6;
  return -1;
}

/** E NE S NS LE G after TEST, where CF = OF = 0 makes others equal to these, or -1. */
function testOrder(cc: i32): i32 {
  switch (cc) {
    case 4: return 0;
    case 5: return 1;
    case 6: return 0; // BE = CF | ZF
    case 7: return 1;
    case 8: case 12: return 2; // L = SF
    case 9: case 13: return 3;
    case 14: return 4;
    case 15: return 5;
    default: return -1;
  }
}

/** The fused code for the previous op followed by Jcc, or -1. */
function fusedCode(code: i32, cc: i32): i32 {
  const order = fusedOrder(cc);
  const t = testOrder(cc);
  const e = cc == 4 ? 0 : cc == 5 ? 1 : -1;
  switch (code) {
    case Op.CMP32_RR: return order < 0 ? -1 : Op.CMPJ32_RR_B + order;
    case Op.CMP32_RI: return order < 0 ? -1 : Op.CMPJ32_RI_B + order;
    case Op.CMP64_RR: return order < 0 ? -1 : Op.CMPJ64_RR_B + order;
    case Op.CMP64_RI: return order < 0 ? -1 : Op.CMPJ64_RI_B + order;
    case Op.CMP8_RI: return order < 0 ? -1 : Op.CMPJ8_RI_B + order;
    case Op.TEST32_RR: return t < 0 ? -1 : Op.TESTJ32_RR_E + t;
    case Op.TEST64_RR: return t < 0 ? -1 : Op.TESTJ64_RR_E + t;
    case Op.TEST8_RR: return t < 0 || t > 1 ? -1 : Op.TESTJ8_RR_E + t;
    case Op.TEST8_RI: return t < 0 || t > 1 ? -1 : Op.TESTJ8_RI_E + t;
    case Op.TEST32_RI: return t < 0 || t > 1 ? -1 : Op.TESTJ32_RI_E + t;
    case Op.DEC32: return e < 0 ? -1 : Op.DECJ32_E + e;
    case Op.DEC64: return e < 0 ? -1 : Op.DECJ64_E + e;
    case Op.SUB32_RI: return e < 0 ? -1 : Op.SUBJ32_RI_E + e;
    case Op.SUB64_RI: return e < 0 ? -1 : Op.SUBJ64_RI_E + e;
    case Op.ADD32_RI: return e < 0 ? -1 : Op.ADDJ32_RI_E + e;
    case Op.ADD64_RI: return e < 0 ? -1 : Op.ADDJ64_RI_E + e;
    case Op.AND32_RI: return e < 0 ? -1 : Op.ANDJ32_RI_E + e;
    case Op.AND32_RR: return e < 0 ? -1 : Op.ANDJ32_RR_E + e;
    default: return -1;
  }
}

/** Branch target masked to the operand size outside 64-bit mode. */
function branchTarget(displacement: i32): u64 {
  const t = nextRip() + <u64>(<i64>displacement);
  if (mode == MODE_64) return t;
  return size == 1 ? t & 0xffff : t & 0xffffffff;
}

/** Is the target beyond the limit of the code segment? What is decoded is dropped when the limit changes. */
function isOutside(target: u64): bool {
  return mode != MODE_64 && target > <u64>limitOf(1);
}

function branchDisplacement(): i32 {
  return size == 1 && mode != MODE_64 ? <i32>(<i16>next16()) : next32();
}

export function jcc(cc: i32, displacement: i32): void {
  // A branch cut off by the end of the page is decoded again in a block of its own: the op before must stay whole.
  if (overflow || refuseLock()) return;
  const target = branchTarget(displacement);
  const after = nextRip();
  if (isOutside(target)) {
    // The fault is the branch's, if it is taken.
    emit64(Op.RARE, cc, 0, 0, size, count(), after);
    emit(0, 0, ZERO, ZERO, 0, Rare.JCC_NEAR, 0, <i32>target);
    terminate();
    return;
  }
  const previous = previousOp;
  const fused = previous ? fusedCode(load<u16>(previous), cc) : -1;
  let slots: usize;
  if (fused >= 0) {
    store<u16>(previous, <u16>fused);
    store<u16>(previous, <u16>count(), 6);
    slots = emit(0, 0, 0, 0, 0, 0, 0, 0) + 8;
    shareIndex(previous);
  } else {
    slots = emit(Op.JCC + cc, 0, 0, 0, 0, count(), 0, 0) + 8;
  }
  emitLink(target, slots);
  emitLink(after, slots + 4);
  terminate();
}

function jump(displacement: i32): void {
  if (refuseLock()) return;
  const target = branchTarget(displacement);
  if (isOutside(target)) return emitFault(GP, 0);
  if (follow(target)) return;
  const p = emit(Op.JUMP, 0, 0, 0, 0, count(), 0, 0);
  emitLink(target, p + 8);
  terminate();
}

function call(displacement: i32): void {
  if (refuseLock()) return;
  if (mode != MODE_64) return rareSimple(Rare.CALL_NEAR, size, <i32>branchTarget(displacement));
  const after = nextRip();
  emit64(Op.CALL, 0, 0, 0, STACK, count(), after);
  const p = emit(0, 0, 0, 0, 0, 0, 0, 0);
  emitLink(branchTarget(displacement), p + 8);
  terminate();
}

function group5(log2: i32): void {
  readModrm();
  const kind = (modrm >> 3) & 7;
  if (lock && (!isMem || kind > 1)) return invalid();
  switch (kind) {
    case 0:
    case 1:
      incDec(kind, size);
      return;
    case 2:
    case 4: {
      if (mode == MODE_64) {
        setSize(3); // 66 is ignored by near branches on Intel processors
        const s = rmToSlot(3);
        if (kind == 2) emit64(Op.CALL_R, s, 0, 0, STACK, count(), nextRip());
        else emit(Op.JUMP_R, s, 0, 0, 0, count(), 0, 0);
        terminate();
      } else {
        const s = rmToSlot(size);
        emit64(Op.RARE, s, 0, 0, size, count(), nextRip());
        emit(0, 0, ZERO, ZERO, 0, kind == 2 ? Rare.CALL_NEAR : Rare.JMP_NEAR, 1, 0);
        terminate();
      }
      return;
    }
    case 3:
    case 5:
      if (!isMem) return invalid();
      rare(kind == 3 ? Rare.CALL_FAR_M : Rare.JMP_FAR_M, size, 0, SEG_READ, (1 << size) + 2);
      return;
    case 6: {
      default64();
      const s = rmToSlot(size);
      if (size == 3) emit(Op.PUSH64, s, 0, 0, STACK, 0, 0, 0);
      else genSlots(Gen.PUSH, s, 0, size, 0);
      return;
    }
    default:
      invalid();
  }
}

// --- strings ---

/** Kinds of STRING. */
export const STRING_MOVS: i32 = 0;
export const STRING_CMPS: i32 = 1;
export const STRING_STOS: i32 = 2;
export const STRING_LODS: i32 = 3;
export const STRING_SCAS: i32 = 4;

function stringOp(kind: i32, log2: i32): void {
  if (refuseLock()) return;
  const seg = segment >= 0 ? segment : 3;
  emit(Op.STRING, kind, mode == MODE_64 && seg < 4 ? ZERO : segmentSlot(seg), log2, <i32>repeat, addressSize, seg, 0);
  emit(0, 0, 0, 0, 0, 0, 0, 0);
}

// --- the table ---

export function decodeOne(): void {
  const op = <i32>next8();
  if (overflow) return;
  const log2 = op & 1 ? size : 0;
  const long = mode == MODE_64;
  if (op < 0x40) {
    const k = op >> 3;
    switch (op & 7) {
      case 0: case 1: return aluRmReg(k, log2);
      case 2: case 3: return aluRegRm(k, log2);
      case 4: case 5: return aluAccumulator(k, log2);
      default:
        if (op == 0x0f) return decode0f();
        if (long || lock) return invalid();
        if (op == 0x27) return genSlots(Gen.DAA, 0, 0, 0, 0);
        if (op == 0x2f) return genSlots(Gen.DAS, 0, 0, 0, 0);
        if (op == 0x37) return genSlots(Gen.AAA, 0, 0, 0, 0);
        if (op == 0x3f) return genSlots(Gen.AAS, 0, 0, 0, 0);
        return rareSimple(op & 1 ? Rare.POP_SEG : Rare.PUSH_SEG, size, op >> 3);
    }
  }
  switch (op) {
    case 0x40: case 0x41: case 0x42: case 0x43: case 0x44: case 0x45: case 0x46: case 0x47:
    case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f:
      if (refuseLock()) return;
      setRmRegister(op & 7); // INC and DEC outside 64-bit mode; REX inside, never seen here
      return incDec((op >> 3) & 1, size);
    case 0x50: case 0x51: case 0x52: case 0x53: case 0x54: case 0x55: case 0x56: case 0x57:
      return push((op & 7) | (rex & 1 ? 8 : 0));
    case 0x58: case 0x59: case 0x5a: case 0x5b: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
      return pop((op & 7) | (rex & 1 ? 8 : 0));
    case 0x60: if (long || lock) invalid();
      else genSlots(Gen.PUSHA, 0, 0, size, 0);
      return;
    case 0x61: if (long || lock) invalid();
      else genSlots(Gen.POPA, 0, 0, size, 0);
      return;
    case 0x62: {
      if (long || lock) return invalid();
      readModrm();
      if (!isMem) return invalid();
      // Two bounds.
      prepareMem(SEG_READ, 2 << size);
      emit(Op.GEN, slot(reg, size), 0, 1, size, Gen.BOUND, 0, 0);
      return emitSecond(0, 0);
    }
    case 0x63: {
      readModrm();
      if (refuseLock()) return;
      if (!long) return gen(Gen.ARPL, 1, segment >= 0 ? segment : memSegment, SEG_READ);
      if (size == 3) {
        if (!isMem) emit(Op.MOVSX32_64_RR, reg * 8, rm * 8, 0, 0, 0, 0, 0);
        else {
          prepareMem(SEG_READ, 4);
          emitMem(Op.LDSX32_64, reg * 8, 0);
        }
      } else {
        const s = rmToSlot(size);
        emit(size == 1 ? Op.MOV16_RR : Op.MOV32_RR, reg * 8, s, 0, 0, 0, 0, 0);
      }
      return;
    }
    case 0x68: {
      default64();
      return pushImmediate(size == 1 ? <i32>(<i16>next16()) : next32());
    }
    case 0x6a: {
      default64();
      return pushImmediate(nextS8());
    }
    case 0x69: case 0x6b: {
      readModrm();
      const imm = op == 0x69 ? immediate(size) : nextS8();
      if (refuseLock()) return;
      if (size == 1) return gen(Gen.IMUL3, 1, imm, SEG_READ);
      const s = rmToSlot(size);
      emit(size == 2 ? Op.IMUL32_RRI : Op.IMUL64_RRI, reg * 8, s, 0, 0, 0, 0, imm);
      return;
    }
    case 0x6c: case 0x6d: if (!refuseLock()) rareString(Rare.INS, log2);
      return;
    case 0x6e: case 0x6f: if (!refuseLock()) rareString(Rare.OUTS, log2);
      return;
    case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77:
    case 0x78: case 0x79: case 0x7a: case 0x7b: case 0x7c: case 0x7d: case 0x7e: case 0x7f:
      return jcc(op & 15, nextS8());
    case 0x82:
      if (long) return invalid();
    // fall through
    case 0x80: case 0x81: case 0x83: {
      readModrm();
      const l = op == 0x80 || op == 0x82 ? 0 : size;
      const imm = op == 0x81 ? immediate(size) : nextS8();
      return aluImmediate(<i32>(modrm >> 3) & 7, l, imm);
    }
    case 0x84: case 0x85: return test(log2);
    case 0x86: case 0x87: {
      readModrm();
      if (lock && !isMem) return invalid();
      return gen(Gen.XCHG, log2, 0, SEG_WRITE);
    }
    case 0x88: case 0x89: return movRmReg(log2);
    case 0x8a: case 0x8b: return movRegRm(log2);
    case 0x8c: {
      readModrm();
      if (lock || (modrm & 0x38) > 0x28) return invalid();
      return gen(Gen.MOV_FROM_SEG, isMem ? 1 : size, <i32>(modrm >> 3) & 7, SEG_WRITE);
    }
    case 0x8d: return lea();
    case 0x8e: {
      readModrm();
      const s = (modrm >> 3) & 7;
      if (lock || s == 1 || s > 5) return invalid();
      return rare(Rare.MOV_TO_SEG, 1, <i32>s, SEG_READ, 2);
    }
    case 0x8f: {
      readModrm();
      if (lock || (modrm & 0x38) != 0) return invalid();
      default64();
      if (!isMem) {
        return pop(rm);
      }
      return popMemory();
    }
    case 0x90:
      if (refuseLock()) return;
      if (!(rex & 1)) {
        emit(Op.NOP, 0, 0, 0, 0, 0, 0, 0); // and PAUSE
        return;
      }
    // fall through
    case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
      if (refuseLock()) return;
      return genSlots(Gen.XCHG, 0, ((op & 7) | (rex & 1 ? 8 : 0)) * 8, size, 0);
    case 0x98:
      if (refuseLock()) return;
      if (size == 3) emit(Op.CDQE, 0, 0, 0, 0, 0, 0, 0);
      else if (size == 2) emit(Op.CWDE, 0, 0, 0, 0, 0, 0, 0);
      else genSlots(Gen.CBW, 0, 0, 1, 0);
      return;
    case 0x99:
      if (refuseLock()) return;
      if (size == 3) emit(Op.CQO, 0, 0, 0, 0, 0, 0, 0);
      else if (size == 2) emit(Op.CDQ, 0, 0, 0, 0, 0, 0, 0);
      else genSlots(Gen.CWD, 0, 0, 1, 0);
      return;
    case 0x9a: if (long) invalid();
      else farImmediate(Rare.CALL_FAR);
      return;
    case 0x9b:
      if (refuseLock()) return;
      return fwait();
    case 0x9c:
      default64();
      if (refuseLock()) return;
      return genSlots(Gen.PUSHF, 0, 0, size, 0);
    case 0x9d:
      default64();
      if (refuseLock()) return;
      return rareSimple(Rare.POPF, size, 0);
    case 0x9e: if (!refuseLock()) genSlots(Gen.SAHF, 0, 0, 0, 0);
      return;
    case 0x9f: if (!refuseLock()) genSlots(Gen.LAHF, 0, 0, 0, 0);
      return;
    case 0xa0: case 0xa1: case 0xa2: case 0xa3: return absolute(op, log2);
    case 0xa4: case 0xa5: return stringOp(STRING_MOVS, log2);
    case 0xa6: case 0xa7: return stringOp(STRING_CMPS, log2);
    case 0xa8: case 0xa9: {
      const imm = immediate(log2);
      if (refuseLock()) return;
      setRmRegister(0);
      return testImmediate(log2, imm);
    }
    case 0xaa: case 0xab: return stringOp(STRING_STOS, log2);
    case 0xac: case 0xad: return stringOp(STRING_LODS, log2);
    case 0xae: case 0xaf: return stringOp(STRING_SCAS, log2);
    case 0xb0: case 0xb1: case 0xb2: case 0xb3: case 0xb4: case 0xb5: case 0xb6: case 0xb7: {
      const r = slot8((op & 7) | (rex & 1 ? 8 : 0));
      const imm = nextS8();
      if (refuseLock()) return;
      emit(Op.MOV8_RI, r, 0, 0, 0, 0, 0, imm);
      return;
    }
    case 0xb8: case 0xb9: case 0xba: case 0xbb: case 0xbc: case 0xbd: case 0xbe: case 0xbf: {
      const r = ((op & 7) | (rex & 1 ? 8 : 0)) * 8;
      if (size == 3) {
        const imm = next64();
        if (refuseLock()) return;
        emit64(Op.MOV64_RI, r, 0, 0, 0, 0, imm);
      } else {
        const imm = immediate(size);
        if (refuseLock()) return;
        emit(size == 2 ? Op.MOV32_RI : Op.MOV16_RI, r, 0, 0, 0, 0, 0, imm);
      }
      return;
    }
    case 0xc0: case 0xc1: return shiftImmediate(log2, false);
    case 0xd0: case 0xd1: return shiftImmediate(log2, true);
    case 0xd2: case 0xd3: return shiftByCl(log2);
    case 0xc2: case 0xc3: {
      const release = op == 0xc2 ? <i32>next16() : 0;
      if (refuseLock()) return;
      if (!long) return rareSimple(Rare.RET_NEAR, size, release);
      emit(Op.RET, 0, 0, 0, STACK, count(), 0, release);
      terminate();
      return;
    }
    case 0xc4: case 0xc5: {
      if (long) return invalid();
      readModrm();
      if (!isMem || lock) return invalid();
      return rare(Rare.LOAD_FAR, size, op == 0xc4 ? 0 : 3, SEG_READ, (1 << size) + 2);
    }
    case 0xc6: case 0xc7: return movRmImmediate(log2);
    case 0xc8: {
      const bytes = <i32>next16();
      const level = <i32>next8() & 31;
      default64();
      if (refuseLock()) return;
      return genSlots(Gen.ENTER, 0, 0, size, bytes | (level << 16));
    }
    case 0xc9:
      default64();
      if (refuseLock()) return;
      if (size == 3) emit(Op.LEAVE64, 0, 0, 0, STACK, 0, 0, 0);
      else genSlots(Gen.LEAVE, 0, 0, size, 0);
      return;
    case 0xca: case 0xcb: {
      const release = op == 0xca ? <i32>next16() : 0;
      if (refuseLock()) return;
      return rareSimple(Rare.RET_FAR, size, release);
    }
    case 0xcc: if (!refuseLock()) rareSimple(Rare.INT3, 0, 3);
      return;
    case 0xcd: {
      const vector = <i32>next8();
      if (!refuseLock()) rareSimple(Rare.INT, 0, vector);
      return;
    }
    case 0xce: if (long || lock) invalid();
      else rareSimple(Rare.INTO, 0, 4);
      return;
    case 0xcf: if (!refuseLock()) rareSimple(Rare.IRET, size, 0);
      return;
    case 0xd4: case 0xd5: {
      if (long) return invalid();
      if (refuseLock()) return;
      const base = <i32>next8();
      return genSlots(op == 0xd4 ? Gen.AAM : Gen.AAD, 0, 0, 0, base);
    }
    case 0xd6: if (long) invalid();
      else if (!refuseLock()) genSlots(Gen.SALC, 0, 0, 0, 0);
      return;
    case 0xd7: if (!refuseLock()) xlat();
      return;
    case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf: {
      readModrm();
      if (refuseLock()) return;
      if (!x87Defined(op, modrm)) return invalid();
      const group = (modrm >> 3) & 7;
      if (isMem) {
        // A pending exception comes before what the segment check finds.
        if (mode != MODE_64 && x87Waits(op, group)) fwait();
        prepareMem(x87Stores(op, group) ? SEG_WRITE : SEG_READ, x87Bytes(op, group, size == 1));
      }
      emit(Op.X87, op, <i32>modrm, isMem ? 1 : 0, size == 1 ? 1 : 0, rex & 8 ? 1 : 0, 0, 0);
      emitSecond(0, 0);
      return;
    }
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: {
      const d = nextS8();
      if (refuseLock()) return;
      const target = branchTarget(d);
      emit64(Op.RARE, 0, 0, addressSize, size, count(), nextRip());
      // The displacement, not the target: the second op has 32 bits.
      emit(0, 0, ZERO, ZERO, 0, op == 0xe0 ? Rare.LOOPNE : op == 0xe1 ? Rare.LOOPE : op == 0xe2 ? Rare.LOOP : Rare.JCXZ, 0, d);
      terminate();
      return;
    }
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: {
      const port = <i32>next8();
      if (refuseLock()) return;
      return rareSimple(op < 0xe6 ? Rare.IN : Rare.OUT, op & 1 ? min(size, 2) : 0, port);
    }
    case 0xec: case 0xed: if (!refuseLock()) rareSimple(Rare.IN, op & 1 ? min(size, 2) : 0, -1);
      return;
    case 0xee: case 0xef: if (!refuseLock()) rareSimple(Rare.OUT, op & 1 ? min(size, 2) : 0, -1);
      return;
    case 0xe8: return call(branchDisplacement());
    case 0xe9: return jump(branchDisplacement());
    case 0xea: if (long) invalid();
      else farImmediate(Rare.JMP_FAR);
      return;
    case 0xeb: return jump(nextS8());
    case 0xf1: if (!refuseLock()) rareSimple(Rare.INT1, 0, 1);
      return;
    case 0xf4: if (!refuseLock()) rareSimple(Rare.HLT, 0, 0);
      return;
    case 0xf5: if (!refuseLock()) genSlots(Gen.CMC, 0, 0, 0, 0);
      return;
    case 0xf6: case 0xf7: return group3(log2);
    case 0xf8: if (!refuseLock()) genSlots(Gen.CLC, 0, 0, 0, 0);
      return;
    case 0xf9: if (!refuseLock()) genSlots(Gen.STC, 0, 0, 0, 0);
      return;
    case 0xfa: if (!refuseLock()) rareSimple(Rare.CLI, 0, 0);
      return;
    case 0xfb: if (!refuseLock()) rareSimple(Rare.STI, 0, 0);
      return;
    case 0xfc: if (!refuseLock()) genSlots(Gen.CLD, 0, 0, 0, 0);
      return;
    case 0xfd: if (!refuseLock()) genSlots(Gen.STD, 0, 0, 0, 0);
      return;
    case 0xfe: {
      readModrm();
      const kind = (modrm >> 3) & 7;
      if (kind > 1 || (lock && !isMem)) return invalid();
      return incDec(kind, 0);
    }
    case 0xff: return group5(log2);
    default: return invalid();
  }
}

/** Does the x87 instruction with a memory operand write it? (SDM vol. 2, table A-7 on) */
function x87Stores(op: i32, digit: u32): bool {
  switch (op) {
    case 0xd9: return digit == 2 || digit == 3 || digit >= 6;
    case 0xdb: return (digit >= 1 && digit <= 3) || digit == 7;
    case 0xdd: return (digit >= 1 && digit <= 3) || digit >= 6;
    case 0xdf: return (digit >= 1 && digit <= 3) || digit >= 6;
    default: return false;
  }
}

/** #MF if an unmasked x87 exception is pending. */
export function fwait(): void {
  emit(Op.X87, 0x9b, 0, 0, 0, 0, 0, 0);
  emit(0, 0, ZERO, ZERO, 0, 0, 0, 0);
}

/** POP to memory: the address is computed with the incremented stack pointer (SDM vol. 2B, POP). */
function popMemory(): void {
  if (refuseLock()) return;
  const bytes = 1 << size;
  const usesSp = memB == 4 * 8;
  if (usesSp) bumpDisplacement(bytes);
  // The stack is read before the segment of the destination is checked.
  prepareMem(SEG_NONE, bytes);
  emit(Op.GEN, 0, 0, 1, size, Gen.POP_RM, 0, memSegment);
  emitSecond(0, 0);
}

function absolute(op: i32, log2: i32): void {
  const offset = addressSize == 3 ? next64() : addressSize == 2 ? <u64>(<u32>next32()) : <u64>next16();
  if (refuseLock()) return;
  setAbsolute(offset);
  prepareMem(op & 2 ? SEG_WRITE : SEG_READ, 1 << log2);
  if (op & 2) store_(0, log2);
  else load_(0, log2);
}

function xlat(): void {
  emit(Op.MOVZX8_RR, TMP1, 0, 0, 0, 0, 0, 0); // AL
  setXlat(TMP1);
  prepareMem(SEG_READ, 1);
  load_(0, 0);
}

function farImmediate(fn: i32): void {
  const offset = size == 1 ? <i32>next16() : next32();
  const selector = <i32>next16();
  if (refuseLock()) return;
  emit64(Op.RARE, 0, 0, 0, size, count(), nextRip());
  emit(0, 0, ZERO, ZERO, 0, fn, selector, offset);
  terminate();
}

function rareString(fn: i32, log2: i32): void {
  const seg = segment >= 0 ? segment : 3;
  emit64(Op.RARE, <i32>repeat, 0, addressSize, min(log2, 2), count(), nextRip());
  emit(0, 0, mode == MODE_64 && seg < 4 ? ZERO : segmentSlot(seg), ZERO, 0, fn, seg, 0);
  terminate();
}
