// Conversions between integers and floating point, and between the two floating-point sizes (map 0F 2A, 2C, 2D, 5A, 5B, E6).
import { SOFT_A, VECTOR_SCRATCH } from "./layout";
import { beginSse, defaultModes, exponentWithin32, finishSse, isOrdinary32, isOrdinary64 } from "./vector-float";
import { enterMmx, gpr, isMemory, mmx, opReg, opRm, raiseMf, rexW, setMmx, source16, sourceAny, sourceGpr, x87Pending, xmmReg } from "./vector-operand";
import { readable } from "./mmu";
import {
  CLS_FINITE, CLS_QNAN, CLS_SNAN, EXC_DENORMAL, EXC_INVALID, EXC_PRECISION, EXC_PRE_COMPUTATION, RC_ZERO, clsOf, expOf, isDenormal, pack32,
  pack64, sigOf, signOf, softFlags, softFromInteger, softRaise, softRound32, softRound64, softSetRc, softSetResult, softToInteger,
  softUnmasked, unpack32, unpack64,
} from "./softfloat-core";

/** Up to this magnitude every integer is a 64-bit floating-point number. */
const EXACT_INTEGER: i64 = 0x20000000000000;

function integerTo32(value: i64): u32 {
  const cls = softFromInteger(value < 0, value < 0 ? 0 - <u64>value : <u64>value);
  return pack32(cls == CLS_FINITE ? softRound32() : cls);
}

function integerTo64(value: i64): u64 {
  if (value <= EXACT_INTEGER && value >= -EXACT_INTEGER) return reinterpret<u64>(<f64>value);
  const cls = softFromInteger(value < 0, value < 0 ? 0 - <u64>value : <u64>value);
  return pack64(cls == CLS_FINITE ? softRound64() : cls);
}

/** Makes operand A the unrounded result. */
@inline
function takeOperand(): void {
  softSetResult(signOf(SOFT_A), expOf(SOFT_A), sigOf(SOFT_A), 0);
}

function widen(bits: u32): u64 {
  if (isOrdinary32(bits)) return reinterpret<u64>(<f64>reinterpret<f32>(bits));
  unpack32(SOFT_A, bits);
  const cls = clsOf(SOFT_A);
  if (cls >= CLS_QNAN) {
    if (cls == CLS_SNAN) softRaise(EXC_INVALID);
    return (<u64>(bits & 0x80000000) << 32) | 0x7ff8000000000000 | (<u64>(bits & 0x7fffff) << 29);
  }
  if (isDenormal(SOFT_A)) softRaise(EXC_DENORMAL);
  takeOperand();
  return pack64(cls);
}

function narrow(bits: u64): u32 {
  if (isOrdinary64(bits) && defaultModes()) {
    const x = reinterpret<f64>(bits);
    const r = reinterpret<u32>(<f32>x);
    if (exponentWithin32(r, 2) || r << 1 == 0 && bits << 1 == 0) {
      if (<f64>reinterpret<f32>(r) != x) softRaise(EXC_PRECISION);
      return r;
    }
  }
  unpack64(SOFT_A, bits);
  const cls = clsOf(SOFT_A);
  if (cls >= CLS_QNAN) {
    if (cls == CLS_SNAN) softRaise(EXC_INVALID);
    return (<u32>(bits >> 32) & 0x80000000) | 0x7fc00000 | (<u32>(bits >> 29) & 0x7fffff);
  }
  if (isDenormal(SOFT_A)) {
    softRaise(EXC_DENORMAL);
    if (softUnmasked(EXC_PRE_COMPUTATION)) return 0;
  }
  takeOperand();
  return pack32(cls == CLS_FINITE ? softRound32() : cls);
}

/** 0F 2A: integer to scalar or, from an MMX register or 8 bytes of memory, to packed. */
function fromInteger(prefix: i32, op: usize, ea: u64): i32 {
  const reg = xmmReg(op);
  if (prefix >= 2) {
    const p = sourceGpr(op, ea, rexW(op) ? 8 : 4);
    if (!p) return 0;
    const value: i64 = rexW(op) ? load<i64>(p) : <i64>load<i32>(p);
    if (prefix == 3 && !rexW(op)) {
      store<u64>(reg, reinterpret<u64>(<f64>value)); // always exact
      return 1;
    }
    beginSse();
    if (prefix == 3) {
      const r = integerTo64(value);
      if (softFlags() && !finishSse()) return 0;
      store<u64>(reg, r);
    } else {
      const r = integerTo32(value);
      if (softFlags() && !finishSse()) return 0;
      store<u32>(reg, r);
    }
    return 1;
  }
  // From memory neither form touches x87 state; for CVTPI2PS the SDM says otherwise, but the processors do not do it.
  const usesMmx = !isMemory(op);
  if (usesMmx && x87Pending()) return raiseMf();
  const p = isMemory(op) ? readable(ea, 8) : mmx(opRm(op));
  if (!p) return 0;
  const low = <i64>load<i32>(p);
  const high = <i64>load<i32>(p, 4);
  beginSse();
  if (prefix == 0) {
    const r = <u64>integerTo32(low) | (<u64>integerTo32(high) << 32);
    if (usesMmx) enterMmx();
    if (softFlags() && !finishSse()) return 0;
    store<u64>(reg, r);
    return 1;
  }
  store<u64>(reg, integerTo64(low));
  store<u64>(reg, integerTo64(high), 8);
  if (usesMmx) enterMmx();
  return 1;
}

