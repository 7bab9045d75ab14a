// Runs cases on our own core in the same set-up as the oracle's: ring 3 of 64-bit mode, the memory of layout.ts, and
// descriptors at the places where 64-bit Linux has them.

import { AddressSpace, PAGE_BYTES } from "../door/address-space.ts";
import { createCpu } from "../door/create-cpu.ts";
import { appendRun, type Case, type Outcome, type Patch } from "./case.ts";
import { baseContents, REGIONS } from "./layout.ts";
import { FX, FX_FTW, FX_MXCSR_MASK, GPR_NAMES, State } from "./state.ts";

const PHYSICAL_PAGES = 128;
const FIRST_TABLE_PAGE = 1;
const SYSTEM_ADDRESS = 0x7000_0000; // the page of descriptor tables and the code that loads them, for ring 0 only
// As Linux sets them for programs.
const CR0_AM = 1n << 18n;
const CR4_FSGSBASE = 1n << 16n;
const UNDEFINED_OPCODE = 6;
/** Endless code ends here. */
const MAX_INSTRUCTIONS = 20_000;
const ENDLESS_STEPS = 64;

// Descriptors as in arch/x86/include/asm/segment.h: index, access byte, flags (SDM vol. 3A 3.4.5).
const GDT: readonly (readonly [index: number, access: number, flags: number])[] = [
  [1, 0x9b, 0xc], // kernel code, 32 bits
  [2, 0x9b, 0xa], // kernel code, 64 bits
  [3, 0x93, 0xc], // kernel data
  [4, 0xfb, 0xc], // user code, 32 bits
  [5, 0xf3, 0xc], // user data
  [6, 0xfb, 0xa], // user code, 64 bits
  [15, 0xf5, 0x4], // the number of the processor in its limit (arch/x86/entry/vdso/vma.c)
];
const TSS_SELECTOR = 0x40;

/** What is where in the system page. */
const SYSTEM = {
  gdt: 0,
  gdtr: 0x200,
  idtr: 0x210,
  code: 0x240,
  handlers: 0x280,
  idt: 0x800,
  tss: 0xa00,
  stackTop: 0x1000,
};
const VECTORS = 32;
const GDT_BYTES = 16 * 8;
const TSS_BYTES = 0x68;
const UD2 = [0x0f, 0x0b];

/**
 * Descriptor tables and the code that loads them. INT3 and INTO reach their handlers, as they are no exceptions before they
 * are delivered; each handler is a UD2, whose address tells the vector.
 */
function systemPage(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  const at = BigInt(SYSTEM_ADDRESS);
  for (const [index, access, flags] of GDT) view.setBigUint64(8 * index, descriptor(access, flags), true);
  const tss = at + BigInt(SYSTEM.tss);
  const low =
    BigInt(TSS_BYTES - 1) | ((tss & 0xffffffn) << 16n) | (0x89n << 40n) | (((tss >> 24n) & 0xffn) << 56n);
  view.setBigUint64(SYSTEM.gdt + TSS_SELECTOR, low, true);
  view.setBigUint64(SYSTEM.gdt + TSS_SELECTOR + 8, tss >> 32n, true);
  view.setBigUint64(SYSTEM.tss + 4, at + BigInt(SYSTEM.stackTop), true);
  view.setUint16(SYSTEM.tss + 0x66, TSS_BYTES, true); // no I/O permission bitmap
  view.setUint16(SYSTEM.gdtr, GDT_BYTES - 1, true);
  view.setBigUint64(SYSTEM.gdtr + 2, at, true);
  view.setUint16(SYSTEM.idtr, VECTORS * 16 - 1, true);
  view.setBigUint64(SYSTEM.idtr + 2, at + BigInt(SYSTEM.idt), true);
  for (let v = 0; v < VECTORS; v++) {
    // Gates 3 and 4 are open to user mode, the others not (arch/x86/kernel/idt.c).
    const dpl = v === 3 || v === 4 ? 3 : 0;
    const handler = at + BigInt(SYSTEM.handlers + 2 * v);
    const gate =
      (handler & 0xffffn) |
      (0x10n << 16n) |
      ((0x8en | BigInt(dpl << 5)) << 40n) |
      (((handler >> 16n) & 0xffffn) << 48n);
    view.setBigUint64(SYSTEM.idt + 16 * v, gate, true);
    view.setBigUint64(SYSTEM.idt + 16 * v + 8, handler >> 32n, true);
    page.set(UD2, SYSTEM.handlers + 2 * v);
  }
  // lgdt [gdtr]; lidt [idtr]; mov eax, TSS_SELECTOR; ltr ax; xor eax, eax; lldt ax; ud2
  page.set([0x0f, 0x01, 0x14, 0x25, 0, 0, 0, 0, 0x0f, 0x01, 0x1c, 0x25, 0, 0, 0, 0], SYSTEM.code);
  page.set(
    [0xb8, TSS_SELECTOR, 0, 0, 0, 0x0f, 0x00, 0xd8, 0x31, 0xc0, 0x0f, 0x00, 0xd0, ...UD2],
    SYSTEM.code + 16,
  );
  view.setUint32(SYSTEM.code + 4, SYSTEM_ADDRESS + SYSTEM.gdtr, true);
  view.setUint32(SYSTEM.code + 12, SYSTEM_ADDRESS + SYSTEM.idtr, true);
  return page;
}

