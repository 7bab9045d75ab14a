import { DEVICE_LIMITS, POOL_LIMITS } from "../limits.ts";
import type { PageStore } from "../memory/page-store.ts";
import { CoreMemory } from "./memory.ts";
import { CPU_MODELS, type CpuModel } from "./models.ts";
import {
  type CpuExit,
  type CpuOptions,
  type DeviceRegisters,
  type Paging,
  type PhysicalMemory,
  REGISTER_NAMES,
  type RegisterName,
  type VirtualCpuApi,
} from "./types.ts";

/** Exports of core.wasm (engine/cpu/core/index.ts). */
export interface CoreExports {
  readonly init: (pages: number, pool: number) => void;
  readonly reset: () => void;
  readonly restored: () => void;
  readonly enterLongMode: (cr3: number) => void;
  readonly controlChanged: () => void;
  readonly setInterrupt: (vector: number) => void;
  readonly raiseNmi: () => void;
  readonly completeIn: (value: number) => void;
  readonly run: (limit: number) => number;
  readonly pageForRead: (gfn: number) => number;
  readonly pageForWrite: (gfn: number, offset: number, size: number) => number;
  readonly clearDirty: () => void;
  readonly decodeLength: (at: number, bytes: number, mode: number) => number;
  readonly frameTableAddress: () => number;
  readonly pageFlagsAddress: () => number;
  readonly residentFrames: () => number;
  /** Not there in a core that cannot be intercepted. */
  readonly setIntercepts?: (what: number) => void;
  readonly completeMsr?: (low: number, high: number) => void;
  readonly refuseMsr?: () => void;
  readonly enterProtectedMode?: () => void;
  readonly setExceptionExits: (vectors: number) => void;
  readonly deliverException: (vector: number, errorCode: number) => number;
  readonly setDevicePage: (index: number, gfn: number) => void;
  readonly deviceAddress: () => number;
  readonly deviceIsWrite: () => number;
  readonly deviceBuffer: (write: number) => number;
  readonly armDevice: () => void;
  readonly deviceWritten: () => number;
  readonly disarmDevice: (ignore: number) => void;
  readonly getFlags: () => number;
  readonly setFlags: (eflags: number) => void;
}

/** Addresses in linear memory, as in engine/cpu/core/layout.ts. */
const STATE = 0x1000;
const STATE_END = 0x1800;
const REGS = 0x1000;
const RCX = REGS + 8;
const RDX = REGS + 16;
const RIP = 0x1100;
const SEG = 0x1180;
const LDTR = SEG + 6 * 8;
const XMM = 0x1400;
const MXCSR = 0x1600;
const FPR = 0x1680;
const FCW = 0x1700;
const FSW = 0x1702;
const FTW = 0x1704;
const CONTROL = { cr0: 0x1120, cr2: 0x1128, cr3: 0x1130, cr4: 0x1138, efer: 0x1140 } as const;
const GDT_BASE = 0x1148;
const GDT_LIMIT = 0x1150;
const LDT_BASE = 0x1168;
const IDT_LIMIT = 0x1160;
const CPL = 0x1154;
const MODE = 0x1164;
const INSTRUCTIONS = 0x1268;
const IDLE = 0x1270;
const SEED = 0x1290;
const EXC_VECTOR = 0x1298;
const EXC_ERROR = 0x129c;
const CPU_MODEL = 0x12a4;
const IO_PORT = 0x12a8;
const IO_SIZE = 0x12ac;
const IO_VALUE = 0x12b0;
const SYSFLAGS = 0x111c;
/** Free for the host while the core is not running. */
const SCRATCH = 0x2600;

/**
 * Parts of the state block that may differ although the processor is in the same state: slots of micro-ops, lazy flags
 * (their value is told by getFlags), the limit of the present slice, and the interrupt line, which is the host's.
 */
