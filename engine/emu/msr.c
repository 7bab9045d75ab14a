/* Model-specific, debug and segment-base registers, and CR0.TS, as the guest may see and set them. */
#include "emu.h"

#define MSR_IA32_TSC 0x10
#define MSR_IA32_PLATFORM_ID 0x17
#define MSR_IA32_APIC_BASE 0x1b
#define MSR_IA32_BIOS_SIGN_ID 0x8b
#define MSR_IA32_MISC_ENABLE 0x1a0
#define MSR_IA32_DEBUGCTL 0x1d9
#define MSR_IA32_PAT 0x277
/* WB, WT, UC-, UC, WC, WP: what PAT says under Xen, whose guests must not change it. */
#define XEN_PAT 0x050100070406ULL

#define EFER_SCE 1UL
#define EFER_LME (1UL << 8)
#define EFER_LMA (1UL << 10)
#define EFER_NXE (1UL << 11)

/* A 32-bit guest is not to know of the longer mode. */
#define GUEST_EFER (WORD_BITS == 64 ? EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE : EFER_SCE | EFER_NXE)

#define DR6_FIXED 0xffff0ff0UL
#define DR6_SETTABLE 0xe00fUL
#define DR7_FIXED 0x400UL
#define DR7_ENABLES 0xffUL
#define DR7_REFUSED 0xffffffff00002000ULL /* GD, and what is reserved */

bool guest_read_msr(u32 msr, u64 *value)
{
    switch (msr) {
#if WORD_BITS == 64
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        *value = read_msr(msr);
        return true;
#endif
    case MSR_EFER:
        *value = GUEST_EFER;
        return true;
    case MSR_IA32_TSC:
        *value = read_tsc();
        return true;
    case MSR_IA32_PAT:
        *value = XEN_PAT;
        return true;
    case MSR_IA32_APIC_BASE: /* boot processor, enabled, as Xen tells PV guests */
        *value = 0xfee00900;
        return true;
    case MSR_IA32_MISC_ENABLE:
        *value = 1; /* fast strings */
        return true;
    case MSR_IA32_BIOS_SIGN_ID:
    case MSR_IA32_DEBUGCTL:
        *value = 0;
        return true;
    }
    if (msr != MSR_IA32_PLATFORM_ID) /* Linux 7.2 reads it first of all */
        return false;
    *value = 0;
    return true;
}

bool guest_write_msr(u32 msr, u64 value)
{
    (void)value; /* only segment bases are stored */
    switch (msr) {
#if WORD_BITS == 64
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!is_canonical(value))
            return false;
        write_msr(msr, value);
        return true;
#endif
    case MSR_EFER: /* writes that would change nothing, or nothing that matters */
    case MSR_IA32_PAT:
    case MSR_IA32_APIC_BASE:
    case MSR_IA32_BIOS_SIGN_ID:
    case MSR_IA32_MISC_ENABLE:
        return true;
    }
    return false;
}

#if WORD_BITS == 64
s64 do_set_segment_base(word which, word value)
{
    if (which != SEGBASE_GS_USER_SEL && !is_canonical(value))
        return -XEN_EINVAL;
    switch (which) {
    case SEGBASE_FS:
        write_msr(MSR_FS_BASE, value);
        return 0;
    case SEGBASE_GS_USER: /* the guest kernel's is in GS.base while it runs */
        write_msr(MSR_KERNEL_GS_BASE, value);
        return 0;
    case SEGBASE_GS_KERNEL:
        write_msr(MSR_GS_BASE, value);
        return 0;
    case SEGBASE_GS_USER_SEL:
        load_gs_user((u16)value);
        return 0;
    }
    return -XEN_EINVAL;
}

#else
/* Descriptors say all there is to say. */
s64 do_set_segment_base(word which, word value)
{
    (void)which;
    (void)value;
    return -XEN_ENOSYS;
}
#endif

s64 do_fpu_taskswitch(word set)
{
    word cr0 = read_cr0();
    word wanted = set ? cr0 | CR0_TS : cr0 & ~CR0_TS;
    if (wanted != cr0)
        write_cr0(wanted);
    return 0;
}

/* Breakpoints are for the guest's own addresses. */
s64 do_set_debugreg(word number, word value)
{
    switch (number) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (!is_canonical(value) || !guest_range_ok(value, 8))
            return -XEN_EPERM;
        break;
    case 6:
        value = (value & DR6_SETTABLE) | DR6_FIXED;
        break;
    case 7:
        if (value & DR7_REFUSED)
            return -XEN_EPERM;
        value |= DR7_FIXED;
        break;
    case 4:
    case 5:
        return -XEN_ENODEV;
    default:
        return -XEN_EINVAL;
    }
    vcpu.debug[number] = value;
    /* The processor hears of it only when something is to be watched, or no longer. */
    static bool watching;
    bool watch = vcpu.debug[7] & DR7_ENABLES;
    if (!watch && !watching)
        return 0;
    for (u32 reg = 0; reg < 4; reg++)
        write_dr_safe(reg, vcpu.debug[reg]);
    write_dr_safe(6, DR6_FIXED);
    watching = write_dr_safe(7, vcpu.debug[7] | DR7_FIXED) && watch;
    return 0;
}

/* A debug exception of the guest's: what DR6 says of it is added to what the guest has not cleared, as by Xen. */
void note_debug_status(void)
{
    vcpu.debug[6] |= read_dr6() & DR6_SETTABLE;
    write_dr_safe(6, DR6_FIXED);
}

s64 do_get_debugreg(word number)
{
    switch (number) {
    case 6:
        return (s64)(vcpu.debug[6] | DR6_FIXED);
    case 7:
        return (s64)(vcpu.debug[7] | DR7_FIXED);
    case 0:
    case 1:
    case 2:
    case 3:
        return (s64)vcpu.debug[number];
    }
    return number < 8 ? -XEN_ENODEV : -XEN_EINVAL;
}
