/* How emu64 and its guest start; a part of main.c. */

static void calls_init(void)
{
    /* SYSCALL enters with emu's selectors, SYSRET leaves with FLAT_RING3_CS64 and FLAT_RING3_SS64. */
    write_msr(MSR_STAR, (u64)FLAT_RING3_CS32 << 48 | (u64)EMU_CS << 32);
    write_msr(MSR_LSTAR, (u64)syscall_entry);
    write_msr(MSR_FMASK, FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC);
    /* Not every processor has it (Intel's ignore it): then compatibility-mode SYSCALL is #UD in the guest. */
    write_msr_safe(MSR_CSTAR, (u64)syscall32_entry);
}

static void first_registers(struct regs *regs)
{
    regs->ip = boot.kernel_entry;
    regs->cs = FLAT_KERNEL_CS;
    regs->flags = FLAG_IF | 2;
    regs->sp = boot.initial_stack;
    regs->ss = FLAT_KERNEL_SS;
    regs->si = boot.start_info;
}
