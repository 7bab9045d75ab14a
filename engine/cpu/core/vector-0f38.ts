// Map 0F38: SSSE3, SSE4.1 and SSE4.2 integer instructions.
import { XMM } from "./layout";
import { setArithFlags } from "./flags";
import { enterMmx, mmx, opReg, raiseMf, setMmx, source16, sourceAny, sourceMmx, x87Pending, xmmReg } from "./vector-operand";

/** Even-numbered words of a, then of b. */
@inline
function evenWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}
@inline
function oddWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}
@inline
function evenDwords(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 0, 2, 4, 6);
}
@inline
function oddDwords(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 1, 3, 5, 7);
}

/** PMADDUBSW: unsigned bytes of a times signed bytes of b, adjacent products added with saturation. */
function multiplyAddBytes(a: v128, b: v128): v128 {
  const low = i16x8.mul(i16x8.extend_low_i8x16_u(a), i16x8.extend_low_i8x16_s(b));
  const high = i16x8.mul(i16x8.extend_high_i8x16_u(a), i16x8.extend_high_i8x16_s(b));
  return i16x8.add_sat_s(evenWords(low, high), oddWords(low, high));
}

/** PMULHRSW. The host's instruction saturates where the x86 wraps: -1 times -1 in Q15. */
function multiplyRounding(a: v128, b: v128): v128 {
  const min = i16x8.splat(-0x8000);
  const wrap = v128.and(i16x8.eq(a, min), i16x8.eq(b, min));
  return v128.xor(i16x8.q15mulr_sat_s(a, b), wrap);
}

/** PSIGN of bytes (08), words (09), doublewords (0A): a times the sign of b. */
function applySign(opcode: i32, a: v128, b: v128): v128 {
  const zero = i64x2.splat(0);
  if (opcode == 0x08) {
    const negative = i8x16.lt_s(b, zero);
    return v128.andnot(v128.bitselect(i8x16.neg(a), a, negative), i8x16.eq(b, zero));
  }
  if (opcode == 0x09) {
    const negative = i16x8.lt_s(b, zero);
    return v128.andnot(v128.bitselect(i16x8.neg(a), a, negative), i16x8.eq(b, zero));
  }
  const negative = i32x4.lt_s(b, zero);
  return v128.andnot(v128.bitselect(i32x4.neg(a), a, negative), i32x4.eq(b, zero));
}

/** SSSE3 (00-0B, 1C-1E). `indexMask` keeps the bits of a PSHUFB selector that count: 8F, or 87 for MMX. */
function ssse3(opcode: i32, a: v128, b: v128, indexMask: i32): v128 {
  switch (opcode) {
    case 0x00: return i8x16.swizzle(a, v128.and(b, i8x16.splat(<i8>indexMask)));
    case 0x01: return i16x8.add(evenWords(a, b), oddWords(a, b));
    case 0x02: return i32x4.add(evenDwords(a, b), oddDwords(a, b));
    case 0x03: return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b));
    case 0x04: return multiplyAddBytes(a, b);
    case 0x05: return i16x8.sub(evenWords(a, b), oddWords(a, b));
    case 0x06: return i32x4.sub(evenDwords(a, b), oddDwords(a, b));
    case 0x07: return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b));
    case 0x08: case 0x09: case 0x0a: return applySign(opcode, a, b);
    case 0x0b: return multiplyRounding(a, b);
    case 0x1c: return i8x16.abs(b);
    case 0x1d: return i16x8.abs(b);
    default: return i32x4.abs(b);
  }
}

/** The MMX forms of SSSE3. */
function ssse3Mmx(opcode: i32, op: usize, ea: u64): i32 {
  if (x87Pending()) return raiseMf();
  const p = sourceMmx(op, ea);
  if (!p) return 0;
  let a = v128.load64_zero(mmx(opReg(op)));
  let b = v128.load64_zero(p);
  const horizontal = (opcode >= 0x01 && opcode <= 0x03) || (opcode >= 0x05 && opcode <= 0x07);
  if (horizontal) {
    // Both operands side by side make one 128-bit operand whose own horizontal result is the answer.
    a = v128.shuffle<u64>(a, b, 0, 2);
    b = a;
  }
  enterMmx();
  setMmx(opReg(op), v128.extract_lane<i64>(ssse3(opcode, a, b, 0x87), 0));
  return 1;
}

