// Delivery of interrupts and exceptions through the IDT (SDM vol. 3A chapter 6).

import { DB, DFV, GP, NP, PFV, SS, TS, raise } from "./exception";
import { IF, NT, RF, TF, VM, getFlags, setFlags } from "./flags";
import {
  CPL, EXC_ERROR, EXC_VECTOR, IDT_BASE, IDT_LIMIT, RIP, SEG_TR, SYSFLAGS, TR_BASE, RSP,
} from "./layout";
import { isCanonical, readableAs, writableAs, writeDone } from "./mmu";
import {
  ATTR_DB, ATTR_L, ATTR_P, ATTR_S, applyDescriptor, attributesOf, baseOf, checkSegment, descriptorAttributes, descriptorBase,
  descriptorDpl, descriptorLimit, isLong, isRealStyle, limitOf, readDescriptor, selectorOf, setDescriptorType,
  setNull, setSegment, updateMode, withinLimit, readRingStack, ringSp, ringSs,
} from "./segment";
import { putWord, stackMask } from "./stack";
import { TASK_INTERRUPT, switchTask } from "./task";

/** How an interrupt came about. */
export const CAUSE_EXCEPTION: i32 = 0;
export const CAUSE_EXTERNAL: i32 = 1;
export const CAUSE_SOFTWARE: i32 = 2;

/** A fault on a selector that the delivery of an event loads: the event's EXT bit goes into its error code. */
function withExt(ext: i32): i32 {
  const vector = load<i32>(EXC_VECTOR);
  if (vector == GP || vector == TS || vector == SS || vector == NP) store<i32>(EXC_ERROR, load<i32>(EXC_ERROR) | ext);
  return 0;
}

/** 64-bit gates: returns 0 with an exception pending. */
function deliverLong(vector: i32, errorCode: i32, cause: i32): i32 {
  const ext = cause == CAUSE_SOFTWARE ? 0 : 1;
  const idtError = vector * 8 + 2 + ext;
  if (<u32>vector * 16 + 15 > load<u32>(IDT_LIMIT)) return raise(GP, idtError);
  const g = readableAs(load<u64>(IDT_BASE) + <u64>vector * 16, 16, false);
  if (!g) return 0;
  const w0 = load<u32>(g);
  const w1 = load<u32>(g, 4);
  const target = <u64>(w0 & 0xffff) | <u64>(w1 & 0xffff0000) | (<u64>load<u32>(g, 8) << 32);
  const type = (w1 >> 8) & 31;
  if (type != 14 && type != 15) return raise(GP, idtError);
  const oldCpl = load<u32>(CPL);
  if (cause == CAUSE_SOFTWARE && ((w1 >> 13) & 3) < oldCpl) return raise(GP, idtError);
  if (!(w1 & 0x8000)) return raise(NP, idtError);
  const selector = w0 >> 16;
  const error = <i32>(selector & 0xfffc) + ext;
  if ((selector & 0xfffc) == 0) return raise(GP, ext);
  if (!readDescriptor(selector, GP)) return withExt(ext);
  const attributes = descriptorAttributes();
  const dpl = descriptorDpl();
  if ((attributes & (ATTR_S | 8)) != (ATTR_S | 8) || dpl > oldCpl) return raise(GP, error);
  if (!(attributes & ATTR_P)) return raise(NP, error);
  if ((attributes & (ATTR_L | ATTR_DB)) != ATTR_L) return raise(GP, error);
  if (!isCanonical(target)) return raise(GP, ext);
  const cpl = attributes & 4 ? oldCpl : dpl;
  const ist = w1 & 7;
  let sp: u64;
  if (ist || cpl < oldCpl) {
    const at: u32 = ist ? 0x1c + ist * 8 : 4 + cpl * 8;
    if (at + 7 > limitOf(SEG_TR)) return raise(TS, <i32>(selectorOf(SEG_TR) & 0xfffc) + ext);
    const h = readableAs(load<u64>(TR_BASE) + <u64>at, 8, false);
    if (!h) return 0;
    sp = load<u64>(h);
  } else sp = load<u64>(RSP);
  if (!isCanonical(sp)) return raise(SS, ext);
  sp &= ~15;
  const bytes = errorCode >= 0 ? 48 : 40;
  const h = writableAs(sp - <u64>bytes, bytes, cpl == 3);
  if (!h) return 0;
  let i: usize = 0;
  if (errorCode >= 0) putWord(h, 3, i++, <u64>errorCode);
  const flags = getFlags();
  // A fault is pushed with RF set, so that its handler's return does not meet the same breakpoint again.
  const rf = cause == CAUSE_EXCEPTION && vector != DB ? RF : 0;
  putWord(h, 3, i++, load<u64>(RIP));
  putWord(h, 3, i++, <u64>((selectorOf(1) & ~3) | oldCpl));
  putWord(h, 3, i++, <u64>(flags | rf));
  putWord(h, 3, i++, load<u64>(RSP));
  putWord(h, 3, i++, <u64>selectorOf(2));
  writeDone(h);
  if (!setDescriptorType(1)) return 0;
  store<u64>(RSP, sp - <u64>bytes);
  applyDescriptor(1, (selector & ~3) | cpl);
  if (cpl != oldCpl) setSegment(2, cpl, 0, 0, cpl << 5);
  store<u32>(CPL, cpl);
  setFlags(flags & ~(TF | NT | RF | VM | (type == 14 ? IF : 0)));
  store<u64>(RIP, target);
  updateMode();
  return 1;
}