const NOT_ARCHITECTURAL: readonly (readonly [from: number, to: number])[] = [
  [REGS + 16 * 8, REGS + 20 * 8],
  [REGS + 26 * 8, RIP],
  [0x1108, 0x111c],
  [0x1278, 0x1284],
  [0x12e8, 0x12f0],
];

/** Where the flags go in what `architecturalState` returns: the place of the lazy ones. */
const FLAGS_IN_STATE = 0x108;

const IF = 0x200;

/** EXIT_* of engine/cpu/core/system.ts. */
export const EXIT_LIMIT = 1;
const EXIT_HALT = 2;
const EXIT_IN = 3;
const EXIT_OUT = 4;
const EXIT_SHUTDOWN = 5;
export const EXIT_EXCEPTION = 6;
const EXIT_VMCALL = 7;
const EXIT_CPUID = 8;
const EXIT_RDMSR = 9;
const EXIT_WRMSR = 10;
const EXIT_INTERRUPT = 11;
/** INTERCEPT_* of engine/cpu/core/system.ts, all of them. */
const INTERCEPT_ALL = 15;
/** What an access to a page of device registers looks like: see engine/cpu/core/exception.ts. */
const DEVICE_ACCESS = 32;
/** Words that an access to a device register can touch: 8 bytes that are not aligned to 4. */
const DEVICE_WORDS = 3;
/** Attributes of flat segments: 32-bit and 64-bit code, data. */
const FLAT_ATTRIBUTES = { code32: 0xc09b, code64: 0xa09b, data: 0xc093 } as const;
const LDT_ATTRIBUTES = 0x82;
const CS = 1;
const CR0_PE = 1n;
const SEGMENTS = 6;
const ALL_VECTORS = 0xffffffff;

/** Pages of the Wasm memory the core starts with; it grows by itself. */
const INITIAL_WASM_PAGES = 256;
const MAXIMUM_WASM_PAGES = 65536;

/** Layout version of the state block: a state saved by another version is refused. */
const STATE_VERSION = 1;

/** A segment register with its hidden part. `attributes` are bits 40-55 of the descriptor. */
export interface SegmentState {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly attributes: number;
}

/** x87 state; `st` holds the physical registers R0-R7, 10 bytes each. */
export interface X87State {
  readonly fcw: number;
  readonly fsw: number;
  /** Abridged tag word as in FXSAVE. */
  readonly ftw: number;
  readonly st: readonly Uint8Array[];
}

/** Where the user-visible state lies in linear memory, for harnesses that move whole states (see `Cpu.instance`). */
export const STATE_LAYOUT = {
  gpr: REGS,
  segmentBase: REGS + 20 * 8,
  rip: RIP,
  cr2: CONTROL.cr2,
  cpl: CPL,
  segment: SEG,
  xmm: XMM,
  xmmStride: 32,
  mxcsr: MXCSR,
  fpr: FPR,
  fcw: FCW,
  fsw: FSW,
  ftw: FTW,
  instructions: INSTRUCTIONS,
  exceptionVector: EXC_VECTOR,
  exceptionError: EXC_ERROR,
} as const;

export { CPU_MODELS, type CpuModel };

/** Pages read from and written to the page store by the core itself: not those of a checkpoint. */
interface PagingCounts {
  pagesIn: number;
  pagesOut: number;
}

/** The x86-64 processor: the TypeScript face of core.wasm. */
export class Cpu implements VirtualCpuApi {
  readonly memory: PhysicalMemory;
  readonly #core: CoreExports;
  readonly #wasm: WebAssembly.Memory;
  readonly #paging: PagingCounts;
  readonly #poolPages: number;
  #view: DataView;

  private constructor(
    core: CoreExports,
    wasm: WebAssembly.Memory,
    pages: number,
    store: PageStore,
    paging: PagingCounts,
    poolPages: number,
  ) {
    this.#core = core;
    this.#paging = paging;
    this.#poolPages = poolPages;
    this.#wasm = wasm;
    this.#view = new DataView(wasm.buffer);
    this.memory = new CoreMemory(core, wasm, pages, store);
  }

