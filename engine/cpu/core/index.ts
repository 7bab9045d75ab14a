// What the core offers its host: the run loop, reset, and access to memory.

import { flushBlocks, lookupOnce, writeToCode } from "./blocks";
import { DR6_BS, breakpointsChanged, breakpointsEnabled, codeHits, setDr6, takeHits } from "./breakpoints";
import { decodeLengthOf } from "./decode";
import { DB, GP, NMI, leavesRun, raise } from "./exception";
import { IF, RF, TF } from "./flags";
import { clearStepCleared, stepCleared } from "./far";
import { FAST_LIMIT, interpret, resume } from "./interp";
import { CAUSE_EXTERNAL, deliver, deliverPending } from "./interrupt";
import {
  APIC_BASE, CPL, CPU_MODEL, CR0, CR4, CURRENT_OP, DEVICE_PAGES, DEVICE_PAGE_COUNT, DR, EFER, EXC_ERROR, EXC_EXIT, EXC_VECTOR, FCW, HALTED, IDT_LIMIT, INSTRUCTIONS, INTERCEPTS, IO_VALUE, MSR_RIP, IO_LINEAR, IO_PENDING, IO_SIZE,
  IRQ, LIMIT, MISC_ENABLE, MODE, MODE_64, MXCSR, PAT, REGS, RIP, SHADOW, SLOT_CS, STATE, STATE_END, SYSFLAGS, SEG_LDTR, SEG_TR, NMI_BLOCKED, NMI_PENDING,
  TRAP_PENDING,
} from "./layout";
import {
  clearAllDirty, clearTableUsers, frameOf, initMemory, markDirty, tableUsersOf,
} from "./memory";
import { flushAll, flushWrites, switchContext, writable, writeDone } from "./mmu";
import { setSegment, updateMode } from "./segment";
import { clearTaskSwitched } from "./task";
import { EXIT_EXCEPTION, EXIT_HALT, EXIT_INTERRUPT, EXIT_LIMIT, EXIT_NONE, EXIT_SHUTDOWN, INTERCEPT_INTERRUPT, SHADOW_SS, exitReason, setExitReason } from "./system";

export { armDevice, deviceAddress, deviceBuffer, deviceIsWrite, deviceWritten, disarmDevice } from "./device";
export { frameTableAddress, pageFlagsAddress, residentFrames } from "./memory";
export { getFlags, setFlags } from "./flags";

/** Lays out memory for `pages` guest pages, at most `pool` of them resident, and resets the processor. Once per instance. */
export function init(pages: u32, pool: u32): void {
  initMemory(pages, pool);
  reset();
}

/** The state after RESET, with the features of the whole core (SDM vol. 3A table 9-1). */
export function reset(): void {
  memory.fill(STATE, 0, STATE_END - STATE);
  store<u32>(CPU_MODEL, 0xffffffff);
  store<u64>(CR0, 0x60000010);
  store<i32>(IRQ, -1);
  store<i32>(EXC_VECTOR, -1);
  store<u32>(MXCSR, 0x1f80);
  store<u16>(FCW, 0x037f);
  store<u64>(DR + 48, 0xffff0ff0);
  store<u64>(DR + 56, 0x400);
  store<u64>(PAT, 0x0007040600070406);
  store<u64>(APIC_BASE, 0xfee00900);
  store<u64>(MISC_ENABLE, 1);
  store<u32>(IDT_LIMIT, 0xffff);
  for (let i = 0; i < 6; i++) setSegment(i, 0, 0, 0xffff, i == 1 ? 0x9b : 0x93);
  setSegment(1, 0xf000, 0xffff0000, 0xffff, 0x9b);
  setSegment(SEG_LDTR, 0, 0, 0xffff, 0x82);
  setSegment(SEG_TR, 0, 0, 0xffff, 0x8b);
  store<u64>(RIP, 0xfff0);
  store<u64>(REGS + 16, 0x106ca);
  restored();
}

/** Call after the state block was replaced: rebuilds everything derived. */
export function restored(): void {
  store<u32>(CURRENT_OP, 0);
  clearTableUsers();
  flushBlocks();
  breakpointsChanged();
  takeHits();
  flushAll();
  updateMode();
}