/** Interrupt and trap gates of protected mode, 16- and 32-bit. */
function deliverProtected(vector: i32, errorCode: i32, cause: i32): i32 {
  const ext = cause == CAUSE_SOFTWARE ? 0 : 1;
  const idtError = vector * 8 + 2 + ext;
  if (<u32>vector * 8 + 7 > load<u32>(IDT_LIMIT)) return raise(GP, idtError);
  const g = readableAs(load<u64>(IDT_BASE) + <u64>vector * 8, 8, false);
  if (!g) return 0;
  const w0 = load<u32>(g);
  const w1 = load<u32>(g, 4);
  const type = (w1 >> 8) & 31;
  const task = type == 5;
  if (!task && type != 14 && type != 15 && type != 6 && type != 7) return raise(GP, idtError);
  const log2 = type >= 14 ? 2 : 1;
  const oldCpl = load<u32>(CPL);
  if (cause == CAUSE_SOFTWARE && ((w1 >> 13) & 3) < oldCpl) return raise(GP, idtError);
  if (!(w1 & 0x8000)) return raise(NP, idtError);
  if (task) return switchTask(w0 >> 16, TASK_INTERRUPT, errorCode, ext);
  const target = <u64>(log2 == 2 ? (w0 & 0xffff) | (w1 & 0xffff0000) : w0 & 0xffff);
  const selector = w0 >> 16;
  const error = <i32>(selector & 0xfffc) + ext;
  if ((selector & 0xfffc) == 0) return raise(GP, ext);
  if (!readDescriptor(selector, GP)) return withExt(ext);
  const attributes = descriptorAttributes();
  const dpl = descriptorDpl();
  if ((attributes & (ATTR_S | 8)) != (ATTR_S | 8) || dpl > oldCpl) return raise(GP, error);
  if (!(attributes & ATTR_P)) return raise(NP, error);
  if (target > <u64>descriptorLimit()) return raise(GP, ext);
  const cpl = attributes & 4 ? oldCpl : dpl;
  const flags = getFlags();
  if (flags & VM && cpl != 0) return raise(GP, error);
  const oldSs = selectorOf(2);
  const oldSp = load<u64>(RSP);
  const codeBase = descriptorBase();
  const codeLimit = descriptorLimit();
  let stackBase = baseOf(2);
  let mask = stackMask();
  let sp = oldSp;
  let words = errorCode >= 0 ? 4 : 3;
  let newSs: u32 = 0;
  let ssBase: u64 = 0;
  let ssLimit: u32 = 0;
  let ssAttributes: u32 = 0;
  const outer = cpl < oldCpl || (flags & VM) != 0;
  if (outer) {
    if (!readRingStack(cpl)) return withExt(ext);
    sp = ringSp;
    newSs = ringSs;
    stackBase = descriptorBase();
    ssBase = stackBase;
    ssLimit = descriptorLimit();
    ssAttributes = descriptorAttributes();
    mask = ssAttributes & ATTR_DB ? 0xffffffff : 0xffff;
    words += flags & VM ? 6 : 2;
  }
  const bytes = words << log2;
  const newSp = (sp - <u64>bytes) & mask;
  if (!outer && !checkSegment(2, newSp, bytes, true)) return withExt(ext);
  if (outer && !withinLimit(ssAttributes, ssLimit, newSp, bytes)) return raise(SS, <i32>(newSs & 0xfffc) + ext);
  const h = writableAs((stackBase + newSp) & 0xffffffff, bytes, cpl == 3);
  if (!h) return 0;
  let i: usize = 0;
  const rf = cause == CAUSE_EXCEPTION && vector != DB ? RF : 0;
  if (errorCode >= 0) putWord(h, log2, i++, <u64>errorCode);
  putWord(h, log2, i++, load<u64>(RIP));
  putWord(h, log2, i++, <u64>selectorOf(1));
  putWord(h, log2, i++, <u64>(flags | rf));
  if (outer) {
    putWord(h, log2, i++, oldSp);
    putWord(h, log2, i++, <u64>oldSs);
    if (flags & VM) {
      putWord(h, log2, i++, <u64>selectorOf(0));
      putWord(h, log2, i++, <u64>selectorOf(3));
      putWord(h, log2, i++, <u64>selectorOf(4));
      putWord(h, log2, i++, <u64>selectorOf(5));
    }
  }
  writeDone(h);
  if (outer) {
    setSegment(2, newSs, ssBase, ssLimit, ssAttributes);
    if (flags & VM) for (let s = 0; s < 6; s++) if (s != 1 && s != 2) setNull(s, 0);
  }
  if (mask == 0xffffffff) store<u64>(RSP, newSp);
  else store<u64>(RSP, (oldSp & ~mask) | newSp);
  setSegment(1, (selector & ~3) | cpl, codeBase, codeLimit, attributes | 1);
  store<u32>(CPL, cpl);
  setFlags(flags & ~(TF | NT | RF | VM | ((type & 1) == 0 ? IF : 0)));
  store<u64>(RIP, target);
  updateMode();
  return 1;
}

