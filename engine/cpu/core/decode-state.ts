// What the decoder knows while it decodes one instruction: the bytes, the prefixes, the ModRM operand; and how it emits.

import { setSide, sideIndex, sideRip } from "./blocks";
import { MODE, MODE_16, MODE_64, SLOT_CS, SLOT_DS, SLOT_ES, SLOT_FS, SLOT_GS, SLOT_SS, SLOT_TMP0, SLOT_TMP1, SLOT_ZERO } from "./layout";
import { Op, OP_BYTES } from "./ops";

export const ZERO: i32 = SLOT_ZERO * 8;
export const TMP0: i32 = SLOT_TMP0 * 8;
export const TMP1: i32 = SLOT_TMP1 * 8;
/** Marks a stack operand in s. */
export const STACK_SEGMENT: i32 = 0x80;

// --- bytes ---
let source: usize = 0;
let position: i32 = 0;
let available: i32 = 0;
/** The instruction wants more bytes than there are. */
export let overflow: bool = false;

export function beginBytes(at: usize, bytes: i32): void {
  source = at;
  position = 0;
  available = bytes;
  overflow = false;
}
export function length(): i32 {
  return position;
}
export function next8(): u32 {
  if (position >= available) {
    overflow = true;
    return 0;
  }
  return load<u8>(source + position++);
}
function peek8(): u32 {
  if (position >= available) {
    overflow = true;
    return 0;
  }
  return load<u8>(source + position);
}
export function back(): void {
  position--;
}
export function nextS8(): i32 {
  return <i32>(<i8>next8());
}
export function next16(): u32 {
  const lo = next8();
  return lo | (next8() << 8);
}
export function next32(): i32 {
  if (position + 4 <= available) {
    const v = load<i32>(source + position);
    position += 4;
    return v;
  }
  overflow = true;
  return 0;
}
export function next64(): u64 {
  if (position + 8 <= available) {
    const v = load<u64>(source + position);
    position += 8;
    return v;
  }
  overflow = true;
  return 0;
}

// --- prefixes ---
export let mode: u32 = 0;
export let rex: u32 = 0;
export let prefix66: bool = false;
let prefix67: bool = false;
/** 0, 2 = F2, 3 = F3: the last one given. */
export let repeat: u32 = 0;
export let lock: bool = false;
/** Segment override: 0 ES .. 5 GS, or -1. */
export let segment: i32 = -1;
/** log2 of the operand's bytes: 1, 2 or 3. */
export let size: i32 = 2;
/** log2 of the address's bytes. */
export let addressSize: i32 = 3;

/** Reads prefixes and the REX; what follows is the opcode. */
export function readPrefixes(): void {
  mode = load<u32>(MODE);
  rex = 0;
  prefix66 = false;
  prefix67 = false;
  repeat = 0;
  lock = false;
  segment = -1;
  for (;;) {
    const b = next8();
    if (overflow) return;
    if (b == 0x66) prefix66 = true;
    else if (b == 0x67) prefix67 = true;
    else if (b == 0xf2) repeat = 2;
    else if (b == 0xf3) repeat = 3;
    else if (b == 0xf0) lock = true;
    else if (b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26) {
      // ES, CS, SS and DS overrides do nothing in 64-bit mode (SDM vol. 2A 2.1.1), not even cancel FS.
      if (mode != MODE_64) segment = b == 0x26 ? 0 : b == 0x2e ? 1 : b == 0x36 ? 2 : 3;
    } else if (b == 0x64) segment = 4;
    else if (b == 0x65) segment = 5;
    else if ((b & 0xf0) == 0x40 && mode == MODE_64) {
      // A REX counts only right before the opcode.
      const following = peek8();
      if (isPrefix(following)) continue;
      rex = b;
      break;
    } else {
      back();
      break;
    }
  }
  if (mode == MODE_64) {
    size = rex & 8 ? 3 : prefix66 ? 1 : 2;
    addressSize = prefix67 ? 2 : 3;
  } else {
    size = (mode == MODE_16) != prefix66 ? 1 : 2;
    addressSize = (mode == MODE_16) != prefix67 ? 1 : 2;
  }
}

function isPrefix(b: u32): bool {
  return (
    b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0xf0 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 ||
    b == 0x64 || b == 0x65 || (b & 0xf0) == 0x40
  );
}

/** In 64-bit mode an operand size of 32 becomes 64: near branches, PUSH, POP and a few more. */
export function default64(): void {
  if (mode == MODE_64) size = prefix66 && !(rex & 8) ? 1 : 3;
}
export function setSize(log2: i32): void {
  size = log2;
}