  /** Makes a processor in its reset state, with memory that is read from the store when touched. */
  static create(options: CpuOptions): Cpu {
    const wasm = new WebAssembly.Memory({ initial: INITIAL_WASM_PAGES, maximum: MAXIMUM_WASM_PAGES });
    const store: PageStore = options.store;
    const pool = Math.min(options.poolPages ?? POOL_LIMITS.poolPages, options.pages);
    if (pool < POOL_LIMITS.minPoolPages && pool < options.pages) {
      throw new RangeError(`a pool of ${pool} frames is too small; at least ${POOL_LIMITS.minPoolPages}`);
    }
    const paging = { pagesIn: 0, pagesOut: 0 };
    const instance = new WebAssembly.Instance(options.module, {
      env: {
        memory: wasm,
        pageIn: (gfn: number, at: number) => {
          const frame = new Uint8Array(wasm.buffer, at >>> 0, 4096);
          if (!store.read(gfn, frame)) frame.fill(0);
          paging.pagesIn++;
        },
        pageOut: (gfn: number, at: number) => {
          paging.pagesOut++;
          store.write(gfn, new Uint8Array(wasm.buffer, at >>> 0, 4096));
        },
        abort: () => {
          throw new Error("the core aborted");
        },
      },
    });
    const core = instance.exports as unknown as CoreExports;
    core.init(options.pages, pool);
    const cpu = new Cpu(core, wasm, options.pages, store, paging, pool);
    cpu.#dv().setBigUint64(SEED, options.seed ?? 0n, true);
    if (options.features !== undefined) cpu.setModel(options.features);
    return cpu;
  }

  /** Linear memory grows; its buffer is then another one. */
  #dv(): DataView {
    if (this.#view.buffer !== this.#wasm.buffer) this.#view = new DataView(this.#wasm.buffer);
    return this.#view;
  }