/** Real-address mode: the vector table (SDM vol. 3A 20.1.4). */
function deliverReal(vector: i32): i32 {
  if (<u32>vector * 4 + 3 > load<u32>(IDT_LIMIT)) return raise(GP, 0);
  const g = readableAs(load<u64>(IDT_BASE) + <u64>vector * 4, 4, false);
  if (!g) return 0;
  const target = load<u16>(g);
  const selector = load<u16>(g, 2);
  const sp = (load<u64>(RSP) - 6) & 0xffff;
  const h = writableAs(baseOf(2) + sp, 6, false);
  if (!h) return 0;
  const flags = getFlags();
  store<u16>(h, <u16>load<u64>(RIP));
  store<u16>(h, <u16>selectorOf(1), 2);
  store<u16>(h, <u16>flags, 4);
  writeDone(h);
  store<u16>(RSP, <u16>sp);
  setSegment(1, selector, <u64>selector << 4, limitOf(1), attributesOf(1));
  setFlags(flags & ~(TF | IF | RF));
  store<u64>(RIP, <u64>target);
  updateMode();
  return 1;
}

/**
 * One delivery attempt. RIP must be the address to push. Returns 0 with an exception pending; 2 after a task switch, when one of
 * the new task may be pending.
 */
export function deliver(vector: i32, errorCode: i32, cause: i32): i32 {
  if (isLong()) return deliverLong(vector, errorCode, cause);
  if (isRealStyle() && !(load<u32>(SYSFLAGS) & VM)) return deliverReal(vector);
  return deliverProtected(vector, errorCode, cause);
}

function isContributory(vector: i32): bool {
  return vector == 0 || (vector >= TS && vector <= GP);
}

/**
 * Delivers the pending exception, turning faults in delivery into double faults (SDM vol. 3A table 6-5). Returns false
 * for a triple fault.
 */
export function deliverPending(first: i32): bool {
  let previous = first;
  for (;;) {
    let vector = load<i32>(EXC_VECTOR);
    let error = load<i32>(EXC_ERROR);
    store<i32>(EXC_VECTOR, -1);
    if (previous == DFV) return false;
    if ((isContributory(previous) && isContributory(vector)) || (previous == PFV && (vector == PFV || isContributory(vector)))) {
      vector = DFV;
      error = 0;
    }
    // Real mode has no error codes; virtual-8086 mode is left for protected mode.
    const real = !isLong() && isRealStyle() && !(load<u32>(SYSFLAGS) & VM);
    if (!deliver(vector, real ? -1 : error, CAUSE_EXCEPTION)) previous = vector;
    else if (load<i32>(EXC_VECTOR) < 0) break;
    else previous = -1; // a task gate led to a task that begins with a fault of its own
  }
  return true;
}