// --- ModRM ---
export let modrm: u32 = 0;
/** reg with REX.R and rm with REX.B: register numbers. */
export let reg: i32 = 0;
export let rm: i32 = 0;
export let isMem: bool = false;
/** The memory operand as it goes into a micro-op. */
export let memB: i32 = 0;
export let memC: i32 = 0;
export let memS: i32 = 0;
export let memD: i32 = 0;
/** Segment of the memory operand. */
export let memSegment: i32 = 3;
let ripRelative: bool = false;

/** Reads ModRM, SIB and displacement. The operand is made ready by `prepareMem`, when all bytes have been read. */
export function readModrm(): void {
  modrm = next8();
  reg = <i32>((modrm >> 3) & 7) | (rex & 4 ? 8 : 0);
  rm = <i32>(modrm & 7) | (rex & 1 ? 8 : 0);
  isMem = modrm < 0xc0;
  if (isMem) readAddress();
}

/** ModRM of MOV to and from control and debug registers: always a register. */
export function readModrmRegister(): void {
  modrm = next8() | 0xc0;
  reg = <i32>((modrm >> 3) & 7) | (rex & 4 ? 8 : 0);
  rm = <i32>(modrm & 7) | (rex & 1 ? 8 : 0);
  isMem = false;
}

/** The /digit of the ModRM byte that comes next. */
export function peekGroup8(): i32 {
  return <i32>(peek8() >> 3) & 7;
}

function readAddress(): void {
  const mod = modrm >> 6;
  memB = ZERO;
  memC = ZERO;
  memS = 0;
  memD = 0;
  memSegment = 3;
  ripRelative = false;
  if (addressSize == 1) {
    readAddress16(mod);
    return;
  }
  const low = modrm & 7;
  if (low == 4) {
    const sib = next8();
    const index = <i32>((sib >> 3) & 7) | (rex & 2 ? 8 : 0);
    if (index != 4) {
      memC = index * 8;
      memS = <i32>(sib >> 6);
    }
    const base = <i32>(sib & 7) | (rex & 1 ? 8 : 0);
    if ((sib & 7) == 5 && mod == 0) {
      memD = next32();
    } else {
      memB = base * 8;
      if (base == 4 || base == 5) memSegment = 2;
    }
  } else if (low == 5 && mod == 0) {
    memD = next32();
    ripRelative = mode == MODE_64;
  } else {
    memB = rm * 8;
    if (rm == 5) memSegment = 2;
  }
  if (mod == 1) memD = nextS8();
  else if (mod == 2) memD = next32();
  // A base alone goes without an index; an index alone, unscaled, is as good as a base.
  if (memB == ZERO && memC != ZERO && memS == 0) {
    memB = memC;
    memC = ZERO;
  }
}

/** SDM vol. 2A table 2-1. */
function readAddress16(mod: u32): void {
  switch (modrm & 7) {
    case 0: memB = 3 * 8; memC = 6 * 8; break;
    case 1: memB = 3 * 8; memC = 7 * 8; break;
    case 2: memB = 5 * 8; memC = 6 * 8; memSegment = 2; break;
    case 3: memB = 5 * 8; memC = 7 * 8; memSegment = 2; break;
    case 4: memB = 6 * 8; break;
    case 5: memB = 7 * 8; break;
    case 6:
      if (mod == 0) memD = <i32>next16();
      else {
        memB = 5 * 8;
        memSegment = 2;
      }
      break;
    default: memB = 3 * 8;
  }
  if (mod == 1) memD = nextS8();
  else if (mod == 2) memD = <i32>(<i16>next16());
}

/** Accesses of SEGEA: what the segment must allow. */
export const SEG_READ: i32 = 0;
export const SEG_WRITE: i32 = 1;
/** A read that ring 0 alone may do: #GP(0) elsewhere comes before what the segment check finds. */
export const SEG_PRIVILEGED_READ: i32 = 3;
/** Address arithmetic only. */
export const SEG_NONE: i32 = 2;

/**
 * Emits what is needed so that (memB, memC, memS, memD) is the linear address. `bytes` and `access` serve the segment
 * checks outside 64-bit mode.
 */
