// Elementary functions on 128-bit-significand numbers (softfloat-wide.ts): power series after argument reduction.
import { WIDE_SCRATCH } from "./layout";
import { wideAdd, wideCopy, wideDiv, wideDivSmall, wideExp, wideHi, wideIsZero, wideMul, wideSet, wideSetInteger, wideSetNormalized, wideSetSign, wideSub } from "./softfloat-wide";

// Scratch numbers of this file; callers use those from WIDE_ARG on.
const T0: usize = WIDE_SCRATCH;
const T1: usize = WIDE_SCRATCH + 32;
const T2: usize = WIDE_SCRATCH + 64;
const T3: usize = WIDE_SCRATCH + 96;
const ONE: usize = WIDE_SCRATCH + 128;

/** Numbers for callers. */
export const WIDE_ARG: usize = WIDE_SCRATCH + 256;
export const WIDE_ARG2: usize = WIDE_SCRATCH + 288;
export const WIDE_RESULT: usize = WIDE_SCRATCH + 320;
export const WIDE_RESULT2: usize = WIDE_SCRATCH + 352;

// Terms after which a series has reached 2^-128 at the end of its range.
const EXP_TERMS: u32 = 32; // ln(2)^k / (k+1)!
const LOG_TERMS: i32 = 26; // (3 - 2 sqrt 2)^2k
const ATAN_TERMS: i32 = 17; // 16^-2k
const TRIG_TERMS: i32 = 15; // (pi/4)^2k / (2k+1)!

export function wideSetLn2(p: usize): void {
  wideSet(p, 0, -1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af);
}

export function wideSetLog2E(p: usize): void {
  wideSet(p, 0, 0, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88);
}

