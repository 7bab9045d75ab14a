// One-byte opcodes: PUSH and POP.

import { genSlots, refuseLock } from "./decode-common";
import {
  SEG_NONE, STACK_SEGMENT, bumpDisplacement, default64, emit, emitSecond, memB, memSegment, prepareMem, size,
} from "./decode-state";
import { Gen, Op } from "./ops";

/** PUSH of register r. */
export function push(r: i32): void {
  default64();
  if (refuseLock()) return;
  if (size == 3) emit(Op.PUSH64, r * 8, 0, 0, STACK_SEGMENT, 0, 0, 0);
  else genSlots(Gen.PUSH, r * 8, 0, size, 0);
}

/** POP to register r. */
export function pop(r: i32): void {
  default64();
  if (refuseLock()) return;
  if (size == 3) emit(Op.POP64, r * 8, 0, 0, STACK_SEGMENT, 0, 0, 0);
  else genSlots(Gen.POP, r * 8, 0, size, 0);
}

/** PUSH of an immediate, already read. */
export function pushImmediate(imm: i32): void {
  if (refuseLock()) return;
  if (size == 3) emit(Op.PUSHI64, 0, 0, 0, STACK_SEGMENT, 0, 0, imm);
  else genSlots(Gen.PUSH_I, 0, 0, size, imm);
}

/** POP to memory: the address is computed with the incremented stack pointer (SDM vol. 2B, POP). */
export function popMemory(): void {
  if (refuseLock()) return;
  const bytes = 1 << size;
  const usesSp = memB == 4 * 8;
  if (usesSp) bumpDisplacement(bytes);
  // The stack is read before the segment of the destination is checked.
  prepareMem(SEG_NONE, bytes);
  emit(Op.GEN, 0, 0, 1, size, Gen.POP_RM, 0, memSegment);
  emitSecond(0, 0);
}
