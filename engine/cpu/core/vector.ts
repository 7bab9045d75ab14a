// Entry of the vector unit: which file executes a function id. See vector-decode.ts for what the id is.
import { FTW } from "./layout";
import { execApproximate, execArith, execCompare, execCompareFlags, execHorizontal } from "./vector-float";
import { execConvert } from "./vector-convert";
import { execInteger, execIntegerMmx } from "./vector-int";
import { execMove } from "./vector-move";
import { execShuffle } from "./vector-shuffle";
import { execStateImage } from "./fxsave";
import { enterMmx, raiseMf, x87Pending } from "./vector-operand";
import { exec0F38 } from "./vector-0f38";
import { exec0F3A } from "./vector-0f3a";

/** EMMS: all tags empty, TOP = 0 (SDM vol. 3A table 12-2). */
function emms(): i32 {
  if (x87Pending()) return raiseMf();
  enterMmx();
  store<u8>(FTW, 0);
  return 1;
}

function exec0F(opcode: i32, prefix: i32, op: usize, ea: u64): i32 {
  switch (opcode) {
    case 0x10: case 0x11: case 0x12: case 0x13: case 0x16: case 0x17: case 0x28: case 0x29: case 0x2b: case 0x50:
    case 0x6e: case 0x6f: case 0x7e: case 0x7f: case 0xc3: case 0xd6: case 0xd7: case 0xe7: case 0xf0: case 0xf7:
      return execMove(opcode, prefix, op, ea);
    case 0x14: case 0x15: case 0x70: case 0x71: case 0x72: case 0x73: case 0xc4: case 0xc5: case 0xc6:
      return execShuffle(opcode, prefix, op, ea);
    case 0x2a: case 0x2c: case 0x2d: case 0x5a: case 0x5b: case 0xe6:
      return execConvert(opcode, prefix, op, ea);
    case 0x2e: case 0x2f:
      return execCompareFlags(opcode, prefix, op, ea);
    case 0x51: case 0x58: case 0x59: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
      return execArith(opcode, prefix, op, ea);
    case 0x52: case 0x53:
      return execApproximate(opcode, prefix, op, ea);
    case 0x54: case 0x55: case 0x56: case 0x57:
      return execInteger(opcode, op, ea); // bitwise: the same for every element type
    case 0x77:
      return emms();
    case 0x7c: case 0x7d: case 0xd0:
      return execHorizontal(opcode, prefix, op, ea);
    case 0xae:
      return execStateImage(op, ea);
    case 0xc2:
      return execCompare(prefix, op, ea);
    default:
      return prefix == 0 ? execIntegerMmx(opcode, op, ea) : execInteger(opcode, op, ea);
  }
}

/**
 * Executes the vector instruction `fn` (the low 16 bits of what `decodeVector` returned). `op` points to the micro-op:
 * u8 at 2 ModRM.reg with REX.R, 3 ModRM.rm with REX.B, 4 memory form, 5 imm8, 6 REX.W. `ea` is the linear address of a
 * memory form (of MASKMOV*: DS:rDI). Returns 1, or 0 when an exception is pending; then no register has changed.
 */
export function execVector(fn: i32, op: usize, ea: u64): i32 {
  const opcode = fn & 0xff;
  const prefix = (fn >> 8) & 3;
  const map = fn >> 10;
  if (map == 1) return exec0F(opcode, prefix, op, ea);
  if (map == 2) return exec0F38(opcode, prefix, op, ea);
  return exec0F3A(opcode, prefix, op, ea);
}
