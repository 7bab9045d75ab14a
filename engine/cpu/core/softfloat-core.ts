// Binary floating point in software, for the three formats of the x86 (32, 64 and 80 bits) at once.
//
// A finite operand is a sign, an unbiased exponent and a 64-bit significand whose top bit is set: the value is
// sig * 2^(exp - 63). Arithmetic yields such a number with 64 more bits below it, where the lowest bit is sticky;
// `softRound` then rounds to a precision and an exponent range, and notes the exceptions. The host's floating point is
// not used: it has one rounding mode, no flags, and NaNs of its own.
import { SOFT_A, SOFT_B } from "./layout";

// Classes of operands and results, in the order that lets `cls >= CLS_QNAN` mean NaN.
export const CLS_ZERO: i32 = 0;
export const CLS_FINITE: i32 = 1;
export const CLS_INF: i32 = 2;
export const CLS_QNAN: i32 = 3;
export const CLS_SNAN: i32 = 4;
/** 80-bit encodings that the 80387 and later refuse: unnormals, pseudo-NaNs, pseudo-infinities. */
export const CLS_UNSUPPORTED: i32 = 5;

// Exception flags: the bits of MXCSR and of FSW.
export const EXC_INVALID: i32 = 1;
export const EXC_DENORMAL: i32 = 2;
export const EXC_ZERO_DIVIDE: i32 = 4;
export const EXC_OVERFLOW: i32 = 8;
export const EXC_UNDERFLOW: i32 = 16;
export const EXC_PRECISION: i32 = 32;
/** Exceptions found before the result is computed. */
export const EXC_PRE_COMPUTATION: i32 = 7;

// Rounding control, as in MXCSR and FCW.
export const RC_NEAREST: i32 = 0;
export const RC_DOWN: i32 = 1;
export const RC_UP: i32 = 2;
export const RC_ZERO: i32 = 3;

export const ARITH_ADD: i32 = 0;
export const ARITH_SUB: i32 = 1;
export const ARITH_MUL: i32 = 2;
export const ARITH_DIV: i32 = 3;
export const ARITH_SQRT: i32 = 4;

/** An 80-bit result whose unmasked overflow or underflow is delivered scaled by this exponent (SDM vol. 1 8.5.4). */
export const X87_EXPONENT_WRAP: i32 = 24576;

const MSB: u64 = 0x8000000000000000;

// Context of the running instruction.
let flags: i32 = 0;
let masks: i32 = 0x3f;
let roundingControl: i32 = RC_NEAREST;
let flushToZero: bool = false;
let denormalsAreZero: bool = false;

// The result: sign, exponent, significand and the 64 bits below it.
let sign: i32 = 0;
let exp: i32 = 0;
let hi: u64 = 0;
let lo: u64 = 0;
let roundedUp: bool = false;

/** Starts an instruction: no flags yet; `newMasks` bit set = exception masked. */
export function softBegin(newMasks: i32, rc: i32, daz: bool, ftz: bool): void {
  flags = 0;
  masks = newMasks;
  roundingControl = rc;
  denormalsAreZero = daz;
  flushToZero = ftz;
  roundedUp = false;
}
@inline
export function softFlags(): i32 {
  return flags;
}
@inline
export function softRaise(bits: i32): void {
  flags |= bits;
}
@inline
export function softSetFlags(bits: i32): void {
  flags = bits;
}
/** An exception in `bits` was raised that is not masked. */
@inline
export function softUnmasked(bits: i32): bool {
  return (flags & ~masks & bits) != 0;
}
/** Are the exceptions in `bits` unmasked? */
@inline
export function softMasksOut(bits: i32): bool {
  return (masks & bits) == 0;
}
@inline
export function softRc(): i32 {
  return roundingControl;
}
@inline
export function softSetRc(rc: i32): void {
  roundingControl = rc;
}
@inline
export function softRoundedUp(): bool {
  return roundedUp;
}
@inline
export function softSign(): i32 {
  return sign;
}
@inline
export function softExp(): i32 {
  return exp;
}
@inline
export function softHi(): u64 {
  return hi;
}
@inline
export function softLo(): u64 {
  return lo;
}
/** Sets the unrounded result. `newHi` has its top bit set. */
@inline
export function softSetResult(newSign: i32, newExp: i32, newHi: u64, newLo: u64): void {
  sign = newSign;
  exp = newExp;
  hi = newHi;
  lo = newLo;
}

