// Floating point with a 128-bit significand, for the inside of the x87 transcendental instructions: results carry some
// 125 good bits, so that rounding them to 64 is correct but for cases of probability about 2^-60.
//
// A number is 24 bytes in memory: sign i32, exponent i32, significand high u64, low u64. The top bit of a significand
// is set and the value is significand * 2^(exponent - 127); zero has significand 0. Operations truncate, do not
// overflow, and may have the destination among their operands.
import { mulHigh, mulWide } from "./softfloat-core";

const MSB: u64 = 0x8000000000000000;

@inline
export function wideSign(p: usize): i32 {
  return load<i32>(p);
}
@inline
export function wideExp(p: usize): i32 {
  return load<i32>(p, 4);
}
@inline
export function wideHi(p: usize): u64 {
  return load<u64>(p, 8);
}
@inline
export function wideLo(p: usize): u64 {
  return load<u64>(p, 16);
}
@inline
export function wideIsZero(p: usize): bool {
  return load<u64>(p, 8) == 0;
}
@inline
export function wideSetSign(p: usize, sign: i32): void {
  store<i32>(p, sign);
}

export function wideSet(p: usize, sign: i32, exp: i32, hi: u64, lo: u64): void {
  store<i32>(p, sign);
  store<i32>(p, exp, 4);
  store<u64>(p, hi, 8);
  store<u64>(p, lo, 16);
}

/** Sets p to a significand that is not normalized: hi:lo * 2^(exp - 127). */
export function wideSetNormalized(p: usize, sign: i32, exp: i32, hi: u64, lo: u64): void {
  if ((hi | lo) == 0) {
    wideSet(p, 0, 0, 0, 0);
    return;
  }
  if (hi == 0) {
    hi = lo;
    lo = 0;
    exp -= 64;
  }
  const shift = <i32>clz(hi);
  if (shift != 0) {
    hi = (hi << shift) | (lo >> (64 - shift));
    lo <<= shift;
  }
  wideSet(p, sign, exp - shift, hi, lo);
}

export function wideSetInteger(p: usize, value: i32): void {
  const magnitude = <u64>(value < 0 ? -value : value);
  wideSetNormalized(p, i32(value < 0), 127, 0, magnitude);
}

@inline
export function wideCopy(to: usize, from: usize): void {
  memory.copy(to, from, 24);
}

/** to = a * b. */
export function wideMul(to: usize, a: usize, b: usize): void {
  if (wideIsZero(a) || wideIsZero(b)) {
    wideSet(to, 0, 0, 0, 0);
    return;
  }
  const aHi = wideHi(a);
  const aLo = wideLo(a);
  const bHi = wideHi(b);
  const bLo = wideLo(b);
  // The low 64 x 64 product is worth less than the last bit; its carry is neglected.
  const m1Lo = mulWide(aHi, bLo);
  const m1Hi = mulHigh();
  const m2Lo = mulWide(aLo, bHi);
  const m2Hi = mulHigh();
  let lo = mulWide(aHi, bHi);
  let hi = mulHigh();
  const low = m1Lo + m2Lo;
  const carry = <u64>(low < m1Lo);
  const middle = m1Hi + m2Hi;
  if (middle < m1Hi) hi++;
  lo += middle;
  if (lo < middle) hi++;
  lo += carry;
  if (lo < carry) hi++;
  let exp = wideExp(a) + wideExp(b) + 1;
  if (!(hi & MSB)) {
    hi = (hi << 1) | (lo >> 63);
    lo = (lo << 1) | (low >> 63);
    exp--;
  }
  wideSet(to, wideSign(a) ^ wideSign(b), exp, hi, lo);
}

/** to = a / n, for 0 < n < 2^31. */
export function wideDivSmall(to: usize, a: usize, n: u32): void {
  const d = <u64>n;
  const hi = wideHi(a);
  const lo = wideLo(a);
  let rest = hi >> 32;
  const q3 = rest / d;
  rest = ((rest % d) << 32) | (hi & 0xffffffff);
  const q2 = rest / d;
  rest = ((rest % d) << 32) | (lo >> 32);
  const q1 = rest / d;
  rest = ((rest % d) << 32) | (lo & 0xffffffff);
  const q0 = rest / d;
  // One more digit fills the bits that normalization brings in.
  rest = (rest % d) << 32;
  const q = rest / d;
  let rHi = (q3 << 32) | q2;
  let rLo = (q1 << 32) | q0;
  const shift = <i32>clz(rHi);
  if (shift != 0 && rHi != 0) {
    rHi = (rHi << shift) | (rLo >> (64 - shift));
    rLo = (rLo << shift) | (shift <= 32 ? q >> (32 - shift) : q << (shift - 32));
  }
  wideSet(to, wideSign(a), wideExp(a) - shift, rHi, rLo);
}

