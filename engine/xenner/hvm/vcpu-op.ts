/* HYPERVISOR_vcpu_op of an HVM guest's one processor, its timers and its runstate (xen/include/public/vcpu.h). */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { PAGE_BYTES } from "../abi.ts";
import { ERRNO } from "./errors.ts";
import { GuestStructure } from "./guest-structure.ts";
import type { GuestVirtual } from "./guest-virtual.ts";
import { type SharedInfo, timeInfo, VCPU_INFO_BYTES } from "./shared-info.ts";
import { PERIODIC, REGISTER_AREA, REGISTER_INFO, SINGLESHOT } from "./structures.ts";

const VCPUOP = {
  initialise: 0,
  up: 1,
  down: 2,
  is_up: 3,
  get_runstate_info: 4,
  register_runstate_memory_area: 5,
  set_periodic_timer: 6,
  stop_periodic_timer: 7,
  set_singleshot_timer: 8,
  stop_singleshot_timer: 9,
  register_vcpu_info: 10,
  send_nmi: 11,
  register_vcpu_time_memory_area: 13,
} as const;
/** VCPU_SSHOTTMR_future. */
const FUTURE = 1;
/** Xen's MIN_PERIODIC_TIMER: a shorter period is -EINVAL. */
const MIN_PERIOD_NS = 1_000_000;
const RUNSTATE_RUNNING = 0;
/** Indices into vcpu_runstate_info.time. */
const TIME_RUNNING = 0;
const TIME_BLOCKED = 2;

export interface SavedVcpu {
  readonly singleshot: number | null;
  readonly periodic: { readonly period: number; readonly next: number } | null;
  /** Guest-virtual address, as a decimal number, and the word size it was registered with. */
  readonly runstate: { readonly address: string; readonly wide: boolean } | null;
  readonly blockedNs: number;
  readonly lastChange: number;
}

/** What operations on the processor lead to. */
export interface VcpuSinks {
  upcall(): void;
  nmi(): void;
  /** VCPUOP_down of the last processor. */
  down(): void;
}

export class Vcpu {
  readonly #memory: PhysicalMemory;
  readonly #guest: GuestVirtual;
  readonly #shared: SharedInfo;
  readonly #sinks: VcpuSinks;
  #singleshot: number | undefined;
  #periodic: { readonly period: number; readonly next: number } | undefined;
  #runstate: { readonly address: bigint; readonly wide: boolean } | undefined;
  #blockedNs = 0;
  #lastChange = 0;

  constructor(
    memory: PhysicalMemory,
    guest: GuestVirtual,
    shared: SharedInfo,
    sinks: VcpuSinks,
    saved?: SavedVcpu,
  ) {
    this.#memory = memory;
    this.#guest = guest;
    this.#shared = shared;
    this.#sinks = sinks;
    if (saved === undefined) return;
    this.#singleshot = saved.singleshot ?? undefined;
    this.#periodic = saved.periodic ?? undefined;
    this.#runstate = saved.runstate
      ? { address: BigInt(saved.runstate.address), wide: saved.runstate.wide }
      : undefined;
    this.#blockedNs = saved.blockedNs;
    this.#lastChange = saved.lastChange;
  }

