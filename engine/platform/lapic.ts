/*
 * A local APIC, of the one processor there is: its registers are MSRs 0x800-0x83f in x2APIC mode (SDM vol. 3A 10.12) and
 * words of a page of memory in xAPIC mode (10.4). What arrives are its own timer, interrupts it sends to itself, and what
 * the platform puts in by `request`. The timer counts one tick of guest time a nanosecond, divided as DCR says.
 */

import { TIMER_LIMITS } from "../limits.ts";

export const X2APIC_FIRST = 0x800;
export const X2APIC_LAST = 0x8ff;
/** The page of registers in xAPIC mode. It cannot be moved. */
export const XAPIC_ADDRESS = 0xfee00000;
/** IA32_APIC_BASE: enabled, in x2APIC mode, of the boot processor; the same in xAPIC mode, and disabled. */
export const APIC_BASE_X2APIC = 0xfee00d00n;
export const APIC_BASE_XAPIC = 0xfee00900n;
const APIC_BASE_DISABLED = 0xfee00100n;

const REGISTERS = {
  ID: 0x802,
  VERSION: 0x803,
  TPR: 0x808,
  PPR: 0x80a,
  EOI: 0x80b,
  LDR: 0x80d,
  DFR: 0x80e,
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
/** What firmware leaves behind on a PC: enabled, LINT0 for the 8259 (ExtINT), LINT1 for NMIs. */
const FIRMWARE_SVR = 0x1ff;
const LVT_LINT0 = 3;
const LVT_LINT1 = 4;
const FIRMWARE_LINT0 = 0x700;
const FIRMWARE_LINT1 = 0x400;
/** Bits that can be written in each LVT entry from LVT_TIMER on: timer, thermal, performance, LINT0, LINT1, error. */
const LVT_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff];
/** Read-only bits in each: delivery status, of LINT0 and LINT1 remote IRR. Writing them is no error. */
const LVT_READ_ONLY = [0x1000, 0x1000, 0x1000, 0x5000, 0x5000, 0x1000];
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
const DELIVERY_EXTINT = 7;
/** ICR bits that are to be written as 0 in x2APIC mode. */
const ICR_RESERVED = 0xfff32000n;
const ICR_WRITABLE = 0xccfff;
/** DFR of the flat model; the other is the cluster model. */
const FLAT_MODEL = 0xf;
/** Registers of xAPIC mode at offsets that are not 16 times those of the MSRs. */
const XAPIC_ICR_HIGH = 0x310;

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
  /** IA32_APIC_BASE, as a decimal number. */
  readonly base: string;
  readonly tmr: readonly number[];
  /** Of xAPIC mode. */
  readonly ldr: number;
  readonly dfr: number;
  readonly icrHigh: number;
}

/** What becomes of interrupts that are not only the local APIC's business. */
export interface LapicSinks {
  /** The processor sends itself an NMI. */
  nmi(): void;
  /** A level-triggered interrupt was ended. */
  endOfInterrupt?(vector: number): void;
}

export class Lapic {
  /** Vectors requested and in service. */
  readonly #irr = new Set<number>();
  readonly #isr = new Set<number>();
  /** Those that were level-triggered. */
  readonly #tmr = new Set<number>();
  #base = APIC_BASE_X2APIC;
  #ldr = 0;
  #dfr = 0xffffffff;
  #icrHigh = 0;
  #tpr = 0;
  #svr = 0xff;
  #esr = 0;
  #esrPending = 0;
  #icr = 0n;
  #lvt = LVT_WRITABLE.map(() => LVT_MASKED);
  #initialCount = 0;
  #divide = 0;
  #deadline: number | undefined;

  /** As it comes out of reset, in x2APIC mode or, "xapic", in xAPIC mode; or "pc": as a PC's firmware leaves it. */
  constructor(saved?: SavedLapic | "xapic" | "pc") {
    if (saved === undefined) return;
    if (saved === "xapic") {
      this.#base = APIC_BASE_XAPIC;
      return;
    }
    if (saved === "pc") {
      this.#base = APIC_BASE_XAPIC;
      this.#svr = FIRMWARE_SVR;
      this.#lvt[LVT_LINT0] = FIRMWARE_LINT0;
      this.#lvt[LVT_LINT1] = FIRMWARE_LINT1;
      return;
    }
    this.#base = BigInt(saved.base);
    this.#tmr = new Set(saved.tmr);
    this.#ldr = saved.ldr;
    this.#dfr = saved.dfr;
    this.#icrHigh = saved.icrHigh;
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
    const vector =
      this.#svr & SVR_ENABLED && this.#base !== APIC_BASE_DISABLED ? highest(this.#irr) : undefined;
    return vector !== undefined && vector >> 4 > this.#priority() >> 4 ? vector : undefined;
  }

