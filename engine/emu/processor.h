/* Privileged instructions and architectural constants (Intel SDM vol. 2 and 3A). */
#ifndef EMU_PROCESSOR_H
#define EMU_PROCESSOR_H

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* Page-table entry, SDM vol. 3A table 4-20. */
#define PTE_PRESENT (1ULL << 0)
#define PTE_WRITE (1ULL << 1)
#define PTE_USER (1ULL << 2)
#define PTE_WRITE_THROUGH (1ULL << 3)
#define PTE_CACHE_DISABLE (1ULL << 4)
#define PTE_ACCESSED (1ULL << 5)
#define PTE_DIRTY (1ULL << 6)
#define PTE_LARGE (1ULL << 7) /* PS above L1; PAT in L1 */
#define PTE_GLOBAL (1ULL << 8)
#define PTE_NO_EXECUTE (1ULL << 63)
#define PTE_ADDRESS 0x000ffffffffff000ULL
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
#define VECTOR_SYSTEM_CALL 0x80
#define EXCEPTIONS 32

/* #PF error code */
#define PF_PRESENT 1UL
#define PF_WRITE 2UL
#define PF_USER 4UL

/* Selectors emu's own page of the GDT provides; those of the guest's rings are fixed by arch-x86/xen-x86_*.h. */
#define EMU_CS 0xe008
#define EMU_SS 0xe010
#define EMU_TSS 0xe040
#define EMU_LDT 0xe050

#define MSR_EFER 0xc0000080

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

static inline word read_cr0(void)
{
    word value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline void write_cr0(word value)
{
    asm volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline word read_cr2(void)
{
    word value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline word read_cr3(void)
{
    word value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline void write_cr3(word value)
{
    asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline word read_cr4(void)
{
    word value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_cr4(word value)
{
    asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline word read_dr6(void)
{
    word value;
    asm volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static inline void invalidate_page(word address)
{
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void cpuid(u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
    asm volatile("cpuid" : "+a"(*eax), "=b"(*ebx), "+c"(*ecx), "=d"(*edx));
}

#endif
#endif
