// MOVS CMPS STOS LODS SCAS, with and without REP (SDM vol. 2, REP).
//
// With TF or a breakpoint set a repeat goes one element at a time, each with its own debug trap (SDM vol. 3A 17.3.2).
// A repeated MOVS or STOS goes a page at a time. A repeat counts as one instruction; after STRING_CHUNK elements it lets
// the interpreter leave, with registers as after that many steps, and goes on when it comes back: neither a chunk nor
// where it ends depends on how the run is sliced.

import { STRING_CMPS, STRING_LODS, STRING_MOVS, STRING_SCAS, STRING_STOS } from "./decode-string";
import { breakpointsEnabled } from "./breakpoints";
import { CLASS_SUB, DF, RF, TF, getZF, setFlagsRA } from "./flags";
import { MODE, MODE_64, RAX, RCX, RDI, REGS, RSI, SLOT_ES, SYSFLAGS } from "./layout";
import { alignmentArmed, readable, writable, writeDone } from "./mmu";
import { loadBySize } from "./stack";
import { checkSegment, segmentAllows } from "./segment";

const SEG_ES: i32 = 0;

/** Bytes after which a repeat lets the host look in. */
const STRING_CHUNK: u64 = 1 << 20;

export const STRING_FAULT: i32 = 0;
export const STRING_DONE: i32 = 1;
export const STRING_AGAIN: i32 = 2;
/** One element of a repeat that is stepped through; more are to come. */
export const STRING_STEP: i32 = 3;

/** Writes a counter or index register as wide as the address size. */
export function setIndex(at: usize, v: u64, mask: u64): void {
  if (mask == 0xffff) store<u16>(at, <u16>v);
  else store<u64>(at, v & mask);
}

function compare(log2: i32, a: u64, b: u64): void {
  if (log2 == 0) setFlagsRA<u8>(CLASS_SUB, <i64>(<i8>(a - b)), <i64>(<i8>a));
  else if (log2 == 1) setFlagsRA<u16>(CLASS_SUB, <i64>(<i16>(a - b)), <i64>(<i16>a));
  else if (log2 == 2) setFlagsRA<u32>(CLASS_SUB, <i64>(<i32>(a - b)), <i64>(<i32>a));
  else setFlagsRA<u64>(CLASS_SUB, <i64>(a - b), <i64>a);
}

function storeElement(h: usize, v: u64, log2: i32): void {
  if (log2 == 0) store<u8>(h, <u8>v);
  else if (log2 == 1) store<u16>(h, <u16>v);
  else if (log2 == 2) store<u32>(h, <u32>v);
  else store<u64>(h, v);
}

function fillElements(h: usize, v: u64, log2: i32, n: u64): void {
  if (log2 == 0) {
    memory.fill(h, <u8>v, <usize>n);
    return;
  }
  const bytes: u64 = n << <u64>log2;
  let w = v;
  if (log2 == 1) w = (v & 0xffff) * 0x0001000100010001;
  else if (log2 == 2) w = (v & 0xffffffff) * 0x0000000100000001;
  let i: u64 = 0;
  for (; i + 8 <= bytes; i += 8) store<u64>(h + <usize>i, w);
  for (; i < bytes; i += <u64>1 << <u64>log2) storeElement(h + <usize>i, v, log2);
}

/** Copies element by element: where the destination begins inside the source, what was just written is read again. */
function copyForwards(d: usize, s: usize, bytes: i32, log2: i32): void {
  const step: i32 = 1 << log2;
  for (let i: i32 = 0; i < bytes; i += step) storeElement(d + <usize>i, loadBySize(s + <usize>i, log2), log2);
}

