/* Copies between emu and guest virtual memory, and within emu. */
#include "emu.h"

bool guest_range_ok(word address, word bytes)
{
    return outside_the_hole(address, bytes);
}

bool copy_from_guest(void *to, word from, word bytes)
{
    return guest_range_ok(from, bytes) && copy_bytes(to, (const void *)from, bytes) == 0;
}

word copy_from_guest_partly(void *to, word from, word bytes)
{
    if (!guest_range_ok(from, bytes))
        return 0;
    return bytes - copy_bytes(to, (const void *)from, bytes);
}

bool copy_to_guest(word to, const void *from, word bytes)
{
    return guest_range_ok(to, bytes) && copy_bytes((void *)to, from, bytes) == 0;
}

#include "moves.h"

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
