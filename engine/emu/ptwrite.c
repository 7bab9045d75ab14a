/*
 * Carries out one instruction of the guest kernel that writes to a page table. The faulting address says which entry;
 * the instruction says what becomes of it; entry_update says whether it may.
 */
#include "emu.h"

#define ARITHMETIC_FLAGS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* Operation numbers of the arithmetic group, as in opcode bits 3-5 and in the modrm of opcodes 80, 81, 83. */
enum { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP };
/* And of the bit group, as in the modrm of 0f ba. */
enum { BTS = 5, BTR, BTC };

static u64 mask_of(unsigned bytes)
{
    return bytes == 8 ? ~0ULL : (1ULL << (8 * bytes)) - 1;
}

/* A register as an operand of `bytes`: AH, CH, DH, BH without REX. */
static u64 register_operand(struct regs *regs, const struct instruction *in)
{
    if (in->operand_bytes == 1 && !in->rex && in->reg >= 4)
        return (*general_register(regs, in->reg - 4) >> 8) & 0xff;
    return *general_register(regs, in->reg) & mask_of(in->operand_bytes);
}

/* 32-bit results clear the upper half, shorter ones leave it (SDM vol. 1, 3.4.1.1). */
static void set_register(word *reg, u64 value, unsigned bytes)
{
    u64 mask = bytes == 4 ? ~0ULL : mask_of(bytes);
    *reg = (*reg & ~mask) | (value & mask);
}

static void set_register_operand(struct regs *regs, const struct instruction *in, u64 value)
{
    if (in->operand_bytes == 1 && !in->rex && in->reg >= 4) {
        word *reg = general_register(regs, in->reg - 4);
        *reg = (*reg & ~0xff00UL) | (value & 0xff) << 8;
    } else {
        set_register(general_register(regs, in->reg), value, in->operand_bytes);
    }
}

static void set_flags(struct regs *regs, u64 changed, u64 flags)
{
    regs->flags = (regs->flags & ~changed) | (flags & changed);
}

static u64 result_flags(u64 result, unsigned bytes)
{
    u64 flags = 0;
    if (result == 0)
        flags |= FLAG_ZF;
    if (result >> (8 * bytes - 1))
        flags |= FLAG_SF;
    if (!__builtin_parity((unsigned)(result & 0xff)))
        flags |= FLAG_PF;
    return flags;
}

static u64 add(struct regs *regs, u64 a, u64 b, u64 carry, unsigned bytes)
{
    u64 result = (a + b + carry) & mask_of(bytes);
    u64 flags = result_flags(result, bytes);
    unsigned top = 8 * bytes - 1;
    u64 carries = (a & b) | ((a | b) & ~result);
    flags |= carries >> top & 1 ? FLAG_CF : 0;
    flags |= carries >> 3 & 1 ? FLAG_AF : 0;
    flags |= ((a ^ result) & (b ^ result)) >> top & 1 ? FLAG_OF : 0;
    set_flags(regs, ARITHMETIC_FLAGS, flags);
    return result;
}

static u64 subtract(struct regs *regs, u64 a, u64 b, u64 borrow, unsigned bytes)
{
    u64 result = (a - b - borrow) & mask_of(bytes);
    u64 flags = result_flags(result, bytes);
    unsigned top = 8 * bytes - 1;
    u64 borrows = (~a & b) | ((~a | b) & result);
    flags |= borrows >> top & 1 ? FLAG_CF : 0;
    flags |= borrows >> 3 & 1 ? FLAG_AF : 0;
    flags |= ((a ^ b) & (a ^ result)) >> top & 1 ? FLAG_OF : 0;
    set_flags(regs, ARITHMETIC_FLAGS, flags);
    return result;
}

static u64 logical(struct regs *regs, u64 result, unsigned bytes)
{
    set_flags(regs, ARITHMETIC_FLAGS, result_flags(result, bytes));
    return result;
}

static u64 arithmetic(struct regs *regs, unsigned operation, u64 a, u64 b, unsigned bytes)
{
    u64 carry = regs->flags & FLAG_CF;
    switch (operation) {
    case ADD:
        return add(regs, a, b, 0, bytes);
    case ADC:
        return add(regs, a, b, carry, bytes);
    case SBB:
        return subtract(regs, a, b, carry, bytes);
    case SUB:
        return subtract(regs, a, b, 0, bytes);
    case OR:
        return logical(regs, a | b, bytes);
    case AND:
        return logical(regs, a & b, bytes);
    default:
        return logical(regs, a ^ b, bytes);
    }
}

