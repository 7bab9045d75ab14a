// What the decoder must know about an x87 escape D8-DF: whether it exists, how large its memory operand is and whether it
// is written, and whether the instruction waits for pending exceptions. SDM vol. 2 appendix A, tables.

/** Does this ModRM byte name an instruction? */
export function x87Defined(opcode: i32, modrm: i32): bool {
  const group = (modrm >> 3) & 7;
  if (modrm < 0xc0) {
    switch (opcode) {
      case 0xd9: return group != 1;
      case 0xdb: return group != 4 && group != 6;
      case 0xdd: return group != 5;
      default: return true;
    }
  }
  switch (opcode) {
    case 0xd9:
      if (group == 2) return modrm == 0xd0;
      return group < 4 || !(modrm == 0xe2 || modrm == 0xe3 || modrm == 0xe6 || modrm == 0xe7 || modrm == 0xef);
    case 0xda: return group < 4 || modrm == 0xe9;
    case 0xdb: return group != 7 && (group != 4 || modrm <= 0xe4);
    case 0xdd: return group < 6;
    case 0xde: return group != 3 || modrm == 0xd9;
    case 0xdf: return group != 7 && (group != 4 || modrm == 0xe0);
    default: return true;
  }
}

/** Bytes of the memory operand; `small`: 16-bit operand size, for environments and states. */
export function x87Bytes(opcode: i32, group: i32, small: bool): i32 {
  switch (opcode) {
    case 0xd8: case 0xda: return 4;
    case 0xdc: return 8;
    case 0xde: return 2;
    case 0xd9:
      if (group < 4) return 4;
      return group == 5 || group == 7 ? 2 : small ? 14 : 28;
    case 0xdb: return group == 5 || group == 7 ? 10 : 4;
    case 0xdd:
      if (group < 4) return 8;
      return group == 7 ? 2 : small ? 94 : 108;
    default: // DF
      if (group < 4) return 2;
      return group == 4 || group == 6 ? 10 : 8;
  }
}

/** Does the memory form wait? The others are FNSTENV, FNSTCW, FNSAVE and FNSTSW. */
export function x87Waits(opcode: i32, group: i32): bool {
  return !((opcode == 0xd9 || opcode == 0xdd) && group >= 6);
}

/** Does the x87 instruction with a memory operand write it? (SDM vol. 2, table A-7 on) */
export function x87Stores(op: i32, digit: u32): bool {
  switch (op) {
    case 0xd9: return digit == 2 || digit == 3 || digit >= 6;
    case 0xdb: return (digit >= 1 && digit <= 3) || digit == 7;
    case 0xdd: return (digit >= 1 && digit <= 3) || digit >= 6;
    case 0xdf: return (digit >= 1 && digit <= 3) || digit >= 6;
    default: return false;
  }
}
