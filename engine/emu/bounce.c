/*
 * Into the guest and out of it by frames on the guest kernel's stack: exceptions, callbacks, and the iret hypercall
 * (xen/include/public/arch-x86/xen-x86_64.h). Guest kernel and guest user both run in ring 3; which of the two it is
 * decides over page tables, GS and stack, and is shown to the guest as the RPL of CS, 0 or 3.
 */
#include "emu.h"

#define FRAME_WORDS 14

/* What a guest may set in its flags; IF is always on, and the real IOPL always 0. */
#define GUEST_FLAGS                                                                                                  \
    (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_TF | FLAG_DF | FLAG_OF | FLAG_RF | FLAG_AC | 1UL << 21)

void to_guest_kernel(void)
{
    if (vcpu.in_kernel)
        return;
    vcpu.in_kernel = true;
    swap_gs();
    load_cr3(vcpu.kernel_l4);
}

void to_guest_user(const struct regs *regs)
{
    if (!vcpu.in_kernel)
        return;
    if (vcpu.user_l4 == 0)
        crash_guest("return to user mode without a user page table", regs);
    vcpu.in_kernel = false;
    swap_gs();
    load_cr3(vcpu.user_l4);
}

/*
 * Enters the guest kernel at `address`. Low to high on its stack: rcx, r11, `extra` (an error code or the failsafe
 * selectors), rip, cs with the old event mask in bits 32-39, rflags with IF = not masked, rsp, ss.
 */
static void enter_kernel(struct regs *regs, u64 address, bool mask_events, const u64 *extra, unsigned extras)
{
    u64 frame[FRAME_WORDS];
    unsigned words = 0;
    u8 mask = vcpu.info->evtchn_upcall_mask;
    u64 cs = (u16)regs->cs, rsp = regs->rsp;
    u64 flags = regs->rflags & ~(FLAG_IF | FLAG_IOPL);

    if (address == 0)
        crash_guest("no handler for this event", regs);
    if (vcpu.in_kernel) {
        cs &= ~3UL;
    } else {
        rsp = vcpu.kernel_rsp;
        to_guest_kernel();
    }
    if (!mask)
        flags |= FLAG_IF;
    if (vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl))
        flags |= (u64)vcpu.iopl << 12;

    frame[words++] = regs->rcx;
    frame[words++] = regs->r11;
    while (extras--)
        frame[words++] = *extra++;
    frame[words++] = regs->rip;
    frame[words++] = cs | (u64)mask << 32;
    frame[words++] = flags;
    frame[words++] = regs->rsp;
    frame[words++] = regs->ss;
    rsp = (rsp & ~15UL) - words * sizeof(u64);
    if (!copy_to_guest(rsp, frame, words * sizeof(u64)))
        crash_guest("the kernel stack cannot be written", regs);

    if (mask_events)
        vcpu.info->evtchn_upcall_mask = 1;
    regs->rip = address;
    regs->cs = FLAT_KERNEL_CS;
    regs->rflags = (regs->rflags & GUEST_FLAGS & ~(FLAG_TF | FLAG_RF | FLAG_AC)) | FLAG_IF | 2;
    regs->rsp = rsp;
    regs->ss = FLAT_KERNEL_SS;
}

void bounce_exception(struct regs *regs, unsigned vector, bool has_error, u64 error)
{
    const struct trap_entry *entry = &vcpu.traps[vector];
    count_trap((enum trap_kind)vector);
    enter_kernel(regs, entry->address, TI_GET_IF(entry), &error, has_error);
}

void bounce_interrupt(struct regs *regs, unsigned vector)
{
    const struct trap_entry *entry = &vcpu.traps[vector];
    count_trap(TRAP_SOFTWARE_INTERRUPT);
    enter_kernel(regs, entry->address, TI_GET_IF(entry), 0, 0);
}

void bounce_callback(struct regs *regs, unsigned type)
{
    const struct callback *callback = &vcpu.callbacks[type];
    enter_kernel(regs, callback->address, callback->mask_events, 0, 0);
}

/* The guest's own return state was bad: the kernel learns which selectors were loaded. */
void bounce_failsafe(struct regs *regs)
{
    u32 ds, es, fs, gs;
    asm volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    u64 selectors[] = {ds, es, fs, gs};
    const struct callback *callback = &vcpu.callbacks[CALLBACKTYPE_failsafe];
    count_trap(TRAP_FAILSAFE);
    enter_kernel(regs, callback->address, callback->mask_events, selectors, 4);
}

