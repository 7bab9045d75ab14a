// Segmentation: descriptors, segment registers, limits (SDM vol. 3A chapters 3 and 5).

import { flushBlocks } from "./blocks";
import { SEG_NONE, SEG_PRIVILEGED_READ, SEG_WRITE } from "./decode-state";
import { GP, NP, SS, TS, raise } from "./exception";
import {
  CPL, CR0, EFER, GDT_BASE, GDT_LIMIT, JUMPS, JUMPS_BYTES, LDT_BASE, MODE, MODE_16, MODE_32, MODE_64, REGS, SEG, SEG_LDTR,
  SLOT_ES, SLOT_TMP0, SYSFLAGS, SEG_TR, TR_BASE,
} from "./layout";
import { CR0_PE, EFER_LMA, modeChanged, readableAs, writableAs, writeDone } from "./mmu";
import { VM } from "./flags";

export const ATTR_P: u32 = 0x80;
export const ATTR_S: u32 = 0x10;
export const ATTR_L: u32 = 0x2000;
export const ATTR_DB: u32 = 0x4000;

// @ts-ignore: decorator
@inline export function selectorOf(i: i32): u32 {
  return load<u16>(SEG + (<usize>i << 3));
}
// @ts-ignore: decorator
@inline export function attributesOf(i: i32): u32 {
  return load<u16>(SEG + (<usize>i << 3), 2);
}
// @ts-ignore: decorator
@inline export function limitOf(i: i32): u32 {
  return load<u32>(SEG + (<usize>i << 3), 4);
}
// @ts-ignore: decorator
@inline export function baseOf(i: i32): u64 {
  return load<u64>(REGS + ((SLOT_ES + <usize>i) << 3));
}

export function setSegment(i: i32, selector: u32, base: u64, limit: u32, attributes: u32): void {
  const s = SEG + (<usize>i << 3);
  store<u16>(s, <u16>selector);
  store<u16>(s, <u16>attributes, 2);
  store<u32>(s, limit, 4);
  if (i < 6) store<u64>(REGS + ((SLOT_ES + <usize>i) << 3), base);
}

export function isLong(): bool {
  return (load<u64>(EFER) & EFER_LMA) != 0;
}

/** Real mode or virtual-8086: segments are selector * 16. */
export function isRealStyle(): bool {
  return !(load<u64>(CR0) & CR0_PE) || (load<u32>(SYSFLAGS) & VM) != 0;
}

let lastCodeBase: u64 = 0;
/** Limits of the code segments that what is decoded was decoded under. */
let limitOf32: u32 = 0xffffffff;
let limitOf16: u32 = 0xffff;

/** Recomputes MODE after CS, CPL or EFER.LMA changed. */
export function updateMode(): void {
  const attributes = attributesOf(1);
  let mode = MODE_16;
  if (isLong() && attributes & ATTR_L) mode = MODE_64;
  else if (attributes & ATTR_DB) mode = MODE_32;
  store<u32>(MODE, mode);
  if (mode != MODE_64 && limitOf(1) != (mode == MODE_32 ? limitOf32 : limitOf16)) {
    if (mode == MODE_32) limitOf32 = limitOf(1);
    else limitOf16 = limitOf(1);
    flushBlocks();
  }
  if (mode != MODE_64 && baseOf(1) != lastCodeBase) {
    // The jump cache goes by RIP; another base makes it wrong.
    lastCodeBase = baseOf(1);
    memory.fill(JUMPS, 0xff, JUMPS_BYTES);
  }
  modeChanged();
}

/** Do `bytes` at `offset` lie inside a segment with these attributes and this limit? */
// @ts-ignore: decorator
@inline export function withinLimit(attributes: u32, limit: u32, offset: u64, bytes: i32): bool {
  const last = offset + <u64>bytes - 1;
  // Expand-down: valid above the limit.
  if ((attributes & 0xc) == 4 && attributes & ATTR_S) return offset > <u64>limit && last <= <u64>(attributes & ATTR_DB ? 0xffffffff : 0xffff);
  return last <= <u64>limit;
}

/** May `bytes` at `offset` of the segment be read or written? Not for 64-bit mode. */
export function segmentAllows(i: i32, offset: u64, bytes: i32, write: bool): bool {
  const attributes = attributesOf(i);
  if (!(attributes & ATTR_P)) return false;
  if (!isRealStyle()) {
    if (attributes & 8) {
      if (write || !(attributes & 2)) return false;
    } else if (write && !(attributes & 2)) return false;
  }
  return withinLimit(attributes, limitOf(i), offset, bytes);
}

