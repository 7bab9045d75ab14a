// SSE to SSE4.1 floating-point arithmetic and comparison. Results, NaNs and MXCSR flags are computed by the softfloat
// kernel; where nothing but an already noted precision exception can happen, the host's arithmetic gives the same bits.
import { CR4, MXCSR, SOFT_A, SOFT_B, VECTOR_SCRATCH } from "./layout";
import { raiseNoError } from "./exception";
import { setArithFlags } from "./flags";
import { imm8, source16, sourceAny, xmmReg } from "./vector-operand";
import {
  ARITH_ADD, ARITH_DIV, ARITH_MUL, ARITH_SQRT, ARITH_SUB, CLS_FINITE, CLS_QNAN, CLS_SNAN, CLS_ZERO,
  EXC_DENORMAL, EXC_INVALID, EXC_PRECISION, EXC_PRE_COMPUTATION, clsOf, expOf, isDenormal, pack32, pack64, signOf, softArith,
  softBegin, softCompare, softFlags, softRaise, softRound32, softRound64, softRoundToIntegral, softSetFlags, softSetRc,
  softSetResult, softUnmasked, unpack32, unpack64,
} from "./softfloat-core";

const CR4_OSXMMEXCPT: u32 = 0x400;

// Further operations beside ARITH_*.
const MIN: i32 = 5;
const MAX: i32 = 6;

// MXCSR without its flags, when the host's arithmetic will do: round to nearest, all masked, no DAZ, no FTZ.
const MODE_MASK: u32 = 0xffc0;
const MODE_DEFAULT: u32 = 0x1f80;

// How much of the host's arithmetic can be used.
const SOFT: i32 = 0;
/** With a check whether the result is exact, for the precision flag. */
const HOST_CHECKED: i32 = 1;
/** Without, for the precision flag is set already. */
const HOST: i32 = 2;

/** Is MXCSR in its default modes? Then operations on ordinary numbers can only raise precision. */
@inline
export function defaultModes(): bool {
  return (load<u32>(MXCSR) & MODE_MASK) == MODE_DEFAULT;
}

@inline
function hostUse(): i32 {
  return !defaultModes() ? SOFT : load<u32>(MXCSR) & EXC_PRECISION ? HOST : HOST_CHECKED;
}

/** Starts an SSE instruction in the softfloat kernel with MXCSR's masks and modes. */
export function beginSse(): void {
  const mxcsr = load<u32>(MXCSR);
  softBegin((mxcsr >> 7) & 0x3f, (mxcsr >> 13) & 3, (mxcsr & 0x40) != 0, (mxcsr & 0x8000) != 0);
}

/**
 * Adds the flags to MXCSR; 0 if one of them is unmasked and #XM is pending, so that nothing may be written. An unmasked
 * exception of an operand keeps the exceptions of the results, in all elements, from being noted (SDM vol. 1 11.5.3).
 */
export function finishSse(): i32 {
  dropResultFlags();
  return noteFlags();
}

@inline
function dropResultFlags(): void {
  if (softUnmasked(EXC_PRE_COMPUTATION)) softSetFlags(softFlags() & EXC_PRE_COMPUTATION);
}

function noteFlags(): i32 {
  const flags = softFlags();
  const mxcsr = load<u32>(MXCSR) | flags;
  store<u32>(MXCSR, mxcsr);
  if (!(flags & ~(mxcsr >> 7) & 0x3f)) return 1;
  // A system that does not know #XM gets #UD (SDM vol. 3A 2.5, OSXMMEXCPT).
  return raiseNoError(load<u32>(CR4) & CR4_OSXMMEXCPT ? 19 : 6);
}

/** The first operand if it is a NaN, else the second; quiet. Notes invalid for a signalling one. */
@inline
function nan32(a: u32, b: u32): u32 {
  if (clsOf(SOFT_A) == CLS_SNAN || clsOf(SOFT_B) == CLS_SNAN) softRaise(EXC_INVALID);
  return (clsOf(SOFT_A) >= CLS_QNAN ? a : b) | 0x400000;
}

@inline
function nan64(a: u64, b: u64): u64 {
  if (clsOf(SOFT_A) == CLS_SNAN || clsOf(SOFT_B) == CLS_SNAN) softRaise(EXC_INVALID);
  return (clsOf(SOFT_A) >= CLS_QNAN ? a : b) | 0x8000000000000;
}

