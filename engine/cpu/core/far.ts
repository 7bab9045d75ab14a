// Far jumps, calls and returns, IRET, and the fast system calls (SDM vol. 3A 5.8, 6.12; vol. 2).

import { DR6_BS, breakpointsEnabled } from "./breakpoints";
import { GP, NP, SS, TS, UD, raise, raiseNoError } from "./exception";
import { AC, ARITH, DF, ID, IF, IOPL, NT, RF, TF, VIF, VIP, VM, getFlags, setFlags } from "./flags";
import {
  CPL, EFER, LSTAR, MODE, MODE_64, NMI_BLOCKED, REGS, RIP, SEG_TR, SFMASK, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, SYSFLAGS,
  TR_BASE, RSP, RCX, RDX, TRAP_PENDING,
} from "./layout";
import { EFER_SCE, isCanonical, readable, readableAs, writableAs, writeDone } from "./mmu";
import {
  ATTR_DB, ATTR_L, ATTR_P, ATTR_S, applyDescriptor, attributesOf, baseOf, descriptorAttributes, descriptorBase, descriptorDpl,
  descriptorHigh, descriptorLimit, descriptorLow, dropPrivilegedSegments, isLong, isRealStyle, limitOf,
  readDescriptor, readDescriptorHigh, readRingStack, ringSp, ringSs, selectorOf, setDescriptorType, setSegment, updateMode,
  withinLimit,
} from "./segment";
import { peek, popped, push, putWord, release, setSp, stackMask } from "./stack";
import { TASK_CALL, TASK_IRET, TASK_JUMP, switchTask } from "./task";

/** Masks an instruction pointer to an operand size. */
function maskIp(ip: u64, log2: i32): u64 {
  return log2 == 1 ? ip & 0xffff : log2 == 2 ? ip & 0xffffffff : ip;
}

/** Is `ip` inside the code segment last read? Raises #GP(0) if not. */
function checkIp(ip: u64): bool {
  const long = isLong() && (descriptorAttributes() & ATTR_L) != 0;
  if (long ? !isCanonical(ip) : ip > <u64>descriptorLimit()) {
    raise(GP, 0);
    return false;
  }
  return true;
}

/** Checks the code descriptor last read as the target of a far JMP or CALL at the present privilege. */
function checkCode(selector: u32): bool {
  const error = <i32>(selector & 0xfffc);
  const attributes = descriptorAttributes();
  const cpl = load<u32>(CPL);
  const dpl = descriptorDpl();
  if (attributes & 4 ? dpl > cpl : dpl != cpl || (selector & 3) > cpl) {
    raise(GP, error);
    return false;
  }
  if (!(attributes & ATTR_P)) {
    raise(NP, error);
    return false;
  }
  if (isLong() && (attributes & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB)) {
    raise(GP, error);
    return false;
  }
  return true;
}

function setCode(selector: u32, cpl: u32): void {
  applyDescriptor(1, (selector & ~3) | cpl);
  store<u32>(CPL, cpl);
}

/** Far JMP (call = false) or CALL to selector:offset. RIP holds the return address. */
export function farTransfer(selector: u32, offset: u64, log2: i32, call: bool): i32 {
  if (isRealStyle()) {
    if (offset > <u64>limitOf(1)) return raise(GP, 0);
    if (call) {
      if (!push(<u64>selectorOf(1), log2)) return 0;
      if (!push(load<u64>(RIP), log2)) {
        release(<u64>1 << <u64>log2);
        return 0;
      }
    }
    setSegment(1, selector, <u64>selector << 4, limitOf(1), attributesOf(1));
    store<u64>(RIP, offset);
    updateMode();
    return 1;
  }
  if ((selector & 0xfffc) == 0) return raise(GP, 0);
  if (!readDescriptor(selector, GP)) return 0;
  const attributes = descriptorAttributes();
  if (!(attributes & ATTR_S)) return throughGate(selector, call);
  if (!(attributes & 8)) return raise(GP, <i32>(selector & 0xfffc));
  if (!checkCode(selector) || !checkIp(offset)) return 0;
  if (call) {
    const oldSp = load<u64>(RSP);
    if (!push(<u64>selectorOf(1), log2)) return 0;
    if (!push(load<u64>(RIP), log2)) {
      store<u64>(RSP, oldSp);
      return 0;
    }
  }
  if (!setDescriptorType(1)) return 0;
  setCode(selector, load<u32>(CPL));
  store<u64>(RIP, offset);
  updateMode();
  return 1;
}

