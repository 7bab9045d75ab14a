/*
 * hello: a 64-bit Xen PV guest of our own. It says what it does on its console, one line for each check, and powers
 * off after HELLO-OK; if any check fails it says HELLO-FAILED and shuts down with the reason "crash".
 *
 * It checks the start of day, both ways to make a hypercall, results and error codes, traps, privileged instructions, debug
 * status, FSGSBASE, the page-table rules, timer and event upcall, both shared rings, a round trip through guest user mode, and a return that fails.
 */
#include "xen.h"

/* ---- ELF notes: xen/include/public/elfnote.h */

#include "../elf-note.h"

    elf_note 6, .asciz "hello"                  /* GUEST_OS */
    elf_note 7, .asciz "1"                      /* GUEST_VERSION */
    elf_note 5, .asciz "xen-3.0"                /* XEN_VERSION */
    elf_note 8, .asciz "generic"                /* LOADER */
    elf_note 3, .quad VIRT_BASE                 /* VIRT_BASE */
    elf_note 4, .quad 0                         /* PADDR_OFFSET */
    elf_note 1, .quad start                     /* ENTRY */
    elf_note 2, .quad hypercall_page            /* HYPERCALL_PAGE */
    elf_note 9, .asciz "yes"                    /* PAE_MODE */

#define VIRT_BASE 0xffffffff80000000
#define PAGE 4096
#define PTE_READ_ONLY 1
#define PTE_WRITABLE 3
#define PTE_USER_WRITABLE 7
#define USER_CODE 0x400000
#define CR4_FSGSBASE 0x10000

/* The bare way: SYSCALL destroys rcx and r11. */
.macro hypercall number
    mov $\number, %eax
    syscall
.endm

.macro say text
    .pushsection .data
9:  .asciz "\text"
    .popsection
    lea 9b(%rip), %rdi
    call print
.endm

/* Fails unless rax is `value`. */
.macro expect value, name
    .pushsection .data
9:  .asciz "\name"
    .popsection
    mov $\value, %rsi
    lea 9b(%rip), %rdi
    call check
.endm

/* Machine page of a symbol of ours (pfn = mfn here, as the p2m says; hello asserts it) into a register. */
.macro mfn_of symbol, register
    mov $(\symbol - VIRT_BASE), \register
    shr $12, \register
.endm

/* update_va_mapping(symbol, its machine page | rights, UVMF_INVLPG) */
.macro remap symbol, rights
    mov $\symbol, %rdi
    mov $(\symbol - VIRT_BASE + \rights), %rsi
    mov $UVMF_INVLPG, %edx
    hypercall HYPERVISOR_update_va_mapping
.endm

/* callback_op(register, {type, handler}) */
.macro register_callback type, handler, name
    movl $\type, callback(%rip)
    lea \handler(%rip), %rax
    mov %rax, callback + 8(%rip)
    mov $CALLBACKOP_register, %edi
    lea callback(%rip), %rsi
    hypercall HYPERVISOR_callback_op
    expect 0, "\name"
.endm

    .text
    .code64
    .globl start
start:
    lea stack_top(%rip), %rsp
    mov %rsi, start_info(%rip)
    say "hello: a PV guest of 64 bits\n"

    /* Both ways to make a hypercall. */
    mov $XENVER_version, %edi
    xor %esi, %esi
    hypercall HYPERVISOR_xen_version
    expect 0x00040011, "version by syscall"
    mov $XENVER_version, %edi
    xor %esi, %esi
    call hypercall_page + HYPERVISOR_xen_version * 32
    expect 0x00040011, "version by hypercall page"
    hypercall HYPERVISOR_unknown
    expect -ENOSYS, "unknown hypercall"

    /* Pointers nobody should follow: nothing mapped, the hypervisor's hole, read-only memory. */
    mov $XENVER_get_features, %edi
    mov $0x1000, %esi
    hypercall HYPERVISOR_xen_version
    expect -EFAULT, "pointer to nothing"
    mov $XENVER_get_features, %edi
    mov $0xffff804000000000, %rsi
    hypercall HYPERVISOR_xen_version
    expect -EFAULT, "pointer into the hypervisor"
    remap read_only_page, PTE_READ_ONLY
    expect 0, "update_va_mapping to read-only"
    mov $XENVER_get_features, %edi
    lea read_only_page(%rip), %rsi
    hypercall HYPERVISOR_xen_version
    expect -EFAULT, "pointer to read-only memory"

    call check_shared_info
    call check_traps
    call check_debug_status
    call check_fsgsbase
    call check_page_tables
    call check_multicall
    call check_console_ring
    call check_timer
    call check_xenstore
    call check_user_mode
    call check_bad_return

    cmpl $0, failures(%rip)
    jne 1f
    say "HELLO-OK\n"
    movl $SHUTDOWN_poweroff, shutdown(%rip)
    jmp 2f
