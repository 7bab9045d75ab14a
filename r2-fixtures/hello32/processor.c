/* Traps, privileged instructions, the hypervisor's hole, ring 3, returns, and the calls about registers and callbacks. */
#include "hello32.h"

#define EFLAGS_IF 0x200u
#define EFLAGS_VM 0x20000u
/* IF clear: events stay masked. */
#define EFLAGS 2u
#define STACK_TOP(stack) ((u32)(stack) + PAGE)

#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_GP 13
#define VECTOR_PF 14

static const struct trap_info traps[] = {
    {0, 0, FLAT_KERNEL_CS, (u32)on_divide},
    {1, 0, FLAT_KERNEL_CS, (u32)on_debug},
    {3, 3, FLAT_KERNEL_CS, (u32)on_int3},
    {VECTOR_UD, 0, FLAT_KERNEL_CS, (u32)on_invalid},
    {VECTOR_NM, 0, FLAT_KERNEL_CS, (u32)on_no_device},
    {11, 0, FLAT_KERNEL_CS, (u32)on_no_segment},
    {VECTOR_GP, 0, FLAT_KERNEL_CS, (u32)on_protection},
    {VECTOR_PF, 0, FLAT_KERNEL_CS, (u32)on_page_fault},
    {0x80, 3, FLAT_KERNEL_CS & ~3, (u32)on_int80}, /* ring 0 becomes ring 1 */
    {0x81, 3 | 4, FLAT_KERNEL_CS, (u32)on_int81},
    {0, 0, 0, 0},
};

void check_traps(void)
{
    check("set_trap_table", CALL(set_trap_table, traps), 0);
    REFUSED("a table from nowhere", -XEN_EFAULT, CALL(set_trap_table, UNMAPPED));
    REFUSED("a table in the hole", -XEN_EFAULT, CALL(set_trap_table, IN_HOLE));
    probe_read(UNMAPPED);
    check("a page fault", (long)trap.vector, VECTOR_PF);
    check("with its error code", (long)trap.error, 0);
    check("in ring 1", (long)(trap.cs & 0xffff), FLAT_KERNEL_CS);
    check("with events masked", (long)(trap.cs >> 16), 1);
    check("at its address", (long)shared.vcpu_info[0].arch.cr2, UNMAPPED);
    probe_int3();
    check("int3", (long)trap.vector, 3);
    probe_ud2();
    check("ud2", (long)trap.vector, VECTOR_UD);
    probe_cli();
    check("cli is privileged", (long)trap.vector, VECTOR_GP);
    check("mov from cr0 is emulated", (long)(probe_cr0() & 1), 1);
    check("without a trap", (long)trap.vector, 0);
    check("cr4: what is not ours to choose stays", (long)probe_cr4(0xffff0008), 0x628);
    check("and comes back", (long)probe_cr4(0), 0x620);
    check("cpuid as a PV guest", (long)forced_cpuid(0x40000000), 0x566e6558);
    check("without a trap either", (long)trap.vector, 0);
    probe_read_gs(0x100f, 0);
    check("no LDT: a protection fault", (long)trap.vector, VECTOR_GP);
    check("of the selector", (long)trap.error, 0x100c);
    probe_int80();
    check("int 0x80 from ring 1", (long)trap.vector, 0x80);
    check("fpu_taskswitch", CALL(fpu_taskswitch, 1), 0);
    probe_fpu();
    check("traps", (long)trap.vector, VECTOR_NM);
    probe_fpu();
    check("once, as with Xen", (long)trap.vector, 0);
    check("and not if it is told so", CALL(fpu_taskswitch, 0), 0);
}

/* The guest's flat segments end behind the m2p, which it may read. */
void check_hole(void)
{
    check("the m2p can be read", (long)probe_read(IN_M2P + 4 * 77), 77);
    check("without a trap", (long)trap.vector, 0);
    probe_write(IN_M2P, 1);
    check("not written", (long)trap.vector, VECTOR_PF);
    check("as it is read-only", (long)trap.error, 3);
    static const u32 emu[] = {0xf6800000, 0xf7000000, 0xf8000000, 0xf8020000, 0xfffffffc, 0xf67ffffd};
    for (unsigned index = 0; index < sizeof(emu) / sizeof(emu[0]); index++) {
        probe_read(emu[index]);
        check("emu cannot be read", (long)trap.vector, VECTOR_GP);
        probe_write(emu[index], 0);
        check("nor written", (long)trap.vector, VECTOR_GP);
    }
}

