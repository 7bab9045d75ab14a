/*
 * The real-time clock of a PC and its battery-backed memory (Motorola MC146818A data sheet, with the century in a byte of the
 * memory as ACPI names it). The date follows from guest time and from what was written when: no state runs by itself. An
 * update takes no time, but is announced 244 us before.
 */

import { RTC_CENTURY } from "./acpi-pc.ts";

const PORTS = { index: 0x70, data: 0x71 } as const;
const BYTES = 128;
const REGISTER = {
  SECONDS: 0,
  SECONDS_ALARM: 1,
  MINUTES: 2,
  MINUTES_ALARM: 3,
  HOURS: 4,
  HOURS_ALARM: 5,
  WEEKDAY: 6,
  DAY: 7,
  MONTH: 8,
  YEAR: 9,
  A: 10,
  B: 11,
  C: 12,
  D: 13,
} as const;
const DATE_REGISTERS: readonly number[] = [
  REGISTER.SECONDS,
  REGISTER.MINUTES,
  REGISTER.HOURS,
  REGISTER.WEEKDAY,
  REGISTER.DAY,
  REGISTER.MONTH,
  REGISTER.YEAR,
  RTC_CENTURY,
];
/** Those by which the clock is set, started and stopped. */
const CLOCK_REGISTERS: readonly number[] = [...DATE_REGISTERS, REGISTER.A, REGISTER.B];

/** Register A: update in progress, the divider's three bits, the rate's four. */
const UPDATE_IN_PROGRESS = 0x80;
const DIVIDER_RESET = 0x60;
const RATE = 0x0f;
/** A 32.768 kHz time base, 1024 Hz rate. */
const INITIAL_A = 0x26;
/** Register B: SET stops updates; data in binary; 24 hours. */
const SET = 0x80;
const BINARY = 0x04;
const HOURS_24 = 0x02;
/** The three interrupts: enabled in B, flagged in C. */
const PERIODIC = 0x40;
const ALARM = 0x20;
const UPDATE_ENDED = 0x10;
const INTERRUPTS = PERIODIC | ALARM | UPDATE_ENDED;
const INTERRUPT_REQUEST = 0x80;
/** Register D: the battery is good. */
const VALID = 0x80;

const PM = 0x80;
/** An alarm register with these bits set matches everything. */
const ANY = 0xc0;
const BASE_HZ = 32_768;
const MS_PER_S = 1000;
const NS_PER_S = 1_000_000_000;
/** The first update comes half a second after the divider was let go. */
const FIRST_UPDATE_NS = 500_000_000;
const ANNOUNCED_NS = 244_000;
const SECONDS_PER_DAY = 86_400;
const DAYS_PER_WEEK = 7;

export interface SavedRtc {
  readonly index: number;
  readonly bytes: readonly number[];
  /** Those that follow are not in checkpoints of before the clock could be set. */
  readonly phase?: number;
  readonly date?: number;
  readonly weekday?: number;
  readonly flags?: number;
  readonly seen?: number;
}

export class Rtc {
  readonly #interrupt: (level: boolean) => void;
  readonly #bytes: Uint8Array;
  #index = 0;
  /** ns of guest time at which the divider began to count. */
  #phase = 0;
  /** While the clock runs, the date at `#phase`, in seconds since 1970-01-01; else it is in `#bytes`. */
  #date: number;
  /** What is to be added to the date's own day of the week: it can be set to anything. */
  #weekday = 0;
  /** Of register C, as of `#seen` in ns. */
  #flags = 0;
  #seen = 0;
  #next: number | undefined;

  /**
   * @param startTime the date at guest time 0, in seconds since 1970-01-01 UTC
   * @param interrupt called with the level of its interrupt line
   */
  constructor(startTime: number, interrupt: (level: boolean) => void, saved?: SavedRtc) {
    this.#interrupt = interrupt;
    this.#bytes = Uint8Array.from(saved?.bytes ?? new Uint8Array(BYTES));
    this.#index = saved?.index ?? 0;
    this.#phase = saved?.phase ?? 0;
    this.#date = saved?.date ?? Math.floor(startTime);
    this.#weekday = saved?.weekday ?? 0;
    this.#flags = saved?.flags ?? 0;
    this.#seen = saved?.seen ?? 0;
    if (saved === undefined) {
      this.#bytes[REGISTER.A] = INITIAL_A;
      this.#bytes[REGISTER.B] = HOURS_24;
    }
    this.#plan();
  }

  /** When the next interrupt comes, in ns of guest time. */
  get deadline(): number | undefined {
    return this.#next;
  }

