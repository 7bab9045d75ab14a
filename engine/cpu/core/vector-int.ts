// Packed integer arithmetic of MMX to SSE2 (map 0F 54-6D, 74-76, D1-FE). Every operation works on 128 bits; the MMX forms
// put their 64 bits into the low half and use the same operation.
import { enterMmx, isMemory, mmx, opReg, raiseMf, setMmx, source16, sourceMmx, x87Pending, xmmReg } from "./vector-operand";
import { readable } from "./mmu";

/** The shift count of the shifts by a vector: its low 64 bits, everything above 64 the same as 64. */
@inline
function vectorCount(b: v128): i32 {
  const count = <u64>v128.extract_lane<i64>(b, 0);
  return count > 64 ? 64 : <i32>count;
}

/** Sum of absolute differences of unsigned bytes, one 16-bit sum in each 64-bit half. */
function sumAbsoluteDifferences(a: v128, b: v128): v128 {
  const difference = i8x16.sub(i8x16.max_u(a, b), i8x16.min_u(a, b));
  const words = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference));
  return v128.and(i64x2.add(words, i64x2.shr_u(words, 32)), i64x2.splat(0xffff));
}

/** High 16 bits of the 16 x 16-bit products, from the products of the low and the high four lanes. */
@inline
function highWords(low: v128, high: v128): v128 {
  return v128.shuffle<u16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
}

/** Logical and arithmetic shifts; kind is the opcode of the form with a vector count. */
export function packedShift(kind: i32, a: v128, count: i32): v128 {
  switch (kind) {
    case 0xd1: return count > 15 ? i64x2.splat(0) : i16x8.shr_u(a, count);
    case 0xd2: return count > 31 ? i64x2.splat(0) : i32x4.shr_u(a, count);
    case 0xd3: return count > 63 ? i64x2.splat(0) : i64x2.shr_u(a, count);
    case 0xe1: return i16x8.shr_s(a, count > 15 ? 15 : count);
    case 0xe2: return i32x4.shr_s(a, count > 31 ? 31 : count);
    case 0xf1: return count > 15 ? i64x2.splat(0) : i16x8.shl(a, count);
    case 0xf2: return count > 31 ? i64x2.splat(0) : i32x4.shl(a, count);
    default: return count > 63 ? i64x2.splat(0) : i64x2.shl(a, count);
  }
}

/** Operations whose result lanes depend only on the operand lanes at the same place: the same for MMX and SSE. */
function lanewise(opcode: i32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0x54: case 0xdb: return v128.and(a, b);
    case 0x55: case 0xdf: return v128.andnot(b, a);
    case 0x56: case 0xeb: return v128.or(a, b);
    case 0x57: case 0xef: return v128.xor(a, b);
    case 0x64: return i8x16.gt_s(a, b);
    case 0x65: return i16x8.gt_s(a, b);
    case 0x66: return i32x4.gt_s(a, b);
    case 0x74: return i8x16.eq(a, b);
    case 0x75: return i16x8.eq(a, b);
    case 0x76: return i32x4.eq(a, b);
    case 0xd4: return i64x2.add(a, b);
    case 0xd5: return i16x8.mul(a, b);
    case 0xd8: return i8x16.sub_sat_u(a, b);
    case 0xd9: return i16x8.sub_sat_u(a, b);
    case 0xda: return i8x16.min_u(a, b);
    case 0xdc: return i8x16.add_sat_u(a, b);
    case 0xdd: return i16x8.add_sat_u(a, b);
    case 0xde: return i8x16.max_u(a, b);
    case 0xe0: return i8x16.avgr_u(a, b);
    case 0xe3: return i16x8.avgr_u(a, b);
    case 0xe4: return highWords(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b));
    case 0xe5: return highWords(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b));
    case 0xe8: return i8x16.sub_sat_s(a, b);
    case 0xe9: return i16x8.sub_sat_s(a, b);
    case 0xea: return i16x8.min_s(a, b);
    case 0xec: return i8x16.add_sat_s(a, b);
    case 0xed: return i16x8.add_sat_s(a, b);
    case 0xee: return i16x8.max_s(a, b);
    case 0xf4: {
      const low = i64x2.splat(0xffffffff);
      return i64x2.mul(v128.and(a, low), v128.and(b, low));
    }
    case 0xf5: return i32x4.dot_i16x8_s(a, b);
    case 0xf6: return sumAbsoluteDifferences(a, b);
    case 0xf8: return i8x16.sub(a, b);
    case 0xf9: return i16x8.sub(a, b);
    case 0xfa: return i32x4.sub(a, b);
    case 0xfb: return i64x2.sub(a, b);
    case 0xfc: return i8x16.add(a, b);
    case 0xfd: return i16x8.add(a, b);
    case 0xfe: return i32x4.add(a, b);
    default: return packedShift(opcode, a, vectorCount(b));
  }
}

/** Interleaves and packs (60-6D, 14, 15) of 128 bits. */
function interleave(opcode: i32, a: v128, b: v128): v128 {
  switch (opcode) {
    case 0x60: return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case 0x61: return v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case 0x62: return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
    case 0x63: return i8x16.narrow_i16x8_s(a, b);
    case 0x67: return i8x16.narrow_i16x8_u(a, b);
    case 0x68: return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case 0x69: return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case 0x6a: return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
    case 0x6b: return i16x8.narrow_i32x4_s(a, b);
    case 0x6c: return v128.shuffle<u64>(a, b, 0, 2);
    default: return v128.shuffle<u64>(a, b, 1, 3);
  }
}

/** True for the opcodes of `interleave`, whose MMX forms are not the low half of the SSE form. */
@inline
function isInterleave(opcode: i32): bool {
  return opcode <= 0x6d && opcode >= 0x60 && (opcode < 0x64 || opcode > 0x66);
}

/** The MMX form of an interleave or pack. */
function interleaveMmx(opcode: i32, a: v128, b: v128): u64 {
  if (opcode == 0x63 || opcode == 0x67 || opcode == 0x6b) {
    const both = v128.shuffle<u64>(a, b, 0, 2);
    return v128.extract_lane<i64>(interleave(opcode, both, both), 0);
  }
  // Low interleave of whole 8-byte registers: its low half is PUNPCKL's result, its high half PUNPCKH's.
  if (opcode >= 0x68) return v128.extract_lane<i64>(interleave(opcode - 8, a, b), 1);
  return v128.extract_lane<i64>(interleave(opcode, a, b), 0);
}

/** Packed integer operations of map 0F on MMX registers. */
export function execIntegerMmx(opcode: i32, op: usize, ea: u64): i32 {
  if (x87Pending()) return raiseMf();
  // PUNPCKL* read only the four bytes that they use.
  const fourBytes = opcode <= 0x62 && opcode >= 0x60 && isMemory(op);
  const p = fourBytes ? readable(ea, 4) : sourceMmx(op, ea);
  if (!p) return 0;
  const a = v128.load64_zero(mmx(opReg(op)));
  const b = fourBytes ? v128.load32_zero(p) : v128.load64_zero(p);
  enterMmx();
  setMmx(opReg(op), isInterleave(opcode)
    ? interleaveMmx(opcode, a, b)
    : v128.extract_lane<i64>(lanewise(opcode, a, b), 0));
  return 1;
}

/** Packed integer and bitwise operations of map 0F on XMM registers. */
export function execInteger(opcode: i32, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  const a = v128.load(reg);
  const b = v128.load(p);
  v128.store(reg, isInterleave(opcode) ? interleave(opcode, a, b) : lanewise(opcode, a, b));
  return 1;
}
