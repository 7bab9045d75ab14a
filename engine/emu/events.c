/* Event channels, two-level ABI (xen/include/public/event_channel.h), and the lines that connect some to xenner. */
#include "emu.h"

#define PORTS (WORD_BITS * WORD_BITS)
#define LINES_MAX 32

enum channel_state { CLOSED, UNBOUND, LOCAL /* bound to another port of this domain */, LINE, VIRQ, IPI };

struct channel {
    u8 state;
    u8 detail; /* VIRQ number or line */
    u16 remote_domain;
    u32 remote_port;
};

static struct channel channels[PORTS];
static u32 virq_port[NR_VIRQS]; /* 0: not bound */
static u32 line_port[LINES_MAX];

static word *pending_words(void)
{
    return (word *)shared_info->evtchn_pending;
}

static word *mask_words(void)
{
    return (word *)shared_info->evtchn_mask;
}

static void mark_selector(u32 port)
{
    vcpu.info->evtchn_pending_sel |= 1UL << (port / WORD_BITS);
    vcpu.info->evtchn_upcall_pending = 1;
}

static void set_pending(u32 port)
{
    word bit = 1UL << (port % WORD_BITS);
    word *at = &pending_words()[port / WORD_BITS];
    if (*at & bit)
        return;
    *at |= bit;
    if (!(mask_words()[port / WORD_BITS] & bit))
        mark_selector(port);
}

bool event_pending(u32 port)
{
    return port < PORTS && (pending_words()[port / WORD_BITS] >> (port % WORD_BITS) & 1);
}

void event_virq(unsigned virq)
{
    if (virq_port[virq])
        set_pending(virq_port[virq]);
}

static void bind_line(unsigned line, u32 port)
{
    channels[port] = (struct channel){.state = LINE, .detail = (u8)line, .remote_port = port};
    line_port[line] = port;
}

void events_init(void)
{
    if (boot.xenstore_port == 0 || boot.xenstore_port >= PORTS || boot.console_port == 0 ||
        boot.console_port >= PORTS)
        panic("boot information names impossible event channels", 0);
    bind_line(LINE_XENSTORE, boot.xenstore_port);
    bind_line(LINE_CONSOLE, boot.console_port);
}

/* EVENT_VECTOR: asks xenner which lines are pending. */
void poll_lines(void)
{
    u32 lines = port_read(PORT_EVENTS);
    if (lines & (1u << LINE_TIMER))
        timer_line();
    for (unsigned line = LINE_TIMER + 1; line < LINES_MAX; line++)
        if ((lines >> line & 1) && line_port[line])
            set_pending(line_port[line]);
}

static bool own_domain(u16 domain)
{
    return domain == DOMID_SELF || domain == boot.domid;
}

static s64 free_port(u32 *port)
{
    for (*port = 1; *port < PORTS; ++*port)
        if (channels[*port].state == CLOSED)
            return 0;
    return -XEN_ENOSPC;
}

static struct channel *open_channel(u32 port)
{
    return port > 0 && port < PORTS && channels[port].state != CLOSED ? &channels[port] : 0;
}

/* A port number must reach the guest, or the channel does not come to be. */
static s64 open_as(u32 port, struct channel channel)
{
    word bit = 1UL << (port % WORD_BITS);
    channels[port] = channel;
    pending_words()[port / WORD_BITS] &= ~bit;
    return 0;
}

static s64 bind_virq(word argument)
{
    evtchn_bind_virq_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (request.virq >= NR_VIRQS)
        return -XEN_EINVAL;
    if (request.vcpu != 0)
        return -XEN_ENOENT;
    if (virq_port[request.virq])
        return -XEN_EEXIST;
    s64 result = free_port(&request.port);
    if (result != 0)
        return result;
    if (!copy_to_guest(argument, &request, sizeof(request)))
        return -XEN_EFAULT;
    virq_port[request.virq] = request.port;
    return open_as(request.port, (struct channel){.state = VIRQ, .detail = (u8)request.virq});
}

static s64 bind_ipi(word argument)
{
    evtchn_bind_ipi_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (request.vcpu != 0)
        return -XEN_ENOENT;
    s64 result = free_port(&request.port);
    if (result != 0)
        return result;
    if (!copy_to_guest(argument, &request, sizeof(request)))
        return -XEN_EFAULT;
    return open_as(request.port, (struct channel){.state = IPI});
}

static s64 alloc_unbound(word argument)
{
    evtchn_alloc_unbound_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (!own_domain(request.dom))
        return -XEN_EPERM;
    s64 result = free_port(&request.port);
    if (result != 0)
        return result;
    if (!copy_to_guest(argument, &request, sizeof(request)))
        return -XEN_EFAULT;
    u16 remote = request.remote_dom == DOMID_SELF ? (u16)boot.domid : request.remote_dom;
    return open_as(request.port, (struct channel){.state = UNBOUND, .remote_domain = remote});
}

