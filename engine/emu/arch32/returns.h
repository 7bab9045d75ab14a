/* Ways back of a 32-bit guest, good and bad; a part of bounce.c. */

/* The guest's own return state was bad: the kernel learns which selectors were loaded, and none are now. */
void bounce_failsafe(struct regs *regs)
{
    u32 selectors[] = {(u16)regs->ds, (u16)regs->es, (u16)regs->fs, (u16)regs->gs};
    const struct callback *callback = &vcpu.callbacks[CALLBACKTYPE_failsafe];
    count_trap(TRAP_FAILSAFE);
    enter(regs, callback, callback->mask_events, selectors, 4);
    regs->ds = regs->es = regs->fs = regs->gs = 0;
}

/*
 * Virtual-8086 mode is not to be had. As Xen, the guest kernel gets a #GP that says so on its stack, as if the first
 * instruction there had faulted: the frame it wanted to return by, with an error code of zero.
 */
static void refuse_vm86(struct regs *regs, u32 flags)
{
    struct {
        u32 error, ip, cs, flags, sp, ss, es, ds, fs, gs;
    } frame;
    const struct trap_entry *entry = &vcpu.traps[VECTOR_GP];
    u32 sp = vcpu.kernel_rsp - sizeof(frame);
    if (!copy_from_guest(&frame, regs->sp, sizeof(frame)))
        crash_guest("the iret frame cannot be read", regs);
    frame.error = 0;
    if (!copy_to_guest(sp, &frame, sizeof(frame)))
        crash_guest("the kernel stack cannot be written", regs);
    count_trap(TRAP_GENERAL_PROTECTION);
    if (entry->address == 0)
        crash_guest("no handler for this event", regs);
    if (TI_GET_IF(entry))
        flags &= ~FLAG_IF;
    regs->sp = sp;
    regs->ss = vcpu.kernel_ss;
    regs->flags = (flags & GUEST_FLAGS & ~(FLAG_TF | FLAG_RF)) | FLAG_IF | 2;
    regs->ip = entry->address;
    regs->cs = entry->cs;
    vcpu.info->evtchn_upcall_mask = !(flags & FLAG_IF);
}

void do_iret(struct regs *regs)
{
    struct {
        u32 ax, ip, cs, flags;
    } frame;
    u32 outer[2];
    if (!copy_from_guest(&frame, regs->sp, sizeof(frame)))
        crash_guest("the iret frame cannot be read", regs);
    regs->ax = frame.ax;
    if (vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl))
        vcpu.iopl = (frame.flags & FLAG_IOPL) >> 12;
    if (frame.flags & FLAG_VM) {
        refuse_vm86(regs, frame.flags);
        return;
    }
    switch (frame.cs & 3) {
    case 0:
        crash_guest("return to ring 0", regs);
    case 1:
        regs->sp += sizeof(frame);
        break;
    default:
        if (!copy_from_guest(outer, regs->sp + sizeof(frame), sizeof(outer)))
            crash_guest("the iret frame cannot be read", regs);
        regs->sp = outer[0];
        regs->ss = (u16)outer[1];
    }
    regs->ip = frame.ip;
    regs->cs = (u16)frame.cs;
    regs->flags = (frame.flags & GUEST_FLAGS) | FLAG_IF | 2;
    vcpu.info->evtchn_upcall_mask = !(frame.flags & FLAG_IF);
    vcpu.nmi_masked = false;
    vcpu.in_kernel = (regs->cs & 3) == 1;
}
