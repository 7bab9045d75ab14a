// Guest-physical memory: frames in linear memory, a frame table, and what the core must know about each page.
//
// The frames are a pool with a cap. A page gets a frame when it is touched; when none is left, a clock with a second
// chance evicts a batch of pages: dirty ones are written to the page store, and the read and write TLBs, which hold
// addresses of frames, are flushed once for all of them. What was decoded from a page stays true without its frame, and
// so do the fetch TLB and the jump cache, which hold page numbers.
//
// Whoever holds the address of a frame may need another page before it is done: an access that crosses pages, a gate
// and its stack, the decoder and a page walk. So the frames last handed out are pinned: no batch takes them.

import { TABLES, TLB_BYTES, TLB_R } from "./layout";

/** Fills the frame at `frame` with page gfn of the page store. */
// @ts-ignore: decorator
@external("env", "pageIn")
declare function pageIn(gfn: u32, frame: usize): void;

/** Writes the frame at `frame` to the page store as page gfn. */
// @ts-ignore: decorator
@external("env", "pageOut")
declare function pageOut(gfn: u32, frame: usize): void;

/**
 * Frames last handed out that stay where they are. The instruction that holds one longest is a call gate: while it pushes
 * onto the new stack it reads 31 parameters from the old one, two pages, each found by a walk of at most four tables.
 */
const PINNED: u32 = 128;
/** Frames freed at a time: what a flush of the TLBs is shared by. */
const EVICTION_BATCH: u32 = 128;
/** Pages that the page store keeps together; dirty ones are written together. */
const CLUSTER: u32 = 16;

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
/** First byte of the frames. */
let framesBase: usize = 0;
/** Most frames, and those that have been used so far. */
let poolFrames: u32 = 0;
let usedFrames: u32 = 0;
/** u32 a frame: the page in it. */
let frameOwner: usize = 0;
/** u8 a frame: FRAME_* flags. */
let frameFlags: usize = 0;
/** u32 a frame: stack of the frames that are free again. */
let freeList: usize = 0;
let freeFrames: u32 = 0;
/** Where the clock's hand is. */
let hand: u32 = 0;
/** Ring of the frame addresses last handed out. */
const pins: usize = memory.data(512);
let nextPin: u32 = 0;

/** Touched since the hand last passed. */
const FRAME_REFERENCED: u8 = 1;
const FRAME_PINNED: u8 = 2;
/** Holds no page. */
const FRAME_FREE: u8 = 4;

/** Differs from the page store: written since it was last stored. Only a resident page is dirty. */
export const PAGE_DIRTY: u8 = 1;

/** Lays out the tables for `pages` guest pages and a pool of at most `pool` frames. Frames begin after them. */
export function initMemory(pages: u32, pool: u32): void {
  pageCount = pages;
  poolFrames = min(pool, pages);
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
  frameOwner = at;
  at += poolFrames * 4;
  freeList = at;
  at += poolFrames * 4;
  pageFlags = at;
  at += pages;
  frameFlags = at;
  at += poolFrames;
  framesBase = (at + 0xfff) & ~0xfff;
  usedFrames = 0;
  freeFrames = 0;
  hand = 0;
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

// @ts-ignore: decorator
@inline function frameIndex(frame: usize): usize {
  return (frame - framesBase) >> 12;
}

/** Keeps the frame at `frame` until PINNED others have been handed out. */
// @ts-ignore: decorator
@inline export function pin(frame: usize): void {
  store<u32>(pins + <usize>((nextPin++ & (PINNED - 1)) << 2), <u32>frame);
}

/**
 * Address of the page's frame; fetches the page if it is not resident, which may evict others: an address got earlier is
 * good as long as it is among the PINNED last ones. `gfn` must be memory.
 */
export function frameOf(gfn: u32): usize {
  const entry = frameTable + (gfn << 2);
  const frame = <usize>load<u32>(entry);
  if (frame) {
    store<u8>(frameFlags + frameIndex(frame), FRAME_REFERENCED);
    pin(frame);
    return frame;
  }
  return fetchFrame(gfn, entry);
}

function fetchFrame(gfn: u32, entry: usize): usize {
  let index: u32;
  if (freeFrames == 0 && usedFrames == poolFrames) evict();
  if (freeFrames) index = load<u32>(freeList + (--freeFrames << 2));
  else {
    index = usedFrames++;
    ensure(framesBase + (<usize>usedFrames << 12));
  }
  const fresh = framesBase + (<usize>index << 12);
  // Should the store throw, the page is still not resident.
  store<u8>(frameFlags + index, FRAME_FREE);
  pageIn(gfn, fresh);
  store<u8>(frameFlags + index, FRAME_REFERENCED);
  store<u32>(frameOwner + (index << 2), gfn);
  store<u32>(entry, <u32>fresh);
  pin(fresh);
  return fresh;
}

function setPinned(): void {
  for (let i: u32 = 0; i < PINNED; i++) {
    const frame = <usize>load<u32>(pins + (i << 2));
    if (!frame) continue;
    const at = frameFlags + frameIndex(frame);
    store<u8>(at, load<u8>(at) | FRAME_PINNED);
  }
}

/** A page is about to lose its frame: its dirty neighbours that the store keeps with it are written too, and are clean. */
function writeCluster(gfn: u32): void {
  const first = gfn & ~(CLUSTER - 1);
  const end = min(first + CLUSTER, pageCount);
  for (let page = first; page < end; page++) {
    if (!isDirty(page)) continue;
    const frame = <usize>load<u32>(frameTable + (page << 2));
    // Somebody may be about to write through the address of a pinned frame.
    if (load<u8>(frameFlags + frameIndex(frame)) & FRAME_PINNED) continue;
    pageOut(page, frame);
    store<u8>(pageFlags + page, load<u8>(pageFlags + page) & ~PAGE_DIRTY);
  }
}

/** Frees EVICTION_BATCH frames that were not touched in one turn of the clock. */
function evict(): void {
  setPinned();
  // In the second turn at the latest every frame that is not pinned has lost its reference.
  for (let steps: u32 = 0; steps < poolFrames * 2 && freeFrames < EVICTION_BATCH; steps++) {
    const index = hand;
    hand = hand + 1 == poolFrames ? 0 : hand + 1;
    const flags = load<u8>(frameFlags + index);
    if (flags & (FRAME_PINNED | FRAME_FREE)) continue;
    if (flags & FRAME_REFERENCED) {
      store<u8>(frameFlags + index, 0);
      continue;
    }
    const gfn = load<u32>(frameOwner + (index << 2));
    if (isDirty(gfn)) writeCluster(gfn);
    store<u32>(frameTable + (gfn << 2), 0);
    store<u8>(frameFlags + index, FRAME_FREE);
    store<u32>(freeList + (freeFrames++ << 2), index);
  }
  for (let i: u32 = 0; i < PINNED; i++) {
    const frame = <usize>load<u32>(pins + (i << 2));
    if (frame) store<u8>(frameFlags + frameIndex(frame), FRAME_REFERENCED);
  }
  if (freeFrames == 0) unreachable(); // the host sees to it that the pool is larger than what is pinned
  memory.fill(TLB_R, 0xff, TLB_BYTES * 2); // read and write TLB
}

/** The page whose frame holds the host address `at`, or -1. */
export function ownerOf(at: usize): i32 {
  return at < framesBase ? -1 : <i32>load<u32>(frameOwner + (frameIndex(at) << 2));
}

/** Frames in use. */
export function residentFrames(): u32 {
  return usedFrames - freeFrames;
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

/** Every dirty page was stored. */
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
