/* System time, and the three kinds of timers that share xenner's one. */
#include "emu.h"

#define UNARMED (~0ULL)
/* XEN_PVCLOCK_TSC_STABLE_BIT: one processor, one TSC. */
#define TSC_STABLE 1
#define SHORTEST_PERIOD 1000000 /* ns, as Xen */
/* Xen's STIME_DELTA_MAX: now and a period never overflow. */
#define LONGEST_PERIOD (~0ULL >> 2)

static u64 deadlines[TIMERS];
static u64 period;
/* What xenner was told last. */
static u64 programmed = UNARMED;

/* ns since the domain was built; pvclock's formula. */
u64 system_time(void)
{
    u64 ticks = read_tsc();
    if (boot.tsc_shift >= 0)
        ticks <<= boot.tsc_shift;
    else
        ticks >>= -boot.tsc_shift;
    return SCALED(ticks, boot.tsc_to_system_mul);
}

void fill_time_info(struct vcpu_time_info *info)
{
    info->tsc_timestamp = 0;
    info->system_time = 0;
    info->tsc_to_system_mul = boot.tsc_to_system_mul;
    info->tsc_shift = (signed char)boot.tsc_shift;
    info->flags = TSC_STABLE;
    info->version = 2; /* even: complete. The rate never changes, so it is written once. */
}

void time_init(void)
{
    for (unsigned timer = 0; timer < TIMERS; timer++)
        deadlines[timer] = UNARMED;
    shared_info->wc_sec = (u32)boot.wallclock_seconds;
    shared_info->xen_wc_sec_hi = (u32)(boot.wallclock_seconds >> 32);
    shared_info->wc_nsec = boot.wallclock_nanoseconds;
    shared_info->wc_version = 2;
    fill_time_info(&vcpu.info->time);
}

static void program(void)
{
    u64 earliest = UNARMED;
    for (unsigned timer = 0; timer < TIMERS; timer++)
        if (deadlines[timer] < earliest)
            earliest = deadlines[timer];
    if (earliest == programmed)
        return;
    programmed = earliest;
    if (earliest == UNARMED) {
        port_write(PORT_TIMER_STOP, 0);
        return;
    }
    port_write(PORT_TIMER_LOW, (u32)earliest);
    port_write(PORT_TIMER_HIGH, (u32)(earliest >> 32));
}

void timer_set(enum timer timer, u64 deadline)
{
    deadlines[timer] = deadline < UNARMED ? deadline : UNARMED - 1;
    program();
}

void timer_stop(enum timer timer)
{
    deadlines[timer] = UNARMED;
    program();
}

bool timer_armed(enum timer timer)
{
    return deadlines[timer] != UNARMED;
}

/* xenner's timer went off. */
void timer_line(void)
{
    u64 now = system_time();
    programmed = UNARMED;
    for (unsigned timer = 0; timer < TIMERS; timer++) {
        if (deadlines[timer] > now)
            continue;
        deadlines[timer] = UNARMED;
        if (timer != TIMER_POLL)
            event_virq(VIRQ_TIMER);
        if (timer == TIMER_PERIODIC)
            deadlines[timer] = now + period;
    }
    program();
}

/* The old interface: 0 stops, a deadline in the past fires at once. */
s64 do_set_timer_op(u64 deadline)
{
    if (deadline == 0)
        timer_stop(TIMER_SINGLESHOT);
    else
        timer_set(TIMER_SINGLESHOT, deadline);
    return 0;
}

s64 set_periodic_timer(u64 nanoseconds)
{
    if (nanoseconds < SHORTEST_PERIOD || nanoseconds > LONGEST_PERIOD)
        return -XEN_EINVAL;
    period = nanoseconds;
    timer_set(TIMER_PERIODIC, system_time() + nanoseconds);
    return 0;
}
