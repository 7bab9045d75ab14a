import type { PhysicalMemory, RegisterName } from "../cpu/types.ts";
import { PROFILE_LIMITS } from "../limits.ts";

/** Whose code the processor was executing. */
export type SampleKind = "kernel" | "user" | "emu";

/** A word of a stack that may be a return address. */
export interface StackWord {
  /** Bytes above the stack pointer. */
  readonly offset: number;
  readonly value: bigint;
}

/**
 * Where a guest was at one instruction. The stack is not unwound here: that needs the kernel's tables, and has time until
 * somebody asks (unwind.ts). So all that such an unwinding could need is kept.
 */
export interface StackSample {
  readonly kind: SampleKind;
  /** The instruction pointer; under emu, that of the guest which emu serves. */
  readonly rip: bigint;
  /** Ascending by offset. Empty outside a 64-bit Linux kernel. */
  readonly stack: readonly StackWord[];
}

/** What is looked at: engine/cpu's Cpu. */
export interface SampledCpu {
  getControl(name: "cr3"): bigint;
  readonly memory: PhysicalMemory;
  readonly isIn64BitCode: boolean;
  readonly privilege: number;
  getRegister(name: RegisterName): bigint;
}

/** Kernel code of 64-bit Linux lies in the last 2 GiB, here in halves (Documentation/arch/x86/x86_64/mm.rst). */
const UPPER_WORD = 0xffff_ffff;
const TEXT_LOWER_WORD = 0x8000_0000;
/** The upper half of a 64-bit address space belongs to kernels. */
const UPPER_HALF = 1n << 63n;
/** Lower than any kernel, higher than any user: the part of a 32-bit address space that Linux's kernel has. */
const KERNEL_32 = 0xc000_0000n;
/** Where emu is, in its PML4 slot (xenner/abi.ts). */
const EMU_SLOT = 0xffff_8000_0000_0000n;
const EMU_SLOT_END = 0xffff_8080_0000_0000n;
/** emu's flat selectors, which the frames of its guest hold (xen/include/public/arch-x86/xen-x86_64.h). */
const FLAT_CS64 = 0xe033;
const FLAT_SS = 0xe02b;

const WORD = 8;
const PAGE = 4096;
const PRESENT = 1;
const LARGE = 0x80;
/** Bits 32 to 51 of a page-table entry's address. */
const ADDRESS_UPPER = 0xf_ffff;

/** A page of the stack that is looked at: one for all, as each sample would else leave two pages of garbage behind. */
const STACK_PAGE = new Uint8Array(PAGE);
const STACK_WORDS = new Uint32Array(STACK_PAGE.buffer);

/** Looks where the processor is. Reads guest memory, changes nothing that the guest or a state hash can see. */
export function takeSample(cpu: SampledCpu): StackSample {
  const rip = cpu.getRegister("rip");
  if (!cpu.isIn64BitCode) {
    const isUser = cpu.privilege === 3 && rip < KERNEL_32;
    return { kind: isUser ? "user" : "kernel", rip, stack: [] };
  }
  if (rip >= EMU_SLOT && rip < EMU_SLOT_END) {
    const below = guestOfEmu(cpu);
    if (below === undefined) return { kind: "emu", rip: 0n, stack: [] };
    return { kind: "emu", rip: below.rip, stack: isKernel(below.rip) ? candidates(cpu, below.rsp) : [] };
  }
  if (!isKernel(rip)) return { kind: cpu.privilege === 3 ? "user" : "kernel", rip, stack: [] };
  return { kind: "kernel", rip, stack: candidates(cpu, cpu.getRegister("rsp")) };
}

function isKernel(rip: bigint): boolean {
  return rip >= UPPER_HALF;
}

/**
 * Where a page of a 64-bit address space lies, as a byte address; undefined if nothing is mapped there (SDM vol. 3A 4.5). As nothing of
 * the guest's asks, no accessed bit is set.
 */
function physicalPage({ memory }: SampledCpu, cr3: number, virtual: bigint): number | undefined {
  const lower = Number(virtual & 0xffff_ffffn);
  const upper = Number((virtual >> 32n) & 0xffff_ffffn);
  const indices = [upper >>> 7, (upper << 2) | (lower >>> 30), lower >>> 21, lower >>> 12];
  let table = cr3;
  for (const [level, index] of indices.entries()) {
    const at = table + (index & 511) * 8;
    if (at + 8 > memory.bytes) return undefined;
    const entry = memory.readU32(at);
    if ((entry & PRESENT) === 0) return undefined;
    const address = (memory.readU32(at + 4) & ADDRESS_UPPER) * 2 ** 32 + ((entry & ~(PAGE - 1)) >>> 0);
    if (level === 3) return address;
    if (level > 0 && (entry & LARGE) !== 0) {
      const size = level === 1 ? 2 ** 30 : 2 ** 21;
      return address - (address % size) + ((lower & (size - 1) & ~(PAGE - 1)) >>> 0);
    }
    table = address;
  }
  return undefined;
}

/**
 * Calls `look` with each word from the stack pointer up to the end of the kernel's stack, or of what is mapped or looked at: its two
 * halves, and where it is above the stack pointer. Until it says true.
 */
function eachWord(
  cpu: SampledCpu,
  rsp: bigint,
  look: (lower: number, upper: number, offset: number) => boolean,
): void {
  const { stackBytes, sampledStackBytes } = PROFILE_LIMITS;
  const start = BigInt.asUintN(64, rsp + BigInt(WORD - 1)) & ~BigInt(WORD - 1);
  const bytes = Math.min(stackBytes - Number(start % BigInt(stackBytes)), sampledStackBytes);
  const cr3 = Number(cpu.getControl("cr3") & 0x000f_ffff_ffff_f000n);
  for (let offset = 0; offset < bytes; ) {
    const virtual = start + BigInt(offset);
    const page = physicalPage(cpu, cr3, virtual);
    if (page === undefined || page + PAGE > cpu.memory.bytes) return;
    cpu.memory.copyPage(page / PAGE, STACK_PAGE);
    for (let at = Number(virtual % BigInt(PAGE)); at < PAGE && offset < bytes; at += WORD, offset += WORD) {
      if (look(STACK_WORDS[at / 4]!, STACK_WORDS[at / 4 + 1]!, offset)) return;
    }
  }
}

const wordOf = (lower: number, upper: number): bigint => (BigInt(upper) << 32n) | BigInt(lower);

function candidates(cpu: SampledCpu, rsp: bigint): StackWord[] {
  const words: StackWord[] = [];
  eachWord(cpu, rsp, (lower, upper, offset) => {
    if (upper === UPPER_WORD && lower >= TEXT_LOWER_WORD) words.push({ offset, value: wordOf(lower, upper) });
    return words.length === PROFILE_LIMITS.wordsPerSample;
  });
  return words;
}

/** The frame that the guest left behind on emu's stack when it came there: RIP, CS, RFLAGS, RSP, SS. */
function guestOfEmu(cpu: SampledCpu): { readonly rip: bigint; readonly rsp: bigint } | undefined {
  /** The last five words, lower half first. */
  const last = new Array<number>(10).fill(0);
  let found: { readonly rip: bigint; readonly rsp: bigint } | undefined;
  eachWord(cpu, cpu.getRegister("rsp"), (lower, upper) => {
    last.splice(0, 2);
    last.push(lower, upper);
    if (last[2] !== FLAT_CS64 || last[3] !== 0 || last[8] !== FLAT_SS || last[9] !== 0) return false;
    found = { rip: wordOf(last[0]!, last[1]!), rsp: wordOf(last[6]!, last[7]!) };
    return true;
  });
  return found;
}