// Fields of an unpacked operand in memory.
@inline
export function clsOf(p: usize): i32 {
  return load<i32>(p);
}
@inline
export function signOf(p: usize): i32 {
  return load<i32>(p, 4);
}
@inline
export function expOf(p: usize): i32 {
  return load<i32>(p, 8);
}
@inline
export function isDenormal(p: usize): bool {
  return load<i32>(p, 12) != 0;
}
@inline
export function sigOf(p: usize): u64 {
  return load<u64>(p, 16);
}
@inline
export function setOperand(p: usize, cls: i32, s: i32, e: i32, denormal: i32, sig: u64): void {
  store<i32>(p, cls);
  store<i32>(p, s, 4);
  store<i32>(p, e, 8);
  store<i32>(p, denormal, 12);
  store<u64>(p, sig, 16);
}

/** A finite operand whose significand is not normalized yet. */
@inline
function setDenormal(p: usize, s: i32, e: i32, sig: u64): void {
  const shift = <i32>clz(sig);
  setOperand(p, CLS_FINITE, s, e - shift, 1, sig << shift);
}

// Infinities and NaNs keep their significand in the 80-bit form, with the integer bit set.

/** Unpacks a 32-bit number; denormals are zeros if the context says so. */
export function unpack32(p: usize, bits: u32): void {
  const s = <i32>(bits >> 31);
  const e = <i32>((bits >> 23) & 0xff);
  const fraction = <u64>(bits & 0x7fffff) << 40;
  if (e == 0) {
    if (fraction == 0 || denormalsAreZero) setOperand(p, CLS_ZERO, s, 0, 0, 0);
    else setDenormal(p, s, -126, fraction);
  } else if (e == 0xff) {
    setOperand(p, fraction == 0 ? CLS_INF : bits & 0x400000 ? CLS_QNAN : CLS_SNAN, s, 0, 0, fraction | MSB);
  } else setOperand(p, CLS_FINITE, s, e - 127, 0, fraction | MSB);
}

/** Unpacks a 64-bit number; denormals are zeros if the context says so. */
export function unpack64(p: usize, bits: u64): void {
  const s = <i32>(bits >> 63);
  const e = <i32>((bits >> 52) & 0x7ff);
  const fraction = (bits & 0xfffffffffffff) << 11;
  if (e == 0) {
    if (fraction == 0 || denormalsAreZero) setOperand(p, CLS_ZERO, s, 0, 0, 0);
    else setDenormal(p, s, -1022, fraction);
  } else if (e == 0x7ff) {
    setOperand(p, fraction == 0 ? CLS_INF : bits & 0x8000000000000 ? CLS_QNAN : CLS_SNAN, s, 0, 0, fraction | MSB);
  } else setOperand(p, CLS_FINITE, s, e - 1023, 0, fraction | MSB);
}

/** Unpacks an 80-bit number: significand, then sign and biased exponent. */
export function unpack80(p: usize, sig: u64, signExp: u32): void {
  const s = <i32>((signExp >> 15) & 1);
  const e = <i32>(signExp & 0x7fff);
  if (e == 0) {
    if (sig == 0) setOperand(p, CLS_ZERO, s, 0, 0, 0);
    else setDenormal(p, s, -16382, sig);
  } else if (!(sig & MSB)) setOperand(p, CLS_UNSUPPORTED, s, 0, 0, sig);
  else if (e == 0x7fff) {
    setOperand(p, sig == MSB ? CLS_INF : sig & (MSB >> 1) ? CLS_QNAN : CLS_SNAN, s, 0, 0, sig);
  } else setOperand(p, CLS_FINITE, s, e - 16383, 0, sig);
}

/** The rounded result as 32 bits; `cls` is what softRound or softArith returned. */
export function pack32(cls: i32): u32 {
  const s = <u32>sign << 31;
  if (cls == CLS_ZERO) return s;
  if (cls == CLS_INF) return s | 0x7f800000;
  if (cls >= CLS_QNAN) return 0xffc00000;
  if (!(hi & MSB)) return s | <u32>(hi >> 40);
  return s | (<u32>(exp + 127) << 23) | (<u32>(hi >> 40) & 0x7fffff);
}

