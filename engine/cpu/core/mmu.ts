// Linear to guest-physical translation, its caches, and every access the interpreter does not make inline.
//
// Three TLBs (read, write, fetch) of 1024 direct-mapped entries. An entry's tag is page | context << 1 | user, so a CR3
// switch changes only the tag. An entry in the write TLB promises that a store needs no further look: the page is
// writable, its D bit is set, it is marked dirty, no code was decoded from it and no translation was read from it.
//
// Translations of a context that is not current survive until somebody writes a page-table entry they came from: every
// page-table page read by a walk remembers which contexts used it; a write over a present entry makes those contexts
// stale. The current one is flushed at once, another when it is next loaded. So MOV to CR3 keeps its documented effect
// (SDM vol. 3A 4.10.4.1) without flushing, and no translation ever outlives the entries it came from: what the TLBs hold,
// when they are flushed, by whom, cannot be seen by the guest. Checkpoints, evictions and the ends of slices flush them.
//
// Alignment checks cost the hot path nothing: while they are armed (CR0.AM, EFLAGS.AC, CPL 3) TAG is one that no entry
// has, so that every inline look-up misses and comes by `readable` and `writable`, where the address is looked at.

import { writeToCode } from "./blocks";
import { isWatched, noteAccess, watching } from "./breakpoints";
import { deviceRead, deviceWrite, isDevice } from "./device";
import { ACV, raise, raiseNonCanonical, raisePageFault } from "./exception";
import { AC } from "./flags";
import {
  BOUNCE, CONTEXTS, CONTEXT_COUNT, CPL, CR0, CR3, CR4, EFER, JUMPS, JUMPS_BYTES, MODE, MODE_64, NOWHERE_READ, NOWHERE_WRITE,
  PDPTE, SYSFLAGS, TAG, TAG_HIGH, TLB_BYTES, TLB_MASK, TLB_R, TLB_W, TLB_X,
} from "./layout";
import { codeMapOf, frameOf, isMemory, isResident, markDirty, ownerOf, pin, setTableUsers, tableUsersOf } from "./memory";

export const ACCESS_READ: i32 = 0;
export const ACCESS_WRITE: i32 = 1;
export const ACCESS_FETCH: i32 = 2;

export const CR0_PE: u64 = 1;
export const CR0_MP: u64 = 2;
export const CR0_EM: u64 = 4;
export const CR0_TS: u64 = 8;
export const CR0_WP: u64 = 0x10000;
export const CR0_AM: u64 = 0x40000;
export const CR0_PG: u64 = 0x80000000;
export const CR4_PSE: u64 = 0x10;
export const CR4_PAE: u64 = 0x20;
export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;
export const EFER_NXE: u64 = 0x800;

const PTE_P: u64 = 1;
const PTE_RW: u64 = 2;
const PTE_US: u64 = 4;
const PTE_A: u64 = 0x20;
const PTE_D: u64 = 0x40;
const PTE_PS: u64 = 0x80;
const PTE_NX: u64 = 0x8000000000000000;
const PTE_ADDRESS: u64 = 0x000ffffffffff000;

const PF_P: i32 = 1;
const PF_W: i32 = 2;
const PF_U: i32 = 4;
const PF_RSVD: i32 = 8;
const PF_I: i32 = 16;

/** Physical address bits offered by CPUID 80000008. */
export const PHYSICAL_BITS: u64 = 40;
const PTE_RESERVED: u64 = 0x000ffffffffff000 & ~((<u64>1 << PHYSICAL_BITS) - 1);

/** Bits 52-62: ignored by 4-level paging, reserved by PAE paging (SDM vol. 3A tables 4-10, 4-11). */
const PTE_RESERVED_PAE: u64 = 0x7ff0000000000000;

/** Index of the current context in CONTEXTS. */
let context: i32 = 0;
let nextContext: i32 = 0;
let nextTag: u32 = 1;
/** Virtual range mapped by large pages so far: INVLPG inside it flushes the whole context. */
let largeLow: u64 = 0xffffffffffffffff;
let largeHigh: u64 = 0;

function flushArrays(): void {
  memory.fill(TLB_R, 0xff, TLB_BYTES * 3);
  memory.fill(JUMPS, 0xff, JUMPS_BYTES);
}

