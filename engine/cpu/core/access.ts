// The inline half of the interpreter: operands, the TLB fast paths, and the flag-setting arithmetic of the hot ops.

import { CLASS_ADD, CLASS_DEC, CLASS_INC, CLASS_SUB, setFlagsKeepCF, setFlagsLogic, setFlagsRA, sext } from "./flags";
import { CURRENT_OP, REGS, TAG, TLB_MASK, TLB_R, TLB_W } from "./layout";
import { BOUNCE_WRITE, readable, writable, writeDone } from "./mmu";

/** Slot offsets of operands a, b and c of the op at p. */
// @ts-ignore: decorator
@inline export function slotA(p: usize): usize {
  return <usize>load<u8>(p, 2);
}
// @ts-ignore: decorator
@inline export function slotB(p: usize): usize {
  return <usize>load<u8>(p, 3);
}
// @ts-ignore: decorator
@inline export function slotC(p: usize): usize {
  return <usize>load<u8>(p, 4);
}
// @ts-ignore: decorator
@inline export function imm<T>(p: usize): T {
  // Sign-extended to 64 bits; narrower operands take the low bits.
  if (sizeof<T>() == 8) return <T>load<i32>(p, 12);
  return <T>load<u32>(p, 12);
}

// @ts-ignore: decorator
@inline export function get<T>(slot: usize): T {
  return load<T>(slot, REGS);
}

/** Writes a register; 32 bits clear the upper half. */
// @ts-ignore: decorator
@inline export function set<T>(slot: usize, v: T): void {
  if (sizeof<T>() == 4) store<u64>(slot, <u64>(<u32>v), REGS);
  else store<T>(slot, v, REGS);
}

/** Effective address: base + (index << scale) + displacement. */
// @ts-ignore: decorator
@inline export function ea(p: usize): u64 {
  return eaOf(get<u64>(slotB(p)), get<u64>(slotC(p)), p);
}
/** The same with the values of base and index at hand. */
// @ts-ignore: decorator
@inline export function eaOf(base: u64, index: u64, p: usize): u64 {
  return base + (index << <u64>load<u8>(p, 5)) + <u64>(<i64>load<i32>(p, 8));
}
/** The same where the decoder saw that the index is not scaled. */
// @ts-ignore: decorator
@inline export function eaUnscaled(base: u64, index: u64, p: usize): u64 {
  return base + index + <u64>(<i64>load<i32>(p, 8));
}
/** Effective address without index. */
// @ts-ignore: decorator
@inline export function eaBD(p: usize): u64 {
  return eaBDOf(get<u64>(slotB(p)), p);
}
// @ts-ignore: decorator
@inline export function eaBDOf(base: u64, p: usize): u64 {
  return base + <u64>(<i64>load<i32>(p, 8));
}

function slowRead(address: u64, size: i32, p: usize): usize {
  store<u32>(CURRENT_OP, <u32>p);
  return readable(address, size);
}

function slowWrite(address: u64, size: i32, p: usize): usize {
  store<u32>(CURRENT_OP, <u32>p);
  return writable(address, size);
}

/** Host address of a T at linear address `address`, or 0 with an exception pending. An access that crosses pages misses. */
// @ts-ignore: decorator
@inline export function hostR<T>(address: u64, p: usize): usize {
  const e = <usize>((<u32>address >> 8) & (<u32>TLB_MASK << 4));
  if (load<u64>(e, TLB_R) == (((address + (sizeof<T>() - 1)) & ~0xfff) | load<u64>(TAG))) {
    return <usize>(<u32>address + load<u32>(e, TLB_R + 8));
  }
  return slowRead(address, sizeof<T>(), p);
}

/** Likewise for writing; `wrote` must be called after the store. */
// @ts-ignore: decorator
@inline export function hostW<T>(address: u64, p: usize): usize {
  const e = <usize>((<u32>address >> 8) & (<u32>TLB_MASK << 4));
  if (load<u64>(e, TLB_W) == (((address + (sizeof<T>() - 1)) & ~0xfff) | load<u64>(TAG))) {
    return <usize>(<u32>address + load<u32>(e, TLB_W + 8));
  }
  return slowWrite(address, sizeof<T>(), p);
}

// @ts-ignore: decorator
@inline export function wrote(h: usize): void {
  if (h == BOUNCE_WRITE) writeDone(h);
}

// --- arithmetic: returns the result, sets flags when asked (the question is settled at compile time) ---

// @ts-ignore: decorator
@inline export function add<T>(a: T, b: T, flags: bool): T {
  const r = <T>(a + b);
  if (flags) setFlagsRA<T>(CLASS_ADD, sext<T>(<u64>r), sext<T>(<u64>a));
  return r;
}
// @ts-ignore: decorator
@inline export function sub<T>(a: T, b: T, flags: bool): T {
  const r = <T>(a - b);
  if (flags) setFlagsRA<T>(CLASS_SUB, sext<T>(<u64>r), sext<T>(<u64>a));
  return r;
}
// @ts-ignore: decorator
@inline export function logic<T>(r: T, flags: bool): T {
  if (flags) setFlagsLogic<T>(sext<T>(<u64>r));
  return r;
}
// @ts-ignore: decorator
@inline export function or<T>(a: T, b: T, flags: bool): T {
  return logic<T>(<T>(a | b), flags);
}
// @ts-ignore: decorator
@inline export function and<T>(a: T, b: T, flags: bool): T {
  return logic<T>(<T>(a & b), flags);
}
// @ts-ignore: decorator
@inline export function xor<T>(a: T, b: T, flags: bool): T {
  return logic<T>(<T>(a ^ b), flags);
}
// @ts-ignore: decorator
@inline export function inc<T>(a: T, flags: bool): T {
  const r = <T>(a + 1);
  if (flags) setFlagsKeepCF<T>(CLASS_INC, sext<T>(<u64>r));
  return r;
}
// @ts-ignore: decorator
@inline export function dec<T>(a: T, flags: bool): T {
  const r = <T>(a - 1);
  if (flags) setFlagsKeepCF<T>(CLASS_DEC, sext<T>(<u64>r));
  return r;
}
