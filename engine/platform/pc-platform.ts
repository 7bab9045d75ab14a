import { S5_SLEEP_TYPE } from "./acpi.ts";
import { PC_PORTS, RTC_IRQ, SERIAL_IRQ, TIMER_GSI } from "./acpi-pc.ts";
import { IO_APIC_ADDRESS, IoApic, type SavedIoApic } from "./io-apic.ts";
import { Lapic, type SavedLapic, X2APIC_FIRST, X2APIC_LAST, XAPIC_ADDRESS } from "./lapic.ts";
import { Pci, type SavedPci } from "./pci.ts";
import { Pic, type SavedPic } from "./pic.ts";
import { Pit, type SavedPit } from "./pit.ts";
import { APIC_BASE_MSR, DEBUG_PORT, floating, type Platform, type PlatformSinks } from "./platform.ts";
import { Rtc, type SavedRtc } from "./rtc.ts";
import { type SavedSerial, Serial } from "./serial.ts";

const PAGE_MASK = 0xfff;
const TIMER_IRQ = 0;
const SERIAL_PORTS = 8;
/** The keyboard controller's port would pulse the reset line by this; there is none, but kernels try it to reboot. */
const KEYBOARD_COMMAND = 0x64;
const PULSE_RESET = 0xfe;
/** Port 0x92: fast A20 and reset. */
const SYSTEM_CONTROL_A = 0x92;
const FAST_RESET = 1;

/** PM1 registers (ACPI 4.8.3). */
const PM1_BYTES = 4;
const PM1_ENABLE = 2;
const SCI_ENABLED = 1;
const SLEEP_ENABLE = 1 << 13;
const SLEEP_TYPE_SHIFT = 10;
const PM_TIMER_HZ = 3_579_545;
const NS = 1_000_000_000;

/*
 * Xen's ports to unplug emulated devices (docs/misc/hvm-emulated-unplug.pandoc). There are none to unplug, so whatever is
 * asked for is done.
 */
const UNPLUG = { magic: 0x10, version: 0x12 } as const;
const UNPLUG_MAGIC = 0x49d2;
const UNPLUG_VERSION = 1;

export interface SavedPcPlatform {
  readonly lapic: SavedLapic;
  readonly ioApic: SavedIoApic;
  readonly pic: SavedPic;
  readonly pit: SavedPit;
  readonly rtc: SavedRtc;
  readonly serial: SavedSerial;
  readonly pci: SavedPci;
  readonly pm1Enable: number;
}

/** The platform of mode "hvm": what of a PC a Linux looks for. */
export class PcPlatform implements Platform {
  readonly #sinks: PlatformSinks;
  readonly #lapic: Lapic;
  readonly #ioApic: IoApic;
  readonly #pic: Pic;
  readonly #pit: Pit;
  readonly #rtc: Rtc;
  readonly #serial: Serial;
  readonly #pci: Pci;
  #pm1Enable = 0;