/** Likewise; raises #GP(0) or #SS(0) if not. */
export function checkSegment(i: i32, offset: u64, bytes: i32, write: bool): bool {
  if (segmentAllows(i, offset, bytes, write)) return true;
  raise(i == 2 ? SS : GP, 0);
  return false;
}

/** The SEGEA op: TMP0 = linear address. Returns 0 with an exception pending. */
export function segmentAddress(p: usize): i32 {
  const n = <u32>load<u16>(p, 6);
  const i = <i32>((n >> 4) & 15);
  let ea =
    load<u64>(load<u8>(p, 3), REGS) + (load<u64>(load<u8>(p, 4), REGS) << <u64>load<u8>(p, 5)) + <u64>(<i64>load<i32>(p, 8));
  ea &= n >> 8 == 1 ? 0xffff : 0xffffffff;
  const access = n & 15;
  if (access == SEG_PRIVILEGED_READ && load<u32>(CPL)) {
    raise(GP, 0);
    return 0;
  }
  if (access != SEG_NONE && !checkSegment(i, ea, load<i32>(p, 12), access == SEG_WRITE)) return 0;
  store<u64>(REGS + SLOT_TMP0 * 8, (ea + baseOf(i)) & 0xffffffff);
  return 1;
}

/** The descriptor last read. */
export let descriptorLow: u32 = 0;
export let descriptorHigh: u32 = 0;
let descriptorAt: u64 = 0;

// @ts-ignore: decorator
@inline export function descriptorAttributes(): u32 {
  return (descriptorHigh >> 8) & 0xffff;
}
export function descriptorBase(): u64 {
  return <u64>((descriptorLow >> 16) | ((descriptorHigh & 0xff) << 16) | (descriptorHigh & 0xff000000));
}
export function descriptorLimit(): u32 {
  const raw = (descriptorLow & 0xffff) | (descriptorHigh & 0xf0000);
  return descriptorHigh & 0x800000 ? (raw << 12) | 0xfff : raw;
}
export function descriptorDpl(): u32 {
  return (descriptorHigh >> 13) & 3;
}

/** Reads the descriptor a selector names; `vector`(selector) is raised if it lies outside its table. */
export function readDescriptor(selector: u32, vector: i32): bool {
  let base: u64;
  let limit: u32;
  if (selector & 4) {
    base = load<u64>(LDT_BASE);
    limit = attributesOf(SEG_LDTR) & ATTR_P ? limitOf(SEG_LDTR) : 0;
    if (!limit) {
      raise(vector, selector & 0xfffc);
      return false;
    }
  } else {
    base = load<u64>(GDT_BASE);
    limit = load<u32>(GDT_LIMIT);
  }
  if ((selector & 0xfff8) + 7 > limit) {
    raise(vector, selector & 0xfffc);
    return false;
  }
  descriptorAt = base + <u64>(selector & 0xfff8);
  const h = readableAs(descriptorAt, 8, false);
  if (!h) return false;
  descriptorLow = load<u32>(h);
  descriptorHigh = load<u32>(h, 4);
  return true;
}

/**
 * Upper half of the base of a 16-byte system descriptor (long mode), or -1 with an exception pending: #GP(selector) if it does
 * not fit its table or its upper type is not 0 (SDM vol. 3A 5.8.3.1). Call right after readDescriptor.
 */
export function readDescriptorHigh(selector: u32): i64 {
  const limit = selector & 4 ? limitOf(SEG_LDTR) : load<u32>(GDT_LIMIT);
  if ((selector & 0xfff8) + 15 > limit) return raise(GP, selector & 0xfffc) - 1;
  const h = readableAs(descriptorAt + 8, 8, false);
  if (!h) return -1;
  if (load<u8>(h, 5) & 31) return raise(GP, selector & 0xfffc) - 1;
  return <i64>load<u32>(h);
}

/** Sets bits in the descriptor's type (Accessed, TSS busy). */
export function setDescriptorType(bits: u32): bool {
  if (((descriptorHigh >> 8) & bits) == bits) return true;
  const h = writableAs(descriptorAt + 5, 1, false);
  if (!h) return false;
  store<u8>(h, <u8>(load<u8>(h) | bits));
  writeDone(h);
  descriptorHigh |= bits << 8;
  return true;
}

/** Clears bits in the type of the descriptor last read. */
export function clearDescriptorType(bits: u32): bool {
  const h = writableAs(descriptorAt + 5, 1, false);
  if (!h) return false;
  store<u8>(h, <u8>(load<u8>(h) & ~bits));
  writeDone(h);
  descriptorHigh &= ~(bits << 8);
  return true;
}

