/*
 * The real-time clock of a PC and its battery-backed memory (Motorola MC146818A data sheet): the date follows from guest
 * time, in BCD and in 24 hours. What is written to the date is ignored, and no interrupts come.
 */

import { RTC_CENTURY } from "./acpi-pc.ts";

const PORTS = { index: 0x70, data: 0x71 } as const;
const BYTES = 128;
const REGISTER = {
  SECONDS: 0,
  MINUTES: 2,
  HOURS: 4,
  WEEKDAY: 6,
  DAY: 7,
  MONTH: 8,
  YEAR: 9,
  A: 10,
  B: 11,
  C: 12,
  D: 13,
} as const;
/** A 32.768 kHz time base, 1024 Hz rate. */
const STATUS_A = 0x26;
/** 24 hours. */
const STATUS_B = 0x02;
const VALID = 0x80;
const MS_PER_S = 1000;
const NS_PER_S = 1_000_000_000;

export interface SavedRtc {
  readonly index: number;
  readonly bytes: readonly number[];
}

export class Rtc {
  readonly #startTime: number;
  readonly #bytes: Uint8Array;
  #index = 0;

  /** `startTime`: the date at guest time 0, in seconds since 1970-01-01 UTC. */
  constructor(startTime: number, saved?: SavedRtc) {
    this.#startTime = startTime;
    this.#bytes = Uint8Array.from(saved?.bytes ?? new Uint8Array(BYTES));
    this.#index = saved?.index ?? 0;
    if (saved === undefined) {
      this.#bytes[REGISTER.A] = STATUS_A;
      this.#bytes[REGISTER.B] = STATUS_B;
    }
  }

  /** IN of a byte; undefined if the port is not the clock's. */
  read(port: number, now: number): number | undefined {
    if (port === PORTS.index) return 0xff;
    return port === PORTS.data ? this.#value(now) : undefined;
  }

  /** OUT of a byte; false if the port is not the clock's. */
  write(port: number, value: number): boolean {
    if (port === PORTS.index) this.#index = value & (BYTES - 1);
    else if (port === PORTS.data) this.#bytes[this.#index] = value;
    else return false;
    return true;
  }

  save(): SavedRtc {
    return { index: this.#index, bytes: [...this.#bytes] };
  }

  #value(now: number): number {
    const date = new Date((this.#startTime + Math.floor(now / NS_PER_S)) * MS_PER_S);
    switch (this.#index) {
      case REGISTER.SECONDS:
        return bcd(date.getUTCSeconds());
      case REGISTER.MINUTES:
        return bcd(date.getUTCMinutes());
      case REGISTER.HOURS:
        return bcd(date.getUTCHours());
      case REGISTER.WEEKDAY:
        return bcd(date.getUTCDay() + 1);
      case REGISTER.DAY:
        return bcd(date.getUTCDate());
      case REGISTER.MONTH:
        return bcd(date.getUTCMonth() + 1);
      case REGISTER.YEAR:
        return bcd(date.getUTCFullYear() % 100);
      case RTC_CENTURY:
        return bcd(Math.floor(date.getUTCFullYear() / 100));
      case REGISTER.A:
        // The date is never being changed while it is read.
        return this.#bytes[REGISTER.A]! & 0x7f;
      case REGISTER.C:
        return 0;
      case REGISTER.D:
        return VALID;
      default:
        return this.#bytes[this.#index]!;
    }
  }
}

function bcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}