  advance(now: number): void {
    if (this.#next === undefined || now < this.#next) return;
    this.#catchUp(now);
    this.#plan();
  }

  /** IN of a byte; undefined if the port is not the clock's. */
  read(port: number, now: number): number | undefined {
    if (port === PORTS.index) return 0xff;
    return port === PORTS.data ? this.#read(this.#index, now) : undefined;
  }

  /** OUT of a byte; false if the port is not the clock's. */
  write(port: number, value: number, now: number): boolean {
    if (port === PORTS.index) this.#index = value & (BYTES - 1);
    else if (port === PORTS.data) this.#write(this.#index, value, now);
    else return false;
    return true;
  }

  save(): SavedRtc {
    return {
      index: this.#index,
      bytes: [...this.#bytes],
      phase: this.#phase,
      date: this.#date,
      weekday: this.#weekday,
      flags: this.#flags,
      seen: this.#seen,
    };
  }

  /** The divider is held in reset. */
  get #isReset(): boolean {
    return (this.#bytes[REGISTER.A]! & DIVIDER_RESET) === DIVIDER_RESET;
  }

  get #isRunning(): boolean {
    return !this.#isReset && (this.#bytes[REGISTER.B]! & SET) === 0;
  }

  get #isRequesting(): boolean {
    return (this.#flags & this.#bytes[REGISTER.B]! & INTERRUPTS) !== 0;
  }

  #read(register: number, now: number): number {
    if (DATE_REGISTERS.includes(register)) {
      return this.#isRunning ? this.#encoded(register, this.#dateAt(now)) : this.#bytes[register]!;
    }
    switch (register) {
      case REGISTER.A: {
        const isNear = this.#isRunning && NS_PER_S - modulo(now - this.#phase, NS_PER_S) <= ANNOUNCED_NS;
        return this.#bytes[REGISTER.A]! | (isNear ? UPDATE_IN_PROGRESS : 0);
      }
      case REGISTER.C: {
        this.#catchUp(now);
        const value = this.#flags | (this.#isRequesting ? INTERRUPT_REQUEST : 0);
        this.#flags = 0;
        this.#interrupt(false);
        this.#plan();
        return value;
      }
      case REGISTER.D:
        return VALID;
      default:
        return this.#bytes[register]!;
    }
  }