1:  say "HELLO-FAILED\n"
    movl $SHUTDOWN_crash, shutdown(%rip)
2:  mov $SCHEDOP_shutdown, %edi
    lea shutdown(%rip), %rsi
    hypercall HYPERVISOR_sched_op
    ud2

/* ---- The page all events and the time come from. */
check_shared_info:
    mov start_info(%rip), %rax
    mov SI_SHARED_INFO(%rax), %rsi
    or $PTE_WRITABLE, %rsi
    lea shared_info(%rip), %rdi
    mov $UVMF_INVLPG, %edx
    hypercall HYPERVISOR_update_va_mapping
    expect 0, "mapping shared_info"
    movzbl shared_info + SHI_UPCALL_MASK(%rip), %eax
    expect 1, "events are masked at start"
    /* Memory of emu is not ours to map: page 0x200 behind shared_info. */
    mov start_info(%rip), %rax
    mov SI_SHARED_INFO(%rax), %rsi
    add $0x200 * PAGE + PTE_WRITABLE, %rsi
    lea spare_page(%rip), %rdi
    mov $UVMF_INVLPG, %edx
    hypercall HYPERVISOR_update_va_mapping
    expect -EINVAL, "mapping emu's memory"
    ret

/* ---- Traps come back as frames on our stack; privileged instructions work or trap. */
check_traps:
    lea trap_table(%rip), %rdi
    hypercall HYPERVISOR_set_trap_table
    expect 0, "set_trap_table"

    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    mov 0x1000, %rax                    /* nothing is mapped there */
1:  mov trap_vector(%rip), %rax
    expect 14, "page fault is ours"
    mov trap_error(%rip), %rax
    expect 0, "page fault error code"
    mov shared_info + 16(%rip), %rax    /* vcpu_info.arch.cr2 */
    expect 0x1000, "page fault address"

    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    mov $0xffff804000000000, %rax
    mov (%rax), %rax
1:  mov trap_vector(%rip), %rax
    expect 14, "emu is out of reach"

    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    movq $0, trap_vector(%rip)
    cli                                 /* IOPL is 0 */
1:  mov trap_vector(%rip), %rax
    expect 13, "cli is privileged"

    movq $0, trap_vector(%rip)
    mov %cr0, %rbx
    mov %rbx, %rax
    and $1, %eax
    expect 1, "mov from cr0 is emulated"

    /* After a reset there is an LDT of 64 KB at address 0: with none, a selector is refused before memory is looked at. */
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    movq $0, trap_vector(%rip)
    mov $0x100f, %eax
    mov %eax, %es
1:  mov trap_vector(%rip), %rax
    expect 13, "no LDT"

    /*
     * The watched MOV SS holds its #DB up until SYSCALL is in emu, while RSP is still what it was here. qemu's own
     * processor, "TCGT" in EBX, holds nothing up.
     */
    mov $0x40000000, %eax
    cpuid
    cmp $0x54474354, %ebx
    je 1f
    xor %edi, %edi
    lea watched(%rip), %rsi
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg"
    mov $7, %edi
    mov $0x70001, %esi                  /* DR0: 2 bytes, read or written */
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg, to watch"
    mov %rsp, %r12
    mov $0x8000000000000000, %rsp
    mov $HYPERVISOR_xen_version, %eax
    xor %edi, %edi                      /* XENVER_version */
    mov watched(%rip), %ss
    syscall
    mov %r12, %rsp
    expect 0x40011, "a call behind a watched MOV SS"
    mov $7, %edi
    xor %esi, %esi
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg, no more"
1:
    movq $0, trap_vector(%rip)
    mov $0x40000000, %eax               /* forced emulation: ud2, "xen", cpuid */
    .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e
    cpuid
    mov %ebx, %eax
    expect 0x566e6558, "cpuid as a PV guest"
    mov trap_vector(%rip), %rax
    expect 0, "no trap for that"
    ret

