// Opcodes behind 0F (SDM vol. 2D, table A-3), 0F 38 and 0F 3A. Vector instructions are looked up in vector-decode.ts.

import { jcc } from "./decode-branch";
import { fwait, gen, genSlots, invalid, rare, rareSimple, refuseLock, rmToSlot } from "./decode-common";
import {
  SEG_NONE, SEG_PRIVILEGED_READ, SEG_READ, SEG_WRITE, TMP1, ZERO, addIndex, default64, emit, emitAlu, emitMem, emitSecond, isMem, lock, mode, modrm, next16, next32,
  next8, overflow, peekGroup8, prefix66, prepareMem, readModrm, readModrmRegister, reg, repeat, rex, rm, setMaskedStore, size, slot,
  slot8,
} from "./decode-state";
import { INTERCEPTS, MODE_64 } from "./layout";
import {
  FEATURE_CX16, FEATURE_FSGSBASE, FEATURE_MOVBE, FEATURE_POPCNT, FEATURE_RDRAND, FEATURE_RDSEED, FEATURE_RDTSCP, FEATURE_SSE3,
  FEATURE_SSE41, FEATURE_SSE42, FEATURE_SSSE3, offers,
} from "./cpuid";
import { Gen, Op, Rare } from "./ops";
import { INTERCEPT_VMCALL } from "./system";
import {
  VECTOR_CLASS_MMX, VECTOR_CLASS_SHIFT, VECTOR_FEATURE_SHIFT, VECTOR_FEATURE_SSE3, VECTOR_FEATURE_SSE4_1, VECTOR_FEATURE_SSE4_2,
  VECTOR_FEATURE_SSSE3, VECTOR_HAS_IMM8, decodeVector, vectorBytes,
} from "./vector-decode";

function mandatoryPrefix(): i32 {
  return repeat == 3 ? 2 : repeat == 2 ? 3 : prefix66 ? 1 : 0;
}

/** The CPUID feature a vector instruction needs, as numbered by decodeVector. */
function vectorOffered(feature: i32): bool {
  switch (feature) {
    case 0: return true;
    case VECTOR_FEATURE_SSE3: return offers(FEATURE_SSE3);
    case VECTOR_FEATURE_SSSE3: return offers(FEATURE_SSSE3);
    case VECTOR_FEATURE_SSE4_1: return offers(FEATURE_SSE41);
    case VECTOR_FEATURE_SSE4_2: return offers(FEATURE_SSE42);
    default: return false;
  }
}

function vector(map: i32, op: i32): void {
  readModrm();
  if (overflow) return;
  const id = decodeVector(map, mandatoryPrefix(), op, modrm, rex & 8 ? 1 : 0);
  if (id == 0 || lock || !vectorOffered((id >> VECTOR_FEATURE_SHIFT) & 15)) return invalid();
  const imm = id & VECTOR_HAS_IMM8 ? <i32>next8() : 0;
  if (map == 1 && op == 0xf7) setMaskedStore();
  if (isMem) {
    // MMX, and what writes an MMX register: a pending x87 exception comes before what the segment check finds.
    const toMmx = map == 1 && (op == 0x2c || op == 0x2d) && mandatoryPrefix() < 2;
    if (mode != MODE_64 && (toMmx || ((id >> VECTOR_CLASS_SHIFT) & 3) == VECTOR_CLASS_MMX)) fwait();
    prepareMem(vectorStores(map, op) ? SEG_WRITE : SEG_READ, vectorBytes(map, mandatoryPrefix(), op));
  }
  emit(Op.VEC, reg, rm, isMem ? 1 : 0, imm, (rex & 8 ? 1 : 0) | (((id >> VECTOR_CLASS_SHIFT) & 7) << 8), id & 0xffff, 0);
  emitSecond(0, 0);
}

/** Does the vector instruction with a memory operand write it? */
function vectorStores(map: i32, op: i32): bool {
  if (map == 2) return false;
  if (map == 3) return op >= 0x14 && op <= 0x17;
  switch (op) {
    case 0x11: case 0x13: case 0x17: case 0x29: case 0x2b: case 0x7f: case 0xc3: case 0xd6: case 0xe7: case 0xf7: return true;
    case 0x7e: return repeat != 3;
    default: return false;
  }
}

