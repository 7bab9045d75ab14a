/* How emu32pae's guest starts; a part of main.c. */

/* Hypercalls come by a gate of the IDT. */
#define calls_init()

static void first_registers(struct regs *regs)
{
    regs->ip = boot.kernel_entry;
    regs->cs = FLAT_KERNEL_CS;
    regs->flags = FLAG_IF | 2;
    regs->sp = boot.initial_stack;
    regs->ss = FLAT_KERNEL_SS;
    regs->ds = regs->es = regs->fs = regs->gs = FLAT_KERNEL_DS;
    regs->si = boot.start_info;
    do_stack_switch(FLAT_KERNEL_SS, boot.initial_stack);
}