function descriptor(access: number, flags: number): bigint {
  return 0x000f_0000_0000_ffffn | (BigInt(access) << 40n) | (BigInt(flags) << 52n);
}

/** Bits 40-55 of a descriptor, without the limit. */
const rights = (access: number, flags: number): number => access | (flags << 12);

interface Page {
  readonly virtual: number;
  readonly physical: number;
  readonly base: Uint8Array;
}

export class CoreRunner {
  readonly #cpu = createCpu({ pages: PHYSICAL_PAGES });
  readonly #space: AddressSpace;
  readonly #pages: Page[] = [];

  constructor() {
    const { memory } = this.#cpu;
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
        const page = {
          virtual,
          physical: this.#space.translate(BigInt(virtual))!,
          base: contents.slice(at, at + PAGE_BYTES),
        };
        this.#pages.push(page);
      }
    }
    this.#cpu.setExceptionExit(true);
    this.#loadDescriptors();
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

  /**
   * Runs a case to its end. `slice` is how many instructions a call of `Cpu.run` may take: 1 takes another path through
   * the core than a large number.
   */
  run(c: Case, slice = MAX_INSTRUCTIONS): Outcome {
    const cpu = this.#cpu;
    for (const p of c.patches) this.#space.write(BigInt(p.address), p.bytes);
    cpu.memory.clearDirty();
    this.#load(c.state);
    const limit =
      cpu.instructions + (slice === 1 ? c.patches[0]!.bytes.length + ENDLESS_STEPS : MAX_INSTRUCTIONS);
    let exit = cpu.run(Math.min(limit, cpu.instructions + slice));
    while (exit.kind === "limit" && cpu.instructions < limit)
      exit = cpu.run(Math.min(limit, cpu.instructions + slice));
    const state = this.#store();
    const changes = this.#collectChanges(c.patches);
    if (exit.kind === "limit") return { kind: "endless", state, changes };
    if (exit.kind !== "exception") throw new Error(`the core stopped by "${exit.kind}" in ring 3`);
    const cr2 = cpu.getControl("cr2");
    const handler = Number(state.rip) - (SYSTEM_ADDRESS + SYSTEM.handlers);
    if (exit.vector === UNDEFINED_OPCODE && handler >= 0 && handler < 2 * VECTORS) {
      this.#leaveHandler(state);
      return { kind: "exception", vector: handler / 2, error: 0, cr2, state, changes };
    }
    return {
      kind: "exception",
      vector: exit.vector,
      error: exit.errorCode ?? 0,
      cr2,
      state,
      changes,
    };
  }

  #load(s: State): void {
    const cpu = this.#cpu;
    for (let i = 0; i < 16; i++) cpu.setRegister(GPR_NAMES[i]!, s.gpr(i));
    cpu.setRegister("rip", s.rip);
    cpu.setRegister("rflags", BigInt(s.rflags));
    for (let i = 0; i < 6; i++) {
      const selector = s.selector(i);
      const base = i === 4 ? s.u64[18]! : i === 5 ? s.u64[19]! : 0n;
      const known = GDT.find(([index]) => index === selector >> 3);
      const attributes = known === undefined ? UNUSABLE : rights(known[1], known[2]);
      const now = cpu.getSegment(i);
      // Setting one flushes what the core has cached.
      if (now.selector === selector && now.base === base && now.attributes === attributes) continue;
      cpu.setSegment(i, { selector, base, limit: known === undefined ? 0 : 0xffffffff, attributes });
    }
    for (let i = 0; i < 16; i++) cpu.setXmm(i, s.xmm(i));
    cpu.setMxcsr(s.mxcsr);
    const top = (s.fsw >> 11) & 7;
    const st: Uint8Array[] = new Array(8);
    for (let i = 0; i < 8; i++) st[(top + i) & 7] = s.st(i);
    cpu.setX87({ fcw: s.fcw, fsw: s.fsw, ftw: s.ftw, st });
  }

  #store(): State {
    const cpu = this.#cpu;
    const s = new State();
    for (let i = 0; i < 16; i++) s.setGpr(i, cpu.getRegister(GPR_NAMES[i]!));
    s.rip = cpu.getRegister("rip");
    s.u64[17] = cpu.getRegister("rflags");
    for (let i = 0; i < 6; i++) {
      const segment = cpu.getSegment(i);
      s.setSelector(i, segment.selector);
      if (i === 4) s.u64[18] = segment.base;
      if (i === 5) s.u64[19] = segment.base;
    }
    for (let i = 0; i < 16; i++) s.xmm(i).set(cpu.getXmm(i));
    s.mxcsr = cpu.getMxcsr();
    s.view.setUint32(FX + FX_MXCSR_MASK, 0xffff, true);
    const x87 = cpu.getX87();
    s.fcw = x87.fcw;
    s.fsw = x87.fsw;
    s.bytes[FX + FX_FTW] = x87.ftw;
    const top = (x87.fsw >> 11) & 7;
    for (let i = 0; i < 8; i++) s.st(i).set(x87.st[(top + i) & 7]!);
    return s;
  }

  /** Puts back what the delivery to a handler changed, from its stack frame (SDM vol. 3A figure 6-9). */
  #leaveHandler(state: State): void {
    const frame = new BigUint64Array(
      this.#space.read(BigInt(SYSTEM_ADDRESS + SYSTEM.stackTop - 40), 40).buffer,
    );
    state.rip = frame[0]!;
    state.setSelector(1, Number(frame[1]!));
    state.rflags = Number(frame[2]!);
    state.setGpr(4, frame[3]!);
    state.setSelector(2, Number(frame[4]!));
  }

  /** Memory that differs from base + patches; puts it back to base. */
  #collectChanges(patches: readonly Patch[]): Patch[] {
    const { memory } = this.#cpu;
    const dirty = new Set(memory.dirtyPages());
    const changes: Patch[] = [];
    for (const page of this.#pages) {
      const patched = patches.filter(
        (p) => p.address < page.virtual + PAGE_BYTES && p.address + p.bytes.length > page.virtual,
      );
      const touched = dirty.has(page.physical / PAGE_BYTES);
      if (!touched && patched.length === 0) continue;
      if (touched) {
        const before = page.base.slice();
        for (const p of patched) overlay(before, page.virtual, p);
        appendRuns(changes, page.virtual, before, memory.page(page.physical / PAGE_BYTES));
      }
      memory.write(page.physical, page.base);
    }
    return changes;
  }
}

/** A segment register after a null selector was loaded: not present. */
const UNUSABLE = 0;

function overlay(page: Uint8Array, virtual: number, p: Patch): void {
  for (let i = 0; i < p.bytes.length; i++) {
    const at = p.address + i - virtual;
    if (at >= 0 && at < page.length) page[at] = p.bytes[i]!;
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
