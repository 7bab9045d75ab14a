// Pushing and popping outside the inline fast paths: any operand size, any stack size, with segment checks where there
// are any.

import { FAULT_SS, MODE, MODE_64, REGS, RSP, SEG, SLOT_SS } from "./layout";
import { SS, raise } from "./exception";
import { readable, writable, writeDone } from "./mmu";
import { checkSegment } from "./segment";

/** Mask of the stack pointer: 64-bit mode all, else by SS.B (descriptor bit 54, attribute bit 14). */
export function stackMask(): u64 {
  if (load<u32>(MODE) == MODE_64) return 0xffffffffffffffff;
  return load<u16>(SEG + 2 * 8 + 2) & 0x4000 ? 0xffffffff : 0xffff;
}

/** False after stackLinear raised. */
export let stackOk: bool = false;
/** Linear address of stack offset `sp`, once the segment allows the access. */
export function stackLinear(sp: u64, bytes: i32, write: bool): u64 {
  stackOk = true;
  if (load<u32>(MODE) == MODE_64) return sp;
  if (!checkSegment(2, sp, bytes, write)) {
    stackOk = false;
    return 0;
  }
  return (sp + load<u64>(REGS + SLOT_SS * 8)) & 0xffffffff;
}

/** Sets the stack pointer as wide as `mask`, which is stackMask's. */
export function setSp(sp: u64, mask: u64): void {
  if (mask == 0xffffffff) store<u64>(RSP, sp & mask);
  else store<u64>(RSP, (load<u64>(RSP) & ~mask) | (sp & mask));
}

function noteStackFault(): i32 {
  convertToStackFault();
  return 0;
}

/** A non-canonical stack address is #SS(0), not #GP(0). */
export function convertToStackFault(): void {
  if (load<u32>(FAULT_SS)) raise(SS, 0);
}

/** Stores 2, 4 or 8 bytes. */
export function storeBySize(h: usize, v: u64, log2: i32): void {
  if (log2 == 1) store<u16>(h, <u16>v);
  else if (log2 == 2) store<u32>(h, <u32>v);
  else store<u64>(h, v);
}

/** Stores the i-th of a frame's words of 2, 4 or 8 bytes. */
export function putWord(h: usize, log2: i32, i: usize, v: u64): void {
  storeBySize(h + (i << <usize>log2), v, log2);
}

export function loadBySize(h: usize, log2: i32): u64 {
  if (log2 == 0) return load<u8>(h);
  if (log2 == 1) return load<u16>(h);
  if (log2 == 2) return load<u32>(h);
  return load<u64>(h);
}

/** Pushes one value; 0 with an exception pending and nothing changed. */
export function push(v: u64, log2: i32): i32 {
  const mask = stackMask();
  const bytes = 1 << log2;
  const sp = (load<u64>(RSP) - <u64>bytes) & mask;
  const linear = stackLinear(sp, bytes, true);
  if (!stackOk) return 0;
  const h = writable(linear, bytes);
  if (!h) return noteStackFault();
  storeBySize(h, v, log2);
  writeDone(h);
  setSp(sp, mask);
  return 1;
}

/** Value last popped or peeked. */
export let popped: u64 = 0;

/** Reads the value `offset` bytes above the stack pointer into `popped`, without moving it. */
export function peek(offset: u64, log2: i32): i32 {
  const mask = stackMask();
  const linear = stackLinear((load<u64>(RSP) + offset) & mask, 1 << log2, false);
  if (!stackOk) return 0;
  const h = readable(linear, 1 << log2);
  if (!h) return noteStackFault();
  popped = loadBySize(h, log2);
  return 1;
}

/** Moves the stack pointer up: what was peeked is popped. */
export function release(bytes: u64): void {
  const mask = stackMask();
  setSp(load<u64>(RSP) + bytes, mask);
}
