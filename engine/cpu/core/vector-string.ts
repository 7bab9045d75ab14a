// SSE4.2 string comparisons: PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI (0F3A 60-63). SDM vol. 2 4.1.
import { XMM } from "./layout";
import { setArithFlags } from "./flags";
import { gpr, imm8, rexW, sourceAny, xmmReg } from "./vector-operand";

const RCX: i32 = 1;
const RAX: i32 = 0;
const RDX: i32 = 2;

/** Element i of the operand at p as a signed or unsigned number, as imm bits 0-1 say. */
function element(p: usize, i: i32, imm: i32): i32 {
  switch (imm & 3) {
    case 0: return load<u8>(p + i);
    case 1: return load<u16>(p + (<usize>i << 1));
    case 2: return load<i8>(p + i);
    default: return load<i16>(p + (<usize>i << 1));
  }
}

/** Elements before the first zero. */
function implicitLength(p: usize, count: i32, imm: i32): i32 {
  for (let i = 0; i < count; i++) if (element(p, i, imm) == 0) return i;
  return count;
}

/** The magnitude of a length register, at most `count`. */
function explicitLength(register: i32, wide: bool, count: i32): i32 {
  const value: i64 = wide ? load<i64>(gpr(register)) : <i64>load<i32>(gpr(register));
  if (value > count || value < -count) return count;
  return <i32>(value < 0 ? -value : value);
}

/** One bit for each element of b: the aggregation of imm bits 2-3 before its polarity. */
function aggregate(a: usize, lengthA: i32, b: usize, lengthB: i32, count: i32, imm: i32): i32 {
  let result = 0;
  for (let j = 0; j < count; j++) {
    let bit = false;
    switch ((imm >> 2) & 3) {
      case 0: // equal any
        if (j < lengthB) {
          const x = element(b, j, imm);
          for (let i = 0; i < lengthA && !bit; i++) bit = element(a, i, imm) == x;
        }
        break;
      case 1: // ranges: an odd last element of a is no range
        if (j < lengthB) {
          const x = element(b, j, imm);
          for (let i = 0; i + 1 < lengthA && !bit; i += 2) bit = x >= element(a, i, imm) && x <= element(a, i + 1, imm);
        }
        break;
      case 2: // equal each: two absent elements are equal
        bit = j < lengthA && j < lengthB ? element(a, j, imm) == element(b, j, imm) : j >= lengthA && j >= lengthB;
        break;
      default: // equal ordered: a, as far as b's elements reach, starts here
        bit = true;
        for (let i = 0; i < lengthA && j + i < count && bit; i++) {
          bit = j + i < lengthB && element(a, i, imm) == element(b, j + i, imm);
        }
    }
    if (bit) result |= 1 << j;
  }
  return result;
}

/** 0F3A 60-63; the memory operand may be misaligned. */
export function execStringCompare(opcode: i32, op: usize, ea: u64): i32 {
  const b = sourceAny(op, ea, 16);
  if (!b) return 0;
  const a = xmmReg(op);
  const imm = imm8(op);
  const count = imm & 1 ? 8 : 16;
  const all = (1 << count) - 1;
  const explicit = opcode < 0x62;
  const lengthA = explicit ? explicitLength(RAX, rexW(op), count) : implicitLength(a, count, imm);
  const lengthB = explicit ? explicitLength(RDX, rexW(op), count) : implicitLength(b, count, imm);
  let result = aggregate(a, lengthA, b, lengthB, count, imm);
  if (imm & 0x10) result ^= imm & 0x20 ? (1 << lengthB) - 1 : all;
  if (opcode & 1) {
    const index = result == 0 ? count : imm & 0x40 ? 31 - clz(result) : ctz(result);
    store<u64>(gpr(RCX), <u64>index);
  } else if (imm & 0x40) {
    for (let i = 0; i < count; i++) {
      const value = (result >> i) & 1 ? -1 : 0;
      if (imm & 1) store<u16>(XMM + (<usize>i << 1), <u16>value);
      else store<u8>(XMM + i, <u8>value);
    }
  } else {
    store<u64>(XMM, <u64>result);
    store<u64>(XMM, 0, 8);
  }
  setArithFlags((result != 0 ? 1 : 0) | (lengthB < count ? 0x40 : 0) | (lengthA < count ? 0x80 : 0) | (result & 1 ? 0x800 : 0));
  return 1;
}