void check_user_mode(void)
{
    check("stack_switch", CALL(stack_switch, FLAT_KERNEL_SS, STACK_TOP(interrupt_stack)), 0);
    u32 before = state();
    user_refused = system_call_eax = 0;
    go_to((u32)user_code, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("no hypercall from ring 3", (long)user_refused, 64);
    check("a system call", (long)system_call_eax, 42);
    check("from ring 3", (long)(system_call_cs & 0xffff), FLAT_USER_CS);
    check("and back there", (long)trap.vector, VECTOR_UD);
    check("in ring 3", (long)(trap.cs & 3), 3);
    check("nothing changed", state() == before, 1);
    go_to((u32)user_reads, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("a page of the kernel's", (long)trap.vector, VECTOR_PF);
    check("is not for ring 3", (long)trap.error, 5);
    go_to((u32)user_writes_m2p, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("nor is the m2p to be written", (long)trap.vector, VECTOR_PF);
    check("though it can be read", (long)trap.error, 7);

    /* A handler that masks events cannot be entered by the processor itself. */
    struct trap_info masking[] = {{0x80, 3 | 4, FLAT_KERNEL_CS, (u32)on_int81}, {0, 0, 0, 0}};
    check("a masking handler", CALL(set_trap_table, masking), 0);
    go_to((u32)user_int80, FLAT_USER_CS, EFLAGS | EFLAGS_IF, STACK_TOP(user_stack), FLAT_USER_SS);
    check("is entered", (long)trap.vector, 0x81);
    check("with events masked", shared.vcpu_info[0].evtchn_upcall_mask, 1);
    check("which they were not before", (long)(trap.cs >> 16), 0);
    check("no handlers", CALL(set_trap_table, 0), 0);
    static const struct trap_info no_system_call[] = {
        {VECTOR_UD, 0, FLAT_KERNEL_CS, (u32)on_invalid}, {VECTOR_GP, 0, FLAT_KERNEL_CS, (u32)on_protection}, {0, 0, 0, 0}};
    check("none for system calls", CALL(set_trap_table, no_system_call), 0);
    go_to((u32)user_int80, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("a system call that nobody takes", (long)trap.vector, VECTOR_GP);
    check("of its vector", (long)trap.error, 0x80 * 8 + 2);
    check("where it is", (long)trap.eip, (long)user_int80 + 5);

    struct physdev_set_iopl iopl = {.iopl = 1};
    check("IOPL 1", CALL(physdev_op, PHYSDEVOP_set_iopl, argument(&iopl, sizeof(iopl))), 0);
    probe_cli();
    check("is enough for ring 1", (long)trap.vector, 0);
    go_to((u32)user_cli, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("but not for ring 3", (long)trap.vector, VECTOR_GP);
    iopl.iopl = 3;
    check("IOPL 3", CALL(physdev_op, PHYSDEVOP_set_iopl, argument(&iopl, sizeof(iopl))), 0);
    go_to((u32)user_cli, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("is", (long)trap.vector, VECTOR_UD);
    iopl.iopl = 0;
    check("IOPL 0", CALL(physdev_op, PHYSDEVOP_set_iopl, argument(&iopl, sizeof(iopl))), 0);
    check("all handlers", CALL(set_trap_table, traps), 0);
}

void check_returns(void)
{
    /* To the kernel itself: no stack in the frame, eax from the frame. */
    shared.vcpu_info[0].evtchn_upcall_mask = 1;
    system_call_eax = 0;
    go_to((u32)kernel_code, FLAT_KERNEL_CS, EFLAGS, 0, 0);
    check("iret to ring 1", (long)system_call_eax, 0x600d);
    check("with events masked as IF says", shared.vcpu_info[0].evtchn_upcall_mask, 1);

    failsafes = 0;
    go_to((u32)user_code, 0x1237, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("a selector that is not there: failsafe", (long)failsafes, 1);
    check("where it was going", (long)failsafe_eip, (long)user_code);
    go_to((u32)user_code, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_KERNEL_SS);
    check("a stack of ring 1 in ring 3: failsafe", (long)failsafes, 2);
    check("no failsafe callback", CALL(set_callbacks, FLAT_KERNEL_CS, on_event, FLAT_KERNEL_CS, 0), 0);
    go_to((u32)user_code, 0x1237, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("a selector that is not there: a protection fault", (long)trap.vector, VECTOR_GP);
    check("of the selector", (long)trap.error, 0x1234);
    check("where it was going", (long)trap.eip, (long)user_code);
    check("both callbacks", CALL(set_callbacks, FLAT_KERNEL_CS, on_event, FLAT_KERNEL_CS, on_failsafe), 0);

    go_to(0x1234, 0x5678, EFLAGS_VM | EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("virtual-8086 mode: a protection fault", (long)trap.vector, VECTOR_GP);
    check("of nothing", (long)trap.error, 0);
    check("where it was going", (long)trap.eip, 0x1234);
    check("in its segment", (long)(trap.cs & 0xffff), 0x5678);
}

/* Debug registers, segment bases, stacks and callbacks. */
void check_state_calls(void)
{
    check("set_debugreg", CALL(set_debugreg, 0, spare), 0);
    check("get_debugreg", CALL(get_debugreg, 0), (long)spare);
    REFUSED("a breakpoint on emu", -XEN_EPERM, CALL(set_debugreg, 1, IN_HOLE));
    REFUSED("debug register 4", -XEN_ENODEV, CALL(set_debugreg, 4, 0));
    REFUSED("debug register 9", -XEN_EINVAL, CALL(set_debugreg, 9, 0));
    REFUSED("general detect", -XEN_EPERM, CALL(set_debugreg, 7, 0x2000));
    REFUSED("get_debugreg 5", -XEN_ENODEV, CALL(get_debugreg, 5));
    REFUSED("get_debugreg 8", -XEN_EINVAL, CALL(get_debugreg, 8));
    check("a watched word", CALL(set_debugreg, 7, 0x000d0001), 0);
    probe_write((u32)spare, 1);
    check("is seen", (long)trap.vector, 1);
    check("and DR6 says which", CALL(get_debugreg, 6) & 0x400f, 1);
    check("until it is cleared", CALL(set_debugreg, 6, 0), 0);
    check("which it is", CALL(get_debugreg, 6) & 0x400f, 0);
    check("no longer watched", CALL(set_debugreg, 7, 0), 0);

    REFUSED("set_segment_base, FS", -XEN_ENOSYS, CALL(set_segment_base, 0, 0));
    REFUSED("set_segment_base, GS_USER_SEL", -XEN_ENOSYS, CALL(set_segment_base, 3, 0));

    check("set_callbacks", CALL(set_callbacks, FLAT_KERNEL_CS, on_event, FLAT_KERNEL_CS, on_failsafe), 0);
    struct callback_register request = {.type = CALLBACKTYPE_event, .address = {FLAT_KERNEL_CS, (u32)on_event}};
    check("callback_op event", CALL(callback_op, CALLBACKOP_register, argument(&request, sizeof(request))), 0);
    request.type = CALLBACKTYPE_failsafe;
    request.address.eip = (u32)on_failsafe;
    request.flags = CALLBACKF_mask_events;
    check("callback_op failsafe", CALL(callback_op, CALLBACKOP_register, argument(&request, sizeof(request))), 0);
    request.type = CALLBACKTYPE_syscall;
    REFUSED("a callback of 64-bit guests", -XEN_ENOSYS,
            CALL(callback_op, CALLBACKOP_register, argument(&request, sizeof(request))));
    request.type = CALLBACKTYPE_sysenter_deprecated;
    REFUSED("a callback of the old kind", -XEN_ENOSYS,
            CALL(callback_op, CALLBACKOP_register, argument(&request, sizeof(request))));
    go_to((u32)user_sysenter, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("SYSENTER without a callback", (long)trap.vector, VECTOR_GP);
    request.type = CALLBACKTYPE_sysenter;
    request.address.eip = (u32)on_sysenter;
    check("callback_op sysenter", CALL(callback_op, CALLBACKOP_register, argument(&request, sizeof(request))), 0);
    go_to((u32)user_sysenter, FLAT_USER_CS, EFLAGS, STACK_TOP(user_stack), FLAT_USER_SS);
    check("SYSENTER", (long)trap.vector, 0x34);
    check("from nobody knows where", (long)trap.eip, 0);
    check("in ring 3", (long)(trap.cs & 0xffff), 3);
    request.type = 99;
    REFUSED("an unknown callback", -XEN_ENOSYS, CALL(callback_op, CALLBACKOP_register, argument(&request, sizeof(request))));
    REFUSED("a callback from nowhere", -XEN_EFAULT, CALL(callback_op, CALLBACKOP_register, UNMAPPED));
    REFUSED("a callback in the hole", -XEN_EFAULT, CALL(callback_op, CALLBACKOP_register, IN_HOLE));
    struct callback_unregister gone = {.type = CALLBACKTYPE_event};
    REFUSED("no event callback", -XEN_EINVAL, CALL(callback_op, CALLBACKOP_unregister, argument(&gone, sizeof(gone))));
    gone.type = 99;
    REFUSED("no unknown callback", -XEN_ENOSYS, CALL(callback_op, CALLBACKOP_unregister, argument(&gone, sizeof(gone))));
    gone.type = CALLBACKTYPE_nmi;
    check("no NMI callback", CALL(callback_op, CALLBACKOP_unregister, argument(&gone, sizeof(gone))), 0);
    struct xennmi_callback nmi = {.handler_address = (u32)on_int81};
    check("nmi_op", CALL(nmi_op, XENNMI_register_callback, argument(&nmi, sizeof(nmi))), 0);
    check("nmi_op unregister", CALL(nmi_op, XENNMI_unregister_callback), 0);
    REFUSED("nmi_op from nowhere", -XEN_EFAULT, CALL(nmi_op, XENNMI_register_callback, UNMAPPED));
    REFUSED("nmi_op unknown", -XEN_ENOSYS, CALL(nmi_op, 7));
}
