/*
 * The hypercall table. The number and the result are in rax, arguments in rdi, rsi, rdx, r10 (ebx, ecx, edx, esi for a
 * 32-bit guest, which gives a 64-bit value in two of them: hypercall-arguments.h).
 */
#include "emu.h"
#include "hypercall-arguments.h"

static bool in_multicall;

static s64 do_multicall(word calls, word count);

static s64 do_console_io(word command, word count, word buffer)
{
    if (command == CONSOLEIO_write)
        return console_write(buffer, (u32)count);
    return command == CONSOLEIO_read ? -XEN_EPERM : -XEN_ENOSYS;
}

static s64 dispatch(word number, word a1, word a2, word a3, word a4)
{
    switch (number) {
    case __HYPERVISOR_set_trap_table:
        return do_set_trap_table(a1);
    case __HYPERVISOR_mmu_update:
        return do_mmu_update(a1, a2, a3, a4);
    case __HYPERVISOR_set_gdt:
        return do_set_gdt(a1, a2);
    case __HYPERVISOR_stack_switch:
        return do_stack_switch(a1, a2);
    case __HYPERVISOR_set_callbacks:
        return do_set_callbacks(SET_CALLBACKS_ARGUMENTS);
    case __HYPERVISOR_fpu_taskswitch:
        return do_fpu_taskswitch(a1);
    case __HYPERVISOR_set_debugreg:
        return do_set_debugreg(a1, a2);
    case __HYPERVISOR_get_debugreg:
        return do_get_debugreg(a1);
    case __HYPERVISOR_update_descriptor:
        return do_update_descriptor(UPDATE_DESCRIPTOR_ARGUMENTS);
    case __HYPERVISOR_memory_op:
        return do_memory_op(a1, a2);
    case __HYPERVISOR_multicall:
        return do_multicall(a1, a2);
    case __HYPERVISOR_update_va_mapping:
        return do_update_va_mapping(UPDATE_VA_MAPPING_ARGUMENTS);
    case __HYPERVISOR_set_timer_op:
        return do_set_timer_op(SET_TIMER_ARGUMENT);
    case __HYPERVISOR_xen_version:
        return do_xen_version(a1, a2);
    case __HYPERVISOR_console_io:
        return do_console_io(a1, a2, a3);
    case __HYPERVISOR_grant_table_op:
        return do_grant_table_op(a1, a2, a3);
    case __HYPERVISOR_vm_assist:
        return do_vm_assist(a1, a2);
    case __HYPERVISOR_vcpu_op:
        return do_vcpu_op(a1, a2, a3);
    case __HYPERVISOR_set_segment_base:
        return do_set_segment_base(a1, a2);
    case __HYPERVISOR_mmuext_op:
        return do_mmuext_op(a1, a2, a3, a4);
    case __HYPERVISOR_nmi_op:
        return do_nmi_op(a1, a2);
    case __HYPERVISOR_sched_op:
        return do_sched_op(a1, a2);
    case __HYPERVISOR_callback_op:
        return do_callback_op(a1, a2);
    case __HYPERVISOR_event_channel_op:
        return do_event_channel_op(a1, a2);
    case __HYPERVISOR_physdev_op:
        return do_physdev_op(a1, a2);
    case __HYPERVISOR_platform_op: /* for the control domain */
    case __HYPERVISOR_sysctl:
    case __HYPERVISOR_domctl:
        return -XEN_EPERM;
    }
    return do_compat(number, a1, a2);
}

/* As Xen: the entries run to the end whatever they return; only a list that cannot be read or written stops it. */
static s64 do_multicall(word calls, word count)
{
    multicall_entry_t entry;
    s64 result = 0;
    if (in_multicall)
        return -XEN_EINVAL;
    in_multicall = true;
    call_done(0);
    for (u32 index = 0; index < (u32)count; index++) {
        word at = calls + index * sizeof(entry);
        if (!copy_from_guest(&entry, at, sizeof(entry))) {
            result = -XEN_EFAULT;
            break;
        }
        call_is(entry.op, entry.args[0], entry.args[2]);
        s64 answer = dispatch(entry.op, entry.args[0], entry.args[1], entry.args[2], entry.args[3]);
        entry.result = (xen_ulong_t)answer;
        call_done(answer);
        if (!copy_to_guest(at + offsetof(multicall_entry_t, result), &entry.result, sizeof(entry.result))) {
            result = -XEN_EFAULT;
            break;
        }
    }
    in_multicall = false;
    if (result != 0)
        call_failed(__HYPERVISOR_multicall);
    return result;
}

void hypercall(struct regs *regs)
{
    word number = regs->ax;
    call_is(number, ARGUMENT_1(regs), ARGUMENT_3(regs));
    if (number == __HYPERVISOR_iret) {
        do_iret(regs);
        call_done(0);
        return;
    }
    s64 result = dispatch(number, ARGUMENT_1(regs), ARGUMENT_2(regs), ARGUMENT_3(regs), ARGUMENT_4(regs));
    regs->ax = (word)result;
    if (number != __HYPERVISOR_multicall)
        call_done(result);
}
