/* Hypercalls of guests from before Xen 3.0.2, as GNU Mach is: sched_op and event_channel_op under their first numbers. */
#include "emu.h"

/* The reason of a shutdown is the argument itself. */
static s64 sched_op(word command, word argument)
{
    switch (command) {
    case SCHEDOP_yield:
    case SCHEDOP_block:
        return do_sched_op(command, 0);
    case SCHEDOP_shutdown:
        shut_down((u8)argument);
    }
    return -XEN_ENOSYS;
}

/* The command stands in front of the structure. */
static s64 event_channel_op(word argument)
{
    u32 command;
    if (!copy_from_guest(&command, argument, sizeof(command)))
        return -XEN_EFAULT;
    if (command > EVTCHNOP_unmask)
        return -XEN_ENOSYS;
    return do_event_channel_op(command, argument + sizeof(command));
}

s64 do_compat(word number, word a1, word a2)
{
    switch (number) {
    case __HYPERVISOR_sched_op_compat:
        return sched_op(a1, a2);
    case __HYPERVISOR_event_channel_op_compat:
        return event_channel_op(a1);
    }
    return -XEN_ENOSYS;
}
