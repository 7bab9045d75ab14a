// Runs one flat binary on the core from a fixed start state and describes the end. One Door serves any number of cases.

import type { Cpu } from "../cpu.ts";
import { REGISTER_NAMES, type RegisterName } from "../types.ts";
import { PAGE_BYTES } from "./address-space.ts";
import { createCpu } from "./create-cpu.ts";
import { type DoorCase, DoorError, type DoorResult, SEGMENT_NAMES } from "./spec.ts";
import { EAGER_BYTES, enterMode, SHARED_PAGES, type Space, tablePages } from "./start.ts";

/** Of larger maps so much can be used. */
const MAX_MAPPED_BYTES = 1n << 30n;
/** They become hexadecimal digits of one JSON document. */
const MAX_DUMPED_BYTES = 16n << 20n;
const FCW_AFTER_FNINIT = 0x37f;
const MXCSR_RESET = 0x1f80;
const RFLAGS_RESET = 2n;
const REAL_MODE_LAST = 0xffffn;
const VM = 1n << 17n;
/** Bits of RFLAGS that are no reserved ones, without VM (SDM vol. 1 3.4.3). */
const RFLAGS_BITS = 0x3d7fd7n;
const OPEN_BUS = 0xffffffff;

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
const HEX_OF_BYTE = Array.from({ length: 256 }, (_, b) => b.toString(16).padStart(2, "0"));
function hexBytes(bytes: Uint8Array): string {
  let text = "";
  for (const b of bytes) text += HEX_OF_BYTE[b];
  return text;
}
const hexNumber = (bytes: Uint8Array): string => `0x${hexBytes(bytes.slice().reverse())}`;

/** Runs `act`; an address outside memory becomes an error that names the field. */
function inField<T>(field: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof RangeError) throw new DoorError(`${field}: ${error.message}`);
    throw error;
  }
}

interface Machine {
  readonly cpu: Cpu;
  readonly blank: Uint8Array;
}

export class Door {
  readonly #machines = new Map<string, Machine>();

  /** Runs the case to its end. Throws DoorError if it cannot be set up. */
  run(c: DoorCase): DoorResult {
    const machine = this.#machine(c);
    const { cpu } = machine;
    const space = this.#prepare(machine, c);
    let stop: DoorResult["stop"] = "limit";
    let fault: DoorResult["fault"] = null;
    const cr3 = cpu.getControl("cr3");
    for (;;) {
      const cr2 = cpu.getControl("cr2");
      const exit = cpu.run(c.max);
      if (exit.kind === "in") cpu.completeIn(OPEN_BUS);
      else if (
        exit.kind === "exception" &&
        exit.vector === PF &&
        cpu.getControl("cr3") === cr3 &&
        inField("map", () => space.provide(cpu.getControl("cr2")))
      ) {
        // The case never saw this fault.
        cpu.setControl("cr2", cr2);
        cpu.flushTranslations();
      } else if (exit.kind === "exception") {
        stop = "fault";
        const interrupt = softwareInterrupt(cpu, exit.vector, exit.errorCode ?? 0, space, c.mode);
        if (interrupt !== undefined) cpu.setRegister("rip", interrupt.next);
        fault = {
          vector: interrupt?.vector ?? exit.vector,
          error: interrupt === undefined ? (exit.errorCode ?? 0) : 0,
          cr2: hex(cpu.getControl("cr2")),
        };
        break;
      } else if (exit.kind === "halt") {
        stop = "hlt";
        break;
      } else if (exit.kind === "limit" || exit.kind === "shutdown") break;
    }
    return this.#describe(c, cpu, space, stop, fault);
  }

