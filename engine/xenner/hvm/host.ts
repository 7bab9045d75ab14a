import type { PhysicalMemory } from "../../cpu/types.ts";
import { DOMAIN_LIMITS } from "../../limits.ts";
import type { GuestMode, SliceEnd } from "../../machine-api.ts";
import { PcPlatform, type SavedPcPlatform } from "../../platform/pc-platform.ts";
import type { Platform, PlatformSinks } from "../../platform/platform.ts";
import { PvhPlatform, type SavedPvhPlatform } from "../../platform/pvh-platform.ts";
import { CONSOLE_PORT, PAGE_BYTES, XENSTORE_PORT } from "../abi.ts";
import { ConsoleBackend, type SavedConsole } from "../console.ts";
import { GUEST_DOMID } from "../domain-builder.ts";
import { shutdownEnd } from "../host.ts";
import { type SavedXenstore, Xenstore } from "../xenstore/xenstore.ts";
import { Blob, type PageProcessor, type SavedBlob } from "./blob.ts";
import { HYPERCALL_MSR } from "./cpuid.ts";
import { ERRNO } from "./errors.ts";
import { EVTCHNOP_BYTES, EventChannels, type SavedEventChannels, VIRQ_TIMER } from "./event-channels.ts";
import { grantTableOp } from "./grant-table-op.ts";
import { GuestStructure } from "./guest-structure.ts";
import { GuestVirtual } from "./guest-virtual.ts";
import { HVMOP, HvmOp, type SavedHvmOp } from "./hvm-op.ts";
import { HYPERCALL_PORT } from "./hypercall-page.ts";
import { hasXapicPage, pvhRegion } from "./layout.ts";
import { linuxRegion } from "./linux-domain.ts";
import { MemoryOp, type SavedMemoryOp } from "./memory-op.ts";
import { schedOp, type Wait } from "./sched-op.ts";
import { type SavedSharedInfo, SharedInfo } from "./shared-info.ts";
import { HvmStatistics, type HypercallPath, type SavedStatistics } from "./statistics.ts";
import { MULTICALL_ENTRY } from "./structures.ts";
import { type SavedVcpu, Vcpu } from "./vcpu-op.ts";
import { xenVersion } from "./version.ts";

const SHUTDOWN_POWEROFF = 0;
const SHUTDOWN_REBOOT = 1;
const MAX_MULTICALLS = 4096;
/** Lengths of the instructions that make hypercalls: VMCALL or VMMCALL, and the hypercall pages' OUT. */
const CALL_BYTES = { vmcall: 3n, port: 2n } as const;
/** Registers of a hypercall's first arguments. */
const WIDE_ARGUMENTS = ["rdi", "rsi", "rdx"] as const;
const NARROW_ARGUMENTS = ["rbx", "rcx", "rdx"] as const;

/** Numbers of the hypercalls an HVM guest has. */
const CALL = {
  memory_op: 12,
  multicall: 13,
  set_timer_op: 15,
  xen_version: 17,
  console_io: 18,
  grant_table_op: 20,
  vm_assist: 21,
  vcpu_op: 24,
  sched_op: 29,
  event_channel_op: 32,
  hvm_op: 34,
} as const;

/** What the host half does with the processor besides memory: a part of engine/cpu's Cpu. */
export interface HvmProcessor extends PageProcessor {
  flushTranslations(): void;
  setRegister(name: "rip" | "rsp" | "rdi" | "rsi" | "rbx" | "rcx" | "rdx" | "r11", value: bigint): void;
  readonly memory: PhysicalMemory;
  raiseNmi(): void;
}

export interface SavedHvmHost {
  readonly end: SliceEnd | null;
  readonly wait: Wait | null;
  readonly isInjecting: boolean;
  readonly startTime: number;
  readonly uuid: readonly number[];
  readonly shared: SavedSharedInfo;
  readonly blob: SavedBlob;
  readonly events: SavedEventChannels;
  readonly vcpu: SavedVcpu;
  readonly hvm: SavedHvmOp;
  readonly memory: SavedMemoryOp;
  /** The platform of one mode, or of the other. */
  readonly pvh: SavedPvhPlatform | null;
  readonly pc: SavedPcPlatform | null;
  readonly console: SavedConsole;
  readonly xenstore: SavedXenstore;
  readonly statistics: SavedStatistics;
}

