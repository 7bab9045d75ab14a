/* Event channels, vcpu_op, timers, sched_op. */
#include "hello32.h"

#define BAD_DOMAIN 77
#define MILLISECOND 1000000u
#define NO_PORT 4000000u

static long event(u32 command, const void *of, u32 bytes)
{
    return CALL(event_channel_op, command, argument(of, bytes));
}

static long port_op(u32 command, u32 port)
{
    return event(command, &port, sizeof(port));
}

static bool pending(u32 port)
{
    return shared.evtchn_pending[port / 32] >> (port % 32) & 1;
}

static u64 now(void)
{
    const struct vcpu_time_info *time = &shared.vcpu_info[0].time;
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    u64 ticks = (low | (u64)high << 32) << time->tsc_shift;
    return (u64)(u32)(ticks >> 32) * time->tsc_to_system_mul + ((u64)(u32)ticks * time->tsc_to_system_mul >> 32);
}

void check_events(void)
{
    struct evtchn_alloc_unbound unbound = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    check("alloc_unbound", event(EVTCHNOP_alloc_unbound, &unbound, sizeof(unbound)), 0);
    u32 port = ((struct evtchn_alloc_unbound *)scratch)->port;
    unbound.dom = BAD_DOMAIN;
    REFUSED("alloc_unbound for another", -XEN_EPERM, event(EVTCHNOP_alloc_unbound, &unbound, sizeof(unbound)));
    struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF, .remote_port = port};
    check("bind_interdomain", event(EVTCHNOP_bind_interdomain, &bind, sizeof(bind)), 0);
    u32 local = ((struct evtchn_bind_interdomain *)scratch)->local_port;
    check("is a port of its own", local != port, 1);
    REFUSED("bound already", -XEN_EINVAL, event(EVTCHNOP_bind_interdomain, &bind, sizeof(bind)));
    bind.remote_dom = BAD_DOMAIN;
    REFUSED("bind_interdomain to another", -XEN_ESRCH, event(EVTCHNOP_bind_interdomain, &bind, sizeof(bind)));
    check("send", port_op(EVTCHNOP_send, local), 0);
    check("arrives", pending(port), 1);
    REFUSED("send to no port", -XEN_EINVAL, port_op(EVTCHNOP_send, 900));
    REFUSED("send to a port beyond all", -XEN_EINVAL, port_op(EVTCHNOP_send, NO_PORT));
    struct evtchn_status status = {.dom = DOMID_SELF, .port = local};
    check("status", event(EVTCHNOP_status, &status, sizeof(status)), 0);
    check("is interdomain", (long)((struct evtchn_status *)scratch)->status, EVTCHNSTAT_interdomain);
    struct { u32 command; struct evtchn_status status; } old = {.command = EVTCHNOP_status, .status = status};
    check("status by the old hypercall", CALL(event_channel_op_compat, argument(&old, sizeof(old))), 0);
    check("is the same", (long)((__typeof__(old) *)scratch)->status.status, EVTCHNSTAT_interdomain);
    old.command = EVTCHNOP_reset;
    REFUSED("what the old hypercall does not know", -XEN_ENOSYS, CALL(event_channel_op_compat, argument(&old, sizeof(old))));
    REFUSED("the old hypercall from nowhere", -XEN_EFAULT, CALL(event_channel_op_compat, UNMAPPED));
    status.dom = BAD_DOMAIN;
    REFUSED("status of another", -XEN_ESRCH, event(EVTCHNOP_status, &status, sizeof(status)));
    status = (struct evtchn_status){.dom = DOMID_SELF, .port = NO_PORT};
    REFUSED("status of a port beyond all", -XEN_EINVAL, event(EVTCHNOP_status, &status, sizeof(status)));
    struct evtchn_bind_ipi ipi = {.vcpu = 0};
    check("bind_ipi", event(EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
    u32 ipi_port = ((struct evtchn_bind_ipi *)scratch)->port;
    check("send to it", port_op(EVTCHNOP_send, ipi_port), 0);
    check("reaches it", pending(ipi_port), 1);
    ipi.vcpu = 5;
    REFUSED("bind_ipi of no processor", -XEN_ENOENT, event(EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)));
    struct evtchn_bind_virq virq = {.virq = 200};
    REFUSED("no such VIRQ", -XEN_EINVAL, event(EVTCHNOP_bind_virq, &virq, sizeof(virq)));
    virq = (struct evtchn_bind_virq){.virq = VIRQ_DEBUG, .vcpu = 3};
    REFUSED("VIRQ of no processor", -XEN_ENOENT, event(EVTCHNOP_bind_virq, &virq, sizeof(virq)));
    struct evtchn_bind_vcpu vcpu = {.port = port, .vcpu = 0};
    check("bind_vcpu", event(EVTCHNOP_bind_vcpu, &vcpu, sizeof(vcpu)), 0);
    vcpu.vcpu = 1;
    REFUSED("bind_vcpu to none", -XEN_ENOENT, event(EVTCHNOP_bind_vcpu, &vcpu, sizeof(vcpu)));
    struct evtchn_bind_pirq pirq = {.pirq = 1};
    REFUSED("bind_pirq", -XEN_EINVAL, event(EVTCHNOP_bind_pirq, &pirq, sizeof(pirq)));
    REFUSED("unmask beyond all", -XEN_EINVAL, port_op(EVTCHNOP_unmask, NO_PORT));
    REFUSED("closing no port", -XEN_EINVAL, port_op(EVTCHNOP_close, 900));
    for (u32 command = EVTCHNOP_bind_interdomain; command <= EVTCHNOP_reset; command++) {
        if (command == EVTCHNOP_bind_pirq)
            continue;
        REFUSED("a request from nowhere", -XEN_EFAULT, CALL(event_channel_op, command, UNMAPPED));
        REFUSED("a request in the hole", -XEN_EFAULT, CALL(event_channel_op, command, IN_HOLE));
    }
    REFUSED("a port number to read-only", -XEN_EFAULT, CALL(event_channel_op, EVTCHNOP_bind_ipi, read_only + 256));
    struct evtchn_reset reset = {.dom = BAD_DOMAIN};
    REFUSED("reset of another", -XEN_ESRCH, event(EVTCHNOP_reset, &reset, sizeof(reset)));
    REFUSED("an unknown operation", -XEN_ENOSYS, CALL(event_channel_op, 99, scratch));
    check("close", port_op(EVTCHNOP_close, ipi_port), 0);
    check("close", port_op(EVTCHNOP_close, local), 0);
    check("close", port_op(EVTCHNOP_close, port), 0);
    shared.vcpu_info[0].evtchn_pending_sel = 0;
    shared.vcpu_info[0].evtchn_upcall_pending = 0;
}

