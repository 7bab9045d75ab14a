/* Copying and filling, word by word; a part of copy.c. */

void copy_memory(void *to, const void *from, u32 bytes)
{
    u32 words = bytes / sizeof(u32), rest = bytes % sizeof(u32);
    asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
}

void fill_memory(void *to, u8 value, u32 bytes)
{
    u32 words = bytes / sizeof(u32), rest = bytes % sizeof(u32);
    asm volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(value * 0x01010101u) : "memory");
    asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(value) : "memory");
}
