import type { PhysicalMemory } from "../cpu/types.ts";
import { DOMAIN_LIMITS } from "../limits.ts";
import type { SliceEnd } from "../machine-api.ts";
import { type EmuRegion, LINES, PAGE_BYTES, PORTS } from "./abi.ts";
import { ConsoleBackend, type SavedConsole } from "./console.ts";
import { GUEST_DOMID } from "./domain-builder.ts";
import { type SavedXenstore, Xenstore } from "./xenstore/xenstore.ts";

/** The pages the host half shares with the guest, by page number. */
export interface SharedPages {
  readonly xenstore: number;
  readonly console: number;
}

export interface SavedHost {
  readonly pendingLines: number;
  readonly timerLow: number;
  readonly deadline: number | null;
  readonly end: SliceEnd | null;
  readonly console: SavedConsole;
  readonly xenstore: SavedXenstore;
}

type ShutdownReason = Extract<SliceEnd, { kind: "shutdown" }>["reason"];
/** SHUTDOWN_* of xen/include/public/sched.h. */
const SHUTDOWN_REASONS: readonly ShutdownReason[] = [
  "poweroff",
  "reboot",
  "suspend",
  "crash",
  "watchdog",
  "soft_reset",
];
const LOG_LINES_MAX = 1000;

/** How a domain ends that shuts itself down; `reason` is one of SHUTDOWN_*. */
export function shutdownEnd(reason: number): SliceEnd {
  return { kind: "shutdown", reason: SHUTDOWN_REASONS[reason] ?? "unknown", code: reason };
}

/**
 * The host half of one domain: what stands behind emu's ports (abi.ts). It knows guest time only from its caller, and
 * the processor not at all.
 */
export class XennerHost {
  readonly console: ConsoleBackend;
  readonly xenstore: Xenstore;
  readonly #memory: PhysicalMemory;
  readonly #region: EmuRegion;
  #pendingLines = 0;
  #timerLow = 0;
  #deadline: number | undefined;
  #end: SliceEnd | undefined;
  #log: string[] = [];

  constructor(memory: PhysicalMemory, region: EmuRegion, pages: SharedPages, saved?: SavedHost) {
    this.#memory = memory;
    this.#region = region;
    this.console = new ConsoleBackend(memory, pages.console * PAGE_BYTES, saved?.console);
    this.xenstore = new Xenstore(memory, pages.xenstore * PAGE_BYTES, GUEST_DOMID, saved?.xenstore);
    if (saved === undefined) return;
    this.#pendingLines = saved.pendingLines;
    this.#timerLow = saved.timerLow;
    this.#deadline = saved.deadline ?? undefined;
    this.#end = saved.end ?? undefined;
  }

  /** Whether the interrupt line is raised. */
  get isInterrupting(): boolean {
    return this.#pendingLines !== 0;
  }

  /** When the timer fires, in ns of guest time; undefined if it is off. */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  /** Set once the guest is no more. */
  get end(): SliceEnd | undefined {
    return this.#end;
  }

  /** Fires the timer if its time has come. */
  advance(now: number): void {
    if (this.#deadline === undefined || this.#deadline > now) return;
    this.#deadline = undefined;
    this.raise(LINES.TIMER);
  }

  raise(line: number): void {
    this.#pendingLines |= 1 << line;
  }

  /** IN: the value for the processor. An unknown port floats high. */
  read(port: number, size: number): number {
    if (port !== PORTS.EVENTS) return size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
    const lines = this.#pendingLines;
    this.#pendingLines = 0;
    return lines >>> 0;
  }

  /** OUT. `now`: guest time in ns. */
  write(port: number, value: number, now: number): void {
    switch (port) {
      case PORTS.CONSOLE_WRITE:
        this.console.append(this.#message(value));
        break;
      case PORTS.NOTIFY:
        this.#notified(value);
        break;
      case PORTS.TIMER_LOW:
        this.#timerLow = value >>> 0;
        break;
      case PORTS.TIMER_HIGH:
        this.#arm((value >>> 0) * 2 ** 32 + this.#timerLow);
        this.advance(now);
        break;
      case PORTS.TIMER_STOP:
        this.#deadline = undefined;
        break;
      case PORTS.SHUTDOWN:
        this.console.drain();
        this.#end = shutdownEnd(value);
        break;
      case PORTS.PANIC:
        this.console.drain();
        this.crash(`emu: ${this.#text(value)}`);
        break;
      case PORTS.LOG:
        if (this.#log.length < LOG_LINES_MAX) this.#log.push(this.#text(value));
        break;
    }
  }

  /** Ends the domain for a reason of ours; the first reason counts. */
  crash(message: string): void {
    this.#end ??= { kind: "crash", message };
  }

  /** Lines for developers that emu has written since the last call. */
  takeLog(): string[] {
    const log = this.#log;
    this.#log = [];
    return log;
  }

  save(): SavedHost {
    return {
      pendingLines: this.#pendingLines,
      timerLow: this.#timerLow,
      deadline: this.#deadline ?? null,
      end: this.#end ?? null,
      console: this.console.save(),
      xenstore: this.xenstore.save(),
    };
  }

  /** A deadline beyond 2^53 ns (104 days) is as good as none, and could not be kept exactly. */
  #arm(deadline: number): void {
    this.#deadline = Number.isSafeInteger(deadline) ? deadline : undefined;
  }

  #notified(line: number): void {
    if (line === LINES.XENSTORE && this.xenstore.serve()) this.raise(LINES.XENSTORE);
    if (line === LINES.CONSOLE && this.console.serve()) this.raise(LINES.CONSOLE);
  }

  #message(length: number): Uint8Array {
    return this.#memory.read(this.#region.message, Math.min(length >>> 0, DOMAIN_LIMITS.panicMessageBytes));
  }

  #text(length: number): string {
    return new TextDecoder("latin1").decode(this.#message(length));
  }
}