/** Call gates, task gates and TSSs. */
function throughGate(selector: u32, call: bool): i32 {
  const error = <i32>(selector & 0xfffc);
  const attributes = descriptorAttributes();
  const type = attributes & 15;
  const long = isLong();
  const cpl = load<u32>(CPL);
  const tss = !long && (type & ~8) == 1;
  if (long ? type != 12 : type != 12 && type != 4 && type != 5 && !tss) return raise(GP, error);
  const dpl = descriptorDpl();
  if (dpl < cpl || dpl < (selector & 3)) return raise(GP, error);
  if (!(attributes & ATTR_P)) return raise(NP, error);
  if (tss) return switchTask(selector, call ? TASK_CALL : TASK_JUMP, -1, 0);
  if (type == 5) return switchTask(descriptorLow >> 16, call ? TASK_CALL : TASK_JUMP, -1, 0);
  const log2 = long ? 3 : type == 12 ? 2 : 1;
  const parameters = <i32>(descriptorHigh & 31);
  const codeSelector = descriptorLow >> 16;
  let offset = <u64>((descriptorLow & 0xffff) | (descriptorHigh & 0xffff0000));
  if (log2 == 1) offset &= 0xffff;
  if (long) {
    const high = readDescriptorHigh(selector);
    if (high < 0) return 0;
    offset |= <u64>high << 32;
  }
  const codeError = <i32>(codeSelector & 0xfffc);
  if (codeError == 0) return raise(GP, 0);
  if (!readDescriptor(codeSelector, GP)) return 0;
  const codeAttributes = descriptorAttributes();
  const codeDpl = descriptorDpl();
  if ((codeAttributes & (ATTR_S | 8)) != (ATTR_S | 8) || codeDpl > cpl) return raise(GP, codeError);
  if (long && (codeAttributes & (ATTR_L | ATTR_DB)) != ATTR_L) return raise(GP, codeError);
  if (!(codeAttributes & ATTR_P)) return raise(NP, codeError);
  const inner = call && !(codeAttributes & 4) && codeDpl < cpl;
  if (!call && !(codeAttributes & 4) && codeDpl != cpl) return raise(GP, codeError);
  if (!checkIp(offset)) return 0;
  const base = descriptorBase();
  const limit = descriptorLimit();
  if (!setDescriptorType(1)) return 0;
  if (inner) {
    if (!innerStack(codeDpl, log2, parameters)) return 0;
  } else if (call) {
    const oldSp = load<u64>(RSP);
    if (!push(<u64>selectorOf(1), log2)) return 0;
    if (!push(load<u64>(RIP), log2)) {
      store<u64>(RSP, oldSp);
      return 0;
    }
  }
  const newCpl = inner ? codeDpl : cpl;
  setSegment(1, (codeSelector & ~3) | newCpl, base, limit, codeAttributes | 1);
  store<u32>(CPL, newCpl);
  store<u64>(RIP, offset);
  updateMode();
  return 1;
}

/** The stack of an inner ring for a call gate: old SS:SP, parameters, CS:IP. */
function innerStack(cpl: u32, log2: i32, parameters: i32): i32 {
  const bytes = 1 << log2;
  const oldSs = selectorOf(2);
  const oldSp = load<u64>(RSP);
  const oldMask = stackMask();
  const oldBase = baseOf(2);
  const words = 4 + (log2 == 3 ? 0 : parameters);
  let sp: u64;
  let base: u64 = 0;
  let newSs: u32 = cpl;
  let limit: u32 = 0;
  let attributes: u32 = cpl << 5;
  let mask: u64 = 0xffffffffffffffff;
  if (log2 == 3) {
    const at: u32 = 4 + cpl * 8;
    if (at + 7 > limitOf(SEG_TR)) return raise(TS, <i32>(selectorOf(SEG_TR) & 0xfffc));
    const h = readableAs(load<u64>(TR_BASE) + <u64>at, 8, false);
    if (!h) return 0;
    sp = load<u64>(h);
    if (!isCanonical(sp)) return raise(SS, 0);
  } else {
    if (!readRingStack(cpl)) return 0;
    sp = ringSp;
    newSs = ringSs;
    base = descriptorBase();
    limit = descriptorLimit();
    attributes = descriptorAttributes();
    mask = attributes & ATTR_DB ? 0xffffffff : 0xffff;
  }
  const newSp = (sp - <u64>(words * bytes)) & mask;
  if (log2 != 3 && !withinLimit(attributes, limit, newSp, words * bytes)) return raise(SS, <i32>(newSs & 0xfffc));
  const h = writableAs(log2 == 3 ? newSp : (base + newSp) & 0xffffffff, words * bytes, cpl == 3);
  if (!h) return 0;
  putWord(h, log2, 0, load<u64>(RIP));
  putWord(h, log2, 1, <u64>selectorOf(1));
  for (let i = 0; i < words - 4; i++) {
    const s = readable((oldBase + ((oldSp + <u64>(i * bytes)) & oldMask)) & 0xffffffff, bytes);
    if (!s) return 0;
    putWord(h, log2, 2 + i, log2 == 2 ? <u64>load<u32>(s) : <u64>load<u16>(s));
  }
  putWord(h, log2, words - 2, oldSp);
  putWord(h, log2, words - 1, <u64>oldSs);
  writeDone(h);
  setSegment(2, newSs, base, limit, attributes);
  store<u64>(RSP, newSp);
  return 1;
}

