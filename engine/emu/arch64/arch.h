/* emu64: what differs by word size and is small. Frames, descriptors and page tables have files of their own here. */
#ifndef EMU_ARCH_H
#define EMU_ARCH_H

/* General registers and addresses: event-channel words, sizes of tables. */
#define WORD_BITS 64
/* Of the page table that CR3 holds. */
#define TOP_LEVEL PAGE_L4
#define TOP_LEVEL_NAME "L4"
/* 40-4f are prefixes. */
#define HAS_REX 1

#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103

/* Not a vector of the processor: the SYSCALL instruction. */
#define VECTOR_SYSCALL 256
#define VECTOR_SYSCALL32 257

/* The guest's half of the address space, on both sides of the hypervisor's hole (arch-x86/xen-x86_64.h). */
#define GUEST_LOW_END 0x0000800000000000UL
#define GUEST_HIGH_START 0xffff880000000000UL

/*
 * Instructions of entry.S and handle_syscall before the first and after the last reading of the TSC, when nothing else
 * happens on the way out; measured by calls.test.ts.
 */
#define EDGE_INSTRUCTIONS 115

#define CAPABILITIES "xen-3.0-x86_64 "
#define ALSO_HIDDEN_LEAF1_EDX 0
#define ALSO_HIDDEN_EXTENDED1_EDX 0
/* An address-size prefix makes addresses of 32 bits. */
#define ADDRESSES_OF_16_BITS 0

/* Of the m2p, what is no page of the guest's is marked so. */
#define M2P_FILLED_BYTES boot.m2p_bytes

/* ticks * multiplier / 2^32 */
#define SCALED(ticks, multiplier) ((u64)((unsigned __int128)(ticks) * (multiplier) >> 32))

#ifndef __ASSEMBLER__
#include "types.h"

static inline void swap_gs(void)
{
    asm volatile("swapgs" : : : "memory");
}

static inline bool is_canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16) == address;
}

/* Of which emu can read instructions at their address. */
#define flat_code(cs) ((cs) == FLAT_RING3_CS64)
#define CR3_TO_MFN(cr3) PTE_MFN(cr3)
#define MFN_TO_CR3(mfn) ((mfn) << PAGE_SHIFT)

/* All of it outside the hypervisor's hole (and the non-canonical one). */
static inline bool outside_the_hole(u64 address, u64 bytes)
{
    u64 end = address + bytes;
    if (end < address)
        return end == 0 && address >= GUEST_HIGH_START;
    return end <= GUEST_LOW_END || address >= GUEST_HIGH_START;
}

s64 do_set_callbacks(u64 event, u64 failsafe, u64 syscall);

/* entry.S */
extern char syscall_entry[], syscall32_entry[], exit_iretq[];
bool write_msr_safe(u32 msr, u64 value);
void load_gs_user(u32 selector);

#endif
#endif
