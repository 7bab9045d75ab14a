/* The port interface to xenner. */
#include "emu.h"

void port_write(u16 port, u32 value)
{
    statistics->port_accesses++;
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

u32 port_read(u16 port)
{
    u32 value;
    statistics->port_accesses++;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

u8 *message_page(void)
{
    return machine(boot.message);
}

/* Guest console output, page by page; `result` becomes the number of bytes written, or -EFAULT. */
void console_write(u64 address, u64 bytes, s64 *result)
{
    u64 written = 0;
    while (written < bytes) {
        u64 chunk = bytes - written;
        if (chunk > PAGE_SIZE)
            chunk = PAGE_SIZE;
        if (!copy_from_guest(message_page(), address + written, chunk)) {
            *result = -XEN_EFAULT;
            return;
        }
        port_write(PORT_CONSOLE_WRITE, (u32)chunk);
        written += chunk;
    }
    *result = 0;
}