/** Tag of the present context in the TLBs, without the user bit. */
let contextTag: u64 = 0;
/** Are alignment checks armed? */
export let alignmentArmed: bool = false;
/** Context 0 is nobody's, so no entry has this tag. */
const TAG_ARMED: u64 = 1;

/** Call whenever CPL, MODE, CR0.AM, EFLAGS.AC or the context has changed. */
function setTags(): void {
  const tag = <u64>load<u32>(CONTEXTS + (context << 4) + 8) << 1;
  const user: u64 = load<u32>(CPL) == 3 ? 1 : 0;
  contextTag = tag;
  alignmentArmed = user != 0 && (load<u32>(SYSFLAGS) & AC) != 0 && (load<u64>(CR0) & CR0_AM) != 0;
  store<u64>(TAG, alignmentArmed ? TAG_ARMED : tag | user);
  store<u64>(TAG_HIGH, ((tag | user) << 48) | (<u64>load<u32>(MODE) << 60));
}

function freshTag(): void {
  // The last tag of all, for a user, would look like an empty entry's.
  if (nextTag == 2047) {
    flushAll();
    return;
  }
  const at = CONTEXTS + (context << 4);
  store<u32>(at + 8, nextTag++);
  store<u32>(at + 12, 0);
}

/** Forgets every translation and every context. */
export function flushAll(): void {
  flushArrays();
  memory.fill(CONTEXTS, 0, CONTEXT_COUNT * 16);
  largeLow = 0xffffffffffffffff;
  largeHigh = 0;
  nextTag = 2;
  context = 0;
  store<u64>(CONTEXTS, load<u64>(CR3));
  store<u32>(CONTEXTS + 8, 1);
  setTags();
}

/** Call after CPL, MODE or EFLAGS.AC changed. */
export function modeChanged(): void {
  setTags();
}

/** MOV to CR3: the translations of the new address space, flushed unless still true. */
export function switchContext(cr3: u64): void {
  store<u64>(CR3, cr3);
  for (let i = 0; i < CONTEXT_COUNT; i++) {
    const at = CONTEXTS + (i << 4);
    if (load<u32>(at + 8) != 0 && load<u64>(at) == cr3) {
      context = i;
      if (load<u32>(at + 12)) freshTag();
      setTags();
      return;
    }
  }
  nextContext = (nextContext + 1) & (CONTEXT_COUNT - 1);
  if (nextContext == context) nextContext = (nextContext + 1) & (CONTEXT_COUNT - 1);
  context = nextContext;
  store<u64>(CONTEXTS + (context << 4), cr3);
  freshTag();
  setTags();
}

// @ts-ignore: decorator
@inline export function tlbOffset(va: u64): usize {
  return (<usize>((va >> 12) & TLB_MASK)) << 4;
}

/** INVLPG. */
export function invalidatePage(va: u64): void {
  if (va >= largeLow && va <= largeHigh) {
    freshTag();
    setTags();
    return;
  }
  const e = tlbOffset(va);
  store<i64>(e, -1, TLB_R);
  store<i64>(e, -1, TLB_W);
  store<i64>(e, -1, TLB_X);
  memory.fill(JUMPS + ((<usize>(va >> 12) & 127) << 10), 0xff, 1024);
}

/** The write TLB promises pages to be marked dirty: call after the marks were cleared. */
export function flushWrites(): void {
  memory.fill(TLB_W, 0xff, TLB_BYTES);
}

/** Call when a page begins to hold code or page tables: stores to it must be seen. */
export function watchPage(gfn: u32): void {
  if (!isResident(gfn)) return; // nothing in the write TLB leads to it
  // Entries are tagged by linear page, so the few that may map this frame are found by their frame's address.
  const frame = <u32>frameOf(gfn);
  for (let e: usize = TLB_W; e < TLB_W + TLB_BYTES; e += 16) {
    const tag = load<u64>(e);
    if (<u32>(tag & ~0xfff) + load<u32>(e, 8) == frame) store<i64>(e, -1);
  }
}

