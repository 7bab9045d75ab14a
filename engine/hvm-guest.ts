import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { featureMask } from "./cpu/models.ts";
import type { CpuExit, CpuOptions, VirtualCpuApi } from "./cpu/types.ts";
import { START } from "./hvm-start.ts";
import { DOMAIN_LIMITS } from "./limits.ts";
import { LoadError } from "./loader/errors.ts";
import { MemorySpool, type Spool } from "./loader/spool.ts";
import type {
  EngineParts,
  GuestMode,
  HypercallStatistics,
  MachineApi,
  MachineConfig,
  RecordedInput,
  SliceEnd,
} from "./machine-api.ts";
import { flushDirtyPages } from "./memory/flush.ts";
import type { PageStore } from "./memory/page-store.ts";
import { furnishXenstore, poolOf, XenGuest } from "./xen-guest.ts";
import { cpuidOf } from "./xenner/hvm/cpuid.ts";
import { HvmHost, type HvmMode, type SavedHvmHost } from "./xenner/hvm/host.ts";
import { HYPERCALL_PORT } from "./xenner/hvm/hypercall-page.ts";
import { pvhRegion } from "./xenner/hvm/layout.ts";
import { uuidFromSeed } from "./xenner/uuid.ts";

/** The JSON part of a checkpoint. */
interface SavedHvmGuest {
  readonly mode: HvmMode;
  readonly ramPages: number;
  readonly inputs: readonly RecordedInput[];
  readonly host: SavedHvmHost;
}

/** Registers of a hypercall's arguments in 64-bit and in 32-bit code. */
const WIDE_ARGUMENTS = ["rdi", "rsi", "rdx", "r10", "r8", "r9"] as const;
const NARROW_ARGUMENTS = ["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"] as const;

/**
 * A guest in mode "pvh" or "hvm": the bare processor with a hypervisor around it, and xenner as that hypervisor. As for a PV
 * guest, how its run is cut into slices does not show: the interrupt line changes only where the guest left its own code or
 * a timer fired.
 */
export class HvmGuest extends XenGuest<VirtualCpuApi, HvmHost> implements MachineApi {
  readonly #ramPages: number;
  readonly #mode: HvmMode;

  constructor(
    mode: HvmMode,
    cpu: VirtualCpuApi,
    store: PageStore,
    ramPages: number,
    host: HvmHost,
    inputs?: readonly RecordedInput[],
  ) {
    super(cpu, store, host, inputs);
    this.#mode = mode;
    this.#ramPages = ramPages;
    this.#setInterrupt();
  }

  run(budget: number): SliceEnd {
    const cpu = this.cpu;
    const host = this.host;
    const target = cpu.instructions + budget;
    for (;;) {
      host.advance(this.guestNanoseconds);
      this.#setInterrupt();
      if (host.end !== undefined) return host.end;
      const isFull = host.console.pendingOutput >= DOMAIN_LIMITS.consoleChunkBytes;
      if (cpu.instructions >= target || isFull) return { kind: "budget" };
      if (host.isWaiting) {
        if (!this.#skipIdleTime()) return { kind: "idle" };
        continue;
      }
      const exit = cpu.run(this.#limit(target));
      if (exit.kind === "halt" && exit.interruptsEnabled) {
        host.settle();
        this.#setInterrupt();
        if (host.interrupt === undefined && !this.#skipIdleTime()) return { kind: "idle" };
        continue;
      }
      this.#serve(exit);
    }
  }

  input(bytes: Uint8Array): void {
    this.recordInput(bytes);
    this.host.input(bytes);
  }

  statistics(): HypercallStatistics {
    return this.host.statistics();
  }

  checkpoint(): { readonly state: Uint8Array; readonly pagesWritten: number } {
    const pagesWritten = flushDirtyPages(this.cpu.memory, this.store);
    const saved: SavedHvmGuest = {
      mode: this.#mode,
      ramPages: this.#ramPages,
      inputs: this.inputs,
      host: this.host.save(),
    };
    return { state: encodeCheckpoint(saved, this.cpu.saveState()), pagesWritten };
  }

  /** Does what the guest left its code for, except HLT with interrupts enabled. */
  #serve(exit: CpuExit): void {
    const cpu = this.cpu;
    const host = this.host;
    switch (exit.kind) {
      case "limit":
        return;
      case "exception":
        if (host.takeFault(exit.vector)) {
          this.#hypercall("port");
          break;
        }
        if (cpu.deliverException(exit.vector, exit.errorCode)) return;
        host.crash(`triple fault at rip 0x${cpu.getRegister("rip").toString(16)}`);
        break;
      case "interrupt":
        host.acknowledge(exit.vector);
        return;
      case "in":
        cpu.completeIn(host.read(exit.port, exit.size, this.guestNanoseconds));
        break;
      case "out":
        if (exit.port === HYPERCALL_PORT) this.#hypercall("port");
        else host.write(exit.port, exit.size, exit.value, this.guestNanoseconds);
        break;
      case "device":
        this.#serve(
          cpu.accessDevice({
            read: (address) => host.readMemory(address, this.guestNanoseconds),
            write: (address, value) => host.writeMemory(address, value, this.guestNanoseconds),
          }),
        );
        break;
      case "vmcall":
        this.#hypercall("vmcall");
        break;
      case "cpuid":
        this.#cpuid(exit.leaf, exit.subleaf);
        return;
      case "rdmsr": {
        const value = host.readMsr(exit.msr, this.guestNanoseconds);
        if (value === undefined) cpu.refuseMsr();
        else cpu.completeMsr(value);
        break;
      }
      case "wrmsr":
        if (!host.writeMsr(exit.msr, exit.value, this.guestNanoseconds)) cpu.refuseMsr();
        break;
      case "halt":
        host.halted();
        break;
      case "shutdown":
        host.crash(`triple fault at rip 0x${cpu.getRegister("rip").toString(16)}`);
        break;
    }
    host.settle();
  }

  #hypercall(path: "vmcall" | "port"): void {
    const cpu = this.cpu;
    const wide = cpu.isIn64BitCode;
    const register = (name: (typeof WIDE_ARGUMENTS | typeof NARROW_ARGUMENTS)[number]): bigint =>
      wide ? cpu.getRegister(name) : BigInt.asUintN(32, cpu.getRegister(name));
    const args = (wide ? WIDE_ARGUMENTS : NARROW_ARGUMENTS).map(register);
    const number = Number(BigInt.asUintN(32, cpu.getRegister("rax")));
    const result = this.host.hypercall(number, args, wide, cpu.privilege === 0, path, this.guestNanoseconds);
    cpu.setRegister("rax", BigInt.asUintN(wide ? 64 : 32, result));
  }