/** What a new domain is told. */
export interface HvmDomain {
  /** Seconds since 1970-01-01 UTC. */
  readonly startTime: number;
  readonly uuid: Uint8Array;
  /** Which platform there is; default "pvh". */
  readonly mode?: HvmMode;
}

export type HvmMode = Exclude<GuestMode, "pv">;

/**
 * The host half of a domain in mode "pvh" or "hvm": hypercalls, the platform around the processor, and the one interrupt
 * line that its interrupt controllers and the event channels' callback share.
 */
export class HvmHost {
  readonly console: ConsoleBackend;
  readonly xenstore: Xenstore;
  readonly #processor: HvmProcessor;
  readonly #guest: GuestVirtual;
  readonly #shared: SharedInfo;
  readonly #blob: Blob;
  readonly #isWide: () => boolean;
  readonly #flush: () => void;
  readonly #events: EventChannels;
  readonly #vcpu: Vcpu;
  readonly #hvm: HvmOp;
  readonly #memoryOp: MemoryOp;
  readonly #platform: Platform;
  readonly #save: () => Pick<SavedHvmHost, "pvh" | "pc">;
  readonly #statistics: HvmStatistics;
  readonly #startTime: number;
  readonly #uuid: Uint8Array;
  #end: SliceEnd | undefined;
  #wait: Wait | undefined;
  /** The callback vector is on the interrupt line. */
  #isInjecting = false;
  /** Bytes that the present hypercall has printed, all entries of a multicall together. */
  #printed = 0;
  /** The arguments with which the present hypercall is to be made again, as it has not come to its end. */
  #left: readonly bigint[] | undefined;