/** Takes over the descriptor last read as segment register i. */
export function applyDescriptor(i: i32, selector: u32): void {
  setSegment(i, selector, descriptorBase(), descriptorLimit(), descriptorAttributes());
}

export function setNull(i: i32, selector: u32): void {
  // FS and GS keep their base on some processors; cleared here, as on Intel's.
  setSegment(i, selector, 0, 0, 0);
}

/** MOV, POP and far loads to ES, SS, DS, FS, GS (SDM vol. 2B, MOV). Returns 0 with an exception pending. */
export function loadSegment(i: i32, selector: u32): i32 {
  if (isRealStyle()) {
    setSegment(i, selector, <u64>(selector << 4), load<u32>(SYSFLAGS) & VM ? 0xffff : limitOf(i), load<u32>(SYSFLAGS) & VM ? 0xf3 : attributesOf(i) | 0x93);
    return 1;
  }
  const cpl = load<u32>(CPL);
  if ((selector & 0xfffc) == 0) {
    if (i == 2) {
      if (load<u32>(MODE) != MODE_64 || cpl == 3 || (selector & 3) != cpl) return raise(GP, 0);
      setSegment(2, selector, 0, 0, cpl << 5);
      return 1;
    }
    setNull(i, selector);
    return 1;
  }
  if (!readDescriptor(selector, GP)) return 0;
  const attributes = descriptorAttributes();
  const dpl = descriptorDpl();
  const error = <i32>(selector & 0xfffc);
  if (!(attributes & ATTR_S)) return raise(GP, error);
  if (i == 2) {
    if ((selector & 3) != cpl || dpl != cpl || attributes & 8 || !(attributes & 2)) return raise(GP, error);
    if (!(attributes & ATTR_P)) return raise(SS, error);
  } else {
    if ((attributes & 0xa) == 8) return raise(GP, error); // execute-only code
    if ((attributes & 0xc) != 0xc && (dpl < cpl || dpl < (selector & 3))) return raise(GP, error);
    if (!(attributes & ATTR_P)) return raise(NP, error);
  }
  if (!setDescriptorType(1)) return 0;
  applyDescriptor(i, selector);
  return 1;
}

/** SS for a stack switch through a TSS in legacy mode: as loadSegment, but #TS. */
function loadStackSegment(selector: u32, cpl: u32): bool {
  const error = <i32>(selector & 0xfffc);
  if (error == 0) {
    raise(TS, 0);
    return false;
  }
  if (!readDescriptor(selector, TS)) return false;
  const attributes = descriptorAttributes();
  if ((selector & 3) != cpl || descriptorDpl() != cpl || !(attributes & ATTR_S) || attributes & 8 || !(attributes & 2)) {
    raise(TS, error);
    return false;
  }
  if (!(attributes & ATTR_P)) {
    raise(SS, error);
    return false;
  }
  return true;
}

/** The stack that readRingStack found: its pointer and selector. Its segment is the descriptor last read. */
export let ringSp: u64 = 0;
export let ringSs: u32 = 0;

/** Reads the stack of ring `cpl` from the TSS, 16- or 32-bit, and the descriptor of its segment; false with an exception pending. */
export function readRingStack(cpl: u32): bool {
  const wide = (attributesOf(SEG_TR) & 8) != 0;
  const at: u32 = wide ? 4 + cpl * 8 : 2 + cpl * 4;
  if (at + (wide ? 7 : 3) > limitOf(SEG_TR)) {
    raise(TS, <i32>(selectorOf(SEG_TR) & 0xfffc));
    return false;
  }
  const h = readableAs((load<u64>(TR_BASE) + <u64>at) & 0xffffffff, wide ? 8 : 4, false);
  if (!h) return false;
  ringSp = wide ? load<u32>(h) : <u64>load<u16>(h);
  ringSs = wide ? load<u16>(h, 4) : load<u16>(h, 2);
  return loadStackSegment(ringSs, cpl);
}

/** On a return to an outer ring: data segments more privileged than it become null. */
export function dropPrivilegedSegments(cpl: u32): void {
  for (let i = 0; i < 6; i++) {
    if (i == 1 || i == 2) continue;
    const attributes = attributesOf(i);
    if (attributes & ATTR_S && (attributes & 0xc) != 0xc && ((attributes >> 5) & 3) < cpl) {
      // Only the selector goes (SDM vol. 2, RET): 64-bit code still finds the bases of FS and GS.
      setSegment(i, 0, baseOf(i), 0, 0);
    }
  }
}
