/* Ways in and out of emu64; a part of traps.c. */

word *general_register(struct regs *regs, unsigned number)
{
    u64 *const registers[16] = {
        &regs->ax, &regs->cx, &regs->dx, &regs->bx, &regs->sp, &regs->bp, &regs->si, &regs->di,
        &regs->r8, &regs->r9, &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15,
    };
    return registers[number & 15];
}

/* SYSCALL. True if the hypercall returns to its caller with nothing else to do, so that SYSRET will do. */
bool handle_syscall(struct regs *regs);
bool handle_syscall(struct regs *regs)
{
    if (!vcpu.in_kernel || regs->vector == VECTOR_SYSCALL32) {
        unsigned type = regs->vector == VECTOR_SYSCALL32 ? CALLBACKTYPE_syscall32 : CALLBACKTYPE_syscall;
        count_trap(TRAP_USER_SYSCALL);
        if (vcpu.callbacks[type].address)
            bounce_callback(regs, type);
        else
            bounce_exception(regs, VECTOR_UD, false, 0);
        deliver_events(regs);
        return false;
    }
    calls_begin();
    u64 rip = regs->ip;
    hypercall(regs);
    deliver_events(regs);
    return regs->ip == rip && regs->cx == rip && vcpu.in_kernel && regs->cs == FLAT_RING3_CS64 &&
           regs->r11 == regs->flags && is_canonical(rip);
}

/*
 * IRETQ to the guest failed. The frame it did not like takes the place of the fault's, and the guest is told: by its failsafe
 * callback, as Xen did until 4.6, or without one by the fault, as Xen does since. IRETQ's faults all have an error code.
 */
static void handle_failed_iret(struct regs *regs)
{
    unsigned vector = (unsigned)regs->vector;
    word error = regs->error;
    const u64 *frame = (const u64 *)regs->sp;
    u64 rip = frame[0], cs = frame[1], flags = frame[2], rsp = frame[3], ss = frame[4];
    regs->ip = rip;
    regs->cs = cs;
    regs->flags = flags;
    regs->sp = rsp;
    regs->ss = ss;
    if (vcpu.callbacks[CALLBACKTYPE_failsafe].address)
        bounce_failsafe(regs);
    else
        bounce_exception(regs, vector, true, error);
}

/* The virtual processor knows whether the guest is in its kernel: both modes are ring 3. */
#define note_mode(regs)

/* A fault on the way out, which is the guest's. */
static struct regs *handle_failed_exit(struct regs *regs)
{
    if (regs->ip != (u64)exit_iretq)
        panic("fault in emu", regs);
    handle_failed_iret(regs);
    return regs;
}