/** The rounded result as 64 bits. */
export function pack64(cls: i32): u64 {
  const s = <u64>sign << 63;
  if (cls == CLS_ZERO) return s;
  if (cls == CLS_INF) return s | 0x7ff0000000000000;
  if (cls >= CLS_QNAN) return 0xfff8000000000000;
  if (!(hi & MSB)) return s | (hi >> 11);
  return s | (<u64>(exp + 1023) << 52) | ((hi >> 11) & 0xfffffffffffff);
}

// --- 128-bit helpers -------------------------------------------------------------------------------------------------

let wideHi: u64 = 0;

/** Low 64 bits of x * y; the high 64 bits are in `mulHigh()`. */
export function mulWide(x: u64, y: u64): u64 {
  const x0 = x & 0xffffffff;
  const x1 = x >> 32;
  const y0 = y & 0xffffffff;
  const y1 = y >> 32;
  const p00 = x0 * y0;
  const p01 = x0 * y1;
  const p10 = x1 * y0;
  const middle = (p00 >> 32) + (p01 & 0xffffffff) + (p10 & 0xffffffff);
  wideHi = x1 * y1 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
  return (middle << 32) | (p00 & 0xffffffff);
}
@inline
export function mulHigh(): u64 {
  return wideHi;
}

let remainder: u64 = 0;

/** Quotient of (n1:n0) / d, where d has its top bit set and n1 < d; the remainder is in `divRemainder()`. */
export function divWide(n1: u64, n0: u64, d: u64): u64 {
  // Two steps of long division in base 2^32 (Knuth, algorithm D).
  const d1 = d >> 32;
  const d0 = d & 0xffffffff;
  let quotient: u64 = 0;
  let r = n1;
  for (let step = 0; step < 2; step++) {
    const next = step == 0 ? n0 >> 32 : n0 & 0xffffffff;
    let q = r / d1;
    let rest = r % d1;
    while (q >> 32 != 0 || q * d0 > ((rest << 32) | next)) {
      q--;
      rest += d1;
      if (rest >> 32 != 0) break;
    }
    r = ((r << 32) | next) - q * d;
    quotient = (quotient << 32) | q;
  }
  remainder = r;
  return quotient;
}
@inline
export function divRemainder(): u64 {
  return remainder;
}

/** Shifts the result's 128 bits right by n >= 0; what falls off stays in the lowest bit. */
function shiftRightJam(n: i32): void {
  if (n == 0) return;
  if (n < 64) {
    const lost = lo << (64 - n);
    lo = (lo >> n) | (hi << (64 - n)) | <u64>(lost != 0);
    hi >>= n;
  } else if (n < 128) {
    const m = n - 64;
    const lost = lo | (m == 0 ? 0 : hi << (64 - m));
    lo = (hi >> m) | <u64>(lost != 0);
    hi = 0;
  } else {
    lo = <u64>((hi | lo) != 0);
    hi = 0;
  }
}

// --- rounding --------------------------------------------------------------------------------------------------------

/**
 * Rounds hi:lo to the top `precision` (24, 53 or 64) bits of hi. Returns true if the result is inexact. A carry out of
 * the top leaves hi = 2^63 and the exponent one higher.
 */
function roundSignificand(precision: i32): bool {
  const spare = 64 - precision;
  let increment: bool;
  let unit: u64 = 1;
  let inexact: bool;
  if (spare == 0) {
    inexact = lo != 0;
    increment = lo > MSB || (lo == MSB && (hi & 1) != 0);
  } else {
    unit = <u64>1 << spare;
    const rest = hi & (unit - 1);
    const half = unit >> 1;
    inexact = (rest | lo) != 0;
    increment = rest > half || (rest == half && (lo != 0 || (hi & unit) != 0));
    hi &= ~(unit - 1);
  }
  lo = 0;
  if (roundingControl != RC_NEAREST) {
    increment = inexact && (roundingControl == RC_UP ? sign == 0 : roundingControl == RC_DOWN && sign != 0);
  }
  roundedUp = inexact && increment;
  if (roundedUp) {
    hi += unit;
    if (hi == 0) {
      hi = MSB;
      exp++;
    }
  }
  return inexact;
}

