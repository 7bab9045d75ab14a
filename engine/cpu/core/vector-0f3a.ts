// Map 0F3A: blends, inserts, extracts, PALIGNR and MPSADBW; rounding and dot products are in vector-float.ts, the string
// comparisons in vector-string.ts.
import { VECTOR_SCRATCH } from "./layout";
import { readable } from "./mmu";
import { enterMmx, gpr, imm8, isMemory, mmx, opReg, opRm, raiseMf, rexW, setMmx, source16, sourceMmx, storeSized, x87Pending, xmmReg, xmmRm } from "./vector-operand";
import { execDotProduct, execRound } from "./vector-float";
import { execStringCompare } from "./vector-string";

/** 0C BLENDPS, 0D BLENDPD, 0E PBLENDW: elements of `size` bytes taken from the source where imm has a bit. */
function blend(size: usize, op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const reg = xmmReg(op);
  const imm = imm8(op);
  for (let i: usize = 0; i < 16 / size; i++) {
    if (!((imm >> <i32>i) & 1)) continue;
    const at = i * size;
    if (size == 8) store<u64>(reg + at, load<u64>(p + at));
    else if (size == 4) store<u32>(reg + at, load<u32>(p + at));
    else store<u16>(reg + at, load<u16>(p + at));
  }
  return 1;
}

/** PALIGNR: destination above source, shifted right by imm bytes. */
function alignRight(prefix: i32, op: usize, ea: u64): i32 {
  const imm = <usize>imm8(op);
  const size: usize = prefix == 0 ? 8 : 16;
  if (prefix == 0 && x87Pending()) return raiseMf();
  const p = prefix == 0 ? sourceMmx(op, ea) : source16(op, ea);
  if (!p) return 0;
  const reg = prefix == 0 ? mmx(opReg(op)) : xmmReg(op);
  v128.store(VECTOR_SCRATCH, v128.load(p));
  v128.store(VECTOR_SCRATCH + size, v128.load(reg));
  memory.fill(VECTOR_SCRATCH + 2 * size, 0, size);
  const from = VECTOR_SCRATCH + (imm > 2 * size ? 2 * size : imm);
  if (prefix == 0) {
    enterMmx();
    setMmx(opReg(op), load<u64>(from));
  } else v128.store(reg, v128.load(from));
  return 1;
}

/** 14 PEXTRB, 15 PEXTRW, 16 PEXTRD/PEXTRQ, 17 EXTRACTPS. */
function extract(opcode: i32, op: usize, ea: u64): i32 {
  const imm = <usize>imm8(op);
  const reg = xmmReg(op);
  let value: u64;
  let size: i32;
  if (opcode == 0x14) {
    size = 1;
    value = load<u8>(reg + (imm & 15));
  } else if (opcode == 0x15) {
    size = 2;
    value = load<u16>(reg + ((imm & 7) << 1));
  } else if (opcode == 0x16 && rexW(op)) {
    size = 8;
    value = load<u64>(reg + ((imm & 1) << 3));
  } else {
    size = 4;
    value = load<u32>(reg + ((imm & 3) << 2));
  }
  if (isMemory(op)) return storeSized(ea, value, size);
  store<u64>(gpr(opRm(op)), value);
  return 1;
}

/** 20 PINSRB, 22 PINSRD/PINSRQ. */
function insert(opcode: i32, op: usize, ea: u64): i32 {
  const imm = <usize>imm8(op);
  const size = opcode == 0x20 ? 1 : rexW(op) ? 8 : 4;
  const p = isMemory(op) ? readable(ea, size) : gpr(opRm(op));
  if (!p) return 0;
  const reg = xmmReg(op);
  if (size == 1) store<u8>(reg + (imm & 15), load<u8>(p));
  else if (size == 8) store<u64>(reg + ((imm & 1) << 3), load<u64>(p));
  else store<u32>(reg + ((imm & 3) << 2), load<u32>(p));
  return 1;
}

/** 21 INSERTPS: one element in, some elements zeroed. */
function insertSingle(op: usize, ea: u64): i32 {
  const imm = imm8(op);
  let element: u32;
  if (isMemory(op)) {
    const p = readable(ea, 4);
    if (!p) return 0;
    element = load<u32>(p);
  } else element = load<u32>(xmmRm(op) + (<usize>(imm >> 6) << 2));
  const reg = xmmReg(op);
  store<u32>(reg + (<usize>((imm >> 4) & 3) << 2), element);
  for (let i = 0; i < 4; i++) if ((imm >> i) & 1) store<u32>(reg + (<usize>i << 2), 0);
  return 1;
}

/** 42 MPSADBW: eight sums of four absolute differences against one block of the source. */
function multipleSums(op: usize, ea: u64): i32 {
  const p = source16(op, ea);
  if (!p) return 0;
  const imm = <usize>imm8(op);
  const reg = xmmReg(op);
  const block = p + ((imm & 3) << 2);
  const window = reg + (imm & 4);
  for (let i: usize = 0; i < 8; i++) {
    let sum = 0;
    for (let k: usize = 0; k < 4; k++) {
      const difference = <i32>load<u8>(window + i + k) - <i32>load<u8>(block + k);
      sum += difference < 0 ? -difference : difference;
    }
    store<u16>(VECTOR_SCRATCH + (i << 1), <u16>sum);
  }
  v128.store(reg, v128.load(VECTOR_SCRATCH));
  return 1;
}

/** Instructions of map 0F3A; see `execVector`. */
export function exec0F3A(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  switch (opcode) {
    case 0x08: case 0x09: case 0x0a: case 0x0b: return execRound(opcode, op, ea);
    case 0x0c: return blend(4, op, ea);
    case 0x0d: return blend(8, op, ea);
    case 0x0e: return blend(2, op, ea);
    case 0x0f: return alignRight(prefix, op, ea);
    case 0x14: case 0x15: case 0x16: case 0x17: return extract(opcode, op, ea);
    case 0x20: case 0x22: return insert(opcode, op, ea);
    case 0x21: return insertSingle(op, ea);
    case 0x40: case 0x41: return execDotProduct(opcode, op, ea);
    case 0x42: return multipleSums(op, ea);
    default: return execStringCompare(opcode, op, ea);
  }
}
