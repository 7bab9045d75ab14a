import type { PageStore } from "../memory/page-store.ts";

/** Why `Cpu.run` came back. */
export type CpuExit =
  /** `instructions` reached the limit that was given to `run`. */
  | { readonly kind: "limit" }
  /** HLT was executed and nothing woke the processor; `interruptsEnabled` is RFLAGS.IF at that moment. */
  | { readonly kind: "halt"; readonly interruptsEnabled: boolean }
  /** IN: call `completeIn(value)` before the next `run`. `size` is 1, 2 or 4 bytes. */
  | { readonly kind: "in"; readonly port: number; readonly size: number }
  /** OUT, already retired. */
  | { readonly kind: "out"; readonly port: number; readonly size: number; readonly value: number }
  /** An exception about to be delivered; only if intercepted. CR2 is that of a page fault. */
  | { readonly kind: "exception"; readonly vector: number; readonly errorCode: number | null }
  /** VMCALL or VMMCALL was executed; already retired. */
  | { readonly kind: "vmcall" }
  /** CPUID, already retired; the registers hold the processor's own answer. Only if intercepted, as what follows. */
  | { readonly kind: "cpuid"; readonly leaf: number; readonly subleaf: number }
  /** RDMSR or WRMSR of an MSR that is not the processor's: call `completeMsr` or `refuseMsr` before the next `run`. */
  | { readonly kind: "rdmsr"; readonly msr: number }
  | { readonly kind: "wrmsr"; readonly msr: number; readonly value: bigint }
  /** The interrupt on the line was taken, and the line lowered. */
  | { readonly kind: "interrupt"; readonly vector: number }
  /** An instruction is about to access a page of device registers: call `accessDevice`. */
  | { readonly kind: "device" }
  /** Triple fault (shutdown state, SDM vol. 3A 6.15). */
  | { readonly kind: "shutdown" };

/** Registers of devices that lie in guest-physical address space. Addresses are multiples of 4, values have 32 bits. */
export interface DeviceRegisters {
  /** Must not change anything: an instruction that writes reads first. */
  read(address: number): number;
  write(address: number, value: number): void;
}

/** Guest-physical memory as the host half sees it. Addresses are guest-physical byte addresses below `bytes`. */
export interface PhysicalMemory {
  /** Size of guest-physical memory in bytes. */
  readonly bytes: number;
  /** A copy of `length` bytes at `address`. Throws RangeError outside memory. */
  read(address: number, length: number): Uint8Array;
  /** Writes bytes; marks pages dirty and drops decoded code and translations that depended on them. */
  write(address: number, bytes: Uint8Array): void;
  /**
   * Like `write`, before the processor has run for the first time: whole pages that are not resident go to the page store,
   * so that filling memory does not fill the pool.
   */
  load(address: number, bytes: Uint8Array): void;
  readU8(address: number): number;
  readU32(address: number): number;
  readU64(address: number): bigint;
  writeU8(address: number, value: number): void;
  writeU32(address: number, value: number): void;
  writeU64(address: number, value: bigint): void;
  /** Resident pages that differ from the page store, ascending: the others were stored when they lost their frame. */
  dirtyPages(): number[];
  /** How many there are of them, without a list. */
  countDirtyPages(): number;
  /** A live view of one page (4096 bytes), valid only until the next call into the core or this object. */
  page(gfn: number): Uint8Array;
  /** Copies a page (4096 bytes) into `into` without making it resident. False: it is nowhere, and so all zero. */
  copyPage(gfn: number, into: Uint8Array): boolean;
  /** Call when every dirty page was stored. */
  clearDirty(): void;
}

/** How the pool of frames does. Counts are of pages, since the processor was made. */
export interface Paging {
  /** Most pages that can be resident. */
  readonly poolPages: number;
  /** Pages that have a frame, and the most that ever had one. */
  readonly residentPages: number;
  readonly peakResidentPages: number;
  /** Times a page got a frame, which the page store filled unless it had no such page. */
  readonly pagesIn: number;
  /** Pages written to the store to make room, their neighbours included: not those of a checkpoint. */
  readonly pagesOut: number;
  /** Times a page lost its frame. */
  readonly evictions: number;
  /** The core's linear memory: frames, tables, decoded code. */
  readonly linearMemoryBytes: number;
}