/** A store into a page of page tables is about to overwrite `size` bytes at physical address `pa`. */
function writeToTable(gfn: u32, frame: usize, pa: u64, size: i32): void {
  const first = <usize>(pa & 0xff8);
  const last = <usize>((pa + <u64>size - 1) & 0xff8);
  for (let o = first; o <= last; o += 8) {
    // 32-bit tables have two entries in these 8 bytes; looking at both P bits is only too careful.
    const old = load<u64>(frame + o);
    if (old & 0x0000000100000001) {
      const users = tableUsersOf(gfn);
      for (let i = 0; i < CONTEXT_COUNT; i++) {
        if ((users >> i) & 1) store<u32>(CONTEXTS + (i << 4) + 12, 1);
      }
      setTableUsers(gfn, 0);
      if ((users >> context) & 1) {
        freshTag();
        setTags();
      }
      return;
    }
  }
}

/** Reads a page-table entry and remembers who did. Returns 0 (not present) outside memory. */
function readEntry(pa: u64, wide: bool): u64 {
  const gfn = pa >> 12;
  if (!isMemory(gfn)) return 0;
  const users = tableUsersOf(<u32>gfn);
  const bit: u32 = 1 << context;
  if (!(users & bit)) {
    if (users == 0) watchPage(<u32>gfn);
    setTableUsers(<u32>gfn, users | bit);
  }
  const at = frameOf(<u32>gfn) + <usize>(pa & 0xfff);
  return wide ? load<u64>(at) : <u64>load<u32>(at);
}

function setEntryBits(pa: u64, bits: u32): void {
  const gfn = <u32>(pa >> 12);
  const at = frameOf(gfn) + <usize>(pa & 0xfff);
  store<u32>(at, load<u32>(at) | bits);
  markDirty(gfn);
}

/** Result of the last successful walk: was the page large? */
let walkedLarge: bool = false;

function pageFault(va: u64, access: i32, user: bool, code: i32): u64 {
  let error = code;
  if (access == ACCESS_WRITE) error |= PF_W;
  if (user) error |= PF_U;
  // The I bit is reported only where NX exists (SDM vol. 3A 4.7).
  if (access == ACCESS_FETCH && (load<u64>(EFER) & EFER_NXE) && (load<u64>(CR4) & CR4_PAE)) error |= PF_I;
  raisePageFault(va, error);
  return WALK_FAULT;
}

export const WALK_FAULT: u64 = 0xffffffffffffffff;

/**
 * Walks the page tables for one byte address (SDM vol. 3A 4.3-4.5), setting A and D. Returns the physical address, or
 * WALK_FAULT with the exception pending.
 */
export function walk(va: u64, access: i32, user: bool): u64 {
  const cr0 = load<u64>(CR0);
  walkedLarge = false;
  if (!(cr0 & CR0_PG)) return va & 0xffffffff;
  const cr4 = load<u64>(CR4);
  const efer = load<u64>(EFER);
  if (!(cr4 & CR4_PAE)) return walk32(va, access, user);
  const nxe = (efer & EFER_NXE) != 0;
  let level: i32;
  let table: u64;
  let allow: u64 = PTE_RW | PTE_US;
  let deny: u64 = 0; // NX of any level
  const long = (efer & EFER_LMA) != 0;
  if (long) {
    level = 3;
    table = load<u64>(CR3) & PTE_ADDRESS;
  } else {
    const e = load<u64>(PDPTE + ((<usize>(va >> 30) & 3) << 3));
    if (!(e & PTE_P)) return pageFault(va, access, user, 0);
    level = 1;
    table = e & PTE_ADDRESS;
  }
  let at: u64;
  let e: u64;
  for (;;) {
    at = table + (((va >> (12 + 9 * <u64>level)) & 511) << 3);
    e = readEntry(at, true);
    if (!(e & PTE_P)) return pageFault(va, access, user, 0);
    let reserved = e & PTE_RESERVED;
    if (!nxe) reserved |= e & PTE_NX;
    if (level == 3) reserved |= e & PTE_PS;
    if (!long) reserved |= e & PTE_RESERVED_PAE;
    const large = level > 0 && level < 3 && (e & PTE_PS) != 0;
    if (large) reserved |= e & (((<u64>1 << (9 * <u64>level)) - 2) << 12);
    if (reserved) return pageFault(va, access, user, PF_P | PF_RSVD);
    allow &= e;
    deny |= e & PTE_NX;
    if (level == 0 || large) break;
    if (!(e & PTE_A)) setEntryBits(at, <u32>PTE_A);
    table = e & PTE_ADDRESS;
    level--;
  }
  if (user && !(allow & PTE_US)) return pageFault(va, access, user, PF_P);
  if (access == ACCESS_WRITE && !(allow & PTE_RW) && (user || cr0 & CR0_WP)) return pageFault(va, access, user, PF_P);
  if (access == ACCESS_FETCH && deny) return pageFault(va, access, user, PF_P);
  const bits: u64 = access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
  if ((e & bits) != bits) setEntryBits(at, <u32>bits);
  const offsetMask = (<u64>1 << (12 + 9 * <u64>level)) - 1;
  walkedLarge = level > 0;
  return (e & PTE_ADDRESS & ~offsetMask) | (va & offsetMask);
}