/** MINxx and MAXxx: true if the first operand is the result; the second one is for NaNs and equal operands. */
function firstWins(kind: i32): bool {
  if (clsOf(SOFT_A) >= CLS_QNAN || clsOf(SOFT_B) >= CLS_QNAN) {
    softRaise(EXC_INVALID);
    return false;
  }
  if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
  return kind == MIN ? softCompare() < 0 : softCompare() > 0;
}

function soft32(kind: i32, a: u32, b: u32): u32 {
  unpack32(SOFT_A, a);
  unpack32(SOFT_B, b);
  if (kind >= MIN) {
    const first = firstWins(kind);
    // A denormal taken for zero is delivered as zero.
    return clsOf(first ? SOFT_A : SOFT_B) == CLS_ZERO ? (first ? a : b) & 0x80000000 : first ? a : b;
  }
  if (clsOf(SOFT_A) >= CLS_QNAN || clsOf(SOFT_B) >= CLS_QNAN) return nan32(a, b);
  let cls = softArith(kind);
  if (cls == CLS_FINITE) {
    if (softUnmasked(EXC_PRE_COMPUTATION)) return 0;
    cls = softRound32();
  }
  return pack32(cls);
}

function soft64(kind: i32, a: u64, b: u64): u64 {
  unpack64(SOFT_A, a);
  unpack64(SOFT_B, b);
  if (kind >= MIN) {
    const first = firstWins(kind);
    return clsOf(first ? SOFT_A : SOFT_B) == CLS_ZERO ? (first ? a : b) & 0x8000000000000000 : first ? a : b;
  }
  if (clsOf(SOFT_A) >= CLS_QNAN || clsOf(SOFT_B) >= CLS_QNAN) return nan64(a, b);
  let cls = softArith(kind);
  if (cls == CLS_FINITE) {
    if (softUnmasked(EXC_PRE_COMPUTATION)) return 0;
    cls = softRound64();
  }
  return pack64(cls);
}

// A biased exponent away from both ends: neither zero, denormal, infinity nor NaN, and (low bound 2) no result that
// tininess after rounding could concern.
@inline
export function exponentWithin32(x: u32, low: u32): bool {
  return ((x >> 23) & 0xff) - low < 255 - low;
}
@inline
export function exponentWithin64(x: u64, low: u32): bool {
  return <u32>((x >> 52) & 0x7ff) - low < 2047 - low;
}
/** Zero or a normal number. */
@inline
export function isOrdinary32(x: u32): bool {
  return exponentWithin32(x, 1) || x << 1 == 0;
}
@inline
export function isOrdinary64(x: u64): bool {
  return exponentWithin64(x, 1) || x << 1 == 0;
}

// Exactness of a host result r, all numbers normal.

/** r = x + y without rounding error: Knuth's two-sum has error zero. */
@inline
function sumIsExact<T>(x: T, y: T, r: T): bool {
  const virtualY = r - x;
  return x - (r - virtualY) + (y - virtualY) == 0;
}

/** r = x * y without rounding error: the product's trailing zeros cover the bits that 53 do not. */
function productIsExact64(x: u64, y: u64, r: u64): bool {
  const zeros = ctz(x | 0x10000000000000) + ctz(y | 0x10000000000000);
  const carry = <i64>((r >> 52) & 0x7ff) - (<i64>((x >> 52) & 0x7ff) + <i64>((y >> 52) & 0x7ff) - 1023);
  return <i64>zeros >= 52 + carry;
}

/** 64-bit numbers hold every product of 32-bit ones. */
@inline
function productIsExact32(x: u32, y: u32, r: u32): bool {
  return <f64>reinterpret<f32>(x) * <f64>reinterpret<f32>(y) == <f64>reinterpret<f32>(r);
}

@inline
function noteInexact(exact: bool): void {
  if (!exact) softRaise(EXC_PRECISION);
}