  /** When the next of its timers fires, in ns of guest time. */
  get deadline(): number | undefined {
    const times = [this.#singleshot, this.#periodic?.next].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Stops the timers whose time has come; true if VIRQ_TIMER is due. */
  advance(now: number): boolean {
    let due = false;
    if (this.#singleshot !== undefined && this.#singleshot <= now) {
      this.#singleshot = undefined;
      due = true;
    }
    if (this.#periodic !== undefined && this.#periodic.next <= now) {
      const { period, next } = this.#periodic;
      this.#periodic = { period, next: next + (Math.floor((now - next) / period) + 1) * period };
      due = true;
    }
    return due;
  }

  /** Arms the one-shot timer for an absolute time; a deadline beyond 2^53 ns (104 days) is as good as none. */
  arm(deadline: bigint): void {
    this.#singleshot = deadline > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(deadline);
  }

  disarm(): void {
    this.#singleshot = undefined;
  }

  /** The processor was idle for so long, until `now`. */
  wasIdle(ns: number, now: number): void {
    this.#blockedNs += ns;
    this.#lastChange = now;
    if (this.#runstate !== undefined) this.#giveRunstate(this.#runstate.address, this.#runstate.wide, now);
  }

  operate(command: number, id: number, argument: bigint, wide: boolean, now: number): number {
    if (id !== 0) return ERRNO.NOENT;
    switch (command) {
      case VCPUOP.initialise:
        return ERRNO.EXIST;
      case VCPUOP.up:
        return 0;
      case VCPUOP.down:
        this.#sinks.down();
        return 0;
      case VCPUOP.is_up:
        return 1;
      case VCPUOP.get_runstate_info:
        return this.#giveRunstate(argument, wide, now) ? 0 : ERRNO.FAULT;
      case VCPUOP.register_runstate_memory_area:
        return this.#registerRunstate(argument, wide, now);
      case VCPUOP.set_periodic_timer:
        return this.#setPeriodic(argument, wide, now);
      case VCPUOP.stop_periodic_timer:
        this.#periodic = undefined;
        return 0;
      case VCPUOP.set_singleshot_timer:
        return this.#setSingleshot(argument, wide, now);
      case VCPUOP.stop_singleshot_timer:
        this.disarm();
        return 0;
      case VCPUOP.register_vcpu_info:
        return this.#registerInfo(argument, wide);
      case VCPUOP.send_nmi:
        this.#sinks.nmi();
        return 0;
      case VCPUOP.register_vcpu_time_memory_area: {
        const request = GuestStructure.read(this.#guest, argument, wide, REGISTER_AREA);
        return request !== undefined && this.#guest.write(request.get("addr"), timeInfo()) ? 0 : ERRNO.FAULT;
      }
      default:
        return ERRNO.NOSYS;
    }
  }

  save(): SavedVcpu {
    return {
      singleshot: this.#singleshot ?? null,
      periodic: this.#periodic ?? null,
      runstate: this.#runstate
        ? { address: this.#runstate.address.toString(), wide: this.#runstate.wide }
        : null,
      blockedNs: this.#blockedNs,
      lastChange: this.#lastChange,
    };
  }

  #setSingleshot(argument: bigint, wide: boolean, now: number): number {
    const request = GuestStructure.read(this.#guest, argument, wide, SINGLESHOT);
    if (request === undefined) return ERRNO.FAULT;
    const deadline = request.get("timeout_abs_ns");
    if (request.number("flags") & FUTURE && deadline < BigInt(now)) return ERRNO.ETIME;
    this.arm(deadline);
    return 0;
  }

  #setPeriodic(argument: bigint, wide: boolean, now: number): number {
    const request = GuestStructure.read(this.#guest, argument, wide, PERIODIC);
    if (request === undefined) return ERRNO.FAULT;
    const period = request.number("period_ns");
    if (period < MIN_PERIOD_NS || !Number.isSafeInteger(now + period)) return ERRNO.INVAL;
    this.#periodic = { period, next: now + period };
    return 0;
  }

  #registerInfo(argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, REGISTER_INFO);
    if (request === undefined) return ERRNO.FAULT;
    const offset = request.number("offset");
    const address = request.number("mfn") * PAGE_BYTES + offset;
    const misplaced = offset > PAGE_BYTES - VCPU_INFO_BYTES || offset % (wide ? 8 : 4) !== 0;
    if (this.#shared.hasOwnVcpuInfo || misplaced || address + VCPU_INFO_BYTES > this.#memory.bytes)
      return ERRNO.INVAL;
    this.#shared.registerVcpuInfo(address);
    this.#sinks.upcall();
    return 0;
  }

  #registerRunstate(argument: bigint, wide: boolean, now: number): number {
    // A union of a handle and an unsigned 64-bit number.
    const bytes = this.#guest.read(argument, 8);
    if (bytes === undefined) return ERRNO.FAULT;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const address = wide ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
    this.#runstate = { address, wide };
    this.#giveRunstate(address, wide, now);
    return 0;
  }

  /** struct vcpu_runstate_info: always running when it can be looked at. */
  #giveRunstate(address: bigint, wide: boolean, now: number): boolean {
    const times = wide ? 16 : 12;
    const bytes = new Uint8Array(times + 4 * 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, RUNSTATE_RUNNING, true);
    view.setBigUint64(wide ? 8 : 4, BigInt(this.#lastChange), true);
    view.setBigUint64(times + TIME_RUNNING * 8, BigInt(now - this.#blockedNs), true);
    view.setBigUint64(times + TIME_BLOCKED * 8, BigInt(this.#blockedNs), true);
    return this.#guest.write(address, bytes);
  }
}
