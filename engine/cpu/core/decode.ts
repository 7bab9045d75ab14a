// Decoding a block: instructions up to a branch, the end of the page, or a count; then the links behind the terminator
// and the removal of flags nobody reads. The one-byte opcodes are in decode-one.ts, those behind 0F in decode-0f.ts.

import { jumpEntry, setDecoded } from "./blocks";
import { decodeOne } from "./decode-one";
import {
  abandonInstruction, beginBlock, beginBytes, beginInstruction, clearTerminated, count, emit, emitAt, length, nextRip, out, overflow,
  readPrefixes, terminate, terminated, mode,
} from "./decode-state";
import { GP, UD } from "./exception";
import { ARENA, MODE, MODE_64, REGS, SEG, SLOT_CS, STRADDLE } from "./layout";
import { fusionAt } from "./fusions";
import { frameOf, isMemory } from "./memory";
import { fetchPage } from "./mmu";
import { limitOf } from "./segment";
import { GROUP_B, GROUP_C, GROUP_D, GROUP_E, GROUP_F, Op, OP_BYTES, isDouble } from "./ops";

/** Longest instruction, SDM vol. 2A 2.3.11. */
const MAX_LENGTH: i32 = 15;

/** Addresses of the block's micro-ops, for the backward pass. */
const OP_LIST: usize = 0x2c00;
const OP_LIST_MAX: i32 = 1024;

/** Linear page of the block, and the code segment's base. */
let blockPage: u64 = 0;
let codeBase: u64 = 0;

/** Bytes from `rip` to the end of the code segment, as far as an instruction may need them. */
function bytesInSegment(rip: u64): i32 {
  if (load<u32>(MODE) == MODE_64) return MAX_LENGTH;
  const limit = <u64>limitOf(1);
  return rip > limit ? 0 : <i32>min<u64>(limit - rip + 1, <u64>MAX_LENGTH);
}

/** Makes a link to `rip` behind the block and stores its address at `slotAddress`. */
export function emitLink(rip: u64, slotAddress: usize): void {
  const target = mode == MODE_64 ? rip : rip & 0xffffffff;
  let p: usize;
  if (((target + codeBase) & ~0xfff) == blockPage) {
    p = emitAt(Op.LINK, target, 0);
    store<u32>(p, <u32>slotAddress, 12);
  } else {
    p = emitAt(Op.XJUMP, target, 0);
    store<u32>(p, <u32>jumpEntry(target), 2);
    store<u64>(p, target & 0x0000ffffffffffff, 8);
  }
  store<u32>(slotAddress, <u32>p);
}

/** Ends the block with a jump to `rip`, counting the instructions so far. */
function emitJump(rip: u64): void {
  const p = emit(Op.JUMP, 0, 0, 0, 0, count(), 0, 0);
  emitLink(rip, p + 8);
  terminate();
}

/** An exception this instruction always raises. */
export function emitFault(vector: i32, error: i32): void {
  emit(Op.FAULT, 0, 0, 0, 0, count(), error, vector);
  terminate();
}

/** One instruction whose bytes are set up. */
function decodeInstruction(): void {
  readPrefixes();
  if (!overflow) decodeOne();
}

/**
 * Decodes at most `limit` instructions at `rip` (linear address `linear`, physical `physical`) into micro-ops at `at`.
 * Returns the end of what was emitted, or 0 with an exception pending (only when it is the first instruction's).
 */
export function decodeBlock(at: usize, rip: u64, linear: u64, physical: u64, limit: i32): usize {
  beginBlock(at);
  const gfn = physical >> 12;
  const start = <i32>(physical & 0xfff);
  if (!isMemory(gfn)) {
    // Code outside memory reads as all ones, which is #UD (FF /7).
    beginBytes(0, 0);
    beginInstruction(rip, 0);
    readPrefixes();
    emitFault(UD, -1);
    setDecoded(start, 0, -1, 0);
    return out;
  }
  const frame = frameOf(<u32>gfn);
  let offset = start;
  let lowest = start;
  let highest = start;
  let n = 0;
  let insnRip = rip;
  blockPage = linear & ~0xfff;
  codeBase = load<u32>(MODE) == MODE_64 ? 0 : load<u64>(REGS + SLOT_CS * 8);
  follows = MAX_FOLLOWS;
  while (!terminated) {
    const room = 0x1000 - offset;
    const inSegment = bytesInSegment(insnRip);
    beginBytes(frame + offset, min(min(room, MAX_LENGTH), inSegment));
    beginInstruction(insnRip, n);
    followed = false;
    decodeInstruction();
    if (overflow) {
      abandonInstruction();
      clearTerminated();
      if (room >= MAX_LENGTH || inSegment <= room) {
        beginInstruction(insnRip, n);
        emitFault(GP, 0);
        lowest = min(lowest, offset);
        highest = max(highest, offset + min(room, MAX_LENGTH));
        break;
      }
      if (n == 0) return decodeStraddling(frame, linear, start, rip, limit);
      // The straddling instruction gets a block of its own.
      beginInstruction(insnRip, n - 1);
      emitJump(insnRip);
      break;
    }
    n++;
    lowest = min(lowest, offset);
    offset += length();
    highest = max(highest, offset);
    insnRip = nextRip();
    if (terminated) break;
    if (followed) {
      insnRip = followTarget;
      offset = <i32>((followTarget + codeBase) & 0xfff);
    }
    if (n >= limit) {
      if (limit < 64) emitEnd(insnRip);
      else emitJump(insnRip);
      break;
    }
    if (offset >= 0x1000) {
      emitJump(insnRip);
      break;
    }
  }
  setDecoded(lowest, highest - lowest, -1, 0);
  finishOps(at);
  return out;
}