/** 32-bit paging with 4 MiB pages (SDM vol. 3A 4.3). */
function walk32(va: u64, access: i32, user: bool): u64 {
  const pdeAt = (load<u64>(CR3) & 0xfffff000) + (((va >> 22) & 1023) << 2);
  const pde = readEntry(pdeAt, false);
  if (!(pde & PTE_P)) return pageFault(va, access, user, 0);
  let allow = pde;
  let at = pdeAt;
  let e = pde;
  let mask: u64 = 0x3fffff;
  let base: u64;
  if (pde & PTE_PS && load<u64>(CR4) & CR4_PSE) {
    if (pde & 0x200000) return pageFault(va, access, user, PF_P | PF_RSVD);
    base = (pde & 0xffc00000) | (((pde >> 13) & 0xff) << 32);
    walkedLarge = true;
  } else {
    at = (pde & 0xfffff000) + (((va >> 12) & 1023) << 2);
    e = readEntry(at, false);
    if (!(e & PTE_P)) return pageFault(va, access, user, 0);
    allow &= e;
    mask = 0xfff;
    base = e & 0xfffff000;
  }
  if (user && !(allow & PTE_US)) return pageFault(va, access, user, PF_P);
  if (access == ACCESS_WRITE && !(allow & PTE_RW) && (user || load<u64>(CR0) & CR0_WP)) {
    return pageFault(va, access, user, PF_P);
  }
  if (mask == 0xfff && !(pde & PTE_A)) setEntryBits(pdeAt, <u32>PTE_A);
  const bits: u64 = access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
  if ((e & bits) != bits) setEntryBits(at, <u32>bits);
  return base | (va & mask);
}

// @ts-ignore: decorator
@inline export function isCanonical(va: u64): bool {
  return <u64>((<i64>(va << 16)) >> 16) == va;
}

/** Translates one byte address with the present privilege; fills the TLB. Returns WALK_FAULT with an exception pending. */
function translate(va: u64, access: i32, user: bool): u64 {
  if (load<u32>(MODE) == MODE_64) {
    if (!isCanonical(va)) {
      raiseNonCanonical();
      return WALK_FAULT;
    }
  }
  const pa = walk(va, access, user);
  if (pa == WALK_FAULT) return pa;
  if (walkedLarge) {
    // As if every large page were one of 1 GiB: any address in it must find it.
    const page = va & ~0x3fffffff;
    if (page < largeLow) largeLow = page;
    if ((page | 0x3fffffff) > largeHigh) largeHigh = page | 0x3fffffff;
  }
  return pa;
}

function fill(array: usize, va: u64, frame: usize, tag: u64): void {
  if (watching && isWatched(va)) return;
  const e = array + tlbOffset(va);
  store<u64>(e, (va & ~0xfff) | tag);
  store<u32>(e, <u32>frame - <u32>(va & ~0xfff), 8);
}

/** The physical address last found to be outside memory. */
let nowhere: u64 = 0;

