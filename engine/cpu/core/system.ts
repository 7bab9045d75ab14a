// The RARE ops: system instructions, control transfers the interpreter does not inline, ports. Each ends its block.

import { breakpointsEnabled, notePort, setDr6, takeHits } from "./breakpoints";
import { readControl, readDebug, writeControl, writeCr0, writeDebug } from "./control";
import { cpuid } from "./cpuid";
import { DB, GP, PFV, UD, raise, raiseNoError, NP } from "./exception";
import { farReturn, farTransfer, interruptReturn, loadFlags, syscall, sysenter, sysexit, sysret } from "./far";
import { DF, IF, IOPL, TF, VM, condition, getArithFlags, getOF, getZF, setArithFlags, ZF } from "./flags";
import { addressOf } from "./generic";
import { CAUSE_EXTERNAL, CAUSE_SOFTWARE, deliver } from "./interrupt";
import {
  CPL, CR0, CR4, EXC_VECTOR, GDT_BASE, GDT_LIMIT, HALTED, INTERCEPTS, MSR_RIP, IDT_BASE, IDT_LIMIT, IO_LINEAR, IO_PENDING, IO_PORT, IO_SIZE, IO_VALUE, IRQ, KERNEL_GS,
  LDT_BASE, MODE, MODE_64, NMI_BLOCKED, NMI_PENDING, REGS, RIP, SEG_LDTR, SEG_TR, SHADOW, SLOT_FS, SLOT_GS, SYSFLAGS, TR_BASE, TSC_AUX, RSP, RAX, RCX, RDX, RSI, RDI,
} from "./layout";
import { invalidatePage, isCanonical, readable, readableAs, writable, writeDone } from "./mmu";
import { isForHost, readMsr, tsc, writeMsr } from "./msr";
import { Rare } from "./ops";
import {
  ATTR_P, ATTR_S, attributesOf, baseOf, checkSegment, descriptorAttributes, descriptorBase, descriptorDpl, descriptorHigh, descriptorLimit, isLong,
  isRealStyle, limitOf, loadSegment, readDescriptor, readDescriptorHigh, selectorOf, setDescriptorType, setSegment, updateMode,
} from "./segment";
import { loadBySize, peek, popped, push, release, setSp, stackMask } from "./stack";
import { putRegister } from "./stack-frame";
import { setIndex } from "./string";

/** What to do after a RARE op. RIP is exact in all but the first case. */
export const R_FAULT: i32 = 0;
export const R_GO: i32 = 1;
/** Leave the interpreter: an interrupt may be due, a shadow holds, or the host is wanted. */
export const R_EXIT: i32 = 2;

/** Why the host is wanted, for index.ts. */
export const EXIT_NONE: i32 = 0;
export const EXIT_LIMIT: i32 = 1;
export const EXIT_HALT: i32 = 2;
export const EXIT_IN: i32 = 3;
export const EXIT_OUT: i32 = 4;
export const EXIT_SHUTDOWN: i32 = 5;
export const EXIT_EXCEPTION: i32 = 6;
export const EXIT_VMCALL: i32 = 7;
export const EXIT_CPUID: i32 = 8;
export const EXIT_RDMSR: i32 = 9;
export const EXIT_WRMSR: i32 = 10;
export const EXIT_INTERRUPT: i32 = 11;

/** Bits of INTERCEPTS. After CPUID the host may change the registers, which hold the processor's own answer. */
export const INTERCEPT_CPUID: u32 = 1;
/** RDMSR and WRMSR of what isForHost says. */
export const INTERCEPT_MSR: u32 = 2;
/** VMCALL and VMMCALL, which are #UD without. */
export const INTERCEPT_VMCALL: u32 = 4;
/** An interrupt that is taken lowers the line and leaves `run`, as an acknowledge cycle would tell its controller. */
export const INTERCEPT_INTERRUPT: u32 = 8;

function intercepts(what: u32): bool {
  return (load<u32>(INTERCEPTS) & what) != 0;
}

/** RDMSR and WRMSR that the host does. */
function askHost(exit: i32, again: u64): i32 {
  store<u64>(MSR_RIP, again);
  exitReason = exit;
  return R_EXIT;
}