/** One 32-bit operation by the host if only precision can be raised, else by softfloat. `use` is `hostUse()`. */
function arith32(kind: i32, a: u32, b: u32, use: i32): u32 {
  if (use == SOFT) return soft32(kind, a, b);
  const okB = exponentWithin32(b, 1);
  const okA = exponentWithin32(a, 1);
  const x = reinterpret<f32>(a);
  const y = reinterpret<f32>(b);
  if (kind <= ARITH_SUB) {
    if ((okA || a << 1 == 0) && (okB || b << 1 == 0)) {
      const z = kind == ARITH_ADD ? y : -y;
      const r = reinterpret<u32>(x + z);
      if (r << 1 < 0xff000000) {
        if (use == HOST_CHECKED) noteInexact(sumIsExact<f32>(x, z, reinterpret<f32>(r)));
        return r;
      }
    }
  } else if (kind == ARITH_SQRT) {
    if (okB && <i32>b > 0) {
      const r = reinterpret<u32>(sqrt<f32>(y));
      if (use == HOST_CHECKED) noteInexact(productIsExact32(r, r, b));
      return r;
    }
  } else if (kind <= ARITH_DIV) {
    if (okA && okB) {
      const r = reinterpret<u32>(kind == ARITH_MUL ? x * y : x / y);
      if (exponentWithin32(r, 2)) {
        if (use == HOST_CHECKED) noteInexact(kind == ARITH_MUL ? productIsExact32(a, b, r) : productIsExact32(r, b, a));
        return r;
      }
    }
  } else if (okA && okB) return (kind == MIN ? x < y : x > y) ? a : b;
  return soft32(kind, a, b);
}

/** One 64-bit operation, likewise. */
function arith64(kind: i32, a: u64, b: u64, use: i32): u64 {
  if (use == SOFT) return soft64(kind, a, b);
  const okB = exponentWithin64(b, 1);
  const okA = exponentWithin64(a, 1);
  const x = reinterpret<f64>(a);
  const y = reinterpret<f64>(b);
  if (kind <= ARITH_SUB) {
    if ((okA || a << 1 == 0) && (okB || b << 1 == 0)) {
      const z = kind == ARITH_ADD ? y : -y;
      const r = reinterpret<u64>(x + z);
      if (r << 1 < 0xffe0000000000000) {
        if (use == HOST_CHECKED) noteInexact(sumIsExact<f64>(x, z, reinterpret<f64>(r)));
        return r;
      }
    }
  } else if (kind == ARITH_SQRT) {
    if (okB && <i64>b > 0) {
      const root = sqrt<f64>(y);
      const r = reinterpret<u64>(root);
      if (use == HOST_CHECKED) noteInexact(root * root == y && productIsExact64(r, r, b));
      return r;
    }
  } else if (kind <= ARITH_DIV) {
    if (okA && okB) {
      const r = reinterpret<u64>(kind == ARITH_MUL ? x * y : x / y);
      if (exponentWithin64(r, 2)) {
        if (use == HOST_CHECKED) {
          noteInexact(kind == ARITH_MUL ? productIsExact64(a, b, r) : reinterpret<f64>(r) * y == x && productIsExact64(r, b, a));
        }
        return r;
      }
    }
  } else if (okA && okB) return (kind == MIN ? x < y : x > y) ? a : b;
  return soft64(kind, a, b);
}

/** Operation of an opcode 0F 51, 58, 59, 5C-5F. */
function kindOf(opcode: i32): i32 {
  switch (opcode) {
    case 0x51: return ARITH_SQRT;
    case 0x58: return ARITH_ADD;
    case 0x59: return ARITH_MUL;
    case 0x5c: return ARITH_SUB;
    case 0x5d: return MIN;
    case 0x5e: return ARITH_DIV;
    default: return MAX;
  }
}

/** 0F 51, 58, 59, 5C-5F with all prefixes: packed and scalar. */
export function execArith(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  const p = prefix == 0 || prefix == 1 ? source16(op, ea) : sourceAny(op, ea, prefix == 2 ? 4 : 8);
  if (!p) return 0;
  const kind = kindOf(opcode);
  const reg = xmmReg(op);
  // The square root has one operand, in the place of the second; the first must not make it a NaN.
  const first = kind == ARITH_SQRT ? p : reg;
  const use = hostUse();
  beginSse();
  if (prefix == 2) {
    const r = arith32(kind, load<u32>(first), load<u32>(p), use);
    if (softFlags() && !finishSse()) return 0;
    store<u32>(reg, r);
    return 1;
  }
  if (prefix == 3) {
    const r = arith64(kind, load<u64>(first), load<u64>(p), use);
    if (softFlags() && !finishSse()) return 0;
    store<u64>(reg, r);
    return 1;
  }
  if (prefix == 0) {
    for (let i: usize = 0; i < 16; i += 4) {
      store<u32>(VECTOR_SCRATCH + i, arith32(kind, load<u32>(first + i), load<u32>(p + i), use));
    }
  } else {
    for (let i: usize = 0; i < 16; i += 8) {
      store<u64>(VECTOR_SCRATCH + i, arith64(kind, load<u64>(first + i), load<u64>(p + i), use));
    }
  }
  return deliver(reg);
}

