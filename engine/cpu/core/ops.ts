// The micro-ops: the contract between the decoder, the interpreter and a later translator.
//
// A micro-op is 16 bytes:
//   0 u16 code      2 u8 a   3 u8 b   4 u8 c   5 u8 s   6 u16 n   8 i32 d   12 i32 i
// Register arithmetic has three operands: RR is a = c op b, RI is a = c op i.
// a, b and c name register slots by byte offset (layout.ts). A memory operand is slot b + (slot c << s) + d; bit 7 of s
// says that the default segment is the stack's, so that a non-canonical address is #SS and not #GP (shifts ignore it).
// Some codes take a second 16 bytes, laid out as said at their group. Every block ends with a terminator, whose n is
// the number of instructions of the block up to and including it.
//
// The groups below are in an order the decoder relies on to drop flags nobody reads (see decode.ts, finishOps).

export enum Op {
  // --- Group A: set all flags, read none, cannot fault. Each code is followed by its twin that sets no flags. ---
  ADD32_RR, ADD32_RR_N, OR32_RR, OR32_RR_N, AND32_RR, AND32_RR_N, SUB32_RR, SUB32_RR_N, XOR32_RR, XOR32_RR_N,
  ADD64_RR, ADD64_RR_N, OR64_RR, OR64_RR_N, AND64_RR, AND64_RR_N, SUB64_RR, SUB64_RR_N, XOR64_RR, XOR64_RR_N,
  ADD32_RI, ADD32_RI_N, OR32_RI, OR32_RI_N, AND32_RI, AND32_RI_N, SUB32_RI, SUB32_RI_N, XOR32_RI, XOR32_RI_N,
  ADD64_RI, ADD64_RI_N, OR64_RI, OR64_RI_N, AND64_RI, AND64_RI_N, SUB64_RI, SUB64_RI_N, XOR64_RI, XOR64_RI_N,
  SHL32_I, SHL32_I_N, SHR32_I, SHR32_I_N, SAR32_I, SAR32_I_N, // i = count, 1..31
  SHL64_I, SHL64_I_N, SHR64_I, SHR64_I_N, SAR64_I, SAR64_I_N, // i = count, 1..63
  NEG32, NEG32_N, NEG64, NEG64_N,
  IMUL32_RR, IMUL32_RR_N, IMUL64_RR, IMUL64_RR_N, // a = c * b
  IMUL32_RRI, IMUL32_RRI_N, IMUL64_RRI, IMUL64_RRI_N, // a = b * i
  // --- Group B: keep some flags, so the flagged forms read them. Twins as above. ---
  INC32, INC32_N, INC64, INC64_N, DEC32, DEC32_N, DEC64, DEC64_N,
  ROL32_I, ROL32_I_N, ROR32_I, ROR32_I_N, ROL64_I, ROL64_I_N, ROR64_I, ROR64_I_N,
  // --- Group C: as A with a memory source; may fault. Twins as above. ---
  ADD32_RM, ADD32_RM_N, OR32_RM, OR32_RM_N, AND32_RM, AND32_RM_N, SUB32_RM, SUB32_RM_N, XOR32_RM, XOR32_RM_N,
  ADD64_RM, ADD64_RM_N, OR64_RM, OR64_RM_N, AND64_RM, AND64_RM_N, SUB64_RM, SUB64_RM_N, XOR64_RM, XOR64_RM_N,
  // --- Group D: set all flags, read none, cannot fault; no twin. ---
  CMP8_RR, CMP8_RI, CMP16_RR, CMP16_RI, CMP32_RR, CMP32_RI, CMP64_RR, CMP64_RI,
  TEST8_RR, TEST8_RI, TEST16_RR, TEST32_RR, TEST32_RI, TEST64_RR, TEST64_RI,
  // --- Group E: touch no flags, cannot fault. ---
  MOV8_RR, MOV16_RR, MOV32_RR, MOV64_RR,
  MOV8_RI, MOV16_RI, MOV32_RI, // 32: zero-extends
  MOV64_RI, // bytes 8-15 are the immediate
  LEA32, LEA64, LEA64_BD, // BD: no index
  MOVZX8_RR, MOVZX16_RR, MOVSX8_32_RR, MOVSX8_64_RR, MOVSX16_32_RR, MOVSX16_64_RR, MOVSX32_64_RR,
  NOT32, NOT64, BSWAP32, BSWAP64, CDQE, CDQ, CQO, CWDE,
  NOP,
  // --- Group F: read flags or may fault. ---
  LD8, LD16, LD32, LD64, // LD8 and LD16 leave the rest of the register
  LD32_BD, LD64_BD, // BD: no index
  LDZX8, LDZX8_BD, LDZX16, LDSX8_32, LDSX8_64, LDSX16_32, LDSX16_64, LDSX32_64,
  ST8, ST16, ST32, ST64, ST32_BD, ST64_BD,
  STI8, STI16, STI32, STI64, // STI64 stores i sign-extended
  CMP8_RM, CMP16_RM, CMP32_RM, CMP64_RM, // register a - memory
  CMP8_MR, CMP16_MR, CMP32_MR, CMP64_MR, // memory - register a
  CMP8_MI, CMP16_MI, CMP32_MI, CMP64_MI,
  TEST8_MI, TEST32_MI, TEST64_MI, TEST8_MR, TEST32_MR, TEST64_MR,
  ADD32_MR, OR32_MR, AND32_MR, SUB32_MR, XOR32_MR,
  ADD64_MR, OR64_MR, AND64_MR, SUB64_MR, XOR64_MR,
  ADD32_MI, OR32_MI, AND32_MI, SUB32_MI, XOR32_MI,
  ADD64_MI, OR64_MI, AND64_MI, SUB64_MI, XOR64_MI,
  INC32_M, INC64_M, DEC32_M, DEC64_M,
  PUSH64, PUSHI64, POP64, LEAVE64,
  SHL32_CL, SHR32_CL, SAR32_CL, SHL64_CL, SHR64_CL, SAR64_CL,
  SETCC, // a = byte register, i = condition
  CMOV32, CMOV64, // a = b if condition i; 32: always zero-extends a
  BT32_RI, BT64_RI, BT32_RR, BT64_RR,
  SEGEA, // outside 64-bit mode: a = segment base + EA, checked; see segment.ts. n = SEG_* | segment << 4 | log2 address size << 8, i = bytes
  GEN, // generic.ts. a = reg, b = rm, c = 1 if memory, s = log2 size, n = function, i = immediate; second op = EA in b c s d
  VEC, // vector.ts. a = reg, b = rm, c = 1 if memory, s = imm8, n = REX.W | class << 8, d = function; second op = EA
  X87, // x87.ts. a = opcode, b = ModRM, c = 1 if memory, s = 66 prefix, n = REX.W; second op = EA
  STRING, // string.ts. a = kind, b = segment slot, c = log2 size, s = repeat prefix, n = address size, d = segment; two ops
  CHECK_PAGE, // first in a block whose last instruction straddles: d = guest page of the second half
  // --- Terminators. Targets are addresses of micro-ops. ---
  JUMP, // d = target
  JCC, // 16 codes in the order of the condition: d = taken, i = not taken
  JCC_NO, JCC_B, JCC_AE, JCC_E, JCC_NE, JCC_BE, JCC_A, JCC_S, JCC_NS, JCC_P, JCC_NP, JCC_L, JCC_GE, JCC_LE, JCC_G,
  // Fused pairs, two ops: the first as the plain operation with n of the terminator, the second has d and i of the jump.
  CMPJ32_RR_B, CMPJ32_RR_AE, CMPJ32_RR_E, CMPJ32_RR_NE, CMPJ32_RR_BE, CMPJ32_RR_A, CMPJ32_RR_L, CMPJ32_RR_GE, CMPJ32_RR_LE, CMPJ32_RR_G,
  CMPJ32_RI_B, CMPJ32_RI_AE, CMPJ32_RI_E, CMPJ32_RI_NE, CMPJ32_RI_BE, CMPJ32_RI_A, CMPJ32_RI_L, CMPJ32_RI_GE, CMPJ32_RI_LE, CMPJ32_RI_G,
  CMPJ64_RR_B, CMPJ64_RR_AE, CMPJ64_RR_E, CMPJ64_RR_NE, CMPJ64_RR_BE, CMPJ64_RR_A, CMPJ64_RR_L, CMPJ64_RR_GE, CMPJ64_RR_LE, CMPJ64_RR_G,
  CMPJ64_RI_B, CMPJ64_RI_AE, CMPJ64_RI_E, CMPJ64_RI_NE, CMPJ64_RI_BE, CMPJ64_RI_A, CMPJ64_RI_L, CMPJ64_RI_GE, CMPJ64_RI_LE, CMPJ64_RI_G,
  CMPJ8_RI_B, CMPJ8_RI_AE, CMPJ8_RI_E, CMPJ8_RI_NE, CMPJ8_RI_BE, CMPJ8_RI_A, CMPJ8_RI_L, CMPJ8_RI_GE, CMPJ8_RI_LE, CMPJ8_RI_G,
  TESTJ32_RR_E, TESTJ32_RR_NE, TESTJ32_RR_S, TESTJ32_RR_NS, TESTJ32_RR_LE, TESTJ32_RR_G,
  TESTJ64_RR_E, TESTJ64_RR_NE, TESTJ64_RR_S, TESTJ64_RR_NS, TESTJ64_RR_LE, TESTJ64_RR_G,
  TESTJ8_RR_E, TESTJ8_RR_NE, TESTJ8_RI_E, TESTJ8_RI_NE, TESTJ32_RI_E, TESTJ32_RI_NE,
  DECJ32_E, DECJ32_NE, DECJ64_E, DECJ64_NE, SUBJ32_RI_E, SUBJ32_RI_NE, SUBJ64_RI_E, SUBJ64_RI_NE,
  ADDJ32_RI_E, ADDJ32_RI_NE, ADDJ64_RI_E, ADDJ64_RI_NE, ANDJ32_RI_E, ANDJ32_RI_NE, ANDJ32_RR_E, ANDJ32_RR_NE,
  CALL, // two ops: bytes 8-15 = return address; second: d = target
  CALL_R, // a = slot of the target, bytes 8-15 = return address
  JUMP_R, // a = slot of the target
  RET, // i = bytes to release besides the return address
  RARE, // system.ts. a = reg, b = rm, c = 1 if memory, s = log2 size, bytes 8-15 = next RIP; second op: EA in b c s d, n = function, i = immediate
  END, // the block stops here: leave with the RIP of the side table
  FAULT, // raise exception i (error code d, -1 for none) at this instruction
  // --- Not instructions. ---
  LINK, // resolve the target (side table) in the same page, patch the slot at address i, go there
  XJUMP, // jump to another page: bytes 2-5 = address of its entry in the jump cache, 8-15 = low 48 bits of the target
  STALE, // head of a block that was dropped: look it up again
  FORWARD, // head of a dropped block that was decoded again: d = the new block
  RESYNC, // code after this point may have changed: leave and decode again
  // Runs of ops in one dispatch: FUSED_0 and on, put here by the build from ../fusions.ts.
  // @fusions
}