/** pi times two to the power `scale`. */
export function wideSetPi(p: usize, scale: i32): void {
  wideSet(p, 0, 1 + scale, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
}

/** to = 2^x - 1 for |x| <= 1; `x` is kept. */
export function wideExp2m1(to: usize, x: usize): void {
  wideSetLn2(T0);
  wideMul(T0, T0, x);
  wideSetInteger(ONE, 1);
  wideCopy(T1, ONE);
  // 1 + y/2 (1 + y/3 (1 + ...))
  for (let k = EXP_TERMS; k >= 2; k--) {
    wideMul(T1, T1, T0);
    wideDivSmall(T1, T1, k);
    wideAdd(T1, T1, ONE);
  }
  wideMul(to, T0, T1);
}

/** to = s + s^3/3 + s^5/5 + ... (alternating if `alternating`): artanh or arctan of a small s; `s` is kept. */
function oddSeries(to: usize, s: usize, terms: i32, alternating: bool): void {
  wideMul(T0, s, s);
  if (alternating) wideSetSign(T0, 1);
  wideSet(T1, 0, 0, 0, 0);
  for (let k = terms; k >= 0; k--) {
    wideMul(T1, T1, T0);
    wideSetInteger(T2, 1);
    wideDivSmall(T2, T2, <u32>(2 * k + 1));
    wideAdd(T1, T1, T2);
  }
  wideMul(to, s, T1);
}

/** to = log2((1 + s) / (1 - s)), for |s| at most 3 - 2 sqrt 2; `s` is kept. */
export function wideLog2OfRatio(to: usize, s: usize): void {
  oddSeries(T3, s, LOG_TERMS, false);
  wideSetLog2E(T2);
  wideMul(to, T3, T2);
  // artanh is half the natural logarithm.
  if (!wideIsZero(to)) store<i32>(to, wideExp(to) + 1, 4);
}

/** to = atan(k / 8), 1 <= k <= 8. */
function setAtanOfEighths(to: usize, k: i32): void {
  switch (k) {
    case 1: wideSet(to, 0, -4, 0xfeadd4d5617b6e32, 0xc897989f3e888ef7); break;
    case 2: wideSet(to, 0, -3, 0xfadbafc96406eb15, 0x6dc79ef5f7a217e5); break;
    case 3: wideSet(to, 0, -2, 0xb7b0ca0f26f78473, 0x8aa32122dcfe4483); break;
    case 4: wideSet(to, 0, -2, 0xed63382b0dda7b45, 0x6fe445ecbc3a8d03); break;
    case 5: wideSet(to, 0, -1, 0x8f005d5ef7f59f9b, 0x5c835e1665c43747); break;
    case 6: wideSet(to, 0, -1, 0xa4bc7d1934f70924, 0x19a87f2a457dac9e); break;
    case 7: wideSet(to, 0, -1, 0xb8053e2bc2319e73, 0xcb2da55210a4443d); break;
    default: wideSet(to, 0, -1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
  }
}

/** to = atan(z) for 0 < z <= 1; `z` is kept. */
export function wideAtan(to: usize, z: usize): void {
  // The nearest eighth, from the sixteenths below.
  const e = wideExp(z);
  const eighths = e < -4 ? 0 : <i32>(((wideHi(z) >> (59 - e)) + 1) >> 1);
  if (eighths == 0) {
    oddSeries(to, z, ATAN_TERMS, true);
    return;
  }
  // atan(z) = atan(c) + atan((z - c) / (1 + z c))
  wideSetInteger(T0, eighths);
  wideDivSmall(T0, T0, 8);
  wideMul(T1, z, T0);
  wideSetInteger(ONE, 1);
  wideAdd(T1, T1, ONE);
  wideSub(T2, z, T0);
  wideDiv(T3, T2, T1);
  oddSeries(T3, T3, ATAN_TERMS, true);
  setAtanOfEighths(T2, eighths);
  wideAdd(to, T2, T3);
}

/** 1 - x^2/(a(a+1)) (1 - x^2/((a+2)(a+3)) (...)): cosine from a = 1, sine over x from a = 2; |x| <= pi/4, kept. */
function alternatingFactorials(to: usize, x: usize, a: u32): void {
  wideMul(T0, x, x);
  wideSetSign(T0, 1);
  wideSetInteger(ONE, 1);
  wideCopy(T1, ONE);
  for (let k = TRIG_TERMS; k >= 0; k--) {
    const n = a + <u32>(2 * k);
    wideMul(T1, T1, T0);
    wideDivSmall(T1, T1, n * (n + 1));
    wideAdd(T1, T1, ONE);
  }
  wideCopy(to, T1);
}

/** to = sin(x) for |x| <= pi/4; `x` is kept. */
export function wideSin(to: usize, x: usize): void {
  alternatingFactorials(T2, x, 2);
  wideMul(to, T2, x);
}

/** to = cos(x) for |x| <= pi/4; `x` is kept. */
export function wideCos(to: usize, x: usize): void {
  alternatingFactorials(to, x, 1);
}

/** Reduces an argument modulo pi/2 as the processors do, with a pi of 66 bits (SDM vol. 1 8.3.8). */
// 2^65 * pi/2 of that pi: 66 bits.
const PI_HIGH: u64 = 0x3;
const PI_LOW: u64 = 0x243f6a8885a308d3;

/**
 * `to` = sig * 2^(exp - 63) reduced to [-pi/4, pi/4]; exp < 63. Returns the number of quarter turns taken off, modulo 4,
 * for a positive argument.
 */
export function wideReduceQuarter(to: usize, exp: i32, sig: u64): i32 {
  if (exp < -1) {
    wideSet(to, 0, exp, sig, 0);
    return 0;
  }
  // In units of 2^-65 the argument is the integer sig << (exp + 2).
  let hi: u64 = 0;
  let lo: u64 = sig;
  let turns = 0;
  for (let i = 0; i <= exp + 2; i++) {
    if (i > 0) {
      hi = (hi << 1) | (lo >> 63);
      lo <<= 1;
    }
    turns <<= 1;
    if (hi > PI_HIGH || (hi == PI_HIGH && lo >= PI_LOW)) {
      hi = hi - PI_HIGH - <u64>(lo < PI_LOW);
      lo -= PI_LOW;
      turns |= 1;
    }
  }
  // More than an eighth of a turn: take the next quarter, and the rest is negative.
  let sign = 0;
  const twiceHi = (hi << 1) | (lo >> 63);
  const twiceLo = lo << 1;
  if (twiceHi > PI_HIGH || (twiceHi == PI_HIGH && twiceLo > PI_LOW)) {
    const newHi = PI_HIGH - hi - <u64>(PI_LOW < lo);
    lo = PI_LOW - lo;
    hi = newHi;
    sign = 1;
    turns++;
  }
  wideSetNormalized(to, sign, 127 - 65, hi, lo);
  return turns & 3;
}
