// Hardware task switches: JMP, CALL, IRET, interrupts and exceptions through task gates (SDM vol. 3A chapter 7). Not in
// IA-32e mode.

import { breakpointsChanged, setDr6 } from "./breakpoints";
import { DB, GP, NP, SS, TS, raise, raiseNoError } from "./exception";
import { NT, VM, getFlags, setFlags } from "./flags";
import { loadPdptes } from "./control";
import { CPL, CR0, CR3, CR4, DR, EXC_ERROR, EXC_VECTOR, LDT_BASE, REGS, RIP, SEG_LDTR, SEG_TR, TR_BASE } from "./layout";
import { CR0_PG, CR0_TS, CR4_PAE, readableAs, switchContext, writableAs, writeDone } from "./mmu";
import {
  ATTR_P, ATTR_S, applyDescriptor, attributesOf, baseOf, clearDescriptorType, descriptorAttributes, descriptorBase, descriptorDpl, descriptorLimit,
  limitOf, readDescriptor, selectorOf, setDescriptorType, setNull, setSegment, updateMode,
} from "./segment";
import { push } from "./stack";

/** What a task switch comes from. */
export const TASK_JUMP: i32 = 0;
export const TASK_CALL: i32 = 1;
export const TASK_IRET: i32 = 2;
export const TASK_INTERRUPT: i32 = 3;

/** The task was switched: whoever runs instructions must look at TF, interrupts and what is pending. */
export let taskSwitched: bool = false;
export function clearTaskSwitched(): void {
  taskSwitched = false;
}

const BUSY: u32 = 2;
const WIDE: u32 = 8;
/** BT of DR6: a task whose TSS has the T bit was switched to. */
const DR6_BT: u64 = 0x8000;
/** Local breakpoints and LE of DR7 are the task's. */
const DR7_LOCAL: u64 = 0x155;

// Offsets in a 32-bit TSS, and in a 16-bit one.
const LEAST_LIMIT32: u32 = 103;
const LEAST_LIMIT16: u32 = 43;
const CR3_32: usize = 28;
const STATE32: usize = 32; // EIP EFLAGS EAX ECX EDX EBX ESP EBP ESI EDI ES CS SS DS FS GS, 4 bytes each
const STATE32_BYTES: i32 = 64;
const LDT32: usize = 96;
const T32: usize = 100;
const STATE16: usize = 14; // the same without FS and GS, 2 bytes each
const STATE16_BYTES: i32 = 28;
const LDT16: usize = 42;

/** What the new task's TSS holds, in the order of the 32-bit one: EIP, EFLAGS, registers, segments, LDT, CR3, T. */
const words = memory.data(80);
const WORD_LDT: usize = 64;
const WORD_CR3: usize = 68;
const WORD_T: usize = 72;

function leastLimit(wide: bool): u32 {
  return wide ? LEAST_LIMIT32 : LEAST_LIMIT16;
}

function readState(base: u64, wide: bool): bool {
  const h = readableAs(base, <i32>leastLimit(wide) + 1, false);
  if (!h) return false;
  if (wide) {
    memory.copy(words, h + STATE32, STATE32_BYTES);
    store<u32>(words, load<u16>(h, LDT32), WORD_LDT);
    store<u32>(words, load<u32>(h, CR3_32), WORD_CR3);
    store<u32>(words, load<u16>(h, T32) & 1, WORD_T);
    return true;
  }
  for (let i: usize = 0; i < 14; i++) store<u32>(words + (i << 2), load<u16>(h + STATE16 + (i << 1)));
  // The upper halves of the registers become ones on processors; FS and GS are null.
  for (let i: usize = 2; i < 10; i++) store<u32>(words + (i << 2), load<u32>(words + (i << 2)) | 0xffff0000);
  store<u64>(words, 0, 56);
  store<u32>(words, load<u16>(h, LDT16), WORD_LDT);
  store<u32>(words, 0, WORD_T);
  return true;
}

