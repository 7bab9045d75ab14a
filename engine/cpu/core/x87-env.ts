// x87 control: initialisation, control and status words, environment and full state in memory.
import { VM } from "./flags";
import { CR0, FCW, FDP, FIP, FOP, FPR, FSW, FTW, REGS, SLOT_CS, SYSFLAGS } from "./layout";
import { readable, writable, writeDone } from "./mmu";
import { storeSized } from "./vector-operand";
import { getTop, setTop, st, updateSummary } from "./x87-state";

const CONTROL_INITIAL: u16 = 0x37f;
/** Bits of the control word that can be set; bit 6 always reads as one. */
const CONTROL_MASK: u16 = 0x1f3f;

export function setControl(value: u16): void {
  store<u16>(FCW, (value & CONTROL_MASK) | 0x40);
  updateSummary();
}

/** FNINIT. */
export function initialize(): void {
  store<u16>(FCW, CONTROL_INITIAL);
  store<u16>(FSW, 0);
  store<u8>(FTW, 0);
  store<u16>(FOP, 0);
  store<u64>(FIP, 0);
  store<u64>(FDP, 0);
}

/** FNCLEX: exception flags, stack fault, summary and busy. */
export function clearExceptions(): void {
  store<u16>(FSW, load<u16>(FSW) & 0x7f00);
}

export function loadControl(ea: u64): i32 {
  const p = readable(ea, 2);
  if (!p) return 0;
  setControl(load<u16>(p));
  return 1;
}

export function storeControl(ea: u64): i32 {
  return storeSized(ea, <u64>load<u16>(FCW), 2);
}

export function storeStatus(ea: u64): i32 {
  return storeSized(ea, <u64>load<u16>(FSW), 2);
}

/** FNSTSW AX. */
export function storeStatusAx(): void {
  store<u16>(REGS, load<u16>(FSW));
}

/** The full tag word: two bits for each physical register (0 valid, 1 zero, 2 special, 3 empty). */
function fullTags(): u32 {
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    const p = FPR + (<usize>i << 4);
    const sig = load<u64>(p);
    const exp = load<u16>(p, 8) & 0x7fff;
    let tag: u32;
    if (!((load<u8>(FTW) >> <u8>i) & 1)) tag = 3;
    else if (exp == 0 && sig == 0) tag = 1;
    else if (exp == 0 || exp == 0x7fff || !(sig >> 63)) tag = 2;
    else tag = 0;
    tags |= tag << (i << 1);
  }
  return tags;
}

@inline
function environmentBytes(small: bool): i32 {
  return small ? 14 : 28;
}

/** Real-address or virtual-8086 mode. */
function isReal(): bool {
  return !(load<u32>(CR0) & 1) || (load<u32>(SYSFLAGS) & VM) != 0;
}

// @ts-ignore: decorator
@inline function codeBase(): u64 {
  return load<u64>(REGS + SLOT_CS * 8);
}

/**
 * Writes the environment: 16-bit or 32-bit form, of protected mode (SDM vol. 1 figures 8-9 and 8-11) or of real-address and
 * virtual-8086 mode, where the pointers are linear addresses (figures 8-10 and 8-12).
 */
function writeEnvironment(p: usize, small: bool): void {
  const fcw = <u32>load<u16>(FCW);
  const fsw = <u32>load<u16>(FSW);
  const real = isReal();
  const fip = <u32>(load<u64>(FIP) + (real ? codeBase() : 0));
  const fdp = load<u32>(FDP);
  const fop = <u32>(load<u16>(FOP) & 0x7ff);
  if (small) {
    store<u16>(p, <u16>fcw);
    store<u16>(p, <u16>fsw, 2);
    store<u16>(p, <u16>fullTags(), 4);
    store<u16>(p, <u16>fip, 6);
    store<u16>(p, real ? <u16>(((fip >> 4) & 0xf000) | fop) : 0, 8);
    store<u16>(p, <u16>fdp, 10);
    store<u16>(p, real ? <u16>((fdp >> 4) & 0xf000) : 0, 12);
    return;
  }
  store<u32>(p, fcw | 0xffff0000);
  store<u32>(p, fsw | 0xffff0000, 4);
  store<u32>(p, fullTags() | 0xffff0000, 8);
  if (real) {
    store<u32>(p, (fip & 0xffff) | 0xffff0000, 12);
    store<u32>(p, ((fip >> 16) << 12) | fop, 16);
    store<u32>(p, (fdp & 0xffff) | 0xffff0000, 20);
    store<u32>(p, (fdp >> 16) << 12, 24);
    return;
  }
  store<u32>(p, fip, 12);
  // The code selector is zero; the opcode is above it.
  store<u32>(p, fop << 16, 16);
  store<u32>(p, fdp, 20);
  store<u32>(p, 0xffff0000, 24);
}

