/* Messages to xenner: refusals worth a developer's look, and the last words of a guest that cannot go on. */
#include "emu.h"

/* A guest that is refused all the time must not flood the host. */
#define MAX_REFUSALS 64

static u64 length;

static void put(char c)
{
    if (length < PAGE_SIZE)
        message_page()[length++] = (u8)c;
}

static void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

static void put_hex(u64 value)
{
    unsigned digits = 1;
    while (digits < 16 && value >> (4 * digits))
        digits++;
    put_text("0x");
    while (digits--)
        put("0123456789abcdef"[(value >> (4 * digits)) & 15]);
}

static void put_pair(const char *name, u64 value)
{
    put(' ');
    put_text(name);
    put('=');
    put_hex(value);
}

void log_refusal(const char *what, u64 value, u64 other)
{
    static unsigned refusals;
    if (refusals == MAX_REFUSALS)
        return;
    refusals++;
    length = 0;
    put_text(what);
    put(' ');
    put_hex(value);
    put(' ');
    put_hex(other);
    port_write(PORT_LOG, (u32)length);
    /* The guest did not ask for this port. */
    statistics->port_accesses--;
}

static _Noreturn void last_words(const char *who, const char *why, const struct regs *regs)
{
    length = 0;
    put_text(who);
    put_text(why);
    if (regs) {
        put_pair("vector", regs->vector);
        put_pair("error", regs->error);
        put_pair("rip", regs->ip);
        put_pair("cs", regs->cs);
        put_pair("rflags", regs->flags);
        put_pair("rsp", regs->sp);
        put_pair("cr2", read_cr2());
        put_pair("cr3", read_cr3());
        put_pair("rax", regs->ax);
        put_pair("rdi", regs->di);
        put_pair("rsi", regs->si);
    }
    port_write(PORT_PANIC, (u32)length);
    for (;;)
        asm volatile("cli; hlt");
}

_Noreturn void panic(const char *why, const struct regs *regs)
{
    last_words("emu: ", why, regs);
}

_Noreturn void crash_guest(const char *why, const struct regs *regs)
{
    last_words("guest: ", why, regs);
}