export function prepareMem(access: i32, bytes: i32): void {
  if (segment >= 0) memSegment = segment;
  if (mode != MODE_64) {
    // SEGEA: n = access | segment << 4 | address size << 8; i = bytes
    emit(Op.SEGEA, TMP0, memB, memC, memS, access | (memSegment << 4) | (addressSize << 8), memD, bytes);
    memB = TMP0;
    memC = ZERO;
    memS = 0;
    memD = 0;
    return;
  }
  if (ripRelative) {
    let target = instructionRip + <u64>position + <i64>memD;
    if (addressSize == 2) target &= 0xffffffff;
    placeAddress(target);
  } else if (addressSize == 2) {
    emit(Op.LEA32, TMP0, memB, memC, memS, 0, memD, 0);
    memB = TMP0;
    memC = ZERO;
    memS = 0;
    memD = 0;
  }
  if (memSegment == 2) memS |= STACK_SEGMENT;
  else if (memSegment >= 4) {
    const slot = (memSegment == 4 ? SLOT_FS : SLOT_GS) * 8;
    if (memB == ZERO) memB = slot;
    else if (memC == ZERO) {
      memC = slot;
      memS = 0;
    } else {
      emit(Op.LEA64, TMP0, memB, memC, memS, 0, memD, 0);
      memB = TMP0;
      memC = slot;
      memS = 0;
      memD = 0;
    }
  }
}

/** Makes an absolute address the memory operand. */
export function placeAddress(target: u64): void {
  memC = ZERO;
  memS = 0;
  if (<u64>(<i64>(<i32>target)) == target) {
    memB = ZERO;
    memD = <i32>target;
  } else {
    emit64(Op.MOV64_RI, TMP0, 0, 0, 0, 0, target);
    memB = TMP0;
    memD = 0;
  }
}

/** Adds a register slot to the memory operand's address. Before prepareMem, after all bytes have been read. */
export function addIndex(slotOffset: i32): void {
  if (ripRelative) {
    placeAddress(instructionRip + <u64>position + <i64>memD);
    ripRelative = false;
  }
  if (memC != ZERO) {
    emit(Op.LEA64, TMP0, memB, memC, memS, 0, memD, 0);
    memB = TMP0;
    memD = 0;
  }
  memC = slotOffset;
  memS = 0;
}

/** The effective address without segment, for LEA: no checks, no segment. */
export function prepareLea(): void {
  if (ripRelative) {
    let target = instructionRip + <u64>position + <i64>memD;
    if (addressSize == 2) target &= 0xffffffff;
    placeAddress(target);
  }
}

/** The operand is register n, without a ModRM byte. */
export function setRmRegister(n: i32): void {
  isMem = false;
  rm = n;
  reg = 0;
}

/** XLAT: segment:[rBX + AL], AL being in the slot `al`. */
export function setXlat(al: i32): void {
  setAbsolute(0);
  memB = 3 * 8;
  memC = al;
  memD = 0;
}

/** The operand of MASKMOVQ and MASKMOVDQU: [rDI], in DS unless overridden. ModRM has been read for its registers. */
export function setMaskedStore(): void {
  memSegment = 3;
  ripRelative = false;
  memB = 7 * 8;
  memC = ZERO;
  memS = 0;
  memD = 0;
  isMem = true;
}

export function bumpDisplacement(bytes: i32): void {
  memD += bytes;
}

/** A memory operand without ModRM: absolute offset (A0-A3). */
export function setAbsolute(offset: u64): void {
  memSegment = 3;
  ripRelative = false;
  memB = ZERO;
  memC = ZERO;
  memS = 0;
  memD = 0;
  isMem = true;
  if (mode == MODE_64) placeAddress(addressSize == 2 ? offset & 0xffffffff : offset);
  else memD = <i32>offset;
}

/** Slot byte offset of a byte register: AH, CH, DH, BH without REX. */
export function slot8(n: i32): i32 {
  return rex != 0 || n < 4 || n > 7 ? n * 8 : (n - 4) * 8 + 1;
}

/** Register slot at the present operand size given as log2. */
export function slot(n: i32, log2: i32): i32 {
  return log2 == 0 ? slot8(n) : n * 8;
}

export function segmentSlot(seg: i32): i32 {
  switch (seg) {
    case 0: return SLOT_ES * 8;
    case 1: return SLOT_CS * 8;
    case 2: return SLOT_SS * 8;
    case 3: return SLOT_DS * 8;
    case 4: return SLOT_FS * 8;
    default: return SLOT_GS * 8;
  }
}

// --- emission ---
/** Where the next micro-op goes. */
export let out: usize = 0;
/** RIP of the instruction being decoded. */
export let instructionRip: u64 = 0;
let instructionIndex: i32 = 0;
/** The last op of the previous instruction, if it was the only one: fusion looks at it. 0 otherwise. */
export let previousOp: usize = 0;
let firstOfInstruction: usize = 0;
/** The instruction ended the block. */
export let terminated: bool = false;