static long vcpu(u32 command, u32 id, const void *of, u32 bytes)
{
    return CALL(vcpu_op, command, id, argument(of, bytes));
}

void check_vcpu(void)
{
    struct vcpu_runstate_info info;
    check("is_up", CALL(vcpu_op, VCPUOP_is_up, 0), 1);
    REFUSED("of no processor", -XEN_ENOENT, CALL(vcpu_op, VCPUOP_is_up, 1));
    REFUSED("initialise the running one", -XEN_EEXIST, CALL(vcpu_op, VCPUOP_initialise, 0, scratch));
    check("up", CALL(vcpu_op, VCPUOP_up, 0), 0);
    check("runstate_info", CALL(vcpu_op, VCPUOP_get_runstate_info, 0, &info), 0);
    check("runs", info.state, RUNSTATE_running);
    check("for a while", info.time[RUNSTATE_running] != 0, 1);
    REFUSED("runstate_info to the hole", -XEN_EFAULT, CALL(vcpu_op, VCPUOP_get_runstate_info, 0, IN_HOLE));
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area runstate = {.addr.v = &area};
    check("a runstate area", vcpu(VCPUOP_register_runstate_memory_area, 0, &runstate, sizeof(runstate)), 0);
    check("is filled", area.state_entry_time != 0, 1);
    runstate.addr.v = (void *)read_only;
    REFUSED("one that is read-only", -XEN_EFAULT,
            vcpu(VCPUOP_register_runstate_memory_area, 0, &runstate, sizeof(runstate)));
    static struct vcpu_time_info time;
    struct vcpu_register_time_memory_area times = {.addr.v = &time};
    check("a time area", vcpu(VCPUOP_register_vcpu_time_memory_area, 0, &times, sizeof(times)), 0);
    check("has the rate", (long)time.tsc_to_system_mul, (long)0x80000000);
    times.addr.p = UNMAPPED;
    REFUSED("one nowhere", -XEN_EFAULT, vcpu(VCPUOP_register_vcpu_time_memory_area, 0, &times, sizeof(times)));
    struct vcpu_register_vcpu_info place = {.mfn = MFN_OF(spare), .offset = PAGE - 32};
    REFUSED("vcpu_info across pages", -XEN_EINVAL, vcpu(VCPUOP_register_vcpu_info, 0, &place, sizeof(place)));
    place = (struct vcpu_register_vcpu_info){.mfn = start_info->pt_base - VIRT_BASE, .offset = 0};
    place.mfn /= PAGE;
    REFUSED("vcpu_info in a page table", -XEN_EINVAL, vcpu(VCPUOP_register_vcpu_info, 0, &place, sizeof(place)));
    place.mfn = 0xfffff;
    REFUSED("vcpu_info in no RAM", -XEN_EINVAL, vcpu(VCPUOP_register_vcpu_info, 0, &place, sizeof(place)));
    struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future};
    REFUSED("a timer in the past", -XEN_ETIME, vcpu(VCPUOP_set_singleshot_timer, 0, &timer, sizeof(timer)));
    struct vcpu_set_periodic_timer period = {.period_ns = 10};
    REFUSED("too short a period", -XEN_EINVAL, vcpu(VCPUOP_set_periodic_timer, 0, &period, sizeof(period)));
    period.period_ns = 1ull << 62;
    REFUSED("too long a period", -XEN_EINVAL, vcpu(VCPUOP_set_periodic_timer, 0, &period, sizeof(period)));
    REFUSED("get_physid", -XEN_EINVAL, CALL(vcpu_op, VCPUOP_get_physid, 0, scratch));
    static const u8 with_argument[] = {VCPUOP_get_runstate_info,           VCPUOP_register_runstate_memory_area,
                                       VCPUOP_set_periodic_timer,          VCPUOP_set_singleshot_timer,
                                       VCPUOP_register_vcpu_info,          VCPUOP_register_vcpu_time_memory_area};
    for (unsigned index = 0; index < sizeof(with_argument); index++)
        REFUSED("an argument nowhere", -XEN_EFAULT, CALL(vcpu_op, with_argument[index], 0, UNMAPPED));
    REFUSED("an unknown operation", -XEN_ENOSYS, CALL(vcpu_op, 99, 0, scratch));
    check("stopping timers", CALL(vcpu_op, VCPUOP_stop_singleshot_timer, 0), 0);
    check("of both kinds", CALL(vcpu_op, VCPUOP_stop_periodic_timer, 0), 0);
}