/** Checks the code descriptor last read as the target of a return to ring `rpl`. */
function checkReturnCode(selector: u32): bool {
  const error = <i32>(selector & 0xfffc);
  const attributes = descriptorAttributes();
  const rpl = selector & 3;
  if ((attributes & (ATTR_S | 8)) != (ATTR_S | 8) || (attributes & 4 ? descriptorDpl() > rpl : descriptorDpl() != rpl)) {
    raise(GP, error);
    return false;
  }
  if (!(attributes & ATTR_P)) {
    raise(NP, error);
    return false;
  }
  return true;
}

/** The rest of RETF and IRET: to CS:IP, and to SS:SP `spOffset` bytes up the stack if the ring (or `always`) demands. */
function returnTo(selector: u32, ip: u64, log2: i32, spOffset: u64, extra: u64, always: bool): i32 {
  const oldCpl = load<u32>(CPL);
  const rpl = selector & 3;
  if ((selector & 0xfffc) == 0) return raise(GP, 0);
  if (!readDescriptor(selector, GP)) return 0;
  if (rpl < oldCpl) return raise(GP, <i32>(selector & 0xfffc));
  if (!checkReturnCode(selector) || !checkIp(ip)) return 0;
  const bytes: u64 = 1 << log2;
  if (rpl == oldCpl && !always) {
    if (!setDescriptorType(1)) return 0;
    setCode(selector, rpl);
    release(spOffset + extra);
    store<u64>(RIP, ip);
    updateMode();
    return 1;
  }
  const codeBase = descriptorBase();
  const codeLimit = descriptorLimit();
  const codeAttributes = descriptorAttributes();
  const toLong = isLong() && (codeAttributes & ATTR_L) != 0;
  if (!setDescriptorType(1)) return 0;
  if (!peek(spOffset, log2)) return 0;
  const sp = popped;
  if (!peek(spOffset + bytes, log2)) return 0;
  const ss = <u32>popped & 0xffff;
  let ssBase: u64 = 0;
  let ssLimit: u32 = 0;
  let ssAttributes: u32 = rpl << 5;
  if ((ss & 0xfffc) == 0) {
    if (!toLong || rpl == 3 || (ss & 3) != rpl) return raise(GP, 0);
  } else {
    const error = <i32>(ss & 0xfffc);
    if (!readDescriptor(ss, GP)) return 0;
    const a = descriptorAttributes();
    if ((ss & 3) != rpl || descriptorDpl() != rpl || !(a & ATTR_S) || a & 8 || !(a & 2)) return raise(GP, error);
    if (!(a & ATTR_P)) return raise(SS, error);
    if (!setDescriptorType(1)) return 0;
    ssBase = descriptorBase();
    ssLimit = descriptorLimit();
    ssAttributes = descriptorAttributes();
  }
  setSegment(1, selector, codeBase, codeLimit, codeAttributes | 1);
  setSegment(2, ss, ssBase, ssLimit, ssAttributes);
  store<u32>(CPL, rpl);
  store<u64>(RIP, ip);
  updateMode();
  const mask: u64 = toLong ? 0xffffffffffffffff : ssAttributes & ATTR_DB ? 0xffffffff : 0xffff;
  if (log2 == 3 || toLong) store<u64>(RSP, sp + extra);
  else setSp(sp + extra, mask);
  if (rpl > oldCpl) dropPrivilegedSegments(rpl);
  return 1;
}

