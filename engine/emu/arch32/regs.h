/* The guest's registers as the entry code leaves them on emu's stack (entry.S: save_registers). */
#ifndef EMU_REGS_H
#define EMU_REGS_H

#include "types.h"

/* A trap within emu has neither `sp` nor `ss`: what was on the stack before is in their place. */
struct regs {
    u32 bx, cx, dx, si, di, bp, ax;
    u32 ds, es, fs, gs;
    u32 vector, error;
    u32 ip, cs, flags, sp, ss;
};

/* Register `number` in the order of instruction encoding (SDM vol. 2A table 3-1). */
word *general_register(struct regs *regs, unsigned number);

#endif