/* ---- DR6 says which breakpoint it was. */
check_debug_status:
    xor %edi, %edi
    lea watched(%rip), %rsi
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg, a word"
    mov $7, %edi
    mov $0x50001, %esi                  /* DR0: 2 bytes, written */
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg, watched"
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    movw $FLAT_KERNEL_SS, watched(%rip)
    nop
1:  mov trap_vector(%rip), %rax
    expect 1, "a write to it is a debug exception"
    mov $6, %edi
    hypercall HYPERVISOR_get_debugreg
    and $0x400f, %eax
    expect 1, "of DR0, says DR6"
    mov $7, %edi
    xor %esi, %esi
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg, not watched"
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    pushf
    orw $0x100, (%rsp)
    popf
    nop
1:  mov $6, %edi
    hypercall HYPERVISOR_get_debugreg
    and $0x400f, %eax
    expect 0x4001, "and of a single step: DR6 is ours to clear"
    mov $6, %edi
    xor %esi, %esi
    hypercall HYPERVISOR_set_debugreg
    expect 0, "set_debugreg, DR6"
    mov $6, %edi
    hypercall HYPERVISOR_get_debugreg
    and $0x400f, %eax
    expect 0, "clear"
    movq $0, trap_vector(%rip)
    ret

/* ---- FSGSBASE is on while CR4 says so, on a processor that has it. */
check_fsgsbase:
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    and $1, %ebx
    mov %ebx, %r12d
    mov %cr4, %rax
    mov %rax, %r13
    or $CR4_FSGSBASE, %rax
    mov %rax, %cr4
    mov %cr4, %rax
    shr $16, %rax
    sub %r12, %rax
    expect 0, "CR4.FSGSBASE is on if there is such a thing"
    call try_rdfsbase
    test %r12d, %r12d
    jz 1f
    expect 0, "FSGSBASE works"
    mov %r13, %cr4
    call try_rdfsbase
1:  expect 6, "and without it does not"
    mov %r13, %cr4
    movq $0, trap_vector(%rip)
    ret

/* rax = 6 if RDFSBASE is not known, or 0. */
try_rdfsbase:
    movq $0, trap_vector(%rip)
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    rdfsbase %rax
1:  mov trap_vector(%rip), %rax
    ret

/* ---- Nobody writes a page table but emu. */
check_page_tables:
    /* Our own L4 mapped writable: refused. */
    mov start_info(%rip), %rax
    mov SI_PT_BASE(%rax), %rdi
    mov %rdi, %rsi
    sub $VIRT_BASE, %rsi
    or $PTE_WRITABLE, %rsi
    mov $UVMF_INVLPG, %edx
    hypercall HYPERVISOR_update_va_mapping
    expect -EINVAL, "page table mapped writable"

    /* A page that is mapped writable cannot become one. */
    mfn_of spare_page, %rax
    mov %rax, mmuext + 8(%rip)
    movl $MMUEXT_PIN_L4_TABLE, mmuext(%rip)
    call mmuext_op
    expect -EINVAL, "writable page pinned as L4"

    /* The hypervisor's slot of the L4 is not ours to change. */
    mov start_info(%rip), %rax
    mov SI_PT_BASE(%rax), %rax
    sub $VIRT_BASE, %rax
    add $(256 * 8), %rax
    mov %rax, mmu_update(%rip)
    movq $0, mmu_update + 8(%rip)
    call mmu_update_one
    expect -EINVAL, "mmu_update of the hypervisor's slot"

    /* A write to a read-only L1 of ours is carried out after it has been checked ("writable page tables"). */
    mov $VMASST_CMD_enable, %edi
    mov $VMASST_TYPE_writable_pagetables, %esi
    hypercall HYPERVISOR_vm_assist
    expect 0, "writable page tables"
    call build_user_tables
    movq $0, trap_vector(%rip)
    mov $0x12345000, %rax               /* not present: anything goes */
    mov %rax, user_l1 + 8(%rip)
    mov user_l1 + 8(%rip), %rax
    expect 0x12345000, "direct write to a page table"
    lock btsq $1, user_l1 + 8(%rip)
    mov user_l1 + 8(%rip), %rax
    expect 0x12345002, "locked write to a page table"
    mov trap_vector(%rip), %rax
    expect 0, "no trap for that"
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    mov $(user_l1 - VIRT_BASE + PTE_USER_WRITABLE), %rax
    mov %rax, user_l1 + 8(%rip)         /* a writable mapping of the table itself */
