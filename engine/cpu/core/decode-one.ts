// One-byte opcodes (SDM vol. 2D, table A-2): the table. What an entry does is in decode-arithmetic.ts, decode-move.ts,
// decode-stack.ts, decode-branch.ts and decode-string.ts where it takes more than a few lines.

import { decode0f } from "./decode-0f";
import {
  aluAccumulator, aluImmediate, aluRegRm, aluRmReg, group3, incDec, shiftByCl, shiftImmediate, test, testImmediate,
} from "./decode-arithmetic";
import { branchDisplacement, branchTarget, call, farImmediate, group5, jcc, jump } from "./decode-branch";
import { fwait, gen, genSlots, immediate, invalid, rare, rareSimple, refuseLock, rmToSlot } from "./decode-common";
import { absolute, lea, movRegRm, movRmImmediate, movRmReg, xlat } from "./decode-move";
import { pop, popMemory, push, pushImmediate } from "./decode-stack";
import {
  SEG_READ, SEG_WRITE, STACK_SEGMENT, ZERO, addressSize, count, default64, emit, emit64, emitMem, emitSecond, isMem, lock,
  memSegment, mode, modrm, next16, next32, next64, next8, nextRip, nextS8, overflow, prepareMem, readModrm, reg, rex, rm,
  segment, setRmRegister, size, slot, slot8, terminate,
} from "./decode-state";
import { STRING_CMPS, STRING_LODS, STRING_MOVS, STRING_SCAS, STRING_STOS, rareString, stringOp } from "./decode-string";
import { MODE_64 } from "./layout";
import { Gen, Op, Rare } from "./ops";
import { x87Bytes, x87Defined, x87Stores, x87Waits } from "./x87-decode";

