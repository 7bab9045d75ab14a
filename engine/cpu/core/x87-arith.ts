// x87 arithmetic and comparison on registers and memory operands: FADD, FSUB, FMUL, FDIV, FSQRT, FCOM and their kin.
import { FSW, SOFT_A, SOFT_B } from "./layout";
import { setArithFlags } from "./flags";
import { ARITH_ADD, ARITH_DIV, ARITH_MUL, ARITH_SQRT, ARITH_SUB, CLS_FINITE, CLS_INF, CLS_QNAN, CLS_SNAN, CLS_ZERO, EXC_DENORMAL, EXC_INVALID,
  EXC_PRE_COMPUTATION, X87_EXPONENT_WRAP, clsOf, isDenormal, setOperand, signOf, softArith, softCompare, softRaise, softRound,
  softUnmasked } from "./softfloat-core";
import { C0, C1, C2, C3, controlledPrecision, deliverNan, deliverUnderflow, isEmpty, isNan, noteExceptions, noteRounding, pop, propagateNan,
  setConditions, setStResult, stackUnderflow, unpackSt, x87Begin } from "./x87-state";

/** Rounds to the 80-bit format with `precision` bits. */
export function softRound80(precision: i32): i32 {
  return softRound(precision, -16382, 16383, X87_EXPONENT_WRAP);
}

/** Operation of ModRM.reg: 0 add, 1 mul, 4 sub, 5 subr, 6 div, 7 divr. */
@inline
function kindOf(group: i32): i32 {
  return group == 0 ? ARITH_ADD : group == 1 ? ARITH_MUL : group < 6 ? ARITH_SUB : ARITH_DIV;
}

/** A op B to ST(dest). False if an unmasked exception kept the result from being written. */
function operate(kind: i32, dest: u32): bool {
  if (isNan(SOFT_B) || (kind != ARITH_SQRT && isNan(SOFT_A))) {
    if (kind == ARITH_SQRT) store<i32>(SOFT_A, CLS_ZERO);
    propagateNan();
    return deliverNan(dest);
  }
  let cls = softArith(kind);
  if (softUnmasked(EXC_PRE_COMPUTATION)) {
    noteExceptions();
    return false;
  }
  if (cls == CLS_FINITE) cls = softRound80(controlledPrecision());
  noteExceptions();
  noteRounding();
  setStResult(dest, cls);
  return true;
}

/** D8, DC, DE register forms: ST(dest) = ST(first) op ST(second), then perhaps a pop. `group` is ModRM.reg. */
export function arithRegisters(group: i32, i: u32, toSti: bool, popAfter: bool): void {
  x87Begin();
  const dest = toSti ? i : 0;
  let done: bool;
  if (isEmpty(0) || isEmpty(i)) done = deliverUnderflow(dest);
  else {
    // For the reversed operations ModRM.reg is odd; the forms that write ST(i) have the two exchanged, so that in every
    // form an even group computes ST(0) op ST(i).
    const reversed = group >= 4 && (group & 1) != 0;
    unpackSt(SOFT_A, reversed ? i : 0);
    unpackSt(SOFT_B, reversed ? 0 : i);
    done = operate(kindOf(group), dest);
  }
  if (done && popAfter) pop();
}

/** ST(0) = ST(0) op operand, which the caller unpacked into SOFT_B after x87Begin. */
export function arithMemory(group: i32): void {
  if (isEmpty(0)) {
    deliverUnderflow(0);
    return;
  }
  if (group >= 4 && group & 1) {
    memory.copy(SOFT_A, SOFT_B, 24);
    unpackSt(SOFT_B, 0);
  } else unpackSt(SOFT_A, 0);
  operate(kindOf(group), 0);
}

export function squareRoot(): void {
  x87Begin();
  if (isEmpty(0)) {
    deliverUnderflow(0);
    return;
  }
  unpackSt(SOFT_B, 0);
  operate(ARITH_SQRT, 0);
}

