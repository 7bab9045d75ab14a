// Arithmetic flags, evaluated when somebody asks.
//
// An instruction that sets flags stores its result, and for some kinds its first operand, both sign-extended to 64 bits.
// Sign extension keeps the unsigned order of values of one size, so carries are found by one comparison:
// ADD carries when r < a, SUB borrows when r > a. A kind is (class << 2 | log2 of the operand's bytes).

import { FL_A, FL_KIND, FL_R, FL_R2, SYSFLAGS } from "./layout";
import { modeChanged } from "./mmu";

export const CF: u32 = 1;
export const PF: u32 = 4;
export const AF: u32 = 0x10;
export const ZF: u32 = 0x40;
export const SF: u32 = 0x80;
export const TF: u32 = 0x100;
export const IF: u32 = 0x200;
export const DF: u32 = 0x400;
export const OF: u32 = 0x800;
export const IOPL: u32 = 0x3000;
export const NT: u32 = 0x4000;
export const RF: u32 = 0x10000;
export const VM: u32 = 0x20000;
export const AC: u32 = 0x40000;
export const VIF: u32 = 0x80000;
export const VIP: u32 = 0x100000;
export const ID: u32 = 0x200000;
export const ARITH: u32 = 0x8d5;

/** All six flags are in FL_A, as an EFLAGS image. */
export const CLASS_RAW: u32 = 0;
export const CLASS_ADD: u32 = 1;
/** a + b + 1 */
export const CLASS_ADC: u32 = 2;
export const CLASS_SUB: u32 = 3;
/** a - b - 1 */
export const CLASS_SBB: u32 = 4;
/** CF = OF = AF = 0 */
export const CLASS_LOGIC: u32 = 5;
/**
 * INC and DEC keep CF. The kind from before moves to bits 8-15, its result to FL_R2, and CF is found from those.
 */
export const CLASS_INC: u32 = 6;
export const CLASS_DEC: u32 = 7;
/** CF, OF and AF are in FL_A as in an EFLAGS image; the others come from the result. */
export const CLASS_CO: u32 = 8;

// @ts-ignore: decorator
@inline export function kindOf<T>(cls: u32): u32 {
  return (cls << 2) | (sizeof<T>() == 1 ? 0 : sizeof<T>() == 2 ? 1 : sizeof<T>() == 4 ? 2 : 3);
}

/** Sign-extends a value of T's size held in a 64-bit word. */
// @ts-ignore: decorator
@inline export function sext<T>(v: u64): i64 {
  if (sizeof<T>() == 1) return <i64>(<i8>v);
  if (sizeof<T>() == 2) return <i64>(<i16>v);
  if (sizeof<T>() == 4) return <i64>(<i32>v);
  return <i64>v;
}

// @ts-ignore: decorator
@inline export function setFlagsRA<T>(cls: u32, r: i64, a: i64): void {
  store<i64>(FL_R, r);
  store<i64>(FL_A, a);
  store<u32>(FL_KIND, kindOf<T>(cls));
}

// @ts-ignore: decorator
@inline export function setFlagsLogic<T>(r: i64): void {
  store<i64>(FL_R, r);
  store<u32>(FL_KIND, kindOf<T>(CLASS_LOGIC));
}

/** INC or DEC with result r. */
// @ts-ignore: decorator
@inline export function setFlagsKeepCF<T>(cls: u32, r: i64): void {
  const kind = load<u32>(FL_KIND);
  if (kind < 0x100) {
    store<i64>(FL_R2, load<i64>(FL_R));
    store<u32>(FL_KIND, (kind << 8) | kindOf<T>(cls));
  } else store<u32>(FL_KIND, (kind & 0xff00) | kindOf<T>(cls));
  store<i64>(FL_R, r);
}

/** Result flags from r; CF, OF, AF as given in an EFLAGS image. */
// @ts-ignore: decorator
@inline export function setFlagsCO<T>(r: i64, co: u32): void {
  store<i64>(FL_R, r);
  store<i64>(FL_A, <i64>co);
  store<u32>(FL_KIND, kindOf<T>(CLASS_CO));
}

/** Sets all six arithmetic flags from an EFLAGS image. */
export function setArithFlags(eflags: u32): void {
  store<i64>(FL_A, <i64>(eflags & ARITH));
  store<u32>(FL_KIND, CLASS_RAW << 2);
}

