import type { PhysicalMemory, RegisterName } from "../cpu/types.ts";
import { PROFILE_LIMITS } from "../limits.ts";
import { GuestVirtual, type PagingSource } from "../xenner/hvm/guest-virtual.ts";

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
export interface SampledCpu extends PagingSource {
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
const FLAT_CS64 = 0xe033n;
const FLAT_SS = 0xe02bn;

const WORD = 8;

/** Looks where the processor is. Reads guest memory, changes nothing that the guest or a state hash can see. */
export function takeSample(cpu: SampledCpu): StackSample {
  const rip = cpu.getRegister("rip");
  if (!cpu.isIn64BitCode) {
    const isUser = cpu.privilege === 3 && rip < KERNEL_32;
    return { kind: isUser ? "user" : "kernel", rip, stack: [] };
  }
  const virtual = new GuestVirtual(cpu.memory, cpu);
  if (rip >= EMU_SLOT && rip < EMU_SLOT_END) {
    const below = guestOfEmu(readStack(virtual, cpu.getRegister("rsp")));
    if (below === undefined) return { kind: "emu", rip: 0n, stack: [] };
    return { kind: "emu", rip: below.rip, stack: isKernel(below.rip) ? candidates(virtual, below.rsp) : [] };
  }
  if (!isKernel(rip)) return { kind: cpu.privilege === 3 ? "user" : "kernel", rip, stack: [] };
  return { kind: "kernel", rip, stack: candidates(virtual, cpu.getRegister("rsp")) };
}

function isKernel(rip: bigint): boolean {
  return rip >= UPPER_HALF;
}

/** The words from the stack pointer up to the end of the kernel's stack, or of what is mapped or looked at. */
function readStack(virtual: GuestVirtual, rsp: bigint): BigUint64Array {
  const { stackBytes, sampledStackBytes } = PROFILE_LIMITS;
  const start = BigInt.asUintN(64, rsp + BigInt(WORD - 1)) & ~BigInt(WORD - 1);
  const room = stackBytes - Number(start % BigInt(stackBytes));
  const bytes = virtual.read(start, Math.min(room, sampledStackBytes));
  return bytes === undefined ? new BigUint64Array(0) : new BigUint64Array(bytes.buffer);
}

function candidates(virtual: GuestVirtual, rsp: bigint): StackWord[] {
  const stack = readStack(virtual, rsp);
  // Halves of words, because most of them are of no interest and 64-bit numbers are slow.
  const halves = new Uint32Array(stack.buffer);
  const words: StackWord[] = [];
  for (let index = 0; index < stack.length && words.length < PROFILE_LIMITS.wordsPerSample; index++) {
    if (halves[2 * index + 1] !== UPPER_WORD || halves[2 * index]! < TEXT_LOWER_WORD) continue;
    words.push({ offset: index * WORD, value: stack[index]! });
  }
  return words;
}

/** The frame that the guest left behind on emu's stack when it came there: RIP, CS, RFLAGS, RSP, SS. */
function guestOfEmu(stack: BigUint64Array): { readonly rip: bigint; readonly rsp: bigint } | undefined {
  for (let at = 0; at + 4 < stack.length; at++) {
    if (stack[at + 1] !== FLAT_CS64 || stack[at + 4] !== FLAT_SS) continue;
    return { rip: stack[at]!, rsp: stack[at + 3]! };
  }
  return undefined;
}