static s64 bind_interdomain(word argument)
{
    evtchn_bind_interdomain_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (!own_domain(request.remote_dom))
        return -XEN_ESRCH;
    struct channel *remote = open_channel(request.remote_port);
    if (!remote || remote->state != UNBOUND || remote->remote_domain != boot.domid)
        return -XEN_EINVAL;
    s64 result = free_port(&request.local_port);
    if (result != 0)
        return result;
    if (!copy_to_guest(argument, &request, sizeof(request)))
        return -XEN_EFAULT;
    open_as(request.local_port, (struct channel){.state = LOCAL, .remote_port = request.remote_port});
    *remote = (struct channel){.state = LOCAL, .remote_port = request.local_port};
    set_pending(request.local_port); /* the other end may have notified before */
    return 0;
}

static s64 close_port(u32 port)
{
    struct channel *channel = open_channel(port);
    if (!channel)
        return -XEN_EINVAL;
    if (channel->state == VIRQ)
        virq_port[channel->detail] = 0;
    else if (channel->state == LINE)
        line_port[channel->detail] = 0;
    else if (channel->state == LOCAL)
        channels[channel->remote_port] = (struct channel){.state = UNBOUND, .remote_domain = (u16)boot.domid};
    *channel = (struct channel){.state = CLOSED};
    pending_words()[port / WORD_BITS] &= ~(1UL << (port % WORD_BITS));
    return 0;
}

static s64 send(u32 port)
{
    struct channel *channel = open_channel(port);
    if (!channel)
        return -XEN_EINVAL;
    switch (channel->state) {
    case LINE:
        port_write(PORT_NOTIFY, channel->detail);
        return 0;
    case LOCAL:
        set_pending(channel->remote_port);
        return 0;
    case IPI:
        set_pending(port);
        return 0;
    case UNBOUND:
        return 0;
    }
    return -XEN_EINVAL;
}

static s64 status(word argument)
{
    evtchn_status_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (!own_domain(request.dom))
        return -XEN_ESRCH;
    if (request.port >= PORTS)
        return -XEN_EINVAL;
    const struct channel *channel = &channels[request.port];
    request.vcpu = 0;
    switch (channel->state) {
    case CLOSED:
        request.status = EVTCHNSTAT_closed;
        break;
    case UNBOUND:
        request.status = EVTCHNSTAT_unbound;
        request.u.unbound.dom = channel->remote_domain;
        break;
    case LOCAL:
    case LINE:
        request.status = EVTCHNSTAT_interdomain;
        request.u.interdomain.dom = channel->state == LINE ? 0 : (u16)boot.domid;
        request.u.interdomain.port = channel->remote_port;
        break;
    case VIRQ:
        request.status = EVTCHNSTAT_virq;
        request.u.virq = channel->detail;
        break;
    case IPI:
        request.status = EVTCHNSTAT_ipi;
        break;
    }
    return copy_to_guest(argument, &request, sizeof(request)) ? 0 : -XEN_EFAULT;
}

static s64 bind_vcpu(word argument)
{
    evtchn_bind_vcpu_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (request.vcpu != 0)
        return -XEN_ENOENT;
    struct channel *channel = open_channel(request.port);
    return channel && (channel->state == LINE || channel->state == LOCAL || channel->state == UNBOUND)
               ? 0
               : -XEN_EINVAL;
}

static s64 unmask(u32 port)
{
    word bit = 1UL << (port % WORD_BITS);
    if (port >= PORTS)
        return -XEN_EINVAL;
    mask_words()[port / WORD_BITS] &= ~bit;
    if (pending_words()[port / WORD_BITS] & bit)
        mark_selector(port);
    return 0;
}

static s64 reset(word argument)
{
    evtchn_reset_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (!own_domain(request.dom))
        return -XEN_ESRCH;
    for (u32 port = 1; port < PORTS; port++)
        close_port(port);
    return 0;
}

s64 do_event_channel_op(word command, word argument)
{
    u32 port;
    switch (command) {
    case EVTCHNOP_bind_interdomain:
        return bind_interdomain(argument);
    case EVTCHNOP_bind_virq:
        return bind_virq(argument);
    case EVTCHNOP_bind_pirq:
        return -XEN_EINVAL; /* no physical interrupts */
    case EVTCHNOP_bind_ipi:
        return bind_ipi(argument);
    case EVTCHNOP_bind_vcpu:
        return bind_vcpu(argument);
    case EVTCHNOP_alloc_unbound:
        return alloc_unbound(argument);
    case EVTCHNOP_status:
        return status(argument);
    case EVTCHNOP_reset:
        return reset(argument);
    case EVTCHNOP_close: /* these three take a structure of one port */
    case EVTCHNOP_send:
    case EVTCHNOP_unmask:
        if (!copy_from_guest(&port, argument, sizeof(port)))
            return -XEN_EFAULT;
        return command == EVTCHNOP_send ? send(port) : command == EVTCHNOP_close ? close_port(port) : unmask(port);
    }
    return -XEN_ENOSYS; /* the FIFO ABI among others: guests fall back to two levels */
}