// --- comparison ------------------------------------------------------------------------------------------------------

/** Order of A and B as C3, C2, C0; notes invalid and denormal. `quiet`: a quiet NaN is no exception. */
function compareOperands(quiet: bool): u32 {
  if (isNan(SOFT_A) || isNan(SOFT_B)) {
    if (!quiet || clsOf(SOFT_A) >= CLS_SNAN || clsOf(SOFT_B) >= CLS_SNAN) softRaise(EXC_INVALID);
    return C3 | C2 | C0;
  }
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  const order = softCompare();
  return order == 0 ? C3 : order < 0 ? C0 : 0;
}

/** Notes a comparison's result in the condition codes, whatever is unmasked, and its exceptions; false: no pop. */
function deliverComparison(conditions: u32): bool {
  setConditions(C0 | C2 | C3, conditions);
  return noteExceptions();
}

/** FCOM, FCOMP, FCOMPP, FUCOM, FUCOMP, FUCOMPP: ST(0) with ST(i), then `pops` pops. */
export function compareRegisters(i: u32, quiet: bool, pops: i32): void {
  x87Begin();
  let conditions: u32;
  if (isEmpty(0) || isEmpty(i)) {
    stackUnderflow();
    conditions = C0 | C2 | C3;
  } else {
    unpackSt(SOFT_A, 0);
    unpackSt(SOFT_B, i);
    conditions = compareOperands(quiet);
  }
  if (!deliverComparison(conditions)) return;
  for (let n = 0; n < pops; n++) pop();
}

/** FCOM, FCOMP with memory: ST(0) with the operand that the caller unpacked into SOFT_B after x87Begin. */
export function compareMemory(popAfter: bool): void {
  let conditions: u32;
  if (isEmpty(0)) {
    stackUnderflow();
    conditions = C0 | C2 | C3;
  } else {
    unpackSt(SOFT_A, 0);
    conditions = compareOperands(false);
  }
  if (deliverComparison(conditions) && popAfter) pop();
}

/** FTST: ST(0) with 0. */
export function testZero(): void {
  x87Begin();
  setOperand(SOFT_B, CLS_ZERO, 0, 0, 0, 0);
  compareMemory(false);
}

/** FCOMI, FCOMIP, FUCOMI, FUCOMIP: the order into ZF, PF, CF. */
export function compareFlags(i: u32, quiet: bool, popAfter: bool): void {
  // C1 is cleared for a stack fault only (the SDM has it always cleared).
  const conditionC1 = <u32>load<u16>(FSW) & C1;
  x87Begin();
  let conditions: u32;
  if (isEmpty(0) || isEmpty(i)) {
    stackUnderflow();
    conditions = C0 | C2 | C3;
  } else {
    setConditions(C1, conditionC1);
    unpackSt(SOFT_A, 0);
    unpackSt(SOFT_B, i);
    conditions = compareOperands(quiet);
  }
  setArithFlags((conditions & C0 ? 1 : 0) | (conditions & C2 ? 4 : 0) | (conditions & C3 ? 0x40 : 0));
  if (noteExceptions() && popAfter) pop();
}

/** FXAM: class and sign of ST(0) into the condition codes. */
export function examine(): void {
  unpackSt(SOFT_A, 0);
  let bits: u32;
  if (isEmpty(0)) bits = C3 | C0;
  else {
    switch (clsOf(SOFT_A)) {
      case CLS_ZERO: bits = C3; break;
      case CLS_FINITE: bits = isDenormal(SOFT_A) ? C3 | C2 : C2; break;
      case CLS_INF: bits = C2 | C0; break;
      case CLS_QNAN: case CLS_SNAN: bits = C0; break;
      default: bits = 0;
    }
  }
  setConditions(C0 | C1 | C2 | C3, bits | (signOf(SOFT_A) ? C1 : 0));
}
