/*
 * A page-table write that emu carries out must do what the processor would have done. This program is the judge: it
 * runs each kind of instruction on the processor, on plain memory, and through decode.c and ptwrite.c, and compares
 * memory, registers and flags. Built and run by instruction-oracle.test.ts.
 *
 * Each case is a few bytes of code with the memory operand (%rdi), patched into an executable page, and random operand
 * values.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../emu.h"

#define ROUNDS 2000
#define ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

struct vcpu vcpu;

/* The world ptwrite.c and decode.c live in. */
bool copy_from_guest(void *to, u64 from, u64 bytes)
{
    memcpy(to, (void *)from, bytes);
    return true;
}

u64 copy_from_guest_partly(void *to, u64 from, u64 bytes)
{
    memcpy(to, (void *)from, bytes);
    return bytes;
}

s64 entry_update(u64 table_mfn, u64 *entry, u64 value, bool preserve_ad)
{
    (void)table_mfn;
    (void)preserve_ad;
    *entry = value;
    return 0;
}

u64 *general_register(struct regs *regs, unsigned number)
{
    u64 *const registers[16] = {
        &regs->ax, &regs->cx, &regs->dx, &regs->bx, &regs->sp, &regs->bp, &regs->si, &regs->di,
        &regs->r8, &regs->r9, &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15,
    };
    return registers[number & 15];
}

struct kind {
    const char *name;
    u8 length;
    u8 bytes[12];
    u64 undefined; /* flags the manual leaves open */
    bool random_immediate; /* last byte */
    u64 rcx_mask; /* bit offsets must stay within the operand here: the address says the rest */
};

