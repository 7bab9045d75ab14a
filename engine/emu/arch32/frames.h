/*
 * Frames of a 32-bit guest (xen/include/public/arch-x86/xen-x86_32.h); a part of bounce.c. The guest kernel runs in ring 1
 * on a stack of its own choice, user mode in ring 3; a frame has stack and selector only if the ring changes.
 */

#define FRAME_WORDS 10

/* What a guest may set in its flags; IF is always on, and the real IOPL always 0. */
#define GUEST_FLAGS                                                                                                  \
    (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_TF | FLAG_DF | FLAG_OF | FLAG_RF | FLAG_AC | 1UL << 21)

/* Handlers and the kernel's stack are never in ring 0 (Xen: fixup_guest_selector). */
static u16 kernel_selector(u16 selector)
{
    return selector & 3 ? selector : selector | 1;
}

/* The processor itself enters the handler of system calls, and takes the kernel's stack for that. */
#define trap_changed(vector)                                                                                         \
    do {                                                                                                             \
        if ((vector) == VECTOR_SYSTEM_CALL)                                                                          \
            direct_system_call();                                                                                    \
    } while (0)
#define stack_changed() direct_stack((u32)vcpu.kernel_ss, vcpu.kernel_rsp)

/*
 * Enters the guest kernel at `address`. Low to high on its stack: `extra` (an error code or the failsafe selectors), eip,
 * cs with the old event mask in bits 16-23, eflags with IF = not masked, and from user mode esp and ss.
 */
static void enter_kernel(struct regs *regs, u16 handler_cs, u32 address, bool mask_events, const u32 *extra,
                         unsigned extras)
{
    u32 frame[FRAME_WORDS];
    unsigned words = 0;
    u8 mask = vcpu.info->evtchn_upcall_mask;
    bool from_kernel = (regs->cs & 3) == 1;
    u32 sp = from_kernel ? regs->sp : vcpu.kernel_rsp;
    u32 flags = regs->flags & ~(FLAG_IF | FLAG_IOPL);

    if (address == 0)
        crash_guest("no handler for this event", regs);
    if (!mask)
        flags |= FLAG_IF;
    if (vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl))
        flags |= (u32)vcpu.iopl << 12;

    while (extras--)
        frame[words++] = *extra++;
    frame[words++] = regs->ip;
    frame[words++] = (u16)regs->cs | (u32)mask << 16;
    frame[words++] = flags;
    if (!from_kernel) {
        frame[words++] = regs->sp;
        frame[words++] = (u16)regs->ss;
        regs->ss = vcpu.kernel_ss;
    }
    sp -= words * sizeof(u32);
    if (!copy_to_guest(sp, frame, words * sizeof(u32)))
        crash_guest("the kernel stack cannot be written", regs);

    if (mask_events)
        vcpu.info->evtchn_upcall_mask = 1;
    regs->ip = address;
    regs->cs = handler_cs;
    regs->flags = (regs->flags & GUEST_FLAGS & ~(FLAG_TF | FLAG_RF)) | FLAG_IF | 2;
    regs->sp = sp;
    vcpu.in_kernel = true;
}

#define enter(regs, to, ...) enter_kernel(regs, (to)->cs, (to)->address, __VA_ARGS__)

#define handler_t xen_callback_t
/* Of an xen_callback_t: selector and offset. */
#define HANDLER_FIELDS(handler) .address = (handler).eip, .cs = kernel_selector((u16)(handler).cs)
#define handler_address(handler) (handler).eip
#define kernel_handler(address) ((xen_callback_t){FLAT_KERNEL_CS, (address)})
/* Of those that the other word size has. */
#define NO_SUCH_CALLBACK(type) ((type) == CALLBACKTYPE_syscall)