  /** The processor that cases share, or a new one for a case that maps more than it has. */
  #machine(c: DoorCase): Machine {
    if (c.dump.reduce((sum, d) => sum + d.bytes, 0n) > MAX_DUMPED_BYTES)
      throw new DoorError(`dump: more than ${MAX_DUMPED_BYTES >> 20n} MiB in all`);
    let pages = BigInt(c.code.length) / 4096n + 2n;
    let onDemand = 0n;
    // In the other modes all memory is there.
    for (const m of c.mode === 64 ? c.map : []) {
      if (m.bytes > EAGER_BYTES) onDemand += m.bytes / 4096n + 2n;
      else pages += m.bytes / 4096n + 2n;
    }
    const most = MAX_MAPPED_BYTES / 4096n;
    if (pages > most) throw new DoorError(`map: more than ${MAX_MAPPED_BYTES >> 20n} MiB in all`);
    pages = pages + onDemand < most ? pages + onDemand : most;
    const needed = c.mode === 64 ? Number(pages) + tablePages(Number(pages), c.map.length) : 0;
    const size = Math.max(SHARED_PAGES[c.mode], needed);
    const key = `${c.cpu} ${size}`;
    let machine = this.#machines.get(key);
    if (machine === undefined) {
      const cpu = createCpu({ pages: size, model: c.cpu });
      machine = { cpu, blank: cpu.saveState() };
      if (size === SHARED_PAGES[c.mode]) this.#machines.set(key, machine);
    }
    return machine;
  }

  #prepare(machine: Machine, c: DoorCase): Space {
    const { cpu, blank } = machine;
    const zero = new Uint8Array(PAGE_BYTES);
    for (const gfn of cpu.memory.dirtyPages()) cpu.memory.write(gfn * PAGE_BYTES, zero);
    cpu.memory.clearDirty();
    cpu.loadState(blank);
    cpu.setExceptionExit(true);
    for (const name of REGISTER_NAMES) cpu.setRegister(name, 0n);
    cpu.setRegister("rflags", RFLAGS_RESET);
    cpu.setRegister("rip", c.load);
    cpu.setMxcsr(MXCSR_RESET);
    const empty = Array.from({ length: 8 }, () => new Uint8Array(10));
    cpu.setX87({ fcw: FCW_AFTER_FNINIT, fsw: 0, ftw: 0, st: empty });
    const space = enterMode(cpu, c.mode, c.cpu === "v2");
    inField("load", () => space.map(c.load, BigInt(Math.max(c.code.length, 1))));
    for (const [i, m] of c.map.entries()) inField(`map[${i}]`, () => space.map(m.address, m.bytes));
    inField("load", () => space.write(c.load, c.code));
    for (const [i, p] of c.poke.entries()) inField(`poke[${i}]`, () => space.write(p.address, p.bytes));
    if (c.mode === 16 && c.load > REAL_MODE_LAST) throw new DoorError("load: real mode starts below 64 KiB");
    for (const [name, value] of c.set) setRegister(cpu, name, value, c.mode);
    return space;
  }

  #describe(
    c: DoorCase,
    cpu: Cpu,
    space: Space,
    stop: DoorResult["stop"],
    fault: DoorResult["fault"],
  ): DoorResult {
    const regs: Record<string, string> = {};
    for (const name of REGISTER_NAMES) regs[name] = hex(cpu.getRegister(name));
    if (c.mode === 16)
      for (const [i, name] of SEGMENT_NAMES.entries()) regs[name] = hex(cpu.getSegment(i).selector);
    const x87 = cpu.getX87();
    const top = (x87.fsw >> 11) & 7;
    const dump: Record<string, string> = {};
    for (const [i, d] of c.dump.entries()) {
      dump[hex(d.address)] = inField(`dump[${i}]`, () => hexBytes(space.read(d.address, Number(d.bytes))));
    }
    return {
      name: c.name,
      stop,
      fault,
      instructions: cpu.instructions,
      regs,
      xmm: Array.from({ length: 16 }, (_, i) => hexNumber(cpu.getXmm(i))),
      st: Array.from({ length: 8 }, (_, i) => hexNumber(x87.st[(top + i) & 7]!)),
      fcw: hex(x87.fcw),
      fsw: hex(x87.fsw),
      ftw: hex(fullTagWord(x87.ftw, x87.st)),
      mxcsr: hex(cpu.getMxcsr()),
      dump,
    };
  }
}