1:  mov trap_vector(%rip), %rax
    expect 14, "a bad one is a page fault"
    ret

/* L4 -> L3 -> L2 -> L1 -> user_code at USER_CODE and its stack above, all read-only for us before it is pinned. */
build_user_tables:
    movq $(user_l3 - VIRT_BASE + PTE_USER_WRITABLE), user_l4(%rip)
    movq $(user_l2 - VIRT_BASE + PTE_USER_WRITABLE), user_l3(%rip)
    movq $(user_l1 - VIRT_BASE + PTE_USER_WRITABLE), user_l2 + 8 * (USER_CODE >> 21)(%rip)
    movq $(user_code - VIRT_BASE + 5), user_l1(%rip)
    remap user_l4, PTE_READ_ONLY
    remap user_l3, PTE_READ_ONLY
    remap user_l2, PTE_READ_ONLY
    remap user_l1, PTE_READ_ONLY
    remap user_code, PTE_READ_ONLY
    mfn_of user_l4, %rax
    mov %rax, mmuext + 8(%rip)
    movl $MMUEXT_PIN_L4_TABLE, mmuext(%rip)
    call mmuext_op
    expect 0, "pinning a page table"
    ret

/* ---- Two calls in one; each has its own result. */
check_multicall:
    lea calls(%rip), %rdi
    mov $2, %esi
    hypercall HYPERVISOR_multicall
    expect 0, "multicall"
    mov calls + 8(%rip), %rax
    expect 0x00040011, "its first call"
    mov calls + 64 + 8(%rip), %rax
    expect -ENOSYS, "its second call"
    ret

/* ---- The console ring: bytes into the page, then the event channel. */
check_console_ring:
    mov start_info(%rip), %rax
    mov SI_CONSOLE_MFN(%rax), %rbx
    shl $12, %rbx
    mov $VIRT_BASE, %rdx
    add %rdx, %rbx                      /* mapped by the domain builder */
    lea ring_text(%rip), %rsi
    mov CONS_OUT_PROD(%rbx), %edx
1:  lodsb
    test %al, %al
    jz 2f
    mov %edx, %ecx
    and $(CONS_OUT_BYTES - 1), %ecx
    mov %al, CONS_OUT(%rbx, %rcx)
    inc %edx
    jmp 1b
2:  mov %edx, CONS_OUT_PROD(%rbx)
    mov start_info(%rip), %rax
    mov SI_CONSOLE_EVTCHN(%rax), %eax
    mov %eax, port(%rip)
    call notify
    expect 0, "console notified"
    ret

/* ---- A timer one millisecond ahead, and sleep until its event. */
check_timer:
    register_callback CALLBACKTYPE_event, upcall, "event callback"

    mov $EVTCHNOP_bind_virq, %edi
    lea bind_virq(%rip), %rsi
    hypercall HYPERVISOR_event_channel_op
    expect 0, "bind_virq"
    mov bind_virq + 8(%rip), %eax
    call unmask

    call system_time
    mov %rax, %rbx
    add $1000000, %rax
    mov %rax, timer(%rip)
    mov $VCPUOP_set_singleshot_timer, %edi
    xor %esi, %esi
    lea timer(%rip), %rdx
    hypercall HYPERVISOR_vcpu_op
    expect 0, "set_singleshot_timer"
    movq $0, events(%rip)
    mov bind_virq + 8(%rip), %ecx
    call wait_for
    call system_time
    sub %rbx, %rax
    cmp $1000000, %rax                  /* not too early, and not a tenth of a second late */
    setae %cl
    cmp $100000000, %rax
    setb %al
    and %cl, %al
    movzbl %al, %eax
    expect 1, "slept a millisecond"
    ret