  /** The Wasm instance behind this face. For test harnesses only: it bypasses every check. */
  get instance(): { readonly core: CoreExports; readonly memory: WebAssembly.Memory } {
    return { core: this.#core, memory: this.#wasm };
  }

  get instructions(): number {
    return Number(this.#dv().getBigUint64(INSTRUCTIONS, true));
  }

  get idleTicks(): number {
    return Number(this.#dv().getBigUint64(IDLE, true));
  }
  set idleTicks(ticks: number) {
    this.#dv().setBigUint64(IDLE, BigInt(ticks), true);
  }

  /** Bytes of linear memory in use, frames and tables included. */
  get wasmBytes(): number {
    return this.#wasm.buffer.byteLength;
  }

  /** What the pool of frames has cost so far. */
  get paging(): Paging {
    const residentPages = this.#core.residentFrames() >>> 0;
    // A page loses its frame in no other way.
    const evictions = this.#paging.pagesIn - residentPages;
    return {
      poolPages: this.#poolPages,
      residentPages,
      peakResidentPages: evictions > 0 ? this.#poolPages : residentPages,
      ...this.#paging,
      evictions,
      linearMemoryBytes: this.wasmBytes,
    };
  }

  run(limit: number): CpuExit {
    const reason = this.#core.run(limit);
    const dv = this.#dv();
    switch (reason) {
      case EXIT_LIMIT:
        return { kind: "limit" };
      case EXIT_HALT:
        return { kind: "halt", interruptsEnabled: (dv.getUint32(SYSFLAGS, true) & IF) !== 0 };
      case EXIT_IN:
        return { kind: "in", port: dv.getUint32(IO_PORT, true), size: dv.getUint32(IO_SIZE, true) };
      case EXIT_OUT:
        return {
          kind: "out",
          port: dv.getUint32(IO_PORT, true),
          size: dv.getUint32(IO_SIZE, true),
          value: dv.getUint32(IO_VALUE, true),
        };
      case EXIT_EXCEPTION: {
        const error = dv.getInt32(EXC_ERROR, true);
        const vector = dv.getInt32(EXC_VECTOR, true);
        dv.setInt32(EXC_VECTOR, -1, true);
        if (vector === DEVICE_ACCESS) return { kind: "device" };
        return { kind: "exception", vector, errorCode: error < 0 ? null : error };
      }
      case EXIT_VMCALL:
        return { kind: "vmcall" };
      case EXIT_CPUID:
        return {
          kind: "cpuid",
          leaf: dv.getUint32(IO_PORT, true),
          subleaf: dv.getUint32(IO_VALUE, true),
        };
      case EXIT_RDMSR:
        return { kind: "rdmsr", msr: dv.getUint32(RCX, true) };
      case EXIT_WRMSR: {
        const high = BigInt(dv.getUint32(RDX, true)) << 32n;
        return {
          kind: "wrmsr",
          msr: dv.getUint32(RCX, true),
          value: high | BigInt(dv.getUint32(REGS, true)),
        };
      }
      case EXIT_INTERRUPT:
        return { kind: "interrupt", vector: dv.getUint32(IO_VALUE, true) };
      case EXIT_SHUTDOWN:
        return { kind: "shutdown" };
      default:
        throw new Error(`the core returned an unknown exit ${reason}`);
    }
  }

  completeIn(value: number): void {
    this.#core.completeIn(value >>> 0);
  }

  setInterrupt(vector: number | undefined): void {
    this.#core.setInterrupt(vector ?? -1);
  }

  /** An edge on the NMI line: taken through vector 2 as soon as no NMI handler is at work; one at most is kept. */
  raiseNmi(): void {
    this.#core.raiseNmi();
  }

  get canIntercept(): boolean {
    return this.#core.setIntercepts !== undefined;
  }

  interceptAll(): void {
    this.#core.setIntercepts?.(INTERCEPT_ALL);
  }

  completeMsr(value: bigint): void {
    this.#core.completeMsr?.(Number(value & 0xffffffffn), Number(value >> 32n));
  }

  refuseMsr(): void {
    this.#core.refuseMsr?.();
  }

  enterProtectedMode(): void {
    this.#core.enterProtectedMode?.();
  }

  setDevicePages(gfns: readonly number[]): void {
    for (const [i, gfn] of gfns.entries()) this.#core.setDevicePage(i, gfn);
  }

  accessDevice(registers: DeviceRegisters): CpuExit {
    const core = this.#core;
    let exit: CpuExit = { kind: "device" };
    let writtenTo = 0;
    // In all of this no time passes, so nothing can want to interrupt.
    core.setInterrupt(-1);
    for (let accesses = 0; exit.kind === "device"; accesses++) {
      if (accesses === DEVICE_LIMITS.accesses) {
        core.disarmDevice(1);
      } else {
        const address = (core.deviceAddress() & ~3) >>> 0;
        const isWrite = core.deviceIsWrite();
        const buffer = core.deviceBuffer(isWrite);
        for (let i = 0; i < DEVICE_WORDS; i++) {
          this.#dv().setUint32(buffer + i * 4, registers.read(address + i * 4), true);
        }
        if (isWrite) writtenTo = address;
        core.armDevice();
      }
      exit = this.run(this.instructions + 1);
      const bytes = core.deviceWritten();
      if (bytes === 0) continue;
      for (let i = 0; i * 4 < bytes; i++) {
        registers.write(writtenTo + i * 4, this.#dv().getUint32(core.deviceBuffer(1) + i * 4, true));
      }
      // One that repeats comes for the next element.
      core.disarmDevice(0);
    }
    core.disarmDevice(0);
    return exit;
  }

  setFlatSegments(
    gdt: { readonly base: number; readonly limit: number },
    code: number,
    data: number,
    bits: 32 | 64,
  ): void {
    this.#dv().setBigUint64(GDT_BASE, BigInt(gdt.base), true);
    this.#dv().setUint32(GDT_LIMIT, gdt.limit, true);
    const { code32, code64, data: flat } = FLAT_ATTRIBUTES;
    for (let i = 0; i < SEGMENTS; i++) {
      const attributes = i !== CS ? flat : bits === 64 ? code64 : code32;
      this.setSegment(i, { selector: i === CS ? code : data, attributes, limit: 0xffffffff, base: 0n });
    }
  }

  /** LDTR with its hidden part, as LLDT of `selector` would load it. */
  setLdt(selector: number, table: { readonly base: number; readonly limit: number }): void {
    const dv = this.#dv();
    dv.setUint16(LDTR, selector, true);
    dv.setUint16(LDTR + 2, LDT_ATTRIBUTES, true);
    dv.setUint32(LDTR + 4, table.limit, true);
    dv.setBigUint64(LDT_BASE, BigInt(table.base), true);
  }

  get privilege(): number {
    return this.#dv().getUint32(CPL, true);
  }

  get isIn64BitCode(): boolean {
    return this.#dv().getUint32(MODE, true) === 0;
  }

  flushTranslations(): void {
    this.#core.controlChanged();
  }

  get codeBase(): bigint {
    return this.isIn64BitCode ? 0n : this.getSegment(1).base;
  }

  get stackBase(): bigint {
    return this.isIn64BitCode ? 0n : this.getSegment(2).base;
  }

  /** true: an exception leaves `run` before it is delivered, with registers at the faulting instruction. */
  setExceptionExit(on: boolean): void {
    this.interceptExceptions(on ? ALL_VECTORS : 0);
  }

  interceptExceptions(vectors: number): void {
    this.#core.setExceptionExits(vectors >>> 0);
  }

  deliverException(vector: number, errorCode: number | null): boolean {
    return this.#core.deliverException(vector, errorCode ?? -1) !== 0;
  }

  /** Features to offer: a model of CPU_MODELS or a mask of FEATURE_* bits of engine/cpu/core/cpuid.ts. */
  setModel(model: CpuModel | number): void {
    this.#dv().setUint32(CPU_MODEL, typeof model === "number" ? model : CPU_MODELS[model], true);
    this.#core.restored();
  }

  /** Back to the state after RESET; memory stays. */
  reset(): void {
    this.#core.reset();
  }

  getRegister(name: RegisterName): bigint {
    const i = REGISTER_NAMES.indexOf(name);
    if (name === "rflags") return BigInt(this.#core.getFlags() >>> 0);
    return this.#dv().getBigUint64(name === "rip" ? RIP : REGS + i * 8, true);
  }

  setRegister(name: RegisterName, value: bigint): void {
    const i = REGISTER_NAMES.indexOf(name);
    if (name === "rflags") this.#core.setFlags(Number(value & 0xffffffffn) | 2);
    else this.#dv().setBigUint64(name === "rip" ? RIP : REGS + i * 8, BigInt.asUintN(64, value), true);
  }

  enterLongMode(cr3: number): void {
    this.#core.enterLongMode(cr3);
  }

  getControl(name: keyof typeof CONTROL): bigint {
    return this.#dv().getBigUint64(CONTROL[name], true);
  }

  setControl(name: keyof typeof CONTROL, value: bigint): void {
    this.#dv().setBigUint64(CONTROL[name], value, true);
    if (name !== "cr2") this.#core.controlChanged();
  }

  /** Limit of IDTR: 0 leaves no gate, and INT n becomes #GP with n in its error code. */
  get idtLimit(): number {
    return this.#dv().getUint32(IDT_LIMIT, true);
  }

  setIdtLimit(limit: number): void {
    this.#dv().setUint32(IDT_LIMIT, limit, true);
  }

  /** Segment register: 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS. */
  getSegment(index: number): SegmentState {
    const dv = this.#dv();
    return {
      selector: dv.getUint16(SEG + index * 8, true),
      attributes: dv.getUint16(SEG + index * 8 + 2, true),
      limit: dv.getUint32(SEG + index * 8 + 4, true),
      base: dv.getBigUint64(REGS + (20 + index) * 8, true),
    };
  }

  /** Sets a segment register without any check; for CS also the privilege: the selector's RPL, 0 in real mode. */
  setSegment(index: number, state: SegmentState): void {
    const dv = this.#dv();
    dv.setUint16(SEG + index * 8, state.selector, true);
    dv.setUint16(SEG + index * 8 + 2, state.attributes, true);
    dv.setUint32(SEG + index * 8 + 4, state.limit, true);
    dv.setBigUint64(REGS + (20 + index) * 8, state.base, true);
    if (index === 1) {
      const isProtected = (this.getControl("cr0") & CR0_PE) !== 0n;
      dv.setUint32(CPL, isProtected ? state.selector & 3 : 0, true);
      this.#core.controlChanged();
    }
  }

  getXmm(index: number): Uint8Array {
    return new Uint8Array(this.#wasm.buffer, XMM + index * 32, 16).slice();
  }

  setXmm(index: number, bytes: Uint8Array): void {
    new Uint8Array(this.#wasm.buffer, XMM + index * 32, 16).set(bytes);
  }

  getMxcsr(): number {
    return this.#dv().getUint32(MXCSR, true);
  }

  setMxcsr(value: number): void {
    this.#dv().setUint32(MXCSR, value, true);
  }

  getX87(): X87State {
    const dv = this.#dv();
    const st: Uint8Array[] = [];
    for (let i = 0; i < 8; i++) st.push(new Uint8Array(this.#wasm.buffer, FPR + i * 16, 10).slice());
    return { fcw: dv.getUint16(FCW, true), fsw: dv.getUint16(FSW, true), ftw: dv.getUint8(FTW), st };
  }

  setX87(state: X87State): void {
    const dv = this.#dv();
    dv.setUint16(FCW, state.fcw, true);
    dv.setUint16(FSW, state.fsw, true);
    dv.setUint8(FTW, state.ftw);
    for (const [i, bytes] of state.st.entries())
      new Uint8Array(this.#wasm.buffer, FPR + i * 16, 10).set(bytes);
  }

  /** Length in bytes of the instruction that `bytes` begin with; 0 = #UD, -1 = more bytes are needed. */
  decodeLength(bytes: Uint8Array, mode: 16 | 32 | 64): number {
    new Uint8Array(this.#wasm.buffer, SCRATCH, 16).set(bytes.subarray(0, 15));
    return this.#core.decodeLength(
      SCRATCH,
      Math.min(bytes.length, 15),
      mode === 64 ? 0 : mode === 32 ? 1 : 2,
    );
  }

  architecturalState(): Uint8Array {
    const state = new Uint8Array(this.#wasm.buffer, STATE, STATE_END - STATE).slice();
    for (const [from, to] of NOT_ARCHITECTURAL) state.fill(0, from - STATE, to - STATE);
    new DataView(state.buffer).setUint32(FLAGS_IN_STATE, this.#core.getFlags(), true);
    return state;
  }

  saveState(): Uint8Array {
    const state = new Uint8Array(4 + STATE_END - STATE);
    new DataView(state.buffer).setUint32(0, STATE_VERSION, true);
    state.set(new Uint8Array(this.#wasm.buffer, STATE, STATE_END - STATE), 4);
    return state;
  }

  loadState(state: Uint8Array): void {
    const version = new DataView(state.buffer, state.byteOffset).getUint32(0, true);
    if (version !== STATE_VERSION || state.length !== 4 + STATE_END - STATE) {
      throw new Error(`processor state of version ${version} cannot be restored by version ${STATE_VERSION}`);
    }
    new Uint8Array(this.#wasm.buffer, STATE, STATE_END - STATE).set(state.subarray(4));
    this.#core.restored();
  }
}
