/* emu32pae: what differs by word size and is small. Frames, descriptors and page tables have files of their own here. */
#ifndef EMU_ARCH_H
#define EMU_ARCH_H

/* General registers and addresses: event-channel words, sizes of tables. */
#define WORD_BITS 32
/* Of the page table that CR3 holds. */
#define TOP_LEVEL PAGE_L3
#define TOP_LEVEL_NAME "L3"
/* 40-4f are instructions. */
#define HAS_REX 0
/* An address-size prefix makes addresses of 16 bits, with other forms. */
#define ADDRESSES_OF_16_BITS 1

/* The hypercall instruction, int $0x82, for ring 1. */
#define VECTOR_HYPERCALL 0x82

#define CAPABILITIES "xen-3.0-x86_32p "
/* SYSENTER and SYSCALL would enter emu without its knowing; there is no longer mode. */
#define ALSO_HIDDEN_LEAF1_EDX BIT(11)
#define ALSO_HIDDEN_EXTENDED1_EDX (BIT(11) | BIT(29))

/*
 * Instructions of entry.S and handle_hypercall before the first and after the last reading of the TSC, when nothing else
 * happens on the way out; measured by calls.test.ts.
 */
#define EDGE_INSTRUCTIONS 125

/* Of the m2p, what is no page of the guest's is marked so, up to the last that XENMEM_machphys_mapping tells. */
#define M2P_FILLED_BYTES (boot.machine_pages * sizeof(xen_pfn_t))

/* ticks * multiplier / 2^32, the multiplier having 32 bits */
#define SCALED(ticks, multiplier)                                                                                    \
    (((ticks) >> 32) * (multiplier) + ((u64)(u32)(ticks) * (multiplier) >> 32))

#ifndef __ASSEMBLER__
#include "types.h"

/* xen_pfn_to_cr3: page numbers above 4 GiB would be in the low bits. */
#define CR3_TO_MFN(cr3) ((u64)((cr3) >> 12 | (cr3) << 20))
#define MFN_TO_CR3(mfn) ((u32)(mfn) << 12 | (u32)(mfn) >> 20)

#define is_canonical(address) true

/* All of it below the hypervisor's hole. */
static inline bool outside_the_hole(u32 address, u32 bytes)
{
    u32 end = address + bytes;
    return end >= address && end <= M2P_VIRTUAL;
}

/* A code segment with 32-bit operands and base 0, of which emu can read instructions at their address. */
bool flat_code(u32 selector);

/* gates.h: INT 0x80 and the stack the processor takes for it. */
void direct_system_call(void);
void direct_stack(u32 ss, u32 sp);

s64 do_set_callbacks(u32 event_cs, u32 event, u32 failsafe_cs, u32 failsafe);

/* entry.S */
extern char hypercall_entry[], exit_ds[], exit_es[], exit_fs[], exit_gs[], exit_iret[];

#endif
#endif
