/*
 * Privileged instructions of the guest kernel, which runs in ring 3 and so gets #GP for them: those a paravirtualised
 * kernel still uses have the effect Xen gives them (xen/arch/x86/pv/emul-priv-op.c describes the set), the others are
 * the guest's own fault.
 */
#include "emu.h"

/*
 * TSD and DE, which change nothing of the processor's, and FSGSBASE, which the processor gets when it is used first, and
 * loses with the guest. Our leaves do not offer it; a kernel that executes CPUID itself finds it, as with Xen.
 */
#define CR4_FSGSBASE (WORD_BITS == 64 ? 1UL << 16 : 0)
#define GUEST_CR4 (1UL << 2 | 1UL << 3 | CR4_FSGSBASE)
/* In EBX of leaf 7. */
#define LEAF7_FSGSBASE 1

#define PORT_PIT_CHANNEL2 0x42
#define PORT_PIT_CONTROL 0x43
#define PORT_SYSTEM_CONTROL 0x61

static const u8 forced_emulation_prefix[] = {0x0f, 0x0b, 'x', 'e', 'n'};

static u64 operand_mask(unsigned bytes)
{
    return bytes == 1 ? 0xff : bytes == 2 ? 0xffff : 0xffffffff;
}

/*
 * There is nothing behind any port: reads float high. The timer's do not, or a kernel that calibrates by it would
 * poll it a hundred thousand times before giving up.
 */
static void read_port(struct regs *regs, u16 port, unsigned bytes)
{
    bool pit = port == PORT_PIT_CHANNEL2 || port == PORT_PIT_CONTROL || port == PORT_SYSTEM_CONTROL;
    u64 mask = operand_mask(bytes);
    u64 value = pit ? ~0xffUL & mask : mask;
    regs->ax = bytes == 4 ? value : (regs->ax & ~mask) | value;
}

/* IN, OUT, CLI and STI: the kernel counts as ring 1 unless it has asked to count as ring 0 (xen.h: VM assists). */
static bool iopl_allows(void)
{
    unsigned ring = !vcpu.in_kernel ? 3 : vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl) ? 0 : 1;
    return vcpu.iopl >= ring;
}

static bool emulate_port(struct regs *regs, const struct instruction *in)
{
    bool immediate = in->opcode < 0xe8, write = in->opcode & 2;
    unsigned bytes = in->operand_bytes == 8 ? 4 : in->operand_bytes;
    u16 port = immediate ? (u8)in->immediate : (u16)regs->dx;
    if (!iopl_allows())
        return false;
    count_trap(TRAP_EMULATED_PORT_IO);
    if (!write)
        read_port(regs, port, bytes);
    return true;
}

static word read_control(unsigned number)
{
    switch (number) {
    case 0:
        return read_cr0();
    case 2:
        return vcpu.info->arch.cr2;
    case 3:
        return MFN_TO_CR3(vcpu.kernel_table);
    default:
        return vcpu.cr4;
    }
}

/* A CR4 that the guest writes and has FSGSBASE, or that takes it away; without it if the processor has no such thing. */
static word change_fsgsbase(word value)
{
    u32 eax = 7, ebx, ecx = 0, edx;
    cpuid(&eax, &ebx, &ecx, &edx);
    if (!(ebx & LEAF7_FSGSBASE))
        return value & ~CR4_FSGSBASE;
    word cr4 = read_cr4();
    if (!(value & CR4_FSGSBASE) && cr4 & CR4_FSGSBASE)
        write_cr4(cr4 & ~CR4_FSGSBASE);
    return value;
}

static bool write_control(unsigned number, word value)
{
    switch (number) {
    case 0: /* only TS is the guest's */
        if ((value ^ read_cr0()) & ~CR0_TS & 0xffffffff)
            return false;
        do_fpu_taskswitch(value & CR0_TS);
        return true;
    case 2:
        vcpu.info->arch.cr2 = value;
        return true;
    case 3:
        return load_kernel_table(CR3_TO_MFN(value)) == 0;
    case 4: /* as Xen: what is not the guest's to choose stays, whatever is written */
        if ((value | vcpu.cr4) & CR4_FSGSBASE)
            value = change_fsgsbase(value);
        vcpu.cr4 = (value & GUEST_CR4) | INITIAL_CR4;
        return true;
    }
    return false;
}

