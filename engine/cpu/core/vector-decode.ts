// Which byte sequences of maps 0F, 0F38 and 0F3A are vector instructions (MMX to SSE4.2), what the interpreter must check
// before each of them, and the function id that names each to `execVector`. Encodings: SDM vol. 2, appendix A.

// Mandatory prefixes, as a set.
const NP: i32 = 1;
const P66: i32 = 2;
const PF3: i32 = 4;
const PF2: i32 = 8;
const NP_66: i32 = 3;
const ALL: i32 = 15;

// Operand forms that are #UD.
const ANY: i32 = 0;
const MEM_ONLY: i32 = 1;
const REG_ONLY: i32 = 2;

export const VECTOR_HAS_IMM8: i32 = 1 << 16;
export const VECTOR_CLASS_SHIFT: i32 = 17;
export const VECTOR_CLASS_SSE: i32 = 0;
export const VECTOR_CLASS_MMX: i32 = 1;
export const VECTOR_CLASS_FXSAVE: i32 = 2;
export const VECTOR_CLASS_MXCSR: i32 = 3;
/** MOVNTI: an integer store that needs none of the checks of its class. */
export const VECTOR_UNCHECKED: i32 = 1 << 19;
export const VECTOR_FEATURE_SHIFT: i32 = 20;
export const VECTOR_FEATURE_SSE3: i32 = 1;
export const VECTOR_FEATURE_SSSE3: i32 = 2;
export const VECTOR_FEATURE_SSE4_1: i32 = 3;
export const VECTOR_FEATURE_SSE4_2: i32 = 4;

const MMX: i32 = VECTOR_CLASS_MMX << VECTOR_CLASS_SHIFT;

/** `attributes` if `prefix` is in the set `prefixes` and the operand form is allowed, with the function id; else 0. */
function accept(fn: i32, prefixes: i32, form: i32, attributes: i32, modrm: i32): i32 {
  if (!((prefixes >> ((fn >> 8) & 3)) & 1)) return 0;
  const register = (modrm & 0xc0) == 0xc0;
  if (register ? form == MEM_ONLY : form == REG_ONLY) return 0;
  return fn | attributes;
}

/** The MMX class for the form without a prefix, the SSE class for the others. */
@inline
function mmxOrSse(prefix: i32): i32 {
  return prefix == 0 ? MMX : 0;
}

