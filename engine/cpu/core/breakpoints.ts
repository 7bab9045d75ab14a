// Debug registers: code, data and I/O breakpoints (SDM vol. 3A 17.2).
//
// While DR7 enables any, the processor runs one instruction at a time, and pages with data breakpoints stay out of the
// TLBs, so that every access to them comes by here. A processor without breakpoints pays nothing.

import { CR4, DR } from "./layout";

const DR6: usize = DR + 48;
const DR7: usize = DR + 56;

const KIND_CODE: u32 = 0;
const KIND_WRITE: u32 = 1;
/** Only while CR4.DE is set. */
const KIND_IO: u32 = 2;
const KIND_ACCESS: u32 = 3;
const CR4_DE: u64 = 8;

/** Single step (BS) of DR6. */
export const DR6_BS: u64 = 0x4000;
/** A debug register was accessed while DR7.GD was set (BD). */
export const DR6_BD: u64 = 0x2000;
export const DR7_GD: u64 = 0x2000;

/** Does DR7 enable a data breakpoint? */
export let watching: bool = false;
/** Data and I/O breakpoints met since `takeHits`, as bits of DR6. */
let hits: u32 = 0;

// @ts-ignore: decorator
@inline export function breakpointsEnabled(): bool {
  return (load<u32>(DR7) & 0xff) != 0;
}

function enabled(i: i32): bool {
  return ((load<u32>(DR7) >> (i * 2)) & 3) != 0;
}

function kindOf(i: i32): u32 {
  return (load<u32>(DR7) >> (16 + i * 4)) & 3;
}

function isData(i: i32): bool {
  const kind = kindOf(i);
  return enabled(i) && (kind == KIND_WRITE || kind == KIND_ACCESS);
}

/** Bytes of breakpoint i: LEN of DR7; 2 means eight. */
function bytesOf(i: i32): u64 {
  const code = (load<u32>(DR7) >> (18 + i * 4)) & 3;
  return code == 2 ? 8 : <u64>code + 1;
}

function addressOf(i: i32): u64 {
  return load<u64>(DR + (<usize>i << 3)) & ~(bytesOf(i) - 1);
}

/** Call when DR0-DR3 or DR7 changed. True if the TLBs may hold pages that are watched now. */
export function breakpointsChanged(): bool {
  watching = false;
  for (let i = 0; i < 4; i++) if (isData(i)) watching = true;
  return watching;
}

/** Must accesses to the page of `va` be seen? */
export function isWatched(va: u64): bool {
  for (let i = 0; i < 4; i++) if (isData(i) && addressOf(i) >> 12 == va >> 12) return true;
  return false;
}

/** A program accesses `size` bytes at linear address `ea`. */
export function noteAccess(ea: u64, size: i32, write: bool): void {
  for (let i = 0; i < 4; i++) {
    if (!isData(i) || (!write && kindOf(i) == KIND_WRITE)) continue;
    const at = addressOf(i);
    if (ea < at + bytesOf(i) && at < ea + <u64>size) hits |= 1 << i;
  }
}

/** A program is about to access `size` ports from `port`; the trap comes after the instruction. */
export function notePort(port: u32, size: u32): void {
  if (!(load<u64>(CR4) & CR4_DE)) return;
  for (let i = 0; i < 4; i++) {
    if (!enabled(i) || kindOf(i) != KIND_IO) continue;
    const at = addressOf(i);
    if (<u64>port < at + bytesOf(i) && at < <u64>(port + size)) hits |= 1 << i;
  }
}

/** The breakpoints met so far, which are forgotten. */
export function takeHits(): u32 {
  const h = hits;
  hits = 0;
  return h;
}

/** Breakpoints on the instruction at linear address `at`, as bits of DR6. */
export function codeHits(at: u64): u32 {
  let h: u32 = 0;
  for (let i = 0; i < 4; i++) if (enabled(i) && kindOf(i) == KIND_CODE && load<u64>(DR + (<usize>i << 3)) == at) h |= 1 << i;
  return h;
}

/** Adds the reasons of a debug exception. B0-B3 tell of this one only; the program clears the others (SDM vol. 3B 18.2.3). */
export function setDr6(bits: u64): void {
  store<u64>(DR6, (load<u64>(DR6) & ~0xf) | bits);
}