/**
 * Rounds the unrounded result to `precision` bits and the exponents [eMin, eMax]; notes overflow, underflow (tininess
 * after rounding) and precision. `wrap` is added to or taken from the exponent on an unmasked underflow or overflow
 * (0 where nothing is delivered then). Returns the class of the result; a denormal has hi without its top bit.
 */
export function softRound(precision: i32, eMin: i32, eMax: i32, wrap: i32): i32 {
  const exactHi = hi;
  const exactLo = lo;
  const exactExp = exp;
  const inexact = roundSignificand(precision);
  if (exp < eMin) {
    if (!(masks & EXC_UNDERFLOW)) {
      flags |= EXC_UNDERFLOW | (inexact ? EXC_PRECISION : 0);
      exp += wrap;
      return CLS_FINITE;
    }
    if (flushToZero) {
      flags |= EXC_UNDERFLOW | EXC_PRECISION;
      return CLS_ZERO;
    }
    hi = exactHi;
    lo = exactLo;
    exp = eMin;
    shiftRightJam(eMin - exactExp);
    if (roundSignificand(precision)) flags |= EXC_UNDERFLOW | EXC_PRECISION;
    return hi == 0 ? CLS_ZERO : CLS_FINITE;
  }
  if (exp > eMax) {
    if (!(masks & EXC_OVERFLOW)) {
      flags |= EXC_OVERFLOW | (inexact ? EXC_PRECISION : 0);
      exp -= wrap;
      return CLS_FINITE;
    }
    flags |= EXC_OVERFLOW | EXC_PRECISION;
    const toInfinity = roundingControl == RC_NEAREST || roundingControl == (sign ? RC_DOWN : RC_UP);
    roundedUp = toInfinity;
    if (toInfinity) return CLS_INF;
    exp = eMax;
    hi = ~(((<u64>1 << (64 - precision)) - 1));
    return CLS_FINITE;
  }
  if (inexact) flags |= EXC_PRECISION;
  return CLS_FINITE;
}

export function softRound32(): i32 {
  return softRound(24, -126, 127, 0);
}

export function softRound64(): i32 {
  return softRound(53, -1022, 1023, 0);
}

// --- arithmetic ------------------------------------------------------------------------------------------------------

function addFinite(signB: i32): i32 {
  const zeroA = clsOf(SOFT_A) == CLS_ZERO;
  const zeroB = clsOf(SOFT_B) == CLS_ZERO;
  const signA = signOf(SOFT_A);
  if (zeroA && zeroB) {
    sign = signA == signB ? signA : i32(roundingControl == RC_DOWN);
    return CLS_ZERO;
  }
  if (zeroB) {
    softSetResult(signA, expOf(SOFT_A), sigOf(SOFT_A), 0);
    return CLS_FINITE;
  }
  if (zeroA) {
    softSetResult(signB, expOf(SOFT_B), sigOf(SOFT_B), 0);
    return CLS_FINITE;
  }
  const expA = expOf(SOFT_A);
  const expB = expOf(SOFT_B);
  const sigA = sigOf(SOFT_A);
  const sigB = sigOf(SOFT_B);
  const aIsBigger = expA > expB || (expA == expB && sigA >= sigB);
  const big = aIsBigger ? sigA : sigB;
  // The smaller one goes through the result registers for its shift.
  hi = aIsBigger ? sigB : sigA;
  lo = 0;
  shiftRightJam(aIsBigger ? expA - expB : expB - expA);
  exp = aIsBigger ? expA : expB;
  sign = aIsBigger ? signA : signB;
  if (signA == signB) {
    hi += big;
    if (hi < big) {
      lo = (lo >> 1) | (lo & 1) | (hi << 63);
      hi = (hi >> 1) | MSB;
      exp++;
    }
    return CLS_FINITE;
  }
  hi = big - hi - <u64>(lo != 0);
  lo = 0 - lo;
  if ((hi | lo) == 0) {
    sign = i32(roundingControl == RC_DOWN);
    return CLS_ZERO;
  }
  softNormalize();
  return CLS_FINITE;
}