/** First codes of the groups, for finishOps. */
export const GROUP_B: i32 = Op.INC32;
export const GROUP_C: i32 = Op.ADD32_RM;
export const GROUP_D: i32 = Op.CMP8_RR;
export const GROUP_E: i32 = Op.MOV8_RR;
export const GROUP_F: i32 = Op.LD8;

/** Bytes of a micro-op. */
export const OP_BYTES: usize = 16;

/** Codes that take a second 16 bytes. */
export function isDouble(code: i32): bool {
  return (
    (code >= Op.GEN && code <= Op.STRING) || (code >= Op.CMPJ32_RR_B && code <= Op.CALL) || code == Op.RARE
  );
}

/** Functions of GEN. The ALU functions are followed by the operation in the low three bits. */
export enum Gen {
  ALU_RM_R = 0, // + operation: ADD OR ADC SBB AND SUB XOR CMP
  ALU_R_RM = 8,
  ALU_RM_I = 16,
  SHIFT_I = 24, // + ROL ROR RCL RCR SHL SHR SAL SAR
  SHIFT_CL = 32,
  TEST_I = 40, // group 3
  TEST_R, NOT, NEG, MUL, IMUL, DIV, IDIV, INC, DEC,
  XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B,
  BT_R, BTS_R, BTR_R, BTC_R, BT_I, BTS_I, BTR_I, BTC_I,
  SHLD_I, SHLD_CL, SHRD_I, SHRD_CL, BSF, BSR, POPCNT, IMUL2, IMUL3,
  MOVZX8, MOVZX16, MOVSX8, MOVSX16, CMOV, BSWAP16, CBW, CWD, MOVBE_LOAD, MOVBE_STORE, CRC32_8, CRC32,
  LAHF, SAHF, CMC, CLC, STC, CLD, STD,
  PUSH, POP, PUSH_I, POP_RM, ENTER, LEAVE, PUSHA, POPA, PUSHF,
  DAA, DAS, AAA, AAS, AAM, AAD, SALC, BOUND, ARPL,
  RDRAND, RDSEED, MOV_FROM_SEG, CLFLUSH, BIT_OFFSET,
}

/** Functions of RARE. */
export enum Rare {
  HLT, CLI, STI, IN, OUT, INS, OUTS, INT, INT3, INTO, INT1, IRET, SYSCALL, SYSRET, SYSENTER, SYSEXIT,
  RDMSR, WRMSR, CPUID, RDTSC, RDTSCP, RDPMC, MOV_FROM_CR, MOV_TO_CR, MOV_FROM_DR, MOV_TO_DR, CLTS, LMSW, SMSW,
  LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, VERR, VERW, LAR, LSL, INVLPG, WBINVD, SWAPGS,
  MOV_TO_SEG, LOAD_FAR, PUSH_SEG, POP_SEG, JMP_FAR, JMP_FAR_M, CALL_FAR, CALL_FAR_M, RET_FAR, POPF,
  FSGSBASE, VMCALL, JCXZ, LOOP, LOOPE, LOOPNE, CALL_NEAR, JMP_NEAR, RET_NEAR, JCC_NEAR,
}
