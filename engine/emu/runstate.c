/* How long the virtual processor ran and how long it was blocked (xen/include/public/vcpu.h, runstate). */
#include "emu.h"

static struct vcpu_runstate_info info;
static word guest_area; /* the guest kernel's virtual address; 0: none */

void runstate_init(void)
{
    info.state = RUNSTATE_running;
    info.state_entry_time = system_time();
}

void runstate_change(unsigned state)
{
    u64 now = system_time();
    info.time[info.state] += now - info.state_entry_time;
    info.state = (int)state;
    info.state_entry_time = now;
    /* A guest that unmaps its area only loses the news. */
    if (guest_area)
        copy_to_guest(guest_area, &info, sizeof(info));
}

s64 runstate_register(word area)
{
    if (area != 0 && !copy_to_guest(area, &info, sizeof(info)))
        return -XEN_EFAULT;
    guest_area = area;
    return 0;
}

void runstate_get(struct vcpu_runstate_info *out)
{
    runstate_change(RUNSTATE_running);
    *out = info;
}
