/* Copies between emu and guest virtual memory, and within emu. */
#include "emu.h"

#define GUEST_LOW_END 0x0000800000000000UL
#define GUEST_HIGH_START 0xffff880000000000UL

/* All of it outside the hypervisor's hole (and the non-canonical one). */
bool guest_range_ok(u64 address, u64 bytes)
{
    u64 end = address + bytes;
    if (end < address)
        return end == 0 && address >= GUEST_HIGH_START;
    return end <= GUEST_LOW_END || address >= GUEST_HIGH_START;
}

bool copy_from_guest(void *to, u64 from, u64 bytes)
{
    return guest_range_ok(from, bytes) && copy_bytes(to, (const void *)from, bytes) == 0;
}

u64 copy_from_guest_partly(void *to, u64 from, u64 bytes)
{
    if (!guest_range_ok(from, bytes))
        return 0;
    return bytes - copy_bytes(to, (const void *)from, bytes);
}

bool copy_to_guest(u64 to, const void *from, u64 bytes)
{
    return guest_range_ok(to, bytes) && copy_bytes((void *)to, from, bytes) == 0;
}

void copy_memory(void *to, const void *from, u64 bytes)
{
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

void fill_memory(void *to, u8 value, u64 bytes)
{
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
}

/* The compiler may call these for structure copies and initialisers. */
void *memcpy(void *to, const void *from, size_t bytes);
void *memcpy(void *to, const void *from, size_t bytes)
{
    copy_memory(to, from, bytes);
    return to;
}

void *memset(void *to, int value, size_t bytes);
void *memset(void *to, int value, size_t bytes)
{
    fill_memory(to, (u8)value, bytes);
    return to;
}
