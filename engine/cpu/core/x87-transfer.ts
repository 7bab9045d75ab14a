// x87 loads and stores: 32, 64 and 80 bits, integers, packed BCD, registers, constants.
import { SOFT_A } from "./layout";
import { readable, writable, writeDone } from "./mmu";
import { getArithFlags } from "./flags";
import { CLS_FINITE, CLS_QNAN, CLS_SNAN, CLS_UNSUPPORTED, CLS_ZERO, EXC_DENORMAL, EXC_INVALID, EXC_OVERFLOW, EXC_PRECISION, EXC_PRE_COMPUTATION, EXC_UNDERFLOW, RC_ZERO, clsOf,
  expOf, isDenormal, pack32, pack64, sigOf, signOf, softFlags, softFromInteger, softRaise, softRound32, softRound64, softSetFlags, softSetRc, softSetResult,
  softToInteger, softUnmasked, unpack32, unpack64 } from "./softfloat-core";
import { C1, INDEFINITE_SIG, INDEFINITE_SIGN_EXP, deliverOverflow, deliverUnderflow, isEmpty, noteExceptions, noteRounding, pop, push, setConditions, setSt, setStResult, st,
  stackUnderflow, unpackSt, x87Begin } from "./x87-state";
import { softRound80 } from "./x87-arith";

/** Unpacks the memory operand at p of an arithmetic or comparison: kind 0 m32, 1 m32int, 2 m64, 3 m16int. */
export function unpackMemory(operand: usize, p: usize, kind: i32): void {
  if (kind == 0) unpack32(operand, load<u32>(p));
  else if (kind == 2) unpack64(operand, load<u64>(p));
  else {
    const value: i64 = kind == 1 ? <i64>load<i32>(p) : <i64>load<i16>(p);
    // Every 32-bit integer is a 64-bit number.
    unpack64(operand, reinterpret<u64>(<f64>value));
  }
}

/** FLD m32, FLD m64. */
export function loadFloat(ea: u64, size: i32): i32 {
  const p = readable(ea, size);
  if (!p) return 0;
  x87Begin();
  if (!isEmpty(7)) {
    deliverOverflow();
    return 1;
  }
  if (size == 4) unpack32(SOFT_A, load<u32>(p));
  else unpack64(SOFT_A, load<u64>(p));
  const cls = clsOf(SOFT_A);
  if (cls == CLS_SNAN) softRaise(EXC_INVALID);
  if (isDenormal(SOFT_A)) softRaise(EXC_DENORMAL);
  // An unmasked denormal exception is noted, but the number is loaded.
  noteExceptions();
  if (softUnmasked(EXC_INVALID)) return 1;
  push();
  if (cls >= CLS_QNAN) setSt(0, sigOf(SOFT_A) | 0x4000000000000000, (<u32>signOf(SOFT_A) << 15) | 0x7fff);
  else {
    softSetResult(signOf(SOFT_A), expOf(SOFT_A), sigOf(SOFT_A), 0);
    setStResult(0, cls);
  }
  return 1;
}

/** FLD m80: any pattern, unchanged. */
export function loadExtended(ea: u64): i32 {
  const p = readable(ea, 10);
  if (!p) return 0;
  x87Begin();
  if (!isEmpty(7)) {
    deliverOverflow();
    return 1;
  }
  push();
  setSt(0, load<u64>(p), load<u16>(p, 8));
  return 1;
}

/** Pushes an integer; all 64-bit ones are exact. */
function pushInteger(negative: bool, magnitude: u64): void {
  if (!isEmpty(7)) {
    deliverOverflow();
    return;
  }
  const cls = softFromInteger(negative, magnitude);
  push();
  setStResult(0, cls);
}

/** FILD of 2, 4 or 8 bytes. */
export function loadInteger(ea: u64, size: i32): i32 {
  const p = readable(ea, size);
  if (!p) return 0;
  const value: i64 = size == 2 ? <i64>load<i16>(p) : size == 4 ? <i64>load<i32>(p) : load<i64>(p);
  x87Begin();
  const negative = value < 0;
  // The magnitude of zero has no sign.
  pushInteger(negative, negative ? 0 - <u64>value : <u64>value);
  return 1;
}

/** FBLD: 18 packed decimal digits and a sign. */
export function loadBcd(ea: u64): i32 {
  const p = readable(ea, 10);
  if (!p) return 0;
  let magnitude: u64 = 0;
  for (let i = 8; i >= 0; i--) {
    const byte = <u64>load<u8>(p + i);
    magnitude = magnitude * 100 + (byte >> 4) * 10 + (byte & 15);
  }
  x87Begin();
  pushInteger((load<u8>(p, 9) & 0x80) != 0, magnitude);
  return 1;
}

