// Integer instructions that are not worth a case of their own in the interpreter, in all sizes, on registers or memory.
// Shifts, multiplications, bit operations, stack frames and decimal adjustments are in files of their own.

import { decimal } from "./decimal";
import { BR, GP, SS, raise, raiseNoError } from "./exception";
import {
  AF, CF, CLASS_ADC, CLASS_ADD, CLASS_DEC, CLASS_INC, CLASS_SBB, CLASS_SUB, DF, OF, PF, SF, ZF, condition, getArithFlags,
  getCF, setArithFlags, setFlagsCO, setFlagsKeepCF, setFlagsLogic, setFlagsRA, sext,
} from "./flags";
import { bitOperation, byteSwap, crc32c } from "./generic-bits";
import { divide, divideSigned, mulFlags, multiply } from "./generic-multiply";
import { doubleShift, shift } from "./generic-shifts";
import { MODE, MODE_64, RAX, RCX, RDX, REGS, SEED, SEG, SYSFLAGS } from "./layout";
import { readable, writable, writeDone } from "./mmu";
import { Gen } from "./ops";
import { attributesOf, baseOf, checkSegment } from "./segment";
import { peek, popped, push, release, storeBySize } from "./stack";
import { enter, leave, popa, pusha, pushf, putRegister } from "./stack-frame";

/** Effective address of the memory operand of the op at `m`. */
// @ts-ignore: decorator
@inline export function addressOf(m: usize): u64 {
  return (
    load<u64>(load<u8>(m, 3), REGS) + (load<u64>(load<u8>(m, 4), REGS) << <u64>load<u8>(m, 5)) + <u64>(<i64>load<i32>(m, 8))
  );
}

// @ts-ignore: decorator
@inline function put<T>(at: usize, v: T, memory: bool): void {
  // A 32-bit result in a register clears the upper half.
  if (sizeof<T>() == 4 && !memory) store<u64>(at, <u64>(<u32>v));
  else store<T>(at, v);
}

/** One operation of the ADD OR ADC SBB AND SUB XOR CMP list; sets flags. */
function alu<T>(k: i32, a: T, b: T): T {
  let r: T;
  switch (k) {
    case 0:
      r = <T>(a + b);
      setFlagsRA<T>(CLASS_ADD, sext<T>(<u64>r), sext<T>(<u64>a));
      return r;
    case 1: r = <T>(a | b); break;
    case 2: {
      const c = getCF();
      r = <T>(a + b + <T>c);
      setFlagsRA<T>(c ? CLASS_ADC : CLASS_ADD, sext<T>(<u64>r), sext<T>(<u64>a));
      return r;
    }
    case 3: {
      const c = getCF();
      r = <T>(a - b - <T>c);
      setFlagsRA<T>(c ? CLASS_SBB : CLASS_SUB, sext<T>(<u64>r), sext<T>(<u64>a));
      return r;
    }
    case 4: r = <T>(a & b); break;
    case 6: r = <T>(a ^ b); break;
    default:
      r = <T>(a - b);
      setFlagsRA<T>(CLASS_SUB, sext<T>(<u64>r), sext<T>(<u64>a));
      return r;
  }
  setFlagsLogic<T>(sext<T>(<u64>r));
  return r;
}