/** to = a / b; b is not zero. */
export function wideDiv(to: usize, a: usize, b: usize): void {
  if (wideIsZero(a)) {
    wideSet(to, 0, 0, 0, 0);
    return;
  }
  const bHi = wideHi(b);
  const bLo = wideLo(b);
  let rHi = wideHi(a);
  let rLo = wideLo(a);
  let exp = wideExp(a) - wideExp(b);
  let qHi: u64 = 0;
  let qLo: u64 = 0;
  let carry = false;
  if (rHi < bHi || (rHi == bHi && rLo < bLo)) {
    carry = true;
    rHi = (rHi << 1) | (rLo >> 63);
    rLo <<= 1;
    exp--;
  }
  // One bit of the quotient a step; `carry` is bit 128 of the rest.
  for (let i = 0; i < 128; i++) {
    qHi = (qHi << 1) | (qLo >> 63);
    qLo <<= 1;
    if (carry || rHi > bHi || (rHi == bHi && rLo >= bLo)) {
      rHi = rHi - bHi - <u64>(rLo < bLo);
      rLo -= bLo;
      qLo |= 1;
    }
    carry = (rHi & MSB) != 0;
    rHi = (rHi << 1) | (rLo >> 63);
    rLo <<= 1;
  }
  wideSet(to, wideSign(a) ^ wideSign(b), exp, qHi, qLo);
}

/** to = a + b. */
export function wideAdd(to: usize, a: usize, b: usize): void {
  if (wideIsZero(a)) {
    wideCopy(to, b);
    return;
  }
  if (wideIsZero(b)) {
    wideCopy(to, a);
    return;
  }
  let big = a;
  let small = b;
  if (
    wideExp(a) < wideExp(b) ||
    (wideExp(a) == wideExp(b) && (wideHi(a) < wideHi(b) || (wideHi(a) == wideHi(b) && wideLo(a) < wideLo(b))))
  ) {
    big = b;
    small = a;
  }
  const shift = wideExp(big) - wideExp(small);
  let hi = wideHi(small);
  let lo = wideLo(small);
  let lost = false;
  if (shift >= 128) {
    lost = true;
    hi = 0;
    lo = 0;
  } else if (shift >= 64) {
    const rest = shift == 64 ? 0 : hi << (128 - shift);
    lost = (lo | rest) != 0;
    lo = hi >> (shift - 64);
    hi = 0;
  } else if (shift > 0) {
    lost = lo << (64 - shift) != 0;
    lo = (lo >> shift) | (hi << (64 - shift));
    hi >>= shift;
  }
  const sign = wideSign(big);
  if (lost && sign != wideSign(small)) {
    // Truncating a difference means taking off too much: 1 - tiny stays below 1.
    lo++;
    if (lo == 0) hi++;
  }
  let exp = wideExp(big);
  const bigHi = wideHi(big);
  const bigLo = wideLo(big);
  if (sign != wideSign(small)) {
    const newHi = bigHi - hi - <u64>(bigLo < lo);
    wideSetNormalized(to, sign, exp, newHi, bigLo - lo);
    return;
  }
  const newLo = bigLo + lo;
  const carry = <u64>(newLo < lo);
  let newHi = bigHi + hi;
  let overflow = newHi < hi;
  newHi += carry;
  if (newHi < carry) overflow = true;
  if (overflow) {
    exp++;
    wideSet(to, sign, exp, (newHi >> 1) | MSB, (newLo >> 1) | (newHi << 63));
  } else wideSet(to, sign, exp, newHi, newLo);
}

/** to = a - b. */
export function wideSub(to: usize, a: usize, b: usize): void {
  const sign = wideSign(b);
  wideSetSign(b, sign ^ 1);
  wideAdd(to, a, b);
  if (to != b) wideSetSign(b, sign);
}