/** Shifts the non-zero result left until the top bit of hi is set. */
export function softNormalize(): void {
  if (hi == 0) {
    hi = lo;
    lo = 0;
    exp -= 64;
  }
  const shift = <i32>clz(hi);
  if (shift != 0) {
    hi = (hi << shift) | (lo >> (64 - shift));
    lo <<= shift;
    exp -= shift;
  }
}

function mulFinite(): void {
  lo = mulWide(sigOf(SOFT_A), sigOf(SOFT_B));
  hi = wideHi;
  exp = expOf(SOFT_A) + expOf(SOFT_B) + 1;
  softNormalize();
}

function divFinite(): void {
  const a = sigOf(SOFT_A);
  const b = sigOf(SOFT_B);
  exp = expOf(SOFT_A) - expOf(SOFT_B);
  if (a >= b) hi = divWide(a >> 1, a << 63, b);
  else {
    hi = divWide(a, 0, b);
    exp--;
  }
  const twice = remainder << 1;
  const half = (remainder & MSB) != 0 || twice >= b;
  lo = (half ? MSB : 0) | <u64>((half ? twice - b : twice) != 0);
}

function sqrtFinite(): void {
  const e = expOf(SOFT_B);
  const sig = sigOf(SOFT_B);
  // The 128-bit radicand is sig << 63 or sig << 64, so that the exponent is even and the root has 64 bits.
  let restHi: u64 = 0;
  let restLo: u64 = 0;
  const radicandHi = e & 1 ? sig : sig >> 1;
  const radicandLo = e & 1 ? 0 : sig << 63;
  let root: u64 = 0;
  for (let i = 0; i < 64; i++) {
    const pair = i < 32 ? (radicandHi >> (62 - (i << 1))) & 3 : (radicandLo >> (62 - ((i - 32) << 1))) & 3;
    restHi = (restHi << 2) | (restLo >> 62);
    restLo = (restLo << 2) | pair;
    const trialHi = root >> 62;
    const trialLo = (root << 2) | 1;
    root <<= 1;
    if (restHi > trialHi || (restHi == trialHi && restLo >= trialLo)) {
      restHi = restHi - trialHi - <u64>(restLo < trialLo);
      restLo -= trialLo;
      root |= 1;
    }
  }
  hi = root;
  // The next bit of the root is one when the rest exceeds the root; then something always remains below it.
  const half = restHi != 0 || restLo > root;
  lo = half ? MSB | 1 : <u64>(restLo != 0);
  exp = e >> 1;
  sign = 0;
}

/**
 * Adds, subtracts, multiplies, divides operands A and B, or takes the square root of B; neither is a NaN or an
 * unsupported encoding. Notes invalid, denormal and zero-divide. Returns CLS_QNAN for the default NaN, CLS_FINITE for a
 * result that is still to be rounded.
 */
export function softArith(kind: i32): i32 {
  const a = clsOf(SOFT_A);
  const b = clsOf(SOFT_B);
  const signA = signOf(SOFT_A);
  const signB = signOf(SOFT_B);
  const denormal = isDenormal(SOFT_B) || (kind != ARITH_SQRT && isDenormal(SOFT_A));
  if (kind <= ARITH_SUB) {
    const effectiveB = kind == ARITH_SUB ? signB ^ 1 : signB;
    if (a == CLS_INF && b == CLS_INF && signA != effectiveB) return invalid();
    if (denormal) flags |= EXC_DENORMAL;
    if (a == CLS_INF || b == CLS_INF) {
      sign = a == CLS_INF ? signA : effectiveB;
      return CLS_INF;
    }
    return addFinite(effectiveB);
  }
  if (kind == ARITH_SQRT) {
    sign = signB;
    if (b == CLS_ZERO) return CLS_ZERO;
    if (signB) return invalid();
    if (denormal) flags |= EXC_DENORMAL;
    if (b == CLS_INF) return CLS_INF;
    sqrtFinite();
    return CLS_FINITE;
  }
  sign = signA ^ signB;
  if (kind == ARITH_MUL) {
    if ((a == CLS_INF && b == CLS_ZERO) || (a == CLS_ZERO && b == CLS_INF)) return invalid();
    if (denormal) flags |= EXC_DENORMAL;
    if (a == CLS_INF || b == CLS_INF) return CLS_INF;
    if (a == CLS_ZERO || b == CLS_ZERO) return CLS_ZERO;
    mulFinite();
    return CLS_FINITE;
  }
  if (a == b && a != CLS_FINITE) return invalid();
  if (b == CLS_ZERO) {
    if (a == CLS_FINITE) flags |= EXC_ZERO_DIVIDE;
    return CLS_INF;
  }
  if (denormal) flags |= EXC_DENORMAL;
  if (a == CLS_INF) return CLS_INF;
  if (a == CLS_ZERO || b == CLS_INF) return CLS_ZERO;
  divFinite();
  return CLS_FINITE;
}