export function getCF(): bool {
  let kind = load<u32>(FL_KIND);
  let r = load<u64>(FL_R);
  if (kind >= 0x100) {
    kind >>= 8;
    r = load<u64>(FL_R2);
  }
  const a = load<u64>(FL_A);
  switch (kind >> 2) {
    case CLASS_ADD: return r < a;
    case CLASS_ADC: return r <= a;
    case CLASS_SUB: return r > a;
    case CLASS_SBB: return r >= a;
    case CLASS_LOGIC: return false;
    default: return (a & 1) != 0; // RAW, CO
  }
}

export function getZF(): bool {
  if ((load<u32>(FL_KIND) & 0xfc) == 0) return (load<u32>(FL_A) & ZF) != 0;
  return load<u64>(FL_R) == 0;
}

export function getSF(): bool {
  if ((load<u32>(FL_KIND) & 0xfc) == 0) return (load<u32>(FL_A) & SF) != 0;
  return load<i64>(FL_R) < 0;
}

export function getPF(): bool {
  if ((load<u32>(FL_KIND) & 0xfc) == 0) return (load<u32>(FL_A) & PF) != 0;
  return (popcnt<u32>(load<u32>(FL_R) & 0xff) & 1) == 0;
}

export function getOF(): bool {
  const kind = load<u32>(FL_KIND) & 0xff;
  const shift: u64 = 64 - (<u64>8 << (<u64>kind & 3));
  const r = load<u64>(FL_R) << shift;
  const a = load<u64>(FL_A) << shift;
  const one = <u64>1 << shift;
  let b: u64;
  switch (kind >> 2) {
    case CLASS_ADD:
      b = r - a;
      return <i64>((a ^ r) & (b ^ r)) < 0;
    case CLASS_ADC:
      b = r - a - one;
      return <i64>((a ^ r) & (b ^ r)) < 0;
    case CLASS_SUB:
      b = a - r;
      return <i64>((a ^ b) & (a ^ r)) < 0;
    case CLASS_SBB:
      b = a - r - one;
      return <i64>((a ^ b) & (a ^ r)) < 0;
    case CLASS_LOGIC: return false;
    case CLASS_INC: return r == 0x8000000000000000;
    case CLASS_DEC: return r == (0x7fffffffffffffff >> shift) << shift;
    default: return (load<u32>(FL_A) & OF) != 0;
  }
}

export function getAF(): bool {
  const kind = load<u32>(FL_KIND) & 0xff;
  const r = load<u64>(FL_R);
  const a = load<u64>(FL_A);
  switch (kind >> 2) {
    case CLASS_ADD: return ((a ^ r ^ (r - a)) & 0x10) != 0;
    case CLASS_ADC: return ((a ^ r ^ (r - a - 1)) & 0x10) != 0;
    case CLASS_SUB: return ((a ^ r ^ (a - r)) & 0x10) != 0;
    case CLASS_SBB: return ((a ^ r ^ (a - r - 1)) & 0x10) != 0;
    case CLASS_LOGIC: return false;
    case CLASS_INC: return (r & 15) == 0;
    case CLASS_DEC: return (r & 15) == 15;
    default: return (<u32>a & AF) != 0;
  }
}

/** The six arithmetic flags as an EFLAGS image. */
export function getArithFlags(): u32 {
  if ((load<u32>(FL_KIND) & 0xfc) == 0) return load<u32>(FL_A) & ARITH;
  return (
    <u32>getCF() |
    (<u32>getPF() << 2) |
    (<u32>getAF() << 4) |
    (<u32>getZF() << 6) |
    (<u32>getSF() << 7) |
    (<u32>getOF() << 11)
  );
}

/** RFLAGS, with bit 1 set as always. */
export function getFlags(): u32 {
  return getArithFlags() | (load<u32>(SYSFLAGS) & ~ARITH) | 2;
}

/** Loads every flag without any check; who may change which is the caller's business. */
export function setFlags(eflags: u32): void {
  setArithFlags(eflags);
  const changed = load<u32>(SYSFLAGS) ^ eflags;
  store<u32>(SYSFLAGS, eflags & ~ARITH);
  if (changed & AC) modeChanged();
}

/** The condition of Jcc, SETcc and CMOVcc with the low four bits of the opcode (SDM vol. 1, appendix B). */
export function condition(cc: i32): bool {
  let v: bool;
  switch (cc >> 1) {
    case 0: v = getOF(); break;
    case 1: v = getCF(); break;
    case 2: v = getZF(); break;
    case 3: v = getCF() || getZF(); break;
    case 4: v = getSF(); break;
    case 5: v = getPF(); break;
    case 6: v = getSF() != getOF(); break;
    default: v = getZF() || getSF() != getOF(); break;
  }
  return v != ((cc & 1) != 0);
}
