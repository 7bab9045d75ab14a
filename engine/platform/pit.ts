/*
 * The 8254 interval timer of a PC (Intel 8254 data sheet) and port 0x61, through which the third counter is used. It has no
 * state that runs: what it shows follows from guest time and from what was written when. Counting in BCD is not done.
 */

import { TIMER_LIMITS } from "../limits.ts";

export const PIT_HZ = 1_193_182;
const NS = 1_000_000_000;
const MIN_PERIOD_TICKS = Math.ceil((TIMER_LIMITS.minPeriod * PIT_HZ) / NS);
const PORTS = { counters: 0x40, control: 0x43, system: 0x61 } as const;
const COUNTERS = 3;
/** A count of 0 means this. */
const FULL = 0x10000;
const ACCESS = { latch: 0, low: 1, high: 2, both: 3 } as const;
const READ_BACK = 3;
/** Port 0x61: gate of counter 2, speaker, refresh toggle, output of counter 2. */
const GATE_2 = 1;
const SYSTEM_WRITABLE = 3;
const REFRESH_SHIFT = 4;
const OUT_2_SHIFT = 5;
/** A refresh request toggles its bit that often. */
const REFRESH_NS = 15_000;

/** Ticks of the timer's clock in so many ns, exactly. */
export function ticksAt(ns: number): number {
  const seconds = Math.floor(ns / NS);
  return seconds * PIT_HZ + Math.floor(((ns - seconds * NS) * PIT_HZ) / NS);
}

/** The first ns at which that tick has happened. */
function nsAt(tick: number): number {
  const seconds = Math.floor(tick / PIT_HZ);
  return seconds * NS + Math.ceil(((tick - seconds * PIT_HZ) * NS) / PIT_HZ);
}

export interface SavedCounter {
  readonly mode: number;
  readonly access: number;
  readonly reload: number;
  /** Tick at which counting began; null while it has not. */
  readonly start: number | null;
  readonly gate: boolean;
  /** The low byte written first, and whether a high byte is read or written next. */
  readonly low: number | null;
  readonly readsHigh: boolean;
  readonly latched: number | null;
  readonly status: number | null;
}

class Counter {
  #mode = 0;
  #access: number = ACCESS.both;
  #reload = FULL;
  #start: number | undefined;
  #gate: boolean;
  #low: number | undefined;
  #readsHigh = false;
  #latched: number | undefined;
  #status: number | undefined;

  constructor(gate: boolean, saved?: SavedCounter) {
    this.#gate = gate;
    if (saved === undefined) return;
    this.#mode = saved.mode;
    this.#access = saved.access;
    this.#reload = saved.reload;
    this.#start = saved.start ?? undefined;
    this.#gate = saved.gate;
    this.#low = saved.low ?? undefined;
    this.#readsHigh = saved.readsHigh;
    this.#latched = saved.latched ?? undefined;
    this.#status = saved.status ?? undefined;
  }

  get gate(): boolean {
    return this.#gate;
  }

