// Guest-physical memory: frames in linear memory, a frame table, and what the core must know about each page.

import { TABLES } from "./layout";

/** Fetches page gfn from the page store into the zero-filled frame at `frame`. */
// @ts-ignore: decorator
@external("env", "pageIn")
declare function pageIn(gfn: u32, frame: usize): void;

/** Guest pages. */
export let pageCount: u32 = 0;
/** u32 a page: address of its frame in linear memory, 0 = not resident. */
let frameTable: usize = 0;
/** u64 a page: bit n set = decoded code was read from bytes 64n..64n+63. */
let codeMap: usize = 0;
/** u32 a page: bit n set = context n has cached a translation that came from this page-table page. */
let tableUsers: usize = 0;
/** u32 a page: first block decoded from it. */
let codeHead: usize = 0;
/** u8 a page: PAGE_* flags. */
let pageFlags: usize = 0;
/** First byte of the frames, and of the memory not yet used for frames. */
let framesBase: usize = 0;
let framesTop: usize = 0;

/** Written since the host last asked. */
export const PAGE_DIRTY: u8 = 1;

/** Lays out the tables for `pages` guest pages. Frames begin after them. */
export function initMemory(pages: u32): void {
  pageCount = pages;
  let at = TABLES;
  frameTable = at;
  at += pages * 4;
  tableUsers = at;
  at += pages * 4;
  codeHead = at;
  at += pages * 4;
  at = (at + 7) & ~7;
  codeMap = at;
  at += pages * 8;
  pageFlags = at;
  at += pages;
  framesBase = (at + 0xfff) & ~0xfff;
  framesTop = framesBase;
  ensure(framesBase);
  memory.fill(TABLES, 0, framesBase - TABLES);
}

/** Grows linear memory, a mebibyte at a time, until it holds `end` bytes. */
function ensure(end: usize): void {
  const have = <usize>memory.size() << 16;
  if (end > have) {
    const more = ((end - have + 0xfffff) & ~0xfffff) >> 16;
    if (memory.grow(<i32>more) < 0) unreachable();
  }
}

/** Is this guest page backed by memory? */
// @ts-ignore: decorator
@inline export function isMemory(gfn: u64): bool {
  return gfn < <u64>pageCount;
}

/** Address of the page's frame; fetches the page if it is not resident. `gfn` must be memory. */
export function frameOf(gfn: u32): usize {
  const entry = frameTable + (gfn << 2);
  const frame = <usize>load<u32>(entry);
  if (frame) return frame;
  ensure(framesTop + 0x1000);
  const fresh = framesTop;
  framesTop += 0x1000;
  store<u32>(entry, <u32>fresh);
  pageIn(gfn, fresh);
  return fresh;
}

/** Frames in use. */
export function residentFrames(): u32 {
  return <u32>((framesTop - framesBase) >> 12);
}

export function isResident(gfn: u32): bool {
  return load<u32>(frameTable + (gfn << 2)) != 0;
}

// @ts-ignore: decorator
@inline export function codeMapOf(gfn: u32): u64 {
  return load<u64>(codeMap + (gfn << 3));
}
// @ts-ignore: decorator
@inline export function setCodeMap(gfn: u32, map: u64): void {
  store<u64>(codeMap + (gfn << 3), map);
}
// @ts-ignore: decorator
@inline export function tableUsersOf(gfn: u32): u32 {
  return load<u32>(tableUsers + (gfn << 2));
}
// @ts-ignore: decorator
@inline export function setTableUsers(gfn: u32, users: u32): void {
  store<u32>(tableUsers + (gfn << 2), users);
}
// @ts-ignore: decorator
@inline export function codeHeadOf(gfn: u32): u32 {
  return load<u32>(codeHead + (gfn << 2));
}
// @ts-ignore: decorator
@inline export function setCodeHead(gfn: u32, block: u32): void {
  store<u32>(codeHead + (gfn << 2), block);
}
// @ts-ignore: decorator
@inline export function markDirty(gfn: u32): void {
  store<u8>(pageFlags + gfn, load<u8>(pageFlags + gfn) | PAGE_DIRTY);
}

export function isDirty(gfn: u32): bool {
  return (load<u8>(pageFlags + gfn) & PAGE_DIRTY) != 0;
}

export function clearAllDirty(): void {
  memory.fill(pageFlags, 0, pageCount);
}

/** Forgets every decoded block: all code maps and heads. */
export function clearCode(): void {
  memory.fill(codeMap, 0, <usize>pageCount * 8);
  memory.fill(codeHead, 0, <usize>pageCount * 4);
}

export function clearTableUsers(): void {
  memory.fill(tableUsers, 0, <usize>pageCount * 4);
}

/** Addresses of the tables, for the host's bulk look-ups. */
export function frameTableAddress(): usize {
  return frameTable;
}
export function pageFlagsAddress(): usize {
  return pageFlags;
}
