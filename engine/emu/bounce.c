/*
 * Into the guest and out of it by frames on the guest kernel's stack: exceptions, callbacks, and the iret hypercall.
 * What the frames look like is in frames.h of the word size.
 */
#include "emu.h"

#include "frames.h"

void bounce_exception(struct regs *regs, unsigned vector, bool has_error, word error)
{
    const struct trap_entry *entry = &vcpu.traps[vector];
    count_trap((enum trap_kind)vector);
    enter(regs, entry, TI_GET_IF(entry), &error, has_error);
}

void bounce_interrupt(struct regs *regs, unsigned vector)
{
    const struct trap_entry *entry = &vcpu.traps[vector];
    count_trap(TRAP_SOFTWARE_INTERRUPT);
    enter(regs, entry, TI_GET_IF(entry), 0, 0);
}

void bounce_callback(struct regs *regs, unsigned type)
{
    const struct callback *callback = &vcpu.callbacks[type];
    enter(regs, callback, callback->mask_events, 0, 0);
}

/* SYSENTER leaves nothing behind of where it came from: neither code nor stack is in the frame, as from Xen. */
bool bounce_sysenter(struct regs *regs)
{
    u8 code[2];
    if (vcpu.callbacks[CALLBACKTYPE_sysenter].address == 0 || !copy_from_guest(code, regs->ip, sizeof(code)) ||
        code[0] != 0x0f || code[1] != 0x34)
        return false;
    regs->ip = 0;
    regs->cs = 3;
    regs->sp = 0;
    regs->ss = FLAT_USER_SS;
    count_trap(TRAP_USER_SYSCALL);
    bounce_callback(regs, CALLBACKTYPE_sysenter);
    return true;
}

#include "returns.h"

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
    enter(regs, callback, true, 0, 0);
}

s64 do_set_trap_table(word table)
{
    struct trap_info entry;
    if (table == 0) {
        fill_memory(vcpu.traps, 0, sizeof(vcpu.traps));
        trap_changed(VECTOR_SYSTEM_CALL);
        return 0;
    }
    for (;; table += sizeof(entry)) {
        if (!copy_from_guest(&entry, table, sizeof(entry)))
            return -XEN_EFAULT;
        if (entry.address == 0)
            return 0;
        if (!is_canonical(entry.address))
            return -XEN_EINVAL;
        vcpu.traps[entry.vector] = (struct trap_entry){
            .address = entry.address, .cs = kernel_selector(entry.cs), .flags = entry.flags};
        trap_changed(entry.vector);
    }
}

s64 do_stack_switch(word ss, word sp)
{
    vcpu.kernel_ss = kernel_selector((u16)ss);
    vcpu.kernel_rsp = sp;
    stack_changed();
    return 0;
}

static bool callback_type_exists(unsigned type)
{
    return type < CALLBACK_TYPES && type != CALLBACKTYPE_sysenter_deprecated && !NO_SUCH_CALLBACK(type);
}

static s64 register_callback(unsigned type, handler_t handler, bool mask_events)
{
    if (!callback_type_exists(type))
        return -XEN_ENOSYS;
    if (!is_canonical(handler_address(handler)))
        return -XEN_EINVAL;
    /* Events are always masked on entry to their own callback. */
    vcpu.callbacks[type] =
        (struct callback){HANDLER_FIELDS(handler), .mask_events = mask_events || type == CALLBACKTYPE_event};
    return 0;
}

#include "callbacks.h"

s64 do_callback_op(word command, word argument)
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
            return callback_type_exists(request.type) ? -XEN_EINVAL : -XEN_ENOSYS;
        vcpu.callbacks[CALLBACKTYPE_nmi].address = 0;
        return 0;
    }
    return -XEN_ENOSYS;
}

s64 do_nmi_op(word command, word argument)
{
    struct xennmi_callback request;
    switch (command) {
    case XENNMI_register_callback:
        if (!copy_from_guest(&request, argument, sizeof(request)))
            return -XEN_EFAULT;
        return register_callback(CALLBACKTYPE_nmi, kernel_handler(request.handler_address), false);
    case XENNMI_unregister_callback:
        vcpu.callbacks[CALLBACKTYPE_nmi].address = 0;
        return 0;
    }
    return -XEN_ENOSYS;
}