static void wait_for(u32 port)
{
    while (!(upcalls >> port & 1))
        CALL(sched_op, SCHEDOP_block);
    upcalls &= ~(1u << port);
    shared.vcpu_info[0].evtchn_upcall_mask = 1;
}

void check_timer(void)
{
    struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER};
    check("bind_virq", event(EVTCHNOP_bind_virq, &virq, sizeof(virq)), 0);
    u32 port = ((struct evtchn_bind_virq *)scratch)->port;
    REFUSED("bound already", -XEN_EEXIST, event(EVTCHNOP_bind_virq, &virq, sizeof(virq)));
    check("unmask", port_op(EVTCHNOP_unmask, port), 0);
    u64 before = now();
    struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = before + MILLISECOND};
    check("set_singleshot_timer", vcpu(VCPUOP_set_singleshot_timer, 0, &timer, sizeof(timer)), 0);
    wait_for(port);
    u64 slept = now() - before;
    check("slept a millisecond", slept >= MILLISECOND && slept < 100 * MILLISECOND, 1);
    before = now();
    u64 deadline = before + 5 * MILLISECOND;
    check("set_timer_op", CALL(set_timer_op, (u32)deadline, (u32)(deadline >> 32)), 0);
    wait_for(port);
    slept = now() - before;
    check("slept five", slept >= 5 * MILLISECOND && slept < 100 * MILLISECOND, 1);
    /* The high half counts: this one is 4 seconds off. */
    before = now();
    deadline = before + (1ull << 32);
    check("set_timer_op, high half", CALL(set_timer_op, (u32)deadline, (u32)(deadline >> 32)), 0);
    wait_for(port);
    check("slept four seconds", now() - before >= 1ull << 32, 1);
    struct vcpu_set_periodic_timer period = {.period_ns = 2 * MILLISECOND};
    check("set_periodic_timer", vcpu(VCPUOP_set_periodic_timer, 0, &period, sizeof(period)), 0);
    before = now();
    wait_for(port);
    wait_for(port);
    check("goes off twice", now() - before >= 4 * MILLISECOND, 1);
    check("stop_periodic_timer", CALL(vcpu_op, VCPUOP_stop_periodic_timer, 0), 0);
    check("close", port_op(EVTCHNOP_close, port), 0);
}