/** Stores the 16 bytes of VECTOR_SCRATCH unless an unmasked exception was noted. */
function deliver(reg: usize): i32 {
  if (softFlags() && !finishSse()) return 0;
  v128.store(reg, v128.load(VECTOR_SCRATCH));
  return 1;
}

/** SSE3: HADD (7C), HSUB (7D), ADDSUB (D0); 66 is the double form, F2 the single one. */
export function execHorizontal(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  const use = hostUse();
  beginSse();
  if (opcode == 0xd0) {
    if (prefix == 1) {
      store<u64>(VECTOR_SCRATCH, arith64(ARITH_SUB, load<u64>(reg), load<u64>(p), use));
      store<u64>(VECTOR_SCRATCH, arith64(ARITH_ADD, load<u64>(reg, 8), load<u64>(p, 8), use), 8);
    } else {
      for (let i: usize = 0; i < 16; i += 4) {
        const kind = i & 4 ? ARITH_ADD : ARITH_SUB;
        store<u32>(VECTOR_SCRATCH + i, arith32(kind, load<u32>(reg + i), load<u32>(p + i), use));
      }
    }
    return deliver(reg);
  }
  const kind = opcode == 0x7c ? ARITH_ADD : ARITH_SUB;
  if (prefix == 1) {
    store<u64>(VECTOR_SCRATCH, arith64(kind, load<u64>(reg), load<u64>(reg, 8), use));
    store<u64>(VECTOR_SCRATCH, arith64(kind, load<u64>(p), load<u64>(p, 8), use), 8);
  } else {
    for (let i: usize = 0; i < 8; i += 4) {
      const at = i << 1;
      store<u32>(VECTOR_SCRATCH + i, arith32(kind, load<u32>(reg + at), load<u32>(reg + at, 4), use));
      store<u32>(VECTOR_SCRATCH + i, arith32(kind, load<u32>(p + at), load<u32>(p + at, 4), use), 8);
    }
  }
  return deliver(reg);
}

/** Ends a step of a dot product, whose exceptions come before those of later steps: false if #XM is due. */
function endStep(before: i32): bool {
  dropResultFlags();
  const unmasked = softUnmasked(0x3f);
  softRaise(before);
  return !unmasked;
}

/** The sum of two elements as one step of a dot product; false if #XM is due. The sum is at VECTOR_SCRATCH + 48. */
function addStep32(a: u32, b: u32, use: i32): bool {
  const before = softFlags();
  softSetFlags(0);
  store<u32>(VECTOR_SCRATCH, arith32(ARITH_ADD, a, b, use), 48);
  return endStep(before);
}

function dotProduct64(reg: usize, p: usize, imm: i32, use: i32): bool {
  const low = imm & 16 ? arith64(ARITH_MUL, load<u64>(reg), load<u64>(p), use) : 0;
  const high = imm & 32 ? arith64(ARITH_MUL, load<u64>(reg, 8), load<u64>(p, 8), use) : 0;
  if (!endStep(0)) return false;
  const before = softFlags();
  softSetFlags(0);
  const sum = arith64(ARITH_ADD, low, high, use);
  store<u64>(VECTOR_SCRATCH, imm & 1 ? sum : 0);
  store<u64>(VECTOR_SCRATCH, imm & 2 ? sum : 0, 8);
  return endStep(before);
}

function dotProduct32(reg: usize, p: usize, imm: i32, use: i32): bool {
  for (let i = 0; i < 4; i++) {
    const at = <usize>i << 2;
    store<u32>(VECTOR_SCRATCH + 16 + at, (imm >> (4 + i)) & 1 ? arith32(ARITH_MUL, load<u32>(reg + at), load<u32>(p + at), use) : 0);
  }
  if (!endStep(0)) return false;
  if (!addStep32(load<u32>(VECTOR_SCRATCH, 16), load<u32>(VECTOR_SCRATCH, 20), use)) return false;
  const low = load<u32>(VECTOR_SCRATCH, 48);
  if (!addStep32(load<u32>(VECTOR_SCRATCH, 24), load<u32>(VECTOR_SCRATCH, 28), use)) return false;
  if (!addStep32(low, load<u32>(VECTOR_SCRATCH, 48), use)) return false;
  const sum = load<u32>(VECTOR_SCRATCH, 48);
  for (let i = 0; i < 4; i++) store<u32>(VECTOR_SCRATCH + (<usize>i << 2), (imm >> i) & 1 ? sum : 0);
  return true;
}