/* Blocks until the event of port ecx was seen by the upcall. */
wait_for:
    mov %ecx, %r12d
1:  bt %r12, events(%rip)
    jc 2f
    mov $SCHEDOP_block, %edi            /* unmasks events */
    xor %esi, %esi
    hypercall HYPERVISOR_sched_op
    jmp 1b
2:  movb $1, shared_info + SHI_UPCALL_MASK(%rip)
    ret

/* Masks nothing, clears what it sees: enough for ports below 64. */
upcall:
    push %rax
    movb $0, shared_info + SHI_UPCALL_PENDING(%rip)
    movq $0, shared_info + SHI_PENDING_SEL(%rip)
    xor %eax, %eax
    xchg %rax, shared_info + SHI_EVTCHN_PENDING(%rip)
    or %rax, events(%rip)
    pop %rax
    pop %rcx
    pop %r11
    andb $~3, 8(%rsp)                   /* the frame's cs says kernel; in truth that is ring 3 */
    orb $3, 8(%rsp)
    movl $0, 12(%rsp)                   /* the saved mask: this guest sets it itself */
    iretq

/* ---- One request to the xenstore: our own domain id. */
check_xenstore:
    mov start_info(%rip), %rax
    mov SI_STORE_MFN(%rax), %rbx
    shl $12, %rbx
    mov $VIRT_BASE, %rdx
    add %rdx, %rbx
    mov SI_STORE_EVTCHN(%rax), %eax
    mov %eax, port(%rip)
    call unmask
    lea (XS_REQ)(%rbx), %rdi
    lea xs_request(%rip), %rsi
    mov $(xs_request_end - xs_request), %ecx
    rep movsb
    movl $(xs_request_end - xs_request), XS_REQ_PROD(%rbx)
    movq $0, events(%rip)
    call notify
    expect 0, "xenstore notified"
    mov port(%rip), %ecx
1:  call wait_for
    movq $0, events(%rip)
    cmpl $17, XS_RSP_PROD(%rbx)         /* a header and at least one digit */
    jb 1b
    mov XS_RSP(%rbx), %eax
    expect XS_READ, "xenstore read"
    mov XS_RSP + 4(%rbx), %eax
    expect 0x4711, "xenstore request id"
    movzbl XS_RSP + 16(%rbx), %eax
    sub $'0', %eax
    cmp $9, %eax
    setbe %al
    movzbl %al, %eax
    expect 1, "domid is a number"
    mov XS_RSP_PROD(%rbx), %eax
    mov %eax, XS_RSP_CONS(%rbx)
    ret

/* ---- Into user mode, which makes a system call and then reads what it must not. */
check_user_mode:
    mfn_of user_l4, %rax
    mov %rax, mmuext + 8(%rip)
    movl $MMUEXT_NEW_USER_BASEPTR, mmuext(%rip)
    call mmuext_op
    expect 0, "user page table"
    register_callback CALLBACKTYPE_syscall, system_call, "syscall callback"
    mov $FLAT_KERNEL_SS, %edi
    lea interrupt_stack_top(%rip), %rsi
    hypercall HYPERVISOR_stack_switch
    expect 0, "stack_switch"

    mov %rsp, saved_rsp(%rip)
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)              /* where the page fault of user mode ends */
    movq $0, trap_vector(%rip)
    push $FLAT_USER_SS
    push $0
    push $0x202
    push $FLAT_USER_CS
    push $USER_CODE
    push $0                             /* flags: no VGCF_in_syscall */
    jmp hypercall_page + HYPERVISOR_iret * 32