/** Saves the present task. */
function writeState(base: u64, wide: bool, flags: u32): bool {
  const h = writableAs(base + (wide ? STATE32 : STATE16), wide ? STATE32_BYTES : STATE16_BYTES, false);
  if (!h) return false;
  const shift: usize = wide ? 2 : 1;
  for (let i: usize = 0; i < <usize>(wide ? 16 : 14); i++) {
    const v = i == 0 ? load<u32>(RIP) : i == 1 ? flags : i < 10 ? load<u32>(REGS + ((i - 2) << 3)) : selectorOf(<i32>i - 10);
    if (wide) store<u32>(h + (i << shift), v);
    else store<u16>(h + (i << shift), <u16>v);
  }
  writeDone(h);
  return true;
}

/** Clears the busy bit of the TSS that TR names. */
function releaseTask(): bool {
  if (!readDescriptor(selectorOf(SEG_TR), TS)) return false;
  return clearDescriptorType(BUSY);
}

/** The LDT of the new task; #TS in it if there is none. */
function loadLdt(selector: u32): i32 {
  if ((selector & 0xfffc) == 0) {
    setSegment(SEG_LDTR, selector, 0, 0, 0);
    store<u64>(LDT_BASE, 0);
    return 1;
  }
  const error = <i32>(selector & 0xfffc);
  if (selector & 4) return raise(TS, error);
  if (!readDescriptor(selector, TS)) return 0;
  const attributes = descriptorAttributes();
  if ((attributes & (ATTR_S | 15)) != 2 || !(attributes & ATTR_P)) return raise(TS, error);
  setSegment(SEG_LDTR, selector, 0, descriptorLimit(), attributes);
  store<u64>(LDT_BASE, descriptorBase());
  return 1;
}

/** A segment register of the new task (SDM vol. 3A table 7-1). 0: an exception is pending. */
function loadTaskSegment(i: i32, selector: u32, cpl: u32): i32 {
  const error = <i32>(selector & 0xfffc);
  if (error == 0) {
    if (i == 1 || i == 2) return raise(TS, 0);
    setNull(i, selector);
    return 1;
  }
  if (!readDescriptor(selector, TS)) return 0;
  const attributes = descriptorAttributes();
  const dpl = descriptorDpl();
  if (!(attributes & ATTR_S)) return raise(TS, error);
  if (i == 1) {
    if (!(attributes & 8) || (attributes & 4 ? dpl > cpl : dpl != cpl)) return raise(TS, error);
  } else if (i == 2) {
    if (attributes & 8 || !(attributes & 2) || dpl != cpl || (selector & 3) != cpl) return raise(TS, error);
  } else {
    if ((attributes & 0xa) == 8) return raise(TS, error);
    if ((attributes & 0xc) != 0xc && (dpl < cpl || dpl < (selector & 3))) return raise(TS, error);
  }
  if (!(attributes & ATTR_P)) return raise(i == 2 ? SS : NP, error);
  if (!setDescriptorType(1)) return 0;
  applyDescriptor(i, selector);
  return 1;
}

/** The part of a switch that happens in the new task: a fault in it is the new task's. */
function enterTask(errorCode: i32, wide: bool): i32 {
  if (!loadLdt(load<u32>(words, WORD_LDT))) return 0;
  const cpl = load<u32>(CPL);
  if (!(load<u32>(words, 4) & VM && wide)) {
    if (!loadTaskSegment(1, load<u32>(words, 44) & 0xffff, cpl)) return 0;
    updateMode();
    if (!loadTaskSegment(2, load<u32>(words, 48) & 0xffff, cpl)) return 0;
    for (let i = 0; i < 6; i++) {
      if (i != 1 && i != 2 && !loadTaskSegment(i, load<u32>(words + 40 + (<usize>i << 2)) & 0xffff, cpl)) return 0;
    }
  }
  if (errorCode >= 0 && !push(<u64>errorCode, wide ? 2 : 1)) return 0;
  if (load<u64>(RIP) > <u64>limitOf(1)) return raise(GP, 0);
  if (load<u32>(words, WORD_T)) {
    setDr6(DR6_BT);
    return raiseNoError(DB);
  }
  return 1;
}

/**
 * Switches to the task whose TSS `selector` names. RIP is where the present task goes on. `errorCode` is pushed in the new
 * task unless negative; `ext` goes into the error codes of faults. Returns 0 with an exception of the old task pending, else
 * 2; then an exception of the new task may be pending.
 */