/** 64-bit mode, ring 0, flat, interrupts off, with these page tables: see CpuApi.enterLongMode. */
export function enterLongMode(cr3: f64): void {
  store<u64>(EFER, 0xd01);
  store<u64>(CR0, 0x80010033);
  store<u64>(CR4, 0x620);
  for (let i = 0; i < 6; i++) setSegment(i, i == 1 ? 8 : 16, 0, 0xffffffff, i == 1 ? 0xa09b : 0xc093);
  store<u32>(CPL, 0);
  store<u32>(SYSFLAGS, 2);
  switchContext(<u64>cr3);
  restored();
}

/** Recomputes what follows from control registers and segments after the host changed them. */
export function controlChanged(): void {
  flushAll();
  updateMode();
}

export function setInterrupt(vector: i32): void {
  store<i32>(IRQ, vector);
}

/** An edge on the NMI line: one is kept until it can be taken. */
export function raiseNmi(): void {
  store<u32>(NMI_PENDING, 1);
}

/** Value of the IN that made `run` return. */
export function completeIn(value: u32): void {
  const size = load<u32>(IO_SIZE);
  if (load<u32>(IO_PENDING) == 2) {
    // INS checked that this can be written.
    const h = writable(load<u64>(IO_LINEAR), <i32>size);
    if (h) {
      if (size == 1) store<u8>(h, <u8>value);
      else if (size == 2) store<u16>(h, <u16>value);
      else store<u32>(h, value);
      writeDone(h);
    }
  } else if (size == 1) store<u8>(REGS, <u8>value);
  else if (size == 2) store<u16>(REGS, <u16>value);
  else store<u64>(REGS, <u64>value);
  store<u32>(IO_PENDING, 0);
}

/** Value of the MSR whose RDMSR made `run` return. */
export function completeMsr(low: u32, high: u32): void {
  store<u64>(REGS, <u64>low);
  store<u64>(REGS + 16, <u64>high);
}

/** There is no such MSR, or it does not take this value: the RDMSR or WRMSR that made `run` return is #GP(0). */
export function refuseMsr(): void {
  store<u64>(RIP, load<u64>(MSR_RIP));
  store<u64>(INSTRUCTIONS, load<u64>(INSTRUCTIONS) - 1);
  raise(GP, 0);
}

/** INTERCEPT_* of system.ts: what the host wants to be asked about. */
export function setIntercepts(what: u32): void {
  store<u32>(INTERCEPTS, what);
  restored();
}

/** Bit n: an exception of an instruction, with vector n, leaves `run` before it is delivered. */
export function setExceptionExits(vectors: u32): void {
  store<u32>(EXC_EXIT, vectors);
}

/** Delivers the exception that made `run` return, as if it never had; CR2 is still that of a page fault. False: triple fault. */
export function deliverException(vector: i32, errorCode: i32): bool {
  store<u32>(CURRENT_OP, 0);
  raise(vector, errorCode);
  return deliverPending(-1);
}

/** Makes page `gfn`, which is not memory, one of device registers; `index` from 0 to 1. */
export function setDevicePage(index: u32, gfn: u32): void {
  store<u32>(DEVICE_PAGES + ((index & (<u32>DEVICE_PAGE_COUNT - 1)) << 2), gfn);
}

/** 32-bit protected mode, ring 0, flat, paging and interrupts off: how a PVH guest is entered. */
export function enterProtectedMode(): void {
  store<u64>(EFER, 0);
  store<u64>(CR0, 0x11);
  store<u64>(CR4, 0);
  for (let i = 0; i < 6; i++) setSegment(i, i == 1 ? 8 : 16, 0, 0xffffffff, i == 1 ? 0xc09b : 0xc093);
  setSegment(SEG_TR, 0, 0, 0x67, 0x8b);
  store<u32>(CPL, 0);
  store<u32>(SYSFLAGS, 2);
  restored();
}

/** Delivers the pending exception, or leaves it to the host if that is what it wants. */
function settle(): void {
  if (leavesRun()) setExitReason(EXIT_EXCEPTION);
  else if (!deliverPending(-1)) setExitReason(EXIT_SHUTDOWN);
}

/** Takes a debug exception, for these reasons of DR6. */
function trapDebug(reasons: u64): void {
  store<u32>(HALTED, 0);
  setDr6(reasons);
  store<i32>(EXC_VECTOR, DB);
  store<i32>(EXC_ERROR, -1);
  settle();
}

/** Takes an interrupt, which wakes a halted processor. */
function interrupt(vector: i32): void {
  store<u32>(HALTED, 0);
  // What goes wrong in its delivery is no instruction's, and nothing for the host.
  if (!deliver(vector, -1, CAUSE_EXTERNAL) && !deliverPending(-1)) setExitReason(EXIT_SHUTDOWN);
}

