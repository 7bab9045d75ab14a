/* Every entry from the guest, and every fault of emu's own. */
#include "emu.h"

/* Exceptions that push an error code (SDM vol. 3A table 6-1). */
#define ERROR_CODE_VECTORS                                                                                           \
    (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21 | 1u << 29 | 1u << 30)
/* #GP error code bit 1: the selector is a vector, so an INT instruction was refused. */
#define ERROR_IS_VECTOR 2

struct exception_fixup {
    word at, to;
};

extern const struct exception_fixup exception_table_start[], exception_table_end[];

#include "ways.h"

/* True if the fault in emu was foreseen, or was the guest's. */
static bool handle_own_fault(struct regs *regs)
{
    word guest_address;
    if (regs->vector == EVENT_VECTOR) {
        statistics->interrupts++;
        poll_lines();
        return true;
    }
    if (regs->vector == VECTOR_DB) /* a guest's data breakpoint on memory emu was asked to touch */
        return true;
    if (regs->vector == VECTOR_PF && map_ldt_page(read_cr2(), &guest_address))
        return true;
    for (const struct exception_fixup *fixup = exception_table_start; fixup < exception_table_end; fixup++)
        if (fixup->at == regs->ip) {
            regs->ip = fixup->to;
            return true;
        }
    return false;
}

static void handle_general_protection(struct regs *regs)
{
    if ((regs->error & 3) == ERROR_IS_VECTOR) {
        unsigned vector = (regs->error >> 3) & 0xff;
        const struct trap_entry *entry = &vcpu.traps[vector];
        if (entry->address && (vcpu.in_kernel || TI_GET_DPL(entry) == 3)) {
            regs->ip += 2; /* INT n */
            bounce_interrupt(regs, vector);
            return;
        }
    } else if (regs->error == 0 && (emulate_privileged(regs) || bounce_sysenter(regs))) {
        return;
    }
    bounce_exception(regs, VECTOR_GP, true, regs->error);
}

static void handle_from_guest(struct regs *regs)
{
    unsigned vector = (unsigned)regs->vector;
    note_mode(regs);
    switch (vector) {
    case EVENT_VECTOR:
        statistics->interrupts++;
        poll_lines();
        return;
    case VECTOR_PF:
        handle_page_fault(regs);
        return;
    case VECTOR_GP:
        handle_general_protection(regs);
        return;
    case VECTOR_UD:
        if (!emulate_forced_cpuid(regs) && !enable_fsgsbase())
            bounce_exception(regs, VECTOR_UD, false, 0);
        return;
    case VECTOR_NM: /* as Xen: the guest finds TS clear */
        write_cr0(read_cr0() & ~CR0_TS);
        bounce_exception(regs, VECTOR_NM, false, 0);
        return;
    case VECTOR_NMI:
    case VECTOR_MC:
    case VECTOR_DF:
        panic("exception of the machine", regs);
    default:
        if (vector < EXCEPTIONS) {
            if (vector == VECTOR_DB)
                note_debug_status();
            bounce_exception(regs, vector, ERROR_CODE_VECTORS >> vector & 1, regs->error);
        } else if (vcpu.traps[vector].address) {
            bounce_interrupt(regs, vector);
        } else { /* as if the gate had not let the guest in: an INT, of two bytes, that was refused */
            regs->ip -= 2;
            bounce_exception(regs, VECTOR_GP, true, vector << 3 | ERROR_IS_VECTOR);
        }
    }
}

/* Exceptions and interrupts; the frame to leave by. */
struct regs *handle_trap(struct regs *regs);
struct regs *handle_trap(struct regs *regs)
{
    if ((regs->cs & 3) != 0) {
        handle_from_guest(regs);
    } else {
        if (handle_own_fault(regs))
            return regs;
        regs = handle_failed_exit(regs);
    }
    deliver_events(regs);
    return regs;
}