/**
 * Operand `x` truncated to an integer of `bits` bits, for ordinary numbers in range and default modes: notes precision
 * and returns true; the integer is in `truncated`. Otherwise the softfloat kernel has to do it.
 */
let truncated: i64 = 0;
function truncateFast(x: f64, bits: i32): bool {
  const limit: f64 = bits == 32 ? 2147483648.0 : 9223372036854775808.0;
  if (!(x > -limit && x < limit)) return false;
  truncated = <i64>x;
  if (<f64>truncated != x) softRaise(EXC_PRECISION);
  return true;
}

/** 0F 2C (truncating) and 2D: scalar to a general register, or two elements to an MMX register. */
function toInteger(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  if (prefix >= 2) {
    const p = sourceAny(op, ea, prefix == 2 ? 4 : 8);
    if (!p) return 0;
    beginSse();
    const bits = rexW(op) ? 64 : 32;
    const x: f64 = prefix == 2 ? <f64>reinterpret<f32>(load<u32>(p)) : reinterpret<f64>(load<u64>(p));
    let value: i64;
    if (opcode == 0x2c && defaultModes() && truncateFast(x, bits)) value = truncated;
    else {
      if (opcode == 0x2c) softSetRc(RC_ZERO);
      if (prefix == 2) unpack32(SOFT_A, load<u32>(p));
      else unpack64(SOFT_A, load<u64>(p));
      value = softToInteger(bits);
    }
    if (softFlags() && !finishSse()) return 0;
    store<u64>(gpr(opReg(op)), rexW(op) ? <u64>value : <u64><u32>value);
    return 1;
  }
  if (x87Pending()) return raiseMf();
  const p = prefix == 0 ? sourceAny(op, ea, 8) : source16(op, ea);
  if (!p) return 0;
  beginSse();
  if (opcode == 0x2c) softSetRc(RC_ZERO);
  const low = elementToInteger(prefix == 1, p, 0);
  const high = elementToInteger(prefix == 1, p, 1);
  // The transition is made even if #XM follows.
  enterMmx();
  if (softFlags() && !finishSse()) return 0;
  setMmx(opReg(op), <u64>low | (<u64>high << 32));
  return 1;
}

function elementToInteger(double: bool, p: usize, i: usize): u32 {
  if (double) unpack64(SOFT_A, load<u64>(p + (i << 3)));
  else unpack32(SOFT_A, load<u32>(p + (i << 2)));
  return <u32>softToInteger(32);
}

/** 0F 5A: CVTPS2PD, CVTPD2PS, CVTSS2SD, CVTSD2SS. */
function betweenSizes(prefix: i32, op: usize, ea: u64): i32 {
  const p = prefix == 1 ? source16(op, ea) : sourceAny(op, ea, prefix == 2 ? 4 : 8);
  if (!p) return 0;
  const reg = xmmReg(op);
  beginSse();
  if (prefix == 3) {
    const r = narrow(load<u64>(p));
    if (softFlags() && !finishSse()) return 0;
    store<u32>(reg, r);
    return 1;
  }
  if (prefix == 2) {
    const r = widen(load<u32>(p));
    if (softFlags() && !finishSse()) return 0;
    store<u64>(reg, r);
    return 1;
  }
  let low: u64;
  let high: u64 = 0;
  if (prefix == 0) {
    low = widen(load<u32>(p));
    high = widen(load<u32>(p, 4));
  } else {
    low = <u64>narrow(load<u64>(p)) | (<u64>narrow(load<u64>(p, 8)) << 32);
  }
  if (softFlags() && !finishSse()) return 0;
  store<u64>(reg, low);
  store<u64>(reg, high, 8);
  return 1;
}

/** 0F 5B: CVTDQ2PS, CVTPS2DQ, CVTTPS2DQ. */
function packedSingle(prefix: i32, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  beginSse();
  if (prefix == 2) softSetRc(RC_ZERO);
  for (let i: usize = 0; i < 4; i++) {
    const r = prefix == 0 ? integerTo32(<i64>load<i32>(p + (i << 2))) : elementToInteger(false, p, i);
    store<u32>(VECTOR_SCRATCH + (i << 2), r);
  }
  if (softFlags() && !finishSse()) return 0;
  v128.store(xmmReg(op), v128.load(VECTOR_SCRATCH));
  return 1;
}

/** 0F E6: CVTTPD2DQ (66), CVTDQ2PD (F3), CVTPD2DQ (F2). */
function packedDouble(prefix: i32, op: usize, ea: u64): i32 {
  const p = prefix == 2 ? sourceAny(op, ea, 8) : source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  beginSse();
  if (prefix == 2) {
    const low = integerTo64(<i64>load<i32>(p));
    const high = integerTo64(<i64>load<i32>(p, 4));
    store<u64>(reg, low);
    store<u64>(reg, high, 8);
    return 1;
  }
  if (prefix == 1) softSetRc(RC_ZERO);
  const r = <u64>elementToInteger(true, p, 0) | (<u64>elementToInteger(true, p, 1) << 32);
  if (softFlags() && !finishSse()) return 0;
  store<u64>(reg, r);
  store<u64>(reg, 0, 8);
  return 1;
}

/** The conversions of map 0F; see `execVector`. */
export function execConvert(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  switch (opcode) {
    case 0x2a: return fromInteger(prefix, op, ea);
    case 0x2c: case 0x2d: return toInteger(opcode, prefix, op, ea);
    case 0x5a: return betweenSizes(prefix, op, ea);
    case 0x5b: return packedSingle(prefix, op, ea);
    default: return packedDouble(prefix, op, ea);
  }
}