  constructor(processor: HvmProcessor, ramPages: number, from: HvmDomain | SavedHvmHost) {
    const saved = "shared" in from ? from : undefined;
    const { memory } = processor;
    const isPc = saved === undefined ? (from as HvmDomain).mode === "hvm" : saved.pc !== null;
    const region = isPc ? linuxRegion(ramPages) : pvhRegion(ramPages);
    this.#startTime = from.startTime;
    this.#uuid = Uint8Array.from(from.uuid);
    this.#processor = processor;
    this.#guest = new GuestVirtual(memory, processor);
    this.#isWide = () => processor.isIn64BitCode;
    this.#flush = () => processor.flushTranslations();
    this.console = new ConsoleBackend(memory, region.console * PAGE_BYTES, saved?.console);
    this.xenstore = new Xenstore(memory, region.xenstore * PAGE_BYTES, GUEST_DOMID, saved?.xenstore);
    const sinks: PlatformSinks = {
      print: (bytes) => this.console.append(bytes),
      powerOff: () => this.#shutdown(SHUTDOWN_POWEROFF),
      reset: () => this.#shutdown(SHUTDOWN_REBOOT),
      nmi: () => processor.raiseNmi(),
    };
    if (isPc) {
      const { pciWindow } = linuxRegion(ramPages);
      const pc = new PcPlatform(sinks, from.startTime, pciWindow.address, saved?.pc ?? undefined);
      this.#platform = pc;
      this.#save = () => ({ pvh: null, pc: pc.save() });
    } else {
      const pvh = new PvhPlatform(sinks, hasXapicPage(region.machinePages), saved?.pvh ?? undefined);
      this.#platform = pvh;
      this.#save = () => ({ pvh: pvh.save(), pc: null });
    }
    this.#statistics = new HvmStatistics(saved?.statistics);
    this.#shared = new SharedInfo(
      memory,
      saved?.shared ?? {
        page: region.sharedInfo * PAGE_BYTES,
        vcpuInfo: null,
        wide: true,
        hasTail: false,
        isTwoLevel: true,
      },
      { magic: magicOf(this.#uuid), lastPage: region.machinePages - 1 },
    );
    this.#blob = new Blob(memory, this.#guest, processor, this.#shared, saved?.blob);
    const upcall = (): void => this.#upcall();
    this.#hvm = new HvmOp(this.#guest, region, upcall, saved?.hvm);
    this.#events = new EventChannels(
      memory,
      this.#shared,
      { upcall, notified: (port) => this.#notified(port) },
      saved?.events,
    );
    this.#vcpu = new Vcpu(
      memory,
      this.#guest,
      this.#shared,
      { upcall, nmi: sinks.nmi, down: () => this.#shutdown(SHUTDOWN_POWEROFF) },
      saved?.vcpu,
    );
    this.#memoryOp = new MemoryOp(memory, this.#guest, region, this.#shared, saved?.memory);
    if (saved === undefined) {
      this.#shared.initialise(from.startTime);
      this.#memoryOp.initialise();
      return;
    }
    this.#end = saved.end ?? undefined;
    this.#wait = saved.wait ?? undefined;
    this.#isInjecting = saved.isInjecting;
  }

  /** The vector on the interrupt line, undefined for none. */
  get interrupt(): number | undefined {
    return this.#isInjecting ? this.#hvm.callbackVector : this.#platform.pending;
  }

  /** When the next timer fires or a wait ends, in ns of guest time; undefined if none does. */
  get deadline(): number | undefined {
    const times = [this.#vcpu.deadline, this.#platform.deadline, this.#wait?.until ?? undefined];
    const set = times.filter((time) => time !== undefined);
    return set.length === 0 ? undefined : Math.min(...set);
  }

  /** Set once the guest is no more. */
  get end(): SliceEnd | undefined {
    return this.#end;
  }

  /** The processor waits inside of a hypercall. */
  get isWaiting(): boolean {
    return this.#wait !== undefined;
  }

  /** The processor took the interrupt with this vector. */
  acknowledge(vector: number): void {
    if (this.#isInjecting && vector === this.#hvm.callbackVector) {
      this.#isInjecting = false;
      this.#statistics.countUpcall();
      return;
    }
    if (vector === this.#hvm.upcallVector) this.#statistics.countUpcall();
    this.#platform.acknowledge(vector);
  }

  /** Fires the timers whose time has come. */
  advance(now: number): void {
    this.#platform.advance(now);
    if (this.#vcpu.advance(now)) this.#events.raiseVirq(VIRQ_TIMER);
    this.#wakeUp(now);
  }

  /**
   * The callback by vector is level-triggered: asserted as long as the upcall is pending. The level is looked at where the
   * guest has left its code by an instruction of its own, never where a slice ends, which must not show.
   */
  settle(): void {
    this.#isInjecting = this.#hvm.callbackVector !== undefined && this.#shared.upcallPending;
  }

  /** The processor was idle for so long, until `now`. */
  wasIdle(ns: number, now: number): void {
    this.#vcpu.wasIdle(ns, now);
  }

  /** Console input: for the serial port if somebody has it open, or knows of no Xen, else for Xen's console. */
  input(bytes: Uint8Array): void {
    if (this.#platform.input(bytes, this.#statistics.isEmpty)) return;
    if (!this.console.input(bytes)) return;
    this.#events.raise(CONSOLE_PORT);
    this.settle();
  }

  /** RDMSR; undefined is #GP. */
  readMsr(msr: number, now: number): bigint | undefined {
    return this.#platform.readMsr(msr, now);
  }

  /** WRMSR; false is #GP. */
  writeMsr(msr: number, value: bigint, now: number): boolean {
    return msr === HYPERCALL_MSR
      ? this.#installHypercallPage(value)
      : this.#platform.writeMsr(msr, value, now);
  }

  /** IN. */
  read(port: number, size: number, now: number): number {
    return this.#platform.read(port, size, now);
  }

  /** OUT, except to HYPERCALL_PORT. */
  write(port: number, size: number, value: number, now: number): void {
    this.#platform.write(port, size, value, now);
  }

  /** A read of 32 bits from a page of registers; `address` is a multiple of 4. */
  readMemory(address: number, now: number): number {
    return this.#platform.readMemory(address, now);
  }

  writeMemory(address: number, value: number, now: number): void {
    this.#platform.writeMemory(address, value, now);
  }

  /**
   * A hypercall of the kernel; `wide`: by 64-bit code. Returns the value for RAX. One that has not come to its end puts the
   * processor back to where it was made, with what is left in the registers, and returns the number.
   *
   * @param registers number and arguments, as wide as the guest's registers
   */
  hypercall(
    number: number,
    args: readonly bigint[],
    wide: boolean,
    isKernel: boolean,
    path: HypercallPath,
    now: number,
  ): bigint {
    this.#printed = 0;
    this.#memoryOp.begin();
    const result = isKernel ? this.#call(number, args, wide, now) : ERRNO.PERM;
    const left = this.#left;
    if (left !== undefined) {
      this.#left = undefined;
      const names = wide ? WIDE_ARGUMENTS : NARROW_ARGUMENTS;
      for (const [i, value] of left.entries()) this.#putRegister(names[i]!, value, wide);
      this.#putRegister("rip", this.#processor.getRegister("rip") - CALL_BYTES[path], wide);
      return BigInt(number);
    }
    if (path === "port") this.#blob.calledByPort();
    this.#statistics.count(number, args[0] ?? 0n, path, result < 0);
    return BigInt(result);
  }

  /**
   * An exception is about to be delivered to the guest. True: it was a hypercall that could not be served inside; serve it as
   * one that came by the port.
   */
  takeFault(vector: number): boolean {
    return this.#blob.takeFault(vector);
  }

  /**
   * The last processor was halted with interrupts disabled, as Linux does for "System halted": that is taken for a wish to be
   * powered off (hvm_hlt and hvm_vcpu_down of xen/arch/x86/hvm/hvm.c).
   */
  halted(): void {
    this.#shutdown(SHUTDOWN_POWEROFF);
  }

  /** Ends the domain for a reason of ours; the first reason counts. */
  crash(message: string): void {
    this.#end ??= { kind: "crash", message };
  }

  statistics(): ReturnType<HvmStatistics["report"]> {
    return this.#statistics.report(this.#shared.tailCounts());
  }

  save(): SavedHvmHost {
    return {
      end: this.#end ?? null,
      wait: this.#wait ?? null,
      isInjecting: this.#isInjecting,
      startTime: this.#startTime,
      uuid: [...this.#uuid],
      shared: this.#shared.save(),
      blob: this.#blob.save(),
      events: this.#events.save(),
      vcpu: this.#vcpu.save(),
      hvm: this.#hvm.save(),
      memory: this.#memoryOp.save(),
      ...this.#save(),
      console: this.console.save(),
      xenstore: this.xenstore.save(),
      statistics: this.#statistics.save(),
    };
  }

  #call(number: number, args: readonly bigint[], wide: boolean, now: number): number {
    const guest = this.#guest;
    const argument = (index: number): bigint => args[index] ?? 0n;
    const word = (index: number): number => Number(BigInt.asUintN(32, argument(index)));
    switch (number) {
      case CALL.memory_op:
        return this.#memoryOp.operate(word(0), argument(1), wide);
      case CALL.multicall:
        return this.#multicall(argument(0), word(1), wide, now);
      case CALL.set_timer_op:
        return this.#setTimer(wide ? argument(0) : (argument(1) << 32n) | argument(0));
      case CALL.xen_version:
        return xenVersion(guest, word(0), argument(1), wide, this.#uuid);
      case CALL.console_io:
        return this.#consoleIo(word(0), word(1), argument(2));
      case CALL.grant_table_op:
        return grantTableOp(guest, word(0), argument(1), word(2), wide);
      case CALL.vcpu_op:
        return this.#vcpu.operate(word(0), word(1), argument(2), wide, now);
      case CALL.sched_op:
        return this.#schedule(word(0), argument(1), wide, now);
      case CALL.event_channel_op:
        return this.#eventChannel(word(0), argument(1));
      case CALL.hvm_op: {
        const result = this.#hvm.operate(word(0), argument(1), wide);
        // As Xen, the callback's registration tells the word size of shared_info, besides the loading of hypercall pages.
        if (result === 0 && word(0) === HVMOP.set_param) this.#shared.setWide(wide, this.#startTime);
        if (result === 0 && word(0) === HVMOP.flush_tlbs) this.#flush();
        return result;
      }
      default:
        return ERRNO.NOSYS;
    }
  }

  #eventChannel(op: number, argument: bigint): number {
    const bytes = EVTCHNOP_BYTES[op];
    if (bytes === undefined) return ERRNO.NOSYS;
    const data = this.#guest.read(argument, bytes);
    if (data === undefined) return ERRNO.FAULT;
    const result = this.#events.operate(op, new DataView(data.buffer, data.byteOffset, data.byteLength));
    if (result !== 0) return result;
    return this.#guest.write(argument, data) ? 0 : ERRNO.FAULT;
  }

  #schedule(command: number, argument: bigint, wide: boolean, now: number): number {
    const result = schedOp(this.#guest, this.#shared, this.#events, command, argument, wide);
    switch (result.kind) {
      case "done":
        return result.value;
      case "shutdown":
        this.#shutdown(result.reason);
        return 0;
      case "wait":
        this.#wait = result.wait;
        this.#wakeUp(now);
        return 0;
    }
  }

  #setTimer(deadline: bigint): number {
    if (deadline === 0n) this.#vcpu.disarm();
    else this.#vcpu.arm(deadline);
    return 0;
  }

  #putRegister(name: Parameters<HvmProcessor["setRegister"]>[0], value: bigint, wide: boolean): void {
    this.#processor.setRegister(name, BigInt.asUintN(wide ? 64 : 32, value));
  }

  #consoleIo(command: number, count: number, argument: bigint): number {
    // CONSOLEIO_read is dom0's.
    if (command !== 0) return ERRNO.PERM;
    const part = Math.min(count, DOMAIN_LIMITS.consoleChunkBytes);
    const bytes = this.#guest.read(argument, part);
    if (bytes === undefined) return ERRNO.FAULT;
    this.#printed += part;
    this.console.append(bytes);
    if (part < count) this.#left = [0n, BigInt(count - part), argument + BigInt(part)];
    return 0;
  }

  /**
   * Once much was printed or moved, the call is made again for the other entries, and for what is left of one of them, so
   * that each ends; Xen does the same.
   */
  #multicall(list: bigint, count: number, wide: boolean, now: number): number {
    if (count > MAX_MULTICALLS) return ERRNO.INVAL;
    const entryBytes = BigInt(8 * (wide ? 8 : 4));
    for (let i = 0; i < count; i++) {
      const at = list + BigInt(i) * entryBytes;
      if (this.#printed >= DOMAIN_LIMITS.consoleChunkBytes || this.#memoryOp.hasDoneMuch) {
        this.#left = [at, BigInt(count - i)];
        return 0;
      }
      const entry = GuestStructure.read(this.#guest, at, wide, MULTICALL_ENTRY);
      if (entry === undefined) return ERRNO.FAULT;
      const args = [0, 1, 2, 3, 4, 5].map((n) => entry.get(`arg${n}`));
      const number = entry.number("op");
      const result = number === CALL.multicall ? ERRNO.NOSYS : this.#call(number, args, wide, now);
      const left = this.#left;
      if (left !== undefined) {
        for (const [n, value] of left.entries()) entry.set(`arg${n}`, value);
        this.#left = entry.write(this.#guest) ? [at, BigInt(count - i)] : undefined;
        return this.#left === undefined ? ERRNO.FAULT : 0;
      }
      this.#statistics.count(number, args[0] ?? 0n, "vmcall", result < 0);
      if (!entry.set("result", BigInt(result)).write(this.#guest)) return ERRNO.FAULT;
    }
    return 0;
  }

  #installHypercallPage(value: bigint): boolean {
    if (!this.#blob.install(value)) return false;
    this.#shared.setWide(this.#isWide(), this.#startTime);
    return true;
  }

  #notified(port: number): void {
    if (port === XENSTORE_PORT && this.xenstore.serve()) this.#events.raise(XENSTORE_PORT);
    if (port === CONSOLE_PORT && this.console.serve()) this.#events.raise(CONSOLE_PORT);
  }

  #upcall(): void {
    if (this.#hvm.upcallVector !== 0) this.#platform.request(this.#hvm.upcallVector);
    this.settle();
  }

  #wakeUp(now: number): void {
    const wait = this.#wait;
    if (wait === undefined) return;
    const isOver = wait.until !== null && wait.until <= now;
    const isMarked = wait.ports.some((port) => this.#events.isMarked(port));
    if (isOver || isMarked || this.#shared.upcallPending || this.#platform.pending !== undefined)
      this.#wait = undefined;
  }

  #shutdown(reason: number): void {
    this.console.drain();
    this.#end = shutdownEnd(reason);
  }
}

/** A number that is hardly found elsewhere, and not zero, for this domain. */
function magicOf(uuid: Uint8Array): number {
  return new DataView(uuid.buffer, uuid.byteOffset).getUint32(0, true) || 1;
}

/** The hypercall port, for whoever dispatches OUTs. */
export { HYPERCALL_PORT };