export let exitReason: i32 = 0;
export function setExitReason(r: i32): void {
  exitReason = r;
}

/** What a function says that returns 0 with an exception pending, 2 after a task switch, else 1. */
function done(ok: i32): i32 {
  return ok == 0 ? R_FAULT : ok == 2 ? R_EXIT : R_GO;
}

/** After IF may have become set or NMIs unblocked. */
function afterFlags(): i32 {
  const f = load<u32>(SYSFLAGS);
  if ((f & IF && load<i32>(IRQ) >= 0) || f & TF) return R_EXIT;
  if (load<u32>(NMI_PENDING) && !load<u32>(NMI_BLOCKED)) return R_EXIT;
  return R_GO;
}

function privileged(): bool {
  if (load<u32>(CPL) == 0) return true;
  raise(GP, 0);
  return false;
}

/** May the program at the present privilege use these ports? (SDM vol. 1 19.5) */
function portAllowed(port: u32, bytes: u32): bool {
  const flags = load<u32>(SYSFLAGS);
  if (isRealStyle() && !(flags & VM)) return true;
  if (!(flags & VM) && load<u32>(CPL) <= (flags & IOPL) >> 12) return true;
  // The I/O permission bitmap of a 32- or 64-bit TSS.
  const limit = limitOf(SEG_TR);
  const base = load<u64>(TR_BASE);
  if (limit >= 103 && attributesOf(SEG_TR) & 8) {
    const m = readableAs(base + 102, 2, false);
    if (!m) return false;
    const at = <u32>load<u16>(m) + (port >> 3);
    if (at + 1 <= limit) {
      const h = readableAs(base + <u64>at, 2, false);
      if (!h) return false;
      const mask = ((1 << bytes) - 1) << (port & 7);
      if (!(<u32>load<u16>(h) & mask)) return true;
    }
  }
  raise(GP, 0);
  return false;
}

function portIn(log2: i32, imm: i32): i32 {
  const port = imm >= 0 ? <u32>imm : <u32>load<u16>(RDX);
  if (!portAllowed(port, 1 << log2)) return R_FAULT;
  if (breakpointsEnabled()) notePort(port, 1 << log2);
  store<u32>(IO_PORT, port);
  store<u32>(IO_SIZE, 1 << log2);
  store<u32>(IO_PENDING, 1);
  exitReason = EXIT_IN;
  return R_EXIT;
}

function portOut(log2: i32, imm: i32): i32 {
  const port = imm >= 0 ? <u32>imm : <u32>load<u16>(RDX);
  if (!portAllowed(port, 1 << log2)) return R_FAULT;
  if (breakpointsEnabled()) notePort(port, 1 << log2);
  store<u32>(IO_PORT, port);
  store<u32>(IO_SIZE, 1 << log2);
  store<u32>(IO_VALUE, log2 == 0 ? <u32>load<u8>(RAX) : log2 == 1 ? <u32>load<u16>(RAX) : load<u32>(RAX));
  exitReason = EXIT_OUT;
  return R_EXIT;
}

/**
 * INS and OUTS, one element at a time: the host must see each. A repeat comes back to the same instruction, and counts
 * once an element.
 */
