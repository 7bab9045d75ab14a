/* emu64: where a hypercall's arguments are. */
#define ARGUMENT_1(regs) ((regs)->di)
#define ARGUMENT_2(regs) ((regs)->si)
#define ARGUMENT_3(regs) ((regs)->dx)
#define ARGUMENT_4(regs) ((regs)->r10)

#define SET_CALLBACKS_ARGUMENTS a1, a2, a3
#define UPDATE_DESCRIPTOR_ARGUMENTS a1, a2
#define UPDATE_VA_MAPPING_ARGUMENTS a1, a2, a3
#define SET_TIMER_ARGUMENT a1