/** Executes a STRING op. On a fault or STRING_AGAIN the registers say how far it came. */
export function execString(p: usize): i32 {
  const kind = <i32>load<u8>(p, 2);
  const sourceBase = load<u64>(REGS + <usize>load<u8>(p, 3));
  const log2 = <i32>load<u8>(p, 4);
  const repeat = load<u8>(p, 5);
  const width = load<u16>(p, 6);
  const segment = load<i32>(p, 8);
  const long = load<u32>(MODE) == MODE_64;
  const mask: u64 = width == 1 ? 0xffff : width == 2 ? 0xffffffff : 0xffffffffffffffff;
  const linearMask: u64 = long ? 0xffffffffffffffff : 0xffffffff;
  const bytes: u64 = <u64>1 << <u64>log2;
  const down = (load<u32>(SYSFLAGS) & DF) != 0;
  const step: u64 = down ? <u64>0 - bytes : bytes;
  const destinationBase: u64 = long ? 0 : load<u64>(REGS + SLOT_ES * 8);
  const usesSource = kind == STRING_MOVS || kind == STRING_CMPS || kind == STRING_LODS;
  const usesDestination = kind != STRING_LODS;
  const writes = kind == STRING_MOVS || kind == STRING_STOS;
  let count: u64 = repeat ? load<u64>(RCX) & mask : 1;
  if (repeat && count == 0) return STRING_DONE;
  const stepped = repeat != 0 && ((load<u32>(SYSFLAGS) & TF) != 0 || breakpointsEnabled());
  let budget: u64 = STRING_CHUNK;
  for (;;) {
    const si = load<u64>(RSI) & mask;
    const di = load<u64>(RDI) & mask;
    if (!long) {
      if (usesSource && !checkSegment(segment, si, <i32>bytes, false)) return STRING_FAULT;
      // Of two operands, the source is read before the destination's segment is looked at.
      if (usesDestination && !usesSource && !checkSegment(SEG_ES, di, <i32>bytes, writes)) return STRING_FAULT;
    }
    const source = (si + sourceBase) & linearMask;
    const destination = (di + destinationBase) & linearMask;
    let n: u64 = 1;
    if (repeat && writes && !down && !stepped && !alignmentArmed) {
      // As many as fit the pages at hand, before an index wraps.
      let room = min<u64>(0xfff - (destination & 0xfff), mask - di);
      if (usesSource) room = min<u64>(room, min<u64>(0xfff - (source & 0xfff), mask - si));
      n = min<u64>((room + 1) >> <u64>log2, count);
      // A segment that ends among them is for one element at a time to find.
      if (
        n == 0 ||
        (!long &&
          !(segmentAllows(SEG_ES, di, <i32>(n << <u64>log2), true) && (!usesSource || segmentAllows(segment, si, <i32>(n << <u64>log2), false))))
      ) n = 1;
    }
    const chunk = <i32>(n << <u64>log2);
    switch (kind) {
      case STRING_MOVS: {
        const s = readable(source, chunk);
        if (!s) return STRING_FAULT;
        if (!long && !checkSegment(SEG_ES, di, <i32>bytes, true)) return STRING_FAULT;
        if (n == 1) {
          // The value is read before the destination is made writable: both may use the bounce buffers.
          const v = loadBySize(s, log2);
          const d = writable(destination, chunk);
          if (!d) return STRING_FAULT;
          storeElement(d, v, log2);
          writeDone(d);
        } else {
          const d = writable(destination, chunk);
          if (!d) return STRING_FAULT;
          if (d - s < <usize>chunk) copyForwards(d, s, chunk, log2);
          else memory.copy(d, s, chunk);
        }
        break;
      }
      case STRING_STOS: {
        const d = writable(destination, chunk);
        if (!d) return STRING_FAULT;
        if (n == 1) {
          storeElement(d, load<u64>(RAX), log2);
          writeDone(d);
        } else fillElements(d, load<u64>(RAX), log2, n);
        break;
      }
      case STRING_LODS: {
        const s = readable(source, chunk);
        if (!s) return STRING_FAULT;
        const v = loadBySize(s, log2);
        if (log2 == 2) store<u64>(RAX, v);
        else storeElement(RAX, v, log2);
        break;
      }
      case STRING_CMPS: {
        const s = readable(source, chunk);
        if (!s) return STRING_FAULT;
        const a = loadBySize(s, log2);
        if (!long && !checkSegment(SEG_ES, di, <i32>bytes, false)) return STRING_FAULT;
        const d = readable(destination, chunk);
        if (!d) return STRING_FAULT;
        compare(log2, a, loadBySize(d, log2));
        break;
      }
      default: {
        const d = readable(destination, chunk);
        if (!d) return STRING_FAULT;
        compare(log2, loadBySize(RAX, log2), loadBySize(d, log2));
      }
    }
    if (usesSource) setIndex(RSI, si + step * n, mask);
    if (usesDestination) setIndex(RDI, di + step * n, mask);
    if (!repeat) return STRING_DONE;
    count -= n;
    setIndex(RCX, count, mask);
    if (count == 0) return STRING_DONE;
    if (kind == STRING_CMPS || kind == STRING_SCAS) {
      if (getZF() != (repeat == 3)) return STRING_DONE;
    }
    if (stepped) {
      // The debug trap's frame has RF, as after any iteration but the last (SDM vol. 3A 17.3.1.1).
      store<u32>(SYSFLAGS, load<u32>(SYSFLAGS) | RF);
      return STRING_STEP;
    }
    // Elements one by one cost more than their bytes.
    const cost: u64 = n == 1 ? 64 : n << <u64>log2;
    if (budget <= cost) return STRING_AGAIN;
    budget -= cost;
  }
  return STRING_DONE; // not reached
}