@inline
function invalid(): i32 {
  flags |= EXC_INVALID;
  return CLS_QNAN;
}

/** Order of A and B, neither a NaN: -1, 0 or 1. */
export function softCompare(): i32 {
  const a = clsOf(SOFT_A);
  const b = clsOf(SOFT_B);
  const signA = signOf(SOFT_A);
  const signB = signOf(SOFT_B);
  if (a == CLS_ZERO && b == CLS_ZERO) return 0;
  if (a == CLS_ZERO) return signB ? 1 : -1;
  if (b == CLS_ZERO) return signA ? -1 : 1;
  if (signA != signB) return signA ? -1 : 1;
  const up = signA ? -1 : 1;
  if (a != b) return a == CLS_INF ? up : -up;
  if (a == CLS_INF) return 0;
  const expA = expOf(SOFT_A);
  const expB = expOf(SOFT_B);
  if (expA != expB) return expA > expB ? up : -up;
  const sigA = sigOf(SOFT_A);
  const sigB = sigOf(SOFT_B);
  return sigA == sigB ? 0 : sigA > sigB ? up : -up;
}

// --- integers --------------------------------------------------------------------------------------------------------

/** Makes the unrounded result from an integer's sign and magnitude; CLS_ZERO (positive) or CLS_FINITE. */
export function softFromInteger(negative: bool, magnitude: u64): i32 {
  sign = i32(negative);
  if (magnitude == 0) return CLS_ZERO;
  const shift = <i32>clz(magnitude);
  hi = magnitude << shift;
  lo = 0;
  exp = 63 - shift;
  return CLS_FINITE;
}

/**
 * Operand A as a signed integer of `bits` (16, 32 or 64) bits, rounded as the context says. NaN, infinity and
 * out-of-range give the integer indefinite and invalid; else precision when inexact.
 */
export function softToInteger(bits: i32): i64 {
  const indefinite: i64 = <i64>-1 << (bits - 1);
  const cls = clsOf(SOFT_A);
  if (cls == CLS_ZERO) return 0;
  if (cls != CLS_FINITE || expOf(SOFT_A) >= 64) {
    flags |= EXC_INVALID;
    return indefinite;
  }
  softSetResult(signOf(SOFT_A), 63, sigOf(SOFT_A), 0);
  shiftRightJam(63 - expOf(SOFT_A));
  const inexact = roundSignificand(64);
  // A carry out of 64 bits would be 2^64; otherwise hi is the magnitude.
  const limit: u64 = <u64>1 << (bits - 1);
  if (exp != 63 || hi > limit || (hi == limit && !sign)) {
    flags |= EXC_INVALID;
    roundedUp = false;
    return indefinite;
  }
  if (inexact) flags |= EXC_PRECISION;
  return sign ? 0 - <i64>hi : <i64>hi;
}

/**
 * Rounds operand A, finite and not zero, to an integral value of its own format (`precision` bits): the result is in
 * sign, exp and hi. Returns CLS_ZERO or CLS_FINITE; inexactness is noted as precision.
 */
export function softRoundToIntegral(precision: i32): i32 {
  const e = expOf(SOFT_A);
  softSetResult(signOf(SOFT_A), 63, sigOf(SOFT_A), 0);
  if (e >= precision - 1) {
    exp = e;
    return CLS_FINITE;
  }
  shiftRightJam(63 - e);
  if (roundSignificand(64)) flags |= EXC_PRECISION;
  if (hi == 0) return CLS_ZERO;
  softNormalize();
  return CLS_FINITE;
}
