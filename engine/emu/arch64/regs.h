/* The guest's registers as the entry code leaves them on emu's stack (entry.S: save_registers). */
#ifndef EMU_REGS_H
#define EMU_REGS_H

#include "types.h"

struct regs {
    u64 r15, r14, r13, r12, bp, bx;
    u64 r11, r10, r9, r8, ax, cx, dx, si, di;
    u64 vector, error;
    u64 ip, cs, flags, sp, ss;
};

/* Register `number` in the order of instruction encoding (SDM vol. 2A table 3-1). */
word *general_register(struct regs *regs, unsigned number);

#endif