function group6(): void {
  readModrm();
  if (lock) return invalid();
  switch ((modrm >> 3) & 7) {
    case 0: return rare(Rare.SLDT, isMem ? 1 : size, 0, SEG_WRITE, 2);
    case 1: return rare(Rare.STR, isMem ? 1 : size, 0, SEG_WRITE, 2);
    case 2: return rare(Rare.LLDT, 1, 0, SEG_PRIVILEGED_READ, 2);
    case 3: return rare(Rare.LTR, 1, 0, SEG_PRIVILEGED_READ, 2);
    case 4: return rare(Rare.VERR, 1, 0, SEG_READ, 2);
    case 5: return rare(Rare.VERW, 1, 0, SEG_READ, 2);
    default: return invalid();
  }
}

function group7(): void {
  readModrm();
  if (lock) return invalid();
  const kind = (modrm >> 3) & 7;
  if (!isMem) {
    switch (modrm) {
      // VMCALL and VMMCALL: CPUID offers neither VMX nor SVM, but a hypervisor's guest calls it by them.
      case 0xc1: case 0xd9: if (load<u32>(INTERCEPTS) & INTERCEPT_VMCALL) rareSimple(Rare.VMCALL, 0, 0);
      else invalid();
      return;
      case 0xf8: if (mode == MODE_64) rareSimple(Rare.SWAPGS, 0, 0);
      else invalid();
      return;
      case 0xf9: if (offers(FEATURE_RDTSCP)) rareSimple(Rare.RDTSCP, 0, 0);
      else invalid();
      return;
    }
    if (kind == 4) return rare(Rare.SMSW, size, 0, SEG_WRITE, 2);
    if (kind == 6) return rare(Rare.LMSW, 1, 0, SEG_READ, 2);
    return invalid();
  }
  const log2 = mode == MODE_64 ? 3 : size;
  const table = mode == MODE_64 ? 10 : 6;
  switch (kind) {
    case 0: return rare(Rare.SGDT, log2, 0, SEG_WRITE, table);
    case 1: return rare(Rare.SIDT, log2, 0, SEG_WRITE, table);
    case 2: return rare(Rare.LGDT, log2, 0, SEG_PRIVILEGED_READ, table);
    case 3: return rare(Rare.LIDT, log2, 0, SEG_PRIVILEGED_READ, table);
    case 4: return rare(Rare.SMSW, 1, 0, SEG_WRITE, 2);
    case 6: return rare(Rare.LMSW, 1, 0, SEG_PRIVILEGED_READ, 2);
    case 7: return rare(Rare.INVLPG, 0, 0, SEG_NONE, 1);
    default: return invalid();
  }
}

/** 0F AE: FXSAVE and friends are the vector unit's; fences and CLFLUSH do nothing here. */
function group15(): void {
  readModrm();
  const kind = (modrm >> 3) & 7;
  if (overflow) return;
  if (lock) return invalid();
  if (isMem) {
    if (kind < 4) {
      if (repeat || prefix66) return invalid();
      const id = decodeVector(1, 0, 0xae, modrm, rex & 8 ? 1 : 0);
      if (id == 0) return invalid();
      prepareMem(kind == 1 || kind == 2 ? SEG_READ : SEG_WRITE, kind < 2 ? 512 : 4);
      emit(Op.VEC, reg, rm, 1, 0, (rex & 8 ? 1 : 0) | (((id >> VECTOR_CLASS_SHIFT) & 3) << 8), id & 0xffff, 0);
      return emitSecond(0, 0);
    }
    if (kind == 7 && !repeat && !prefix66) return gen(Gen.CLFLUSH, 0, 0, SEG_READ);
    return invalid();
  }
  if (repeat == 3 && kind < 4) {
    if (mode != MODE_64 || !offers(FEATURE_FSGSBASE)) return invalid();
    return rare(Rare.FSGSBASE, rex & 8 ? 3 : 2, <i32>kind, SEG_READ, 0);
  }
  if (kind >= 5 && !repeat && !prefix66) {
    emit(Op.NOP, 0, 0, 0, 0, 0, 0, 0);
    return;
  }
  invalid();
}

