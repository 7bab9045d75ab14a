// ENTER, LEAVE, PUSHA, POPA and PUSHF.

import { GP, raise } from "./exception";
import { IOPL, RF, VM, getFlags } from "./flags";
import { RBP, REGS, RSP } from "./layout";
import { readable, writable } from "./mmu";
import { convertToStackFault, loadBySize, peek, popped, push, release, setSp, stackLinear, stackMask, stackOk } from "./stack";

/** EFLAGS as PUSHF stores it: RF and VM read as 0. */
export function pushf(log2: i32): i32 {
  const flags = getFlags();
  if (flags & VM && (flags & IOPL) != IOPL) return raise(GP, 0);
  return push(<u64>(flags & ~(RF | VM)), log2);
}

/** ENTER; imm holds the frame size, and the nesting level above bit 16. All or nothing. */
export function enter(log2: i32, imm: i32): i32 {
  const bytes = 1 << log2;
  const level = (imm >> 16) & 31;
  const frame = imm & 0xffff;
  const mask = stackMask();
  const oldSp = load<u64>(RSP);
  const rbp = load<u64>(RBP);
  if (!push(rbp, log2)) return 0;
  const frameTemp = load<u64>(RSP);
  let bp = rbp;
  for (let i = 1; i < level; i++) {
    bp = (bp - <u64>bytes) & mask;
    const linear = stackLinear(bp, bytes, false);
    const h = stackOk ? readable(linear, bytes) : 0;
    if (!h) convertToStackFault();
    if (!h || !push(loadBySize(h, log2), log2)) {
      store<u64>(RSP, oldSp);
      return 0;
    }
  }
  if (level > 0 && !push(frameTemp, log2)) {
    store<u64>(RSP, oldSp);
    return 0;
  }
  const sp = (load<u64>(RSP) - <u64>frame) & mask;
  // The new top must be writable, or ENTER faults as a whole.
  const linear = stackLinear(sp, bytes, true);
  if (!stackOk || !writable(linear, bytes)) {
    convertToStackFault();
    store<u64>(RSP, oldSp);
    return 0;
  }
  setSp(sp, mask);
  if (log2 == 1) store<u16>(RBP, <u16>frameTemp);
  else if (log2 == 2) store<u64>(RBP, frameTemp & 0xffffffff);
  else store<u64>(RBP, frameTemp);
  return 1;
}

/** Writes a register as an instruction of this operand size does. */
export function putRegister(at: usize, v: u64, log2: i32): void {
  if (log2 == 1) store<u16>(at, <u16>v);
  else if (log2 == 2) store<u64>(at, v & 0xffffffff);
  else store<u64>(at, v);
}

/** LEAVE; all or nothing. */
export function leave(log2: i32): i32 {
  const mask = stackMask();
  const oldSp = load<u64>(RSP);
  setSp(load<u64>(RBP), mask);
  if (!peek(0, log2)) {
    store<u64>(RSP, oldSp);
    return 0;
  }
  putRegister(RBP, popped, log2);
  release(<u64>1 << <u64>log2);
  return 1;
}

/** PUSHA; all or nothing. */
export function pusha(log2: i32): i32 {
  const oldSp = load<u64>(RSP);
  for (let i = 0; i < 8; i++) {
    if (!push(i == 4 ? oldSp : load<u64>(REGS + i * 8), log2)) {
      store<u64>(RSP, oldSp);
      return 0;
    }
  }
  return 1;
}

/** POPA; all or nothing. */
export function popa(log2: i32): i32 {
  const bytes: u64 = 1 << log2;
  // Everything is read before anything is changed.
  for (let i: u64 = 0; i < 8; i++) {
    if (!peek(i * bytes, log2)) return 0;
  }
  for (let i: u64 = 0; i < 8; i++) {
    peek(i * bytes, log2);
    if (i != 3) putRegister(REGS + <usize>(7 - i) * 8, popped, log2);
  }
  release(8 * bytes);
  return 1;
}