/** SSE4.1 DPPS (0F3A 40) and DPPD (41): products chosen by imm bits 4-7, sum stored where bits 0-3 say. */
export function execDotProduct(opcode: i32, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  beginSse();
  const done = opcode == 0x41 ? dotProduct64(reg, p, imm8(op), hostUse()) : dotProduct32(reg, p, imm8(op), hostUse());
  const noted = noteFlags();
  if (!done || !noted) return 0;
  v128.store(reg, v128.load(VECTOR_SCRATCH));
  return 1;
}

// --- comparison ------------------------------------------------------------------------------------------------------

/** A predicate of CMPxx on operands A and B: 0 EQ, 1 LT, 2 LE, 3 UNORD, 4-7 their negations. */
function predicate(imm: i32): bool {
  const base = imm & 3;
  let result: bool;
  if (clsOf(SOFT_A) >= CLS_QNAN || clsOf(SOFT_B) >= CLS_QNAN) {
    const signals = base == 1 || base == 2;
    if (signals || clsOf(SOFT_A) == CLS_SNAN || clsOf(SOFT_B) == CLS_SNAN) softRaise(EXC_INVALID);
    result = base == 3;
  } else {
    if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
    const order = softCompare();
    result = base == 0 ? order == 0 : base == 1 ? order < 0 : base == 2 ? order <= 0 : false;
  }
  return result != ((imm & 4) != 0);
}

/** 0F C2: CMPPS, CMPPD, CMPSS, CMPSD. */
export function execCompare(prefix: i32, op: usize, ea: u64): i32 {
  const p = prefix < 2 ? source16(op, ea) : sourceAny(op, ea, prefix == 2 ? 4 : 8);
  if (!p) return 0;
  const reg = xmmReg(op);
  const imm = imm8(op) & 7;
  beginSse();
  v128.store(VECTOR_SCRATCH, v128.load(reg));
  if (prefix & 1) {
    const end: usize = prefix == 1 ? 16 : 8;
    for (let i: usize = 0; i < end; i += 8) {
      unpack64(SOFT_A, load<u64>(reg + i));
      unpack64(SOFT_B, load<u64>(p + i));
      store<u64>(VECTOR_SCRATCH + i, predicate(imm) ? -1 : 0);
    }
  } else {
    const end: usize = prefix == 0 ? 16 : 4;
    for (let i: usize = 0; i < end; i += 4) {
      unpack32(SOFT_A, load<u32>(reg + i));
      unpack32(SOFT_B, load<u32>(p + i));
      store<u32>(VECTOR_SCRATCH + i, predicate(imm) ? -1 : 0);
    }
  }
  return deliver(reg);
}

/** 0F 2E UCOMISS/UCOMISD, 2F COMISS/COMISD: the order into ZF, PF, CF. */
export function execCompareFlags(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  const p = sourceAny(op, ea, prefix == 0 ? 4 : 8);
  if (!p) return 0;
  if (prefix == 0) {
    const a = load<u32>(xmmReg(op));
    const b = load<u32>(p);
    if (isOrdinary32(a) && isOrdinary32(b)) {
      const x = reinterpret<f32>(a);
      const y = reinterpret<f32>(b);
      setArithFlags(x == y ? 0x40 : x < y ? 1 : 0);
      return 1;
    }
    beginSse();
    unpack32(SOFT_A, a);
    unpack32(SOFT_B, b);
  } else {
    const a = load<u64>(xmmReg(op));
    const b = load<u64>(p);
    if (isOrdinary64(a) && isOrdinary64(b)) {
      const x = reinterpret<f64>(a);
      const y = reinterpret<f64>(b);
      setArithFlags(x == y ? 0x40 : x < y ? 1 : 0);
      return 1;
    }
    beginSse();
    unpack64(SOFT_A, a);
    unpack64(SOFT_B, b);
  }
  let image: u32;
  if (clsOf(SOFT_A) >= CLS_QNAN || clsOf(SOFT_B) >= CLS_QNAN) {
    if (opcode == 0x2f || clsOf(SOFT_A) == CLS_SNAN || clsOf(SOFT_B) == CLS_SNAN) softRaise(EXC_INVALID);
    image = 0x45;
  } else {
    if (isDenormal(SOFT_A) || isDenormal(SOFT_B)) softRaise(EXC_DENORMAL);
    const order = softCompare();
    image = order == 0 ? 0x40 : order < 0 ? 1 : 0;
  }
  if (softFlags() && !finishSse()) return 0;
  setArithFlags(image);
  return 1;
}

