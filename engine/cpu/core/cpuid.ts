// CPUID: what the core has, and nothing it does not (SDM vol. 2A, CPUID).
//
// The processor calls itself an in-order Intel Atom: it does not speculate, and kernels then leave out the mitigations
// that only cost time here. It has fast string instructions (ERMS, FSRM), because a REP moves whole pages at a time.

import { CPU_MODEL, REGS, RAX, RCX, RDX } from "./layout";
import { PHYSICAL_BITS } from "./mmu";

export const FEATURE_SSE3: u32 = 1;
export const FEATURE_SSSE3: u32 = 2;
export const FEATURE_SSE41: u32 = 4;
export const FEATURE_SSE42: u32 = 8;
export const FEATURE_POPCNT: u32 = 0x10;
export const FEATURE_CX16: u32 = 0x20;
export const FEATURE_MOVBE: u32 = 0x40;
export const FEATURE_RDRAND: u32 = 0x80;
export const FEATURE_RDSEED: u32 = 0x100;
export const FEATURE_RDTSCP: u32 = 0x200;
export const FEATURE_FSGSBASE: u32 = 0x400;
export const FEATURE_LAHF: u32 = 0x800;

/** Does this processor offer the feature? */
export function offers(feature: u32): bool {
  return (load<u32>(CPU_MODEL) & feature) != 0;
}

const BASE_EDX: u32 =
  (1 << 0) | // FPU
  (1 << 3) | // PSE
  (1 << 4) | // TSC
  (1 << 5) | // MSR
  (1 << 6) | // PAE
  (1 << 8) | // CX8
  (1 << 11) | // SEP
  (1 << 13) | // PGE
  (1 << 15) | // CMOV
  (1 << 16) | // PAT
  (1 << 17) | // PSE36
  (1 << 19) | // CLFSH
  (1 << 23) | // MMX
  (1 << 24) | // FXSR
  (1 << 25) | // SSE
  (1 << 26); // SSE2

function bit(feature: u32, position: u32): u32 {
  return offers(feature) ? 1 << position : 0;
}

function set(a: u32, b: u32, c: u32, d: u32): void {
  store<u64>(RAX, <u64>a);
  store<u64>(REGS + 24, <u64>b);
  store<u64>(RCX, <u64>c);
  store<u64>(RDX, <u64>d);
}

/** Fills EAX, EBX, ECX, EDX for the leaf in EAX and sub-leaf in ECX. */
export function cpuid(): void {
  let leaf = load<u32>(RAX);
  const sub = load<u32>(RCX);
  // Beyond the last basic leaf, processors answer with the last one's data; ours has none to give.
  switch (leaf) {
    case 0: return set(13, 0x756e6547, 0x6c65746e, 0x49656e69); // GenuineIntel
    case 1: {
      const ecx =
        bit(FEATURE_SSE3, 0) | bit(FEATURE_SSSE3, 9) | bit(FEATURE_CX16, 13) | bit(FEATURE_SSE41, 19) |
        bit(FEATURE_SSE42, 20) | bit(FEATURE_MOVBE, 22) | bit(FEATURE_POPCNT, 23) | bit(FEATURE_RDRAND, 30);
      // Family 6, model 28, stepping 10; one logical processor; CLFLUSH of 64 bytes.
      return set(0x000106ca, 0x00010800, ecx, BASE_EDX);
    }
    case 7:
      if (sub != 0) return set(0, 0, 0, 0);
      return set(0, bit(FEATURE_FSGSBASE, 0) | (1 << 9) | bit(FEATURE_RDSEED, 18), 0, 1 << 4);
    case 0x80000000: return set(0x80000008, 0, 0, 0);
    case 0x80000001:
      return set(0, 0, bit(FEATURE_LAHF, 0), (1 << 11) | (1 << 20) | (1 << 26) | bit(FEATURE_RDTSCP, 27) | (1 << 29));
    case 0x80000002: return set(0x6e6e6578, 0x78207265, 0x362d3638, 0x6f632034); // "xenner x86-64 co"
    case 0x80000003: return set(0x00006572, 0, 0, 0); // "re"
    case 0x80000006: return set(0, 0, 0x02008140, 0);
    case 0x80000007: return set(0, 0, 0, 1 << 8); // invariant TSC
    case 0x80000008: return set((48 << 8) | <u32>PHYSICAL_BITS, 0, 0, 0);
    default: return set(0, 0, 0, 0);
  }
}
