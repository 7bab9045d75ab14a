/* HYPERVISOR_vcpu_op (xen/include/public/vcpu.h), for the one virtual processor there is. */
#include "emu.h"

static s64 register_info(word argument)
{
    static bool registered;
    struct vcpu_register_vcpu_info request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (registered || request.offset > PAGE_SIZE - sizeof(struct vcpu_info) || request.offset % sizeof(word))
        return -XEN_EINVAL;
    /* The reference keeps the page from becoming a page table as long as emu writes to it: for ever. */
    if (page_get(request.mfn, PAGE_WRITABLE) != 0)
        return -XEN_EINVAL;
    struct vcpu_info *info = view_for_ever(((u64)request.mfn << PAGE_SHIFT) + request.offset);
    copy_memory(info, vcpu.info, sizeof(*info));
    vcpu.info = info;
    registered = true;
    /* An event may have been marked in the old place meanwhile: the guest looks at all of them once. */
    info->evtchn_pending_sel = ~0UL;
    info->evtchn_upcall_pending = 1;
    return 0;
}

static s64 register_time_area(word argument)
{
    struct vcpu_register_time_memory_area request;
    struct vcpu_time_info info = {0};
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    fill_time_info(&info);
    return copy_to_guest(request.addr.p, &info, sizeof(info)) ? 0 : -XEN_EFAULT;
}

static s64 set_singleshot(word argument)
{
    struct vcpu_set_singleshot_timer request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if ((request.flags & VCPU_SSHOTTMR_future) && request.timeout_abs_ns < system_time())
        return -XEN_ETIME;
    timer_set(TIMER_SINGLESHOT, request.timeout_abs_ns);
    return 0;
}

static s64 set_periodic(word argument)
{
    struct vcpu_set_periodic_timer request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    return set_periodic_timer(request.period_ns);
}

s64 do_vcpu_op(word command, word id, word argument)
{
    if (id != 0)
        return -XEN_ENOENT;
    switch (command) {
    case VCPUOP_initialise:
        return -XEN_EEXIST;
    case VCPUOP_up:
        return 0;
    case VCPUOP_down: /* the last processor of the domain */
        port_write(PORT_SHUTDOWN, SHUTDOWN_poweroff);
        for (;;)
            asm volatile("cli; hlt");
    case VCPUOP_is_up:
        return 1;
    case VCPUOP_get_runstate_info: {
        struct vcpu_runstate_info info;
        runstate_get(&info);
        return copy_to_guest(argument, &info, sizeof(info)) ? 0 : -XEN_EFAULT;
    }
    case VCPUOP_register_runstate_memory_area: {
        struct vcpu_register_runstate_memory_area request;
        if (!copy_from_guest(&request, argument, sizeof(request)))
            return -XEN_EFAULT;
        return runstate_register((word)request.addr.h.p);
    }
    case VCPUOP_set_periodic_timer:
        return set_periodic(argument);
    case VCPUOP_stop_periodic_timer:
        timer_stop(TIMER_PERIODIC);
        return 0;
    case VCPUOP_set_singleshot_timer:
        return set_singleshot(argument);
    case VCPUOP_stop_singleshot_timer:
        timer_stop(TIMER_SINGLESHOT);
        return 0;
    case VCPUOP_register_vcpu_info:
        return register_info(argument);
    case VCPUOP_send_nmi:
        vcpu.nmi_pending = true;
        return 0;
    case VCPUOP_get_physid:
        return -XEN_EINVAL; /* only for pinned processors of a domain with devices */
    case VCPUOP_register_vcpu_time_memory_area:
        return register_time_area(argument);
    }
    return -XEN_ENOSYS;
}
