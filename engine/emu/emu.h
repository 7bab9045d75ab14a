/* What emu's files offer each other, file by file. One virtual processor, one stack, interrupts off while in emu. */
#ifndef EMU_H
#define EMU_H

#include "abi.h"
#include "arch.h"
#include "processor.h"
#include "regs.h"
#include "types.h"
#include "xen-public.h"

/* PAE, OSFXSR, OSXMMEXCPT: what a guest reads of CR4 before it writes, and always. */
#define INITIAL_CR4 0x620

#define CALLBACK_TYPES (CALLBACKTYPE_syscall32 + 1)

struct callback {
    word address; /* 0: none */
    bool mask_events;
#if WORD_BITS == 32
    u16 cs;
#endif
};

struct trap_entry {
    word address; /* 0: none */
    u16 cs;
    u8 flags; /* bits 0-1 DPL, bit 2 "mask events on entry" (xen.h: TI_GET_DPL, TI_GET_IF) */
};

/* The state of the one virtual processor that is not in the frame on the stack. */
struct vcpu {
    bool in_kernel; /* guest kernel mode: both modes run in ring 3 */
    u64 kernel_table; /* machine page of the top page table in guest kernel mode */
    u64 user_table;   /* and in guest user mode; 0: none yet. 64-bit guests only */
    word kernel_rsp, kernel_ss; /* stack_switch */
    struct vcpu_info *info;
    struct callback callbacks[CALLBACK_TYPES];
    struct trap_entry traps[256];
    word cr4;
    word debug[8];
    u8 iopl; /* PHYSDEVOP_set_iopl */
    u64 assists; /* VMASST_TYPE_* bits that are on */
    bool nmi_pending, nmi_masked;
};

extern struct vcpu vcpu;

/* main.c */
extern struct boot_info boot;
extern struct shared_info *shared_info;

/*
 * Machine memory. emu's own region is always in view, at machine(). A page of the guest's is seen by view(): emu64 has
 * all memory in a direct map; emu32pae has no room for one and sees a page at a time for each purpose, so a pointer is
 * good until the next view for the same purpose. Tables of different levels do not get into each other's way.
 */
enum view { VIEW_PAGE, VIEW_L1, VIEW_L2, VIEW_L3, VIEW_L4, VIEW_ENTRY, VIEW_SOURCE, VIEW_VCPU_INFO, VIEWS };
#include "views.h"

/* ports.c: the only way out. */
void port_write(u16 port, u32 value);
u32 port_read(u16 port);

/* console.c */
u8 *message_page(void);
s64 console_write(word address, word bytes);

/* log.c: for the developer; `name=value` pairs may follow the text. None of them returns to a guest that is lost. */
void log_refusal(const char *what, u64 value, u64 other);
_Noreturn void panic(const char *why, const struct regs *regs);
_Noreturn void crash_guest(const char *why, const struct regs *regs);

/* statistics.c */
extern struct statistics *statistics;
void count_trap(enum trap_kind kind);
void calls_begin(void);
void call_is(word number, word arg1, word arg3);
void call_request(u64 number, u64 subop);
void call_done(s64 result);
void call_failed(u64 number);
void exclude_idle(u64 ticks);

/* copy.c: guest virtual memory. Addresses in the hypervisor's hole, and pages that are missing or (for writing)
 * read-only, are refused. */
bool copy_from_guest(void *to, word from, word bytes);
bool copy_to_guest(word to, const void *from, word bytes);
/* The bytes before the first that cannot be read, at most `bytes`. */
word copy_from_guest_partly(void *to, word from, word bytes);
bool guest_range_ok(word address, word bytes);
void copy_memory(void *to, const void *from, word bytes);
void fill_memory(void *to, u8 value, word bytes);

/* pages.c: what each machine page is in use as. */
enum page_type { PAGE_NONE, PAGE_L1, PAGE_L2, PAGE_L3, PAGE_L4, PAGE_DESCRIPTORS, PAGE_WRITABLE };
#define PAGE_COUNT_MASK 0x00ffffffu
#define PAGE_TYPE_SHIFT 24
#define PAGE_PINNED (1u << 28)
/* Given back by decrease_reservation: no memory of the guest's until populate_physmap. */
#define PAGE_RELEASED (1u << 29)
extern u32 *page_info;
extern xen_pfn_t *machine_to_phys;
void pages_init(void);
bool page_is_ram(u64 mfn);
enum page_type page_type(u64 mfn);
s64 page_get(u64 mfn, enum page_type type);
void page_put(u64 mfn, enum page_type type);

/* pagetables.c */
s64 table_validate(u64 mfn, unsigned level);
void table_devalidate(u64 mfn, unsigned level);
s64 entry_update(u64 table_mfn, u64 *entry, u64 value, bool preserve_ad);
u64 *walk_to_l1(word address, u64 *l1_mfn);
bool walk_to_mfn(word address, u64 *mfn);
s64 load_kernel_table(u64 mfn);
s64 load_user_table(u64 mfn);
void load_cr3(u64 mfn);
void flush_tlb(void);

