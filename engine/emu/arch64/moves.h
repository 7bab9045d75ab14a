/* Copying and filling, which the processor does in blocks; a part of copy.c. */

void copy_memory(void *to, const void *from, u64 bytes)
{
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

void fill_memory(void *to, u8 value, u64 bytes)
{
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
}
