// Runs cases on our own core in the same set-up as the oracle's: ring 3, the memory of layout.ts, and descriptors at the
// places where 64-bit Linux has them.
//
// `run` is the whole story for one case. The fuzzer does the same in steps, so that what cases have in common is done
// once: `prepare` (memory), then for each start state `start` and `rewind`, then `finish`.

import { STATE_LAYOUT as AT, type CoreExports, EXIT_EXCEPTION, EXIT_LIMIT } from "../cpu.ts";
import { AddressSpace, PAGE_BYTES } from "../door/address-space.ts";
import { createCpu } from "../door/create-cpu.ts";
import { appendRun, type Case, type Outcome, type Patch } from "./case.ts";
import { baseContents, REGIONS } from "./layout.ts";
import { padded, RANGE_HEADER, RESPONSE_HEADER } from "./processor.ts";
import { FX, FX_FTW, FX_MXCSR, FX_ST, FX_XMM, RFLAGS, RIP, SELECTORS, STATE_BYTES, State } from "./state.ts";
import { ATTRIBUTES, SYSTEM, SYSTEM_ADDRESS, systemPage, VECTORS } from "./system-page.ts";

const PHYSICAL_PAGES = 128;
const FIRST_TABLE_PAGE = 1;
// As Linux sets them for programs.
const CR0_AM = 1n << 18n;
const CR4_FSGSBASE = 1n << 16n;
const UNDEFINED_OPCODE = 6;
const BREAKPOINT = 3;
/** Endless code ends here; step by step it ends earlier, as a step costs more. */
const MAX_INSTRUCTIONS = 20_000;
const MAX_STEPS = 4_000;
const PAGE_DIRTY = 1;
const IRET_FRAME_BYTES = 40;
const FS = 4;
const GS = 5;
const CS = 1;

/** A page that cases see: where it is, and what it holds. */
interface Page {
  readonly virtual: number;
  readonly gfn: number;
  /** Between cases. */
  readonly base: Uint8Array;
  /** At the start of the present case: base and patches. */
  readonly before: Uint8Array;
  /** Scratch of `changedLike`. */
  readonly expected: Uint8Array;
  /** Now: its frame in the core's memory. */
  frame: Uint8Array;
}

/** How the last start ended. */
export interface End {
  kind: "exception" | "endless";
  vector: number;
  error: number;
  cr2: bigint;
  /** Instructions retired; neither a faulting one nor the INT3 behind the code is among them. */
  retired: number;
}

export class CoreRunner {
  readonly #cpu = createCpu({ pages: PHYSICAL_PAGES });
  readonly #core: CoreExports;
  readonly #space: AddressSpace;
  readonly #pages: Page[] = [];
  readonly #pageAt = new Map<number, Page>();
  #patches: readonly Patch[] = [];
  #u8 = new Uint8Array();
  #u16 = new Uint16Array();
  #u32 = new Uint32Array();
  #systemFrame = 0;
  readonly end: End = { kind: "exception", vector: 0, error: 0, cr2: 0n, retired: 0 };
  /** The state in which the last start ended. */
  readonly state = new State();
  readonly #stateWords = new Uint32Array(this.state.bytes.buffer);
  readonly #stateHalves = new Uint16Array(this.state.bytes.buffer);