  /** The 8259's interrupts reach the processor: LINT0 is set up for them, or there is no APIC in their way. */
  get passesExtInt(): boolean {
    if (this.#base === APIC_BASE_DISABLED) return true;
    const lint0 = this.#lvt[LVT_LINT0]!;
    return !(lint0 & LVT_MASKED) && ((lint0 >> 8) & 7) === DELIVERY_EXTINT;
  }

  /** IA32_APIC_BASE. */
  get base(): bigint {
    return this.#base;
  }

  /** Writes IA32_APIC_BASE; false is #GP: another address, or a change that is not allowed (SDM vol. 3A figure 10-27). */
  setBase(value: bigint): boolean {
    if (value === this.#base) return true;
    const isAllowed =
      value === APIC_BASE_DISABLED ||
      (value === APIC_BASE_XAPIC && this.#base === APIC_BASE_DISABLED) ||
      (value === APIC_BASE_X2APIC && this.#base === APIC_BASE_XAPIC);
    if (!isAllowed) return false;
    this.#base = value;
    if (value === APIC_BASE_DISABLED) this.#reset();
    return true;
  }

  /** Is this processor meant by an interrupt message with a destination of 8 bits? */
  isAddressed(destination: number, logical: boolean): boolean {
    if (!logical || this.#base === APIC_BASE_X2APIC) {
      if (logical) return destination === 0xff || (destination & LOGICAL_ID) !== 0;
      return destination === 0 || destination === 0xff;
    }
    if (destination === 0xff) return true;
    const id = this.#ldr >>> 24;
    if (this.#dfr >>> 28 === FLAT_MODEL) return (destination & id) !== 0;
    return destination >> 4 === id >> 4 && (destination & id & 0xf) !== 0;
  }

  /** A fixed interrupt arrives. As in Xen's, it is kept while the APIC is disabled by software. */
  request(vector: number, level = false): void {
    if (vector < FIRST_VECTOR) this.#esrPending |= ESR_ILLEGAL_RECEIVED;
    else {
      this.#irr.add(vector);
      if (level) this.#tmr.add(vector);
      else this.#tmr.delete(vector);
    }
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
    const set = this.#initialCount * this.#divisor();
    if (lvt & LVT_PERIODIC && set > 0) {
      const period = set * Math.ceil(TIMER_LIMITS.minPeriod / set);
      this.#deadline = due + (Math.floor((now - due) / period) + 1) * period;
    } else {
      this.#deadline = undefined;
    }
    if (!(lvt & LVT_MASKED)) this.request(lvt & 0xff);
  }

  /** A read of 32 bits at an offset in the page of registers; what is not there is 0. */
  readMemory(offset: number, now: number): number {
    if (this.#base !== APIC_BASE_XAPIC) return 0xffffffff;
    if (offset === XAPIC_ICR_HIGH) return this.#icrHigh;
    if (offset % 16 !== 0) return 0;
    const msr = X2APIC_FIRST + offset / 16;
    if (msr === REGISTERS.LDR) return this.#ldr;
    if (msr === REGISTERS.DFR) return this.#dfr;
    // Write-only ones read as 0, and there is no SELF IPI.
    if (msr === REGISTERS.EOI || msr === REGISTERS.SELF_IPI) return 0;
    const value = this.#read(msr, now);
    return typeof value === "bigint" ? Number(value & 0xffffffffn) : (value ?? 0) >>> 0;
  }

  /** A write of 32 bits; reserved bits are ignored. */
  writeMemory(offset: number, value: number, now: number, sinks: LapicSinks): void {
    if (this.#base !== APIC_BASE_XAPIC || offset % 16 !== 0) return;
    const msr = X2APIC_FIRST + offset / 16;
    if (offset === XAPIC_ICR_HIGH) this.#icrHigh = value & 0xff000000;
    else if (msr === REGISTERS.ICR) this.#sendFromMemory(value, sinks);
    else if (msr === REGISTERS.LDR) this.#ldr = value & 0xff000000;
    else if (msr === REGISTERS.DFR) this.#dfr = (value | 0x0fffffff) >>> 0;
    else if (msr === REGISTERS.SELF_IPI) return;
    else this.#write(msr, BigInt((value & xapicWritable(msr)) >>> 0), now, sinks);
  }

  /** RDMSR; undefined is #GP. */
  read(msr: number, now: number): bigint | undefined {
    if (this.#base !== APIC_BASE_X2APIC) return undefined;
    const value = this.#read(msr, now);
    return typeof value === "number" ? BigInt(value >>> 0) : value;
  }

  /** WRMSR; false is #GP. */
  write(msr: number, value: bigint, now: number, sinks: LapicSinks): boolean {
    return this.#base === APIC_BASE_X2APIC && this.#write(msr, value, now, sinks);
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
      base: this.#base.toString(),
      tmr: [...this.#tmr].sort((a, b) => a - b),
      ldr: this.#ldr,
      dfr: this.#dfr,
      icrHigh: this.#icrHigh,
    };
  }

  /** Writes a register by its MSR's number, in whatever mode; false is #GP. */
  #write(msr: number, value: bigint, now: number, sinks: LapicSinks): boolean {
    if (msr === REGISTERS.ICR) return (value & ICR_RESERVED) === 0n && this.#send(value, sinks);
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
        if (vector === undefined) return true;
        this.#isr.delete(vector);
        if (this.#tmr.has(vector)) sinks.endOfInterrupt?.(vector);
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

  #read(msr: number, now: number): number | bigint | undefined {
    if (msr >= REGISTERS.LVT_TIMER && msr <= REGISTERS.LVT_LAST) return this.#lvt[msr - REGISTERS.LVT_TIMER];
    if (msr >= REGISTERS.ISR && msr < REGISTERS.ISR + 8) return bits(this.#isr, msr - REGISTERS.ISR);
    if (msr >= REGISTERS.TMR && msr < REGISTERS.TMR + 8) return bits(this.#tmr, msr - REGISTERS.TMR);
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
    const writable = LVT_WRITABLE[index]!;
    if (value & ~(writable | LVT_READ_ONLY[index]!)) return false;
    // The mode 10b of the timer, TSC deadline, is not offered by CPUID.
    if (index === 0 && value & (1 << 18)) return false;
    this.#lvt[index] = this.#svr & SVR_ENABLED ? value & writable : (value & writable) | LVT_MASKED;
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
  #send(value: bigint, sinks: LapicSinks): boolean {
    this.#icr = value;
    const destination = Number(value >> 32n);
    const isLogical = (value & 0x800n) !== 0n;
    const isNamed = isLogical
      ? destination >>> 16 === 0 && (destination & LOGICAL_ID) !== 0
      : destination === 0 || destination === 0xffffffff;
    this.#sendTo(Number(value & 0xffffffffn), isNamed, sinks);
    return true;
  }

  /** In xAPIC mode the destination was written before. */
  #sendFromMemory(value: number, sinks: LapicSinks): void {
    const low = value & ICR_WRITABLE;
    this.#icr = BigInt(low);
    this.#sendTo(low, this.isAddressed(this.#icrHigh >>> 24, (low & 0x800) !== 0), sinks);
  }

  #sendTo(low: number, isNamed: boolean, sinks: LapicSinks): void {
    const shorthand = (low >> 18) & 3;
    // 1 is "self", 2 "all including self", 3 "all but self".
    if (shorthand === 3 || (shorthand === 0 && !isNamed)) return;
    const delivery = (low >> 8) & 7;
    if (delivery === DELIVERY_NMI) sinks.nmi();
    if (delivery !== DELIVERY_FIXED && delivery !== DELIVERY_LOWEST) return;
    if ((low & 0xff) < FIRST_VECTOR) this.#esrPending |= ESR_ILLEGAL_SEND;
    else this.request(low & 0xff);
  }

  /** What disabling by IA32_APIC_BASE does. */
  #reset(): void {
    this.#irr.clear();
    this.#isr.clear();
    this.#tmr.clear();
    this.#tpr = 0;
    this.#svr = 0xff;
    this.#esr = 0;
    this.#esrPending = 0;
    this.#icr = 0n;
    this.#icrHigh = 0;
    this.#ldr = 0;
    this.#dfr = 0xffffffff;
    this.#lvt = LVT_WRITABLE.map(() => LVT_MASKED);
    this.#initialCount = 0;
    this.#divide = 0;
    this.#deadline = undefined;
  }
}

/** Bits of a register that can be written in xAPIC mode. */
function xapicWritable(msr: number): number {
  if (msr >= REGISTERS.LVT_TIMER && msr <= REGISTERS.LVT_LAST) {
    const writable = LVT_WRITABLE[msr - REGISTERS.LVT_TIMER]!;
    // TSC-deadline mode is not offered.
    return msr === REGISTERS.LVT_TIMER ? writable & ~(1 << 18) : writable;
  }
  switch (msr) {
    case REGISTERS.TPR:
      return 0xff;
    case REGISTERS.SVR:
      return SVR_WRITABLE;
    case REGISTERS.DIVIDE:
      return 0xb;
    case REGISTERS.EOI:
    case REGISTERS.ESR:
      return 0;
    default:
      return 0xffffffff;
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
