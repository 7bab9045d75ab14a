/* emu32pae: where a hypercall's arguments are. A value of 64 bits takes two of them, the low half first. */
#define ARGUMENT_1(regs) ((regs)->bx)
#define ARGUMENT_2(regs) ((regs)->cx)
#define ARGUMENT_3(regs) ((regs)->dx)
#define ARGUMENT_4(regs) ((regs)->si)

#define WIDE(low, high) ((low) | (u64)(high) << 32)
#define SET_CALLBACKS_ARGUMENTS a1, a2, a3, a4
#define UPDATE_DESCRIPTOR_ARGUMENTS WIDE(a1, a2), WIDE(a3, a4)
#define UPDATE_VA_MAPPING_ARGUMENTS a1, WIDE(a2, a3), a4
#define SET_TIMER_ARGUMENT WIDE(a1, a2)