/** RETF. */
export function farReturn(log2: i32, extra: u64): i32 {
  const bytes: u64 = 1 << log2;
  if (!peek(0, log2)) return 0;
  const ip = maskIp(popped, log2);
  if (!peek(bytes, log2)) return 0;
  const selector = <u32>popped & 0xffff;
  if (isRealStyle()) {
    if (ip > <u64>limitOf(1)) return raise(GP, 0);
    setSegment(1, selector, <u64>selector << 4, limitOf(1), attributesOf(1));
    store<u64>(RIP, ip);
    release(2 * bytes + extra);
    updateMode();
    return 1;
  }
  // Parameters are released on both stacks.
  return returnTo(selector, ip, log2, 2 * bytes + ((selector & 3) > load<u32>(CPL) ? extra : 0), extra, false);
}

/** POPF or IRET cleared TF: the single-step trap after it is still due, for TF was set when it began. */
export let stepCleared: bool = false;
export function clearStepCleared(): void {
  stepCleared = false;
}

/** Flags that IRET and POPF may change at a privilege. */
export function loadFlags(v: u32, log2: i32, cpl: u32, iret: bool): void {
  let changeable: u32 = ARITH | TF | DF | NT;
  if (log2 >= 2) changeable |= AC | ID;
  if (log2 >= 2 && iret) changeable |= RF;
  const old = getFlags();
  if (cpl == 0) changeable |= IOPL | IF;
  else if (cpl <= (old & IOPL) >> 12) changeable |= IF;
  if (cpl == 0 && iret && log2 >= 2) changeable |= VIF | VIP;
  let r = (old & ~changeable) | (v & changeable);
  if (!iret) r &= ~RF;
  if (old & TF && !(r & TF)) stepCleared = true;
  setFlags(r);
}

/** IRET in all widths. */
export function interruptReturn(log2: i32): i32 {
  const bytes: u64 = 1 << log2;
  const flagsNow = load<u32>(SYSFLAGS);
  // Even an IRET that faults unblocks NMIs (SDM vol. 3A 6.7.1).
  store<u32>(NMI_BLOCKED, 0);
  if (flagsNow & VM && (flagsNow & IOPL) != IOPL) return raise(GP, 0);
  if (!isLong() && flagsNow & NT && !isRealStyle()) {
    const link = readableAs(load<u64>(TR_BASE), 2, false);
    return link ? switchTask(load<u16>(link), TASK_IRET, -1, 0) : 0;
  }
  if (isLong() && flagsNow & NT) return raise(GP, 0);
  if (!peek(0, log2)) return 0;
  const ip = maskIp(popped, log2);
  if (!peek(bytes, log2)) return 0;
  const selector = <u32>popped & 0xffff;
  if (!peek(2 * bytes, log2)) return 0;
  const flags = <u32>popped;
  const cpl = load<u32>(CPL);
  if (isRealStyle()) {
    if (ip > <u64>limitOf(1)) return raise(GP, 0);
    setSegment(1, selector, <u64>selector << 4, limitOf(1), attributesOf(1));
    store<u64>(RIP, ip);
    release(3 * bytes);
    loadFlags(flags, log2, flagsNow & VM ? 3 : 0, true);
    updateMode();
    return 1;
  }
  if (!isLong() && flags & VM && cpl == 0 && log2 == 2) return returnToVirtual8086(ip, selector, flags);
  const always = load<u32>(MODE) == MODE_64;
  if (!returnTo(selector, ip, log2, 3 * bytes, 0, always)) return 0;
  loadFlags(flags, log2, cpl, true);
  // RF lasts for one instruction; without breakpoints nobody could tell.
  if (!breakpointsEnabled()) setFlags(getFlags() & ~RF);
  return 1;
}

/** SDM vol. 3A 20.2.2. */
function returnToVirtual8086(ip: u64, selector: u32, flags: u32): i32 {
  // Everything is read before SS changes.
  if (!peek(12, 2)) return 0;
  const sp = popped;
  let low: u64 = 0; // SS ES DS FS
  for (let i: u64 = 0; i < 4; i++) {
    if (!peek(16 + i * 4, 2)) return 0;
    low |= (popped & 0xffff) << (i * 16);
  }
  if (!peek(32, 2)) return 0;
  setVirtual8086Segment(5, popped);
  setVirtual8086Segment(2, low);
  setVirtual8086Segment(0, low >> 16);
  setVirtual8086Segment(3, low >> 32);
  setVirtual8086Segment(4, low >> 48);
  setVirtual8086Segment(1, selector);
  setFlags(flags & ~RF);
  store<u64>(RSP, sp);
  store<u64>(RIP, ip & 0xffff);
  store<u32>(CPL, 3);
  updateMode();
  return 1;
}