1:  mov saved_rsp(%rip), %rsp
    mov system_calls(%rip), %rax
    expect 42, "system call from user mode"
    mov trap_vector(%rip), %rax
    expect 14, "user mode cannot read the kernel"
    mov trap_error(%rip), %rax
    and $4, %eax
    expect 4, "and it was user mode"
    ret

/* ---- A return to a selector that does not exist comes back through the failsafe callback; INT 0x80 is a trap. */
check_bad_return:
    register_callback CALLBACKTYPE_failsafe, failsafe, "failsafe callback"
    mov %rsp, saved_rsp(%rip)
    lea 1f(%rip), %rax
    mov %rax, resume(%rip)
    movq $0, trap_error(%rip)
    push $FLAT_USER_SS
    push $interrupt_stack_top           /* the failsafe frame goes there */
    push $0x202
    push $0x1234                        /* RPL 0: back to the kernel */
    push $USER_CODE
    push $0
    jmp hypercall_page + HYPERVISOR_iret * 32
1:  mov saved_rsp(%rip), %rsp
    mov trap_error(%rip), %rax          /* where it was going */
    expect USER_CODE, "failsafe after a bad return"

    movq $0, trap_vector(%rip)
    int $0x80
    mov trap_vector(%rip), %rax
    expect 0x80, "software interrupt"
    ret

/* rcx, r11, ds, es, fs, gs, rip, cs, rflags, rsp, ss */
failsafe:
    mov 48(%rsp), %rax
    mov %rax, trap_error(%rip)
    jmp *resume(%rip)

software_interrupt:
    movq $0x80, trap_vector(%rip)
    pop %rcx
    pop %r11
    orb $3, 8(%rsp)
    movl $0, 12(%rsp)
    iretq

/* rax = the user's number. Back by the iret hypercall, with the frame emu has pushed. */
system_call:
    mov %rax, system_calls(%rip)
    pop %rcx
    pop %r11
    push $0
    jmp hypercall_page + HYPERVISOR_iret * 32

/* ---- Trap handlers: note the trap and go on at `resume`. The frame: rcx, r11, [error], rip, cs, rflags, rsp, ss. */
page_fault:
    movq $14, trap_vector(%rip)
    jmp trap_with_error
general_protection:
    movq $13, trap_vector(%rip)
trap_with_error:
    mov 16(%rsp), %rcx
    mov %rcx, trap_error(%rip)
    mov 24 + 24(%rsp), %rsp             /* the stack of before; from user mode `resume` sets its own */
    jmp *resume(%rip)

debug:
    movq $1, trap_vector(%rip)
    jmp trap_without_error
invalid_opcode:
    movq $6, trap_vector(%rip)
trap_without_error:
    mov 16 + 24(%rsp), %rsp
    jmp *resume(%rip)

/* ---- Helpers. */

/* rdi = text, zero-terminated: through console_io. */
print:
    mov %rdi, %rdx
    xor %esi, %esi
1:  cmpb $0, (%rdi, %rsi)
    je 2f
    inc %esi
    jmp 1b
2:  mov $CONSOLEIO_write, %edi
    hypercall HYPERVISOR_console_io
    ret

/* rax = what came, rsi = what should have, rdi = of what. */
check:
    cmp %rsi, %rax
    je 1f
    incl failures(%rip)
    push %rax
    push %rdi
    say "FAILED: "
    pop %rdi
    call print
    say ": got 0x"
    pop %rax
    call print_hex
    say "\n"
    ret
1:  push %rdi
    say "ok: "
    pop %rdi
    call print
    say "\n"
    ret

print_hex:
    mov $16, %ecx
    lea hex_digits(%rip), %rdi
1:  rol $4, %rax
    mov %eax, %edx
    and $15, %edx
    add $'0', %dl
    cmp $'9', %dl
    jbe 2f
    add $('a' - '9' - 1), %dl
2:  mov %dl, (%rdi)
    inc %rdi
    dec %ecx
    jnz 1b
    lea hex_digits(%rip), %rdi
    jmp print

