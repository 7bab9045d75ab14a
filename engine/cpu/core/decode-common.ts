// Forms that instructions of every kind are decoded to: refusals, generic and system ops, immediates, operands.

import { emitFault } from "./decode";
import {
  SEG_READ, TMP1, ZERO, count, emit, emit64, emitMem, emitSecond, isMem, lock, next16, next32, nextRip, nextS8,
  prepareMem, reg, rm, slot, terminate,
} from "./decode-state";
import { UD } from "./exception";
import { Op } from "./ops";

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
  emit64(Op.RARE, reg * 8, isMem ? 0 : rm * 8, isMem ? 1 : 0, log2, count(), nextRip());
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

/** #MF if an unmasked x87 exception is pending. */
export function fwait(): void {
  emit(Op.X87, 0x9b, 0, 0, 0, 0, 0, 0);
  emit(0, 0, ZERO, ZERO, 0, 0, 0, 0);
}