function stringPort(p: usize, log2: i32, input: bool, segment: i32, again: u64): i32 {
  const width = load<u8>(p, 4);
  const mask: u64 = width == 1 ? 0xffff : width == 2 ? 0xffffffff : 0xffffffffffffffff;
  const repeat = load<u8>(p, 2) != 0;
  const bytes: u64 = <u64>1 << <u64>log2;
  const port = <u32>load<u16>(RDX);
  if (!portAllowed(port, <u32>bytes)) return R_FAULT;
  const count = load<u64>(RCX) & mask;
  if (repeat && count == 0) return R_GO;
  const at: usize = input ? RDI : RSI;
  const index = load<u64>(at) & mask;
  const long = load<u32>(MODE) == MODE_64;
  if (!long && !checkSegment(input ? 0 : segment, index, <i32>bytes, input)) return R_FAULT;
  const base: u64 = input ? (long ? 0 : baseOf(0)) : load<u64>(REGS + <usize>load<u8>(p, 19));
  let linear = index + base;
  if (!long) linear &= 0xffffffff;
  const h = input ? writable(linear, <i32>bytes) : readable(linear, <i32>bytes);
  if (!h) return R_FAULT;
  if (breakpointsEnabled()) notePort(port, <u32>bytes);
  store<u32>(IO_PORT, port);
  store<u32>(IO_SIZE, <u32>bytes);
  if (input) {
    store<u64>(IO_LINEAR, linear);
    store<u32>(IO_PENDING, 2);
  } else store<u32>(IO_VALUE, <u32>loadBySize(h, log2));
  setIndex(at, load<u32>(SYSFLAGS) & DF ? index - bytes : index + bytes, mask);
  if (repeat) {
    setIndex(RCX, count - 1, mask);
    if (count > 1) store<u64>(RIP, again);
  }
  exitReason = input ? EXIT_IN : EXIT_OUT;
  return R_EXIT;
}

function softwareInterrupt(vector: i32, again: u64): i32 {
  if (load<u32>(SYSFLAGS) & VM && (load<u32>(SYSFLAGS) & IOPL) != IOPL && vector != 3) {
    store<u64>(RIP, again);
    return raise(GP, 0);
  }
  return done(deliver(vector, -1, CAUSE_SOFTWARE));
}

function popFlags(log2: i32): i32 {
  const flags = load<u32>(SYSFLAGS);
  if (flags & VM && (flags & IOPL) != IOPL) return raise(GP, 0);
  if (!peek(0, log2)) return 0;
  const v = <u32>popped;
  release(<u64>1 << <u64>log2);
  loadFlags(v, log2, isRealStyle() && !(flags & VM) ? 0 : load<u32>(CPL), false);
  return afterFlags();
}

/** LAR LSL VERR VERW: is the descriptor visible, and of a type the instruction likes? Clears or sets ZF. */
function inspect(fn: i32, selector: u32): bool {
  setArithFlags(getArithFlags() & ~ZF);
  if ((selector & 0xfffc) == 0) return false;
  if (!readDescriptor(selector, GP)) return false;
  const attributes = descriptorAttributes();
  const type = attributes & 15;
  const conforming = (attributes & (ATTR_S | 0xc)) == (ATTR_S | 0xc);
  const dpl = descriptorDpl();
  if (!conforming && (dpl < load<u32>(CPL) || dpl < (selector & 3))) return false;
  if (attributes & ATTR_S) {
    if (fn == Rare.VERR) return !(attributes & 8) || (attributes & 2) != 0;
    if (fn == Rare.VERW) return !(attributes & 8) && (attributes & 2) != 0;
    return true;
  }
  if (fn == Rare.VERR || fn == Rare.VERW) return false;
  if (isLong()) return type == 2 || type == 9 || type == 11 || (fn == Rare.LAR && type == 12);
  if (type == 1 || type == 2 || type == 3 || type == 9 || type == 11) return true;
  return fn == Rare.LAR && (type == 4 || type == 5 || type == 12);
}

function inspectOp(p: usize, fn: i32, log2: i32, selector: u32): i32 {
  if (isRealStyle()) return raiseNoError(UD);
  const old = getArithFlags();
  const ok = inspect(fn, selector);
  // A descriptor outside its table is no fault; a table that is not there is.
  if (load<i32>(EXC_VECTOR) == PFV) {
    setArithFlags(old);
    return R_FAULT;
  }
  store<i32>(EXC_VECTOR, -1);
  if (!ok) return R_GO;
  setArithFlags(getArithFlags() | ZF);
  if (fn == Rare.VERR || fn == Rare.VERW) return R_GO;
  const v: u32 = fn == Rare.LAR ? descriptorHigh & 0x00ffff00 : descriptorLimit();
  const a = REGS + <usize>load<u8>(p, 2);
  if (log2 == 1) store<u16>(a, <u16>v);
  else store<u64>(a, <u64>v);
  return R_GO;
}

