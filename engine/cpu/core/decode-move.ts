// One-byte opcodes: MOV in its forms, LEA, XLAT.

import { immediate, invalid, refuseLock } from "./decode-common";
import {
  SEG_READ, SEG_WRITE, TMP1, ZERO, addressSize, emit, emit64, emitMem, isMem, lock, memB, memC, memD, memS, modrm, next16,
  next32, next64, prepareLea, prepareMem, readModrm, reg, rm, setAbsolute, setXlat, size, slot,
} from "./decode-state";
import { Op } from "./ops";

/** MOV to rm from a register. */
export function movRmReg(log2: i32): void {
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

/** MOV to a register from rm. */
export function movRegRm(log2: i32): void {
  readModrm();
  if (refuseLock()) return;
  const a = slot(reg, log2);
  if (!isMem) emit(Op.MOV8_RR + log2, a, slot(rm, log2), 0, 0, 0, 0, 0);
  else {
    prepareMem(SEG_READ, 1 << log2);
    load_(a, log2);
  }
}

/** Group 11: MOV of an immediate to rm. */
export function movRmImmediate(log2: i32): void {
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

export function lea(): void {
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

/** MOV between the accumulator and an absolute address (A0 to A3). */
export function absolute(op: i32, log2: i32): void {
  const offset = addressSize == 3 ? next64() : addressSize == 2 ? <u64>(<u32>next32()) : <u64>next16();
  if (refuseLock()) return;
  setAbsolute(offset);
  prepareMem(op & 2 ? SEG_WRITE : SEG_READ, 1 << log2);
  if (op & 2) store_(0, log2);
  else load_(0, log2);
}

/** XLAT: AL from the table at rBX. */
export function xlat(): void {
  emit(Op.MOVZX8_RR, TMP1, 0, 0, 0, 0, 0, 0); // AL
  setXlat(TMP1);
  prepareMem(SEG_READ, 1);
  load_(0, 0);
}
