// Branches: near and far jumps and calls, conditions, and their fusion with the comparison before them.

import { emitFault, emitLink, follow } from "./decode";
import { incDec } from "./decode-arithmetic";
import { genSlots, invalid, rare, rareSimple, refuseLock, rmToSlot } from "./decode-common";
import {
  SEG_READ, STACK_SEGMENT, ZERO, count, default64, emit, emit64, isMem, lock, mode, modrm, next16, next32, nextRip,
  overflow, previousOp, readModrm, setSize, shareIndex, size, terminate,
} from "./decode-state";
import { GP } from "./exception";
import { MODE_64 } from "./layout";
import { Gen, Op, Rare } from "./ops";
import { limitOf } from "./segment";

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
export function branchTarget(displacement: i32): u64 {
  const t = nextRip() + <u64>(<i64>displacement);
  if (mode == MODE_64) return t;
  return size == 1 ? t & 0xffff : t & 0xffffffff;
}

/** Is the target beyond the limit of the code segment? What is decoded is dropped when the limit changes. */
function isOutside(target: u64): bool {
  return mode != MODE_64 && target > <u64>limitOf(1);
}

/** Displacement of CALL, JMP and the long Jcc. */
export function branchDisplacement(): i32 {
  return size == 1 && mode != MODE_64 ? <i32>(<i16>next16()) : next32();
}

/** Jcc; becomes one op with the comparison before it where there is a fused one. */
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

/** JMP to a relative target; decoding goes on there where it can. */
export function jump(displacement: i32): void {
  if (refuseLock()) return;
  const target = branchTarget(displacement);
  if (isOutside(target)) return emitFault(GP, 0);
  if (follow(target)) return;
  const p = emit(Op.JUMP, 0, 0, 0, 0, count(), 0, 0);
  emitLink(target, p + 8);
  terminate();
}

/** CALL to a relative target. */
export function call(displacement: i32): void {
  if (refuseLock()) return;
  if (mode != MODE_64) return rareSimple(Rare.CALL_NEAR, size, <i32>branchTarget(displacement));
  const after = nextRip();
  emit64(Op.CALL, 0, 0, 0, STACK_SEGMENT, count(), after);
  const p = emit(0, 0, 0, 0, 0, 0, 0, 0);
  emitLink(branchTarget(displacement), p + 8);
  terminate();
}

/** Group 5: INC DEC CALL JMP PUSH of rm. */
export function group5(): void {
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
        if (kind == 2) emit64(Op.CALL_R, s, 0, 0, STACK_SEGMENT, count(), nextRip());
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
      if (size == 3) emit(Op.PUSH64, s, 0, 0, STACK_SEGMENT, 0, 0, 0);
      else genSlots(Gen.PUSH, s, 0, size, 0);
      return;
    }
    default:
      invalid();
  }
}

/** CALL or JMP (fn) to a pointer in the instruction. */
export function farImmediate(fn: i32): void {
  const offset = size == 1 ? <i32>next16() : next32();
  const selector = <i32>next16();
  if (refuseLock()) return;
  emit64(Op.RARE, 0, 0, 0, size, count(), nextRip());
  emit(0, 0, ZERO, ZERO, 0, fn, selector, offset);
  terminate();
}
