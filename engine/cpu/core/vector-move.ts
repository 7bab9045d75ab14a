// Moves between vector registers, MMX registers, general registers and memory, without arithmetic.
import { isMemory, enterMmx, gpr, mmx, opReg, opRm, raiseMf, rexW, setMmx, source16, sourceAny, sourceGpr, sourceMmx,
  store16, store8, storeSized, x87Pending, xmmReg, xmmRm } from "./vector-operand";
import { isAligned, readable, writable, writeDone } from "./mmu";

/** 0F 10/11 by prefix: MOVUPS, MOVUPD, MOVSS, MOVSD. */
function moveUnaligned(prefix: i32, store_: bool, op: usize, ea: u64): i32 {
  if (prefix < 2) {
    if (store_) {
      if (isMemory(op)) return store16(ea, v128.load(xmmReg(op)), false);
      v128.store(xmmRm(op), v128.load(xmmReg(op)));
      return 1;
    }
    const p = sourceAny(op, ea, 16);
    if (!p) return 0;
    v128.store(xmmReg(op), v128.load(p));
    return 1;
  }
  const size = prefix == 2 ? 4 : 8;
  const reg = xmmReg(op);
  if (isMemory(op)) {
    if (store_) return storeSized(ea, load<u64>(reg), size);
    const p = readable(ea, size);
    if (!p) return 0;
    // A scalar load clears the rest of the register; a register move keeps it.
    const low: u64 = size == 8 ? load<u64>(p) : <u64>load<u32>(p);
    store<u64>(reg, low);
    store<u64>(reg, 0, 8);
    return 1;
  }
  const to = store_ ? xmmRm(op) : reg;
  const from = store_ ? reg : xmmRm(op);
  if (size == 8) store<u64>(to, load<u64>(from));
  else store<u32>(to, load<u32>(from));
  return 1;
}

/** 0F 12/13/16/17: the 8-byte moves to and from a half, and the duplicating moves of SSE3. */
function moveHalf(prefix: i32, opcode: i32, op: usize, ea: u64): i32 {
  const reg = xmmReg(op);
  if (prefix == 2) {
    const p = source16(op, ea);
    if (!p) return 0;
    const v = v128.load(p);
    v128.store(reg, opcode == 0x12
      ? v128.shuffle<u32>(v, v, 0, 0, 2, 2)
      : v128.shuffle<u32>(v, v, 1, 1, 3, 3));
    return 1;
  }
  if (prefix == 3) {
    const p = sourceAny(op, ea, 8);
    if (!p) return 0;
    v128.store(reg, v128.load64_splat(p));
    return 1;
  }
  const half: usize = opcode >= 0x16 ? 8 : 0;
  if (opcode & 1) return store8(ea, load<u64>(reg + half));
  if (isMemory(op)) {
    const p = readable(ea, 8);
    if (!p) return 0;
    store<u64>(reg + half, load<u64>(p));
  } else {
    // MOVHLPS takes the other's high half, MOVLHPS its low half.
    store<u64>(reg + half, load<u64>(xmmRm(op) + 8 - half));
  }
  return 1;
}

/** 0F 6F/7F: MOVQ (MMX), MOVDQA, MOVDQU. */
function moveInteger(prefix: i32, store_: bool, op: usize, ea: u64): i32 {
  if (prefix == 0) {
    if (x87Pending()) return raiseMf();
    const reg = mmx(opReg(op));
    if (store_) {
      if (isMemory(op)) {
        if (!store8(ea, load<u64>(reg))) return 0;
        enterMmx();
      } else {
        enterMmx();
        setMmx(opRm(op), load<u64>(reg));
      }
      return 1;
    }
    const p = sourceMmx(op, ea);
    if (!p) return 0;
    enterMmx();
    setMmx(opReg(op), load<u64>(p));
    return 1;
  }
  if (store_) {
    const v = v128.load(xmmReg(op));
    if (isMemory(op)) return store16(ea, v, prefix == 1);
    v128.store(xmmRm(op), v);
    return 1;
  }
  const p = prefix == 1 ? source16(op, ea) : sourceAny(op, ea, 16);
  if (!p) return 0;
  v128.store(xmmReg(op), v128.load(p));
  return 1;
}

/** 0F 6E: MOVD/MOVQ from a general register or memory. */
function moveFromGpr(prefix: i32, op: usize, ea: u64): i32 {
  if (prefix == 0 && x87Pending()) return raiseMf();
  const p = sourceGpr(op, ea, rexW(op) ? 8 : 4);
  if (!p) return 0;
  const value: u64 = rexW(op) ? load<u64>(p) : <u64>load<u32>(p);
  if (prefix == 0) {
    enterMmx();
    setMmx(opReg(op), value);
  } else {
    const reg = xmmReg(op);
    store<u64>(reg, value);
    store<u64>(reg, 0, 8);
  }
  return 1;
}

/** 0F 7E: MOVD/MOVQ to a general register or memory; with F3, MOVQ xmm, xmm/m64. */
function moveToGpr(prefix: i32, op: usize, ea: u64): i32 {
  if (prefix == 2) {
    const p = sourceAny(op, ea, 8);
    if (!p) return 0;
    const value = load<u64>(p);
    const reg = xmmReg(op);
    store<u64>(reg, value);
    store<u64>(reg, 0, 8);
    return 1;
  }
  if (prefix == 0 && x87Pending()) return raiseMf();
  let value = prefix == 0 ? load<u64>(mmx(opReg(op))) : load<u64>(xmmReg(op));
  if (!rexW(op)) value = <u64><u32>value;
  if (isMemory(op)) {
    if (!storeSized(ea, value, rexW(op) ? 8 : 4)) return 0;
  } else {
    store<u64>(gpr(opRm(op)), value);
  }
  if (prefix == 0) enterMmx();
  return 1;
}