static bool emulate_control(struct regs *regs, const struct instruction *in)
{
    word *operand = general_register(regs, in->rm);
    if (in->reg != 0 && in->reg != 2 && in->reg != 3 && in->reg != 4)
        return false;
    if (in->opcode == 0x0f20)
        *operand = read_control(in->reg);
    else if (!write_control(in->reg, *operand))
        return false;
    count_trap(TRAP_EMULATED_CONTROL_REGISTER);
    return true;
}

static bool emulate_debug(struct regs *regs, const struct instruction *in)
{
    word *operand = general_register(regs, in->rm);
    if (in->reg > 7)
        return false;
    if (in->opcode == 0x0f21)
        *operand = (word)do_get_debugreg(in->reg);
    else if (do_set_debugreg(in->reg, *operand) != 0)
        return false;
    count_trap(TRAP_EMULATED_DEBUG_REGISTER);
    return true;
}

static bool emulate_read_msr(struct regs *regs)
{
    u64 value;
    count_trap(TRAP_EMULATED_RDMSR);
    if (!guest_read_msr((u32)regs->cx, &value))
        return false;
    regs->ax = (u32)value;
    regs->dx = value >> 32;
    return true;
}

static bool emulate_write_msr(struct regs *regs)
{
    count_trap(TRAP_EMULATED_WRMSR);
    return guest_write_msr((u32)regs->cx, (u32)regs->ax | (u64)regs->dx << 32);
}

static bool emulate_simple(void)
{
    count_trap(TRAP_EMULATED_INSTRUCTION);
    return true;
}

static bool emulate(struct regs *regs, const struct instruction *in)
{
    switch (in->opcode) {
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return emulate_port(regs, in);
    case 0xfa: /* cli, sti: no effect, as in Xen; a guest masks events instead */
    case 0xfb:
        return iopl_allows() && emulate_simple();
    }
    if (!vcpu.in_kernel)
        return false;
    switch (in->opcode) {
    case 0x0f06:
        do_fpu_taskswitch(0);
        return emulate_simple();
    case 0x0f09: /* wbinvd: no devices, no effect */
        return emulate_simple();
    case 0x0f20:
    case 0x0f22:
        return emulate_control(regs, in);
    case 0x0f21:
    case 0x0f23:
        return emulate_debug(regs, in);
    case 0x0f30:
        return emulate_write_msr(regs);
    case 0x0f32:
        return emulate_read_msr(regs);
    }
    return false;
}

bool emulate_privileged(struct regs *regs)
{
    struct instruction in;
    if (!flat_code(regs->cs) || !decode(&in, regs->ip) || in.lock || !emulate(regs, &in))
        return false;
    regs->ip += in.length;
    return true;
}

/* After #UD: true if the guest has turned FSGSBASE on and the processor has not heard of it, so that it may try again. */
bool enable_fsgsbase(void)
{
    if (!(vcpu.cr4 & CR4_FSGSBASE))
        return false;
    word cr4 = read_cr4();
    if (cr4 & CR4_FSGSBASE)
        return false;
    write_cr4(cr4 | CR4_FSGSBASE);
    return true;
}

/* CPUID as a PV guest should see it is asked for by UD2, "xen", CPUID (xen/include/public/arch-x86/xen.h). */
bool emulate_forced_cpuid(struct regs *regs)
{
    u8 code[sizeof(forced_emulation_prefix) + 2];
    if (!copy_from_guest(code, regs->ip, sizeof(code)))
        return false;
    for (unsigned index = 0; index < sizeof(forced_emulation_prefix); index++)
        if (code[index] != forced_emulation_prefix[index])
            return false;
    if (code[sizeof(forced_emulation_prefix)] != 0x0f || code[sizeof(forced_emulation_prefix) + 1] != 0xa2)
        return false;
    u32 eax = (u32)regs->ax, ebx, ecx = (u32)regs->cx, edx;
    guest_cpuid(&eax, &ebx, &ecx, &edx);
    regs->ax = eax;
    regs->bx = ebx;
    regs->cx = ecx;
    regs->dx = edx;
    regs->ip += sizeof(code);
    count_trap(TRAP_EMULATED_CPUID);
    return true;
}