void do_iret(struct regs *regs)
{
    struct iret_context frame;
    if (!copy_from_guest(&frame, regs->rsp, sizeof(frame)))
        crash_guest("the iret frame cannot be read", regs);
    regs->rax = frame.rax;
    if (!(frame.flags & VGCF_in_syscall)) {
        regs->r11 = frame.r11;
        regs->rcx = frame.rcx;
    }
    regs->rip = frame.rip;
    regs->cs = (u16)frame.cs | 3;
    regs->rflags = (frame.rflags & GUEST_FLAGS) | FLAG_IF | 2;
    regs->rsp = frame.rsp;
    regs->ss = (u16)frame.ss | 3;
    if (vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl))
        vcpu.iopl = (frame.rflags & FLAG_IOPL) >> 12;
    vcpu.info->evtchn_upcall_mask = !(frame.rflags & FLAG_IF);
    vcpu.nmi_masked = false;
    if ((frame.cs & 3) == 3)
        to_guest_user(regs);
}

/* On every way back to the guest: the callbacks it is due. */
void deliver_events(struct regs *regs)
{
    if (vcpu.nmi_pending && !vcpu.nmi_masked && vcpu.callbacks[CALLBACKTYPE_nmi].address) {
        vcpu.nmi_pending = false;
        vcpu.nmi_masked = true;
        count_trap(TRAP_NMI);
        bounce_callback(regs, CALLBACKTYPE_nmi);
        return;
    }
    if (!vcpu.info->evtchn_upcall_pending || vcpu.info->evtchn_upcall_mask)
        return;
    const struct callback *callback = &vcpu.callbacks[CALLBACKTYPE_event];
    if (callback->address == 0)
        return;
    statistics->upcalls++;
    enter_kernel(regs, callback->address, true, 0, 0);
}

s64 do_set_trap_table(u64 table)
{
    struct trap_info entry;
    if (table == 0) {
        fill_memory(vcpu.traps, 0, sizeof(vcpu.traps));
        return 0;
    }
    for (;; table += sizeof(entry)) {
        if (!copy_from_guest(&entry, table, sizeof(entry)))
            return -XEN_EFAULT;
        if (entry.address == 0)
            return 0;
        if (!is_canonical(entry.address))
            return -XEN_EINVAL;
        vcpu.traps[entry.vector] =
            (struct trap_entry){.address = entry.address, .cs = entry.cs | 3, .flags = entry.flags};
    }
}

s64 do_stack_switch(u64 ss, u64 rsp)
{
    vcpu.kernel_ss = (u16)ss | 3;
    vcpu.kernel_rsp = rsp;
    return 0;
}

static s64 register_callback(unsigned type, u64 address, bool mask_events)
{
    if (type >= CALLBACK_TYPES || type == CALLBACKTYPE_sysenter || type == CALLBACKTYPE_sysenter_deprecated)
        return type < CALLBACK_TYPES ? -XEN_EINVAL : -XEN_ENOSYS;
    if (!is_canonical(address))
        return -XEN_EINVAL;
    /* Events are always masked on entry to their own callback. */
    vcpu.callbacks[type] =
        (struct callback){.address = address, .mask_events = mask_events || type == CALLBACKTYPE_event};
    return 0;
}

s64 do_set_callbacks(u64 event, u64 failsafe, u64 syscall)
{
    if (!is_canonical(event) || !is_canonical(failsafe) || !is_canonical(syscall))
        return -XEN_EINVAL;
    register_callback(CALLBACKTYPE_event, event, true);
    register_callback(CALLBACKTYPE_failsafe, failsafe, false);
    register_callback(CALLBACKTYPE_syscall, syscall, false);
    return 0;
}

s64 do_callback_op(u64 command, u64 argument)
{
    if (command == CALLBACKOP_register) {
        struct callback_register request;
        if (!copy_from_guest(&request, argument, sizeof(request)))
            return -XEN_EFAULT;
        return register_callback(request.type, request.address, request.flags & CALLBACKF_mask_events);
    }
    if (command == CALLBACKOP_unregister) {
        struct callback_unregister request;
        if (!copy_from_guest(&request, argument, sizeof(request)))
            return -XEN_EFAULT;
        if (request.type != CALLBACKTYPE_nmi)
            return -XEN_EINVAL;
        vcpu.callbacks[CALLBACKTYPE_nmi].address = 0;
        return 0;
    }
    return -XEN_ENOSYS;
}

s64 do_nmi_op(u64 command, u64 argument)
{
    struct xennmi_callback request;
    switch (command) {
    case XENNMI_register_callback:
        if (!copy_from_guest(&request, argument, sizeof(request)))
            return -XEN_EFAULT;
        return register_callback(CALLBACKTYPE_nmi, request.handler_address, false);
    case XENNMI_unregister_callback:
        vcpu.callbacks[CALLBACKTYPE_nmi].address = 0;
        return 0;
    }
    return -XEN_ENOSYS;
}