  constructor() {
    const { memory } = this.#cpu;
    this.#core = this.#cpu.instance.core;
    this.#space = new AddressSpace(memory, FIRST_TABLE_PAGE);
    for (const region of REGIONS) {
      const contents = baseContents(region);
      const address = BigInt(region.address);
      this.#space.map(address, BigInt(region.bytes), {
        write: region.write,
        execute: region.execute,
        user: true,
      });
      this.#space.write(address, contents);
      for (let at = 0; at < region.bytes; at += PAGE_BYTES) {
        const virtual = region.address + at;
        const base = contents.slice(at, at + PAGE_BYTES);
        const gfn = this.#space.translate(BigInt(virtual))! / PAGE_BYTES;
        const page = { virtual, gfn, base, before: base.slice(), expected: base.slice(), frame: base };
        this.#pages.push(page);
        this.#pageAt.set(virtual, page);
      }
    }
    this.#cpu.setExceptionExit(true);
    this.#loadDescriptors();
    this.#views();
  }

  /** Runs LGDT, LIDT and LTR in ring 0 once; the tables stay. */
  #loadDescriptors(): void {
    const cpu = this.#cpu;
    const at = BigInt(SYSTEM_ADDRESS);
    this.#space.map(at, BigInt(PAGE_BYTES), { write: true, execute: true, user: false });
    this.#space.write(at, systemPage());
    cpu.enterLongMode(this.#space.root);
    cpu.setControl("cr4", cpu.getControl("cr4") | CR4_FSGSBASE);
    cpu.setControl("cr0", cpu.getControl("cr0") | CR0_AM);
    cpu.setRegister("rip", at + BigInt(SYSTEM.code));
    const exit = cpu.run(cpu.instructions + 10);
    if (exit.kind !== "exception" || exit.vector !== UNDEFINED_OPCODE) {
      throw new Error(`the core could not load its descriptor tables: ${exit.kind}`);
    }
  }

  /** Views into linear memory; it may have grown. The pool holds all pages, so a frame stays where it is. */
  #views(): void {
    const { buffer } = this.#cpu.instance.memory;
    if (this.#u8.buffer === buffer) return;
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    const frameOf = (gfn: number): number => this.#core.pageForRead(gfn) >>> 0;
    for (const page of this.#pages) page.frame = this.#u8.subarray(frameOf(page.gfn)).subarray(0, PAGE_BYTES);
    this.#systemFrame = frameOf(this.#space.translate(BigInt(SYSTEM_ADDRESS))! / PAGE_BYTES);
    if (this.#cpu.instance.memory.buffer !== buffer) this.#views();
  }

  /** Calls `each` for the parts of a patch that lie in one page. */
  #inPages(p: Patch, each: (page: Page, offset: number, from: number, n: number) => void): void {
    for (let done = 0; done < p.bytes.length; ) {
      const at = p.address + done;
      const offset = at % PAGE_BYTES;
      const n = Math.min(PAGE_BYTES - offset, p.bytes.length - done);
      const page = this.#pageAt.get(at - offset);
      if (page === undefined) throw new RangeError(`a patch at 0x${at.toString(16)}, which is not mapped`);
      each(page, offset, done, n);
      done += n;
    }
  }

  /** Puts the case's memory in place. */
  prepare(c: Case): void {
    this.#patches = c.patches;
    for (const p of c.patches) {
      this.#inPages(p, (page, offset, from, n) => {
        const bytes = p.bytes.subarray(from, from + n);
        page.before.set(bytes, offset);
        this.#core.pageForWrite(page.gfn, offset, n);
        page.frame.set(bytes, offset);
      });
    }
    this.#core.clearDirty();
  }

  /**
   * Runs the prepared case from this state (STATE_BYTES, 4-byte aligned) to its end, which is then in `end` and `state`.
   * `stepwise`: every call of the core's `run` executes one instruction, which takes another path through it.
   */
  start(from: Uint8Array, stepwise: boolean): void {
    this.#load(from);
    const core = this.#core;
    const before = this.#instructions();
    const limit = before + (stepwise ? MAX_STEPS : MAX_INSTRUCTIONS);
    let exit = core.run(stepwise ? before + 1 : limit);
    while (exit === EXIT_LIMIT) {
      const done = this.#instructions();
      if (done >= limit) break;
      exit = core.run(stepwise ? done + 1 : limit);
    }
    const { end } = this;
    end.retired = this.#instructions() - before;
    this.#store();
    if (exit === EXIT_LIMIT) {
      end.kind = "endless";
      return;
    }
    if (exit !== EXIT_EXCEPTION) throw new Error(`the core stopped by exit ${exit} in ring 3`);
    end.kind = "exception";
    end.vector = this.#u32[AT.exceptionVector / 4]!;
    const error = this.#u32[AT.exceptionError / 4]! | 0;
    end.error = error < 0 ? 0 : error;
    end.cr2 = this.#cpu.getControl("cr2");
    this.#u32[AT.exceptionVector / 4] = 0xffffffff;
    if (end.vector !== UNDEFINED_OPCODE) return;
    const w = this.#stateWords;
    const handler = w[RIP / 4]! - (SYSTEM_ADDRESS + SYSTEM.handlers);
    if (w[RIP / 4 + 1] !== 0 || handler < 0 || handler >= 2 * VECTORS) return;
    end.vector = handler / 2;
    end.error = 0;
    if (end.vector === BREAKPOINT) end.retired--;
    this.#leaveHandler();
  }

  #instructions(): number {
    return this.#u32[AT.instructions / 4]! + this.#u32[AT.instructions / 4 + 1]! * 2 ** 32;
  }

  #load(from: Uint8Array): void {
    this.#views();
    const s = new Uint32Array(from.buffer, from.byteOffset, STATE_BYTES / 4);
    const { state } = this;
    state.bytes.set(from);
    const halves = this.#stateHalves;
    const u8 = this.#u8;
    const u32 = this.#u32;
    u8.set(from.subarray(0, 128), AT.gpr);
    u32[AT.rip / 4] = s[RIP / 4]!;
    u32[AT.rip / 4 + 1] = s[RIP / 4 + 1]!;
    this.#core.setFlags(s[RFLAGS / 4]! | 2);
    for (let i = 0; i < 6; i++) {
      const selector = halves[SELECTORS / 2 + i]!;
      const base = i === FS ? state.u64[18]! : i === GS ? state.u64[19]! : 0n;
      const attributes = selector < 0x80 ? (ATTRIBUTES[selector >> 3] ?? 0) : 0;
      const at = AT.segment + 8 * i;
      // Setting CS flushes what the core has cached.
      if (i === CS && this.#u16[at / 2] === selector && this.#u16[at / 2 + 1] === attributes) continue;
      this.#cpu.setSegment(i, { selector, base, limit: attributes === 0 ? 0 : 0xffffffff, attributes });
    }
    const fx = FX / 4;
    for (let i = 0; i < 16; i++) {
      const to = (AT.xmm + i * AT.xmmStride) / 4;
      const at = fx + FX_XMM / 4 + 4 * i;
      u32[to] = s[at]!;
      u32[to + 1] = s[at + 1]!;
      u32[to + 2] = s[at + 2]!;
      u32[to + 3] = s[at + 3]!;
    }
    u32[AT.mxcsr / 4] = s[fx + FX_MXCSR / 4]!;
    this.#u16[AT.fcw / 2] = state.fcw;
    this.#u16[AT.fsw / 2] = state.fsw;
    u8[AT.ftw] = state.ftw;
    const top = (state.fsw >> 11) & 7;
    for (let i = 0; i < 8; i++) {
      const to = (AT.fpr + 16 * ((top + i) & 7)) / 4;
      const at = fx + FX_ST / 4 + 4 * i;
      u32[to] = s[at]!;
      u32[to + 1] = s[at + 1]!;
      this.#u16[2 * (to + 2)] = s[at + 2]!;
    }
  }

  #store(): void {
    this.#views();
    const { state } = this;
    const w = this.#stateWords;
    const u32 = this.#u32;
    state.bytes.set(this.#u8.subarray(AT.gpr, AT.gpr + 128));
    w[RIP / 4] = u32[AT.rip / 4]!;
    w[RIP / 4 + 1] = u32[AT.rip / 4 + 1]!;
    w[RFLAGS / 4] = this.#core.getFlags();
    w[RFLAGS / 4 + 1] = 0;
    for (let i = 0; i < 6; i++) this.#stateHalves[SELECTORS / 2 + i] = this.#u16[(AT.segment + 8 * i) / 2]!;
    const bases = (AT.segmentBase + 8 * FS) / 4;
    for (let i = 0; i < 4; i++) w[36 + i] = u32[bases + i]!;
    const fx = FX / 4;
    for (let i = 0; i < 16; i++) {
      const from = (AT.xmm + i * AT.xmmStride) / 4;
      const at = fx + FX_XMM / 4 + 4 * i;
      w[at] = u32[from]!;
      w[at + 1] = u32[from + 1]!;
      w[at + 2] = u32[from + 2]!;
      w[at + 3] = u32[from + 3]!;
    }
    state.mxcsr = u32[AT.mxcsr / 4]!;
    state.fcw = this.#u16[AT.fcw / 2]!;
    state.fsw = this.#u16[AT.fsw / 2]!;
    state.bytes[FX + FX_FTW] = this.#u8[AT.ftw]!;
    const top = (state.fsw >> 11) & 7;
    for (let i = 0; i < 8; i++) {
      const from = (AT.fpr + 16 * ((top + i) & 7)) / 4;
      const at = fx + FX_ST / 4 + 4 * i;
      w[at] = u32[from]!;
      w[at + 1] = u32[from + 1]!;
      w[at + 2] = this.#u16[2 * (from + 2)]!;
    }
  }

  /** Puts back what the delivery to a handler changed, from its stack frame (SDM vol. 3A figure 6-9). */
  #leaveHandler(): void {
    const frame = (this.#systemFrame + SYSTEM.stackTop - IRET_FRAME_BYTES) / 4;
    const u32 = this.#u32;
    const w = this.#stateWords;
    w[RIP / 4] = u32[frame]!;
    w[RIP / 4 + 1] = u32[frame + 1]!;
    this.state.setSelector(CS, u32[frame + 2]!);
    w[RFLAGS / 4] = u32[frame + 4]!;
    w[8] = u32[frame + 6]!; // RSP
    w[9] = u32[frame + 7]!;
    this.state.setSelector(2, u32[frame + 8]!);
  }

  #isDirty(page: Page): boolean {
    const flags = this.#core.pageFlagsAddress() >>> 0;
    return (this.#u8[flags + page.gfn]! & PAGE_DIRTY) !== 0;
  }

  /** Memory that the last start changed, ascending, in runs. */
  changes(): Patch[] {
    const changes: Patch[] = [];
    for (const page of this.#pages) {
      if (this.#isDirty(page)) appendRuns(changes, page.virtual, page.before, page.frame.slice());
    }
    return changes;
  }

  /** Did the last start change memory exactly as these runs say? They are the oracle's (harness.c), `count` of them. */
  changedLike(response: Uint8Array, count: number): boolean {
    const view = new DataView(response.buffer, response.byteOffset);
    const seen = new Set<Page>();
    let at = RESPONSE_HEADER + STATE_BYTES;
    for (let i = 0; i < count; i++) {
      const address = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
      const n = view.getUint32(at + 8, true);
      const offset = address % PAGE_BYTES;
      const page = this.#pageAt.get(address - offset);
      if (page === undefined) return false;
      if (!seen.has(page)) {
        seen.add(page);
        page.expected.set(page.before);
      }
      // The harness cuts runs at lines of 64 bytes, so none crosses pages.
      page.expected.set(response.subarray(at + RANGE_HEADER, at + RANGE_HEADER + n), offset);
      at += RANGE_HEADER + padded(n);
    }
    for (const page of this.#pages) {
      const changed = seen.has(page);
      if (!changed && !this.#isDirty(page)) continue;
      if (Buffer.compare(page.frame, changed ? page.expected : page.before) !== 0) return false;
    }
    return true;
  }

  /** Puts memory back to what `prepare` made of it. */
  rewind(): void {
    let some = false;
    for (const page of this.#pages) {
      if (!this.#isDirty(page)) continue;
      this.#core.pageForWrite(page.gfn, 0, PAGE_BYTES);
      page.frame.set(page.before);
      some = true;
    }
    if (some) this.#core.clearDirty();
  }

  /** Takes the case's memory away again. */
  finish(): void {
    this.rewind();
    for (const p of this.#patches) {
      this.#inPages(p, (page, offset, _from, n) => {
        const bytes = page.base.subarray(offset, offset + n);
        page.before.set(bytes, offset);
        this.#core.pageForWrite(page.gfn, offset, n);
        page.frame.set(bytes, offset);
      });
    }
    this.#patches = [];
  }

  /** Runs a case to its end; `stepwise` as for `start`. */
  run(c: Case, stepwise = false): Outcome {
    this.prepare(c);
    this.start(c.state.bytes, stepwise);
    const outcome = this.outcome();
    this.finish();
    return outcome;
  }

  /** The last start's end, as an object of its own. */
  outcome(): Outcome {
    const { kind, vector, error, cr2 } = this.end;
    const state = this.state.clone();
    const changes = this.changes();
    if (kind === "endless") return { kind, state, changes };
    return { kind, vector, error, cr2, state, changes };
  }
}

function appendRuns(changes: Patch[], virtual: number, before: Uint8Array, after: Uint8Array): void {
  if (Buffer.compare(before, after) === 0) return;
  const a = new BigUint64Array(before.buffer, before.byteOffset, before.length / 8);
  const b = new BigUint64Array(after.buffer, after.byteOffset, after.length / 8);
  for (let i = 0; i < before.length; ) {
    if (before[i] === after[i]) {
      i++;
      while (i % 8 === 0 && i < before.length && a[i / 8] === b[i / 8]) i += 8;
      continue;
    }
    let end = i + 1;
    while (end < before.length && before[end] !== after[end]) end++;
    appendRun(changes, virtual + i, after.slice(i, end));
    i = end;
  }
}