/** FST and FSTP to m32 and m64. */
export function storeFloat(ea: u64, size: i32, popAfter: bool): i32 {
  const p = writable(ea, size);
  if (!p) return 0;
  x87Begin();
  let bits: u64;
  if (isEmpty(0)) {
    stackUnderflow();
    bits = size == 4 ? 0xffc00000 : 0xfff8000000000000;
  } else {
    unpackSt(SOFT_A, 0);
    bits = narrowed(size);
  }
  if (softUnmasked(EXC_PRE_COMPUTATION | EXC_OVERFLOW | EXC_UNDERFLOW)) {
    // Nothing is stored, so nothing was rounded.
    softSetFlags(softFlags() & ~EXC_PRECISION);
    noteExceptions();
    return 1;
  }
  noteExceptions();
  noteRounding();
  if (size == 4) store<u32>(p, <u32>bits);
  else store<u64>(p, bits);
  writeDone(p);
  if (popAfter) pop();
  return 1;
}

/** Operand A as 32 or 64 bits. */
function narrowed(size: i32): u64 {
  let cls = clsOf(SOFT_A);
  if (cls == CLS_UNSUPPORTED) {
    softRaise(EXC_INVALID);
    return size == 4 ? 0xffc00000 : 0xfff8000000000000;
  }
  if (cls >= CLS_QNAN) {
    if (cls == CLS_SNAN) softRaise(EXC_INVALID);
    const sig = sigOf(SOFT_A) | 0x4000000000000000;
    const s = <u64>signOf(SOFT_A);
    return size == 4
      ? (s << 31) | 0x7f800000 | ((sig << 1) >> 41)
      : (s << 63) | 0x7ff0000000000000 | ((sig << 1) >> 12);
  }
  softSetResult(signOf(SOFT_A), expOf(SOFT_A), sigOf(SOFT_A), 0);
  if (size == 4) {
    if (cls == CLS_FINITE) cls = softRound32();
    return <u64>pack32(cls);
  }
  if (cls == CLS_FINITE) cls = softRound64();
  return pack64(cls);
}

/** FSTP m80: any pattern, unchanged. */
export function storeExtended(ea: u64): i32 {
  const p = writable(ea, 10);
  if (!p) return 0;
  x87Begin();
  const from = st(0);
  let sig = load<u64>(from);
  let signExp = load<u16>(from, 8);
  if (isEmpty(0)) {
    stackUnderflow();
    if (!noteExceptions()) return 1;
    sig = INDEFINITE_SIG;
    signExp = <u16>INDEFINITE_SIGN_EXP;
  }
  store<u64>(p, sig);
  store<u16>(p, signExp, 8);
  writeDone(p);
  pop();
  return 1;
}

/** FIST, FISTP (rounding as the control word says) and FISTTP (truncating) of 2, 4 or 8 bytes. */
export function storeInteger(ea: u64, size: i32, truncate: bool, popAfter: bool): i32 {
  const p = writable(ea, size);
  if (!p) return 0;
  x87Begin();
  let value: i64;
  if (isEmpty(0)) {
    stackUnderflow();
    value = <i64>-1 << ((size << 3) - 1);
  } else {
    if (truncate) softSetRc(RC_ZERO);
    unpackSt(SOFT_A, 0);
    value = softToInteger(size << 3);
  }
  const done = noteExceptions();
  noteRounding();
  if (!done) return 1;
  if (size == 2) store<u16>(p, <u16>value);
  else if (size == 4) store<u32>(p, <u32>value);
  else store<u64>(p, <u64>value);
  writeDone(p);
  if (popAfter) pop();
  return 1;
}

const BCD_LIMIT: u64 = 1000000000000000000;