  #cpuid(leaf: number, subleaf: number): void {
    const cpu = this.cpu;
    const own = (name: "rax" | "rbx" | "rcx" | "rdx"): number => Number(cpu.getRegister(name));
    const result = cpuidOf(leaf, subleaf, {
      eax: own("rax"),
      ebx: own("rbx"),
      ecx: own("rcx"),
      edx: own("rdx"),
    });
    cpu.setRegister("rax", BigInt(result.eax >>> 0));
    cpu.setRegister("rbx", BigInt(result.ebx >>> 0));
    cpu.setRegister("rcx", BigInt(result.ecx >>> 0));
    cpu.setRegister("rdx", BigInt(result.edx >>> 0));
  }

  /** The instruction count at which the processor has to stop: the slice ends, or a timer fires. */
  #limit(target: number): number {
    const { deadline } = this.host;
    return deadline === undefined ? target : Math.min(target, deadline - this.cpu.idleTicks);
  }

  /** Nothing happens before the next timer fires: let it be that time now. False if nothing will ever happen. */
  #skipIdleTime(): boolean {
    const { deadline } = this.host;
    if (deadline === undefined) return false;
    const ns = Math.max(0, deadline - this.guestNanoseconds);
    this.cpu.idleTicks += ns;
    this.host.wasIdle(ns, this.guestNanoseconds);
    return true;
  }

  #setInterrupt(): void {
    this.cpu.setInterrupt(this.host.interrupt);
  }
}

/** What makes processors that can be intercepted; undefined if this build of the core cannot. */
export type CreateVirtualCpu = (options: CpuOptions) => VirtualCpuApi | undefined;

/** For a build without it. */
export function modeNotOffered(mode: GuestMode): LoadError {
  return new LoadError({
    code: "mode-not-offered",
    what: `this build does not offer the mode "${mode}" yet`,
    remedy: 'Run the kernel in mode "pv"',
  });
}

/** A factory for guests in modes "pvh" and "hvm": see MachineFactory in machine-api.ts. */
export function hvmFactory(createCpu: CreateVirtualCpu) {
  return {
    /** @throws LoadError for a kernel, initrd, memory size or command line that cannot be booted */
    async create(
      mode: HvmMode,
      parts: EngineParts,
      config: MachineConfig,
      store: PageStore,
      spool: Spool = new MemorySpool(),
    ): Promise<HvmGuest> {
      const start = await START[mode](config, spool);
      const cpu = createCpu({
        module: parts.core,
        pages: start.machinePages,
        ...poolOf(parts),
        store,
        seed: config.seed,
        ...(config.cpu !== undefined && { features: featureMask(config.cpu) }),
      });
      if (cpu === undefined) throw modeNotOffered(mode);
      await start.build(cpu);
      spool.clear();
      cpu.interceptAll();
      const uuid = uuidFromSeed(config.seed);
      const host = new HvmHost(cpu, start.ramPages, { startTime: config.startTime, uuid, mode });
      furnishXenstore(host.xenstore, config, uuid, start);
      return new HvmGuest(mode, cpu, store, start.ramPages, host);
    },

    /** Undefined if the state is not that of such a guest. @throws CheckpointError */
    restore(parts: EngineParts, state: Uint8Array, store: PageStore): HvmGuest | undefined {
      const { devices, cpu: cpuState } = decodeCheckpoint(state);
      const { mode } = devices as Partial<SavedHvmGuest>;
      if (mode === undefined || !(mode in START)) return undefined;
      const saved = devices as SavedHvmGuest;
      const { machinePages } = pvhRegion(saved.ramPages);
      const cpu = createCpu({ module: parts.core, pages: machinePages, ...poolOf(parts), store });
      if (cpu === undefined) return undefined;
      cpu.loadState(cpuState);
      const host = new HvmHost(cpu, saved.ramPages, saved.host);
      return new HvmGuest(saved.mode, cpu, store, saved.ramPages, host, saved.inputs);
    },
  };
}
