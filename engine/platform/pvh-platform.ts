import { type AcpiPorts, S5_SLEEP_TYPE, SLEEP_ENABLE } from "./acpi.ts";
import { Lapic, type SavedLapic, X2APIC_FIRST, X2APIC_LAST, XAPIC_ADDRESS } from "./lapic.ts";
import { APIC_BASE_MSR, DEBUG_PORT, floating, type Platform, type PlatformSinks } from "./platform.ts";

/** Ports of the platform, one byte wide: those that the ACPI tables name. */
export const PLATFORM_PORTS: AcpiPorts = {
  sleepControl: 0xe40,
  sleepStatus: 0xe41,
  reset: 0xe42,
  resetValue: 0x52,
};
const PAGE_BYTES = 4096;
/** Counter 2 of the timer chip that is not there: a zero makes Linux give up measuring by it at once. */
const PIT_COUNTER_2 = 0x42;

export interface SavedPvhPlatform {
  readonly lapic: SavedLapic;
}

/**
 * The platform of mode "pvh": a local APIC, and the ports of hardware-reduced ACPI. As in Xen it begins in xAPIC mode: Linux for
 * 32 bits knows no other. Where RAM takes the place of its registers it is in x2APIC mode.
 */
export class PvhPlatform implements Platform {
  readonly #lapic: Lapic;
  readonly #sinks: PlatformSinks;
  readonly #hasRegistersInMemory: boolean;

  constructor(sinks: PlatformSinks, hasRegistersInMemory: boolean, saved?: SavedPvhPlatform) {
    this.#sinks = sinks;
    this.#lapic = new Lapic(saved?.lapic ?? (hasRegistersInMemory ? "xapic" : undefined));
    this.#hasRegistersInMemory = hasRegistersInMemory;
  }

  get pending(): number | undefined {
    return this.#lapic.pending;
  }

  get deadline(): number | undefined {
    return this.#lapic.deadline;
  }

  acknowledge(vector: number): void {
    this.#lapic.acknowledge(vector);
  }

  advance(now: number): void {
    this.#lapic.advance(now);
  }

  request(vector: number): void {
    this.#lapic.request(vector);
  }

  readMsr(msr: number, now: number): bigint | undefined {
    if (msr === APIC_BASE_MSR) return this.#lapic.base;
    return msr >= X2APIC_FIRST && msr <= X2APIC_LAST ? this.#lapic.read(msr, now) : undefined;
  }

  writeMsr(msr: number, value: bigint, now: number): boolean {
    if (msr === APIC_BASE_MSR) {
      return value === this.#lapic.base || (this.#hasRegistersInMemory && this.#lapic.setBase(value));
    }
    return msr >= X2APIC_FIRST && msr <= X2APIC_LAST && this.#lapic.write(msr, value, now, this.#sinks);
  }

  read(port: number, size: number): number {
    if (port === PIT_COUNTER_2 || port === PLATFORM_PORTS.sleepControl || port === PLATFORM_PORTS.sleepStatus)
      return 0;
    return floating(size);
  }

  write(port: number, _size: number, value: number): void {
    const { sleepControl, reset, resetValue } = PLATFORM_PORTS;
    if (port === DEBUG_PORT) this.#sinks.print(Uint8Array.of(value & 0xff));
    if (port === sleepControl && value & SLEEP_ENABLE && ((value >> 2) & 7) === S5_SLEEP_TYPE)
      this.#sinks.powerOff();
    if (port === reset && (value & 0xff) === resetValue) this.#sinks.reset();
  }

  readMemory(address: number, now: number): number {
    const offset = address - XAPIC_ADDRESS;
    return offset >= 0 && offset < PAGE_BYTES ? this.#lapic.readMemory(offset, now) : floating(4);
  }

  writeMemory(address: number, value: number, now: number): void {
    const offset = address - XAPIC_ADDRESS;
    if (offset >= 0 && offset < PAGE_BYTES) this.#lapic.writeMemory(offset, value, now, this.#sinks);
  }

  input(): boolean {
    return false;
  }

  save(): SavedPvhPlatform {
    return { lapic: this.#lapic.save() };
  }
}