function loadTable(p: usize, log2: i32, idt: bool): i32 {
  if (!privileged()) return R_FAULT;
  const h = readable(addressOf(p + 16), log2 == 3 ? 10 : 6);
  if (!h) return R_FAULT;
  const limit = <u32>load<u16>(h);
  let base = log2 == 3 ? load<u64>(h, 2) : <u64>load<u32>(h, 2);
  if (log2 == 1) base &= 0xffffff;
  if (log2 == 3 && !isCanonical(base)) return raise(GP, 0);
  store<u64>(idt ? IDT_BASE : GDT_BASE, base);
  store<u32>(idt ? IDT_LIMIT : GDT_LIMIT, limit);
  return R_GO;
}

function storeTable(p: usize, log2: i32, idt: bool): i32 {
  const h = writable(addressOf(p + 16), log2 == 3 ? 10 : 6);
  if (!h) return R_FAULT;
  store<u16>(h, <u16>load<u32>(idt ? IDT_LIMIT : GDT_LIMIT));
  const base = load<u64>(idt ? IDT_BASE : GDT_BASE);
  if (log2 == 3) store<u64>(h, base, 2);
  else store<u32>(h, <u32>base, 2);
  writeDone(h);
  return R_GO;
}

/** LLDT and LTR. */
function loadSystemSegment(selector: u32, tr: bool): i32 {
  const which = tr ? SEG_TR : SEG_LDTR;
  if ((selector & 0xfffc) == 0) {
    if (tr) return raise(GP, 0);
    setSegment(which, selector, 0, 0, 0);
    store<u64>(LDT_BASE, 0);
    return R_GO;
  }
  const error = <i32>(selector & 0xfffc);
  if (selector & 4) return raise(GP, error);
  if (!readDescriptor(selector, GP)) return R_FAULT;
  const attributes = descriptorAttributes();
  const type = attributes & 15;
  if (attributes & ATTR_S || (tr ? type != 9 && (isLong() || type != 1) : type != 2)) return raise(GP, error);
  if (!(attributes & ATTR_P)) return raise(NP, error);
  let base = descriptorBase();
  const limit = descriptorLimit();
  if (isLong()) {
    const high = readDescriptorHigh(selector);
    if (high < 0) return R_FAULT;
    base |= <u64>high << 32;
    if (!isCanonical(base)) return raise(GP, error);
  }
  if (tr && !setDescriptorType(2)) return R_FAULT;
  setSegment(which, selector, 0, limit, tr ? attributes | 2 : attributes);
  store<u64>(tr ? TR_BASE : LDT_BASE, base);
  return R_GO;
}

/** False after operand16 faulted. */
let operandOk: bool = false;
/** Value of the 16-bit rm operand. */
function operand16(p: usize): u32 {
  operandOk = true;
  if (!load<u8>(p, 4)) return <u32>load<u16>(REGS + <usize>load<u8>(p, 3));
  const h = readable(addressOf(p + 16), 2);
  if (!h) {
    operandOk = false;
    return 0;
  }
  return <u32>load<u16>(h);
}

function storeOperand(p: usize, v: u64, log2: i32): i32 {
  if (!load<u8>(p, 4)) {
    const b = REGS + <usize>load<u8>(p, 3);
    putRegister(b, v, log2);
    return R_GO;
  }
  const h = writable(addressOf(p + 16), 2);
  if (!h) return R_FAULT;
  store<u16>(h, <u16>v);
  writeDone(h);
  return R_GO;
}

/** A load of SS holds off the single-step trap too; STI does not. */
export const SHADOW_SS: u32 = 2;

/** After MOV and POP to SS interrupts are held off for one instruction (SDM vol. 3A 6.8.3). */
function afterSegment(i: i32): i32 {
  if (i == 2) {
    store<u32>(SHADOW, SHADOW_SS);
    updateMode();
    return R_EXIT;
  }
  return R_GO;
}

