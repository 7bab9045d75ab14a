// Flag-setting shifts, rotates, multiplications and bit tests of the hot ops, out of line.

import { CF, OF, getArithFlags, setArithFlags, setFlagsCO, sext } from "./flags";
import { mulHighS } from "./generic-multiply";

/** SHL by 1..size-1 with flags. */
export function shl<T>(v: T, n: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const r = <T>(v << <T>n);
  const cf = <u32>((v >> <T>(bits - n)) & 1);
  const ovf = cf ^ <u32>((r >> <T>(bits - 1)) & 1);
  setFlagsCO<T>(sext<T>(<u64>r), cf | (ovf << 11));
  return r;
}

/** SHR by 1..size-1 with flags. */
export function shr<T>(v: T, n: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const r = <T>(v >> <T>n);
  const cf = <u32>((v >> <T>(n - 1)) & 1);
  const ovf = n == 1 ? <u32>((v >> <T>(bits - 1)) & 1) : 0;
  setFlagsCO<T>(sext<T>(<u64>r), cf | (ovf << 11));
  return r;
}

/** SAR by 1..size-1 with flags. */
export function sar<T>(v: T, n: u32): T {
  const s = sext<T>(<u64>v);
  const r = <T>(s >> <i64>n);
  setFlagsCO<T>(sext<T>(<u64>r), <u32>((s >> <i64>(n - 1)) & 1));
  return r;
}

/** ROL by 1..size-1 with flags. */
export function rol<T>(v: T, n: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const r = <T>((v << <T>n) | (v >> <T>(bits - n)));
  const cf = <u32>(r & 1);
  const ovf = cf ^ <u32>((r >> <T>(bits - 1)) & 1);
  setArithFlags((getArithFlags() & ~(CF | OF)) | cf | (ovf << 11));
  return r;
}

/** ROR by 1..size-1 with flags. */
export function ror<T>(v: T, n: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const r = <T>((v >> <T>n) | (v << <T>(bits - n)));
  const cf = <u32>((r >> <T>(bits - 1)) & 1);
  const ovf = cf ^ <u32>((r >> <T>(bits - 2)) & 1);
  setArithFlags((getArithFlags() & ~(CF | OF)) | cf | (ovf << 11));
  return r;
}

export function imul32(a: i32, b: i32): u32 {
  const r = <i64>a * <i64>b;
  const over = r != <i64>(<i32>r);
  setFlagsCO<u32>(<i64>(<i32>r), over ? CF | OF : 0);
  return <u32>r;
}

export function imul64(a: i64, b: i64): u64 {
  const r = a * b;
  // Two operands of 32 bits cannot overflow.
  const small = a == <i64>(<i32>a) && b == <i64>(<i32>b);
  const over = !small && mulHighS(a, b) != r >> 63;
  setFlagsCO<u64>(r, over ? CF | OF : 0);
  return <u64>r;
}

/** CF = bit n of v; the other flags stay. */
export function bitTest(v: u64, n: u32): void {
  setArithFlags((getArithFlags() & ~CF) | <u32>((v >> <u64>n) & 1));
}