/** FBSTP: rounded to an integer of 18 decimal digits, then a pop. */
export function storeBcd(ea: u64): i32 {
  const p = writable(ea, 10);
  if (!p) return 0;
  x87Begin();
  let value: i64 = 0;
  let valid = false;
  if (isEmpty(0)) stackUnderflow();
  else {
    unpackSt(SOFT_A, 0);
    value = softToInteger(64);
    const magnitude: u64 = value < 0 ? 0 - <u64>value : <u64>value;
    valid = !(softFlags() & EXC_INVALID) && magnitude < BCD_LIMIT;
    if (!valid) softSetFlags(EXC_INVALID);
  }
  const done = noteExceptions();
  if (valid) noteRounding();
  if (!done) return 1;
  if (valid) {
    let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value;
    for (let i: usize = 0; i < 9; i++) {
      const pair = rest % 100;
      rest /= 100;
      store<u8>(p + i, <u8>(((pair / 10) << 4) | pair % 10));
    }
    // A value rounded to zero keeps its sign.
    store<u8>(p, signOf(SOFT_A) ? 0x80 : 0, 9);
  } else {
    store<u64>(p, INDEFINITE_SIG);
    store<u16>(p, 0xffff, 8);
  }
  writeDone(p);
  pop();
  return 1;
}

/** FLD ST(i). */
export function loadRegister(i: u32): void {
  x87Begin();
  if (isEmpty(i)) {
    stackUnderflow();
    if (!noteExceptions()) return;
    push();
    setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    return;
  }
  if (!isEmpty(7)) {
    deliverOverflow();
    return;
  }
  const from = st(i);
  const sig = load<u64>(from);
  const signExp = load<u16>(from, 8);
  push();
  setSt(0, sig, signExp);
}

/** FST ST(i), FSTP ST(i). */
export function storeRegister(i: u32, popAfter: bool): void {
  x87Begin();
  if (isEmpty(0)) {
    if (!deliverUnderflow(i)) return;
  } else {
    const from = st(0);
    setSt(i, load<u64>(from), load<u16>(from, 8));
  }
  if (popAfter) pop();
}

/** D9 D8-DF, an undocumented FSTP ST(i) to which an empty ST(0) is no stack fault: it is popped and nothing stored. */
export function storeRegisterQuietly(i: u32): void {
  if (isEmpty(0)) {
    setConditions(C1, 0);
    pop();
  } else storeRegister(i, true);
}

/** FXCH ST(i): an empty register counts as the indefinite. */
export function exchange(i: u32): void {
  x87Begin();
  if (isEmpty(0) || isEmpty(i)) {
    stackUnderflow();
    if (!noteExceptions()) return;
    if (isEmpty(0)) setSt(0, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
    if (isEmpty(i)) setSt(i, INDEFINITE_SIG, INDEFINITE_SIGN_EXP);
  }
  const a = st(0);
  const b = st(i);
  const sig = load<u64>(a);
  const signExp = load<u16>(a, 8);
  setSt(0, load<u64>(b), load<u16>(b, 8));
  setSt(i, sig, signExp);
}

/** FCMOVcc: condition 0 B, 1 E, 2 BE, 3 U; `negated` for the N forms. */
export function conditionalMove(condition: i32, negated: bool, i: u32): void {
  if (isEmpty(0) || isEmpty(i)) {
    x87Begin();
    deliverUnderflow(0);
    return;
  }
  const flags = getArithFlags();
  const mask: u32 = condition == 0 ? 1 : condition == 1 ? 0x40 : condition == 2 ? 0x41 : 4;
  if (((flags & mask) != 0) == negated) return;
  const from = st(i);
  setSt(0, load<u64>(from), load<u16>(from, 8));
}

/** FCHS (negate) and FABS: the sign alone, whatever the pattern. */
export function changeSign(negate: bool): void {
  x87Begin();
  if (isEmpty(0)) {
    deliverUnderflow(0);
    return;
  }
  const p = st(0);
  const signExp = load<u16>(p, 8);
  store<u16>(p, negate ? signExp ^ 0x8000 : signExp & 0x7fff, 8);
}

/** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ (D9 E8-EE), rounded as the control word says, without a flag. */
export function loadConstant(index: i32): void {
  x87Begin();
  if (!isEmpty(7)) {
    deliverOverflow();
    return;
  }
  switch (index) {
    case 0: softSetResult(0, 0, 0x8000000000000000, 0); break;
    case 1: softSetResult(0, 1, 0xd49a784bcd1b8afe, 0x492bf6ff4dafdb4c); break;
    case 2: softSetResult(0, 0, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88); break;
    case 3: softSetResult(0, 1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1); break;
    case 4: softSetResult(0, -2, 0x9a209a84fbcff798, 0x8f8959ac0b7c9178); break;
    case 5: softSetResult(0, -1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af); break;
    default: softSetResult(0, 0, 0, 0);
  }
  const cls = index == 6 ? CLS_ZERO : softRound80(64);
  push();
  setStResult(0, cls);
}
