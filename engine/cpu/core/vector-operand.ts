// Where a vector instruction's operands are: registers by micro-op field, memory through the MMU, and the state change
// that every MMX instruction makes to the x87 registers it shares.
import { FPR, FSW, FTW, REGS, XMM } from "./layout";
import { GP, MF, raise, raiseNoError, raiseNonCanonical } from "./exception";
import { isCanonical, readable, writable, writeDone } from "./mmu";

@inline
export function opReg(op: usize): i32 {
  return load<u8>(op, 2);
}

@inline
export function opRm(op: usize): i32 {
  return load<u8>(op, 3);
}

@inline
export function isMemory(op: usize): bool {
  return load<u8>(op, 4) != 0;
}

@inline
export function imm8(op: usize): i32 {
  return load<u8>(op, 5);
}

@inline
export function rexW(op: usize): bool {
  return load<u8>(op, 6) != 0;
}

/** Address of the vector register that ModRM.reg names. */
@inline
export function xmmReg(op: usize): usize {
  return XMM + (<usize>load<u8>(op, 2) << 5);
}

/** Address of the vector register that ModRM.rm names. */
@inline
export function xmmRm(op: usize): usize {
  return XMM + (<usize>load<u8>(op, 3) << 5);
}

/** Address of MMX register n: the significand of x87 register Rn. REX bits do not extend MMX registers. */
@inline
export function mmx(n: i32): usize {
  return FPR + (<usize>(n & 7) << 4);
}

@inline
export function gpr(n: i32): usize {
  return REGS + (<usize>n << 3);
}

/** #GP(0) for a misaligned address, unless it is not canonical either, which comes first; returns 0. */
export function raiseMisaligned(ea: u64): i32 {
  return isCanonical(ea) ? raise(GP, 0) : raiseNonCanonical();
}

/** An aligned 16-byte source: a register, or memory that must be 16-byte aligned. 0: an exception is pending. */
@inline
export function source16(op: usize, ea: u64): usize {
  if (!isMemory(op)) return xmmRm(op);
  if (ea & 15) return <usize>raiseMisaligned(ea);
  return readable(ea, 16);
}

/** A source of `size` bytes without alignment rule: a vector register or memory. 0: an exception is pending. */
@inline
export function sourceAny(op: usize, ea: u64, size: i32): usize {
  return isMemory(op) ? readable(ea, size) : xmmRm(op);
}

/** An MMX source: an MMX register or 8 bytes of memory. 0: an exception is pending. */
@inline
export function sourceMmx(op: usize, ea: u64): usize {
  return isMemory(op) ? readable(ea, 8) : mmx(opRm(op));
}

/** A general-register or memory source of 4 or 8 bytes. 0: an exception is pending. */
@inline
export function sourceGpr(op: usize, ea: u64, size: i32): usize {
  return isMemory(op) ? readable(ea, size) : gpr(opRm(op));
}

/** Stores 16 bytes to memory; 0: an exception is pending. */
export function store16(ea: u64, value: v128, aligned: bool): i32 {
  if (aligned && (ea & 15)) return raiseMisaligned(ea);
  const p = writable(ea, 16);
  if (!p) return 0;
  v128.store(p, value);
  writeDone(p);
  return 1;
}

/** Stores 8 bytes to memory; 0: an exception is pending. */
export function store8(ea: u64, value: u64): i32 {
  const p = writable(ea, 8);
  if (!p) return 0;
  store<u64>(p, value);
  writeDone(p);
  return 1;
}

/** Stores the low `size` (1, 2, 4 or 8) bytes of value to memory; 0: an exception is pending. */
export function storeSized(ea: u64, value: u64, size: i32): i32 {
  const p = writable(ea, size);
  if (!p) return 0;
  if (size == 8) store<u64>(p, value);
  else if (size == 4) store<u32>(p, <u32>value);
  else if (size == 2) store<u16>(p, <u16>value);
  else store<u8>(p, <u8>value);
  writeDone(p);
  return 1;
}

/** An unmasked x87 exception is pending (FSW.ES): the #MF comes before anything else the instruction does. */
@inline
export function x87Pending(): bool {
  return (load<u16>(FSW) & 0x80) != 0;
}

/** Raises the pending x87 exception as #MF; returns 0. */
export function raiseMf(): i32 {
  return raiseNoError(MF);
}

/** The transition every MMX instruction but EMMS makes: TOP = 0, all tags valid (SDM vol. 1 9.6.2). */
@inline
export function enterMmx(): void {
  store<u16>(FSW, load<u16>(FSW) & ~0x3800);
  store<u8>(FTW, 0xff);
}

/** Writes MMX register n; the exponent part becomes all ones. */
@inline
export function setMmx(n: i32, value: u64): void {
  const p = mmx(n);
  store<u64>(p, value);
  store<u16>(p, 0xffff, 8);
}