void check_sched(void)
{
    u32 port = start_info->store_evtchn;
    struct sched_poll poll = {.ports.p = &port, .nr_ports = 1, .timeout = now() + MILLISECOND};
    check("yield", CALL(sched_op, SCHEDOP_yield), 0);
    u64 before = now();
    check("poll", CALL(sched_op, SCHEDOP_poll, argument(&poll, sizeof(poll))), 0);
    check("until its time", now() - before >= MILLISECOND - MILLISECOND / 10, 1);
    check("yield by the old hypercall", CALL(sched_op_compat, SCHEDOP_yield), 0);
    poll.timeout = 1ull << 63;
    check("poll until long ago", CALL(sched_op, SCHEDOP_poll, argument(&poll, sizeof(poll))), 0);
    REFUSED("poll by the old hypercall", -XEN_ENOSYS, CALL(sched_op_compat, SCHEDOP_poll, scratch));
    poll.nr_ports = 1000;
    REFUSED("poll of too many", -XEN_EINVAL, CALL(sched_op, SCHEDOP_poll, argument(&poll, sizeof(poll))));
    poll = (struct sched_poll){.ports.p = (evtchn_port_t *)IN_HOLE, .nr_ports = 1, .timeout = 1};
    REFUSED("poll of ports in the hole", -XEN_EFAULT, CALL(sched_op, SCHEDOP_poll, argument(&poll, sizeof(poll))));
    REFUSED("poll from nowhere", -XEN_EFAULT, CALL(sched_op, SCHEDOP_poll, UNMAPPED));
    REFUSED("shutdown for no reason", -XEN_EFAULT, CALL(sched_op, SCHEDOP_shutdown, UNMAPPED));
    REFUSED("shutdown_code from the hole", -XEN_EFAULT, CALL(sched_op, SCHEDOP_shutdown_code, IN_HOLE));
    struct sched_shutdown reason = {.reason = SHUTDOWN_crash};
    check("shutdown_code", CALL(sched_op, SCHEDOP_shutdown_code, argument(&reason, sizeof(reason))), 0);
    REFUSED("remote_shutdown", -XEN_ESRCH, CALL(sched_op, SCHEDOP_remote_shutdown, scratch));
    REFUSED("pin_override", -XEN_EPERM, CALL(sched_op, SCHEDOP_pin_override, scratch));
    REFUSED("an unknown operation", -XEN_ENOSYS, CALL(sched_op, 99, scratch));
}

/* The last section: from here on shared_info's is out of use. */
void check_vcpu_info(void)
{
    const u32 offset = 0x340;
    struct vcpu_info *own = (struct vcpu_info *)(spare + offset);
    struct vcpu_register_vcpu_info place = {.mfn = MFN_OF(spare), .offset = offset};
    shared.vcpu_info[0].evtchn_upcall_mask = 1;
    check("register_vcpu_info", vcpu(VCPUOP_register_vcpu_info, 0, &place, sizeof(place)), 0);
    check("masked as before", own->evtchn_upcall_mask, 1);
    check("to be looked through once", own->evtchn_upcall_pending, 1);
    check("all of it", (long)own->evtchn_pending_sel, -1);
    check("with the rate", (long)own->time.tsc_to_system_mul, (long)0x80000000);
    probe_read(UNMAPPED + 0x123);
    check("faults are told there", (long)own->arch.cr2, UNMAPPED + 0x123);
    REFUSED("registered twice", -XEN_EINVAL, vcpu(VCPUOP_register_vcpu_info, 0, &place, sizeof(place)));
    REFUSED("made a page table", -XEN_EINVAL,
            CALL(mmuext_op, argument(&(struct mmuext_op){.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = MFN_OF(spare)},
                                     sizeof(struct mmuext_op)),
                 1, 0, DOMID_SELF));
    own->evtchn_upcall_pending = 0;
    own->evtchn_pending_sel = 0;
    u32 port = start_info->store_evtchn;
    check("unmasking a port", port_op(EVTCHNOP_unmask, port), 0);
    struct xennmi_callback nmi = {.handler_address = (u32)on_int81};
    check("nmi_op", CALL(nmi_op, XENNMI_register_callback, argument(&nmi, sizeof(nmi))), 0);
    probe_nmi();
    check("an NMI to itself", (long)trap.vector, 0x81);
}