#define SHIFTED (FLAG_AF | FLAG_PF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* Source register: rcx, ecx, cx, cl or ch; also r9 where REX.R matters. */
static const struct kind kinds[] = {
    {"mov %cl", 2, {0x88, 0x0f}, 0, false, ~0UL},
    {"mov %ch", 2, {0x88, 0x2f}, 0, false, ~0UL},
    {"mov %bpl", 3, {0x40, 0x88, 0x2f}, 0, false, ~0UL},
    {"mov %cx", 3, {0x66, 0x89, 0x0f}, 0, false, ~0UL},
    {"mov %ecx", 2, {0x89, 0x0f}, 0, false, ~0UL},
    {"mov %rcx", 3, {0x48, 0x89, 0x0f}, 0, false, ~0UL},
    {"mov %r9", 3, {0x4c, 0x89, 0x0f}, 0, false, ~0UL},
    {"movnti %rcx", 4, {0x48, 0x0f, 0xc3, 0x0f}, 0, false, ~0UL},
    {"mov imm8", 3, {0xc6, 0x07, 0x5a}, 0, true, ~0UL},
    {"mov imm32 to 64", 7, {0x48, 0xc7, 0x07, 1, 2, 3, 0x84}, 0, true, ~0UL},
    {"mov imm16", 5, {0x66, 0xc7, 0x07, 1, 0x82}, 0, true, ~0UL},
    {"mov imm32, disp8", 7, {0xc7, 0x47, 0x00, 1, 2, 3, 4}, 0, true, ~0UL},
    {"xchg %rcx", 3, {0x48, 0x87, 0x0f}, 0, false, ~0UL},
    {"xchg %ecx", 2, {0x87, 0x0f}, 0, false, ~0UL},
    {"xchg %ch", 2, {0x86, 0x2f}, 0, false, ~0UL},
    {"add %rcx", 3, {0x48, 0x01, 0x0f}, 0, false, ~0UL},
    {"or %ecx", 2, {0x09, 0x0f}, FLAG_AF, false, ~0UL},
    {"adc %rcx", 3, {0x48, 0x11, 0x0f}, 0, false, ~0UL},
    {"sbb %cx", 3, {0x66, 0x19, 0x0f}, 0, false, ~0UL},
    {"and %rcx, locked", 4, {0xf0, 0x48, 0x21, 0x0f}, FLAG_AF, false, ~0UL},
    {"sub %cl", 2, {0x28, 0x0f}, 0, false, ~0UL},
    {"xor %rcx, sib", 4, {0x48, 0x31, 0x0c, 0x27}, FLAG_AF, false, ~0UL},
    {"and imm8, byte, locked", 4, {0xf0, 0x80, 0x27, 0xfd}, FLAG_AF, true, ~0UL},
    {"or imm8 to 64", 4, {0x48, 0x83, 0x0f, 0x80}, FLAG_AF, true, ~0UL},
    {"add imm32 to 64", 7, {0x48, 0x81, 0x07, 1, 2, 3, 0x80}, 0, true, ~0UL},
    {"sbb imm8 to 32", 3, {0x83, 0x1f, 0xff}, 0, true, ~0UL},
    {"cmpxchg %rcx", 5, {0xf0, 0x48, 0x0f, 0xb1, 0x0f}, 0, false, ~0UL},
    {"cmpxchg %ecx", 4, {0xf0, 0x0f, 0xb1, 0x0f}, 0, false, ~0UL},
    {"cmpxchg %cl", 3, {0x0f, 0xb0, 0x0f}, 0, false, ~0UL},
    {"xadd %rcx", 5, {0xf0, 0x48, 0x0f, 0xc1, 0x0f}, 0, false, ~0UL},
    {"xadd %cl", 3, {0x0f, 0xc0, 0x0f}, 0, false, ~0UL},
    {"bts imm, 64", 5, {0x48, 0x0f, 0xba, 0x2f, 0x21}, SHIFTED, true, ~0UL},
    {"btr imm, 64, locked", 6, {0xf0, 0x48, 0x0f, 0xba, 0x37, 0x05}, SHIFTED, true, ~0UL},
    {"btc imm, 32", 4, {0x0f, 0xba, 0x3f, 0x1f}, SHIFTED, true, ~0UL},
    {"bts %rcx", 4, {0x48, 0x0f, 0xab, 0x0f}, SHIFTED, false, 63},
    {"btr %ecx", 3, {0x0f, 0xb3, 0x0f}, SHIFTED, false, 31},
    {"btc %rcx, locked", 5, {0xf0, 0x48, 0x0f, 0xbb, 0x0f}, SHIFTED, false, 63},
    {"stosq", 2, {0x48, 0xab}, 0, false, ~0UL},
    {"stosb", 1, {0xaa}, 0, false, ~0UL},
};

struct state {
    u64 rax, rcx, rdi, rbp, r9, flags, memory;
};

static u64 random64(void)
{
    u64 value = 0;
    for (int part = 0; part < 4; part++)
        value = value << 16 | (u64)(rand() & 0xffff);
    /* Values near the edges, where carries and signs change, as often as any. */
    switch (rand() & 7) {
    case 0:
        return 0;
    case 1:
        return ~0UL;
    case 2:
        return 1UL << (rand() & 63);
    case 3:
        return (1UL << (rand() & 63)) - 1;
    }
    return value;
}

static u8 *code;
static u64 *operand;

/* On the processor. rdi points at the operand; everything the cases use is loaded and stored around them. */
static void run_natively(struct state *state)
{
    asm volatile("push %%rbp\n\t"
                 "mov %0, %%rbx\n\t"
                 "push 40(%%rbx)\n\t"
                 "mov 0(%%rbx), %%rax\n\t"
                 "mov 8(%%rbx), %%rcx\n\t"
                 "mov 16(%%rbx), %%rdi\n\t"
                 "mov 24(%%rbx), %%rbp\n\t"
                 "mov 32(%%rbx), %%r9\n\t"
                 "popfq\n\t"
                 "call *%1\n\t"
                 "pushfq\n\t"
                 "mov %%rax, 0(%%rbx)\n\t"
                 "mov %%rcx, 8(%%rbx)\n\t"
                 "mov %%rdi, 16(%%rbx)\n\t"
                 "mov %%rbp, 24(%%rbx)\n\t"
                 "mov %%r9, 32(%%rbx)\n\t"
                 "popq 40(%%rbx)\n\t"
                 "pop %%rbp\n\t"
                 :
                 : "S"(state), "d"(code)
                 : "rax", "rbx", "rcx", "rdi", "r9", "memory", "cc");
}

