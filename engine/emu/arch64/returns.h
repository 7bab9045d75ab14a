/* Ways back of a 64-bit guest, good and bad; a part of bounce.c. */

/* The guest's own return state was bad: the kernel learns which selectors were loaded. */
void bounce_failsafe(struct regs *regs)
{
    u32 ds, es, fs, gs;
    asm volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    u64 selectors[] = {ds, es, fs, gs};
    const struct callback *callback = &vcpu.callbacks[CALLBACKTYPE_failsafe];
    count_trap(TRAP_FAILSAFE);
    enter(regs, callback, callback->mask_events, selectors, 4);
}

void do_iret(struct regs *regs)
{
    struct iret_context frame;
    if (!copy_from_guest(&frame, regs->sp, sizeof(frame)))
        crash_guest("the iret frame cannot be read", regs);
    regs->ax = frame.rax;
    if (!(frame.flags & VGCF_in_syscall)) {
        regs->r11 = frame.r11;
        regs->cx = frame.rcx;
    }
    regs->ip = frame.rip;
    regs->cs = (u16)frame.cs | 3;
    regs->flags = (frame.rflags & GUEST_FLAGS) | FLAG_IF | 2;
    regs->sp = frame.rsp;
    regs->ss = (u16)frame.ss | 3;
    if (vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl))
        vcpu.iopl = (frame.rflags & FLAG_IOPL) >> 12;
    vcpu.info->evtchn_upcall_mask = !(frame.rflags & FLAG_IF);
    vcpu.nmi_masked = false;
    if ((frame.cs & 3) == 3)
        to_guest_user(regs);
}
