/*
 * The two 8259A interrupt controllers of a PC, the second behind input 2 of the first (Intel 8259A data sheet). Fully nested
 * mode, edge- or level-triggered by ELCR; no rotation by commands other than plain ones, no polling.
 */

const PORTS = { first: 0x20, second: 0xa0, elcr: 0x4d0 } as const;
const CASCADE = 2;
const ICW1 = 0x10;
const ICW1_NEEDS_ICW4 = 0x01;
const ICW4_AUTO_EOI = 0x02;
const OCW3 = 0x08;
const OCW3_READ_REGISTER = 0x02;
const OCW3_READ_ISR = 0x01;
const OCW2_EOI = 0x20;
const OCW2_SPECIFIC = 0x40;
/** Inputs that cannot be level-triggered: timer, keyboard, cascade; clock, coprocessor. */
const ELCR_WRITABLE = [0xf8, 0xde] as const;
const SPURIOUS = 7;

export interface SavedChip {
  readonly irr: number;
  readonly isr: number;
  readonly imr: number;
  readonly lines: number;
  readonly base: number;
  readonly elcr: number;
  readonly icw: number;
  readonly needsIcw4: boolean;
  readonly autoEoi: boolean;
  readonly readsIsr: boolean;
}

class Chip {
  irr = 0;
  isr = 0;
  imr = 0xff;
  #lines = 0;
  #base = 0;
  elcr = 0;
  /** The initialization command word that is expected next, 0 for none. */
  #icw = 0;
  #needsIcw4 = false;
  #autoEoi = false;
  #readsIsr = false;

  constructor(saved?: SavedChip) {
    if (saved === undefined) return;
    this.irr = saved.irr;
    this.isr = saved.isr;
    this.imr = saved.imr;
    this.#lines = saved.lines;
    this.#base = saved.base;
    this.elcr = saved.elcr;
    this.#icw = saved.icw;
    this.#needsIcw4 = saved.needsIcw4;
    this.#autoEoi = saved.autoEoi;
    this.#readsIsr = saved.readsIsr;
  }

  setLine(input: number, level: boolean): void {
    const bit = 1 << input;
    if (this.elcr & bit) this.irr = level ? this.irr | bit : this.irr & ~bit;
    else if (level && !(this.#lines & bit)) this.irr |= bit;
    this.#lines = level ? this.#lines | bit : this.#lines & ~bit;
  }

  /** The input to be served: requested, not masked, above all that are in service. */
  get input(): number | undefined {
    const requested = this.irr & ~this.imr;
    for (let input = 0; input < 8; input++) {
      if (this.isr & (1 << input)) return undefined;
      if (requested & (1 << input)) return input;
    }
    return undefined;
  }

  vector(input: number): number {
    return this.#base + input;
  }

  /** The processor's acknowledge cycle for this input. */
  acknowledge(input: number): void {
    const bit = 1 << input;
    if (!(this.elcr & bit)) this.irr &= ~bit;
    if (!this.#autoEoi) this.isr |= bit;
  }

  readCommand(): number {
    return this.#readsIsr ? this.isr : this.irr;
  }

  writeCommand(value: number): void {
    if (value & ICW1) {
      this.irr = 0;
      this.isr = 0;
      this.imr = 0;
      this.#autoEoi = false;
      this.#readsIsr = false;
      this.#needsIcw4 = (value & ICW1_NEEDS_ICW4) !== 0;
      this.#icw = 2;
    } else if (value & OCW3) {
      if (value & OCW3_READ_REGISTER) this.#readsIsr = (value & OCW3_READ_ISR) !== 0;
    } else if (value & OCW2_EOI) {
      this.isr &= value & OCW2_SPECIFIC ? ~(1 << (value & 7)) : this.isr - 1;
    }
  }

  readData(): number {
    return this.imr;
  }

  writeData(value: number): void {
    switch (this.#icw) {
      case 2:
        this.#base = value & 0xf8;
        this.#icw = 3;
        return;
      case 3:
        this.#icw = this.#needsIcw4 ? 4 : 0;
        return;
      case 4:
        this.#autoEoi = (value & ICW4_AUTO_EOI) !== 0;
        this.#icw = 0;
        return;
      default:
        this.imr = value;
    }
  }

  save(): SavedChip {
    return {
      irr: this.irr,
      isr: this.isr,
      imr: this.imr,
      lines: this.#lines,
      base: this.#base,
      elcr: this.elcr,
      icw: this.#icw,
      needsIcw4: this.#needsIcw4,
      autoEoi: this.#autoEoi,
      readsIsr: this.#readsIsr,
    };
  }
}

export type SavedPic = readonly [SavedChip, SavedChip];

export class Pic {
  readonly #first: Chip;
  readonly #second: Chip;

  constructor(saved?: SavedPic) {
    this.#first = new Chip(saved?.[0]);
    this.#second = new Chip(saved?.[1]);
  }

  /** The level of interrupt request line 0 to 15. */
  setLine(irq: number, level: boolean): void {
    if (irq < 8) this.#first.setLine(irq, level);
    else this.#second.setLine(irq - 8, level);
    this.#cascade();
  }

  /** The vector the processor would be given now; undefined if it is not interrupted. */
  get pending(): number | undefined {
    const input = this.#first.input;
    if (input === undefined) return undefined;
    if (input !== CASCADE) return this.#first.vector(input);
    return this.#second.vector(this.#second.input ?? SPURIOUS);
  }

  /** The processor took that vector. */
  acknowledge(): void {
    const input = this.#first.input;
    if (input === undefined) return;
    this.#first.acknowledge(input);
    if (input === CASCADE) {
      const second = this.#second.input;
      if (second !== undefined) this.#second.acknowledge(second);
    }
    this.#cascade();
  }

  /** IN of a byte; undefined if the port is not the controllers'. */
  read(port: number): number | undefined {
    if (port === PORTS.elcr) return this.#first.elcr;
    if (port === PORTS.elcr + 1) return this.#second.elcr;
    const chip = this.#chip(port);
    return port & 1 ? chip?.readData() : chip?.readCommand();
  }

  /** OUT of a byte; false if the port is not the controllers'. */
  write(port: number, value: number): boolean {
    if (port === PORTS.elcr) this.#first.elcr = value & ELCR_WRITABLE[0];
    else if (port === PORTS.elcr + 1) this.#second.elcr = value & ELCR_WRITABLE[1];
    else {
      const chip = this.#chip(port);
      if (chip === undefined) return false;
      if (port & 1) chip.writeData(value);
      else chip.writeCommand(value);
    }
    this.#cascade();
    return true;
  }

  save(): SavedPic {
    return [this.#first.save(), this.#second.save()];
  }

  #chip(port: number): Chip | undefined {
    if ((port & ~1) === PORTS.first) return this.#first;
    return (port & ~1) === PORTS.second ? this.#second : undefined;
  }

  /** The second chip's output. It falls and rises with each acknowledge cycle, so the first sees an edge for each. */
  #cascade(): void {
    this.#first.setLine(CASCADE, false);
    this.#first.irr &= ~(1 << CASCADE);
    if (this.#second.input !== undefined) this.#first.setLine(CASCADE, true);
  }
}