// --- approximations --------------------------------------------------------------------------------------------------

/**
 * RCPSS and RSQRTSS of one element. The manuals promise a relative error of at most 1.5 * 2^-12 and leave the bits to
 * the implementation; ours is the exact value rounded to 12 significant bits (error at most 2^-12), ties up in magnitude.
 * No flag is ever set; denormals count as zero and a tiny result is flushed to zero.
 */
function approximate(bits: u32, root: bool): u32 {
  const magnitude = bits & 0x7fffffff;
  const s = bits & 0x80000000;
  if (magnitude > 0x7f800000) return bits | 0x400000;
  if (magnitude < 0x00800000) return s | 0x7f800000;
  if (root && s) return 0xffc00000;
  if (magnitude == 0x7f800000) return s;
  const x = <f64>reinterpret<f32>(bits);
  const exact = reinterpret<u32>(<f32>(1.0 / (root ? sqrt<f64>(x) : x)));
  return (exact & 0x7f800000) == 0 ? s : (exact + 0x800) & 0xfffff000;
}

/** 0F 52 RSQRTPS/RSQRTSS, 53 RCPPS/RCPSS. */
export function execApproximate(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  const p = prefix == 0 ? source16(op, ea) : sourceAny(op, ea, 4);
  if (!p) return 0;
  const reg = xmmReg(op);
  const end: usize = prefix == 0 ? 16 : 4;
  for (let i: usize = 0; i < end; i += 4) store<u32>(reg + i, approximate(load<u32>(p + i), opcode == 0x52));
  return 1;
}

// --- SSE4.1 rounding -------------------------------------------------------------------------------------------------

/** Rounds operand A to an integral value; false if it is to be delivered as it is. CLS_* in the result. */
function integralClass(precision: i32): i32 {
  const cls = clsOf(SOFT_A);
  if (cls == CLS_FINITE) return softRoundToIntegral(precision);
  softSetResult(signOf(SOFT_A), expOf(SOFT_A), 0, 0);
  return cls;
}

function roundElement32(bits: u32): u32 {
  unpack32(SOFT_A, bits);
  const cls = integralClass(24);
  if (cls < CLS_QNAN) return pack32(cls);
  if (cls == CLS_SNAN) softRaise(EXC_INVALID);
  return bits | 0x400000;
}

function roundElement64(bits: u64): u64 {
  unpack64(SOFT_A, bits);
  const cls = integralClass(53);
  if (cls < CLS_QNAN) return pack64(cls);
  if (cls == CLS_SNAN) softRaise(EXC_INVALID);
  return bits | 0x8000000000000;
}

/** 0F3A 08-0B: ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD. */
export function execRound(opcode: i32, op: usize, ea: u64): i32 {
  const p = opcode < 0x0a ? source16(op, ea) : sourceAny(op, ea, opcode == 0x0a ? 4 : 8);
  if (!p) return 0;
  const reg = xmmReg(op);
  const imm = imm8(op);
  beginSse();
  if (!(imm & 4)) softSetRc(imm & 3);
  v128.store(VECTOR_SCRATCH, v128.load(reg));
  if (opcode & 1) {
    const end: usize = opcode == 0x09 ? 16 : 8;
    for (let i: usize = 0; i < end; i += 8) store<u64>(VECTOR_SCRATCH + i, roundElement64(load<u64>(p + i)));
  } else {
    const end: usize = opcode == 0x08 ? 16 : 4;
    for (let i: usize = 0; i < end; i += 4) store<u32>(VECTOR_SCRATCH + i, roundElement32(load<u32>(p + i)));
  }
  if (imm & 8) softSetFlags(softFlags() & ~EXC_PRECISION);
  return deliver(reg);
}