/** Sign (20-25) and zero (30-35) extensions: the low 8, 4 or 2 bytes become a whole register. */
function extend(opcode: i32, op: usize, ea: u64): i32 {
  const kind = opcode & 7;
  const p = sourceAny(op, ea, kind == 2 ? 2 : kind == 1 || kind == 4 ? 4 : 8);
  if (!p) return 0;
  // Fewer bytes than 8 may be readable in a guest page, but at host addresses there are always more.
  const v = v128.load64_zero(p);
  let r: v128;
  switch (opcode) {
    case 0x20: r = i16x8.extend_low_i8x16_s(v); break;
    case 0x21: r = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v)); break;
    case 0x22: r = i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v))); break;
    case 0x23: r = i32x4.extend_low_i16x8_s(v); break;
    case 0x24: r = i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(v)); break;
    case 0x25: r = i64x2.extend_low_i32x4_s(v); break;
    case 0x30: r = i16x8.extend_low_i8x16_u(v); break;
    case 0x31: r = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v)); break;
    case 0x32: r = i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v))); break;
    case 0x33: r = i32x4.extend_low_i16x8_u(v); break;
    case 0x34: r = i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(v)); break;
    default: r = i64x2.extend_low_i32x4_u(v); break;
  }
  v128.store(xmmReg(op), r);
  return 1;
}

/** PHMINPOSUW: the smallest word and its index. */
function minimumPosition(v: usize, to: usize): void {
  let least: u32 = load<u16>(v);
  let index: u32 = 0;
  for (let i: u32 = 1; i < 8; i++) {
    const word: u32 = load<u16>(v + (<usize>i << 1));
    if (word < least) {
      least = word;
      index = i;
    }
  }
  store<u64>(to, <u64>(least | (index << 16)));
  store<u64>(to, 0, 8);
}

/** PTEST: ZF if a & b is zero, CF if ~a & b is zero. */
function testBits(a: v128, b: v128): void {
  const zf: u32 = v128.any_true(v128.and(a, b)) ? 0 : 0x40;
  const cf: u32 = v128.any_true(v128.andnot(b, a)) ? 0 : 1;
  setArithFlags(zf | cf);
}

function sse4(opcode: i32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0x10: return v128.bitselect(b, a, i8x16.shr_s(v128.load(XMM), 7));
    case 0x14: return v128.bitselect(b, a, i32x4.shr_s(v128.load(XMM), 31));
    case 0x15: return v128.bitselect(b, a, i64x2.shr_s(v128.load(XMM), 63));
    case 0x28: return i64x2.extmul_low_i32x4_s(v128.shuffle<u32>(a, a, 0, 2, 0, 2), v128.shuffle<u32>(b, b, 0, 2, 0, 2));
    case 0x29: return i64x2.eq(a, b);
    case 0x2a: return b;
    case 0x2b: return i16x8.narrow_i32x4_u(a, b);
    case 0x37: return i64x2.gt_s(a, b);
    case 0x38: return i8x16.min_s(a, b);
    case 0x39: return i32x4.min_s(a, b);
    case 0x3a: return i16x8.min_u(a, b);
    case 0x3b: return i32x4.min_u(a, b);
    case 0x3c: return i8x16.max_s(a, b);
    case 0x3d: return i32x4.max_s(a, b);
    case 0x3e: return i16x8.max_u(a, b);
    case 0x3f: return i32x4.max_u(a, b);
    default: return i32x4.mul(a, b);
  }
}

/** Instructions of map 0F38; see `execVector`. */
export function exec0F38(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  if (prefix == 0) return ssse3Mmx(opcode, op, ea);
  if ((opcode >= 0x20 && opcode <= 0x25) || (opcode >= 0x30 && opcode <= 0x35)) return extend(opcode, op, ea);
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  const a = v128.load(reg);
  const b = v128.load(p);
  if (opcode == 0x41) minimumPosition(p, reg);
  else if (opcode == 0x17) testBits(a, b);
  else if (opcode <= 0x0b || (opcode >= 0x1c && opcode <= 0x1e)) v128.store(reg, ssse3(opcode, a, b, 0x8f));
  else v128.store(reg, sse4(opcode, a, b));
  return 1;
}
