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
