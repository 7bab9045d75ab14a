/*
 * A local APIC in x2APIC mode: its registers are MSRs 0x800-0x83f (SDM vol. 3A 10.12). One processor, no I/O APIC: what
 * arrives are its own timer, interrupts it sends to itself, and what the platform puts in by `request`. The timer counts
 * one tick of guest time a nanosecond, divided as DCR says.
 */

export const X2APIC_FIRST = 0x800;
export const X2APIC_LAST = 0x8ff;
/** IA32_APIC_BASE: enabled, in x2APIC mode, of the boot processor. */
export const APIC_BASE_X2APIC = 0xfee00d00n;

const REGISTERS = {
  ID: 0x802,
  VERSION: 0x803,
  TPR: 0x808,
  PPR: 0x80a,
  EOI: 0x80b,
  LDR: 0x80d,
  SVR: 0x80f,
  ISR: 0x810,
  TMR: 0x818,
  IRR: 0x820,
  ESR: 0x828,
  CMCI: 0x82f,
  ICR: 0x830,
  LVT_TIMER: 0x832,
  LVT_LAST: 0x837,
  TIMER_INITIAL: 0x838,
  TIMER_CURRENT: 0x839,
  DIVIDE: 0x83e,
  SELF_IPI: 0x83f,
} as const;

/** Integrated, six LVT entries. */
const VERSION = 0x00050014;
const LVT_MASKED = 1 << 16;
const LVT_PERIODIC = 1 << 17;
/** Bits that can be written in each LVT entry from LVT_TIMER on: timer, thermal, performance, LINT0, LINT1, error. */
const LVT_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff];
const SVR_ENABLED = 0x100;
const SVR_WRITABLE = 0x1ff;
const ESR_ILLEGAL_SEND = 1 << 5;
const ESR_ILLEGAL_RECEIVED = 1 << 6;
/** Vectors 0-15 are the processor's exceptions. */
const FIRST_VECTOR = 16;
const VECTORS = 256;
/** The logical id of APIC 0 in cluster 0. */
const LOGICAL_ID = 1;

const DELIVERY_FIXED = 0;
const DELIVERY_LOWEST = 1;
const DELIVERY_NMI = 4;

export interface SavedLapic {
  readonly irr: readonly number[];
  readonly isr: readonly number[];
  readonly tpr: number;
  readonly svr: number;
  readonly esr: number;
  readonly esrPending: number;
  readonly icr: string;
  readonly lvt: readonly number[];
  readonly initialCount: number;
  readonly divide: number;
  readonly deadline: number | null;
}

export class Lapic {
  /** Vectors requested and in service. */
  readonly #irr = new Set<number>();
  readonly #isr = new Set<number>();
  #tpr = 0;
  #svr = 0xff;
  #esr = 0;
  #esrPending = 0;
  #icr = 0n;
  #lvt = LVT_WRITABLE.map(() => LVT_MASKED);
  #initialCount = 0;
  #divide = 0;
  #deadline: number | undefined;

  constructor(saved?: SavedLapic) {
    if (saved === undefined) return;
    this.#irr = new Set(saved.irr);
    this.#isr = new Set(saved.isr);
    this.#tpr = saved.tpr;
    this.#svr = saved.svr;
    this.#esr = saved.esr;
    this.#esrPending = saved.esrPending;
    this.#icr = BigInt(saved.icr);
    this.#lvt = [...saved.lvt];
    this.#initialCount = saved.initialCount;
    this.#divide = saved.divide;
    this.#deadline = saved.deadline ?? undefined;
  }

  /** When the timer fires, in ns of guest time. */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  /** The vector the processor is to be interrupted with, if any: the highest requested one above the priority at work. */
  get pending(): number | undefined {
    const vector = this.#svr & SVR_ENABLED ? highest(this.#irr) : undefined;
    return vector !== undefined && vector >> 4 > this.#priority() >> 4 ? vector : undefined;
  }

  /** A fixed interrupt arrives. As in Xen's, it is kept while the APIC is disabled by software. */
  request(vector: number): void {
    if (vector < FIRST_VECTOR) this.#esrPending |= ESR_ILLEGAL_RECEIVED;
    else this.#irr.add(vector);
  }

