/* HYPERVISOR_sched_op (xen/include/public/sched.h): waiting, and going away. */
#include "emu.h"

#define MAX_POLL_PORTS 128

/* Halts once; the ticks until the interrupt are nobody's. */
static void halt(void)
{
    u64 before = read_tsc();
    wait_for_interrupt();
    exclude_idle(read_tsc() - before);
}

static void block(void)
{
    vcpu.info->evtchn_upcall_mask = 0;
    runstate_change(RUNSTATE_blocked);
    while (!vcpu.info->evtchn_upcall_pending && !vcpu.nmi_pending)
        halt();
    runstate_change(RUNSTATE_running);
}

static bool any_pending(const u32 *ports, unsigned count)
{
    for (unsigned index = 0; index < count; index++)
        if (event_pending(ports[index]))
            return true;
    return false;
}

/*
 * Waits for one of some ports, masked or not, or an absolute time (0: none), which has a sign in Xen: from 2^63 on it is long
 * past.
 */
static s64 poll(word argument)
{
    struct sched_poll request;
    u32 ports[MAX_POLL_PORTS];
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (request.nr_ports > MAX_POLL_PORTS)
        return -XEN_EINVAL;
    if (!copy_from_guest(ports, (word)request.ports.p, request.nr_ports * sizeof(u32)))
        return -XEN_EFAULT;
    if (any_pending(ports, request.nr_ports) || (s64)request.timeout < 0)
        return 0;
    if (request.timeout != 0)
        timer_set(TIMER_POLL, request.timeout);
    runstate_change(RUNSTATE_blocked);
    while (!any_pending(ports, request.nr_ports) && (request.timeout == 0 || timer_armed(TIMER_POLL)) &&
           !(vcpu.info->evtchn_upcall_pending && !vcpu.info->evtchn_upcall_mask))
        halt();
    runstate_change(RUNSTATE_running);
    if (timer_armed(TIMER_POLL))
        timer_stop(TIMER_POLL);
    return 0;
}

_Noreturn void shut_down(u32 reason)
{
    port_write(PORT_SHUTDOWN, reason);
    for (;;)
        asm volatile("cli; hlt");
}

s64 do_sched_op(word command, word argument)
{
    struct sched_shutdown shutdown;
    switch (command) {
    case SCHEDOP_yield:
        return 0;
    case SCHEDOP_block:
        block();
        return 0;
    case SCHEDOP_poll:
        return poll(argument);
    case SCHEDOP_shutdown:
        if (!copy_from_guest(&shutdown, argument, sizeof(shutdown)))
            return -XEN_EFAULT;
        shut_down(shutdown.reason);
    case SCHEDOP_shutdown_code: /* what a later shutdown by the toolstack would report; there is none */
        return copy_from_guest(&shutdown, argument, sizeof(shutdown)) ? 0 : -XEN_EFAULT;
    case SCHEDOP_remote_shutdown:
        return -XEN_ESRCH;
    case SCHEDOP_pin_override:
        return -XEN_EPERM;
    }
    return -XEN_ENOSYS;
}
