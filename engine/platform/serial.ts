/*
 * A 16550A serial port (National Semiconductor PC16550D data sheet). What is sent is out at once; what comes in waits in a
 * queue of ours behind the 16 bytes of the FIFO, so nothing is lost.
 */

import { DOMAIN_LIMITS } from "../limits.ts";

const REGISTERS = 8;
const FIFO_BYTES = 16;
const REGISTER = { DATA: 0, IER: 1, IIR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCRATCH: 7 } as const;
const IER = { RECEIVED: 1, EMPTY: 2, LINE: 4, MODEM: 8 } as const;
const IIR = { NONE: 1, EMPTY: 2, RECEIVED: 4, FIFOS: 0xc0 } as const;
const FCR = { ENABLE: 1, CLEAR_RECEIVER: 2 } as const;
const LCR_DLAB = 0x80;
const MCR = { DTR: 1, RTS: 2, OUT1: 4, OUT2: 8, LOOP: 16 } as const;
const MCR_WRITABLE = 0x1f;
const LSR = { READY: 1, EMPTY: 0x60 } as const;
/** CTS, DSR, DCD: somebody is there. */
const MSR_CONNECTED = 0xb0;

/** What the port leads to. */
export interface SerialSink {
  send(byte: number): void;
  /** The level of the interrupt request line. */
  interrupt(level: boolean): void;
}

export interface SavedSerial {
  readonly ier: number;
  readonly lcr: number;
  readonly mcr: number;
  readonly scratch: number;
  readonly divisor: number;
  readonly fifos: boolean;
  readonly emptyPending: boolean;
  readonly input: readonly number[];
}

export class Serial {
  readonly #sink: SerialSink;
  #ier = 0;
  #lcr = 0;
  #mcr = 0;
  #scratch = 0;
  #divisor = 12;
  #fifos = false;
  /** The transmitter has become empty, and nobody has been told yet. */
  #emptyPending = false;
  readonly #input: number[];

  constructor(sink: SerialSink, saved?: SavedSerial) {
    this.#sink = sink;
    this.#input = [...(saved?.input ?? [])];
    if (saved === undefined) return;
    this.#ier = saved.ier;
    this.#lcr = saved.lcr;
    this.#mcr = saved.mcr;
    this.#scratch = saved.scratch;
    this.#divisor = saved.divisor;
    this.#fifos = saved.fifos;
    this.#emptyPending = saved.emptyPending;
  }

  /** Somebody has the port open and waits for input. */
  get isListening(): boolean {
    return (this.#ier & IER.RECEIVED) !== 0;
  }

  /** Somebody has said how characters are sent: who never asks for interrupts may look for input, as firmware and GRUB do. */
  get isSetUp(): boolean {
    return this.#lcr !== 0;
  }

  /** Input from outside, as much as the limit allows. */
  input(bytes: Uint8Array): void {
    const room = DOMAIN_LIMITS.consoleInputBytes - this.#input.length;
    this.#input.push(...bytes.subarray(0, room));
    this.#update();
  }

  read(register: number): number {
    switch (register % REGISTERS) {
      case REGISTER.DATA: {
        if (this.#lcr & LCR_DLAB) return this.#divisor & 0xff;
        const byte = this.#input.shift() ?? 0;
        this.#update();
        return byte;
      }
      case REGISTER.IER:
        return this.#lcr & LCR_DLAB ? this.#divisor >> 8 : this.#ier;
      case REGISTER.IIR: {
        const cause = this.#cause;
        if (cause === IIR.EMPTY) {
          this.#emptyPending = false;
          this.#update();
        }
        return cause | (this.#fifos ? IIR.FIFOS : 0);
      }
      case REGISTER.LCR:
        return this.#lcr;
      case REGISTER.MCR:
        return this.#mcr;
      case REGISTER.LSR:
        return LSR.EMPTY | (this.#input.length > 0 ? LSR.READY : 0);
      case REGISTER.MSR:
        return this.#mcr & MCR.LOOP ? loopedModemStatus(this.#mcr) : MSR_CONNECTED;
      default:
        return this.#scratch;
    }
  }

  write(register: number, value: number): void {
    switch (register % REGISTERS) {
      case REGISTER.DATA:
        if (this.#lcr & LCR_DLAB) {
          this.#divisor = (this.#divisor & 0xff00) | value;
          break;
        }
        if (this.#mcr & MCR.LOOP) {
          if (this.#input.length < FIFO_BYTES) this.#input.push(value);
        } else this.#sink.send(value);
        this.#emptyPending = true;
        break;
      case REGISTER.IER:
        if (this.#lcr & LCR_DLAB) {
          this.#divisor = (this.#divisor & 0xff) | (value << 8);
          break;
        }
        // The transmitter is empty: who begins to ask for that is told.
        if (value & IER.EMPTY && !(this.#ier & IER.EMPTY)) this.#emptyPending = true;
        this.#ier = value & 0x0f;
        break;
      case REGISTER.IIR:
        this.#fifos = (value & FCR.ENABLE) !== 0;
        // What is still on its way comes afterwards.
        if (value & FCR.CLEAR_RECEIVER) this.#input.splice(0, FIFO_BYTES);
        break;
      case REGISTER.LCR:
        this.#lcr = value;
        break;
      case REGISTER.MCR:
        this.#mcr = value & MCR_WRITABLE;
        break;
      case REGISTER.SCRATCH:
        this.#scratch = value;
        break;
      default:
    }
    this.#update();
  }

  save(): SavedSerial {
    return {
      ier: this.#ier,
      lcr: this.#lcr,
      mcr: this.#mcr,
      scratch: this.#scratch,
      divisor: this.#divisor,
      fifos: this.#fifos,
      emptyPending: this.#emptyPending,
      input: [...this.#input],
    };
  }

  get #cause(): number {
    if (this.#ier & IER.RECEIVED && this.#input.length > 0) return IIR.RECEIVED;
    if (this.#ier & IER.EMPTY && this.#emptyPending) return IIR.EMPTY;
    return IIR.NONE;
  }

  /** OUT2 gates the interrupt in a PC. */
  #update(): void {
    this.#sink.interrupt((this.#mcr & MCR.OUT2) !== 0 && this.#cause !== IIR.NONE);
  }
}

/** In loopback the outputs are the inputs: RTS is CTS, DTR is DSR, OUT1 is RI, OUT2 is DCD. */
function loopedModemStatus(mcr: number): number {
  return (
    (mcr & MCR.RTS ? 0x10 : 0) |
    (mcr & MCR.DTR ? 0x20 : 0) |
    (mcr & MCR.OUT1 ? 0x40 : 0) |
    (mcr & MCR.OUT2 ? 0x80 : 0)
  );
}