  /** The processor took the interrupt. */
  acknowledge(vector: number): void {
    if (this.#irr.delete(vector)) this.#isr.add(vector);
  }

  /** Fires the timer if its time has come. */
  advance(now: number): void {
    const due = this.#deadline;
    if (due === undefined || due > now) return;
    const lvt = this.#lvt[0]!;
    const period = this.#initialCount * this.#divisor();
    if (lvt & LVT_PERIODIC && period > 0) {
      this.#deadline = due + (Math.floor((now - due) / period) + 1) * period;
    } else {
      this.#deadline = undefined;
    }
    if (!(lvt & LVT_MASKED)) this.request(lvt & 0xff);
  }

  /** RDMSR; undefined is #GP. */
  read(msr: number, now: number): bigint | undefined {
    const value = this.#read(msr, now);
    return typeof value === "number" ? BigInt(value >>> 0) : value;
  }

  /** WRMSR; false is #GP. `onNmi` is called if the processor sends itself an NMI. */
  write(msr: number, value: bigint, now: number, onNmi: () => void): boolean {
    if (msr === REGISTERS.ICR) return this.#send(value, onNmi);
    if (value >> 32n !== 0n) return false;
    const low = Number(value);
    if (msr >= REGISTERS.LVT_TIMER && msr <= REGISTERS.LVT_LAST) return this.#writeLvt(msr, low);
    switch (msr) {
      case REGISTERS.TPR:
        if (low > 0xff) return false;
        this.#tpr = low;
        return true;
      case REGISTERS.EOI: {
        if (low !== 0) return false;
        const vector = highest(this.#isr);
        if (vector !== undefined) this.#isr.delete(vector);
        return true;
      }
      case REGISTERS.SVR:
        if (low & ~SVR_WRITABLE) return false;
        this.#svr = low;
        if (!(low & SVR_ENABLED)) this.#lvt = this.#lvt.map((entry) => entry | LVT_MASKED);
        return true;
      case REGISTERS.ESR:
        if (low !== 0) return false;
        this.#esr = this.#esrPending;
        this.#esrPending = 0;
        return true;
      case REGISTERS.TIMER_INITIAL:
        this.#initialCount = low;
        this.#deadline = low === 0 ? undefined : now + low * this.#divisor();
        return true;
      case REGISTERS.DIVIDE:
        if (low & ~0xb) return false;
        this.#setDivide(low, now);
        return true;
      case REGISTERS.SELF_IPI:
        if (low > 0xff) return false;
        this.request(low);
        return true;
      default:
        return false;
    }
  }

  save(): SavedLapic {
    return {
      irr: [...this.#irr].sort((a, b) => a - b),
      isr: [...this.#isr].sort((a, b) => a - b),
      tpr: this.#tpr,
      svr: this.#svr,
      esr: this.#esr,
      esrPending: this.#esrPending,
      icr: this.#icr.toString(),
      lvt: this.#lvt,
      initialCount: this.#initialCount,
      divide: this.#divide,
      deadline: this.#deadline ?? null,
    };
  }

  #read(msr: number, now: number): number | bigint | undefined {
    if (msr >= REGISTERS.LVT_TIMER && msr <= REGISTERS.LVT_LAST) return this.#lvt[msr - REGISTERS.LVT_TIMER];
    if (msr >= REGISTERS.ISR && msr < REGISTERS.ISR + 8) return bits(this.#isr, msr - REGISTERS.ISR);
    // All are edge-triggered.
    if (msr >= REGISTERS.TMR && msr < REGISTERS.TMR + 8) return 0;
    if (msr >= REGISTERS.IRR && msr < REGISTERS.IRR + 8) return bits(this.#irr, msr - REGISTERS.IRR);
    switch (msr) {
      case REGISTERS.ID:
        return 0;
      case REGISTERS.VERSION:
        return VERSION;
      case REGISTERS.TPR:
        return this.#tpr;
      case REGISTERS.PPR:
        return this.#priority();
      case REGISTERS.LDR:
        return LOGICAL_ID;
      case REGISTERS.SVR:
        return this.#svr;
      case REGISTERS.ESR:
        return this.#esr;
      case REGISTERS.ICR:
        return this.#icr;
      case REGISTERS.TIMER_INITIAL:
        return this.#initialCount;
      case REGISTERS.TIMER_CURRENT:
        return this.#deadline === undefined ? 0 : Math.ceil((this.#deadline - now) / this.#divisor());
      case REGISTERS.DIVIDE:
        return this.#divide;
      default:
        return undefined;
    }
  }

  #writeLvt(msr: number, value: number): boolean {
    const index = msr - REGISTERS.LVT_TIMER;
    if (value & ~LVT_WRITABLE[index]!) return false;
    // The mode 10b of the timer, TSC deadline, is not offered by CPUID.
    if (index === 0 && value & (1 << 18)) return false;
    this.#lvt[index] = this.#svr & SVR_ENABLED ? value : value | LVT_MASKED;
    return true;
  }

  /** The count goes on from where it is. */
  #setDivide(divide: number, now: number): void {
    const left = this.#deadline === undefined ? undefined : (this.#deadline - now) / this.#divisor();
    this.#divide = divide;
    if (left !== undefined) this.#deadline = now + Math.ceil(left) * this.#divisor();
  }

  /** DCR bits 0, 1 and 3: 2, 4, 8 ... 128, 1. */
  #divisor(): number {
    const code = (this.#divide & 3) | ((this.#divide & 8) >> 1);
    return code === 7 ? 1 : 2 << code;
  }

  #priority(): number {
    const serving = (highest(this.#isr) ?? 0) & 0xf0;
    return this.#tpr >> 4 >= serving >> 4 ? this.#tpr : serving;
  }

  /** A write to ICR: an interrupt for this processor, or for none that there is. */
  #send(value: bigint, onNmi: () => void): boolean {
    if (value & 0xfff32000n) return false;
    this.#icr = value;
    const low = Number(value & 0xffffffffn);
    const destination = Number(value >> 32n);
    const shorthand = (low >> 18) & 3;
    const isLogical = (low & 0x800) !== 0;
    const named = isLogical
      ? destination >>> 16 === 0 && (destination & LOGICAL_ID) !== 0
      : destination === 0 || destination === 0xffffffff;
    // 1 is "self", 2 "all including self", 3 "all but self".
    if (shorthand === 3 || (shorthand === 0 && !named)) return true;
    const delivery = (low >> 8) & 7;
    if (delivery === DELIVERY_NMI) onNmi();
    if (delivery !== DELIVERY_FIXED && delivery !== DELIVERY_LOWEST) return true;
    if ((low & 0xff) < FIRST_VECTOR) this.#esrPending |= ESR_ILLEGAL_SEND;
    else this.request(low & 0xff);
    return true;
  }
}

function highest(vectors: ReadonlySet<number>): number | undefined {
  let found: number | undefined;
  for (const vector of vectors) if (found === undefined || vector > found) found = vector;
  return found;
}

/** 32 vectors from 32 * `word` on as a register shows them. */
function bits(vectors: ReadonlySet<number>, word: number): number {
  let value = 0;
  for (let vector = word * 32; vector < Math.min((word + 1) * 32, VECTORS); vector++) {
    if (vectors.has(vector)) value |= 1 << (vector & 31);
  }
  return value >>> 0;
}
