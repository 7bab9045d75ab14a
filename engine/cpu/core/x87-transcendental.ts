// x87 transcendental instructions. Special operands follow SDM vol. 2 (tables of F2XM1, FPATAN, FYL2X ...) and the
// processor; ordinary results are computed with 128-bit significands and rounded once, so that they are correctly
// rounded but for about one case in 2^60. Silicon promises an error below one unit in the last place.
import { SOFT_A, SOFT_B } from "./layout";
import { CLS_FINITE, CLS_INF, CLS_ZERO, EXC_DENORMAL, EXC_INVALID, EXC_PRECISION, EXC_UNDERFLOW, EXC_ZERO_DIVIDE, clsOf, expOf, isDenormal, sigOf, signOf, softHi, softRaise,
  softSetResult } from "./softfloat-core";
import { C2, deliverNan, deliverUnderflow, INDEFINITE_SIG, INDEFINITE_SIGN_EXP, isEmpty, isNan, noteExceptions, noteRounding, pop, propagateNan,
  propagateNanOfA, propagatedSig, propagatedSignExp, push, setConditions, setSt, setStResult, stackOverflow, unpackSt, x87Begin, beginWithSt0 } from "./x87-state";
import { softRound80 } from "./x87-arith";
import { WIDE_ARG, WIDE_ARG2, WIDE_RESULT, WIDE_RESULT2, wideAtan, wideCos, wideExp2m1, wideLog2OfRatio, wideReduceQuarter, wideSetPi,
  wideSin } from "./softfloat-elementary";
import { wideAdd, wideDiv, wideExp, wideHi, wideIsZero, wideLo, wideMul, wideSet, wideSetInteger, wideSetSign, wideSign, wideSub } from "./softfloat-wide";

const MSB: u64 = 0x8000000000000000;
/** 1/sqrt(2) and sqrt(2), as far as choosing a reduction needs them. */
const SQRT2_SIG: u64 = 0xb504f333f9de6484;

/** Below two to this power, x^3 is less than 2^-128 of x. */
const TINY_EXPONENT: i32 = -64;

/** Makes a wide number the unrounded result. `inexact`: bits follow below. */
function takeWide(p: usize, inexact: bool): void {
  softSetResult(wideSign(p), wideExp(p), wideHi(p), wideLo(p) | <u64>inexact);
}

/** Rounds the wide number p into ST(i). */
function deliverWide(i: u32, p: usize, inexact: bool): void {
  let cls = CLS_ZERO;
  if (wideIsZero(p)) softSetResult(wideSign(p), 0, 0, 0);
  else {
    takeWide(p, inexact);
    cls = softRound80(64);
    // Also where the result happens to be exact, such as the logarithm of a power of two.
    softRaise(cls == CLS_FINITE && !(softHi() & MSB) ? EXC_PRECISION | EXC_UNDERFLOW : EXC_PRECISION);
  }
  noteExceptions();
  noteRounding();
  setStResult(i, cls);
}

@inline
function wideOperand(to: usize, operand: usize): void {
  wideSet(to, signOf(operand), expOf(operand), sigOf(operand), 0);
}

// --- exponential and logarithms --------------------------------------------------------------------------------------

/** F2XM1: ST(0) = 2^ST(0) - 1 for -1 <= ST(0) <= 1; outside the operand is left as it is. */
function exponential(): void {
  if (!beginWithSt0()) return;
  const cls = clsOf(SOFT_A);
  if (cls == CLS_ZERO) return;
  if (cls == CLS_INF) {
    if (signOf(SOFT_A)) setSt(0, MSB, 0xbfff);
    return;
  }
  if (isDenormal(SOFT_A)) softRaise(EXC_DENORMAL);
  if (!noteExceptions()) return;
  const e = expOf(SOFT_A);
  if (e >= 0) {
    if (e > 0 || sigOf(SOFT_A) != MSB) {
      // Undefined by the manuals; what processors do is this.
      softRaise(EXC_PRECISION);
      noteExceptions();
      return;
    }
    if (signOf(SOFT_A)) {
      softRaise(EXC_PRECISION);
      noteExceptions();
      setSt(0, MSB, 0xbffe);
      return;
    }
    // 2^1 - 1: processors take it for a number just below 1.
    wideSet(WIDE_RESULT, 0, -1, ~0, ~0);
    deliverWide(0, WIDE_RESULT, true);
    return;
  }
  wideOperand(WIDE_ARG, SOFT_A);
  wideExp2m1(WIDE_RESULT, WIDE_ARG);
  deliverWide(0, WIDE_RESULT, true);
}

