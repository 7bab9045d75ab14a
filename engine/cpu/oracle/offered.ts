// Which instructions the core offers, by the reference decoder's CPUID features, and which of them cannot be compared.

import iced, { type Instruction } from "iced-x86";

const { CpuidFeature: F, Mnemonic: M } = iced;

const INTEGER = new Set<number>([
  F.INTEL8086,
  F.INTEL8086_ONLY,
  F.INTEL186,
  F.INTEL286,
  F.INTEL386,
  F.INTEL486,
  F.X64,
  F.CMOV,
  F.CX8,
  F.CPUID,
  F.MULTIBYTENOP,
  F.PAUSE,
  F.MSR,
  F.TSC,
  F.RDPMC,
  F.SYSCALL,
  F.SEP,
  F.CLFSH,
  F.PREFETCHW,
]);
const INTEGER_V2 = new Set<number>([
  F.CMPXCHG16B,
  F.POPCNT,
  F.MOVBE,
  F.RDRAND,
  F.RDSEED,
  F.RDTSCP,
  F.FSGSBASE,
]);
const X87 = new Set<number>([F.FPU, F.FPU287, F.FPU387]);
const VECTOR_V1 = new Set<number>([F.MMX, F.SSE, F.SSE2, F.FXSR]);
const VECTOR_V2 = new Set<number>([F.SSE3, F.SSSE3, F.SSE4_1, F.SSE4_2]);

/** "system" is what user mode may not do; it is in the table because the fault is worth comparing too. */
export type Group =
  | "integer"
  | "x87"
  | "mmx"
  | "sse"
  | "sse2"
  | "sse3"
  | "ssse3"
  | "sse4.1"
  | "sse4.2"
  | "fxsr";

/** The group of an instruction by the features it needs; undefined if some feature is not offered by any level. */
export function groupOf(instruction: Instruction): Group | undefined {
  const features = instruction.cpuidFeatures();
  let group: Group = "integer";
  for (const f of features) {
    if (INTEGER.has(f) || INTEGER_V2.has(f)) continue;
    if (X87.has(f)) group = "x87";
    else if (f === F.MMX) {
      if (group === "integer") group = "mmx";
    } else if (f === F.SSE) group = "sse";
    else if (f === F.SSE2) group = "sse2";
    else if (f === F.SSE3) group = "sse3";
    else if (f === F.SSSE3) group = "ssse3";
    else if (f === F.SSE4_1) group = "sse4.1";
    else if (f === F.SSE4_2) group = "sse4.2";
    else if (f === F.FXSR) group = "fxsr";
    else return undefined;
  }
  return group;
}

export function isOffered(instruction: Instruction): boolean {
  return groupOf(instruction) !== undefined;
}

/** x86-64-v1: the baseline without what v2 adds. */
export function isV1(instruction: Instruction): boolean {
  return instruction.cpuidFeatures().every((f) => INTEGER.has(f) || X87.has(f) || VECTOR_V1.has(f));
}

export { VECTOR_V2 };

const NOT_COMPARABLE = new Set<number>([
  // Answers that belong to the machine, not to the program.
  M.Cpuid,
  M.Rdtsc,
  M.Rdtscp,
  M.Rdpmc,
  M.Rdrand,
  M.Rdseed,
  // They would call the kernel of the oracle.
  M.Syscall,
  M.Sysenter,
  M.Sysexit,
  // UMIP: the kernel emulates some of them for programs (Linux arch/x86/kernel/umip.c).
  M.Sgdt,
  M.Sidt,
  M.Sldt,
  M.Str,
  M.Smsw,
  // Answers depend on the kernel's descriptor tables.
  M.Lar,
  M.Lsl,
  M.Verr,
  M.Verw,
  // #DB by INT1 is reported with another RIP when the oracle itself is a virtual machine.
  M.Int1,
  // Leaves the segment state of the harness; compared by hand in the system-mode suite.
  M.Iret,
  M.Iretd,
  M.Iretq,
]);

/** False for an instruction whose result on the oracle says nothing about ours. */
export function isComparable(instruction: Instruction): boolean {
  if (NOT_COMPARABLE.has(instruction.mnemonic)) return false;
  // INT 0x80 is a system call; INT 3 and 4 have gates that user mode may use.
  if (instruction.mnemonic === M.Int && instruction.immediate8 === 0x80) return false;
  return true;
}
