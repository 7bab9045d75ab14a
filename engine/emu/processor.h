/* Privileged instructions and architectural constants (Intel SDM vol. 2 and 3A). */
#ifndef EMU_PROCESSOR_H
#define EMU_PROCESSOR_H

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* Page-table entry, SDM vol. 3A table 4-20. */
#define PTE_PRESENT (1UL << 0)
#define PTE_WRITE (1UL << 1)
#define PTE_USER (1UL << 2)
#define PTE_WRITE_THROUGH (1UL << 3)
#define PTE_CACHE_DISABLE (1UL << 4)
#define PTE_ACCESSED (1UL << 5)
#define PTE_DIRTY (1UL << 6)
#define PTE_LARGE (1UL << 7) /* PS above L1; PAT in L1 */
#define PTE_GLOBAL (1UL << 8)
#define PTE_NO_EXECUTE (1UL << 63)
#define PTE_ADDRESS 0x000ffffffffff000UL
#define PTE_MFN(entry) (((entry)&PTE_ADDRESS) >> PAGE_SHIFT)

/* RFLAGS */
#define FLAG_CF (1UL << 0)
#define FLAG_PF (1UL << 2)
#define FLAG_AF (1UL << 4)
#define FLAG_ZF (1UL << 6)
#define FLAG_SF (1UL << 7)
#define FLAG_TF (1UL << 8)
#define FLAG_IF (1UL << 9)
#define FLAG_DF (1UL << 10)
#define FLAG_OF (1UL << 11)
#define FLAG_IOPL (3UL << 12)
#define FLAG_NT (1UL << 14)
#define FLAG_RF (1UL << 16)
#define FLAG_VM (1UL << 17)
#define FLAG_AC (1UL << 18)
#define FLAG_VIF (1UL << 19)
#define FLAG_VIP (1UL << 20)

#define CR0_TS (1UL << 3)

#define VECTOR_DB 1
#define VECTOR_NMI 2
#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_DF 8
#define VECTOR_GP 13
#define VECTOR_PF 14
#define VECTOR_MC 18
#define EXCEPTIONS 32
/* Not a vector of the processor: the SYSCALL instruction. */
#define VECTOR_SYSCALL 256
#define VECTOR_SYSCALL32 257

/* #PF error code */
#define PF_PRESENT 1UL
#define PF_WRITE 2UL
#define PF_USER 4UL

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103

/* Selectors emu's own page of the GDT provides; those of ring 3 are fixed by arch-x86/xen-x86_64.h. */
#define EMU_CS 0xe008
#define EMU_SS 0xe010
#define EMU_TSS 0xe040
#define EMU_LDT 0xe050

#ifndef __ASSEMBLER__

#include "types.h"

static inline u64 read_msr(u32 msr)
{
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (u64)high << 32;
}

static inline void write_msr(u32 msr, u64 value)
{
    asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 read_tsc(void)
{
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (u64)high << 32;
}

static inline u64 read_cr0(void)
{
    u64 value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline void write_cr0(u64 value)
{
    asm volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline u64 read_cr2(void)
{
    u64 value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline u64 read_cr3(void)
{
    u64 value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline void write_cr3(u64 value)
{
    asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline void invalidate_page(u64 address)
{
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void swap_gs(void)
{
    asm volatile("swapgs" : : : "memory");
}

static inline void cpuid(u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
    asm volatile("cpuid" : "+a"(*eax), "=b"(*ebx), "+c"(*ecx), "=d"(*edx));
}

static inline bool is_canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16) == address;
}

#endif
#endif