let farOffset: u64 = 0;
let farSelector: u32 = 0;
/** Reads selector:offset at the memory operand into farSelector and farOffset; false with an exception pending. */
function readFar(p: usize, log2: i32): bool {
  const bytes = 1 << log2;
  const ea = addressOf(p + 16);
  const offset = readable(ea, bytes);
  if (!offset) return false;
  farOffset = loadBySize(offset, log2);
  const selector = readable(load<u32>(MODE) == MODE_64 ? ea + <u64>bytes : (ea + <u64>bytes) & 0xffffffff, 2);
  if (!selector) return false;
  farSelector = <u32>load<u16>(selector);
  return true;
}

function loadFar(p: usize, log2: i32, segment: i32): i32 {
  if (!readFar(p, log2)) return R_FAULT;
  const offset = farOffset;
  if (!loadSegment(segment, farSelector)) return R_FAULT;
  const a = REGS + <usize>load<u8>(p, 2);
  if (log2 == 1) store<u16>(a, <u16>offset);
  else store<u64>(a, offset);
  return R_GO; // LSS holds nothing off: it loads the stack pointer too
}

/** Near branch target check outside 64-bit mode. */
function goNear(target: u64, log2: i32): i32 {
  let t = target;
  if (load<u32>(MODE) != MODE_64) {
    t &= log2 == 1 ? 0xffff : 0xffffffff;
    if (t > <u64>limitOf(1)) return raise(GP, 0);
  }
  store<u64>(RIP, t);
  return R_GO;
}

/** LOOPcc and JCXZ: the counter is as wide as the address size. */
function loop(p: usize, fn: i32, displacement: i32): i32 {
  const width = <i32>load<u8>(p, 4);
  const mask: u64 = width == 1 ? 0xffff : width == 2 ? 0xffffffff : 0xffffffffffffffff;
  const rcx = load<u64>(RCX);
  let n = rcx & mask;
  let taken: bool;
  if (fn == Rare.JCXZ) taken = n == 0;
  else {
    n = (n - 1) & mask;
    taken = n != 0;
    if (fn == Rare.LOOPE) taken = taken && getZF();
    else if (fn == Rare.LOOPNE) taken = taken && !getZF();
  }
  if (taken) {
    const r = goNear(load<u64>(RIP) + <u64>(<i64>displacement), <i32>load<u8>(p, 5));
    if (r != R_GO) return r;
  }
  if (fn != Rare.JCXZ) {
    if (width == 1) store<u16>(RCX, <u16>n);
    else store<u64>(RCX, n);
  }
  return R_GO;
}

function fsgsbase(p: usize, log2: i32, kind: i32): i32 {
  if (!(load<u64>(CR4) & 0x10000)) return raiseNoError(UD);
  const at = REGS + (kind & 1 ? SLOT_GS : SLOT_FS) * 8;
  const r = REGS + <usize>load<u8>(p, 3);
  if (kind < 2) store<u64>(r, log2 == 3 ? load<u64>(at) : load<u64>(at) & 0xffffffff);
  else {
    const v = log2 == 3 ? load<u64>(r) : load<u64>(r) & 0xffffffff;
    if (!isCanonical(v)) return raise(GP, 0);
    store<u64>(at, v);
  }
  return R_GO;
}

