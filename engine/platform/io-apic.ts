/*
 * The I/O APIC (Intel 82093AA data sheet): 24 inputs, each with an entry of 64 bits in the redirection table, reached through
 * an index and a data register in memory.
 */

export const IO_APIC_ADDRESS = 0xfec00000;
export const IO_APIC_PINS = 24;
export const IO_APIC_ID = 1;

const INDEX_OFFSET = 0x00;
const DATA_OFFSET = 0x10;
const REGISTER = { ID: 0, VERSION: 1, ARBITRATION: 2, TABLE: 0x10 } as const;
const VERSION = 0x11 | ((IO_APIC_PINS - 1) << 16);

/** Bits of the low half of an entry. */
const DELIVERY_SHIFT = 8;
const LOGICAL = 1 << 11;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
/** All but delivery status and remote IRR. */
const WRITABLE = 0x1afff;

const DELIVERY = { FIXED: 0, LOWEST: 1, NMI: 4, EXTINT: 7 } as const;

/** Where interrupts go: the local APIC. */
export interface IoApicSink {
  /** Is that the processor that there is? */
  isAddressed(destination: number, logical: boolean): boolean;
  request(vector: number, level: boolean): void;
  nmi(): void;
}

export interface SavedIoApic {
  readonly index: number;
  readonly id: number;
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly lines: readonly boolean[];
}

export class IoApic {
  readonly #sink: IoApicSink;
  #index = 0;
  #id = IO_APIC_ID << 24;
  readonly #low: number[];
  readonly #high: number[];
  readonly #lines: boolean[];

  constructor(sink: IoApicSink, saved?: SavedIoApic) {
    this.#sink = sink;
    this.#index = saved?.index ?? 0;
    this.#id = saved?.id ?? IO_APIC_ID << 24;
    this.#low = [...(saved?.low ?? new Array<number>(IO_APIC_PINS).fill(MASKED))];
    this.#high = [...(saved?.high ?? new Array<number>(IO_APIC_PINS).fill(0))];
    this.#lines = [...(saved?.lines ?? new Array<boolean>(IO_APIC_PINS).fill(false))];
  }

  /** Input 0 passes the 8259's interrupts on. */
  get passesExtInt(): boolean {
    const entry = this.#low[0]!;
    return !(entry & MASKED) && delivery(entry) === DELIVERY.EXTINT;
  }

  /** The level of an input. An edge at one that is masked is lost. */
  setLine(pin: number, level: boolean): void {
    const rises = level && !this.#lines[pin];
    this.#lines[pin] = level;
    const entry = this.#low[pin]!;
    if (entry & LEVEL) this.#serveLevel(pin);
    else if (rises && !(entry & MASKED)) this.#deliver(pin);
  }

  /** The local APIC ended the interrupt with this vector, which was level-triggered. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      const entry = this.#low[pin]!;
      if (!(entry & REMOTE_IRR) || (entry & 0xff) !== vector) continue;
      this.#low[pin] = entry & ~REMOTE_IRR;
      this.#serveLevel(pin);
    }
  }

  /** A read of 32 bits at an offset in the page. */
  read(offset: number): number {
    if (offset === INDEX_OFFSET) return this.#index;
    if (offset !== DATA_OFFSET) return 0;
    switch (this.#index) {
      case REGISTER.ID:
        return this.#id;
      case REGISTER.VERSION:
        return VERSION;
      case REGISTER.ARBITRATION:
        return this.#id;
      default: {
        const pin = (this.#index - REGISTER.TABLE) >> 1;
        if (pin < 0 || pin >= IO_APIC_PINS) return 0;
        return (this.#index & 1 ? this.#high[pin]! : this.#low[pin]!) >>> 0;
      }
    }
  }

  write(offset: number, value: number): void {
    if (offset === INDEX_OFFSET) this.#index = value & 0xff;
    if (offset !== DATA_OFFSET) return;
    if (this.#index === REGISTER.ID) this.#id = value & 0x0f000000;
    const pin = (this.#index - REGISTER.TABLE) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return;
    if (this.#index & 1) {
      this.#high[pin] = value & 0xff000000;
      return;
    }
    // An entry that becomes edge-triggered forgets that the processor has its interrupt: so do kernels end one by force.
    const kept = value & LEVEL ? this.#low[pin]! & REMOTE_IRR : 0;
    this.#low[pin] = (value & WRITABLE) | kept;
    if (value & LEVEL) this.#serveLevel(pin);
  }

  save(): SavedIoApic {
    return {
      index: this.#index,
      id: this.#id,
      low: [...this.#low],
      high: [...this.#high],
      lines: [...this.#lines],
    };
  }

  #serveLevel(pin: number): void {
    const entry = this.#low[pin]!;
    if (this.#lines[pin] && !(entry & (MASKED | REMOTE_IRR))) this.#deliver(pin);
  }

  #deliver(pin: number): void {
    const entry = this.#low[pin]!;
    if (!this.#sink.isAddressed((this.#high[pin]! >>> 24) & 0xff, (entry & LOGICAL) !== 0)) return;
    switch (delivery(entry)) {
      case DELIVERY.FIXED:
      case DELIVERY.LOWEST:
        if (entry & LEVEL) this.#low[pin] = entry | REMOTE_IRR;
        this.#sink.request(entry & 0xff, (entry & LEVEL) !== 0);
        return;
      case DELIVERY.NMI:
        this.#sink.nmi();
        return;
      default:
    }
  }
}

function delivery(entry: number): number {
  return (entry >> DELIVERY_SHIFT) & 7;
}