const GP = 13;
const PF = 14;
const IDT_ERROR = 2;
const LONGEST_INSTRUCTION = 15;

/**
 * The vector of an INT n, INT1, INT3 or INTO that found no IDT, and where its handler would return to: the exception was #GP with
 * the vector in its error code (SDM vol. 3A 6.13). Undefined for every other exception.
 */
function softwareInterrupt(
  cpu: Cpu,
  vector: number,
  error: number,
  space: Space,
  mode: DoorCase["mode"],
): { readonly vector: number; readonly next: bigint } | undefined {
  if (vector !== GP || (error & IDT_ERROR) === 0 || mode === 16 || cpu.idtLimit !== 0) return undefined;
  const rip = cpu.getRegister("rip");
  const bytes: number[] = [];
  let length = -1;
  try {
    while (length < 0 && bytes.length < LONGEST_INSTRUCTION) {
      bytes.push(space.read(rip + BigInt(bytes.length), 1)[0]!);
      length = cpu.decodeLength(Uint8Array.from(bytes), mode);
    }
  } catch (problem) {
    // The case changed its address space: no way to tell where the instruction ends.
    if (!(problem instanceof RangeError)) throw problem;
    return undefined;
  }
  return { vector: error >> 3, next: rip + BigInt(Math.max(length, 0)) };
}

const FS = 4;
const GS = 5;

function littleEndian(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** `value` is as wide as the register, see SETTABLE. */
function setRegister(cpu: Cpu, name: string, value: bigint, mode: DoorCase["mode"]): void {
  const segment = SEGMENT_NAMES.indexOf(name as (typeof SEGMENT_NAMES)[number]);
  if (name.startsWith("xmm")) cpu.setXmm(Number(name.slice(3)), littleEndian(value, 16));
  else if (/^st\d$/.test(name)) {
    const x87 = cpu.getX87();
    const i = Number(name.slice(2));
    // TOP is 0 at the start, so that ST(i) is register i.
    cpu.setX87({ ...x87, ftw: x87.ftw | (1 << i), st: x87.st.with(i, littleEndian(value, 10)) });
  } else if (name === "mxcsr") cpu.setMxcsr(Number(value));
  else if (name === "fcw") cpu.setX87({ ...cpu.getX87(), fcw: Number(value) });
  else if (name === "fs_base" || name === "gs_base") {
    const i = name === "fs_base" ? FS : GS;
    cpu.setSegment(i, { ...cpu.getSegment(i), base: value });
  } else if (segment >= 0) {
    if (mode !== 16) throw new DoorError(`set.${name}: segment registers can be set in mode 16 only`);
    cpu.setSegment(segment, { ...cpu.getSegment(segment), selector: Number(value), base: value << 4n });
  } else if (name === "rflags") {
    if ((value & VM) !== 0n) throw new DoorError("set.rflags: a case cannot start in virtual-8086 mode");
    cpu.setRegister(name, (value & RFLAGS_BITS) | RFLAGS_RESET);
  } else cpu.setRegister(name as RegisterName, value);
}

const TAG = { VALID: 0, ZERO: 1, SPECIAL: 2, EMPTY: 3 } as const;

/** The tag word as FNSTENV would store it, from FXSAVE's abridged one (SDM vol. 1 table 10-3). */
export function fullTagWord(abridged: number, physical: readonly Uint8Array[]): number {
  let word = 0;
  for (let i = 0; i < 8; i++) {
    const tag = (abridged & (1 << i)) === 0 ? TAG.EMPTY : tagOf(physical[i]!);
    word |= tag << (2 * i);
  }
  return word;
}

function tagOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
  const exponent = view.getUint16(8, true) & 0x7fff;
  const significand = view.getBigUint64(0, true);
  if (exponent === 0 && significand === 0n) return TAG.ZERO;
  if (exponent === 0 || exponent === 0x7fff || significand >> 63n === 0n) return TAG.SPECIAL;
  return TAG.VALID;
}
