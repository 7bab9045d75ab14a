// x87 instructions that take numbers apart: FPREM, FPREM1, FSCALE, FRNDINT, FXTRACT.
import { SOFT_A, SOFT_B } from "./layout";
import { CLS_FINITE, CLS_INF, CLS_ZERO, EXC_DENORMAL, EXC_INVALID, EXC_OVERFLOW, EXC_PRECISION, EXC_UNDERFLOW, EXC_ZERO_DIVIDE, X87_EXPONENT_WRAP, clsOf, expOf, isDenormal, sigOf, signOf,
  softMasksOut, softNormalize, softRaise, softRoundToIntegral, softSetResult } from "./softfloat-core";
import { C0, C1, C2, C3, INDEFINITE_SIG, INDEFINITE_SIGN_EXP, deliverNan, deliverUnderflow, isEmpty, isNan, noteExceptions, noteRounding, propagateNan,
  propagateNanOfA, propagatedSig, propagatedSignExp, push, setConditions, setSt, setStResult, stackOverflow, stackUnderflow, unpackSt, x87Begin, beginWithSt0 } from "./x87-state";
import { softRound80 } from "./x87-arith";

/** Invalid: the indefinite to ST(0) unless unmasked. */
export function deliverInvalid(): void {
  softRaise(EXC_INVALID);
  if (noteExceptions()) setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
}

/** FPREM (truncating quotient) and FPREM1 (nearest quotient): one step of ST(0) modulo ST(1). */
export function partialRemainder(nearest: bool): void {
  x87Begin();
  setConditions(C2, 0);
  if (isEmpty(0) || isEmpty(1)) {
    deliverUnderflow(0);
    return;
  }
  unpackSt(SOFT_A, 0);
  unpackSt(SOFT_B, 1);
  if (isNan(SOFT_A) || isNan(SOFT_B)) {
    propagateNan();
    deliverNan(0);
    return;
  }
  const a = clsOf(SOFT_A);
  const b = clsOf(SOFT_B);
  if (a == CLS_INF || b == CLS_ZERO) {
    deliverInvalid();
    return;
  }
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  if (!noteExceptions()) return;
  if (a == CLS_ZERO || b == CLS_INF) {
    // A finite number modulo infinity is itself; a denormal is delivered as the denormal it was.
    softSetResult(signOf(SOFT_A), expOf(SOFT_A), sigOf(SOFT_A), 0);
    finishRemainder(a, 0);
    return;
  }
  reduce(nearest);
}

/** Rounds and delivers a remainder, with the low bits of the quotient in C0 (Q2), C3 (Q1), C1 (Q0). */
function finishRemainder(cls: i32, quotient: u64): void {
  const rounded = cls == CLS_FINITE ? softRound80(64) : cls;
  noteExceptions();
  setStResult(0, rounded);
  setConditions(C0 | C1 | C2 | C3, (quotient & 4 ? C0 : 0) | (quotient & 2 ? C3 : 0) | (quotient & 1 ? C1 : 0));
}

function reduce(nearest: bool): void {
  const expB = expOf(SOFT_B);
  const sigB = sigOf(SOFT_B);
  const difference = expOf(SOFT_A) - expB;
  let sign = signOf(SOFT_A);
  let rest = sigOf(SOFT_A);
  let quotient: u64 = 0;
  if (difference < -1 || (difference < 0 && !nearest)) {
    softSetResult(sign, expOf(SOFT_A), rest, 0);
    finishRemainder(CLS_FINITE, 0);
    return;
  }
  // Beyond 63 the exponent difference is reduced by 32 to 63 only, and C2 says that more is to do (SDM: FPREM).
  const partial = difference >= 64;
  const steps = partial ? (difference & 31) | 32 : difference;
  // Long division, one bit a step; `rest` has 65 bits while it is doubled.
  let exp = expB;
  let carry = false;
  if (difference < 0) {
    // FPREM1 of a number just below the modulus: the quotient is 0 or 1.
    exp = expB - 1;
  } else {
    for (let i = 0; i <= steps; i++) {
      quotient <<= 1;
      if (carry || rest >= sigB) {
        rest -= sigB;
        quotient |= 1;
      }
      if (i < steps) {
        carry = (rest >> 63) != 0;
        rest <<= 1;
      }
    }
  }
  if (partial) {
    softSetResult(sign, expOf(SOFT_A) - steps, rest, 0);
    if (rest != 0) softNormalize();
    const cls = rest == 0 ? CLS_ZERO : softRound80(64);
    noteExceptions();
    setStResult(0, cls);
    setConditions(C0 | C1 | C2 | C3, C2);
    return;
  }
  if (nearest) {
    // Compare twice the rest with the modulus; a tie makes the quotient even.
    let more: bool;
    let tie = false;
    if (difference < 0) {
      more = rest > sigB;
      tie = rest == sigB;
    } else {
      more = rest >> 63 != 0 || rest << 1 > sigB;
      tie = rest >> 63 == 0 && rest << 1 == sigB;
    }
    if (more || (tie && (quotient & 1) != 0)) {
      quotient++;
      sign ^= 1;
      if (difference < 0) {
        // 2 * sigB - rest in units of 2^(expB - 1): fits 64 bits because rest > sigB.
        rest = sigB - (rest - sigB);
      } else rest = sigB - rest;
    }
  }
  if (rest == 0) {
    softSetResult(signOf(SOFT_A), 0, 0, 0);
    finishRemainder(CLS_ZERO, quotient);
    return;
  }
  softSetResult(sign, exp, rest, 0);
  softNormalize();
  finishRemainder(CLS_FINITE, quotient);
}