export function switchTask(selector: u32, cause: i32, errorCode: i32, ext: i32): i32 {
  const error = <i32>(selector & 0xfffc) | ext;
  const vector = cause == TASK_IRET ? TS : GP;
  if (selector & 4 || (selector & 0xfffc) == 0) return raise(vector, error);
  if (!readDescriptor(selector, vector)) return 0;
  const attributes = descriptorAttributes();
  const type = attributes & (ATTR_S | 15);
  if ((type & ~(WIDE | BUSY)) != 1 || ((type & BUSY) != 0) != (cause == TASK_IRET)) return raise(vector, error);
  if (!(attributes & ATTR_P)) return raise(NP, error);
  const wide = (attributes & WIDE) != 0;
  const limit = descriptorLimit();
  if (limit < leastLimit(wide)) return raise(TS, error);
  const base = descriptorBase();
  const oldWide = (attributesOf(SEG_TR) & WIDE) != 0;
  const oldBase = load<u64>(TR_BASE);
  if (limitOf(SEG_TR) < leastLimit(oldWide)) return raise(TS, <i32>(selectorOf(SEG_TR) & 0xfffc) | ext);
  const link = cause == TASK_CALL || cause == TASK_INTERRUPT;
  // Everything the old task may fault on.
  if (!readState(base, wide)) return 0;
  if (link && !writableAs(base, 2, false)) return 0;
  const oldFlags = getFlags();
  if (!writeState(oldBase, oldWide, cause == TASK_IRET ? oldFlags & ~NT : oldFlags)) return 0;
  if (!link && !releaseTask()) return 0;
  if (cause != TASK_IRET && (!readDescriptor(selector, TS) || !setDescriptorType(BUSY))) return 0;
  if (link) {
    const h = writableAs(base, 2, false);
    if (!h) return 0;
    store<u16>(h, <u16>selectorOf(SEG_TR));
    writeDone(h);
  }
  // The new task's.
  taskSwitched = true;
  setSegment(SEG_TR, selector, 0, limit, attributes | BUSY);
  store<u64>(TR_BASE, base);
  store<u64>(CR0, load<u64>(CR0) | CR0_TS);
  store<u64>(DR + 56, load<u64>(DR + 56) & ~DR7_LOCAL);
  breakpointsChanged();
  const flags = load<u32>(words, 4);
  for (let i: usize = 0; i < 8; i++) store<u64>(REGS + (i << 3), <u64>load<u32>(words + 8 + (i << 2)));
  store<u64>(RIP, <u64>load<u32>(words));
  const virtual = wide && (flags & VM) != 0;
  store<u32>(CPL, virtual ? 3 : load<u32>(words, 44) & 3);
  setFlags((wide ? flags & 0x3f7fd7 : (flags & 0x7fd7)) | 2 | (link ? NT : 0));
  if (virtual) {
    for (let i = 0; i < 6; i++) {
      const s = load<u32>(words + 40 + (<usize>i << 2)) & 0xffff;
      setSegment(i, s, <u64>s << 4, 0xffff, 0xf3);
    }
  } else {
    // Selectors are there at once, what they name is not: a segment that is not loaded yet may not be used.
    for (let i = 0; i < 6; i++) {
      const s = load<u32>(words + 40 + (<usize>i << 2)) & 0xffff;
      if (i != 1) setSegment(i, s, 0, 0, 0);
      else setSegment(1, s, baseOf(1), limitOf(1), attributesOf(1));
    }
  }
  let ok = 1;
  if (wide && load<u64>(CR0) & CR0_PG) {
    const cr3 = <u64>load<u32>(words, WORD_CR3);
    if (load<u64>(CR4) & CR4_PAE && !loadPdptes(cr3)) ok = 0;
    else if (cr3 != load<u64>(CR3)) switchContext(cr3);
  }
  updateMode();
  if (ok) ok = enterTask(errorCode, wide);
  if (!ok) {
    const raised = load<i32>(EXC_VECTOR);
    if (raised >= TS && raised <= GP) store<i32>(EXC_ERROR, load<i32>(EXC_ERROR) | ext);
  }
  updateMode();
  return 2;
}