function readEnvironment(p: usize, small: bool): void {
  const unit: usize = small ? 2 : 4;
  store<u16>(FCW, (load<u16>(p) & CONTROL_MASK) | 0x40);
  store<u16>(FSW, load<u16>(p + unit));
  const tags = <u32>load<u16>(p + 2 * unit);
  let valid: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((tags >> (i << 1)) & 3) != 3) valid |= 1 << i;
  store<u8>(FTW, <u8>valid);
  if (isReal()) {
    // Linear addresses in halves; FIP is kept as an offset.
    const high = <u32>(small ? load<u16>(p + 4 * unit) : load<u32>(p + 4 * unit));
    const fip = <u32>load<u16>(p + 3 * unit) | ((high >> 12) << 16);
    const fdpHigh = <u32>(small ? load<u16>(p + 6 * unit) : load<u32>(p + 6 * unit)) >> 12;
    store<u64>(FIP, <u64>(fip - <u32>codeBase()));
    store<u64>(FDP, <u64>(<u32>load<u16>(p + 5 * unit) | (fdpHigh << 16)));
    store<u16>(FOP, <u16>(high & 0x7ff));
    updateSummary();
    return;
  }
  store<u64>(FIP, small ? <u64>load<u16>(p + 3 * unit) : <u64>load<u32>(p + 3 * unit));
  store<u64>(FDP, small ? <u64>load<u16>(p + 5 * unit) : <u64>load<u32>(p + 5 * unit));
  store<u16>(FOP, small ? 0 : load<u16>(p + 4 * unit + 2) & 0x7ff);
  updateSummary();
}

// In which order an operand of many parts is touched shows in CR2 when it crosses into a page that is not there. The
// orders here are those seen on silicon.

/** The control word comes first, then, in the 16-bit form, the last byte. False: a fault is pending. */
function probeEnvironment(ea: u64, small: bool, write: bool): bool {
  const first = small ? 2 : 4;
  const last = ea + <u64>environmentBytes(small) - 1;
  if (write) return writable(ea, first) != 0 && (!small || writable(last, 1) != 0);
  return readable(ea, first) != 0 && (!small || readable(last, 1) != 0);
}

/** FNSTENV: stores the environment, then masks all exceptions. */
export function storeEnvironment(ea: u64, small: bool): i32 {
  if (!probeEnvironment(ea, small, true)) return 0;
  const p = writable(ea, environmentBytes(small));
  if (!p) return 0;
  writeEnvironment(p, small);
  writeDone(p);
  setControl(load<u16>(FCW) | 0x3f);
  return 1;
}

export function loadEnvironment(ea: u64, small: bool): i32 {
  if (!probeEnvironment(ea, small, false)) return 0;
  const p = readable(ea, environmentBytes(small));
  if (!p) return 0;
  readEnvironment(p, small);
  return 1;
}

/** FNSAVE: environment and registers in stack order, then FNINIT. */
export function saveState(ea: u64, small: bool): i32 {
  const size = environmentBytes(small);
  if (!writable(ea, small ? 2 : 4)) return 0;
  const p = writable(ea, size + 80);
  if (!p) return 0;
  writeEnvironment(p, small);
  for (let i: u32 = 0; i < 8; i++) {
    const from = st(i);
    const to = p + size + <usize>i * 10;
    store<u64>(to, load<u64>(from));
    store<u16>(to, load<u16>(from, 8), 8);
  }
  writeDone(p);
  initialize();
  return 1;
}

export function restoreState(ea: u64, small: bool): i32 {
  const size = environmentBytes(small);
  if (!readable(ea, small ? 2 : 4)) return 0;
  const p = readable(ea, size + 80);
  if (!p) return 0;
  readEnvironment(p, small);
  for (let i: u32 = 0; i < 8; i++) {
    const to = st(i);
    const from = p + size + <usize>i * 10;
    store<u64>(to, load<u64>(from));
    store<u16>(to, load<u16>(from, 8), 8);
  }
  return 1;
}

/** FINCSTP, FDECSTP: the tags stay where they are. */
export function rotateTop(by: u32): void {
  setTop(getTop() + by);
}
