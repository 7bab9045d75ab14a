/* The guest's registers as the entry code leaves them on emu's stack (entry.S: save_registers). */
#ifndef EMU_REGS_H
#define EMU_REGS_H

#include "types.h"

struct regs {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

/* Register `number` in the order of instruction encoding (SDM vol. 2A table 3-1). */
u64 *general_register(struct regs *regs, unsigned number);

#endif