function setVirtual8086Segment(i: i32, selector: u64): void {
  const s = <u32>selector & 0xffff;
  setSegment(i, s, <u64>s << 4, 0xffff, 0xf3);
}

/** Code and stack segments of the fast system calls: flat, only the selector is looked at. */
function setFlat(codeSelector: u32, stackSelector: u32, cpl: u32, long: bool): void {
  setSegment(1, codeSelector, 0, 0xffffffff, 0x809b | (cpl << 5) | (long ? ATTR_L : ATTR_DB));
  setSegment(2, stackSelector, 0, 0xffffffff, 0xc093 | (cpl << 5));
  store<u32>(CPL, cpl);
}

/** SYSCALL. RIP holds the address of the next instruction. */
export function syscall(): i32 {
  // Intel's, which CPUID says this is, have it in 64-bit code only: Linux leaves CSTAR 0 there.
  if (!(load<u64>(EFER) & EFER_SCE) || load<u32>(MODE) != MODE_64) return raiseNoError(UD);
  const flags = getFlags();
  const star = load<u64>(STAR);
  store<u64>(RCX, load<u64>(RIP));
  store<u64>(REGS + 11 * 8, <u64>(flags & ~RF));
  store<u64>(RIP, load<u64>(LSTAR));
  setFlags(flags & ~<u32>load<u64>(SFMASK) & ~RF);
  const selector = <u32>(star >> 32) & 0xfffc;
  setFlat(selector, selector + 8, 0, true);
  updateMode();
  return 1;
}

/** SYSRET to 64-bit code with REX.W, else to compatibility mode. */
export function sysret(log2: i32): i32 {
  if (!(load<u64>(EFER) & EFER_SCE) || load<u32>(MODE) != MODE_64) return raiseNoError(UD);
  if (load<u32>(CPL) != 0) return raise(GP, 0);
  const long = log2 == 3;
  const target = load<u64>(RCX);
  if (long && !isCanonical(target)) return raise(GP, 0);
  const selector = <u32>(load<u64>(STAR) >> 48);
  const stepped = (getFlags() & TF) != 0;
  setFlags((<u32>load<u64>(REGS + 11 * 8) & 0x3c7fd7) | 2);
  // Unlike POPF and IRET, SYSRET that sets TF traps right after itself.
  if (getFlags() & TF && !stepped) store<u32>(TRAP_PENDING, <u32>DR6_BS);
  store<u64>(RIP, long ? target : target & 0xffffffff);
  setFlat((long ? selector + 16 : selector) | 3, (selector + 8) | 3, 3, long);
  updateMode();
  return 1;
}

export function sysenter(): i32 {
  if (isRealStyle() && !(load<u32>(SYSFLAGS) & VM)) return raise(GP, 0);
  const cs = <u32>load<u64>(SYSENTER_CS);
  if ((cs & 0xfffc) == 0) return raise(GP, 0);
  const long = isLong();
  setFlags(getFlags() & ~(VM | IF | RF));
  const mask: u64 = long ? 0xffffffffffffffff : 0xffffffff;
  store<u64>(RIP, load<u64>(SYSENTER_EIP) & mask);
  store<u64>(RSP, load<u64>(SYSENTER_ESP) & mask);
  setFlat(cs & 0xfffc, (cs & 0xfffc) + 8, 0, long);
  updateMode();
  return 1;
}

export function sysexit(log2: i32): i32 {
  const cs = <u32>load<u64>(SYSENTER_CS);
  if ((cs & 0xfffc) == 0 || load<u32>(CPL) != 0 || isRealStyle()) return raise(GP, 0);
  const long = log2 == 3;
  const rip = load<u64>(RDX);
  const rsp = load<u64>(RCX);
  if (long && (!isCanonical(rip) || !isCanonical(rsp))) return raise(GP, 0);
  store<u64>(RIP, long ? rip : rip & 0xffffffff);
  store<u64>(RSP, long ? rsp : rsp & 0xffffffff);
  const selector = (cs & 0xfffc) + (long ? 32 : 16);
  setFlat(selector | 3, (selector + 8) | 3, 3, long);
  updateMode();
  return 1;
}