/** 0F D6: MOVQ xmm/m64, xmm; MOVQ2DQ; MOVDQ2Q. */
function moveQuad(prefix: i32, op: usize, ea: u64): i32 {
  if (prefix == 1) {
    const value = load<u64>(xmmReg(op));
    if (isMemory(op)) return store8(ea, value);
    const rm = xmmRm(op);
    store<u64>(rm, value);
    store<u64>(rm, 0, 8);
    return 1;
  }
  if (x87Pending()) return raiseMf();
  enterMmx();
  if (prefix == 2) {
    const reg = xmmReg(op);
    store<u64>(reg, load<u64>(mmx(opRm(op))));
    store<u64>(reg, 0, 8);
  } else {
    setMmx(opReg(op), load<u64>(xmmRm(op)));
  }
  return 1;
}

/**
 * 0F F7: MASKMOVQ and MASKMOVDQU: stores the bytes whose mask byte has its top bit set; `ea` is DS:rDI. Where the SDM
 * leaves it open this does what silicon does: the MMX transition is made even if the store faults; the first byte's
 * page must be writable even if the mask is empty; CR2 names the operand's first byte in the page that faults.
 */
function maskedStore(prefix: i32, op: usize, ea: u64): i32 {
  const size = prefix == 0 ? 8 : 16;
  if (prefix == 0) {
    if (x87Pending()) return raiseMf();
    enterMmx();
  }
  const data = prefix == 0 ? mmx(opReg(op)) : xmmReg(op);
  const mask = prefix == 0 ? mmx(opRm(op)) : xmmRm(op);
  let selected = 0;
  for (let i = 0; i < size; i++) selected |= (<i32>load<u8>(mask + i) >> 7) << i;
  // A second page without a selected byte is not touched; both are translated before the first byte is written.
  const room = 0x1000 - <i32>(ea & 0xfff);
  const inFirst = room >= size ? selected : selected & ((1 << room) - 1);
  if (!isAligned(ea, 8) || !writable(ea, 1)) return 0;
  if (inFirst != selected && !writable(ea + <u64>room, 1)) return 0;
  for (let i = 0; i < size; i++) {
    if (!((selected >> i) & 1)) continue;
    const p = writable(ea + i, 1);
    if (!p) return 0;
    store<u8>(p, load<u8>(data + i));
    writeDone(p);
  }
  return 1;
}

/** 0F D7: PMOVMSKB; 0F 50: MOVMSKPS, MOVMSKPD. */
function moveMask(opcode: i32, prefix: i32, op: usize): i32 {
  let mask: i32;
  if (opcode == 0x50) {
    const v = v128.load(xmmRm(op));
    mask = prefix == 0 ? v128.bitmask<i32>(v) : v128.bitmask<i64>(v);
  } else if (prefix == 0) {
    if (x87Pending()) return raiseMf();
    mask = v128.bitmask<i8>(v128.load64_zero(mmx(opRm(op))));
    enterMmx();
  } else {
    mask = v128.bitmask<i8>(v128.load(xmmRm(op)));
  }
  store<u64>(gpr(opReg(op)), <u64>mask);
  return 1;
}

/** The moves of map 0F; see `execVector`. */
export function execMove(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  switch (opcode) {
    case 0x10: return moveUnaligned(prefix, false, op, ea);
    case 0x11: return moveUnaligned(prefix, true, op, ea);
    case 0x12: case 0x13: case 0x16: case 0x17: return moveHalf(prefix, opcode, op, ea);
    case 0x28: {
      const p = source16(op, ea);
      if (!p) return 0;
      v128.store(xmmReg(op), v128.load(p));
      return 1;
    }
    case 0x29:
      if (isMemory(op)) return store16(ea, v128.load(xmmReg(op)), true);
      v128.store(xmmRm(op), v128.load(xmmReg(op)));
      return 1;
    case 0x2b: return store16(ea, v128.load(xmmReg(op)), true);
    case 0x50: case 0xd7: return moveMask(opcode, prefix, op);
    case 0x6e: return moveFromGpr(prefix, op, ea);
    case 0x6f: return moveInteger(prefix, false, op, ea);
    case 0x7e: return moveToGpr(prefix, op, ea);
    case 0x7f: return moveInteger(prefix, true, op, ea);
    case 0xc3: return storeSized(ea, load<u64>(gpr(opReg(op))), rexW(op) ? 8 : 4);
    case 0xd6: return moveQuad(prefix, op, ea);
    case 0xe7: {
      if (prefix == 1) return store16(ea, v128.load(xmmReg(op)), true);
      if (x87Pending()) return raiseMf();
      if (!store8(ea, load<u64>(mmx(opReg(op))))) return 0;
      enterMmx();
      return 1;
    }
    case 0xf0: {
      const p = readable(ea, 16);
      if (!p) return 0;
      v128.store(xmmReg(op), v128.load(p));
      return 1;
    }
    default: return maskedStore(prefix, op, ea);
  }
}
