/*
 * Takes the place of ports.c when emu runs on qemu, which has no xenner: serves the ports with what a PC has. Output
 * goes to qemu's debug consoles, time comes from the interval timer through the interrupt controller's first line, and
 * the xenstore knows next to nothing.
 *
 * With `-icount shift=0` qemu's TSC counts one tick an instruction and a nanosecond, like our own core's.
 */
#include "../emu.h"
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

#define DEBUG_CONSOLE 0xe9
#define STATISTICS_CONSOLE 0xea
#define DEBUG_EXIT 0x501

#define PIC_COMMAND 0x20
#define PIC_DATA 0x21
#define PIC_EOI 0x20
#define PIT_CHANNEL0 0x40
#define PIT_CONTROL 0x43
#define PIT_ONE_SHOT 0x30
#define PIT_HZ 1193182UL
#define PIT_MAX 0xffff

#define NEVER (~0UL)

static u32 pending;
static u64 deadline = NEVER;
static u32 deadline_low;

static void out8(u16 port, u8 value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out_bytes(u16 port, const void *bytes, u64 count)
{
    const u8 *at = bytes;
    while (count--)
        out8(port, *at++);
}

static void initialise_pic(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    out8(PIC_COMMAND, 0x11); /* edge-triggered, cascaded, fourth word follows */
    out8(PIC_DATA, EVENT_VECTOR);
    out8(PIC_DATA, 4);
    out8(PIC_DATA, 1);
    out8(PIC_DATA, 0xfe); /* only the timer */
}

static void arm(void)
{
    u64 ticks = PIT_MAX, now = system_time();
    if (pending || deadline <= now)
        ticks = 1;
    else if (deadline == NEVER)
        return;
    else if (deadline - now < 1000000000UL / PIT_HZ * PIT_MAX)
        ticks = (deadline - now) * PIT_HZ / 1000000000UL + 1;
    initialise_pic();
    out8(PIT_CONTROL, PIT_ONE_SHOT);
    out8(PIT_CHANNEL0, (u8)ticks);
    out8(PIT_CHANNEL0, (u8)(ticks >> 8));
}

static void raise(unsigned line)
{
    pending |= 1u << line;
    arm();
}

static void serve_console(void)
{
    volatile struct xencons_interface *ring = machine_page(boot.console_mfn);
    if (ring->out_cons == ring->out_prod)
        return;
    while (ring->out_cons != ring->out_prod) {
        out8(DEBUG_CONSOLE, (u8)ring->out[MASK_XENCONS_IDX(ring->out_cons, ring->out)]);
        ring->out_cons++;
    }
    raise(LINE_CONSOLE);
}

static void reply(u32 type, u32 request, u32 transaction, const char *text, u32 bytes)
{
    volatile struct xenstore_domain_interface *ring = machine_page(boot.xenstore_mfn);
    struct xsd_sockmsg header = {type, request, transaction, bytes};
    for (u32 index = 0; index < sizeof(header); index++)
        ring->rsp[MASK_XENSTORE_IDX(ring->rsp_prod++)] = ((char *)&header)[index];
    for (u32 index = 0; index < bytes; index++)
        ring->rsp[MASK_XENSTORE_IDX(ring->rsp_prod++)] = text[index];
}

static void serve_request(const struct xsd_sockmsg *message, const char *payload)
{
    switch (message->type) {
    case XS_READ:
        if (message->len == 6 && payload[0] == 'd' && payload[3] == 'i' && payload[4] == 'd') {
            reply(message->type, message->req_id, message->tx_id, "1", 1);
            return;
        }
        reply(XS_ERROR, message->req_id, message->tx_id, "ENOENT", 7);
        return;
    case XS_DIRECTORY:
        reply(XS_ERROR, message->req_id, message->tx_id, "ENOENT", 7);
        return;
    case XS_TRANSACTION_START:
        reply(message->type, message->req_id, message->tx_id, "1", 2);
        return;
    case XS_WATCH:
        reply(message->type, message->req_id, message->tx_id, "OK", 3);
        reply(XS_WATCH_EVENT, 0, 0, payload, message->len);
        return;
    default:
        reply(message->type, message->req_id, message->tx_id, "OK", 3);
    }
}

static void serve_xenstore(void)
{
    volatile struct xenstore_domain_interface *ring = machine_page(boot.xenstore_mfn);
    static char buffer[4096];
    static u32 length;
    struct xsd_sockmsg message;
    while (ring->req_cons != ring->req_prod && length < sizeof(buffer))
        buffer[length++] = ring->req[MASK_XENSTORE_IDX(ring->req_cons++)];
    while (length >= sizeof(message)) {
        copy_memory(&message, buffer, sizeof(message));
        u32 whole = (u32)sizeof(message) + message.len;
        if (length < whole)
            break;
        serve_request(&message, buffer + sizeof(message));
        copy_memory(buffer, buffer + whole, length - whole);
        length -= whole;
    }
    raise(LINE_XENSTORE);
}

static void leave(u32 code)
{
    out_bytes(STATISTICS_CONSOLE, statistics, sizeof(*statistics));
    asm volatile("outl %0, %1" : : "a"(code), "Nd"((u16)DEBUG_EXIT));
}

static void say(const char *prefix, u64 prefix_bytes, u32 bytes)
{
    out_bytes(DEBUG_CONSOLE, prefix, prefix_bytes);
    out_bytes(DEBUG_CONSOLE, message_page(), bytes);
    out8(DEBUG_CONSOLE, '\n');
}

void port_write(u16 port, u32 value)
{
    statistics->port_accesses++;
    switch (port) {
    case PORT_CONSOLE_WRITE:
        out_bytes(DEBUG_CONSOLE, message_page(), value);
        return;
    case PORT_NOTIFY:
        if (value == LINE_CONSOLE)
            serve_console();
        else if (value == LINE_XENSTORE)
            serve_xenstore();
        return;
    case PORT_TIMER_LOW:
        deadline_low = value;
        return;
    case PORT_TIMER_HIGH:
        deadline = deadline_low | (u64)value << 32;
        arm();
        return;
    case PORT_TIMER_STOP:
        deadline = NEVER;
        return;
    case PORT_LOG:
        say("[log] ", 6, value);
        return;
    case PORT_PANIC:
        say("[panic] ", 8, value);
        leave(0x10);
        return;
    case PORT_SHUTDOWN:
        leave(value);
        return;
    }
}

u32 port_read(u16 port)
{
    u32 lines;
    statistics->port_accesses++;
    if (port != PORT_EVENTS)
        return ~0u;
    out8(PIC_COMMAND, PIC_EOI);
    if (deadline <= system_time()) {
        pending |= 1u << LINE_TIMER;
        deadline = NEVER;
    }
    lines = pending;
    pending = 0;
    arm();
    return lines;
}