function random(): u64 {
  // SplitMix64: every seed gives a full-period sequence, the same on every machine.
  const s = load<u64>(SEED) + 0x9e3779b97f4a7c15;
  store<u64>(SEED, s);
  let z = s;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** Functions that only read rm; `v` is its value. */
function readOnly<T>(p: usize, fn: i32, at: usize, v: T): i32 {
  const a = REGS + <usize>load<u8>(p, 2);
  const imm = load<i32>(p, 12);
  if (fn < Gen.ALU_RM_I) {
    const k = fn & 7;
    const r = alu<T>(k, load<T>(a), v);
    if (k != 7) put<T>(a, r, false);
    return 1;
  }
  switch (fn) {
    case Gen.TEST_I: setFlagsLogic<T>(sext<T>(<u64>(v & <T>imm))); return 1;
    case Gen.TEST_R: setFlagsLogic<T>(sext<T>(<u64>(v & load<T>(a)))); return 1;
    case Gen.MUL: multiply<T>(v, false); return 1;
    case Gen.IMUL: multiply<T>(v, true); return 1;
    case Gen.DIV: return divide<T>(v);
    case Gen.IDIV: return divideSigned<T>(v);
    case Gen.BT_R: bitOperation<T>(0, v, <u32>load<u64>(a) & ((sizeof<T>() << 3) - 1)); return 1;
    case Gen.BT_I: bitOperation<T>(0, v, <u32>imm & ((sizeof<T>() << 3) - 1)); return 1;
    case Gen.BSF:
    case Gen.BSR: {
      // With a source of 0 the destination is unchanged, but for the upper half of a 32-bit one on some processors.
      const z = v == 0;
      let n: u64 = 0;
      if (!z) {
        n = fn == Gen.BSF ? ctz<u64>(<u64>v) : 63 - clz<u64>(<u64>v);
        put<T>(a, <T>n, false);
      }
      setFlagsCO<T>(z ? 0 : 1, 0);
      return 1;
    }
    case Gen.POPCNT: {
      const n = <u32>popcnt<u64>(<u64>v);
      put<T>(a, <T>n, false);
      setArithFlags(n == 0 ? ZF : 0);
      return 1;
    }
    case Gen.IMUL2:
    case Gen.IMUL3: { // 16 bits only: the wider forms are micro-ops
      const x = <i32>(<i16>v) * (fn == Gen.IMUL3 ? imm : <i32>load<i16>(a));
      store<u16>(a, <u16>x);
      mulFlags<T>(<i64>(<i16>x), x != <i32>(<i16>x));
      return 1;
    }
    case Gen.CMOV:
      if (condition(imm)) put<T>(a, v, false);
      return 1;
    case Gen.MOVBE_LOAD: put<T>(a, byteSwap<T>(v), false); return 1;
    case Gen.CRC32_8:
    case Gen.CRC32: {
      let c = load<u32>(a);
      let x = <u64>v;
      for (let i = 0; i < <i32>sizeof<T>(); i++) {
        c = crc32c(c, <u32>x & 0xff);
        x >>= 8;
      }
      store<u64>(a, <u64>c);
      return 1;
    }
    case Gen.CLFLUSH:
      return 1;
    default:
      unreachable();
  }
  return 1;
}

/** Functions that write rm, at host address `at`. */
function modify<T>(p: usize, fn: i32, at: usize, memory: bool): i32 {
  const a = REGS + <usize>load<u8>(p, 2);
  const imm = load<i32>(p, 12);
  const v = load<T>(at);
  if (fn < Gen.ALU_R_RM) {
    put<T>(at, alu<T>(fn & 7, v, load<T>(a)), memory);
    return 1;
  }
  if (fn >= Gen.ALU_RM_I && fn < Gen.SHIFT_I) {
    put<T>(at, alu<T>(fn & 7, v, <T>imm), memory);
    return 1;
  }
  if (fn < Gen.SHIFT_CL) {
    put<T>(at, shift<T>(fn & 7, v, <u32>imm), memory);
    return 1;
  }
  if (fn < Gen.TEST_I) {
    put<T>(at, shift<T>(fn & 7, v, <u32>load<u8>(RCX)), memory);
    return 1;
  }
  const mask: u32 = (sizeof<T>() << 3) - 1;
  switch (fn) {
    case Gen.NOT: put<T>(at, <T>~v, memory); return 1;
    case Gen.NEG: put<T>(at, alu<T>(5, <T>0, v), memory); return 1;
    case Gen.INC:
    case Gen.DEC: {
      const r: T = fn == Gen.INC ? <T>(v + 1) : <T>(v - 1);
      setFlagsKeepCF<T>(fn == Gen.INC ? CLASS_INC : CLASS_DEC, sext<T>(<u64>r));
      put<T>(at, r, memory);
      return 1;
    }
    case Gen.XCHG: {
      const x = load<T>(a);
      put<T>(a, v, false);
      put<T>(at, x, memory);
      return 1;
    }
    case Gen.XADD: {
      const r = alu<T>(0, v, load<T>(a));
      put<T>(a, v, false);
      put<T>(at, r, memory);
      return 1;
    }
    case Gen.CMPXCHG: {
      const acc = load<T>(RAX);
      const x = load<T>(a);
      alu<T>(7, acc, v);
      if (acc == v) put<T>(at, x, memory);
      else {
        // Memory gets its old value written back; a register is not touched, not even the upper half of a 32-bit one.
        if (memory) put<T>(at, v, true);
        put<T>(RAX, v, false);
      }
      return 1;
    }
    case Gen.BTS_R: case Gen.BTR_R: case Gen.BTC_R:
      put<T>(at, bitOperation<T>(fn - Gen.BT_R, v, <u32>load<u64>(a) & mask), memory);
      return 1;
    case Gen.BTS_I: case Gen.BTR_I: case Gen.BTC_I:
      put<T>(at, bitOperation<T>(fn - Gen.BT_I, v, <u32>imm & mask), memory);
      return 1;
    case Gen.SHLD_I: put<T>(at, doubleShift<T>(true, v, load<T>(a), <u32>imm), memory); return 1;
    case Gen.SHRD_I: put<T>(at, doubleShift<T>(false, v, load<T>(a), <u32>imm), memory); return 1;
    case Gen.SHLD_CL: put<T>(at, doubleShift<T>(true, v, load<T>(a), <u32>load<u8>(RCX)), memory); return 1;
    case Gen.SHRD_CL: put<T>(at, doubleShift<T>(false, v, load<T>(a), <u32>load<u8>(RCX)), memory); return 1;
    case Gen.MOVBE_STORE: put<T>(at, byteSwap<T>(load<T>(a)), memory); return 1;
    case Gen.MOV_FROM_SEG: {
      const selector = load<u16>(SEG + <usize>imm * 8);
      put<T>(at, <T>selector, memory);
      return 1;
    }
    case Gen.RDRAND:
    case Gen.RDSEED:
      put<T>(at, <T>random(), memory);
      setArithFlags(CF);
      return 1;
    case Gen.BSWAP16: put<T>(at, <T>0, memory); return 1; // undefined; processors give 0
    default:
      unreachable();
  }
  return 1;
}

function readsOnly(fn: i32): bool {
  if (fn < Gen.SHIFT_I) return (fn >= Gen.ALU_R_RM && fn < Gen.ALU_RM_I) || (fn & 7) == 7;
  switch (fn) {
    case Gen.TEST_I: case Gen.TEST_R: case Gen.MUL: case Gen.IMUL: case Gen.DIV: case Gen.IDIV: case Gen.BT_R: case Gen.BT_I:
    case Gen.BSF: case Gen.BSR: case Gen.POPCNT: case Gen.IMUL2: case Gen.IMUL3: case Gen.CMOV: case Gen.MOVBE_LOAD:
    case Gen.CRC32_8: case Gen.CRC32: case Gen.CLFLUSH:
      return true;
    default: return false;
  }
}

function sized<T>(p: usize, fn: i32): i32 {
  const memory = load<u8>(p, 4) != 0;
  if (!memory) {
    const at = REGS + <usize>load<u8>(p, 3);
    return readsOnly(fn) ? readOnly<T>(p, fn, at, load<T>(at)) : modify<T>(p, fn, at, false);
  }
  const ea = addressOf(p + 16);
  if (readsOnly(fn)) {
    const h = readable(ea, sizeof<T>());
    return h ? readOnly<T>(p, fn, h, load<T>(h)) : 0;
  }
  const h = writable(ea, sizeof<T>());
  if (!h) return 0;
  if (!modify<T>(p, fn, h, true)) return 0;
  writeDone(h);
  return 1;
}

function extend16(p: usize, fn: i32): i32 {
  const from = fn == Gen.MOVZX8 || fn == Gen.MOVSX8 ? 1 : 2;
  let at: usize;
  if (load<u8>(p, 4)) {
    at = readable(addressOf(p + 16), from);
    if (!at) return 0;
  } else {
    at = REGS + <usize>load<u8>(p, 3);
  }
  const a = REGS + <usize>load<u8>(p, 2);
  if (fn == Gen.MOVZX8) store<u16>(a, <u16>load<u8>(at));
  else if (fn == Gen.MOVSX8) store<i16>(a, <i16>load<i8>(at));
  else store<u16>(a, load<u16>(at));
  return 1;
}

function cmpxchg8b(p: usize): i32 {
  const h = writable(addressOf(p + 16), 8);
  if (!h) return 0;
  const v = load<u64>(h);
  const expected = <u64>load<u32>(RAX) | (<u64>load<u32>(RDX) << 32);
  const equal = v == expected;
  if (equal) {
    store<u64>(h, <u64>load<u32>(REGS + 3 * 8) | (<u64>load<u32>(RCX) << 32));
  } else {
    store<u64>(RAX, v & 0xffffffff);
    store<u64>(RDX, v >> 32);
  }
  writeDone(h);
  setArithFlags((getArithFlags() & ~ZF) | (equal ? ZF : 0));
  return 1;
}

function cmpxchg16b(p: usize): i32 {
  const ea = addressOf(p + 16);
  if (ea & 15) return raise(GP, 0);
  const h = writable(ea, 16);
  if (!h) return 0;
  const lo = load<u64>(h);
  const hi = load<u64>(h, 8);
  const equal = lo == load<u64>(RAX) && hi == load<u64>(RDX);
  if (equal) {
    store<u64>(h, load<u64>(REGS + 3 * 8));
    store<u64>(h, load<u64>(RCX), 8);
  } else {
    store<u64>(RAX, lo);
    store<u64>(RDX, hi);
  }
  writeDone(h);
  setArithFlags((getArithFlags() & ~ZF) | (equal ? ZF : 0));
  return 1;
}

function bound(p: usize, log2: i32): i32 {
  const bytes = 1 << log2;
  const ea = addressOf(p + 16);
  const low = readable(ea, bytes);
  if (!low) return 0;
  const least = log2 == 1 ? <i32>load<i16>(low) : load<i32>(low);
  const high = readable((ea + <u64>bytes) & 0xffffffff, bytes);
  if (!high) return 0;
  const most = log2 == 1 ? <i32>load<i16>(high) : load<i32>(high);
  const a = REGS + <usize>load<u8>(p, 2);
  const index = log2 == 1 ? <i32>load<i16>(a) : load<i32>(a);
  const inside = index >= least && index <= most;
  return inside ? 1 : raiseNoError(BR);
}

function arpl(p: usize): i32 {
  const memory = load<u8>(p, 4) != 0;
  let at = memory ? readable(addressOf(p + 16), 2) : REGS + <usize>load<u8>(p, 3);
  if (!at) return 0;
  const rpl = load<u16>(REGS + <usize>load<u8>(p, 2)) & 3;
  const d = load<u16>(at);
  const adjust = (d & 3) < rpl;
  if (adjust) {
    if (memory) {
      const segment = load<i32>(p, 12);
      const attributes = attributesOf(segment);
      if (attributes & 8 || !(attributes & 2)) return raise(segment == 2 ? SS : GP, 0);
      at = writable(addressOf(p + 16), 2);
      if (!at) return 0;
    }
    store<u16>(at, (d & ~3) | rpl);
    if (memory) writeDone(at);
  }
  setArithFlags((getArithFlags() & ~ZF) | (adjust ? ZF : 0));
  return 1;
}

/** Executes a GEN op; 0 with an exception pending. */
export function execGeneric(p: usize): i32 {
  const fn = <i32>load<u16>(p, 6);
  const log2 = <i32>load<u8>(p, 5);
  const imm = load<i32>(p, 12);
  switch (fn) {
    case Gen.MOVZX8: case Gen.MOVZX16: case Gen.MOVSX8: case Gen.MOVSX16: return extend16(p, fn);
    case Gen.CMPXCHG8B: return cmpxchg8b(p);
    case Gen.CMPXCHG16B: return cmpxchg16b(p);
    case Gen.BIT_OFFSET: {
      // A register bit offset reaches beyond the operand: signed, in units of the operand (SDM vol. 2A, BT).
      const v = load<u64>(REGS + <usize>load<u8>(p, 3));
      const offset = log2 == 1 ? <i64>(<i16>v) : log2 == 2 ? <i64>(<i32>v) : <i64>v;
      store<i64>(REGS + <usize>load<u8>(p, 2), (offset >> <i64>(log2 + 3)) << <i64>log2);
      return 1;
    }
    case Gen.CBW: store<i16>(RAX, <i16>load<i8>(RAX)); return 1;
    case Gen.CWD: store<i16>(RDX, load<i16>(RAX) >> 15); return 1;
    case Gen.LAHF: store<u8>(RAX, <u8>(getArithFlags() | 2), 1); return 1;
    case Gen.SAHF: setArithFlags((getArithFlags() & OF) | (<u32>load<u8>(RAX, 1) & (SF | ZF | AF | PF | CF))); return 1;
    case Gen.CMC: setArithFlags(getArithFlags() ^ CF); return 1;
    case Gen.CLC: setArithFlags(getArithFlags() & ~CF); return 1;
    case Gen.STC: setArithFlags(getArithFlags() | CF); return 1;
    case Gen.CLD: store<u32>(SYSFLAGS, load<u32>(SYSFLAGS) & ~DF); return 1;
    case Gen.STD: store<u32>(SYSFLAGS, load<u32>(SYSFLAGS) | DF); return 1;
    case Gen.PUSH: return push(load<u64>(REGS + <usize>load<u8>(p, 2)), log2);
    case Gen.PUSH_I: return push(<u64>(<i64>imm), log2);
    case Gen.POP: {
      if (!peek(0, log2)) return 0;
      release(<u64>1 << <u64>log2);
      putRegister(REGS + <usize>load<u8>(p, 2), popped, log2);
      return 1;
    }
    case Gen.POP_RM: {
      if (!peek(0, log2)) return 0;
      const v = popped;
      const address = addressOf(p + 16);
      if (load<u32>(MODE) != MODE_64 && !checkSegment(imm, (address - baseOf(imm)) & 0xffffffff, 1 << log2, true)) return 0;
      const h = writable(address, 1 << log2);
      if (!h) return 0;
      storeBySize(h, v, log2);
      writeDone(h);
      release(<u64>1 << <u64>log2);
      return 1;
    }
    case Gen.PUSHF: return pushf(log2);
    case Gen.ENTER: return enter(log2, imm);
    case Gen.LEAVE: return leave(log2);
    case Gen.PUSHA: return pusha(log2);
    case Gen.POPA: return popa(log2);
    case Gen.BOUND: return bound(p, log2);
    case Gen.ARPL: return arpl(p);
    case Gen.DAA: case Gen.DAS: case Gen.AAA: case Gen.AAS: case Gen.AAM: case Gen.AAD: return decimal(fn, imm);
    case Gen.SALC: store<u8>(RAX, getCF() ? 0xff : 0); return 1;
  }
  switch (log2) {
    case 0: return sized<u8>(p, fn);
    case 1: return sized<u16>(p, fn);
    case 2: return sized<u32>(p, fn);
    default: return sized<u64>(p, fn);
  }
}