/* mmu.c */
s64 do_mmu_update(word requests, word count, word done, word domain);
s64 do_mmuext_op(word requests, word count, word done, word domain);
s64 do_update_va_mapping(word address, u64 value, word flags);

/* descriptors.c */
void descriptors_init(void);
bool descriptor_acceptable(u64 *descriptor);
s64 descriptors_validate(u64 mfn);
s64 do_set_gdt(word frames, word entries);
s64 do_update_descriptor(u64 address, u64 descriptor);
s64 set_ldt(word address, word entries);
bool map_ldt_page(word fault_address, word *guest_address);
void ldt_forget_pages(void);

/* bounce.c: into the guest. */
void to_guest_kernel(void);
void to_guest_user(const struct regs *regs);
void bounce_exception(struct regs *regs, unsigned vector, bool has_error, word error);
void bounce_interrupt(struct regs *regs, unsigned vector);
void bounce_callback(struct regs *regs, unsigned type);
/* The processor refuses SYSENTER with #GP; false if this is none, or the guest has no callback for it. */
bool bounce_sysenter(struct regs *regs);
void bounce_failsafe(struct regs *regs);
void do_iret(struct regs *regs);
void deliver_events(struct regs *regs);
s64 do_set_trap_table(word table);
s64 do_stack_switch(word ss, word sp);
s64 do_callback_op(word command, word argument);
s64 do_nmi_op(word command, word argument);

/* pagefault.c, ptwrite.c */
void handle_page_fault(struct regs *regs);
bool emulate_table_write(struct regs *regs, word address, u64 table_mfn, u64 *entry);

/* decode.c */
struct instruction {
    u8 bytes[15];
    u8 available; /* how many of them could be read */
    u8 length;
    u16 opcode; /* one byte, or 0x0f00 | second byte */
    u8 operand_bytes; /* 1, 2, 4 or 8, where the opcode's low bit says byte or not; else as 66 and REX.W say */
    u8 modrm;
    u8 reg, rm; /* with REX.R and REX.B */
    bool has_modrm, memory, rex, lock, rep, repne, operand_size;
    u64 immediate; /* sign-extended */
};
bool decode(struct instruction *instruction, word ip);

/* privileged.c, cpuid.c, msr.c */
bool emulate_privileged(struct regs *regs);
bool emulate_forced_cpuid(struct regs *regs);
bool enable_fsgsbase(void);
void guest_cpuid(u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
bool guest_read_msr(u32 msr, u64 *value);
bool guest_write_msr(u32 msr, u64 value);
s64 do_set_debugreg(word number, word value);
s64 do_get_debugreg(word number);
void note_debug_status(void);
s64 do_set_segment_base(word which, word value);
s64 do_fpu_taskswitch(word set);

/* events.c */
void events_init(void);
void event_virq(unsigned virq);
void poll_lines(void);
bool event_pending(u32 port);
s64 do_event_channel_op(word command, word argument);

/* time.c */
enum timer { TIMER_SINGLESHOT, TIMER_PERIODIC, TIMER_POLL, TIMERS };
void time_init(void);
u64 system_time(void);
void timer_set(enum timer timer, u64 deadline);
void timer_stop(enum timer timer);
bool timer_armed(enum timer timer);
void timer_line(void);
void fill_time_info(struct vcpu_time_info *info);
s64 do_set_timer_op(u64 deadline);
s64 set_periodic_timer(u64 period);

/* runstate.c */
void runstate_init(void);
void runstate_change(unsigned state);
s64 runstate_register(word area);
void runstate_get(struct vcpu_runstate_info *info);

/* The other hypercalls: vcpu_op.c, sched.c, memory.c, grants.c, version.c, physdev.c */
s64 do_vcpu_op(word command, word id, word argument);
s64 do_sched_op(word command, word argument);
_Noreturn void shut_down(u32 reason);

/* compat.c */
s64 do_compat(word number, word a1, word a2);
s64 do_memory_op(word command, word argument);
s64 do_grant_table_op(word command, word argument, word count);
void grants_init(void);
bool grant_frame(u64 mfn);
s64 do_xen_version(word command, word argument);
s64 do_physdev_op(word command, word argument);
s64 do_vm_assist(word command, word type);

/* hypercalls.c */
void hypercall(struct regs *regs);

/* entry.S */
extern char trap_stubs[];
extern char stack_top[], double_fault_stack_top[], nmi_stack_top[], debug_stack_top[], debug_entry[];
word copy_bytes(void *to, const void *from, word bytes);
bool write_dr_safe(u32 number, word value);
void load_descriptor_tables(const void *gdtr, const void *idtr);
void wait_for_interrupt(void);

#endif