  /** @param pciMemory where the memory of PCI devices begins */
  constructor(sinks: PlatformSinks, startTime: number, pciMemory: number, saved?: SavedPcPlatform) {
    this.#sinks = sinks;
    const lapic = new Lapic(saved?.lapic ?? "pc");
    this.#lapic = lapic;
    this.#ioApic = new IoApic(
      {
        isAddressed: (destination, logical) => lapic.isAddressed(destination, logical),
        request: (vector, level) => lapic.request(vector, level),
        nmi: () => sinks.nmi(),
      },
      saved?.ioApic,
    );
    this.#pic = new Pic(saved?.pic);
    this.#pit = new Pit(() => this.#pulse(TIMER_IRQ, TIMER_GSI), saved?.pit);
    this.#rtc = new Rtc(startTime, (level) => this.#setLine(RTC_IRQ, RTC_IRQ, level), saved?.rtc);
    this.#serial = new Serial(
      {
        send: (byte) => sinks.print(Uint8Array.of(byte)),
        interrupt: (level) => this.#setLine(SERIAL_IRQ, SERIAL_IRQ, level),
      },
      saved?.serial,
    );
    this.#pci = new Pci(pciMemory, saved?.pci);
    this.#pm1Enable = saved?.pm1Enable ?? 0;
  }

  get pending(): number | undefined {
    return this.#lapic.pending ?? this.#external;
  }

  get deadline(): number | undefined {
    return earlier(earlier(this.#lapic.deadline, this.#pit.deadline), this.#rtc.deadline);
  }

  acknowledge(vector: number): void {
    if (this.#lapic.pending === vector) this.#lapic.acknowledge(vector);
    else if (this.#external === vector) this.#pic.acknowledge();
  }

  advance(now: number): void {
    this.#lapic.advance(now);
    this.#pit.advance(now);
    this.#rtc.advance(now);
  }

  request(vector: number): void {
    this.#lapic.request(vector);
  }

  readMsr(msr: number, now: number): bigint | undefined {
    if (msr === APIC_BASE_MSR) return this.#lapic.base;
    return msr >= X2APIC_FIRST && msr <= X2APIC_LAST ? this.#lapic.read(msr, now) : undefined;
  }

  writeMsr(msr: number, value: bigint, now: number): boolean {
    if (msr === APIC_BASE_MSR) return this.#lapic.setBase(value);
    return msr >= X2APIC_FIRST && msr <= X2APIC_LAST && this.#lapic.write(msr, value, now, this.#lapicSinks);
  }

  read(port: number, size: number, now: number): number {
    if (port === UNPLUG.magic && size === 2) return UNPLUG_MAGIC;
    if (port === UNPLUG.version && size === 1) return UNPLUG_VERSION;
    if (port === PC_PORTS.pmTimer && size === 4) return pmTimer(now);
    const config = this.#pci.read(port, size);
    if (config !== undefined) return config;
    let value = 0;
    for (let i = 0; i < size; i++) value += (this.#readByte(port + i, now) ?? 0xff) * 2 ** (8 * i);
    return value;
  }

  write(port: number, size: number, value: number, now: number): void {
    if (port === PC_PORTS.pm1Control && size >= 2) this.#control(value);
    if (this.#pci.write(port, size, value)) return;
    for (let i = 0; i < size; i++) this.#writeByte(port + i, (value >>> (8 * i)) & 0xff, now);
  }

  readMemory(address: number, now: number): number {
    const offset = address & PAGE_MASK;
    if (address - offset === IO_APIC_ADDRESS) return this.#ioApic.read(offset);
    if (address - offset === XAPIC_ADDRESS) return this.#lapic.readMemory(offset, now);
    return floating(4);
  }

  writeMemory(address: number, value: number, now: number): void {
    const offset = address & PAGE_MASK;
    if (address - offset === IO_APIC_ADDRESS) this.#ioApic.write(offset, value);
    if (address - offset === XAPIC_ADDRESS) this.#lapic.writeMemory(offset, value, now, this.#lapicSinks);
  }

  input(bytes: Uint8Array, isAlone = false): boolean {
    if (!this.#serial.isListening && !(isAlone && this.#serial.isSetUp)) return false;
    this.#serial.input(bytes);
    return true;
  }

  save(): SavedPcPlatform {
    return {
      lapic: this.#lapic.save(),
      ioApic: this.#ioApic.save(),
      pic: this.#pic.save(),
      pit: this.#pit.save(),
      rtc: this.#rtc.save(),
      serial: this.#serial.save(),
      pci: this.#pci.save(),
      pm1Enable: this.#pm1Enable,
    };
  }

  /** The 8259's vector, where it reaches the processor. */
  get #external(): number | undefined {
    return this.#lapic.passesExtInt || this.#ioApic.passesExtInt ? this.#pic.pending : undefined;
  }

  get #lapicSinks(): { nmi: () => void; endOfInterrupt: (vector: number) => void } {
    return {
      nmi: () => this.#sinks.nmi(),
      endOfInterrupt: (vector) => this.#ioApic.endOfInterrupt(vector),
    };
  }

  /** An interrupt line leads to both controllers. */
  #setLine(irq: number, gsi: number, level: boolean): void {
    this.#pic.setLine(irq, level);
    this.#ioApic.setLine(gsi, level);
  }

  #pulse(irq: number, gsi: number): void {
    this.#setLine(irq, gsi, true);
    this.#setLine(irq, gsi, false);
  }

  #readByte(port: number, now: number): number | undefined {
    const { serial, pm1Event, pm1Control, pmTimer: timer } = PC_PORTS;
    if (port >= serial && port < serial + SERIAL_PORTS) return this.#serial.read(port - serial);
    if (port >= pm1Event && port < pm1Event + PM1_BYTES) {
      const at = port - pm1Event;
      return at < PM1_ENABLE ? 0 : (this.#pm1Enable >> (8 * (at - PM1_ENABLE))) & 0xff;
    }
    if (port === pm1Control) return SCI_ENABLED;
    if (port === pm1Control + 1) return 0;
    if (port >= timer && port < timer + 4) return (pmTimer(now) >>> (8 * (port - timer))) & 0xff;
    if (port === SYSTEM_CONTROL_A) return 2;
    return this.#pic.read(port) ?? this.#pit.read(port, now) ?? this.#rtc.read(port, now);
  }

  #writeByte(port: number, value: number, now: number): void {
    const { serial, pm1Event, reset, resetValue } = PC_PORTS;
    if (port >= serial && port < serial + SERIAL_PORTS) this.#serial.write(port - serial, value);
    else if (port >= pm1Event + PM1_ENABLE && port < pm1Event + PM1_BYTES) {
      const shift = 8 * (port - pm1Event - PM1_ENABLE);
      this.#pm1Enable = (this.#pm1Enable & ~(0xff << shift)) | (value << shift);
    } else if (port === reset && value === resetValue) this.#sinks.reset();
    else if (port === KEYBOARD_COMMAND && value === PULSE_RESET) this.#sinks.reset();
    else if (port === SYSTEM_CONTROL_A && value & FAST_RESET) this.#sinks.reset();
    else if (port === DEBUG_PORT) this.#sinks.print(Uint8Array.of(value));
    else if (!this.#pic.write(port, value) && !this.#pit.write(port, value, now))
      this.#rtc.write(port, value, now);
  }

  /** PM1a_CNT: to sleep. */
  #control(value: number): void {
    if (value & SLEEP_ENABLE && ((value >> SLEEP_TYPE_SHIFT) & 7) === S5_SLEEP_TYPE) this.#sinks.powerOff();
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** The ACPI timer: 32 bits at 3.579545 MHz. */
function pmTimer(now: number): number {
  const seconds = Math.floor(now / NS);
  const ticks = seconds * PM_TIMER_HZ + Math.floor(((now - seconds * NS) * PM_TIMER_HZ) / NS);
  return ticks % 2 ** 32;
}
