// String instructions, and INS and OUTS.

import { refuseLock } from "./decode-common";
import { ZERO, addressSize, count, emit, emit64, mode, nextRip, repeat, segment, segmentSlot, terminate } from "./decode-state";
import { MODE_64 } from "./layout";
import { Op } from "./ops";

/** Kinds of STRING. */
export const STRING_MOVS: i32 = 0;
export const STRING_CMPS: i32 = 1;
export const STRING_STOS: i32 = 2;
export const STRING_LODS: i32 = 3;
export const STRING_SCAS: i32 = 4;

/** MOVS CMPS STOS LODS SCAS. */
export function stringOp(kind: i32, log2: i32): void {
  if (refuseLock()) return;
  const seg = segment >= 0 ? segment : 3;
  emit(Op.STRING, kind, mode == MODE_64 && seg < 4 ? ZERO : segmentSlot(seg), log2, <i32>repeat, addressSize, seg, 0);
  emit(0, 0, 0, 0, 0, 0, 0, 0);
}

/** INS or OUTS. */
export function rareString(fn: i32, log2: i32): void {
  const seg = segment >= 0 ? segment : 3;
  emit64(Op.RARE, <i32>repeat, 0, addressSize, min(log2, 2), count(), nextRip());
  emit(0, 0, mode == MODE_64 && seg < 4 ? ZERO : segmentSlot(seg), ZERO, 0, fn, seg, 0);
  terminate();
}