/** Host address of a readable byte, or 0 with an exception pending. Outside memory reads as all ones. */
function hostRead(va: u64, user: bool): usize {
  const e = TLB_R + tlbOffset(va);
  if (load<u64>(e) == ((va & ~0xfff) | contextTag | <u64>user)) {
    const known = <usize>(<u32>va + load<u32>(e, 8));
    pin(known & ~0xfff);
    return known;
  }
  const pa = translate(va, ACCESS_READ, user);
  if (pa == WALK_FAULT) return 0;
  const gfn = pa >> 12;
  if (!isMemory(gfn)) {
    nowhere = pa;
    memory.fill(NOWHERE_READ, 0xff, 0x1000);
    return NOWHERE_READ;
  }
  const frame = frameOf(<u32>gfn);
  fill(TLB_R, va, frame, contextTag | <u64>user);
  return frame + <usize>(va & 0xfff);
}

/** Host address of a writable byte of `size` bytes in one page, or 0 with an exception pending. */
function hostWrite(va: u64, size: i32, user: bool): usize {
  const e = TLB_W + tlbOffset(va);
  if (load<u64>(e) == ((va & ~0xfff) | contextTag | <u64>user)) {
    const known = <usize>(<u32>va + load<u32>(e, 8));
    pin(known & ~0xfff);
    return known;
  }
  const pa = translate(va, ACCESS_WRITE, user);
  if (pa == WALK_FAULT) return 0;
  const gfn64 = pa >> 12;
  if (!isMemory(gfn64)) {
    nowhere = pa;
    memory.fill(NOWHERE_WRITE, 0xff, 0x1000); // what is written there vanishes
    return NOWHERE_WRITE;
  }
  const gfn = <u32>gfn64;
  const frame = frameOf(gfn);
  markDirty(gfn);
  let plain = true;
  if (codeMapOf(gfn)) {
    writeToCode(gfn, <u32>pa & 0xfff, size);
    if (codeMapOf(gfn)) plain = false;
  }
  if (tableUsersOf(gfn)) {
    writeToTable(gfn, frame, pa, size);
    if (tableUsersOf(gfn)) plain = false;
  }
  if (plain) fill(TLB_W, va, frame, contextTag | <u64>user);
  return frame + <usize>(va & 0xfff);
}

// @ts-ignore: decorator
@inline function isUser(): bool {
  return load<u32>(CPL) == 3;
}

/** Truncates the second half of an access that wraps round the 32-bit linear address space. */
// @ts-ignore: decorator
@inline function wrap(va: u64): u64 {
  return load<u32>(MODE) == MODE_64 ? va : va & 0xffffffff;
}

/** An access that reaches into the non-canonical hole is #GP or #SS as a whole. */
function spanCanonical(ea: u64, size: i32): bool {
  if (load<u32>(MODE) != MODE_64 || (isCanonical(ea) && isCanonical(ea + <u64>size - 1))) return true;
  raiseNonCanonical();
  return false;
}

/** `size` contiguous readable bytes at linear address `ea` for a given privilege: see `readable`. */
export function readableAs(ea: u64, size: i32, user: bool): usize {
  const room = 0x1000 - <i32>(ea & 0xfff);
  if (size <= room) return hostRead(ea, user);
  if (!spanCanonical(ea, size)) return 0;
  const first = hostRead(ea, user);
  if (!first) return 0;
  memory.copy(BOUNCE + 0x100, first, room);
  const second = hostRead(wrap(ea + <u64>room), user);
  if (!second) return 0;
  memory.copy(BOUNCE + 0x100 + room, second, size - room);
  return BOUNCE + 0x100;
}

/** Where the bounced write of `writableAs` goes when it is done. */
let bounceFirst: usize = 0;
let bounceSecond: usize = 0;
let bounceRoom: i32 = 0;
let bounceSize: i32 = 0;
export const BOUNCE_WRITE: usize = BOUNCE + 0x300;

export function writableAs(ea: u64, size: i32, user: bool): usize {
  const room = 0x1000 - <i32>(ea & 0xfff);
  if (size <= room) return hostWrite(ea, size, user);
  if (!spanCanonical(ea, size)) return 0;
  // Both halves must be writable before either is written.
  const first = hostWrite(ea, room, user);
  if (!first) return 0;
  const second = hostWrite(wrap(ea + <u64>room), size - room, user);
  if (!second) return 0;
  bounceFirst = first;
  bounceSecond = second;
  bounceRoom = room;
  bounceSize = size;
  memory.copy(BOUNCE_WRITE, first, room);
  memory.copy(BOUNCE_WRITE + room, second, size - room);
  return BOUNCE_WRITE;
}

