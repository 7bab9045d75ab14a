// Decoded blocks: where they lie, how they are found, and how they are dropped when their bytes change.
//
// A block is a run of micro-ops in the arena, behind a header of 32 bytes:
//   0 u64 physical address | mode << 60   8 u64 RIP   16 u32 next in hash   20 u32 next in page
//   24 u16 bytes of code in its first page   26 u16 offset of the first of them in the page   28 u32 end of its micro-ops
// The bytes are a range that holds all the code; a block that follows a jump need not fill it, nor begin with it.
// It is found by (physical address, RIP, mode): RIP-relative operands are resolved when decoding. A block never leaves
// its first page except by a single instruction that straddles; such a block is one instruction long, begins with
// CHECK_PAGE, and has a second header (for the list of the second page) before the first.

import { decodeBlock } from "./decode";
import {
  ARENA, ARENA_END, ARENA_ONCE_BYTES, CURRENT_OP, HASH, HASH_BYTES, HASH_MASK, JUMPS, JUMPS_BYTES, MODE, SIDE, SLOT_CS,
  REGS, TAG_HIGH, MODE_64,
} from "./layout";
import { clearCode, codeHeadOf, codeMapOf, setCodeHead, setCodeMap } from "./memory";
import { fetchPage, watchPage } from "./mmu";
import { Op, OP_BYTES, isDouble } from "./ops";

export const HEADER: usize = 32;
const H_KEY: usize = 0;
const H_RIP: usize = 8;
const H_NEXT_HASH: usize = 16;
const H_NEXT_PAGE: usize = 20;
const H_BYTES: usize = 24;
const H_FROM: usize = 26;
const H_END: usize = 28;

/** Most micro-ops and links one block can need: 64 instructions of a handful each. Checked before decoding. */
const BLOCK_ROOM: usize = 0x4000;

let arenaTop: usize = ARENA + ARENA_ONCE_BYTES;
/** Times the arena was emptied: tells the interpreter that the op it was about to patch is gone. */
export let arenaEpoch: u32 = 0;

/** RIP of a micro-op. */
// @ts-ignore: decorator
@inline export function sideRip(op: usize): u64 {
  return <u64>((<i64>load<u64>(SIDE + ((op - ARENA) >> 1)) << 16) >> 16);
}

/** Index of a micro-op's instruction in its block: the instructions retired before it. */
// @ts-ignore: decorator
@inline export function sideIndex(op: usize): i64 {
  return <i64>(load<u64>(SIDE + ((op - ARENA) >> 1)) >> 48);
}

// @ts-ignore: decorator
@inline export function setSide(op: usize, rip: u64, index: i32): void {
  store<u64>(SIDE + ((op - ARENA) >> 1), (rip & 0x0000ffffffffffff) | (<u64>index << 48));
}

/** Address of the jump-cache entry of a RIP. */
// @ts-ignore: decorator
@inline export function jumpEntry(rip: u64): usize {
  return JUMPS + ((<usize>(rip >> 12) & 127) << 10) + ((<usize>(rip ^ (rip >> 6)) & 63) << 4);
}

function hashOf(key: u64, rip: u64): usize {
  const h = <u32>(key ^ (key >> 15)) ^ <u32>(rip >> 12);
  return HASH + ((h & HASH_MASK) << 2);
}

/** Drops everything that was decoded. */
export function flushBlocks(): void {
  memory.fill(HASH, 0, HASH_BYTES);
  memory.fill(JUMPS, 0xff, JUMPS_BYTES);
  clearCode();
  arenaTop = ARENA + ARENA_ONCE_BYTES;
  arenaEpoch++;
}

function markCode(gfn: u32, from: u32, bytes: u32): void {
  const map = codeMapOf(gfn);
  let bits: u64 = 0;
  for (let g = from >> 6; g <= (from + bytes - 1) >> 6; g++) bits |= <u64>1 << g;
  if ((map & bits) == bits) return;
  setCodeMap(gfn, map | bits);
  if (map == 0) watchPage(gfn);
}

/**
 * Finds or decodes the block at RIP. Returns its first micro-op, or 0 with an exception pending. Enters it into the jump
 * cache.
 */
export function lookup(rip: u64): usize {
  const mode = load<u32>(MODE);
  const linear = mode == MODE_64 ? rip : (rip + load<u64>(REGS + SLOT_CS * 8)) & 0xffffffff;
  const page = fetchPage(linear);
  if (page < 0) return 0;
  const physical = (<u64>page << 12) | (linear & 0xfff);
  const key = physical | (<u64>mode << 60);
  const head = hashOf(key, rip);
  let block: usize = load<u32>(head);
  while (block) {
    const h = block - HEADER;
    if (load<u64>(h, H_KEY) == key && load<u64>(h, H_RIP) == rip) break;
    block = load<u32>(h, H_NEXT_HASH);
  }
  if (!block) {
    if (arenaTop + BLOCK_ROOM > ARENA_END) flushBlocks();
    // Two headers: the first is for the second page of a straddling instruction.
    block = arenaTop + HEADER * 2;
    const end = decodeBlock(block, rip, linear, physical, 64);
    if (!end) return 0;
    const h = block - HEADER;
    store<u64>(h, key, H_KEY);
    store<u64>(h, rip, H_RIP);
    store<u16>(h, <u16>decodedBytes, H_BYTES);
    store<u16>(h, <u16>decodedFrom, H_FROM);
    store<u32>(h, <u32>end, H_END);
    // The hash heads may have been emptied above, so they are read again.
    store<u32>(h, load<u32>(head), H_NEXT_HASH);
    store<u32>(head, <u32>block);
    const gfn = <u32>page;
    store<u32>(h, codeHeadOf(gfn), H_NEXT_PAGE);
    setCodeHead(gfn, <u32>block);
    markCode(gfn, decodedFrom, decodedBytes);
    if (straddlePage >= 0) {
      const second = <u32>straddlePage;
      const g = block - HEADER * 2;
      store<u16>(g, <u16>straddleBytes, H_BYTES);
      store<u16>(g, 0, H_FROM);
      store<u32>(g, <u32>end, H_END);
      store<u32>(g, codeHeadOf(second), H_NEXT_PAGE);
      setCodeHead(second, <u32>block | 1); // bit 0: the second header
      markCode(second, 0, straddleBytes);
    }
    arenaTop = end;
  }
  const j = jumpEntry(rip);
  store<u64>(j, (rip & 0x0000ffffffffffff) | load<u64>(TAG_HIGH));
  store<u32>(j, <u32>block, 8);
  return block;
}