/** Both operands of FYL2X, FYL2XP1, FPATAN: A = ST(0), B = ST(1). False if the instruction is finished already. */
function twoOperands(): bool {
  x87Begin();
  if (isEmpty(0) || isEmpty(1)) {
    if (deliverUnderflow(1)) pop();
    return false;
  }
  unpackSt(SOFT_A, 0);
  unpackSt(SOFT_B, 1);
  if (isNan(SOFT_A) || isNan(SOFT_B)) {
    propagateNan();
    if (deliverNan(1)) pop();
    return false;
  }
  return true;
}

/** Invalid for a two-operand instruction: the indefinite to ST(1), and a pop. */
function invalidTwo(): void {
  softRaise(EXC_INVALID);
  if (!noteExceptions()) return;
  setSt(1, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
  pop();
}

/** A special result (zero or infinity) to ST(1), and a pop. */
function deliverSpecial(cls: i32, sign: i32): void {
  if (!noteExceptions()) return;
  softSetResult(sign, 0, 0, 0);
  setStResult(1, cls);
  pop();
}

/** FYL2X: ST(1) = ST(1) * log2(ST(0)), pop. */
function logarithm(): void {
  if (!twoOperands()) return;
  const x = clsOf(SOFT_A);
  const y = clsOf(SOFT_B);
  const signY = signOf(SOFT_B);
  if (signOf(SOFT_A) && x != CLS_ZERO) {
    invalidTwo();
    return;
  }
  const isOne = x == CLS_FINITE && expOf(SOFT_A) == 0 && sigOf(SOFT_A) == MSB;
  const below = x == CLS_FINITE && expOf(SOFT_A) < 0;
  if ((x == CLS_ZERO && y == CLS_ZERO) || (x == CLS_INF && y == CLS_ZERO) || (isOne && y == CLS_INF)) {
    invalidTwo();
    return;
  }
  if (x == CLS_ZERO && y == CLS_FINITE) {
    softRaise(EXC_ZERO_DIVIDE);
    deliverSpecial(CLS_INF, signY ^ 1);
    return;
  }
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  if (x == CLS_INF || y == CLS_INF || x == CLS_ZERO) {
    deliverSpecial(CLS_INF, below || x == CLS_ZERO ? signY ^ 1 : signY);
    return;
  }
  if (isOne || y == CLS_ZERO) {
    deliverSpecial(CLS_ZERO, below ? signY ^ 1 : signY);
    return;
  }
  if (!noteExceptions()) return;
  // x = m * 2^e with m between 1/sqrt(2) and sqrt(2); log2(x) = e + log2(m).
  let e = expOf(SOFT_A);
  const sig = sigOf(SOFT_A);
  const exact = sig == MSB;
  wideSetInteger(WIDE_ARG2, 1);
  let mExp = 0;
  if (sig > SQRT2_SIG) {
    mExp = -1;
    e++;
  }
  wideSet(WIDE_ARG, 0, mExp, sig, 0);
  logOfMantissa();
  wideSetInteger(WIDE_ARG, e);
  wideAdd(WIDE_RESULT, WIDE_RESULT, WIDE_ARG);
  multiplyByB(exact);
}

/** WIDE_RESULT = log2(WIDE_ARG), near 1: by (m - 1) / (m + 1). */
function logOfMantissa(): void {
  wideSub(WIDE_RESULT, WIDE_ARG, WIDE_ARG2);
  if (wideIsZero(WIDE_RESULT)) return;
  wideAdd(WIDE_ARG, WIDE_ARG, WIDE_ARG2);
  wideDiv(WIDE_RESULT, WIDE_RESULT, WIDE_ARG);
  wideLog2OfRatio(WIDE_RESULT, WIDE_RESULT);
}

/** ST(1) = WIDE_RESULT * B, pop. */
function multiplyByB(exact: bool): void {
  wideOperand(WIDE_ARG, SOFT_B);
  wideMul(WIDE_RESULT, WIDE_RESULT, WIDE_ARG);
  deliverWide(1, WIDE_RESULT, !exact);
  pop();
}

/** Makes operand A the result, unchanged. */
function operandResult(): i32 {
  softSetResult(signOf(SOFT_A), expOf(SOFT_A), sigOf(SOFT_A), 0);
  return CLS_FINITE;
}

/** FYL2XP1: ST(1) = ST(1) * log2(ST(0) + 1), pop. Defined for |ST(0)| below 1 - sqrt(1/2). */
function logarithmPlusOne(): void {
  if (!twoOperands()) return;
  const x = clsOf(SOFT_A);
  const y = clsOf(SOFT_B);
  const sign = signOf(SOFT_A) ^ signOf(SOFT_B);
  if ((x == CLS_ZERO && y == CLS_INF) || (x == CLS_INF && (signOf(SOFT_A) || y == CLS_ZERO))) {
    invalidTwo();
    return;
  }
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  if (x == CLS_INF || y == CLS_INF) {
    deliverSpecial(CLS_INF, sign);
    return;
  }
  if (x == CLS_ZERO || y == CLS_ZERO) {
    deliverSpecial(CLS_ZERO, sign);
    return;
  }
  if (signOf(SOFT_A) && expOf(SOFT_A) >= 0) {
    // 1 + x is zero or negative, where nothing is defined: processors deliver x.
    if (!noteExceptions()) return;
    softRaise(EXC_PRECISION);
    noteExceptions();
    pop();
    setStResult(0, operandResult());
    return;
  }
  if (!noteExceptions()) return;
  wideOperand(WIDE_ARG, SOFT_A);
  if (expOf(SOFT_A) < -1) {
    // s = x / (2 + x) is small, and 1 + x is never formed.
    wideSetInteger(WIDE_ARG2, 2);
    wideAdd(WIDE_ARG2, WIDE_ARG2, WIDE_ARG);
    wideDiv(WIDE_RESULT, WIDE_ARG, WIDE_ARG2);
    wideLog2OfRatio(WIDE_RESULT, WIDE_RESULT);
    multiplyByB(false);
    return;
  }
  wideSetInteger(WIDE_ARG2, 1);
  wideAdd(WIDE_ARG, WIDE_ARG, WIDE_ARG2);
  let e = wideExp(WIDE_ARG);
  let mExp = 0;
  if (wideHi(WIDE_ARG) > SQRT2_SIG) {
    mExp = -1;
    e++;
  }
  const exact = wideHi(WIDE_ARG) == MSB && wideLo(WIDE_ARG) == 0;
  wideSet(WIDE_ARG, 0, mExp, wideHi(WIDE_ARG), wideLo(WIDE_ARG));
  logOfMantissa();
  wideSetInteger(WIDE_ARG, e);
  wideAdd(WIDE_RESULT, WIDE_RESULT, WIDE_ARG);
  multiplyByB(exact);
}

// --- arctangent ------------------------------------------------------------------------------------------------------

/** `to` = pi * quarters / 4 with a sign. */
function setQuarterPi(to: usize, quarters: i32, sign: i32): void {
  wideSetPi(to, -2);
  wideSetInteger(WIDE_ARG2, quarters);
  wideMul(to, to, WIDE_ARG2);
  wideSetSign(to, sign);
}

/** FPATAN: ST(1) = arctan(ST(1) / ST(0)) in the quadrant of the two signs, pop. */
function arctangent(): void {
  if (!twoOperands()) return;
  const x = clsOf(SOFT_A);
  const y = clsOf(SOFT_B);
  const signX = signOf(SOFT_A);
  const signY = signOf(SOFT_B);
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  if (y == CLS_ZERO || (x == CLS_INF && y == CLS_FINITE)) {
    if (!signX) {
      deliverSpecial(CLS_ZERO, signY);
      return;
    }
    if (!noteExceptions()) return;
    setQuarterPi(WIDE_RESULT, 4, signY);
  } else if (!noteExceptions()) return;
  else if (y == CLS_INF) setQuarterPi(WIDE_RESULT, x != CLS_INF ? 2 : signX ? 3 : 1, signY);
  else if (x == CLS_ZERO) setQuarterPi(WIDE_RESULT, 2, signY);
  else finiteArctangent(signX, signY);
  deliverWide(1, WIDE_RESULT, true);
  pop();
}

/** WIDE_RESULT = the angle of two finite numbers. */
function finiteArctangent(signX: i32, signY: i32): void {
  const steep = expOf(SOFT_B) > expOf(SOFT_A) || (expOf(SOFT_B) == expOf(SOFT_A) && sigOf(SOFT_B) > sigOf(SOFT_A));
  wideOperand(WIDE_ARG, steep ? SOFT_A : SOFT_B);
  wideOperand(WIDE_ARG2, steep ? SOFT_B : SOFT_A);
  wideSetSign(WIDE_ARG, 0);
  wideSetSign(WIDE_ARG2, 0);
  wideDiv(WIDE_ARG, WIDE_ARG, WIDE_ARG2);
  wideAtan(WIDE_RESULT, WIDE_ARG);
  if (steep) {
    setQuarterPi(WIDE_ARG, 2, 0);
    wideSub(WIDE_RESULT, WIDE_ARG, WIDE_RESULT);
  }
  if (signX) {
    setQuarterPi(WIDE_ARG, 4, 0);
    wideSub(WIDE_RESULT, WIDE_ARG, WIDE_RESULT);
  }
  wideSetSign(WIDE_RESULT, signY);
}

// --- trigonometry ----------------------------------------------------------------------------------------------------

/** WIDE_RESULT = sine and WIDE_RESULT2 = cosine of operand A, finite and below 2^63. */
function sineAndCosine(): void {
  const turns = wideReduceQuarter(WIDE_ARG, expOf(SOFT_A), sigOf(SOFT_A));
  const odd = (turns & 1) != 0;
  wideSin(odd ? WIDE_RESULT2 : WIDE_RESULT, WIDE_ARG);
  wideCos(odd ? WIDE_RESULT : WIDE_RESULT2, WIDE_ARG);
  // Quadrants: (s, c), (c, -s), (-s, -c), (-c, s).
  if (turns & 2) wideSetSign(WIDE_RESULT, wideSign(WIDE_RESULT) ^ 1);
  if (turns == 1 || turns == 2) wideSetSign(WIDE_RESULT2, wideSign(WIDE_RESULT2) ^ 1);
  if (signOf(SOFT_A)) wideSetSign(WIDE_RESULT, wideSign(WIDE_RESULT) ^ 1);
}

/** FSIN, FCOS, FPTAN, FSINCOS; the latter two push a second result. */
function trigonometric(modrm: i32): void {
  const pushes = modrm == 0xf2 || modrm == 0xfb;
  x87Begin();
  setConditions(C2, 0);
  if (isEmpty(0)) {
    if (deliverUnderflow(0) && pushes) {
      push();
      setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    }
    return;
  }
  if (pushes && !isEmpty(7)) {
    stackOverflow();
    if (!noteExceptions()) return;
    setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    push();
    setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    return;
  }
  unpackSt(SOFT_A, 0);
  const cls = clsOf(SOFT_A);
  if (isNan(SOFT_A)) {
    propagateNanOfA();
    if (deliverNan(0) && pushes) {
      push();
      setSt(0, propagatedSig(), propagatedSignExp());
    }
    return;
  }
  if (cls == CLS_INF) {
    softRaise(EXC_INVALID);
    if (!noteExceptions()) return;
    setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    if (pushes) {
      push();
      setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    }
    return;
  }
  if (cls == CLS_ZERO) {
    if (modrm == 0xff) setSt(0, MSB, 0x3fff);
    if (pushes) {
      push();
      setSt(0, MSB, 0x3fff);
    }
    return;
  }
  if (expOf(SOFT_A) >= 63) {
    setConditions(C2, C2);
    return;
  }
  if (isDenormal(SOFT_A)) softRaise(EXC_DENORMAL);
  if (!noteExceptions()) return;
  sineAndCosine();
  if (modrm == 0xf2) {
    // The tangent of a tiny x is x and a little more, which the quotient of two truncated numbers may miss.
    if (expOf(SOFT_A) < TINY_EXPONENT) wideOperand(WIDE_RESULT, SOFT_A);
    else wideDiv(WIDE_RESULT, WIDE_RESULT, WIDE_RESULT2);
    deliverWide(0, WIDE_RESULT, true);
    push();
    setSt(0, MSB, 0x3fff);
  } else if (modrm == 0xfb) {
    deliverWide(0, WIDE_RESULT, true);
    push();
    deliverWide(0, WIDE_RESULT2, true);
  } else deliverWide(0, modrm == 0xfe ? WIDE_RESULT : WIDE_RESULT2, true);
}

/** D9 F0 F2XM1, F1 FYL2X, F2 FPTAN, F3 FPATAN, F9 FYL2XP1, FB FSINCOS, FE FSIN, FF FCOS. */
export function transcendental(modrm: i32): void {
  switch (modrm) {
    case 0xf0: exponential(); break;
    case 0xf1: logarithm(); break;
    case 0xf3: arctangent(); break;
    case 0xf9: logarithmPlusOne(); break;
    default: trigonometric(modrm);
  }
}
