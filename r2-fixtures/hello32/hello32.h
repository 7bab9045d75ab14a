/* What hello32's files offer each other. Numbers and structures are Xen's (xen/include/public, Debian: libxen-dev). */
#ifndef HELLO32_H
#define HELLO32_H

#include <stdbool.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040d00
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define VIRT_BASE 0xc0000000u
#define PAGE 4096u
/* pfn = mfn here, as the p2m says; main.c asserts it. */
#define MFN_OF(symbol) (((u32)(symbol)-VIRT_BASE) / PAGE)

#define PTE_P 1u
#define PTE_W 2u
#define PTE_U 4u
#define PTE_PWT 8u
#define PTE_PCD 0x10u
#define PTE_PS 0x80u

/* Pointers nobody should follow. */
#define UNMAPPED 0x00001000u
#define IN_HOLE 0xf6900000u
#define IN_M2P 0xf5800000u
#define TOP_BYTES 0xfffffff0u

/* entry.S: the way to make a hypercall is the page, or the bare instruction. */
long hypercall(u32 number, u32 a1, u32 a2, u32 a3, u32 a4);
long hypercall_by_page(u32 number, u32 a1, u32 a2, u32 a3, u32 a4);
#define CALL(name, ...) CALL_(__HYPERVISOR_##name, ##__VA_ARGS__, 0, 0, 0, 0)
#define CALL_(number, a1, a2, a3, a4, ...) hypercall((number), (u32)(a1), (u32)(a2), (u32)(a3), (u32)(a4))

/* entry.S: accesses that may trap; afterwards `trap` says what happened (vector 0: nothing). */
struct trap {
    u32 vector, error, eip, cs;
};
extern volatile struct trap trap;
u32 probe_read(u32 address);
void probe_write(u32 address, u32 value);
u32 probe_read_gs(u32 selector, u32 offset);
void probe_int80(void);
void probe_cli(void);
void probe_ud2(void);
void probe_int3(void);
u32 probe_cr0(void);
u32 probe_cr4(u32 value);
u32 probe_fpu(void);
void probe_nmi(void);
u32 forced_cpuid(u32 leaf);
/* Leaves to this frame by the iret hypercall; comes back at the next trap, or when what runs there calls `come_back`. */
void go_to(u32 eip, u32 cs, u32 eflags, u32 esp, u32 ss);
void come_back(void);
extern char user_code[], user_reads[], user_writes_m2p[], user_int80[], user_sysenter[], user_cli[],
    kernel_code[];
extern volatile u32 user_refused, system_call_eax, system_call_cs;
extern volatile u32 upcalls, failsafes, failsafe_eip, failsafe_fs;
extern char on_divide[], on_debug[], on_int3[], on_invalid[], on_no_device[], on_no_segment[], on_protection[];
extern char on_page_fault[], on_int80[], on_int81[], on_sysenter[], on_event[], on_failsafe[], hypercall_page[];
extern u8 user_stack[PAGE], interrupt_stack[PAGE];

/* main.c */
extern const struct start_info *start_info;
/* A page of its own, in entry.S. */
extern struct shared_info shared;
extern u8 scratch[PAGE];
void print(const char *text);
void check(const char *name, long got, long want);
/*
 * A call that must fail with `want`, and change nothing that this guest can see. It is made twice: the first time prepares
 * its arguments, too, so that only the second can be held against them.
 */
#define REFUSED(name, want, call)                                                                                    \
    do {                                                                                                             \
        u32 before = system_state();                                                                                 \
        check(name, (call), want);                                                                                   \
        check(name ": nothing changed", system_state() == before, 1);                                                \
        before = state();                                                                                            \
        check(name ", again", (call), want);                                                                         \
        check(name ": arguments as they were", state() == before, 1);                                                \
    } while (0)
u32 system_state(void);
u32 state(void);
/* A structure in `scratch`, the rest of which is filled with a pattern. */
void *argument(const void *of, u32 bytes);
#define ARGUMENT(type, ...) argument(&(type){__VA_ARGS__}, sizeof(type))

/* memory.c */
extern u8 spare[PAGE], spare2[PAGE], read_only[PAGE], kernel_only[PAGE];
extern u64 gdt[512];
long remap(const void *page, u32 flags);
void check_page_tables(void);
void check_descriptors(void);
void check_memory_op(void);

/* processor.c */
void check_traps(void);
void check_hole(void);
void check_user_mode(void);
void check_returns(void);
void check_state_calls(void);

/* calls.c */
void check_version(void);
void check_console(void);
void check_multicall(void);
void check_grants(void);
void check_unknown(void);
void check_physdev(void);

/* events.c */
void check_events(void);
void check_vcpu(void);
void check_timer(void);
void check_vcpu_info(void);
void check_sched(void);

#endif
