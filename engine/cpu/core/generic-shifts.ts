// Shifts and rotates in all sizes, counts and forms. What the interpreter has cases for is in shifts.ts.

import { CF, OF, getArithFlags, getCF, setArithFlags, setFlagsCO, sext } from "./flags";

/** AF and OF survive in a CO image when a rotate changes only CF and OF. */
function rotateFlags(cf: bool, ovf: bool): void {
  setArithFlags((getArithFlags() & ~(CF | OF)) | (cf ? CF : 0) | (ovf ? OF : 0));
}

/** ROL ROR RCL RCR SHL SHR SAL SAR by a raw count (SDM vol. 2B); sets flags unless the masked count is 0. */
export function shift<T>(kind: i32, v: T, raw: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  let n: u32 = raw & (sizeof<T>() == 8 ? 63 : 31);
  if (n == 0) return v;
  const top: T = <T>(<T>1 << <T>(bits - 1));
  let r: T = v;
  switch (kind) {
    case 0: {
      n &= bits - 1;
      if (n) r = <T>((v << <T>n) | (v >> <T>(bits - n)));
      rotateFlags((r & 1) != 0, ((r & 1) != 0) != ((r & top) != 0));
      return r;
    }
    case 1: {
      n &= bits - 1;
      if (n) r = <T>((v >> <T>n) | (v << <T>(bits - n)));
      rotateFlags((r & top) != 0, ((r & top) != 0) != ((r & (top >> 1)) != 0));
      return r;
    }
    case 2: {
      n %= bits + 1;
      if (n == 0) {
        // As by single steps: OF is that of the unchanged value.
        const c = getCF();
        rotateFlags(c, c != ((r & top) != 0));
        return v;
      }
      let c = getCF();
      for (let i: u32 = 0; i < n; i++) {
        const out = (r & top) != 0;
        r = <T>((r << 1) | <T>c);
        c = out;
      }
      rotateFlags(c, c != ((r & top) != 0));
      return r;
    }
    case 3: {
      n %= bits + 1;
      let c = getCF();
      for (let i: u32 = 0; i < n; i++) {
        const out = (r & 1) != 0;
        r = <T>((r >> 1) | (c ? top : <T>0));
        c = out;
      }
      rotateFlags(c, ((r & top) != 0) != ((r & (top >> 1)) != 0));
      return r;
    }
    case 5: {
      const cf = n > bits ? false : ((v >> <T>(n - 1)) & 1) != 0;
      r = n >= bits ? <T>0 : <T>(v >> <T>n);
      // OF is defined for a count of 1 only: the top bit of the operand.
      setFlagsCO<T>(sext<T>(<u64>r), (cf ? CF : 0) | (n == 1 && (v & top) != 0 ? OF : 0));
      return r;
    }
    case 7: {
      const s = sext<T>(<u64>v);
      const m: u64 = min<u32>(n, bits - 1);
      const cf = ((s >> <i64>min<u32>(n - 1, 63)) & 1) != 0;
      r = <T>(s >> <i64>m);
      setFlagsCO<T>(sext<T>(<u64>r), cf ? CF : 0);
      return r;
    }
    default: {
      const cf = n > bits ? false : ((v >> <T>(bits - n)) & 1) != 0;
      r = n >= bits ? <T>0 : <T>(v << <T>n);
      const ovf = cf != ((r & top) != 0);
      setFlagsCO<T>(sext<T>(<u64>r), (cf ? CF : 0) | (ovf ? OF : 0));
      return r;
    }
  }
}

/** SHLD (left) and SHRD; counts beyond the size are undefined for 16 bits, and do here what AMD's and Intel's processors do. */
export function doubleShift<T>(left: bool, a: T, b: T, raw: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  let n: u32 = raw & (sizeof<T>() == 8 ? 63 : 31);
  if (n == 0) return a;
  const top: T = <T>(<T>1 << <T>(bits - 1));
  let r: T;
  let cf: bool;
  if (sizeof<T>() == 2 && n > 16) {
    // The source comes in a second time; CF and OF are cleared.
    n -= 16;
    r = <T>(left ? (b << <T>n) | (b >> <T>(bits - n)) : (b >> <T>n) | (b << <T>(bits - n)));
    setFlagsCO<T>(sext<T>(<u64>r), 0);
    return r;
  }
  if (left) {
    cf = ((a >> <T>(bits - n)) & 1) != 0;
    r = n == bits ? b : <T>((a << <T>n) | (b >> <T>(bits - n)));
  } else {
    cf = ((a >> <T>(n - 1)) & 1) != 0;
    r = n == bits ? b : <T>((a >> <T>n) | (b << <T>(bits - n)));
  }
  const ovf = ((r ^ a) & top) != 0;
  setFlagsCO<T>(sext<T>(<u64>r), (cf ? CF : 0) | (ovf ? OF : 0));
  return r;
}