/** Set by the decoder: the range of code bytes of the block just decoded, as offset in its page and length. */
let decodedFrom: u32 = 0;
let decodedBytes: u32 = 0;
/** Likewise the second half of a straddling instruction: its page, or -1, and its bytes there. */
let straddlePage: i64 = -1;
let straddleBytes: u32 = 0;
export function setDecoded(from: u32, bytes: u32, secondPage: i64, secondBytes: u32): void {
  decodedFrom = from;
  decodedBytes = bytes;
  straddlePage = secondPage;
  straddleBytes = secondBytes;
}

let onceEnd: usize = 0;

/** Decodes at most `count` instructions at RIP into the arena's first part, to be run once. 0 with an exception pending. */
export function lookupOnce(rip: u64, count: i32): usize {
  const mode = load<u32>(MODE);
  const linear = mode == MODE_64 ? rip : (rip + load<u64>(REGS + SLOT_CS * 8)) & 0xffffffff;
  const page = fetchPage(linear);
  if (page < 0) return 0;
  const physical = (<u64>page << 12) | (linear & 0xfff);
  const block = ARENA + HEADER * 2;
  onceEnd = decodeBlock(block, rip, linear, physical, count);
  if (!onceEnd) return 0;
  markCode(<u32>page, decodedFrom, decodedBytes);
  if (straddlePage >= 0) markCode(<u32>straddlePage, 0, straddleBytes);
  return block;
}

/** Makes the interpreter leave after the instruction in execution, because the code behind it may be another now. */
function resyncCurrent(end: usize): void {
  const current = <usize>load<u32>(CURRENT_OP);
  const index = sideIndex(current);
  let op = current;
  for (;;) {
    op += isDouble(load<u16>(op)) ? OP_BYTES * 2 : OP_BYTES;
    if (op >= end) return; // the current instruction is the block's last: a look-up follows anyway
    if (sideIndex(op) != index) break;
  }
  store<u16>(op, <u16>Op.RESYNC);
}

function unlinkFromHash(block: usize): void {
  const h = block - HEADER;
  let at = hashOf(load<u64>(h, H_KEY), load<u64>(h, H_RIP));
  let b: usize = load<u32>(at);
  while (b) {
    if (b == block) {
      store<u32>(at, load<u32>(h, H_NEXT_HASH));
      return;
    }
    at = b - HEADER + H_NEXT_HASH;
    b = load<u32>(at);
  }
}

/** Takes a block out of use: the next look-up decodes again. */
export function dropBlock(block: usize): void {
  unlinkFromHash(block);
  store<u16>(block, <u16>Op.STALE);
}

/** A store is about to change bytes [offset, offset + size) of a page that code was decoded from. */
export function writeToCode(gfn: u32, offset: u32, size: i32): void {
  const map = codeMapOf(gfn);
  let bits: u64 = 0;
  for (let g = offset >> 6; g <= (offset + size - 1) >> 6; g++) bits |= <u64>1 << g;
  if (!(map & bits)) return;
  const current = <usize>load<u32>(CURRENT_OP);
  if (current >= ARENA && current < ARENA + ARENA_ONCE_BYTES) resyncCurrent(onceEnd);
  // Rebuild the page's list and map without the blocks that overlap.
  let kept: u32 = 0;
  let keptMap: u64 = 0;
  let entry = codeHeadOf(gfn);
  while (entry) {
    const block = <usize>(entry & ~1);
    const h = block - HEADER - (entry & 1 ? HEADER : 0);
    const next = load<u32>(h, H_NEXT_PAGE);
    const from = <u32>load<u16>(h, H_FROM);
    const bytes = <u32>load<u16>(h, H_BYTES);
    if (from < offset + size && offset < from + bytes) {
      const end = <usize>load<u32>(block - HEADER, H_END);
      if (current >= block && current < end) resyncCurrent(end);
      const code = load<u16>(block);
      if (code != Op.STALE && code != Op.FORWARD) {
        unlinkFromHash(block);
        // The interpreter has read the code of the op in execution already, should it be this one.
        store<u16>(block, <u16>Op.STALE);
      }
    } else if (load<u16>(block) != Op.STALE && load<u16>(block) != Op.FORWARD) {
      for (let g = from >> 6; g <= (from + bytes - 1) >> 6; g++) keptMap |= <u64>1 << g;
      store<u32>(h, kept, H_NEXT_PAGE);
      kept = entry;
    }
    entry = next;
  }
  setCodeHead(gfn, kept);
  setCodeMap(gfn, keptMap);
}