export function decodeOne(): void {
  const op = <i32>next8();
  if (overflow) return;
  const log2 = op & 1 ? size : 0;
  const long = mode == MODE_64;
  if (op < 0x40) {
    const k = op >> 3;
    switch (op & 7) {
      case 0: case 1: return aluRmReg(k, log2);
      case 2: case 3: return aluRegRm(k, log2);
      case 4: case 5: return aluAccumulator(k, log2);
      default:
        if (op == 0x0f) return decode0f();
        if (long || lock) return invalid();
        if (op == 0x27) return genSlots(Gen.DAA, 0, 0, 0, 0);
        if (op == 0x2f) return genSlots(Gen.DAS, 0, 0, 0, 0);
        if (op == 0x37) return genSlots(Gen.AAA, 0, 0, 0, 0);
        if (op == 0x3f) return genSlots(Gen.AAS, 0, 0, 0, 0);
        return rareSimple(op & 1 ? Rare.POP_SEG : Rare.PUSH_SEG, size, op >> 3);
    }
  }
  switch (op) {
    case 0x40: case 0x41: case 0x42: case 0x43: case 0x44: case 0x45: case 0x46: case 0x47:
    case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f:
      if (refuseLock()) return;
      setRmRegister(op & 7); // INC and DEC outside 64-bit mode; REX inside, never seen here
      return incDec((op >> 3) & 1, size);
    case 0x50: case 0x51: case 0x52: case 0x53: case 0x54: case 0x55: case 0x56: case 0x57:
      return push((op & 7) | (rex & 1 ? 8 : 0));
    case 0x58: case 0x59: case 0x5a: case 0x5b: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
      return pop((op & 7) | (rex & 1 ? 8 : 0));
    case 0x60: if (long || lock) invalid();
      else genSlots(Gen.PUSHA, 0, 0, size, 0);
      return;
    case 0x61: if (long || lock) invalid();
      else genSlots(Gen.POPA, 0, 0, size, 0);
      return;
    case 0x62: {
      if (long || lock) return invalid();
      readModrm();
      if (!isMem) return invalid();
      // Two bounds.
      prepareMem(SEG_READ, 2 << size);
      emit(Op.GEN, slot(reg, size), 0, 1, size, Gen.BOUND, 0, 0);
      return emitSecond(0, 0);
    }
    case 0x63: {
      readModrm();
      if (refuseLock()) return;
      if (!long) return gen(Gen.ARPL, 1, segment >= 0 ? segment : memSegment, SEG_READ);
      if (size == 3) {
        if (!isMem) emit(Op.MOVSX32_64_RR, reg * 8, rm * 8, 0, 0, 0, 0, 0);
        else {
          prepareMem(SEG_READ, 4);
          emitMem(Op.LDSX32_64, reg * 8, 0);
        }
      } else {
        const s = rmToSlot(size);
        emit(size == 1 ? Op.MOV16_RR : Op.MOV32_RR, reg * 8, s, 0, 0, 0, 0, 0);
      }
      return;
    }
    case 0x68: {
      default64();
      return pushImmediate(size == 1 ? <i32>(<i16>next16()) : next32());
    }
    case 0x6a: {
      default64();
      return pushImmediate(nextS8());
    }
    case 0x69: case 0x6b: {
      readModrm();
      const imm = op == 0x69 ? immediate(size) : nextS8();
      if (refuseLock()) return;
      if (size == 1) return gen(Gen.IMUL3, 1, imm, SEG_READ);
      const s = rmToSlot(size);
      emit(size == 2 ? Op.IMUL32_RRI : Op.IMUL64_RRI, reg * 8, s, 0, 0, 0, 0, imm);
      return;
    }
    case 0x6c: case 0x6d: if (!refuseLock()) rareString(Rare.INS, log2);
      return;
    case 0x6e: case 0x6f: if (!refuseLock()) rareString(Rare.OUTS, log2);
      return;
    case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77:
    case 0x78: case 0x79: case 0x7a: case 0x7b: case 0x7c: case 0x7d: case 0x7e: case 0x7f:
      return jcc(op & 15, nextS8());
    case 0x82:
      if (long) return invalid();
    // fall through
    case 0x80: case 0x81: case 0x83: {
      readModrm();
      const l = op == 0x80 || op == 0x82 ? 0 : size;
      const imm = op == 0x81 ? immediate(size) : nextS8();
      return aluImmediate(<i32>(modrm >> 3) & 7, l, imm);
    }
    case 0x84: case 0x85: return test(log2);
    case 0x86: case 0x87: {
      readModrm();
      if (lock && !isMem) return invalid();
      return gen(Gen.XCHG, log2, 0, SEG_WRITE);
    }
    case 0x88: case 0x89: return movRmReg(log2);
    case 0x8a: case 0x8b: return movRegRm(log2);
    case 0x8c: {
      readModrm();
      if (lock || (modrm & 0x38) > 0x28) return invalid();
      return gen(Gen.MOV_FROM_SEG, isMem ? 1 : size, <i32>(modrm >> 3) & 7, SEG_WRITE);
    }
    case 0x8d: return lea();
    case 0x8e: {
      readModrm();
      const s = (modrm >> 3) & 7;
      if (lock || s == 1 || s > 5) return invalid();
      return rare(Rare.MOV_TO_SEG, 1, <i32>s, SEG_READ, 2);
    }
    case 0x8f: {
      readModrm();
      if (lock || (modrm & 0x38) != 0) return invalid();
      default64();
      if (!isMem) {
        return pop(rm);
      }
      return popMemory();
    }
    case 0x90:
      if (refuseLock()) return;
      if (!(rex & 1)) {
        emit(Op.NOP, 0, 0, 0, 0, 0, 0, 0); // and PAUSE
        return;
      }
    // fall through
    case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
      if (refuseLock()) return;
      return genSlots(Gen.XCHG, 0, ((op & 7) | (rex & 1 ? 8 : 0)) * 8, size, 0);
    case 0x98:
      if (refuseLock()) return;
      if (size == 3) emit(Op.CDQE, 0, 0, 0, 0, 0, 0, 0);
      else if (size == 2) emit(Op.CWDE, 0, 0, 0, 0, 0, 0, 0);
      else genSlots(Gen.CBW, 0, 0, 1, 0);
      return;
    case 0x99:
      if (refuseLock()) return;
      if (size == 3) emit(Op.CQO, 0, 0, 0, 0, 0, 0, 0);
      else if (size == 2) emit(Op.CDQ, 0, 0, 0, 0, 0, 0, 0);
      else genSlots(Gen.CWD, 0, 0, 1, 0);
      return;
    case 0x9a: if (long) invalid();
      else farImmediate(Rare.CALL_FAR);
      return;
    case 0x9b:
      if (refuseLock()) return;
      return fwait();
    case 0x9c:
      default64();
      if (refuseLock()) return;
      return genSlots(Gen.PUSHF, 0, 0, size, 0);
    case 0x9d:
      default64();
      if (refuseLock()) return;
      return rareSimple(Rare.POPF, size, 0);
    case 0x9e: if (!refuseLock()) genSlots(Gen.SAHF, 0, 0, 0, 0);
      return;
    case 0x9f: if (!refuseLock()) genSlots(Gen.LAHF, 0, 0, 0, 0);
      return;
    case 0xa0: case 0xa1: case 0xa2: case 0xa3: return absolute(op, log2);
    case 0xa4: case 0xa5: return stringOp(STRING_MOVS, log2);
    case 0xa6: case 0xa7: return stringOp(STRING_CMPS, log2);
    case 0xa8: case 0xa9: {
      const imm = immediate(log2);
      if (refuseLock()) return;
      setRmRegister(0);
      return testImmediate(log2, imm);
    }
    case 0xaa: case 0xab: return stringOp(STRING_STOS, log2);
    case 0xac: case 0xad: return stringOp(STRING_LODS, log2);
    case 0xae: case 0xaf: return stringOp(STRING_SCAS, log2);
    case 0xb0: case 0xb1: case 0xb2: case 0xb3: case 0xb4: case 0xb5: case 0xb6: case 0xb7: {
      const r = slot8((op & 7) | (rex & 1 ? 8 : 0));
      const imm = nextS8();
      if (refuseLock()) return;
      emit(Op.MOV8_RI, r, 0, 0, 0, 0, 0, imm);
      return;
    }
    case 0xb8: case 0xb9: case 0xba: case 0xbb: case 0xbc: case 0xbd: case 0xbe: case 0xbf: {
      const r = ((op & 7) | (rex & 1 ? 8 : 0)) * 8;
      if (size == 3) {
        const imm = next64();
        if (refuseLock()) return;
        emit64(Op.MOV64_RI, r, 0, 0, 0, 0, imm);
      } else {
        const imm = immediate(size);
        if (refuseLock()) return;
        emit(size == 2 ? Op.MOV32_RI : Op.MOV16_RI, r, 0, 0, 0, 0, 0, imm);
      }
      return;
    }
    case 0xc0: case 0xc1: return shiftImmediate(log2, false);
    case 0xd0: case 0xd1: return shiftImmediate(log2, true);
    case 0xd2: case 0xd3: return shiftByCl(log2);
    case 0xc2: case 0xc3: {
      const release = op == 0xc2 ? <i32>next16() : 0;
      if (refuseLock()) return;
      if (!long) return rareSimple(Rare.RET_NEAR, size, release);
      emit(Op.RET, 0, 0, 0, STACK_SEGMENT, count(), 0, release);
      terminate();
      return;
    }
    case 0xc4: case 0xc5: {
      if (long) return invalid();
      readModrm();
      if (!isMem || lock) return invalid();
      return rare(Rare.LOAD_FAR, size, op == 0xc4 ? 0 : 3, SEG_READ, (1 << size) + 2);
    }
    case 0xc6: case 0xc7: return movRmImmediate(log2);
    case 0xc8: {
      const bytes = <i32>next16();
      const level = <i32>next8() & 31;
      default64();
      if (refuseLock()) return;
      return genSlots(Gen.ENTER, 0, 0, size, bytes | (level << 16));
    }
    case 0xc9:
      default64();
      if (refuseLock()) return;
      if (size == 3) emit(Op.LEAVE64, 0, 0, 0, STACK_SEGMENT, 0, 0, 0);
      else genSlots(Gen.LEAVE, 0, 0, size, 0);
      return;
    case 0xca: case 0xcb: {
      const release = op == 0xca ? <i32>next16() : 0;
      if (refuseLock()) return;
      return rareSimple(Rare.RET_FAR, size, release);
    }
    case 0xcc: if (!refuseLock()) rareSimple(Rare.INT3, 0, 3);
      return;
    case 0xcd: {
      const vector = <i32>next8();
      if (!refuseLock()) rareSimple(Rare.INT, 0, vector);
      return;
    }
    case 0xce: if (long || lock) invalid();
      else rareSimple(Rare.INTO, 0, 4);
      return;
    case 0xcf: if (!refuseLock()) rareSimple(Rare.IRET, size, 0);
      return;
    case 0xd4: case 0xd5: {
      if (long) return invalid();
      if (refuseLock()) return;
      const base = <i32>next8();
      return genSlots(op == 0xd4 ? Gen.AAM : Gen.AAD, 0, 0, 0, base);
    }
    case 0xd6: if (long) invalid();
      else if (!refuseLock()) genSlots(Gen.SALC, 0, 0, 0, 0);
      return;
    case 0xd7: if (!refuseLock()) xlat();
      return;
    case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf: {
      readModrm();
      if (refuseLock()) return;
      if (!x87Defined(op, modrm)) return invalid();
      const group = (modrm >> 3) & 7;
      if (isMem) {
        // A pending exception comes before what the segment check finds.
        if (mode != MODE_64 && x87Waits(op, group)) fwait();
        prepareMem(x87Stores(op, group) ? SEG_WRITE : SEG_READ, x87Bytes(op, group, size == 1));
      }
      emit(Op.X87, op, <i32>modrm, isMem ? 1 : 0, size == 1 ? 1 : 0, rex & 8 ? 1 : 0, 0, 0);
      emitSecond(0, 0);
      return;
    }
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: {
      const d = nextS8();
      if (refuseLock()) return;
      const target = branchTarget(d);
      emit64(Op.RARE, 0, 0, addressSize, size, count(), nextRip());
      // The displacement, not the target: the second op has 32 bits.
      emit(0, 0, ZERO, ZERO, 0, op == 0xe0 ? Rare.LOOPNE : op == 0xe1 ? Rare.LOOPE : op == 0xe2 ? Rare.LOOP : Rare.JCXZ, 0, d);
      terminate();
      return;
    }
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: {
      const port = <i32>next8();
      if (refuseLock()) return;
      return rareSimple(op < 0xe6 ? Rare.IN : Rare.OUT, op & 1 ? min(size, 2) : 0, port);
    }
    case 0xec: case 0xed: if (!refuseLock()) rareSimple(Rare.IN, op & 1 ? min(size, 2) : 0, -1);
      return;
    case 0xee: case 0xef: if (!refuseLock()) rareSimple(Rare.OUT, op & 1 ? min(size, 2) : 0, -1);
      return;
    case 0xe8: return call(branchDisplacement());
    case 0xe9: return jump(branchDisplacement());
    case 0xea: if (long) invalid();
      else farImmediate(Rare.JMP_FAR);
      return;
    case 0xeb: return jump(nextS8());
    case 0xf1: if (!refuseLock()) rareSimple(Rare.INT1, 0, 1);
      return;
    case 0xf4: if (!refuseLock()) rareSimple(Rare.HLT, 0, 0);
      return;
    case 0xf5: if (!refuseLock()) genSlots(Gen.CMC, 0, 0, 0, 0);
      return;
    case 0xf6: case 0xf7: return group3(log2);
    case 0xf8: if (!refuseLock()) genSlots(Gen.CLC, 0, 0, 0, 0);
      return;
    case 0xf9: if (!refuseLock()) genSlots(Gen.STC, 0, 0, 0, 0);
      return;
    case 0xfa: if (!refuseLock()) rareSimple(Rare.CLI, 0, 0);
      return;
    case 0xfb: if (!refuseLock()) rareSimple(Rare.STI, 0, 0);
      return;
    case 0xfc: if (!refuseLock()) genSlots(Gen.CLD, 0, 0, 0, 0);
      return;
    case 0xfd: if (!refuseLock()) genSlots(Gen.STD, 0, 0, 0, 0);
      return;
    case 0xfe: {
      readModrm();
      const kind = (modrm >> 3) & 7;
      if (kind > 1 || (lock && !isMem)) return invalid();
      return incDec(kind, 0);
    }
    case 0xff: return group5();
    default: return invalid();
  }
}
