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

/** The registers that instructions name without being told to. */
export const RAX: usize = REGS;
export const RCX: usize = REGS + 8;
export const RDX: usize = REGS + 16;
export const RSP: usize = REGS + 32;
export const RBP: usize = REGS + 40;
export const RSI: usize = REGS + 48;
export const RDI: usize = REGS + 56;

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

// --- Architectural state that is not a register slot. The whole of STATE..STATE_END is what a checkpoint keeps. ---

export const STATE: usize = 0x1000;
export const STATE_END: usize = 0x1800;

export const RIP: usize = 0x1100; // u64; exact only while the interpreter is not inside a block
/** Lazy arithmetic flags, see flags.ts. */
export const FL_R: usize = 0x1108; // i64 result, sign-extended
export const FL_A: usize = 0x1110; // i64 first operand, sign-extended, or explicit flags
export const FL_KIND: usize = 0x1118; // u32
/** i64 result that CF comes from while INC and DEC have set the others. */
export const FL_R2: usize = 0x12e8;
/** EFLAGS without the six arithmetic flags. */
export const SYSFLAGS: usize = 0x111c; // u32
export const CR0: usize = 0x1120; // u64 each
export const CR2: usize = 0x1128;
export const CR3: usize = 0x1130;
export const CR4: usize = 0x1138;
export const EFER: usize = 0x1140;
export const GDT_BASE: usize = 0x1148; // u64
export const GDT_LIMIT: usize = 0x1150; // u32
export const CPL: usize = 0x1154; // u32
export const IDT_BASE: usize = 0x1158; // u64
export const IDT_LIMIT: usize = 0x1160; // u32
/** u32: CodeMode of the current code segment, see MODE_* below. */
export const MODE: usize = 0x1164;
export const LDT_BASE: usize = 0x1168; // u64
export const TR_BASE: usize = 0x1170; // u64
/** Hidden parts of ES CS SS DS FS GS LDTR TR: selector u16, attributes u16 (descriptor bits 40-55), limit u32 in bytes. */
export const SEG: usize = 0x1180;
export const SEG_LDTR: i32 = 6;
export const SEG_TR: i32 = 7;
export const STAR: usize = 0x11c0; // MSRs, u64 each
export const LSTAR: usize = 0x11c8;
export const CSTAR: usize = 0x11d0;
export const SFMASK: usize = 0x11d8;
export const KERNEL_GS: usize = 0x11e0;
export const TSC_AUX: usize = 0x11e8;
export const SYSENTER_CS: usize = 0x11f0;
export const SYSENTER_ESP: usize = 0x11f8;
export const SYSENTER_EIP: usize = 0x1200;
export const PAT: usize = 0x1208;
export const MISC_ENABLE: usize = 0x1210;
export const APIC_BASE: usize = 0x1218;
export const TSC_OFFSET: usize = 0x1220; // i64: TSC = instructions + idle + offset
export const DR: usize = 0x1228; // DR0-DR7, u64 each
export const INSTRUCTIONS: usize = 0x1268; // u64: retired; exact only outside the interpreter
export const IDLE: usize = 0x1270; // u64: ticks skipped while idle
export const LIMIT: usize = 0x1278; // u64: the instruction count at which the present entry of the interpreter ends
export const IRQ: usize = 0x1280; // i32: vector on the interrupt line, or -1
export const SHADOW: usize = 0x1284; // u32: 1 while STI, 2 while MOV SS holds interrupts off for one instruction
export const HALTED: usize = 0x1288; // u32
export const NMI_BLOCKED: usize = 0x128c; // u32
export const SEED: usize = 0x1290; // u64 state of RDRAND and RDSEED
export const EXC_VECTOR: usize = 0x1298; // i32: exception pending delivery, or -1
export const EXC_ERROR: usize = 0x129c; // i32: its error code, or -1 for none
export const EXC_EXIT: usize = 0x12a0; // u32: bit n = an exception with vector n leaves `run` instead of being delivered
export const CPU_MODEL: usize = 0x12a4; // u32: features offered, see cpuid.ts
/** Port access in flight: set by IN and OUT, read by the host. */
export const IO_PORT: usize = 0x12a8; // u32
export const IO_SIZE: usize = 0x12ac; // u32 bytes
export const IO_VALUE: usize = 0x12b0; // u32
export const IO_PENDING: usize = 0x12b4; // u32: 1 = an IN waits for its value
/** u64: where INS puts its value; IO_PENDING is 2 then. */
export const IO_LINEAR: usize = 0x12f0;
export const NMI_PENDING: usize = 0x12f8; // u32: 1 = an NMI waits to be taken
/** u32: reasons (bits of DR6) of a debug trap that is due once the host has done what it is wanted for. */
export const TRAP_PENDING: usize = 0x12fc;
/** u32: what leaves `run` instead of being done by the processor, INTERCEPT_* of system.ts; 0 on a processor that is its own. */
export const INTERCEPTS: usize = 0x1300;
/** u64: address of the RDMSR or WRMSR that the host is asked about. */
export const MSR_RIP: usize = 0x1308;
/** Two u32: numbers of the pages that are registers of devices, 0 for none. */
export const DEVICE_PAGES: usize = 0x1310;
export const DEVICE_PAGE_COUNT: usize = 2;
export const FAULT_SS: usize = 0x12c0; // u32: 1 = the pending #GP came from a non-canonical address (becomes #SS for stack operands)
export const CR8: usize = 0x12c4; // u32: task priority; nothing here has one, it is kept as written
export const PDPTE: usize = 0x12c8; // four u64: page-directory-pointer entries loaded at MOV to CR3 under PAE