function bitTest(kind: i32, isImmediate: bool): void {
  readModrm();
  const imm = isImmediate ? <i32>next8() : 0;
  if (lock && (!isMem || kind == 0)) return invalid();
  if (!isMem && kind == 0 && size >= 2) {
    if (isImmediate) emit(size == 2 ? Op.BT32_RI : Op.BT64_RI, rm * 8, 0, 0, 0, 0, 0, imm);
    else emit(size == 2 ? Op.BT32_RR : Op.BT64_RR, rm * 8, reg * 8, 0, 0, 0, 0, 0);
    return;
  }
  if (isMem && !isImmediate) {
    genSlots(Gen.BIT_OFFSET, TMP1, reg * 8, size, 0);
    addIndex(TMP1);
  }
  gen((isImmediate ? Gen.BT_I : Gen.BT_R) + kind, size, imm, kind == 0 ? SEG_READ : SEG_WRITE);
}

function extend(op: i32): void {
  readModrm();
  if (refuseLock()) return;
  const from = op & 1;
  const signed = op >= 0xbe;
  if (size == 1) {
    if (isMem) prepareMem(SEG_READ, 1 << from);
    const fn = signed ? (from ? Gen.MOVSX16 : Gen.MOVSX8) : from ? Gen.MOVZX16 : Gen.MOVZX8;
    emit(Op.GEN, reg * 8, from ? rm * 8 : slot8(rm), isMem ? 1 : 0, 1, fn, 0, 0);
    return emitSecond(0, 0);
  }
  if (isMem) prepareMem(SEG_READ, 1 << from);
  const a = reg * 8;
  const b = from ? rm * 8 : slot8(rm);
  if (!signed) {
    if (isMem) emitMem(from ? Op.LDZX16 : Op.LDZX8, a, 0);
    else emit(from ? Op.MOVZX16_RR : Op.MOVZX8_RR, a, b, 0, 0, 0, 0, 0);
  } else {
    const wide = size == 3 ? 1 : 0;
    if (isMem) emitMem((from ? Op.LDSX16_32 : Op.LDSX8_32) + wide, a, 0);
    else emit((from ? Op.MOVSX16_32_RR : Op.MOVSX8_32_RR) + wide, a, b, 0, 0, 0, 0, 0);
  }
}

function cmov(cc: i32): void {
  readModrm();
  if (refuseLock()) return;
  if (size == 1) return gen(Gen.CMOV, 1, cc, SEG_READ);
  const s = rmToSlot(size);
  emit(size == 2 ? Op.CMOV32 : Op.CMOV64, reg * 8, s, 0, 0, 0, 0, cc);
}

function setcc(cc: i32): void {
  readModrm();
  if (refuseLock()) return;
  if (!isMem) emit(Op.SETCC, slot8(rm), 0, 0, 0, 0, 0, cc);
  else {
    prepareMem(SEG_WRITE, 1);
    emit(Op.SETCC, TMP1, 0, 0, 0, 0, 0, cc);
    emitMem(Op.ST8, TMP1, 0);
  }
}

function group9(): void {
  readModrm();
  const kind = (modrm >> 3) & 7;
  if (isMem) {
    if (kind != 1) return invalid();
    if (size == 3) {
      if (!offers(FEATURE_CX16)) return invalid();
      if (isMem) prepareMem(SEG_WRITE, 16);
      emit(Op.GEN, 0, 0, 1, 3, Gen.CMPXCHG16B, 0, 0);
      return emitSecond(0, 0);
    }
    prepareMem(SEG_WRITE, 8);
    emit(Op.GEN, 0, 0, 1, 3, Gen.CMPXCHG8B, 0, 0);
    return emitSecond(0, 0);
  }
  if (lock || repeat) return invalid();
  if (kind == 6 && offers(FEATURE_RDRAND)) return genSlots(Gen.RDRAND, 0, rm * 8, size, 0);
  if (kind == 7 && offers(FEATURE_RDSEED)) return genSlots(Gen.RDSEED, 0, rm * 8, size, 0);
  invalid();
}

