// Control and debug registers (SDM vol. 3A 2.5, 17.2).

import { DR6_BD, DR7_GD, breakpointsChanged, setDr6 } from "./breakpoints";
import { DB, GP, UD, raise, raiseNoError } from "./exception";
import { CR0, CR2, CR3, CR4, CR8, DR, EFER, MODE, MODE_64, PDPTE, SEG_TR } from "./layout";
import {
  CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME, PHYSICAL_BITS, flushAll, switchContext,
} from "./mmu";
import { frameOf, isMemory } from "./memory";
import { ATTR_L, attributesOf, updateMode } from "./segment";
import { FEATURE_FSGSBASE, offers } from "./cpuid";

const CR0_KNOWN: u64 = 0xe005003f;
const CR0_NW: u64 = 0x20000000;
const CR0_CD: u64 = 0x40000000;
const CR0_FIXED: u64 = 0x10; // ET
const CR4_PGE: u64 = 0x80;
/** TSD DE PSE PAE PGE OSFXSR OSXMMEXCPT, and FSGSBASE where offered. */
function cr4Known(): u64 {
  return 0x6bc | (offers(FEATURE_FSGSBASE) ? 0x10000 : 0);
}

/** Reserved bits of a PDPTE: 1, 2, 5-8 and those above the physical address. */
const PDPTE_RESERVED: u64 = 0x1e6 | ~(((<u64>1) << PHYSICAL_BITS) - 1);

/** Loads the four PDPTEs of PAE paging; false and #GP(0) if one is malformed (SDM vol. 3A 4.4.1). */
export function loadPdptes(cr3: u64): bool {
  const base = cr3 & 0xffffffe0;
  if (!isMemory(base >> 12)) return true;
  const at = frameOf(<u32>(base >> 12)) + <usize>(base & 0xfff);
  for (let i: usize = 0; i < 4; i++) {
    const e = load<u64>(at + i * 8);
    if (e & 1 && e & PDPTE_RESERVED) {
      raise(GP, 0);
      return false;
    }
  }
  // Translations through pointer entries that are others now are nobody's any more: no store to a table told so.
  let changed = false;
  for (let i: usize = 0; i < 32; i += 8) if (load<u64>(PDPTE + i) != load<u64>(at + i)) changed = true;
  memory.copy(PDPTE, at, 32);
  if (changed) flushAll();
  return true;
}

export function writeCr0(v: u64): i32 {
  if (v >> 32 || (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD))) return raise(GP, 0);
  v = (v & CR0_KNOWN) | CR0_FIXED;
  const old = load<u64>(CR0);
  const efer = load<u64>(EFER);
  if (v & CR0_PG && !(old & CR0_PG)) {
    if (efer & EFER_LME) {
      if (!(load<u64>(CR4) & CR4_PAE) || attributesOf(1) & ATTR_L) return raise(GP, 0);
      // A 16-bit TSS cannot be used there.
      if ((attributesOf(SEG_TR) & 0xd) == 1) return raise(GP, 0);
      store<u64>(EFER, efer | EFER_LMA);
    } else if (load<u64>(CR4) & CR4_PAE && !loadPdptes(load<u64>(CR3))) return 0;
  } else if (!(v & CR0_PG) && old & CR0_PG) {
    if (efer & EFER_LMA) {
      if (load<u32>(MODE) == MODE_64) return raise(GP, 0);
      store<u64>(EFER, efer & ~EFER_LMA);
    }
  }
  store<u64>(CR0, v);
  if ((old ^ v) & 0x80010001) flushAll(); // PG, WP, PE
  updateMode();
  return 1;
}

function writeCr4(v: u64): i32 {
  if (v & ~cr4Known()) return raise(GP, 0);
  const old = load<u64>(CR4);
  if (load<u64>(EFER) & EFER_LMA && !(v & CR4_PAE)) return raise(GP, 0);
  if (load<u64>(CR0) & CR0_PG && !(load<u64>(EFER) & EFER_LMA) && (old ^ v) & 0xb0 && v & CR4_PAE) {
    if (!loadPdptes(load<u64>(CR3))) return 0;
  }
  store<u64>(CR4, v);
  if ((old ^ v) & (0x30 | CR4_PGE)) flushAll();
  return 1;
}

export function writeCr3(v: u64): i32 {
  if (load<u64>(EFER) & EFER_LMA) {
    if (v >> PHYSICAL_BITS) return raise(GP, 0);
  } else {
    v &= 0xffffffff;
    if (load<u64>(CR0) & CR0_PG && load<u64>(CR4) & CR4_PAE && !loadPdptes(v)) return 0;
  }
  switchContext(v);
  return 1;
}

/** MOV from a control register. */
export function readControl(n: i32, at: usize): i32 {
  let v: u64;
  switch (n) {
    case 0: v = load<u64>(CR0); break;
    case 2: v = load<u64>(CR2); break;
    case 3: v = load<u64>(CR3); break;
    case 4: v = load<u64>(CR4); break;
    case 8: v = load<u32>(CR8); break;
    default: return raiseNoError(UD);
  }
  store<u64>(at, v);
  return 1;
}

export function writeControl(n: i32, v: u64): i32 {
  switch (n) {
    case 0: return writeCr0(v);
    case 2: store<u64>(CR2, v); return 1;
    case 3: return writeCr3(v);
    case 4: return writeCr4(v);
    case 8:
      if (v & ~15) return raise(GP, 0);
      store<u32>(CR8, <u32>v);
      return 1;
    default: return raiseNoError(UD);
  }
}

/** DR7.GD: any access to a debug register is #DB, and the handler may use them again (SDM vol. 3A 17.2.4). */
function generalDetect(): bool {
  if (!(load<u64>(DR + 56) & DR7_GD)) return false;
  setDr6(DR6_BD);
  store<u64>(DR + 56, load<u64>(DR + 56) & ~DR7_GD);
  raiseNoError(DB);
  return true;
}

/** DR4 and DR5 are DR6 and DR7 while CR4.DE is 0. */
function debugIndex(n: i32): i32 {
  if (n == 4 || n == 5) return load<u64>(CR4) & 8 ? -1 : n + 2;
  return n;
}

export function readDebug(n: i32, at: usize): i32 {
  const i = debugIndex(n);
  if (i < 0) return raiseNoError(UD);
  if (generalDetect()) return 0;
  store<u64>(at, load<u64>(DR + (<usize>i << 3)));
  return 1;
}

export function writeDebug(n: i32, v: u64): i32 {
  const i = debugIndex(n);
  if (i < 0) return raiseNoError(UD);
  if (generalDetect()) return 0;
  if (i == 6) {
    if (v >> 32) return raise(GP, 0);
    v = (v & 0xe00f) | 0xffff0ff0;
  } else if (i == 7) {
    if (v >> 32) return raise(GP, 0);
    v = (v & 0xffff2bff) | 0x400;
  }
  store<u64>(DR + (<usize>i << 3), v);
  if (breakpointsChanged()) flushAll();
  return 1;
}