mmuext_op:
    lea mmuext(%rip), %rdi
    mov $1, %esi
    xor %edx, %edx
    mov $DOMID_SELF, %r10d
    hypercall HYPERVISOR_mmuext_op
    ret

mmu_update_one:
    lea mmu_update(%rip), %rdi
    mov $1, %esi
    xor %edx, %edx
    mov $DOMID_SELF, %r10d
    hypercall HYPERVISOR_mmu_update
    ret

notify:
    mov $EVTCHNOP_send, %edi
    lea port(%rip), %rsi
    hypercall HYPERVISOR_event_channel_op
    ret

/* eax = port */
unmask:
    mov %eax, unmask_port(%rip)
    mov $EVTCHNOP_unmask, %edi
    lea unmask_port(%rip), %rsi
    hypercall HYPERVISOR_event_channel_op
    ret

/* rax = ns by pvclock: ((tsc << shift) * mul) >> 32, for the shifts of at least 0 that we meet. */
system_time:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov shared_info + SHI_TSC_SHIFT(%rip), %cl
    shl %cl, %rax
    mov shared_info + SHI_TSC_TO_SYSTEM_MUL(%rip), %ecx
    mul %rcx
    shrd $32, %rdx, %rax
    ret

    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip PAGE

/* Runs in user mode at USER_CODE; position-independent. */
    .balign 4096
user_code:
    mov $42, %eax
    syscall
    mov start_info, %rax                /* an address of the kernel */
    ud2
    .balign 4096

    .data
    .balign 8
watched:
    .word FLAT_KERNEL_SS
    .balign 16
/* struct trap_info: vector, flags, cs, address */
trap_table:
    .byte 1, 0
    .word FLAT_USER_CS
    .long 0
    .quad debug
    .byte 6, 0
    .word FLAT_USER_CS
    .long 0
    .quad invalid_opcode
    .byte 13, 0
    .word FLAT_USER_CS
    .long 0
    .quad general_protection
    .byte 14, 0
    .word FLAT_USER_CS
    .long 0
    .quad page_fault
    .byte 0x80, 3
    .word FLAT_USER_CS
    .long 0
    .quad software_interrupt
    .skip 16
/* struct multicall_entry: op, result, six arguments */
calls:
    .quad HYPERVISOR_xen_version, 0, XENVER_version, 0, 0, 0, 0, 0
    .quad HYPERVISOR_unknown, 0, 0, 0, 0, 0, 0, 0
/* struct evtchn_bind_virq: virq, vcpu, port */
bind_virq:
    .long VIRQ_TIMER, 0, 0
/* struct callback_register: type, flags, address */
    .balign 8
callback:
    .word 0, 0
    .long 0
    .quad 0
/* struct vcpu_set_singleshot_timer: timeout_abs_ns, flags */
timer:
    .quad 0
    .long 0, 0
/* struct mmuext_op: cmd, arg1, arg2 */
mmuext:
    .quad 0, 0, 0
mmu_update:
    .quad 0, 0
/* struct xsd_sockmsg: type, req_id, tx_id, len; then the path, relative to our own directory */
xs_request:
    .long XS_READ, 0x4711, 0, xs_request_end - xs_path
xs_path:
    .asciz "domid"
xs_request_end:
ring_text:
    .asciz "hello: through the console ring\n"
hex_digits:
    .skip 17

    .bss
    .balign 4096
user_l4:
    .skip PAGE
user_l3:
    .skip PAGE
user_l2:
    .skip PAGE
user_l1:
    .skip PAGE
shared_info:
    .skip PAGE
spare_page:
    .skip PAGE
read_only_page:
    .skip PAGE
    .skip PAGE
stack_top:
    .skip PAGE
interrupt_stack_top:
start_info:
    .skip 8
resume:
    .skip 8
trap_vector:
    .skip 8
trap_error:
    .skip 8
events:
    .skip 8
system_calls:
    .skip 8
saved_rsp:
    .skip 8
failures:
    .skip 4
shutdown:
    .skip 4
port:
    .skip 4
unmask_port:
    .skip 4

    .section .note.GNU-stack, "", @progbits
