// MUL, IMUL, DIV and IDIV on the accumulator, in all sizes.

import { DE, raiseNoError } from "./exception";
import { CF, OF, setFlagsCO, sext } from "./flags";
import { RAX, RDX } from "./layout";

/** Flags of a multiplication with this low half: CF and OF say that the high half matters. */
export function mulFlags<T>(low: i64, overflow: bool): void {
  setFlagsCO<T>(low, overflow ? CF | OF : 0);
}

/** High half of an unsigned 64 x 64 product. */
export function mulHighU(a: u64, b: u64): u64 {
  const al = a & 0xffffffff;
  const ah = a >> 32;
  const bl = b & 0xffffffff;
  const bh = b >> 32;
  const ll = al * bl;
  const lh = al * bh;
  const hl = ah * bl;
  const mid = (ll >> 32) + (lh & 0xffffffff) + (hl & 0xffffffff);
  return ah * bh + (lh >> 32) + (hl >> 32) + (mid >> 32);
}

/** High half of a signed 64 x 64 product. */
export function mulHighS(a: i64, b: i64): i64 {
  let h = <i64>mulHighU(<u64>a, <u64>b);
  if (a < 0) h -= b;
  if (b < 0) h -= a;
  return h;
}

/** MUL or IMUL of the accumulator by v, into rDX:rAX, or AX. */
export function multiply<T>(v: T, signed: bool): void {
  if (sizeof<T>() == 1) {
    if (signed) {
      const r = <i32>load<i8>(RAX) * <i32>(<i8>v);
      store<u16>(RAX, <u16>r);
      mulFlags<T>(<i64>(<i8>r), r != <i32>(<i8>r));
    } else {
      const r = <u32>load<u8>(RAX) * <u32>v;
      store<u16>(RAX, <u16>r);
      mulFlags<T>(<i64>(<i8>r), r >> 8 != 0);
    }
  } else if (sizeof<T>() == 2) {
    if (signed) {
      const r = <i32>load<i16>(RAX) * <i32>(<i16>v);
      store<u16>(RAX, <u16>r);
      store<u16>(RDX, <u16>(r >> 16));
      mulFlags<T>(<i64>(<i16>r), r != <i32>(<i16>r));
    } else {
      const r = <u32>load<u16>(RAX) * <u32>v;
      store<u16>(RAX, <u16>r);
      store<u16>(RDX, <u16>(r >> 16));
      mulFlags<T>(<i64>(<i16>r), r >> 16 != 0);
    }
  } else if (sizeof<T>() == 4) {
    if (signed) {
      const r = <i64>load<i32>(RAX) * <i64>(<i32>v);
      store<u64>(RAX, <u64>(<u32>r));
      store<u64>(RDX, <u64>(<u32>(r >> 32)));
      mulFlags<T>(<i64>(<i32>r), r != <i64>(<i32>r));
    } else {
      const r = <u64>load<u32>(RAX) * <u64>(<u32>v);
      store<u64>(RAX, <u64>(<u32>r));
      store<u64>(RDX, r >> 32);
      mulFlags<T>(<i64>(<i32>r), r >> 32 != 0);
    }
  } else {
    const a = load<u64>(RAX);
    const lo = a * <u64>v;
    if (signed) {
      const hi = mulHighS(<i64>a, <i64>v);
      store<u64>(RAX, lo);
      store<i64>(RDX, hi);
      mulFlags<T>(<i64>lo, hi != <i64>lo >> 63);
    } else {
      const hi = mulHighU(a, <u64>v);
      store<u64>(RAX, lo);
      store<u64>(RDX, hi);
      mulFlags<T>(<i64>lo, hi != 0);
    }
  }
}

let quotient: u64 = 0;
let remainder: u64 = 0;

/** 128 / 64 bits; false if the quotient does not fit. */
function divide128(hi: u64, lo: u64, d: u64): bool {
  if (hi >= d) return false;
  if (hi == 0) {
    quotient = lo / d;
    remainder = lo % d;
    return true;
  }
  let q: u64 = 0;
  let r = hi;
  for (let i = 63; i >= 0; i--) {
    const carry = r >> 63;
    r = (r << 1) | ((lo >> <u64>i) & 1);
    if (carry || r >= d) {
      r -= d;
      q |= <u64>1 << <u64>i;
    }
  }
  quotient = q;
  remainder = r;
  return true;
}

/** DIV of rDX:rAX, or AX, by v; 0 with #DE pending. */
export function divide<T>(v: T): i32 {
  const d = <u64>v;
  if (d == 0) return raiseNoError(DE);
  if (sizeof<T>() == 1) {
    const n = <u64>load<u16>(RAX);
    if (n / d > 0xff) return raiseNoError(DE);
    store<u8>(RAX, <u8>(n / d));
    store<u8>(RAX + 1, <u8>(n % d));
  } else if (sizeof<T>() == 2) {
    const n = <u64>load<u16>(RAX) | (<u64>load<u16>(RDX) << 16);
    if (n / d > 0xffff) return raiseNoError(DE);
    store<u16>(RAX, <u16>(n / d));
    store<u16>(RDX, <u16>(n % d));
  } else if (sizeof<T>() == 4) {
    const n = <u64>load<u32>(RAX) | (<u64>load<u32>(RDX) << 32);
    const q = n / d;
    if (q > 0xffffffff) return raiseNoError(DE);
    store<u64>(RAX, q);
    store<u64>(RDX, n % d);
  } else {
    if (!divide128(load<u64>(RDX), load<u64>(RAX), d)) return raiseNoError(DE);
    store<u64>(RAX, quotient);
    store<u64>(RDX, remainder);
  }
  return 1;
}

/** IDIV of rDX:rAX, or AX, by v; 0 with #DE pending. */
export function divideSigned<T>(v: T): i32 {
  const d = sext<T>(<u64>v);
  if (d == 0) return raiseNoError(DE);
  if (sizeof<T>() == 8) {
    let hi = load<u64>(RDX);
    let lo = load<u64>(RAX);
    const negative = <i64>hi < 0;
    if (negative) {
      lo = 0 - lo;
      hi = ~hi + (lo == 0 ? 1 : 0);
    }
    const m: u64 = d < 0 ? <u64>0 - <u64>d : <u64>d;
    if (!divide128(hi, lo, m)) return raiseNoError(DE);
    const minus = negative != d < 0;
    if (quotient > (minus ? <u64>0x8000000000000000 : <u64>0x7fffffffffffffff)) return raiseNoError(DE);
    store<u64>(RAX, minus ? <u64>0 - quotient : quotient);
    store<u64>(RDX, negative ? <u64>0 - remainder : remainder);
    return 1;
  }
  let n: i64;
  if (sizeof<T>() == 1) n = <i64>load<i16>(RAX);
  else if (sizeof<T>() == 2) n = <i64>(<i32>(<u32>load<u16>(RAX) | (<u32>load<u16>(RDX) << 16)));
  else n = <i64>(<u64>load<u32>(RAX) | (<u64>load<u32>(RDX) << 32));
  if (n == i64.MIN_VALUE && d == -1) return raiseNoError(DE);
  const q = n / d;
  if (q != sext<T>(<u64>q)) return raiseNoError(DE);
  const r = n % d;
  if (sizeof<T>() == 1) {
    store<u8>(RAX, <u8>q);
    store<u8>(RAX + 1, <u8>r);
  } else if (sizeof<T>() == 2) {
    store<u16>(RAX, <u16>q);
    store<u16>(RDX, <u16>r);
  } else {
    store<u64>(RAX, <u64>(<u32>q));
    store<u64>(RDX, <u64>(<u32>r));
  }
  return 1;
}