// --- Working state: rebuilt after a restore, never kept. ---

/** u64: low 12 bits = address-space tag of the TLBs (context << 1 | user). */
export const TAG: usize = 0x2000;
/** u64: the same tag and the code mode in bits 48-63, for the jump cache. */
export const TAG_HIGH: usize = 0x2008;
/** u32: the micro-op in execution when a function outside the switch needs it. */
export const CURRENT_OP: usize = 0x2010;
/** Page-crossing accesses go through here. */
export const BOUNCE: usize = 0x2100;
export const BOUNCE_BYTES: i32 = 0x400;
/** Code bytes of an instruction that straddles two pages. */
export const STRADDLE: usize = 0x2600;
/** 32 address-space contexts of 16 bytes: CR3 u64, tag u32 (0 = free), stale u32. */
export const CONTEXTS: usize = 0x2800;
export const CONTEXT_COUNT: i32 = 32;

// Static data of the compiler (constants of the vector unit and x87) lies at 0x4000..0xffff (asc --memoryBase).

/** TLBs: 1024 entries of 16 bytes: page | tag u64, addend u32. */
export const TLB_R: usize = 0x10000;
export const TLB_W: usize = 0x14000;
export const TLB_X: usize = 0x18000;
export const TLB_MASK: u64 = 1023;
export const TLB_BYTES: usize = 0x4000;
/** Jump cache: 8192 entries of 16 bytes: address | tag and mode << 48 u64, block u32. A page owns 64 neighbours. */
export const JUMPS: usize = 0x20000;
export const JUMPS_BYTES: usize = 0x20000;
/** Hash of decoded blocks by physical address: 32768 heads, u32. */
export const HASH: usize = 0x40000;
export const HASH_MASK: u32 = 32767;
export const HASH_BYTES: usize = 0x20000;
/** A page of ones to read from, and one to write to, for addresses outside memory. */
export const NOWHERE_READ: usize = 0x60000;
export const NOWHERE_WRITE: usize = 0x61000;
/** What the host says that device registers hold, and what is written to them: see device.ts. */
export const DEVICE_READ: usize = 0x62000;
export const DEVICE_WRITE: usize = 0x63000;
/** Micro-ops. The first part is for blocks that run once. */
export const ARENA: usize = 0x100000;
export const ARENA_ONCE_BYTES: usize = 0x4000;
export const ARENA_END: usize = 0x900000;
/** For each 16 bytes of the arena, 8 bytes: RIP (low 48 bits) and the instruction's index in its block (high 16). */
export const SIDE: usize = 0x900000;
export const SIDE_END: usize = 0xd00000;
/** The tables per guest page begin here; frames follow them. */
export const TABLES: usize = 0xd00000;

/** Code modes: the value of MODE. */
export const MODE_64: u32 = 0;
export const MODE_32: u32 = 1;
export const MODE_16: u32 = 2;