/** Executes a RARE op. RIP is the address of the next instruction; `again` that of this one. INSTRUCTIONS is exact. */
export function execRare(p: usize, again: u64): i32 {
  const fn = <i32>load<u16>(p, 22);
  const imm = load<i32>(p, 28);
  const log2 = <i32>load<u8>(p, 5);
  switch (fn) {
    case Rare.HLT:
      if (!privileged()) return R_FAULT;
      store<u32>(HALTED, 1);
      return R_EXIT;
    case Rare.CLI:
    case Rare.STI: {
      const flags = load<u32>(SYSFLAGS);
      const iopl = (flags & IOPL) >> 12;
      if (!(isRealStyle() && !(flags & VM)) && load<u32>(CPL) > iopl) return raise(GP, 0);
      if (fn == Rare.CLI) {
        store<u32>(SYSFLAGS, flags & ~IF);
        return R_GO;
      }
      store<u32>(SYSFLAGS, flags | IF);
      if (!(flags & IF)) {
        store<u32>(SHADOW, 1);
        return R_EXIT;
      }
      return R_GO;
    }
    case Rare.IN: return portIn(log2, imm);
    case Rare.OUT: return portOut(log2, imm);
    case Rare.INS:
    case Rare.OUTS: return stringPort(p, log2, fn == Rare.INS, imm, again);
    case Rare.INT:
    case Rare.INT3: return softwareInterrupt(imm, again);
    case Rare.INTO: return getOF() ? softwareInterrupt(4, again) : R_GO;
    // Not a software interrupt: no privilege of the gate is checked, and EXT is set (SDM vol. 2A, INT n).
    case Rare.INT1: {
      // Breakpoints that a load of SS held off come with it, as one exception.
      const held = takeHits();
      if (held) setDr6(held);
      return done(deliver(DB, -1, CAUSE_EXTERNAL));
    }
    case Rare.IRET: {
      const r = interruptReturn(log2);
      return r == 1 ? afterFlags() : done(r);
    }
    case Rare.SYSCALL: return done(syscall());
    case Rare.SYSRET: return sysret(log2) ? afterFlags() : R_FAULT;
    case Rare.SYSENTER: return done(sysenter());
    case Rare.SYSEXIT: return done(sysexit(log2));
    case Rare.RDMSR:
      if (!privileged()) return R_FAULT;
      return intercepts(INTERCEPT_MSR) && isForHost() ? askHost(EXIT_RDMSR, again) : done(readMsr());
    case Rare.WRMSR:
      if (!privileged()) return R_FAULT;
      return intercepts(INTERCEPT_MSR) && isForHost() ? askHost(EXIT_WRMSR, again) : done(writeMsr());
    case Rare.CPUID: {
      const leaf = load<u32>(RAX);
      const sub = load<u32>(RCX);
      cpuid();
      if (!intercepts(INTERCEPT_CPUID)) return R_GO;
      store<u32>(IO_PORT, leaf);
      store<u32>(IO_VALUE, sub);
      exitReason = EXIT_CPUID;
      return R_EXIT;
    }
    case Rare.RDTSC:
    case Rare.RDTSCP: {
      if (load<u64>(CR4) & 4 && load<u32>(CPL) != 0) return raise(GP, 0);
      const t = tsc();
      store<u64>(RAX, t & 0xffffffff);
      store<u64>(RDX, t >> 32);
      if (fn == Rare.RDTSCP) store<u64>(RCX, load<u64>(TSC_AUX));
      return R_GO;
    }
    case Rare.MOV_FROM_CR: return privileged() ? done(readControl(imm, REGS + <usize>load<u8>(p, 3))) : R_FAULT;
    case Rare.MOV_TO_CR: {
      const v = load<u64>(REGS + <usize>load<u8>(p, 3));
      return privileged() ? done(writeControl(imm, log2 == 3 ? v : v & 0xffffffff)) : R_FAULT;
    }
    case Rare.MOV_FROM_DR: return privileged() ? done(readDebug(imm, REGS + <usize>load<u8>(p, 3))) : R_FAULT;
    case Rare.MOV_TO_DR: {
      // Breakpoints change how instructions are run.
      if (!privileged()) return R_FAULT;
      const v = load<u64>(REGS + <usize>load<u8>(p, 3));
      return writeDebug(imm, load<u32>(MODE) == MODE_64 ? v : v & 0xffffffff) ? R_EXIT : R_FAULT;
    }
    case Rare.CLTS:
      if (!privileged()) return R_FAULT;
      store<u64>(CR0, load<u64>(CR0) & ~8);
      return R_GO;
    case Rare.LMSW: {
      if (!privileged()) return R_FAULT;
      const v = <u64>operand16(p);
      if (!operandOk) return R_FAULT;
      const old = load<u64>(CR0);
      return done(writeCr0((old & ~14) | (v & 15)));
    }
    case Rare.SMSW: return storeOperand(p, load<u64>(CR0), log2);
    case Rare.LGDT: return loadTable(p, log2, false);
    case Rare.LIDT: return loadTable(p, log2, true);
    case Rare.SGDT: return storeTable(p, log2, false);
    case Rare.SIDT: return storeTable(p, log2, true);
    case Rare.LLDT:
    case Rare.LTR: {
      if (isRealStyle()) return raiseNoError(UD);
      if (!privileged()) return R_FAULT; // before the operand is touched
      const s = operand16(p);
      return operandOk ? loadSystemSegment(s, fn == Rare.LTR) : R_FAULT;
    }
    case Rare.SLDT:
    case Rare.STR:
      if (isRealStyle()) return raiseNoError(UD);
      return storeOperand(p, <u64>selectorOf(fn == Rare.STR ? SEG_TR : SEG_LDTR), log2);
    case Rare.VERR:
    case Rare.VERW:
    case Rare.LAR:
    case Rare.LSL: {
      const s = operand16(p);
      return operandOk ? inspectOp(p, fn, log2, s) : R_FAULT;
    }
    case Rare.INVLPG:
      if (!privileged()) return R_FAULT;
      invalidatePage(addressOf(p + 16));
      return R_GO;
    case Rare.WBINVD: return privileged() ? R_GO : R_FAULT;
    case Rare.SWAPGS: {
      if (!privileged()) return R_FAULT;
      const gs = REGS + SLOT_GS * 8;
      const v = load<u64>(gs);
      store<u64>(gs, load<u64>(KERNEL_GS));
      store<u64>(KERNEL_GS, v);
      return R_GO;
    }
    case Rare.MOV_TO_SEG: {
      const s = operand16(p);
      if (!operandOk) return R_FAULT;
      return loadSegment(imm, s) ? afterSegment(imm) : R_FAULT;
    }
    case Rare.LOAD_FAR: return loadFar(p, log2, imm);
    case Rare.PUSH_SEG: return done(push(<u64>selectorOf(imm), log2));
    case Rare.POP_SEG: {
      // POP SS moves the stack pointer of the stack it popped from: the new one may have another width.
      const mask = stackMask();
      const sp = load<u64>(RSP) + (<u64>1 << <u64>log2);
      if (!peek(0, log2)) return R_FAULT;
      if (!loadSegment(imm, <u32>popped & 0xffff)) return R_FAULT;
      setSp(sp, mask);
      return afterSegment(imm);
    }
    case Rare.JMP_FAR:
    case Rare.CALL_FAR: return done(farTransfer(<u32>load<i32>(p, 24) & 0xffff, <u64>(<u32>imm), log2, fn == Rare.CALL_FAR));
    case Rare.JMP_FAR_M:
    case Rare.CALL_FAR_M:
      if (!readFar(p, log2)) return R_FAULT;
      return done(farTransfer(farSelector, farOffset, log2, fn == Rare.CALL_FAR_M));
    case Rare.RET_FAR: return done(farReturn(log2, <u64>imm));
    case Rare.POPF: return popFlags(log2);
    case Rare.FSGSBASE: return fsgsbase(p, log2, imm);
    case Rare.VMCALL:
      exitReason = EXIT_VMCALL;
      return R_EXIT;
    case Rare.JCXZ: case Rare.LOOP: case Rare.LOOPE: case Rare.LOOPNE: return loop(p, fn, imm);
    case Rare.CALL_NEAR: {
      // i of the second op is the target, or d = 1: the target is in the register slot a.
      const target = load<i32>(p, 24) ? load<u64>(REGS + <usize>load<u8>(p, 2)) : <u64>(<u32>imm);
      const next = load<u64>(RIP);
      const sp = load<u64>(RSP);
      if (!push(next, log2)) return R_FAULT;
      const r = goNear(target, log2);
      if (r != R_GO) store<u64>(RSP, sp);
      return r;
    }
    case Rare.JMP_NEAR: return goNear(load<u64>(REGS + <usize>load<u8>(p, 2)), log2);
    case Rare.JCC_NEAR: return condition(load<u8>(p, 2)) ? goNear(<u64>(<u32>imm), log2) : R_GO;
    case Rare.RET_NEAR: {
      if (!peek(0, log2)) return R_FAULT;
      const r = goNear(popped, log2);
      if (r != R_GO) return r;
      release((<u64>1 << <u64>log2) + <u64>imm);
      return R_GO;
    }
    case Rare.RDPMC: return raise(GP, 0);
    default: return raiseNoError(UD);
  }
}