/** Runs until at least `limit` instructions have retired or the host is wanted; returns an EXIT_* code. */
export function run(limit: f64): i32 {
  const until = <u64>limit;
  setExitReason(EXIT_NONE);
  for (;;) {
    if (exitReason) return exitReason;
    clearTaskSwitched();
    if (load<i32>(EXC_VECTOR) >= 0) {
      settle();
      continue;
    }
    const flags = load<u32>(SYSFLAGS);
    const shadow = load<u32>(SHADOW);
    const due = load<u32>(TRAP_PENDING);
    if (due) {
      store<u32>(TRAP_PENDING, 0);
      trapDebug(due);
      continue;
    }
    // STI holds off NMIs too, so that none comes between STI and HLT (SDM vol. 3A 6.8.3 leaves that to the processor).
    if (load<u32>(NMI_PENDING) && !load<u32>(NMI_BLOCKED) && !shadow) {
      store<u32>(NMI_PENDING, 0);
      store<u32>(NMI_BLOCKED, 1);
      interrupt(NMI);
      continue;
    }
    const irq = load<i32>(IRQ);
    if (irq >= 0 && flags & IF && !shadow) {
      interrupt(irq);
      if (!(load<u32>(INTERCEPTS) & INTERCEPT_INTERRUPT)) continue;
      store<i32>(IRQ, -1);
      store<u32>(IO_VALUE, <u32>irq);
      return exitReason ? exitReason : EXIT_INTERRUPT;
    }
    if (load<u32>(HALTED)) return EXIT_HALT;
    const done = load<u64>(INSTRUCTIONS);
    if (done >= until) return EXIT_LIMIT;
    const left = <i64>(until - done);
    const stepping = breakpointsEnabled();
    if (stepping) {
      const linear = load<u32>(MODE) == MODE_64 ? load<u64>(RIP) : (load<u64>(RIP) + load<u64>(REGS + SLOT_CS * 8)) & 0xffffffff;
      const met = flags & RF || shadow == SHADOW_SS ? 0 : codeHits(linear);
      if (met) {
        trapDebug(met);
        continue;
      }
      store<u32>(SYSFLAGS, flags & ~RF);
      if (shadow != SHADOW_SS) takeHits();
    }
    if (!shadow && !stepping && !(flags & TF) && left >= FAST_LIMIT) {
      store<u64>(LIMIT, until);
      const p = resume();
      if (p) interpret(p, left);
      continue;
    }
    const n: i64 = shadow || stepping || flags & TF ? 1 : left;
    store<u32>(SHADOW, 0);
    const p = lookupOnce(load<u64>(RIP), <i32>n);
    if (!p) {
      resume();
      continue;
    }
    store<u64>(LIMIT, done + <u64>n);
    clearStepCleared();
    interpret(p, n);
    // A load of SS holds debug traps off until after the next instruction.
    if (load<u64>(INSTRUCTIONS) == done || load<u32>(SHADOW) == SHADOW_SS) continue;
    let reasons: u64 = stepping ? takeHits() : 0;
    if (flags & TF && (load<u32>(SYSFLAGS) & TF || stepCleared)) reasons |= DR6_BS;
    if (!reasons || exitReason == EXIT_SHUTDOWN || exitReason == EXIT_EXCEPTION) continue;
    // What the host is wanted for belongs to the instruction: the trap comes after it.
    if (exitReason) store<u32>(TRAP_PENDING, <u32>reasons);
    else trapDebug(reasons);
  }
  return EXIT_NONE; // not reached
}

/** Host address of a guest page for reading. */
export function pageForRead(gfn: u32): usize {
  return frameOf(gfn);
}

/** Host address of a guest page of which the host will now write bytes [offset, offset + size). */
export function pageForWrite(gfn: u32, offset: u32, size: u32): usize {
  store<u32>(CURRENT_OP, 0);
  const frame = frameOf(gfn);
  markDirty(gfn);
  writeToCode(gfn, offset, size);
  if (tableUsersOf(gfn)) {
    clearTableUsers();
    flushAll();
  }
  return frame;
}

/** Every dirty page was stored; later writes mark them again. */
export function clearDirty(): void {
  clearAllDirty();
  flushWrites();
}

/** Length of the instruction in the `bytes` bytes at `at`; 0 if it is #UD, -1 if it needs more bytes. */
export function decodeLength(at: usize, bytes: i32, mode: u32): i32 {
  return decodeLengthOf(at, bytes, mode);
}
