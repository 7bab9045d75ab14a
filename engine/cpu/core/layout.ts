// Where everything of the core lives in its linear memory. Every address below FRAMES is fixed at build time.
//
// The registers are an array of 8-byte slots so that a micro-op can name any of them by one byte, the slot's byte
// offset; the byte registers AH, CH, DH, BH are the same slots plus one. Slots past the sixteen general registers let
// addressing be uniform: a base or index that is absent is ZERO, a segment override is the segment's base.

/** 8-byte register slots: 0-15 general registers in encoding order, then those named below. */
export const REGS: usize = 0x1000;
export const SLOT_ZERO: i32 = 16;
export const SLOT_TMP0: i32 = 17;
export const SLOT_TMP1: i32 = 18;
export const SLOT_ES: i32 = 20; // segment bases: ES CS SS DS FS GS, in encoding order
export const SLOT_CS: i32 = 21;
export const SLOT_SS: i32 = 22;
export const SLOT_DS: i32 = 23;
export const SLOT_FS: i32 = 24;
export const SLOT_GS: i32 = 25;

/** Vector registers: 16 slots of 32 bytes (room for 256-bit registers; SSE uses the low 16). */
export const XMM: usize = 0x1400;
/** u32 MXCSR, reset value 0x1f80. */
export const MXCSR: usize = 0x1600;

/** x87 and MMX: eight physical registers R0-R7 of 16 bytes each (significand u64, then sign and exponent u16). */
export const FPR: usize = 0x1680;
export const FCW: usize = 0x1700; // u16 control word
export const FSW: usize = 0x1702; // u16 status word, TOP in bits 11-13
export const FTW: usize = 0x1704; // u8 abridged tag word as in FXSAVE: bit n set = physical register n is not empty
export const FOP: usize = 0x1706; // u16 last opcode
export const FIP: usize = 0x1708; // u64 last instruction pointer
export const FDP: usize = 0x1710; // u64 last data pointer

/** u64 RIP of the instruction being executed: stored by the interpreter before `execX87`, which copies it to FIP. */
export const X87_RIP: usize = 0x1718;
/** Operands of the softfloat kernel (softfloat-core.ts) and the scratch values of vector and x87 instructions. */
export const SOFT_A: usize = 0x1800;
export const SOFT_B: usize = 0x1820;
export const WIDE_SCRATCH: usize = 0x1840; // 128-bit-significand numbers, 32 bytes each
export const VECTOR_SCRATCH: usize = 0x1c00; // 256 bytes