function threeByte38(): void {
  const op = <i32>next8();
  if (overflow) return;
  if (op == 0xf0 || op == 0xf1) {
    if (repeat == 2) {
      if (!offers(FEATURE_SSE42)) return invalid();
      readModrm();
      if (refuseLock()) return;
      const log2 = op == 0xf0 ? 0 : size;
      if (isMem) prepareMem(SEG_READ, 1 << log2);
      emit(Op.GEN, reg * 8, slot(rm, log2), isMem ? 1 : 0, log2, op == 0xf0 ? Gen.CRC32_8 : Gen.CRC32, 0, 0);
      return emitSecond(0, 0);
    }
    if (repeat == 3 || !offers(FEATURE_MOVBE)) return invalid();
    readModrm();
    if (!isMem || lock) return invalid();
    return gen(op == 0xf0 ? Gen.MOVBE_LOAD : Gen.MOVBE_STORE, size, 0, op == 0xf0 ? SEG_READ : SEG_WRITE);
  }
  vector(2, op);
}

export function decode0f(): void {
  const op = <i32>next8();
  if (overflow) return;
  const long = mode == MODE_64;
  switch (op) {
    case 0x00: return group6();
    case 0x01: return group7();
    case 0x02: case 0x03: {
      readModrm();
      if (refuseLock()) return;
      return rare(op == 2 ? Rare.LAR : Rare.LSL, size, 0, SEG_READ, 2);
    }
    case 0x05: if (!refuseLock()) rareSimple(Rare.SYSCALL, size, 0);
      return;
    case 0x06: if (!refuseLock()) rareSimple(Rare.CLTS, 0, 0);
      return;
    case 0x07: if (!refuseLock()) rareSimple(Rare.SYSRET, size, 0);
      return;
    case 0x08: case 0x09: if (!refuseLock()) rareSimple(Rare.WBINVD, 0, 0);
      return;
    case 0x0d: {
      readModrm(); // PREFETCHW and PREFETCH
      if (!isMem || lock) return invalid();
      emit(Op.NOP, 0, 0, 0, 0, 0, 0, 0);
      return;
    }
    case 0x18: case 0x19: case 0x1a: case 0x1b: case 0x1c: case 0x1d: case 0x1e: case 0x1f: {
      readModrm(); // hints
      if (refuseLock()) return;
      emit(Op.NOP, 0, 0, 0, 0, 0, 0, 0);
      return;
    }
    case 0x20: case 0x21: case 0x22: case 0x23: {
      // MOD is ignored: always the register form (SDM vol. 2B, MOV - Move to/from Control Registers).
      readModrmRegister();
      if (lock || (op & 1 ? reg > 7 : reg == 1 || (reg > 4 && reg != 8))) return invalid();
      const fn = op == 0x20 ? Rare.MOV_FROM_CR : op == 0x21 ? Rare.MOV_FROM_DR : op == 0x22 ? Rare.MOV_TO_CR : Rare.MOV_TO_DR;
      return rare(fn, long ? 3 : 2, reg, SEG_READ, 0);
    }
    case 0x30: if (!refuseLock()) rareSimple(Rare.WRMSR, 0, 0);
      return;
    case 0x31: if (!refuseLock()) rareSimple(Rare.RDTSC, 0, 0);
      return;
    case 0x32: if (!refuseLock()) rareSimple(Rare.RDMSR, 0, 0);
      return;
    case 0x33: if (!refuseLock()) rareSimple(Rare.RDPMC, 0, 0);
      return;
    case 0x34: if (!refuseLock()) rareSimple(Rare.SYSENTER, size, 0);
      return;
    case 0x35: if (!refuseLock()) rareSimple(Rare.SYSEXIT, size, 0);
      return;
    case 0x38: return threeByte38();
    case 0x3a: {
      const third = <i32>next8();
      if (overflow) return;
      return vector(3, third);
    }
    case 0x40: case 0x41: case 0x42: case 0x43: case 0x44: case 0x45: case 0x46: case 0x47:
    case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f:
      return cmov(op & 15);
    case 0x80: case 0x81: case 0x82: case 0x83: case 0x84: case 0x85: case 0x86: case 0x87:
    case 0x88: case 0x89: case 0x8a: case 0x8b: case 0x8c: case 0x8d: case 0x8e: case 0x8f:
      return jcc(op & 15, size == 1 && !long ? <i32>(<i16>next16()) : next32());
    case 0x90: case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
    case 0x98: case 0x99: case 0x9a: case 0x9b: case 0x9c: case 0x9d: case 0x9e: case 0x9f:
      return setcc(op & 15);
    case 0xa0: case 0xa8:
      if (refuseLock()) return;
      default64();
      return rareSimple(Rare.PUSH_SEG, size, op == 0xa0 ? 4 : 5);
    case 0xa1: case 0xa9:
      if (refuseLock()) return;
      default64();
      return rareSimple(Rare.POP_SEG, size, op == 0xa1 ? 4 : 5);
    case 0xa2: if (!refuseLock()) rareSimple(Rare.CPUID, 0, 0);
      return;
    case 0xa3: return bitTest(0, false);
    case 0xab: return bitTest(1, false);
    case 0xb3: return bitTest(2, false);
    case 0xbb: return bitTest(3, false);
    case 0xba: {
      const kind = peekGroup8();
      if (kind < 4) {
        readModrm();
        return invalid();
      }
      return bitTest(kind - 4, true);
    }
    case 0xa4: case 0xa5: case 0xac: case 0xad: {
      readModrm();
      const imm = op & 1 ? 0 : <i32>next8();
      if (refuseLock()) return;
      const fn = op < 0xa8 ? (op & 1 ? Gen.SHLD_CL : Gen.SHLD_I) : op & 1 ? Gen.SHRD_CL : Gen.SHRD_I;
      return gen(fn, size, imm, SEG_WRITE);
    }
    case 0xae: return group15();
    case 0xaf: {
      readModrm();
      if (refuseLock()) return;
      if (size == 1) return gen(Gen.IMUL2, 1, 0, SEG_READ);
      const s = rmToSlot(size);
      emitAlu(size == 2 ? Op.IMUL32_RR : Op.IMUL64_RR, reg * 8, s, 0);
      return;
    }
    case 0xb0: case 0xb1: {
      readModrm();
      if (lock && !isMem) return invalid();
      return gen(Gen.CMPXCHG, op & 1 ? size : 0, 0, SEG_WRITE);
    }
    case 0xb2: case 0xb4: case 0xb5: {
      readModrm();
      if (!isMem || lock) return invalid();
      return rare(Rare.LOAD_FAR, size, op == 0xb2 ? 2 : op - 0xb0, SEG_READ, (1 << size) + 2);
    }
    case 0xb6: case 0xb7: case 0xbe: case 0xbf: return extend(op);
    case 0xb8: {
      if (repeat != 3 || !offers(FEATURE_POPCNT)) return invalid();
      readModrm();
      if (refuseLock()) return;
      return gen(Gen.POPCNT, size, 0, SEG_READ);
    }
    case 0xb9: {
      readModrm(); // UD1
      return invalid();
    }
    case 0xbc: case 0xbd: {
      readModrm();
      if (refuseLock()) return;
      return gen(op == 0xbc ? Gen.BSF : Gen.BSR, size, 0, SEG_READ);
    }
    case 0xc0: case 0xc1: {
      readModrm();
      if (lock && !isMem) return invalid();
      return gen(Gen.XADD, op & 1 ? size : 0, 0, SEG_WRITE);
    }
    case 0xc7: return group9();
    case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcc: case 0xcd: case 0xce: case 0xcf: {
      const r = ((op & 7) | (rex & 1 ? 8 : 0)) * 8;
      if (refuseLock()) return;
      if (size == 1) return genSlots(Gen.BSWAP16, 0, r, 1, 0);
      emit(size == 2 ? Op.BSWAP32 : Op.BSWAP64, r, 0, 0, 0, 0, 0, 0);
      return;
    }
    case 0x0b: return invalid(); // UD2
    case 0x77: case 0x2b: if (op == 0x77) emms();
      else vector(1, op);
      return;
    default:
      if (
        (op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) || (op >= 0x50 && op <= 0x7f) ||
        (op >= 0xc2 && op <= 0xc6) || op >= 0xd0
      ) {
        if (op == 0xff) {
          readModrm(); // UD0
          return invalid();
        }
        return vector(1, op);
      }
      return invalid();
  }
}

/** EMMS has no ModRM byte. */
function emms(): void {
  const id = decodeVector(1, mandatoryPrefix(), 0x77, 0xc0, 0);
  if (id == 0 || lock) return invalid();
  emit(Op.VEC, 0, 0, 0, 0, ((id >> VECTOR_CLASS_SHIFT) & 3) << 8, id & 0xffff, 0);
  emit(0, 0, ZERO, ZERO, 0, 0, 0, 0);
}