export function beginBlock(at: usize): void {
  out = at;
  previousOp = 0;
  firstOfInstruction = 0;
  terminated = false;
}
export function beginInstruction(rip: u64, index: i32): void {
  previousOp = out - firstOfInstruction == OP_BYTES ? firstOfInstruction : 0;
  firstOfInstruction = out;
  instructionRip = rip;
  instructionIndex = index;
}
export function abandonInstruction(): void {
  out = firstOfInstruction;
}
export function terminate(): void {
  terminated = true;
}
export function clearTerminated(): void {
  terminated = false;
}
/** Instructions of the block including this one: n of a terminator. */
export function count(): i32 {
  return instructionIndex + 1;
}
/** RIP after this instruction; all its bytes have been read. */
export function nextRip(): u64 {
  const r = instructionRip + <u64>position;
  return mode == MODE_64 ? r : r & 0xffffffff;
}

export function emit(code: i32, a: i32, b: i32, c: i32, s: i32, n: i32, d: i32, i: i32): usize {
  const p = out;
  store<u16>(p, <u16>code);
  store<u8>(p, <u8>a, 2);
  store<u8>(p, <u8>b, 3);
  store<u8>(p, <u8>c, 4);
  store<u8>(p, <u8>s, 5);
  store<u16>(p, <u16>n, 6);
  store<i32>(p, d, 8);
  store<i32>(p, i, 12);
  setSide(p, instructionRip, instructionIndex);
  out = p + OP_BYTES;
  return p;
}

/**
 * A register operation `a = a op b` (or `a op i`). The micro-op has three operands, so a MOV to `a` that came right before
 * is taken in: `MOV a, x; OP a, b` becomes `a = x op b`.
 */
export function emitAlu(code: i32, a: i32, b: i32, i: i32): void {
  // Nothing of this instruction may have been emitted yet, such as the load of a memory operand.
  // And all its bytes must have been there, or the MOV would be lost with what is decoded again.
  const p = out == firstOfInstruction && !overflow ? previousOp : 0;
  if (p) {
    const previous = <i32>load<u16>(p);
    // A 32-bit MOV has cleared the upper half, so a 64-bit operation cannot look behind it.
    if (
      (previous == Op.MOV64_RR || (previous == Op.MOV32_RR && is32(code))) && <i32>load<u8>(p, 2) == a && b != a
    ) {
      const x = <i32>load<u8>(p, 3);
      store<u16>(p, <u16>code);
      store<u8>(p, <u8>b, 3);
      store<u8>(p, <u8>x, 4);
      store<i32>(p, i, 12);
      // It may be fused with a branch, or take in no more: it is this instruction's only op now.
      firstOfInstruction = p;
      return;
    }
  }
  emit(code, a, b, a, 0, 0, 0, i);
}

/** Is the register operation one of 32 bits? */
function is32(code: i32): bool {
  return (
    (code >= Op.ADD32_RR && code < Op.ADD64_RR) || (code >= Op.ADD32_RI && code < Op.ADD64_RI) ||
    (code >= Op.SHL32_I && code < Op.SHL64_I) || code == Op.IMUL32_RR || code == Op.ROL32_I || code == Op.ROR32_I
  );
}

export function emit64(code: i32, a: i32, b: i32, c: i32, s: i32, n: i32, wide: u64): usize {
  return emit(code, a, b, c, s, n, <i32>wide, <i32>(wide >> 32));
}

/** The op just emitted belongs to the fused instruction that began at `first`: same RIP and index. */
export function shareIndex(first: usize): void {
  setSide(out - OP_BYTES, sideRip(first), <i32>sideIndex(first));
}

/** With the prepared memory operand. */
export function emitMem(code: i32, a: i32, i: i32): usize {
  return emit(code, a, memB, memC, memS, 0, memD, i);
}

/** The second half of a double op: the prepared memory operand. */
export function emitSecond(n: i32, i: i32): void {
  emit(0, 0, memB, memC, memS, n, memD, i);
}

/** An op that is not part of the instruction: a link behind a terminator. */
export function emitAt(code: i32, rip: u64, index: i32): usize {
  const p = out;
  store<u64>(p, <u64>code);
  store<u64>(p, 0, 8);
  setSide(p, rip, index);
  out = p + OP_BYTES;
  return p;
}
