/* The CPUID leaves of an HVM guest: xen/include/public/arch-x86/cpuid.h, and what the platform adds to the processor's. */

import { CORE_TSC } from "../abi.ts";
import { GUEST_DOMID } from "../domain-builder.ts";

export interface CpuidResult {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

export const XEN_CPUID_BASE = 0x40000000;
const XEN_CPUID_LAST = XEN_CPUID_BASE + 4;
/** "XenVMMXenVMM". */
export const SIGNATURE = { ebx: 0x566e6558, ecx: 0x65584d4d, edx: 0x4d4d566e } as const;
/** Xen 4.17, as XENVER_version. */
export const XEN_VERSION = 0x0004_0011;
/** The MSR that fills a hypercall page: the only one of Xen's. */
export const HYPERCALL_MSR = 0x40000000;
export const HYPERCALL_PAGES = 2;
/** XEN_HVM_CPUID_X2APIC_VIRT is not set: Linux would take it to mean posted interrupts. */
const HVM_FEATURES = (1 << 3) | (1 << 4) | (1 << 6);

const LEAF1_EDX_APIC = 1 << 9;
const LEAF1_ECX_X2APIC = 1 << 21;
const LEAF1_ECX_HYPERVISOR = 1 << 31;

/** The answer to a leaf: `own` is what the processor itself says. */
export function cpuidOf(leaf: number, subleaf: number, own: CpuidResult): CpuidResult {
  if (leaf === 1) {
    return {
      ...own,
      ecx: own.ecx | LEAF1_ECX_X2APIC | LEAF1_ECX_HYPERVISOR,
      edx: own.edx | LEAF1_EDX_APIC,
    };
  }
  // Extended topology: one thread, one core, x2APIC id 0.
  if (leaf === 0xb)
    return {
      eax: 0,
      ebx: subleaf < 2 ? 1 : 0,
      ecx: subleaf < 2 ? ((subleaf + 1) << 8) | subleaf : subleaf,
      edx: 0,
    };
  return xenLeaf(leaf, subleaf) ?? own;
}

const NOTHING: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

function xenLeaf(leaf: number, subleaf: number): CpuidResult | undefined {
  const { tscToSystemMul, tscShift, tscKhz } = CORE_TSC;
  switch (leaf) {
    case XEN_CPUID_BASE:
      return { eax: XEN_CPUID_LAST, ...SIGNATURE };
    case XEN_CPUID_BASE + 1:
      return { ...NOTHING, eax: XEN_VERSION };
    case XEN_CPUID_BASE + 2:
      return { eax: HYPERCALL_PAGES, ebx: HYPERCALL_MSR, ecx: 0, edx: 0 };
    case XEN_CPUID_BASE + 3:
      // The host's TSC is reliable; no emulation (tsc_mode 2).
      if (subleaf === 0) return { eax: 2, ebx: 2, ecx: tscKhz, edx: 0 };
      if (subleaf === 1) return { eax: 0, ebx: 0, ecx: tscToSystemMul, edx: tscShift };
      return subleaf === 2 ? { ...NOTHING, eax: tscKhz } : NOTHING;
    case XEN_CPUID_LAST:
      return subleaf === 0 ? { eax: HVM_FEATURES, ebx: 0, ecx: GUEST_DOMID, edx: 0 } : NOTHING;
    default:
      return undefined;
  }
}
