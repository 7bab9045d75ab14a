// The x87 register stack, status word and the ends every x87 instruction has: stack faults, flags, delivering a result.
import { FCW, FPR, FSW, FTW } from "./layout";
import { CLS_INF, CLS_QNAN, CLS_SNAN, CLS_UNSUPPORTED, CLS_ZERO, EXC_INVALID, EXC_PRE_COMPUTATION, clsOf, sigOf, signOf, softBegin,
  softExp, softFlags, softHi, softRaise, softRoundedUp, softSign, softUnmasked, unpack80 } from "./softfloat-core";
import { SOFT_A, SOFT_B } from "./layout";

export const C0: u32 = 0x100;
export const C1: u32 = 0x200;
export const C2: u32 = 0x400;
export const C3: u32 = 0x4000;
/** FSW.SF, raised together with invalid. */
export const STACK_FAULT: i32 = 0x40;

/** The default NaN ("real indefinite"). */
export const INDEFINITE_SIG: u64 = 0xc000000000000000;
export const INDEFINITE_SIGN_EXP: u32 = 0xffff;

/** Sets ES and B of the status word if an exception is flagged that the control word does not mask; else clears them. */
export function updateSummary(): void {
  const fsw = <u32>load<u16>(FSW);
  const pending = fsw & ~(<u32>load<u16>(FCW)) & 0x3f;
  store<u16>(FSW, <u16>(pending ? fsw | 0x8080 : fsw & ~0x8080));
}

@inline
export function getTop(): u32 {
  return (<u32>load<u16>(FSW) >> 11) & 7;
}

@inline
export function setTop(top: u32): void {
  store<u16>(FSW, (load<u16>(FSW) & ~0x3800) | <u16>((top & 7) << 11));
}

/** Address of ST(i). */
@inline
export function st(i: u32): usize {
  return FPR + (<usize>((getTop() + i) & 7) << 4);
}

@inline
export function isEmpty(i: u32): bool {
  return !((load<u8>(FTW) >> <u8>((getTop() + i) & 7)) & 1);
}

@inline
export function setEmpty(i: u32): void {
  store<u8>(FTW, load<u8>(FTW) & <u8>~(<u32>1 << ((getTop() + i) & 7)));
}

/** Makes room for a new ST(0); the caller writes it. */
export function push(): void {
  setTop(getTop() - 1);
}

export function pop(): void {
  setEmpty(0);
  setTop(getTop() + 1);
}

/** Writes ST(i) and marks it valid. */
export function setSt(i: u32, sig: u64, signExp: u32): void {
  const p = st(i);
  store<u64>(p, sig);
  store<u16>(p, <u16>signExp, 8);
  store<u8>(FTW, load<u8>(FTW) | <u8>(<u32>1 << ((getTop() + i) & 7)));
}

/** Unpacks ST(i) into a softfloat operand. */
export function unpackSt(operand: usize, i: u32): void {
  const p = st(i);
  unpack80(operand, load<u64>(p), load<u16>(p, 8));
}

/** Sets the condition code bits in `mask` to those in `bits`. */
@inline
export function setConditions(mask: u32, bits: u32): void {
  store<u16>(FSW, <u16>((<u32>load<u16>(FSW) & ~mask) | bits));
}

/** Starts an x87 instruction in the softfloat kernel with FCW's masks and rounding; C1 is cleared. */
export function x87Begin(): void {
  const fcw = <i32>load<u16>(FCW);
  softBegin(fcw & 0x3f, (fcw >> 10) & 3, false, false);
  setConditions(C1, 0);
}

/** Significand bits that the precision control leaves to FADD, FSUB, FMUL, FDIV and FSQRT. */
export function controlledPrecision(): i32 {
  switch ((load<u16>(FCW) >> 8) & 3) {
    case 0: return 24;
    case 2: return 53;
    default: return 64;
  }
}

export function stackUnderflow(): void {
  softRaise(EXC_INVALID | STACK_FAULT);
}

export function stackOverflow(): void {
  softRaise(EXC_INVALID | STACK_FAULT);
  setConditions(C1, C1);
}

