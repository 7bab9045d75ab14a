/* Ways in and out of emu32pae; a part of traps.c. */

word *general_register(struct regs *regs, unsigned number)
{
    word *const registers[8] = {
        &regs->ax, &regs->cx, &regs->dx, &regs->bx, &regs->sp, &regs->bp, &regs->si, &regs->di,
    };
    return registers[number & 7];
}

/* The guest kernel is in ring 1, and may change the ring on its own. */
static void note_mode(const struct regs *regs)
{
    vcpu.in_kernel = (regs->cs & 3) == 1;
}

/* INT 0x82 from ring 1: the gate lets no other ring in. */
void handle_hypercall(struct regs *regs);
void handle_hypercall(struct regs *regs)
{
    note_mode(regs);
    calls_begin();
    hypercall(regs);
    deliver_events(regs);
}

/* A selector of the guest's could not be loaded: the kernel learns of all of them, and finds none. */
static struct regs *handle_bad_selector(struct regs *own)
{
    struct regs *regs = (struct regs *)&own->sp;
    if ((regs->cs & 3) == 0)
        panic("a selector of emu's could not be loaded", own);
    bounce_failsafe(regs);
    return regs;
}

/*
 * IRET to the guest failed. The frame it did not like takes the place of the fault's, and the guest is told: by its failsafe
 * callback, as Xen did until 4.6, or without one by the fault, as Xen does since. IRET's faults all have an error code.
 */
static void handle_failed_iret(struct regs *regs)
{
    unsigned vector = (unsigned)regs->vector;
    word error = regs->error;
    const u32 *frame = &regs->sp;
    u32 ip = frame[0], cs = frame[1], flags = frame[2], sp = frame[3], ss = frame[4];
    regs->ip = ip;
    regs->cs = cs;
    regs->flags = flags;
    regs->sp = sp;
    regs->ss = ss;
    if (vcpu.callbacks[CALLBACKTYPE_failsafe].address)
        bounce_failsafe(regs);
    else
        bounce_exception(regs, vector, true, error);
}

/* A fault on the way out, which is the guest's. */
static struct regs *handle_failed_exit(struct regs *regs)
{
    if (regs->ip == (word)exit_ds || regs->ip == (word)exit_es || regs->ip == (word)exit_fs ||
        regs->ip == (word)exit_gs)
        return handle_bad_selector(regs);
    if (regs->ip != (word)exit_iret)
        panic("fault in emu", regs);
    handle_failed_iret(regs);
    return regs;
}
