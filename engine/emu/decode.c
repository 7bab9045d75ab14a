/*
 * A decoder for the few instructions emu carries out itself. It reads at most 15 bytes of guest code, by copies that
 * may fail, and knows the shape of an instruction (SDM vol. 2A chapter 2), not its meaning.
 */
#include "emu.h"

#define PREFIX_OPERAND_SIZE 0x66
#define PREFIX_ADDRESS_SIZE 0x67
#define PREFIX_LOCK 0xf0
#define PREFIX_REPNE 0xf2
#define PREFIX_REP 0xf3

#define REX_B 1
#define REX_X 2
#define REX_R 4
#define REX_W 8

enum immediate { IMMEDIATE_NONE, IMMEDIATE_BYTE, IMMEDIATE_OPERAND /* at most 4 bytes */, IMMEDIATE_ADDRESS };

struct shape {
    bool known, modrm, byte_by_low_bit;
    enum immediate immediate;
};

static struct shape one_byte_shape(u8 opcode)
{
    struct shape with_modrm = {true, true, true, IMMEDIATE_NONE};
    struct shape plain = {true, false, true, IMMEDIATE_NONE};
    if (opcode < 0x40 && (opcode & 7) < 2) /* add, or, adc, sbb, and, sub, xor, cmp: r to r/m */
        return with_modrm;
    switch (opcode) {
    case 0x80:
    case 0x83:
    case 0xc6:
        with_modrm.immediate = IMMEDIATE_BYTE;
        return with_modrm;
    case 0x81:
    case 0xc7:
        with_modrm.immediate = IMMEDIATE_OPERAND;
        return with_modrm;
    case 0x86: /* xchg */
    case 0x87:
    case 0x88: /* mov to r/m */
    case 0x89:
        return with_modrm;
#if !HAS_REX
    case 0xa2: /* mov from the accumulator to an address, which stands in place of an immediate */
    case 0xa3:
        plain.immediate = IMMEDIATE_ADDRESS;
        return plain;
#endif
    case 0xe4: /* in, out with a port number */
    case 0xe5:
    case 0xe6:
    case 0xe7:
        plain.immediate = IMMEDIATE_BYTE;
        return plain;
    case 0xaa: /* stos */
    case 0xab:
    case 0xec: /* in, out with dx */
    case 0xed:
    case 0xee:
    case 0xef:
    case 0xfa: /* cli, sti */
    case 0xfb:
        return plain;
    }
    return (struct shape){0};
}

static struct shape two_byte_shape(u8 opcode)
{
    switch (opcode) {
    case 0x06: /* clts */
    case 0x09: /* wbinvd */
    case 0x30: /* wrmsr */
    case 0x31: /* rdtsc */
    case 0x32: /* rdmsr */
    case 0xa2: /* cpuid */
        return (struct shape){true, false, false, IMMEDIATE_NONE};
    case 0x01: /* group 7 */
    case 0x20: /* mov from and to control and debug registers */
    case 0x21:
    case 0x22:
    case 0x23:
    case 0xab: /* bts, btr, btc */
    case 0xb3:
    case 0xbb:
    case 0xc3: /* movnti */
        return (struct shape){true, true, false, IMMEDIATE_NONE};
    case 0xba: /* bts, btr, btc with an immediate */
        return (struct shape){true, true, false, IMMEDIATE_BYTE};
    case 0xb0: /* cmpxchg */
    case 0xb1:
    case 0xc0: /* xadd */
    case 0xc1:
        return (struct shape){true, true, true, IMMEDIATE_NONE};
    }
    return (struct shape){0};
}

/* The next byte; a missing one shows when the length is compared in the end. */
static u8 next(struct instruction *in)
{
    u8 byte = in->length < in->available ? in->bytes[in->length] : 0;
    in->length++;
    return byte;
}

static u64 next_signed(struct instruction *in, unsigned bytes)
{
    u64 value = 0;
    for (unsigned index = 0; index < bytes; index++)
        value |= (u64)next(in) << (8 * index);
    unsigned unused = 64 - 8 * bytes;
    return (u64)((s64)(value << unused) >> unused);
}

static void skip_memory_operand(struct instruction *in)
{
    unsigned mode = in->modrm >> 6;
    unsigned base = in->modrm & 7;
    if (base == 4)
        base = next(in) & 7; /* SIB */
    if (mode == 1)
        next_signed(in, 1);
    else if (mode == 2 || base == 5)
        next_signed(in, 4);
}

/* False if the instruction at `ip` cannot be read or is none of those above. */
bool decode(struct instruction *in, word ip)
{
    u8 rex = 0, byte;

    *in = (struct instruction){0};
    in->available = (u8)copy_from_guest_partly(in->bytes, ip, sizeof(in->bytes));
    for (;;) {
        byte = next(in);
        if (in->length > in->available)
            return false;
        if (byte == PREFIX_OPERAND_SIZE)
            in->operand_size = true;
        else if (byte == PREFIX_LOCK)
            in->lock = true;
        else if (byte == PREFIX_REP)
            in->rep = true;
        else if (byte == PREFIX_REPNE)
            in->repne = true;
        else if (byte != 0x2e && byte != 0x36 && byte != 0x3e && byte != 0x26 && byte != 0x64 && byte != 0x65 &&
                 (byte != PREFIX_ADDRESS_SIZE || ADDRESSES_OF_16_BITS))
            break;
    }
    if (HAS_REX && (byte & 0xf0) == 0x40) {
        rex = byte;
        in->rex = true;
        byte = next(in);
    }
    struct shape shape;
    if (byte == 0x0f) {
        byte = next(in);
        in->opcode = 0x0f00 | byte;
        shape = two_byte_shape(byte);
    } else {
        in->opcode = byte;
        shape = one_byte_shape(byte);
    }
    if (!shape.known)
        return false;
    in->operand_bytes = rex & REX_W ? 8 : in->operand_size ? 2 : 4;
    if (shape.byte_by_low_bit && !(byte & 1))
        in->operand_bytes = 1;
    if (shape.modrm) {
        in->has_modrm = true;
        in->modrm = next(in);
        in->memory = in->modrm < 0xc0;
        in->reg = (u8)((in->modrm >> 3 & 7) | (rex & REX_R ? 8 : 0));
        in->rm = (u8)((in->modrm & 7) | (rex & REX_B ? 8 : 0));
        /* The second operand of a control or debug register move is a register whatever its mode says. */
        if (in->memory && (in->opcode & ~3) != 0x0f20)
            skip_memory_operand(in);
    }
    if (shape.immediate == IMMEDIATE_BYTE)
        in->immediate = next_signed(in, 1);
    else if (shape.immediate == IMMEDIATE_OPERAND)
        in->immediate = next_signed(in, in->operand_bytes < 4 ? in->operand_bytes : 4);
#if !HAS_REX
    else if (shape.immediate == IMMEDIATE_ADDRESS) {
        next_signed(in, sizeof(word));
        in->memory = true;
    }
#endif
    return in->length <= in->available;
}