static bool run_emulated(struct state *state, unsigned length)
{
    struct regs regs = {
        .ax = state->rax, .cx = state->rcx, .di = state->rdi, .bp = state->rbp, .r9 = state->r9,
        .flags = state->flags, .ip = (u64)code, .cs = FLAT_RING3_CS64,
    };
    u64 entry_address = state->rdi & ~7UL;
    if (!emulate_table_write(&regs, state->rdi, 0, (u64 *)entry_address) || regs.ip != (u64)code + length)
        return false;
    *state = (struct state){regs.ax, regs.cx, regs.di, regs.bp, regs.r9, regs.flags, 0};
    return true;
}

static int compare(const struct kind *kind)
{
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(code, kind->bytes, kind->length);
        if (kind->random_immediate)
            code[kind->length - 1] = (u8)random64();
        code[kind->length] = 0xc3;
        /* Operands narrower than an entry may lie anywhere in it. */
        struct state start = {random64(), random64() & kind->rcx_mask, (u64)operand, random64(), random64(), 0x202, 0};
        start.flags |= random64() & ARITHMETIC;
        if (rand() & 1)
            start.rax = *operand;
        u64 before = random64();
        struct state native = start, emulated = start;
        *operand = before;
        run_natively(&native);
        native.memory = *operand;
        *operand = before;
        if (!run_emulated(&emulated, kind->length)) {
            printf("%s: not emulated\n", kind->name);
            return 1;
        }
        emulated.memory = *operand;
        u64 mask = ARITHMETIC & ~kind->undefined;
        native.flags &= mask;
        emulated.flags &= mask;
        if (memcmp(&native, &emulated, sizeof(native)) != 0) {
            printf("%s: processor rax=%lx rcx=%lx rdi=%lx flags=%lx memory=%lx, emu %lx %lx %lx %lx %lx\n", kind->name,
                   native.rax, native.rcx, native.rdi, native.flags, native.memory, emulated.rax, emulated.rcx,
                   emulated.rdi, emulated.flags, emulated.memory);
            return 1;
        }
    }
    return 0;
}

/* Code that must be refused: no write, not known, or cut off. */
static int refuse(const char *name, const u8 *bytes, unsigned length)
{
    struct regs regs = {.di = (u64)operand, .ip = (u64)code, .cs = FLAT_RING3_CS64};
    memcpy(code, bytes, length);
    if (!emulate_table_write(&regs, (u64)operand, 0, operand))
        return 0;
    printf("%s: should have been refused\n", name);
    return 1;
}

int main(void)
{
    int failures = 0;
    code = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    operand = (u64 *)(code + 4096);
    srand(1);
    for (unsigned index = 0; index < sizeof(kinds) / sizeof(kinds[0]); index++)
        failures += compare(&kinds[index]);
    failures += refuse("cmp", (const u8[]){0x48, 0x39, 0x0f}, 3);
    failures += refuse("cmp imm", (const u8[]){0x48, 0x83, 0x3f, 1}, 4);
    failures += refuse("bt imm", (const u8[]){0x48, 0x0f, 0xba, 0x27, 1}, 5);
    failures += refuse("mov from memory", (const u8[]){0x48, 0x8b, 0x0f}, 3);
    failures += refuse("mov between registers", (const u8[]){0x48, 0x89, 0xcf}, 3);
    failures += refuse("prefixes only",
                       (const u8[]){0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                    0x66, 0x66},
                       16);
    printf("%zu kinds of instruction, %d failures\n", sizeof(kinds) / sizeof(kinds[0]), failures);
    return failures != 0;
}