/** FSCALE: ST(0) times two to the integer part of ST(1). */
export function scale(): void {
  x87Begin();
  if (isEmpty(0) || isEmpty(1)) {
    deliverUnderflow(0);
    return;
  }
  unpackSt(SOFT_A, 1);
  unpackSt(SOFT_B, 0);
  if (isNan(SOFT_A) || isNan(SOFT_B)) {
    propagateNan();
    deliverNan(0);
    return;
  }
  const by = clsOf(SOFT_A);
  const cls = clsOf(SOFT_B);
  const sign = signOf(SOFT_B);
  if (by == CLS_INF && (signOf(SOFT_A) ? cls == CLS_INF : cls == CLS_ZERO)) {
    deliverInvalid();
    return;
  }
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  if (!noteExceptions()) return;
  let result = cls;
  let exp = expOf(SOFT_B);
  if (by == CLS_INF) result = signOf(SOFT_A) ? CLS_ZERO : CLS_INF;
  else if (by == CLS_FINITE && expOf(SOFT_A) >= 0) {
    // Far outside the exponent range one distance is as good as another.
    const e = expOf(SOFT_A);
    const magnitude = e > 16 ? 0x1ffff : <i32>(sigOf(SOFT_A) >> (63 - e));
    exp += signOf(SOFT_A) ? -magnitude : magnitude;
  }
  softSetResult(sign, exp, sigOf(SOFT_B), 0);
  if (result == CLS_FINITE) {
    // So far out that not even the exponent wrap of an unmasked exception brings the result back into range.
    if (exp < -16382 - X87_EXPONENT_WRAP && softMasksOut(EXC_UNDERFLOW)) {
      softRaise(EXC_UNDERFLOW | EXC_PRECISION);
      result = CLS_ZERO;
    } else if (exp > 16383 + X87_EXPONENT_WRAP && softMasksOut(EXC_OVERFLOW)) {
      softRaise(EXC_OVERFLOW | EXC_PRECISION);
      setConditions(C1, C1);
      result = CLS_INF;
    } else result = softRound80(64);
  }
  noteExceptions();
  noteRounding();
  setStResult(0, result);
}

/** FRNDINT. */
export function roundToInteger(): void {
  if (!beginWithSt0()) return;
  if (isDenormal(SOFT_A)) softRaise(EXC_DENORMAL);
  if (!noteExceptions()) return;
  if (clsOf(SOFT_A) != CLS_FINITE) return;
  const cls = softRoundToIntegral(64);
  noteExceptions();
  noteRounding();
  setStResult(0, cls);
}

/** FXTRACT: the exponent of ST(0) replaces it, then its significand is pushed. */
export function extract(): void {
  x87Begin();
  if (isEmpty(0) || !isEmpty(7)) {
    if (isEmpty(0)) stackUnderflow();
    else stackOverflow();
    if (!noteExceptions()) return;
    setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    push();
    setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    return;
  }
  unpackSt(SOFT_A, 0);
  if (isNan(SOFT_A)) {
    propagateNanOfA();
    if (!deliverNan(0)) return;
    push();
    setSt(0, propagatedSig(), propagatedSignExp());
    return;
  }
  const cls = clsOf(SOFT_A);
  const sign = signOf(SOFT_A);
  if (cls == CLS_ZERO) softRaise(EXC_ZERO_DIVIDE);
  if (isDenormal(SOFT_A)) softRaise(EXC_DENORMAL);
  if (!noteExceptions()) return;
  if (cls == CLS_FINITE) {
    const e = expOf(SOFT_A);
    // The exponent as a number: its magnitude has at most 15 bits.
    const magnitude = <u64>(e < 0 ? -e : e);
    if (magnitude == 0) setSt(0, 0, 0);
    else {
      const shift = <i32>clz(magnitude);
      setSt(0, magnitude << shift, (e < 0 ? 0x8000 : 0) | <u32>(16383 + 63 - shift));
    }
    push();
    setSt(0, sigOf(SOFT_A), (<u32>sign << 15) | 16383);
    return;
  }
  setSt(0, 0x8000000000000000, cls == CLS_ZERO ? 0xffff : 0x7fff);
  push();
  if (cls == CLS_ZERO) setSt(0, 0, <u32>sign << 15);
  else setSt(0, 0x8000000000000000, (<u32>sign << 15) | 0x7fff);
}