export interface CpuOptions {
  /** core.wasm, compiled. */
  readonly module: WebAssembly.Module;
  /** Guest-physical memory in 4 KiB pages (RAM and whatever else, such as emu's region). */
  readonly pages: number;
  /**
   * Most pages resident at a time; the others are in the store. Default and minimum: POOL_LIMITS. Infinity for all of them.
   * The guest cannot tell the difference.
   */
  readonly poolPages?: number;
  readonly store: PageStore;
  /** Seed of RDRAND and RDSEED. */
  readonly seed?: bigint;
  /** What CPUID offers, see featureMask in models.ts. Default: everything. */
  readonly features?: number;
}

/** General registers in the order of their encoding. */
export const GPR_NAMES = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;
/** The general registers, then RIP and RFLAGS. */
export const REGISTER_NAMES = [...GPR_NAMES, "rip", "rflags"] as const;
export type RegisterName = (typeof REGISTER_NAMES)[number];

/** What a processor with a hypervisor around it can do besides. */
export interface VirtualCpuApi extends CpuApi {
  /** From now on CPUID, foreign MSRs, VMCALL, VMMCALL and interrupts leave `run`. Part of the saved state. */
  interceptAll(): void;
  /** Ends an RDMSR with this value. A WRMSR that is accepted needs no call. */
  completeMsr(value: bigint): void;
  /** Makes the RDMSR or WRMSR #GP(0). */
  refuseMsr(): void;
  /** Bit n: exceptions of instructions, with vector n, leave `run` before they are delivered. Part of the saved state. */
  interceptExceptions(vectors: number): void;
  /** Delivers the exception that made `run` return, exactly as if it never had. False: triple fault. */
  deliverException(vector: number, errorCode: number | null): boolean;
  /** Drops all translations, global ones too. */
  flushTranslations(): void;
  /** Bases of CS and SS; zero in 64-bit code. */
  readonly codeBase: bigint;
  readonly stackBase: bigint;
  raiseNmi(): void;
  /** Makes up to two pages outside memory ones of device registers, accesses to which leave `run`. Part of the saved state. */
  setDevicePages(gfns: readonly number[]): void;
  /**
   * Executes the instruction that made `run` return with "device", on these registers, with the interrupt line lowered. What
   * comes back is the exit it led to; "limit" if to none.
   */
  accessDevice(registers: DeviceRegisters): CpuExit;
  /** GDTR, and flat segments: these selectors, which the table must have, for code of so many bits. */
  setFlatSegments(
    gdt: { readonly base: number; readonly limit: number },
    code: number,
    data: number,
    bits: 32 | 64,
  ): void;
}

/** The x86 processor: registers, ports, an interrupt line, a clock of retired instructions, and memory. */
export interface CpuApi {
  readonly memory: PhysicalMemory;
  /** What the pool of frames has cost so far. */
  readonly paging: Paging;
  /** Instructions retired since power-on. An exception's faulting instruction does not count; a REP instruction counts once. */
  readonly instructions: number;
  /** Time-stamp counter ticks skipped while idle. TSC = instructions + idleTicks; one tick is 1 ns of guest time. */
  idleTicks: number;
  /** Runs until `instructions === limit` or another exit. */
  run(limit: number): CpuExit;
  completeIn(value: number): void;
  /** The external interrupt line: taken with this vector whenever RFLAGS.IF allows, until set to undefined. */
  setInterrupt(vector: number | undefined): void;
  getRegister(name: RegisterName): bigint;
  setRegister(name: RegisterName, value: bigint): void;
  getControl(name: "cr0" | "cr2" | "cr3" | "cr4" | "efer"): bigint;
  /** Privilege and width of the code that is running. */
  readonly privilege: number;
  readonly isIn64BitCode: boolean;
  /**
   * Puts the processor into 64-bit mode, ring 0, flat segments (hidden parts loaded, no GDT), interrupts off, NX and
   * SYSCALL enabled (EFER.LME, LMA, NXE, SCE), CR0 = PG|WP|NE|ET|MP|PE, CR4 = PAE|OSFXSR|OSXMMEXCPT, CR3 as given.
   */
  enterLongMode(cr3: number): void;
  /** 32-bit protected mode, ring 0, flat segments without a GDT, paging and interrupts off. */
  enterProtectedMode(): void;
  /** All that instructions can see of the processor except memory: equal bytes if and only if in equal states. */
  architecturalState(): Uint8Array;
  /** The whole processor state except memory, as bytes; `loadState` of the same version restores it. */
  saveState(): Uint8Array;
  loadState(state: Uint8Array): void;
}