static u64 bit_operation(struct regs *regs, unsigned operation, u64 value, u64 bit)
{
    set_flags(regs, FLAG_CF, value >> bit & 1 ? FLAG_CF : 0);
    switch (operation) {
    case BTS:
        return value | 1ULL << bit;
    case BTR:
        return value & ~(1ULL << bit);
    default:
        return value ^ 1ULL << bit;
    }
}

/*
 * What becomes of the operand `old`; registers and flags change in `regs`. False for an instruction that does not
 * write memory or is not known.
 */
static bool execute(struct regs *regs, const struct instruction *in, u64 old, u64 *new)
{
    unsigned bytes = in->operand_bytes;
    u64 mask = mask_of(bytes), source = register_operand(regs, in);
    unsigned group = in->modrm >> 3 & 7;

    if (in->opcode < 0x40) {
        if (in->opcode >> 3 == CMP)
            return false;
        *new = arithmetic(regs, in->opcode >> 3, old, source, bytes);
        return true;
    }
    switch (in->opcode) {
    case 0x80:
    case 0x81:
    case 0x83:
        if (group == CMP)
            return false;
        /* 83 takes a byte but works on the operand size: the decoder has sign-extended it. */
        *new = arithmetic(regs, group, old, in->immediate & mask, bytes);
        return true;
    case 0x86:
    case 0x87:
        set_register_operand(regs, in, old);
        *new = source;
        return true;
#if !HAS_REX
    case 0xa2:
    case 0xa3:
        *new = regs->ax & mask;
        return true;
#endif
    case 0x88:
    case 0x89:
    case 0x0fc3:
        *new = source;
        return true;
    case 0xc6:
    case 0xc7:
        if (group != 0)
            return false;
        *new = in->immediate & mask;
        return true;
    case 0x0fb0:
    case 0x0fb1: {
        u64 expected = regs->ax & mask;
        subtract(regs, expected, old, 0, bytes);
        if (expected != old)
            set_register(&regs->ax, old, bytes);
        *new = expected == old ? source : old;
        return true;
    }
    case 0x0fc0:
    case 0x0fc1: {
        u64 sum = add(regs, old, source, 0, bytes);
        set_register_operand(regs, in, old);
        *new = sum;
        return true;
    }
    case 0x0fab:
    case 0x0fb3:
    case 0x0fbb: /* the operation is in bits 3-5; the address already accounts for the high bits of the offset */
        *new = bit_operation(regs, in->opcode >> 3 & 7, old, source & (8 * bytes - 1));
        return true;
    case 0x0fba:
        if (group < BTS)
            return false;
        *new = bit_operation(regs, group, old, in->immediate & (8 * bytes - 1));
        return true;
    }
    return false;
}

/* One element of STOS, which is how a guest clears or fills a table; the rest of a REP faults again. */
static bool execute_stos(struct regs *regs, const struct instruction *in, word address, u64 *new, bool *finished)
{
    word step = regs->flags & FLAG_DF ? -(word)in->operand_bytes : in->operand_bytes;
    if (regs->di != address)
        return false;
    *new = regs->ax & mask_of(in->operand_bytes);
    regs->di += step;
    *finished = !in->rep || --regs->cx == 0;
    return true;
}

/* False if the fault is not for emu after all; nothing has changed then. */
bool emulate_table_write(struct regs *regs, word address, u64 table_mfn, u64 *entry)
{
    struct instruction in;
    struct regs changed = *regs;
    bool finished = true;
    u64 new;

    if (!flat_code(regs->cs) || !decode(&in, regs->ip))
        return false;
    unsigned offset = address % sizeof(u64);
    if (offset + in.operand_bytes > sizeof(u64))
        return false;
    unsigned shift = 8 * offset;
    u64 mask = mask_of(in.operand_bytes);
    u64 old = *entry >> shift & mask;
    if (in.opcode == 0xaa || in.opcode == 0xab) {
        if (!execute_stos(&changed, &in, address, &new, &finished))
            return false;
    } else if (!in.memory || !execute(&changed, &in, old, &new)) {
        return false;
    }
    if (entry_update(table_mfn, entry, (*entry & ~(mask << shift)) | new << shift, false) != 0)
        return false;
    *regs = changed;
    if (finished)
        regs->ip += in.length;
    return true;
}