/**
 * The alignment an access of `size` bytes must have (SDM vol. 3A table 6-7), less one. Operands of 16 bytes that may lie
 * anywhere, such as MOVUPS's, are held to 16 as on silicon.
 */
function alignmentMask(size: i32): u64 {
  switch (size) {
    case 1: return 0;
    case 2: return 1;
    case 4: case 6: case 28: case 108: return 3; // 6: far pointers and descriptor tables; 28 and 108: x87 environment and state
    case 14: case 94: return 1;
    case 16: return 15;
    default: return size > 16 ? 3 : 7;
  }
}

/** False, with #AC(0) or what comes before it pending, if the access is one that alignment checks refuse. */
function checkAlignment(ea: u64, size: i32): bool {
  if (!(ea & alignmentMask(size)) || !spanCanonical(ea, size)) return (ea & alignmentMask(size)) == 0;
  raise(ACV, 0);
  return false;
}

/** May an operand that is accessed in parts lie at `ea`? False with #AC(0) pending; true while nothing is armed. */
export function isAligned(ea: u64, size: i32): bool {
  return !alignmentArmed || checkAlignment(ea, size);
}

/**
 * Host pointer to `size` (at most 512) contiguous readable bytes at linear address `ea`: the frame itself, or a bounce
 * buffer when the access crosses a page. 0 when an exception is pending.
 */
export function readable(ea: u64, size: i32): usize {
  if (alignmentArmed && !checkAlignment(ea, size)) return 0;
  if (watching) noteAccess(ea, size, false);
  const h = readableAs(ea, size, isUser());
  return h == NOWHERE_READ && isDevice(nowhere, size) ? deviceRead(nowhere) : h;
}

/** Likewise for writing, contents preloaded for read-modify-write; call `writeDone` with the pointer after storing. */
export function writable(ea: u64, size: i32): usize {
  if (alignmentArmed && !checkAlignment(ea, size)) return 0;
  if (watching) noteAccess(ea, size, true);
  const h = writableAs(ea, size, isUser());
  return h == NOWHERE_WRITE && isDevice(nowhere, size) ? deviceWrite(nowhere, size) : h;
}

/** The walk for the second half of a write may have cached what the first half is about to overwrite. */
function bouncedToTable(at: usize, size: i32): void {
  const gfn = ownerOf(at);
  if (gfn >= 0 && tableUsersOf(<u32>gfn)) writeToTable(<u32>gfn, at & ~0xfff, at & 0xfff, size);
}

export function writeDone(ptr: usize): void {
  if (ptr != BOUNCE_WRITE) return;
  bouncedToTable(bounceFirst, bounceRoom);
  bouncedToTable(bounceSecond, bounceSize - bounceRoom);
  memory.copy(bounceFirst, BOUNCE_WRITE, bounceRoom);
  memory.copy(bounceSecond, BOUNCE_WRITE + bounceRoom, bounceSize - bounceRoom);
}

/** Physical address of the instruction byte at linear address `va`, or WALK_FAULT. Fills the fetch TLB. */
export function fetchPhysical(va: u64): u64 {
  const user = isUser();
  const pa = translate(va, ACCESS_FETCH, user);
  if (pa == WALK_FAULT) return pa;
  const e = TLB_X + tlbOffset(va);
  store<u64>(e, (va & ~0xfff) | contextTag | <u64>user);
  store<u32>(e, <u32>(pa >> 12), 8); // the fetch TLB holds guest page numbers, which outlive frames
  return pa;
}

/** Guest page number of the code page of `va`, from the fetch TLB or a walk; -1 with an exception pending. */
export function fetchPage(va: u64): i64 {
  const e = TLB_X + tlbOffset(va);
  if (load<u64>(e) == ((va & ~0xfff) | contextTag | <u64>isUser())) return <i64>load<u32>(e, 8);
  const pa = fetchPhysical(va);
  return pa == WALK_FAULT ? -1 : <i64>(pa >> 12);
}