/** The one instruction at `rip`, whose bytes are in two pages. Returns 0 with an exception pending. */
function decodeStraddling(frame: usize, linear: u64, start: i32, rip: u64, limit: i32): usize {
  const room = 0x1000 - start;
  const second = fetchPage((linear & ~0xfff) + 0x1000);
  if (second < 0) return 0;
  memory.copy(STRADDLE, frame + start, room);
  if (isMemory(<u64>second)) memory.copy(STRADDLE + room, frameOf(<u32>second), MAX_LENGTH);
  else memory.fill(STRADDLE + room, 0xff, MAX_LENGTH);
  follows = 0;
  beginBytes(STRADDLE, min(MAX_LENGTH, bytesInSegment(rip)));
  beginInstruction(rip, 0);
  emit(Op.CHECK_PAGE, 0, 0, 0, 0, 0, <i32>second, 0);
  decodeInstruction();
  if (overflow) {
    abandonInstruction();
    beginInstruction(rip, 0);
    clearTerminated();
    emit(Op.CHECK_PAGE, 0, 0, 0, 0, 0, <i32>second, 0);
    emitFault(GP, 0);
  }
  if (!terminated) {
    if (limit == 1) emitEnd(nextRip());
    else emitJump(nextRip());
  }
  // What lies outside memory cannot change.
  const inSecond = max(length() - room, 1);
  setDecoded(start, room, isMemory(<u64>second) ? second : -1, inSecond);
  return out;
}

/** Jumps inside the page that a block goes on behind instead of ending there. */
const MAX_FOLLOWS: i32 = 2;
let follows: i32 = 0;
let followed: bool = false;
let followTarget: u64 = 0;

/** An unconditional jump to `target`: true if the block goes on there, so that nothing need be emitted. */
export function follow(target: u64): bool {
  if (follows == 0 || ((target + codeBase) & ~0xfff) != blockPage) return false;
  // A block's first op stands for the block's RIP.
  if (count() == 1) emit(Op.NOP, 0, 0, 0, 0, 0, 0, 0);
  follows--;
  followed = true;
  followTarget = target;
  return true;
}

/** Leaves the interpreter behind this instruction. */
function emitEnd(rip: u64): void {
  const n = count();
  const p = emitAt(Op.END, rip, n);
  store<u16>(p, <u16>n, 6);
  terminate();
}

/**
 * Replaces flag-setting codes by their twins where no one can see the flags. A micro-op that may fault or leave counts as
 * a reader: whoever handles the exception sees EFLAGS.
 */
function finishOps(block: usize): void {
  let ops = 0;
  let p = block;
  while (p < out && ops < OP_LIST_MAX) {
    store<u32>(OP_LIST + (ops++ << 2), <u32>p);
    p += isDouble(load<u16>(p)) ? OP_BYTES * 2 : OP_BYTES;
  }
  let live = true;
  for (let i = ops - 1; i >= 0; i--) {
    p = load<u32>(OP_LIST + (i << 2));
    const code = <i32>load<u16>(p);
    if (code >= GROUP_F) {
      live = !(code >= Op.CMPJ32_RR_B && code <= Op.ANDJ32_RR_NE && !(code >= Op.DECJ32_E && code <= Op.DECJ64_NE));
    } else if (code >= GROUP_E) {
      // touches no flags
    } else if (code >= GROUP_D) {
      live = false;
    } else if (!live) {
      store<u16>(p, <u16>(code + 1));
      if (code >= GROUP_C) live = true;
    } else {
      live = code >= GROUP_B;
    }
  }
  joinRuns(ops);
}

/** Replaces the first op of a run that has a case of its own by the run's code. OP_LIST holds the block's ops. */
function joinRuns(ops: i32): void {
  let i = 0;
  while (i + 1 < ops) {
    const p = <usize>load<u32>(OP_LIST + (i << 2));
    const q = <usize>load<u32>(OP_LIST + ((i + 1) << 2));
    const r: usize = i + 2 < ops ? <usize>load<u32>(OP_LIST + ((i + 2) << 2)) : 0;
    const run = fusionAt(p, q, r);
    if (run) {
      store<u16>(p, <u16>run);
      i += run >> 16;
    } else i++;
  }
}

/** For tests: decodes one instruction out of context. */
export function decodeLengthOf(source: usize, bytes: i32, forMode: u32): i32 {
  const saved = load<u32>(MODE);
  const limit = load<u32>(SEG + 12);
  store<u32>(MODE, forMode);
  store<u32>(SEG + 12, 0xffffffff); // where a branch leads does not matter here
  beginBlock(ARENA + 64);
  beginBytes(source, bytes);
  beginInstruction(0x1000, 0);
  blockPage = 0x1000;
  decodeInstruction();
  store<u32>(MODE, saved);
  store<u32>(SEG + 12, limit);
  if (overflow) return -1;
  return load<u16>(ARENA + 64) == Op.FAULT ? 0 : length();
}
