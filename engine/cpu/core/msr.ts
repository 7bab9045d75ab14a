// Model-specific registers (SDM vol. 4). One that is not here is #GP(0), for reading and for writing.

import { GP, raise } from "./exception";
import {
  APIC_BASE, CR0, CSTAR, EFER, IDLE, INSTRUCTIONS, KERNEL_GS, LSTAR, MISC_ENABLE, PAT, REGS, SFMASK, SLOT_FS, SLOT_GS, STAR, SYSENTER_CS,
  SYSENTER_EIP, SYSENTER_ESP, TSC_AUX, TSC_OFFSET, RAX, RCX, RDX,
} from "./layout";
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, flushAll, isCanonical } from "./mmu";
import { FEATURE_RDTSCP, offers } from "./cpuid";

/** The time-stamp counter. INSTRUCTIONS must be exact. */
export function tsc(): u64 {
  return load<u64>(INSTRUCTIONS) + load<u64>(IDLE) + load<u64>(TSC_OFFSET);
}

/** Address where an MSR that is plain storage lives; 0 if it is not such a one. `canonical`: must hold an address. */
function storageOf(msr: u32): usize {
  switch (msr) {
    case 0x174: return SYSENTER_CS;
    case 0x175: return SYSENTER_ESP;
    case 0x176: return SYSENTER_EIP;
    case 0x277: return PAT;
    case 0xc0000081: return STAR;
    case 0xc0000082: return LSTAR;
    case 0xc0000083: return CSTAR;
    case 0xc0000084: return SFMASK;
    case 0xc0000100: return REGS + SLOT_FS * 8;
    case 0xc0000101: return REGS + SLOT_GS * 8;
    case 0xc0000102: return KERNEL_GS;
    case 0xc0000103: return offers(FEATURE_RDTSCP) ? TSC_AUX : 0;
    default: return 0;
  }
}

function holdsAddress(msr: u32): bool {
  return msr == 0x175 || msr == 0x176 || msr == 0xc0000082 || msr == 0xc0000083 || (msr >= 0xc0000100 && msr <= 0xc0000102);
}

/** Is the MSR in ECX one that a hypervisor would answer for: none of the processor's own, or the local APIC's base? */
export function isForHost(): bool {
  const msr = load<u32>(RCX);
  if (storageOf(msr)) return false;
  switch (msr) {
    case 0x10: case 0x17: case 0x3a: case 0x79: case 0x8b: case 0x1a0: case 0x1d9: case 0xc0000080: return false;
    default: return true;
  }
}

/** Reads the MSR in ECX into EDX:EAX. */
export function readMsr(): i32 {
  const msr = load<u32>(RCX);
  const at = storageOf(msr);
  let v: u64;
  if (at) v = load<u64>(at);
  else {
    switch (msr) {
      case 0x10: v = tsc(); break;
      case 0x1b: v = load<u64>(APIC_BASE); break;
      case 0x17: case 0x8b: case 0x1d9: v = 0; break; // platform id, microcode revision, DEBUGCTL
      case 0x3a: v = 1; break; // feature control, locked
      case 0x1a0: v = load<u64>(MISC_ENABLE); break;
      case 0xc0000080: v = load<u64>(EFER); break;
      default: return raise(GP, 0);
    }
  }
  store<u64>(RAX, v & 0xffffffff);
  store<u64>(RDX, v >> 32);
  return 1;
}

const EFER_KNOWN: u64 = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

function patValid(v: u64): bool {
  for (let i: u64 = 0; i < 8; i++) {
    const t = (v >> (i * 8)) & 0xff;
    if (t > 7 || t == 2 || t == 3) return false;
  }
  return true;
}

/** Writes EDX:EAX to the MSR in ECX. */
export function writeMsr(): i32 {
  const msr = load<u32>(RCX);
  const v = <u64>load<u32>(RAX) | (<u64>load<u32>(RDX) << 32);
  const at = storageOf(msr);
  if (at) {
    if (holdsAddress(msr) && !isCanonical(v)) return raise(GP, 0);
    if (msr == 0x277 && !patValid(v)) return raise(GP, 0);
    if (msr == 0xc0000103 && v >> 32) return raise(GP, 0);
    store<u64>(at, msr == 0xc0000084 || msr == 0xc0000103 || msr == 0x174 ? v & 0xffffffff : v);
    return 1;
  }
  switch (msr) {
    case 0x10:
      store<u64>(TSC_OFFSET, v - load<u64>(INSTRUCTIONS) - load<u64>(IDLE));
      return 1;
    case 0x1b:
      store<u64>(APIC_BASE, v);
      return 1;
    case 0x1a0:
      store<u64>(MISC_ENABLE, v);
      return 1;
    case 0x8b: case 0x79: case 0x1d9: return 1;
    case 0xc0000080: {
      if (v & ~EFER_KNOWN) return raise(GP, 0);
      const old = load<u64>(EFER);
      if ((old ^ v) & EFER_LME && load<u64>(CR0) & CR0_PG) return raise(GP, 0);
      store<u64>(EFER, (v & ~EFER_LMA) | (old & EFER_LMA));
      flushAll();
      return 1;
    }
    default: return raise(GP, 0);
  }
}