  setGate(gate: boolean, tick: number): void {
    // A rising edge starts the count again. In modes 0 and 4 it would only go on; nobody stops it there in the middle.
    if (gate && !this.#gate && this.#start !== undefined) this.#start = tick;
    this.#gate = gate;
  }

  control(value: number, tick: number): void {
    const access = (value >> 4) & 3;
    if (access === ACCESS.latch) {
      this.#latched ??= this.#count(tick);
      return;
    }
    const mode = (value >> 1) & 7;
    this.#mode = mode > 5 ? mode - 4 : mode;
    this.#access = access;
    this.#start = undefined;
    this.#low = undefined;
    this.#readsHigh = false;
    this.#latched = undefined;
    this.#status = undefined;
  }

  readBack(count: boolean, status: boolean, tick: number): void {
    if (count) this.#latched ??= this.#count(tick);
    if (status) {
      this.#status ??=
        (this.output(tick) ? 0x80 : 0) |
        (this.#start === undefined ? 0x40 : 0) |
        (this.#access << 4) |
        (this.#mode << 1);
    }
  }

  write(value: number, tick: number): void {
    if (this.#access === ACCESS.both && this.#low === undefined) {
      this.#low = value;
      // In mode 0 the first byte stops the count.
      if (this.#mode === 0) this.#start = undefined;
      return;
    }
    const low = this.#access === ACCESS.both ? this.#low! : this.#access === ACCESS.low ? value : 0;
    const high = this.#access === ACCESS.low ? 0 : value;
    this.#low = undefined;
    const isRunning = this.#start !== undefined && (this.#mode === 2 || this.#mode === 3);
    this.#reload = low | (high << 8) || FULL;
    // A running rate generator would end its period first; kernels set the mode again, which stops it.
    this.#start = isRunning ? this.#start : tick;
  }

  read(tick: number): number {
    if (this.#status !== undefined) {
      const status = this.#status;
      this.#status = undefined;
      return status;
    }
    const value = this.#latched ?? this.#count(tick);
    const isHigh = this.#access === ACCESS.high || (this.#access === ACCESS.both && this.#readsHigh);
    if (this.#access === ACCESS.both) this.#readsHigh = !this.#readsHigh;
    if (this.#access !== ACCESS.both || isHigh) this.#latched = undefined;
    return isHigh ? (value >> 8) & 0xff : value & 0xff;
  }

  output(tick: number): boolean {
    if (this.#start === undefined) return this.#mode !== 0;
    const elapsed = tick - this.#start;
    switch (this.#mode) {
      case 0:
      case 1:
        return elapsed >= this.#reload;
      case 2:
        return elapsed % this.#reload !== this.#reload - 1;
      case 3:
        return elapsed % this.#reload < Math.ceil(this.#reload / 2);
      default:
        return elapsed !== this.#reload;
    }
  }

  /** The first tick after `tick` at which the output rises; undefined if it does not. */
  nextRise(tick: number): number | undefined {
    if (this.#start === undefined || !this.#gate) return undefined;
    if (this.#mode === 2 || this.#mode === 3) {
      // A multiple of the period, so that what ticks are left out does not move the others.
      const period = this.#reload * Math.ceil(MIN_PERIOD_TICKS / this.#reload);
      return this.#start + (Math.floor((tick - this.#start) / period) + 1) * period;
    }
    const end = this.#start + this.#reload + (this.#mode < 4 ? 0 : 1);
    return end > tick ? end : undefined;
  }

  save(): SavedCounter {
    return {
      mode: this.#mode,
      access: this.#access,
      reload: this.#reload,
      start: this.#start ?? null,
      gate: this.#gate,
      low: this.#low ?? null,
      readsHigh: this.#readsHigh,
      latched: this.#latched ?? null,
      status: this.#status ?? null,
    };
  }

  #count(tick: number): number {
    if (this.#start === undefined) return this.#reload & 0xffff;
    const elapsed = this.#gate ? tick - this.#start : 0;
    switch (this.#mode) {
      case 2:
        return (this.#reload - (elapsed % this.#reload)) & 0xffff;
      case 3:
        return (this.#reload - ((2 * elapsed) % this.#reload)) & 0xfffe;
      default:
        return (this.#reload - elapsed) & 0xffff;
    }
  }
}

export interface SavedPit {
  readonly counters: readonly SavedCounter[];
  readonly system: number;
  readonly next: number | null;
}

export class Pit {
  readonly #counters: readonly Counter[];
  readonly #onRise: () => void;
  #system = 0;
  /** The tick at which counter 0's output rises next. */
  #next: number | undefined;

  /** `onRise` is called whenever the output of counter 0 rises, which is interrupt request 0. */
  constructor(onRise: () => void, saved?: SavedPit) {
    this.#onRise = onRise;
    this.#counters = Array.from({ length: COUNTERS }, (_, i) => new Counter(i < 2, saved?.counters[i]));
    this.#system = saved?.system ?? 0;
    this.#next = saved?.next ?? undefined;
  }

  /** When counter 0's output rises next, in ns of guest time. */
  get deadline(): number | undefined {
    return this.#next === undefined ? undefined : nsAt(this.#next);
  }

  advance(now: number): void {
    if (this.#next === undefined) return;
    const tick = ticksAt(now);
    if (tick < this.#next) return;
    this.#next = this.#counters[0]!.nextRise(tick);
    this.#onRise();
  }

  /** IN of a byte; undefined if the port is not the timer's. */
  read(port: number, now: number): number | undefined {
    const tick = ticksAt(now);
    if (port === PORTS.system) {
      const refresh = Math.floor(now / REFRESH_NS) & 1;
      const out = this.#counters[2]!.output(tick) ? 1 : 0;
      return this.#system | (refresh << REFRESH_SHIFT) | (out << OUT_2_SHIFT);
    }
    if (port === PORTS.control) return 0xff;
    return this.#counters[port - PORTS.counters]?.read(tick);
  }

  /** OUT of a byte; false if the port is not the timer's. */
  write(port: number, value: number, now: number): boolean {
    const tick = ticksAt(now);
    if (port === PORTS.system) {
      this.#system = value & SYSTEM_WRITABLE;
      this.#counters[2]!.setGate((value & GATE_2) !== 0, tick);
      return true;
    }
    if (port === PORTS.control) this.#control(value, tick);
    else {
      const counter = this.#counters[port - PORTS.counters];
      if (counter === undefined) return false;
      counter.write(value, tick);
    }
    this.#next = this.#counters[0]!.nextRise(tick);
    return true;
  }

  save(): SavedPit {
    return {
      counters: this.#counters.map((counter) => counter.save()),
      system: this.#system,
      next: this.#next ?? null,
    };
  }

  #control(value: number, tick: number): void {
    const select = value >> 6;
    if (select !== READ_BACK) {
      this.#counters[select]!.control(value, tick);
      return;
    }
    // Bits are inverted: 0 latches.
    for (const [i, counter] of this.#counters.entries()) {
      if (value & (2 << i)) counter.readBack(!(value & 0x20), !(value & 0x10), tick);
    }
  }
}
