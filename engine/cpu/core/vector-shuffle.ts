// Shuffles, shifts by an immediate, and inserts and extracts of words (map 0F 14, 15, 70-73, C4-C6).
import { enterMmx, gpr, imm8, isMemory, mmx, opReg, opRm, raiseMf, setMmx, source16, sourceMmx, x87Pending, xmmReg, xmmRm } from "./vector-operand";
import { readable } from "./mmu";
import { packedShift } from "./vector-int";

/** Lane `(imm >> 2 * lane) & 3` of four 32-bit lanes at p. */
@inline
function pick32(p: usize, imm: i32, lane: i32): u32 {
  return load<u32>(p + (<usize>((imm >> (lane << 1)) & 3) << 2));
}

/** Four 16-bit lanes of `words`, each chosen by two bits of imm. */
function shuffleWords(words: u64, imm: i32): u64 {
  return ((words >> ((imm & 3) << 4)) & 0xffff)
    | (((words >> (((imm >> 2) & 3) << 4)) & 0xffff) << 16)
    | (((words >> (((imm >> 4) & 3) << 4)) & 0xffff) << 32)
    | (((words >> (((imm >> 6) & 3) << 4)) & 0xffff) << 48);
}

/** 0F 70: PSHUFW, PSHUFD, PSHUFHW, PSHUFLW. */
function shuffle70(prefix: i32, op: usize, ea: u64): i32 {
  const imm = imm8(op);
  if (prefix == 0) {
    if (x87Pending()) return raiseMf();
    const p = sourceMmx(op, ea);
    if (!p) return 0;
    enterMmx();
    setMmx(opReg(op), shuffleWords(load<u64>(p), imm));
    return 1;
  }
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  if (prefix == 1) {
    const low = <u64>pick32(p, imm, 0) | (<u64>pick32(p, imm, 1) << 32);
    const high = <u64>pick32(p, imm, 2) | (<u64>pick32(p, imm, 3) << 32);
    store<u64>(reg, low);
    store<u64>(reg, high, 8);
    return 1;
  }
  const low = load<u64>(p);
  const high = load<u64>(p, 8);
  store<u64>(reg, prefix == 3 ? shuffleWords(low, imm) : low);
  store<u64>(reg, prefix == 2 ? shuffleWords(high, imm) : high, 8);
  return 1;
}

/** 0F C6: SHUFPS, SHUFPD. */
function shuffleFloat(prefix: i32, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const imm = imm8(op);
  const reg = xmmReg(op);
  let low: u64;
  let high: u64;
  if (prefix == 1) {
    low = load<u64>(reg + ((imm & 1) << 3));
    high = load<u64>(p + ((imm & 2) << 2));
  } else {
    low = <u64>pick32(reg, imm, 0) | (<u64>pick32(reg, imm, 1) << 32);
    high = <u64>pick32(p, imm, 2) | (<u64>pick32(p, imm, 3) << 32);
  }
  store<u64>(reg, low);
  store<u64>(reg, high, 8);
  return 1;
}

/** 0F 14/15: UNPCKLPS, UNPCKLPD, UNPCKHPS, UNPCKHPD. */
function unpackFloat(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  const a = v128.load(reg);
  const b = v128.load(p);
  let r: v128;
  if (opcode == 0x14) r = prefix == 0 ? v128.shuffle<u32>(a, b, 0, 4, 1, 5) : v128.shuffle<u64>(a, b, 0, 2);
  else r = prefix == 0 ? v128.shuffle<u32>(a, b, 2, 6, 3, 7) : v128.shuffle<u64>(a, b, 1, 3);
  v128.store(reg, r);
  return 1;
}

/** PSLLDQ (left) and PSRLDQ: shift of 128 bits by whole bytes. */
function shiftBytes(reg: usize, count: i32, left: bool): void {
  const low = load<u64>(reg);
  const high = load<u64>(reg, 8);
  let newLow: u64 = 0;
  let newHigh: u64 = 0;
  const n = count << 3;
  if (count == 0) return;
  if (left) {
    if (count < 8) {
      newLow = low << n;
      newHigh = (high << n) | (low >> (64 - n));
    } else if (count < 16) newHigh = low << (n - 64);
  } else {
    if (count < 8) {
      newHigh = high >> n;
      newLow = (low >> n) | (high << (64 - n));
    } else if (count < 16) newLow = high >> (n - 64);
  }
  store<u64>(reg, newLow);
  store<u64>(reg, newHigh, 8);
}

/** 0F 71-73: shifts by an immediate; ModRM.reg is the operation, ModRM.rm the register. */
function shiftImmediate(opcode: i32, prefix: i32, op: usize): i32 {
  const group = opReg(op) & 7;
  const count = imm8(op);
  // The matching form with a vector count: D1-D3 right, E1-E2 arithmetic, F1-F3 left.
  const kind = (group == 2 ? 0xd0 : group == 4 ? 0xe0 : 0xf0) + (opcode - 0x70);
  if (prefix == 0) {
    if (x87Pending()) return raiseMf();
    const p = mmx(opRm(op));
    enterMmx();
    setMmx(opRm(op), v128.extract_lane<i64>(packedShift(kind, v128.load64_zero(p), count), 0));
    return 1;
  }
  const p = xmmRm(op);
  if (group & 1) shiftBytes(p, count, group == 7);
  else v128.store(p, packedShift(kind, v128.load(p), count));
  return 1;
}

/** 0F C4: PINSRW. */
function insertWord(prefix: i32, op: usize, ea: u64): i32 {
  if (prefix == 0 && x87Pending()) return raiseMf();
  const p = isMemory(op) ? readable(ea, 2) : gpr(opRm(op));
  if (!p) return 0;
  const word = load<u16>(p);
  if (prefix == 0) {
    const reg = mmx(opReg(op));
    enterMmx();
    store<u16>(reg + ((imm8(op) & 3) << 1), word);
    setMmx(opReg(op), load<u64>(reg));
  } else {
    store<u16>(xmmReg(op) + ((imm8(op) & 7) << 1), word);
  }
  return 1;
}

/** 0F C5: PEXTRW to a general register. */
function extractWord(prefix: i32, op: usize): i32 {
  let word: u64;
  if (prefix == 0) {
    if (x87Pending()) return raiseMf();
    word = load<u16>(mmx(opRm(op)) + ((imm8(op) & 3) << 1));
    enterMmx();
  } else {
    word = load<u16>(xmmRm(op) + ((imm8(op) & 7) << 1));
  }
  store<u64>(gpr(opReg(op)), word);
  return 1;
}

/** The shuffles of map 0F; see `execVector`. */
export function execShuffle(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  switch (opcode) {
    case 0x14: case 0x15: return unpackFloat(opcode, prefix, op, ea);
    case 0x70: return shuffle70(prefix, op, ea);
    case 0xc4: return insertWord(prefix, op, ea);
    case 0xc5: return extractWord(prefix, op);
    case 0xc6: return shuffleFloat(prefix, op, ea);
    default: return shiftImmediate(opcode, prefix, op);
  }
}