/**
 * Moves the raised exceptions into the status word. Returns false if one of invalid, denormal or zero-divide is
 * unmasked: then the instruction leaves its operands, the stack and memory as they were.
 */
export function noteExceptions(): bool {
  const flags = softFlags();
  if (flags) {
    store<u16>(FSW, load<u16>(FSW) | <u16>flags);
    updateSummary();
  }
  return !softUnmasked(EXC_PRE_COMPUTATION);
}

/** C1 tells whether the last rounding went up. */
@inline
export function noteRounding(): void {
  if (softRoundedUp()) setConditions(C1, C1);
}

/** Writes the softfloat result (rounded) to ST(i). */
export function setStResult(i: u32, cls: i32): void {
  const s = <u32>softSign() << 15;
  if (cls == CLS_ZERO) setSt(i, 0, s);
  else if (cls == CLS_INF) setSt(i, 0x8000000000000000, s | 0x7fff);
  else if (cls >= CLS_QNAN) setSt(i, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
  else {
    const hi = softHi();
    const e = hi >> 63 ? <u32>(softExp() + 16383) & 0x7fff : 0;
    setSt(i, hi, s | e);
  }
}

let nanSig: u64 = 0;
let nanSignExp: u32 = 0;

@inline
export function propagatedSig(): u64 {
  return nanSig;
}
@inline
export function propagatedSignExp(): u32 {
  return nanSignExp;
}

@inline
function takeNan(operand: usize): void {
  nanSig = sigOf(operand) | 0x4000000000000000;
  nanSignExp = (<u32>signOf(operand) << 15) | 0x7fff;
}

/** Is operand p a NaN or an encoding that is not supported? */
@inline
export function isNan(p: usize): bool {
  return clsOf(p) >= CLS_QNAN;
}

/**
 * The NaN that results from operands A and B, of which at least one is a NaN or unsupported (SDM vol. 1 table 4-7);
 * notes invalid for a signalling NaN or an unsupported encoding.
 */
export function propagateNan(): void {
  const a = clsOf(SOFT_A);
  const b = clsOf(SOFT_B);
  if (a >= CLS_SNAN || b >= CLS_SNAN) softRaise(EXC_INVALID);
  if (a == CLS_UNSUPPORTED || b == CLS_UNSUPPORTED) {
    nanSig = INDEFINITE_SIG;
    nanSignExp = INDEFINITE_SIGN_EXP;
  } else if (b < CLS_QNAN) takeNan(SOFT_A);
  else if (a < CLS_QNAN) takeNan(SOFT_B);
  else if (a != b) takeNan(a == CLS_QNAN ? SOFT_A : SOFT_B);
  else if (sigOf(SOFT_A) != sigOf(SOFT_B)) takeNan(sigOf(SOFT_A) > sigOf(SOFT_B) ? SOFT_A : SOFT_B);
  else takeNan(signOf(SOFT_A) ? SOFT_B : SOFT_A);
}

/** The NaN that results from operand A alone. */
export function propagateNanOfA(): void {
  store<i32>(SOFT_B, CLS_ZERO);
  propagateNan();
}

/** Writes the propagated NaN to ST(i) if nothing unmasked keeps it. True if it was written. */
export function deliverNan(i: u32): bool {
  if (!noteExceptions()) return false;
  setSt(i, nanSig, nanSignExp);
  return true;
}

/** Ends an instruction that found ST registers empty: the indefinite to ST(i) unless invalid is unmasked. */
export function deliverUnderflow(i: u32): bool {
  stackUnderflow();
  if (!noteExceptions()) return false;
  setSt(i, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
  return true;
}

/** Ends a load that found ST(7) full: pushes the indefinite unless invalid is unmasked. */
export function deliverOverflow(): void {
  stackOverflow();
  if (!noteExceptions()) return;
  push();
  setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
}

/**
 * Begins an instruction on ST(0) alone: its value as operand A. False if that was all, because the register is empty or
 * a NaN.
 */
export function beginWithSt0(): bool {
  x87Begin();
  if (isEmpty(0)) {
    deliverUnderflow(0);
    return false;
  }
  unpackSt(SOFT_A, 0);
  if (!isNan(SOFT_A)) return true;
  propagateNanOfA();
  deliverNan(0);
  return false;
}
