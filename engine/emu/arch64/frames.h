/*
 * Frames of a 64-bit guest (xen/include/public/arch-x86/xen-x86_64.h); a part of bounce.c. Guest kernel and guest user
 * both run in ring 3; which of the two it is decides over page tables, GS and stack, and is shown to the guest as the
 * RPL of CS, 0 or 3.
 */

#define FRAME_WORDS 14

/* As selectors of the guest kernel have to be. */
#define kernel_selector(selector) ((selector) | 3)
/* Nothing of the guest's traps and stack is known to the processor. */
#define trap_changed(vector)
#define stack_changed()

/* What a guest may set in its flags; IF is always on, and the real IOPL always 0. */
#define GUEST_FLAGS                                                                                                  \
    (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_TF | FLAG_DF | FLAG_OF | FLAG_RF | FLAG_AC | 1UL << 21)

void to_guest_kernel(void)
{
    if (vcpu.in_kernel)
        return;
    vcpu.in_kernel = true;
    swap_gs();
    load_cr3(vcpu.kernel_table);
}

void to_guest_user(const struct regs *regs)
{
    if (!vcpu.in_kernel)
        return;
    if (vcpu.user_table == 0)
        crash_guest("return to user mode without a user page table", regs);
    vcpu.in_kernel = false;
    swap_gs();
    load_cr3(vcpu.user_table);
}

/*
 * Enters the guest kernel at `address`. Low to high on its stack: rcx, r11, `extra` (an error code or the failsafe
 * selectors), rip, cs with the old event mask in bits 32-39, rflags with IF = not masked, rsp, ss.
 */
static void enter_kernel(struct regs *regs, u64 address, bool mask_events, const u64 *extra, unsigned extras)
{
    u64 frame[FRAME_WORDS];
    unsigned words = 0;
    u8 mask = vcpu.info->evtchn_upcall_mask;
    u64 cs = (u16)regs->cs, rsp = regs->sp;
    u64 flags = regs->flags & ~(FLAG_IF | FLAG_IOPL);

    if (address == 0)
        crash_guest("no handler for this event", regs);
    if (vcpu.in_kernel) {
        cs &= ~3UL;
    } else {
        rsp = vcpu.kernel_rsp;
        to_guest_kernel();
    }
    if (!mask)
        flags |= FLAG_IF;
    if (vcpu.assists & (1UL << VMASST_TYPE_architectural_iopl))
        flags |= (u64)vcpu.iopl << 12;

    frame[words++] = regs->cx;
    frame[words++] = regs->r11;
    while (extras--)
        frame[words++] = *extra++;
    frame[words++] = regs->ip;
    frame[words++] = cs | (u64)mask << 32;
    frame[words++] = flags;
    frame[words++] = regs->sp;
    frame[words++] = regs->ss;
    rsp = (rsp & ~15UL) - words * sizeof(u64);
    if (!copy_to_guest(rsp, frame, words * sizeof(u64)))
        crash_guest("the kernel stack cannot be written", regs);

    if (mask_events)
        vcpu.info->evtchn_upcall_mask = 1;
    regs->ip = address;
    regs->cs = FLAT_KERNEL_CS;
    regs->flags = (regs->flags & GUEST_FLAGS & ~(FLAG_TF | FLAG_RF | FLAG_AC)) | FLAG_IF | 2;
    regs->sp = rsp;
    regs->ss = FLAT_KERNEL_SS;
}

/* To a handler or callback; there is one kernel code segment. */
#define enter(regs, to, ...) enter_kernel(regs, (to)->address, __VA_ARGS__)

#define handler_t u64
/* Of an xen_callback_t, which is an address. */
#define HANDLER_FIELDS(handler) .address = (handler)
#define handler_address(handler) (handler)
#define kernel_handler(address) (address)
/* Of those that the other word size has. */
#define NO_SUCH_CALLBACK(type) false