function decode0F(fn: i32, prefix: i32, modrm: i32): i32 {
  const opcode = fn & 0xff;
  const sse3 = VECTOR_FEATURE_SSE3 << VECTOR_FEATURE_SHIFT;
  switch (opcode) {
    case 0x10: case 0x11: case 0x51: case 0x58: case 0x59: case 0x5a: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
    case 0x2a: case 0x2c: case 0x2d:
      return accept(fn, ALL, ANY, 0, modrm);
    case 0x12:
      if (prefix >= 2) return accept(fn, PF3 | PF2, ANY, sse3, modrm);
      return accept(fn, NP_66, prefix == 1 ? MEM_ONLY : ANY, 0, modrm);
    case 0x16:
      if (prefix == 2) return accept(fn, PF3, ANY, sse3, modrm);
      return accept(fn, NP_66, prefix == 1 ? MEM_ONLY : ANY, 0, modrm);
    case 0x13: case 0x17: case 0x2b:
      return accept(fn, NP_66, MEM_ONLY, 0, modrm);
    case 0x14: case 0x15: case 0x28: case 0x29: case 0x2e: case 0x2f: case 0x54: case 0x55: case 0x56: case 0x57:
      return accept(fn, NP_66, ANY, 0, modrm);
    case 0x50:
      return accept(fn, NP_66, REG_ONLY, 0, modrm);
    case 0x52: case 0x53:
      return accept(fn, NP | PF3, ANY, 0, modrm);
    case 0x5b:
      return accept(fn, NP | P66 | PF3, ANY, 0, modrm);
    case 0x60: case 0x61: case 0x62: case 0x63: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0x68: case 0x69: case 0x6a: case 0x6b: case 0x6e: case 0x74: case 0x75: case 0x76:
    case 0xd1: case 0xd2: case 0xd3: case 0xd4: case 0xd5:
    case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf:
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe4: case 0xe5:
    case 0xe8: case 0xe9: case 0xea: case 0xeb: case 0xec: case 0xed: case 0xee: case 0xef:
    case 0xf1: case 0xf2: case 0xf3: case 0xf4: case 0xf5: case 0xf6:
    case 0xf8: case 0xf9: case 0xfa: case 0xfb: case 0xfc: case 0xfd: case 0xfe:
      return accept(fn, NP_66, ANY, mmxOrSse(prefix), modrm);
    case 0x6c: case 0x6d:
      return accept(fn, P66, ANY, 0, modrm);
    case 0x6f: case 0x7e: case 0x7f:
      return accept(fn, NP | P66 | PF3, ANY, mmxOrSse(prefix), modrm);
    case 0x70:
      return accept(fn, ALL, ANY, VECTOR_HAS_IMM8 | mmxOrSse(prefix), modrm);
    case 0x71: case 0x72: case 0x73: {
      // /2 logical right, /4 arithmetic right, /6 left; for 73 also /3 and /7, the byte shifts of SSE2.
      const group = (modrm >> 3) & 7;
      const groups = opcode != 0x73 ? 0x54 : prefix == 1 ? 0xcc : 0x44;
      if (!((groups >> group) & 1)) return 0;
      return accept(fn, NP_66, REG_ONLY, VECTOR_HAS_IMM8 | mmxOrSse(prefix), modrm);
    }
    case 0x77:
      return prefix == 0 ? fn | MMX : 0;
    case 0x7c: case 0x7d: case 0xd0:
      return accept(fn, P66 | PF2, ANY, sse3, modrm);
    case 0xae: {
      const group = (modrm >> 3) & 7;
      if (group > 3) return 0;
      const cls = group < 2 ? VECTOR_CLASS_FXSAVE : VECTOR_CLASS_MXCSR;
      return accept(fn, NP, MEM_ONLY, cls << VECTOR_CLASS_SHIFT, modrm);
    }
    case 0xc2:
      return accept(fn, ALL, ANY, VECTOR_HAS_IMM8, modrm);
    case 0xc3:
      return accept(fn, NP, MEM_ONLY, VECTOR_UNCHECKED, modrm);
    case 0xc4:
      return accept(fn, NP_66, ANY, VECTOR_HAS_IMM8 | mmxOrSse(prefix), modrm);
    case 0xc5:
      return accept(fn, NP_66, REG_ONLY, VECTOR_HAS_IMM8 | mmxOrSse(prefix), modrm);
    case 0xc6:
      return accept(fn, NP_66, ANY, VECTOR_HAS_IMM8, modrm);
    case 0xd6:
      return accept(fn, P66 | PF3 | PF2, prefix == 1 ? ANY : REG_ONLY, 0, modrm);
    case 0xd7: case 0xf7:
      return accept(fn, NP_66, REG_ONLY, mmxOrSse(prefix), modrm);
    case 0xe6:
      return accept(fn, P66 | PF3 | PF2, ANY, 0, modrm);
    case 0xe7:
      return accept(fn, NP_66, MEM_ONLY, mmxOrSse(prefix), modrm);
    case 0xf0:
      return accept(fn, PF2, MEM_ONLY, sse3, modrm);
    default:
      return 0;
  }
}

function decode0F38(fn: i32, prefix: i32, modrm: i32): i32 {
  const opcode = fn & 0xff;
  const sse41 = VECTOR_FEATURE_SSE4_1 << VECTOR_FEATURE_SHIFT;
  if (opcode <= 0x0b || (opcode >= 0x1c && opcode <= 0x1e)) {
    return accept(fn, NP_66, ANY, (VECTOR_FEATURE_SSSE3 << VECTOR_FEATURE_SHIFT) | mmxOrSse(prefix), modrm);
  }
  if (opcode == 0x37) return accept(fn, P66, ANY, VECTOR_FEATURE_SSE4_2 << VECTOR_FEATURE_SHIFT, modrm);
  if (opcode == 0x2a) return accept(fn, P66, MEM_ONLY, sse41, modrm);
  if (
    opcode == 0x10 || opcode == 0x14 || opcode == 0x15 || opcode == 0x17 ||
    (opcode >= 0x20 && opcode <= 0x25) || (opcode >= 0x28 && opcode <= 0x2b) ||
    (opcode >= 0x30 && opcode <= 0x35) || (opcode >= 0x38 && opcode <= 0x41)
  ) {
    return accept(fn, P66, ANY, sse41, modrm);
  }
  return 0;
}

