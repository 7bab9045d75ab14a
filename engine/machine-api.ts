import type { Paging } from "./cpu/types.ts";
import type { ByteSource } from "./loader/source.ts";
import type { Spool } from "./loader/spool.ts";
import type { PageStore } from "./memory/page-store.ts";
import type { StackSample } from "./profile/sample.ts";

/** How a guest is started, and what it finds: a Xen PV guest on emu, a PVH guest on the bare processor, or a PC with Xen below. */
export type GuestMode = "pv" | "pvh" | "hvm";

/** What a machine is made from. */
export interface MachineConfig {
  /** Default "pv". */
  readonly mode?: GuestMode;
  /** The kernel file as given: ELF or bzImage. */
  readonly kernel: Uint8Array | ByteSource;
  readonly initrd?: Uint8Array | ByteSource;
  readonly cmdline: string;
  /** Guest RAM in MiB. */
  readonly memoryMiB: number;
  /** What CPUID offers: "v1", "v2", "v2,-sse4.2" (engine/cpu/models.ts). Default "v2". */
  readonly cpu?: string;
  /** Seed of every random source offered to the guest. */
  readonly seed: bigint;
  /** Wall-clock time at start of day, seconds since 1970-01-01 UTC. */
  readonly startTime: number;
}

/** What a checkpoint says of its machine. */
export interface StatedMachine {
  readonly mode: GuestMode;
  readonly memoryMiB: number;
}

/** Console input, and the instruction count at which the guest got it: what a replay needs. */
export interface RecordedInput {
  readonly instructions: number;
  readonly bytes: readonly number[];
}

/** The two compiled parts every machine needs; how they are loaded is the platform's business. */
export interface EngineParts {
  /** core.wasm, compiled. */
  readonly core: WebAssembly.Module;
  /** emu64.elf. */
  readonly emu64: Uint8Array;
  /** emu32pae.elf; without it 32-bit PV guests are not offered. */
  readonly emu32pae?: Uint8Array;
  /**
   * Most guest pages in memory at a time, the others being in the page store; default POOL_LIMITS.poolPages, Infinity for
   * all. Nothing that the guest does or shows depends on it.
   */
  readonly poolPages?: number;
}

/** Why a slice ended. */
export type SliceEnd =
  /** The instruction budget was used up; the guest wants to go on. */
  | { readonly kind: "budget" }
  /** SCHEDOP_shutdown: xen/include/public/sched.h SHUTDOWN_*. */
  | {
      readonly kind: "shutdown";
      readonly reason: "poweroff" | "reboot" | "suspend" | "crash" | "watchdog" | "soft_reset" | "unknown";
      readonly code: number;
    }
  /** The processor triple-faulted, or emu gave up on the guest; `message` says why. */
  | { readonly kind: "crash"; readonly message: string }
  /** The guest waits for an event that can never come: no timer is armed and no input is queued. */
  | { readonly kind: "idle" };

export interface HypercallCount {
  /** "mmuext_op" */
  readonly hypercall: string;
  /** "MMUEXT_PIN_L4_TABLE"; null for a hypercall without sub-operations. */
  readonly subop: string | null;
  readonly calls: number;
  /** Calls that were served inside the guest: by emu alone, with no port access, or by the code in the hypercall pages. */
  readonly inEmu: number;
  /** Calls that left the guest through a port. */
  readonly byPort: number;
  /** Calls that left the guest by VMCALL or VMMCALL; only in mode "pvh", where no emu is between. */
  readonly byVmcall?: number;
  /** Calls that returned a negative errno. */
  readonly errors: number;
  /** Guest instructions spent from entry of emu to its exit. */
  readonly instructions: number;
}

export interface HypercallStatistics {
  readonly hypercalls: readonly HypercallCount[];
  readonly totals: Omit<HypercallCount, "hypercall" | "subop"> & {
    /** inEmu / calls, 0..1 */
    readonly shareInEmu: number;
  };
  /** Traps bounced to the guest or served by emu, by kind ("page_fault", "general_protection", "user_syscall" ...). */
  readonly traps: Readonly<Record<string, number>>;
  readonly upcalls: number;
  readonly cr3Switches: number;
}

export interface MachineApi {
  /** Guest instructions retired since start of day. */
  readonly instructions: number;
  /** Guest time since start of day in nanoseconds (instructions + skipped idle time). */
  readonly guestNanoseconds: number;
  /** Runs at most `budget` instructions (idle time costs none). */
  run(budget: number): SliceEnd;
  /** Console output produced since the last call (may be empty). */
  takeConsole(): Uint8Array;
  /** Queues console input for the guest; recorded at the present instruction count. */
  input(bytes: Uint8Array): void;
  statistics(): HypercallStatistics;
  /**
   * A hash of the whole state: guest memory, processor, devices and clock, 16 hexadecimal digits. Machines with the same
   * configuration, input and instruction count have the same, however they came there. Reads all of memory.
   */
  stateHash(): string;
  /** Where the guest is at this instruction, for a profile. Changes nothing. */
  sample(): StackSample;
  /** How the pool of frames does, since the machine was created or restored. The guest does not depend on it. */
  readonly paging: Paging;
  /** Pages that a checkpoint would write now. Looks through all of them: some 30 us for 128 MiB of RAM. */
  readonly dirtyPages: number;
  /** Writes pages dirtied since the last checkpoint to the store and returns the rest of the state. */
  checkpoint(): { readonly state: Uint8Array; readonly pagesWritten: number };
}

/**
 * engine/machine.ts exports these two. `create` rejects with a LoadError (engine/loader/errors.ts) for a bad kernel or initrd.
 * It reads both in pieces, writes the guest's pages to the store, and needs `spool` (one in memory, if none is given) for
 * the decompressed kernel in between; it clears it.
 */
export interface MachineFactory {
  create(parts: EngineParts, config: MachineConfig, store: PageStore, spool?: Spool): Promise<MachineApi>;
  restore(parts: EngineParts, state: Uint8Array, store: PageStore): MachineApi;
}
