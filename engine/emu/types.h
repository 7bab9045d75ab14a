/* Fixed-width names, as the Intel and Xen manuals count. */
#ifndef EMU_TYPES_H
#define EMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
/* A general register of the guest, and an address in it. */
#ifdef __x86_64__
#define word u64
#else
#define word u32
#endif

#endif