  #write(register: number, value: number, now: number): void {
    this.#catchUp(now);
    if (register === REGISTER.C || register === REGISTER.D) return;
    if (!CLOCK_REGISTERS.includes(register)) {
      this.#bytes[register] = value;
    } else {
      this.#change(now, () => {
        const wasReset = this.#isReset;
        this.#bytes[register] = value & writable(register, value);
        if (wasReset && !this.#isReset) this.#phase = now - FIRST_UPDATE_NS;
      });
    }
    if (register === REGISTER.B) this.#interrupt(this.#isRequesting);
    this.#plan();
  }

  /** Raises the flags of what has happened until `now`. */
  #catchUp(now: number): void {
    if (now <= this.#seen) return;
    if (!this.#isReset) {
      if (isBy(this.#nextPeriod(), now)) this.#flags |= PERIODIC;
      if (isBy(this.#nextUpdate(), now)) this.#flags |= UPDATE_ENDED;
      if (isBy(this.#nextAlarm(), now)) this.#flags |= ALARM;
    }
    this.#seen = now;
    this.#interrupt(this.#isRequesting);
  }

  #plan(): void {
    const enabled = this.#bytes[REGISTER.B]! & INTERRUPTS;
    // While the line is up no other interrupt can show.
    const wanted = this.#isRequesting || this.#isReset ? 0 : enabled;
    const times = [
      wanted & PERIODIC ? this.#nextPeriod() : undefined,
      wanted & UPDATE_ENDED ? this.#nextUpdate() : undefined,
      wanted & ALARM ? this.#nextAlarm() : undefined,
    ].filter((time) => time !== undefined);
    this.#next = times.length === 0 ? undefined : Math.min(...times);
  }

  /**
   * Has the date in the registers while `change` is done, and goes on from there: so data keep their bits when the format
   * changes, as in the chip.
   */
  #change(now: number, change: () => void): void {
    if (this.#isRunning) {
      const date = this.#dateAt(now);
      for (const register of DATE_REGISTERS) this.#bytes[register] = this.#encoded(register, date);
    }
    change();
    if (this.#isRunning) this.#start(now);
  }

  /** The registers' date is that of now. */
  #start(now: number): void {
    const value = (register: number): number => this.#decoded(register, this.#bytes[register]!);
    const date = new Date(0);
    date.setUTCFullYear(
      value(RTC_CENTURY) * 100 + value(REGISTER.YEAR),
      value(REGISTER.MONTH) - 1,
      value(REGISTER.DAY),
    );
    date.setUTCHours(value(REGISTER.HOURS), value(REGISTER.MINUTES), value(REGISTER.SECONDS));
    this.#weekday = modulo(value(REGISTER.WEEKDAY) - 1 - date.getUTCDay(), DAYS_PER_WEEK);
    this.#date = date.getTime() / MS_PER_S - Math.floor((now - this.#phase) / NS_PER_S);
  }

  /** In seconds since 1970-01-01, while the clock runs. */
  #dateAt(now: number): number {
    return this.#date + Math.floor((now - this.#phase) / NS_PER_S);
  }

  #encoded(register: number, seconds: number): number {
    const date = new Date(seconds * MS_PER_S);
    switch (register) {
      case REGISTER.SECONDS:
        return this.#number(date.getUTCSeconds());
      case REGISTER.MINUTES:
        return this.#number(date.getUTCMinutes());
      case REGISTER.HOURS:
        return this.#hours(date.getUTCHours());
      case REGISTER.WEEKDAY:
        return this.#number(((date.getUTCDay() + this.#weekday) % DAYS_PER_WEEK) + 1);
      case REGISTER.DAY:
        return this.#number(date.getUTCDate());
      case REGISTER.MONTH:
        return this.#number(date.getUTCMonth() + 1);
      case REGISTER.YEAR:
        return this.#number(modulo(date.getUTCFullYear(), 100));
      default:
        return this.#number(modulo(Math.floor(date.getUTCFullYear() / 100), 100));
    }
  }

  #number(value: number): number {
    return this.#bytes[REGISTER.B]! & BINARY ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }

  #hours(hours: number): number {
    if (this.#bytes[REGISTER.B]! & HOURS_24) return this.#number(hours);
    return this.#number(hours % 12 || 12) | (hours >= 12 ? PM : 0);
  }

  #decoded(register: number, value: number): number {
    const number = (byte: number): number =>
      this.#bytes[REGISTER.B]! & BINARY ? byte : (byte >> 4) * 10 + (byte & 0x0f);
    const isHours = register === REGISTER.HOURS || register === REGISTER.HOURS_ALARM;
    if (!isHours || this.#bytes[REGISTER.B]! & HOURS_24) return number(value);
    return (number(value & ~PM) % 12) + (value & PM ? 12 : 0);
  }

  /** The first beat of the periodic interrupt's rate after `#seen`; undefined if no rate is chosen. */
  #nextPeriod(): number | undefined {
    const rate = this.#bytes[REGISTER.A]! & RATE;
    if (rate === 0) return undefined;
    // The two fastest are those of a faster time base.
    const hz = BASE_HZ >> ((rate < 3 ? rate + 7 : rate) - 1);
    const elapsed = this.#seen - this.#phase;
    const seconds = Math.floor(elapsed / NS_PER_S);
    const beats = Math.floor(((elapsed - seconds * NS_PER_S) * hz) / NS_PER_S) + 1;
    return this.#phase + seconds * NS_PER_S + Math.ceil((beats * NS_PER_S) / hz);
  }

  /** The first update of the date after `#seen`; undefined while there are none. */
  #nextUpdate(): number | undefined {
    if (!this.#isRunning) return undefined;
    return this.#seen + NS_PER_S - modulo(this.#seen - this.#phase, NS_PER_S);
  }

  /** The first update after `#seen` that makes the time that of the alarm. */
  #nextAlarm(): number | undefined {
    const update = this.#nextUpdate();
    if (update === undefined) return undefined;
    const first = modulo(this.#dateAt(update), SECONDS_PER_DAY);
    const times = [REGISTER.HOURS_ALARM, REGISTER.MINUTES_ALARM, REGISTER.SECONDS_ALARM].map((register) =>
      this.#matching(register, register === REGISTER.HOURS_ALARM ? 24 : 60),
    ) as [number[], number[], number[]];
    const today = nextTime(times, first);
    const next = today ?? nextTime(times, 0);
    if (next === undefined) return undefined;
    const days = today === undefined ? SECONDS_PER_DAY : 0;
    return update + (days + next - first) * NS_PER_S;
  }

  /** The values of 0 to `end` - 1 that an alarm register asks for. */
  #matching(register: number, end: number): number[] {
    const byte = this.#bytes[register]!;
    if ((byte & ANY) === ANY) return Array.from({ length: end }, (_, i) => i);
    const value = this.#decoded(register, byte);
    return value < end ? [value] : [];
  }
}

/** The first second of the day, at or after second `from`, that is one of those hours, minutes and seconds. */
function nextTime(
  [hours, minutes, seconds]: readonly [readonly number[], readonly number[], readonly number[]],
  from: number,
): number | undefined {
  for (const hour of hours) {
    for (const minute of minutes) {
      const start = (hour * 60 + minute) * 60;
      if (start + 59 < from) continue;
      const second = seconds.find((value) => start + value >= from);
      if (second !== undefined) return start + second;
    }
  }
  return undefined;
}

/** The bits of A, B or a register of the date that can be set; SET takes away the interrupt of updates. */
function writable(register: number, value: number): number {
  if (register === REGISTER.A) return 0x7f;
  return register === REGISTER.B && value & SET ? ~UPDATE_ENDED : 0xff;
}

function isBy(time: number | undefined, now: number): boolean {
  return time !== undefined && time <= now;
}

/** Not negative. */
function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
