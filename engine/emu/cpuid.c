/*
 * CPUID for a PV guest: the processor's own answer without the features that ring 3 cannot have, and Xen's leaves
 * (xen/include/public/arch-x86/cpuid.h).
 */
#include "emu.h"

#define BIT(n) (1u << (n))

/* Leaf 1: SDM vol. 2A, CPUID. */
#define LEAF1_EDX_HIDDEN                                                                                             \
    (BIT(1) /* VME */ | BIT(3) /* PSE */ | BIT(7) /* MCE */ | BIT(12) /* MTRR */ | BIT(13) /* PGE */ |              \
     BIT(14) /* MCA */ | BIT(17) /* PSE36 */ | BIT(22) /* ACPI */ | BIT(28) /* HTT */ | ALSO_HIDDEN_LEAF1_EDX)
/* All guests of Xen see it (xen/include/public/arch-x86/cpufeatureset.h). A PV kernel takes it for leave to interrupt itself. */
#define LEAF1_EDX_APIC BIT(9)
#define LEAF1_ECX_HIDDEN                                                                                             \
    (BIT(2) /* DTES64 */ | BIT(3) /* MONITOR */ | BIT(4) /* DS-CPL */ | BIT(5) /* VMX */ | BIT(6) /* SMX */ |       \
     BIT(7) /* EIST */ | BIT(8) /* TM2 */ | BIT(12) /* FMA */ | BIT(15) /* PDCM */ | BIT(17) /* PCID */ |           \
     BIT(21) /* x2APIC */ | BIT(24) /* TSC deadline */ | BIT(26) /* XSAVE */ | BIT(27) /* OSXSAVE */ |              \
     BIT(28) /* AVX */ | BIT(29) /* F16C */)
#define LEAF1_ECX_HYPERVISOR BIT(31)
/* Leaf 7 offers only what needs neither a control register nor wider vectors. */
#define LEAF7_EBX_SHOWN                                                                                              \
    (BIT(3) /* BMI1 */ | BIT(8) /* BMI2 */ | BIT(9) /* ERMS */ | BIT(18) /* RDSEED */ | BIT(19) /* ADX */ |         \
     BIT(23) /* CLFLUSHOPT */ | BIT(29) /* SHA */)
#define LEAF7_EDX_SHOWN BIT(4) /* FSRM */
#define EXTENDED1_EDX_HIDDEN                                                                                         \
    (BIT(1) | BIT(3) | BIT(7) | BIT(9) | BIT(12) | BIT(13) | BIT(14) | BIT(17) /* as in leaf 1 */ |                 \
     BIT(26) /* 1 GiB pages */ | ALSO_HIDDEN_EXTENDED1_EDX)
#define EXTENDED1_ECX_SHOWN                                                                                          \
    (BIT(0) /* LAHF */ | BIT(5) /* LZCNT */ | BIT(6) /* SSE4A */ | BIT(7) /* misaligned SSE */ | BIT(8) /* PREFETCHW */)

#define XEN_LEAVES 0x40000000
#define XEN_LAST_LEAF 0x40000005
#define XEN_VERSION 0x00040011 /* 4.17 */
#define XEN_FEATURE_PRESERVE_AD BIT(0)
#define HYPERCALL_MSR 0x40000000

static void xen_leaf(u32 leaf, u32 subleaf, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
    switch (leaf) {
    case XEN_LEAVES: /* "XenVMMXenVMM" */
        *eax = XEN_LAST_LEAF;
        *ebx = 0x566e6558;
        *ecx = 0x65584d4d;
        *edx = 0x4d4d566e;
        return;
    case XEN_LEAVES + 1:
        *eax = XEN_VERSION;
        return;
    case XEN_LEAVES + 2: /* hypercall pages */
        *eax = 1;
        *ebx = HYPERCALL_MSR;
        *ecx = XEN_FEATURE_PRESERVE_AD;
        return;
    case XEN_LEAVES + 3: /* the TSC is constant and native */
        if (subleaf == 0) {
            *ecx = boot.tsc_khz;
        } else if (subleaf == 1) {
            *ecx = boot.tsc_to_system_mul;
            *edx = (u32)boot.tsc_shift & 0xff;
        } else if (subleaf == 2) {
            *eax = boot.tsc_khz;
        }
        return;
    case XEN_LEAVES + 5: /* machine address width */
        *ebx = 64 - (u32)__builtin_clzll(boot.machine_pages - 1) + PAGE_SHIFT;
        return;
    }
}

/* eax and ecx name leaf and subleaf. */
void guest_cpuid(u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
    u32 leaf = *eax, subleaf = *ecx;
    if (leaf >= XEN_LEAVES && leaf < XEN_LEAVES + 0x10000) {
        *eax = *ebx = *ecx = *edx = 0;
        xen_leaf(leaf, subleaf, eax, ebx, ecx, edx);
        return;
    }
    cpuid(eax, ebx, ecx, edx);
    switch (leaf) {
    case 1:
        *edx = (*edx & ~LEAF1_EDX_HIDDEN) | LEAF1_EDX_APIC;
        *ecx = (*ecx & ~LEAF1_ECX_HIDDEN) | LEAF1_ECX_HYPERVISOR;
        return;
    case 7:
        *ebx = subleaf == 0 ? *ebx & LEAF7_EBX_SHOWN : 0;
        *edx = subleaf == 0 ? *edx & LEAF7_EDX_SHOWN : 0;
        *eax = *ecx = 0;
        return;
    case 5: /* MONITOR, thermal, performance counters, topology, XSAVE: hidden above */
    case 6:
    case 0xa:
    case 0xb:
    case 0xd:
    case 0x1f:
        *eax = *ebx = *ecx = *edx = 0;
        return;
    case 0x80000001:
        *edx &= ~EXTENDED1_EDX_HIDDEN;
        *ecx &= EXTENDED1_ECX_SHOWN;
        return;
    }
}