function decode0F3A(fn: i32, prefix: i32, modrm: i32): i32 {
  const opcode = fn & 0xff;
  if (opcode == 0x0f) {
    return accept(fn, NP_66, ANY, VECTOR_HAS_IMM8 | (VECTOR_FEATURE_SSSE3 << VECTOR_FEATURE_SHIFT) | mmxOrSse(prefix), modrm);
  }
  if (opcode >= 0x60 && opcode <= 0x63) {
    return accept(fn, P66, ANY, VECTOR_HAS_IMM8 | (VECTOR_FEATURE_SSE4_2 << VECTOR_FEATURE_SHIFT), modrm);
  }
  if (
    (opcode >= 0x08 && opcode <= 0x0e) || (opcode >= 0x14 && opcode <= 0x17) ||
    (opcode >= 0x20 && opcode <= 0x22) || (opcode >= 0x40 && opcode <= 0x42)
  ) {
    return accept(fn, P66, ANY, VECTOR_HAS_IMM8 | (VECTOR_FEATURE_SSE4_1 << VECTOR_FEATURE_SHIFT), modrm);
  }
  return 0;
}

/**
 * Is this a vector instruction, and which?
 *
 * `map` is 1 for 0F, 2 for 0F38, 3 for 0F3A; `prefix` the mandatory prefix: 0 none, 1 = 66, 2 = F3, 3 = F2.
 * Returns 0 for #UD (or an instruction of somebody else's), else: bits 0-15 the function id for `execVector`, which is
 * `map << 10 | prefix << 8 | opcode`; bit 16: an imm8 follows; bits 17-18: the class of checks (VECTOR_CLASS_*);
 * bit 19: an integer store, for which CR0 and CR4 do not matter; bits 20-23: the CPUID feature (VECTOR_FEATURE_*, 0 = MMX, SSE, SSE2, FXSR).
 * MASKMOVQ and MASKMOVDQU (0F F7) store to DS:rDI (or the overriding segment): their `ea` is that linear address.
 */
export function decodeVector(map: i32, prefix: i32, opcode: i32, modrm: i32, rexW: i32): i32 {
  const fn = (map << 10) | (prefix << 8) | opcode;
  if (map == 1) return decode0F(fn, prefix, modrm);
  if (map == 2) return decode0F38(fn, prefix, modrm);
  return decode0F3A(fn, prefix, modrm);
}

/** Bytes of the memory operand of a vector instruction; arguments as for decodeVector. Outside 64-bit mode, so without REX.W. */
export function vectorBytes(map: i32, prefix: i32, opcode: i32): i32 {
  const packed = prefix == 0 ? 8 : 16; // MMX or XMM
  const scalar = prefix == 2 ? 4 : prefix == 3 ? 8 : 16;
  if (map == 2) {
    switch (opcode) {
      case 0x20: case 0x23: case 0x25: case 0x30: case 0x33: case 0x35: return 8;
      case 0x21: case 0x24: case 0x31: case 0x34: return 4;
      case 0x22: case 0x32: return 2;
      default: return packed;
    }
  }
  if (map == 3) {
    switch (opcode) {
      case 0x0b: return 8;
      case 0x0a: case 0x16: case 0x17: case 0x21: case 0x22: return 4;
      case 0x15: return 2;
      case 0x14: case 0x20: return 1;
      default: return packed;
    }
  }
  switch (opcode) {
    case 0x10: case 0x11: case 0x51: case 0x52: case 0x53: case 0x58: case 0x59: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
    case 0xc2:
      return scalar;
    case 0x12: return prefix == 2 ? 16 : 8;
    case 0x16: return prefix == 2 ? 16 : 8;
    case 0x13: case 0x17: case 0xd6: return 8;
    case 0x2a: return prefix >= 2 ? 4 : 8;
    case 0x2c: case 0x2d: return prefix == 0 ? 8 : scalar;
    case 0x2e: case 0x2f: return prefix == 0 ? 4 : 8;
    case 0x5a: return prefix == 0 ? 8 : scalar;
    case 0x60: case 0x61: case 0x62: return prefix == 0 ? 4 : 16;
    case 0x6e: case 0xc3: return 4;
    case 0x7e: return prefix == 2 ? 8 : 4;
    case 0xc4: return 2;
    case 0xe6: return prefix == 2 ? 8 : 16;
    case 0x14: case 0x15: case 0x28: case 0x29: case 0x2b: case 0x54: case 0x55: case 0x56: case 0x57: case 0x5b: case 0xc6:
      return 16;
    default: return packed;
  }
}
