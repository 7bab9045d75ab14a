/*
 * Every way into emu and out of it: start of day, SYSCALL, exceptions and interrupts, and the instructions that touch
 * guest memory and are allowed to fault.
 *
 * All entries build a struct regs (regs.h) on emu's only stack and hand its address to C, which answers with the frame
 * to leave by.
 */
#include "arch.h"
#include "processor.h"

#define FLAT_CS32 0xe023
#define FLAT_SS 0xe02b
#define FLAT_CS64 0xe033

#define STACK_BYTES 16384
#define IST_BYTES 4096

/* If the instruction at `at` faults in emu, execution goes on at `to`. */
.macro may_fault at, to
    .pushsection exception_table, "a"
    .quad \at, \to
    .popsection
.endm

.macro save_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

/* SYSCALL leaves RIP in rcx, RFLAGS in r11 and the caller's stack in RSP: the frame that an interrupt would have made. */
.macro call_handle_syscall cs, vector
    mov %rsp, syscall_rsp(%rip)
    lea stack_top(%rip), %rsp
    pushq $FLAT_SS
    pushq syscall_rsp(%rip)
    push %r11
    pushq $\cs
    push %rcx
    pushq $0
    pushq $\vector
    save_registers
    mov %rsp, %rdi
    call handle_syscall
.endm

    .text
    .code64

/* rdi = boot information. Nothing but a stack is needed before C can run. */
    .globl emu_start
emu_start:
    lea stack_top(%rip), %rsp
    xor %ebp, %ebp
    call start_of_day
    mov %rax, %rsp
    jmp restore_and_iret

/* SYSCALL from the guest kernel (a hypercall) or from guest user mode; interrupts are off by FMASK. */
    .globl syscall_entry
    .balign 16
syscall_entry:
    call_handle_syscall FLAT_CS64, VECTOR_SYSCALL
    test %eax, %eax
    jz restore_and_iret
    /* A hypercall that returns to its caller: rcx and r11 hold what SYSRET wants, and the frame was not changed. */
    add $6 * 8, %rsp                /* r15, r14, r13, r12, rbp, rbx: C has kept them */
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    mov (16 + 24)(%rsp), %rsp       /* past vector and error code: rip, cs, rflags, rsp */
    sysretq

/* SYSCALL in compatibility mode. */
    .globl syscall32_entry
    .balign 16
syscall32_entry:
    call_handle_syscall FLAT_CS32, VECTOR_SYSCALL32
    jmp restore_and_iret

    .balign 16
trap_common:
    save_registers
    cld
    mov %rsp, %rdi
    call handle_trap
    mov %rax, %rsp
restore_and_iret:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    add $16, %rsp
    .globl exit_iretq
exit_iretq:
    iretq

/* One stub of 16 bytes for each vector; those without a processor error code push a zero. */
    .globl trap_stubs
    .balign 16
trap_stubs:
    vector = 0
    .rept 256
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    vector = vector + 1
    .endr

/*
 * #DB, on a stack of its own: held up by MOV SS it comes at syscall_entry, where RSP is the guest's still. In emu it is
 * of no interest. From the guest it goes on as every exception, on emu's stack.
 */
    .globl debug_entry
    .balign 16
debug_entry:
    testb $3, 8(%rsp)
    jz exit_iretq
    popq stack_top - 40(%rip)
    popq stack_top - 32(%rip)
    popq stack_top - 24(%rip)
    popq stack_top - 16(%rip)
    popq stack_top - 8(%rip)
    lea stack_top - 40(%rip), %rsp
    pushq $0
    pushq $VECTOR_DB
    jmp trap_common

/*
 * u64 copy_bytes(void *to, const void *from, u64 bytes): the number of bytes that could not be copied. One of the two
 * addresses is the guest's and may fault.
 */
    .globl copy_bytes
    .balign 16
copy_bytes:
    mov %rdx, %rcx
1:  rep movsb
2:  mov %rcx, %rax
    ret
    may_fault 1b, 2b

/* bool write_msr_safe(u32 msr, u64 value): false if the processor has no such MSR or refuses the value. */
    .globl write_msr_safe
write_msr_safe:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  wrmsr
    mov $1, %eax
    ret
2:  xor %eax, %eax
    ret
    may_fault 1b, 2b

/* void load_gs_user(u32 selector): GS of guest user mode, kept swapped out; a bad selector loads the null selector. */
    .globl load_gs_user
load_gs_user:
    swapgs
1:  mov %edi, %gs
2:  swapgs
    ret
3:  xor %eax, %eax
    mov %eax, %gs
    jmp 2b
    may_fault 1b, 3b

/* bool write_dr_safe(u32 number, u64 value), numbers 0-3, 6, 7. */
    .globl write_dr_safe
write_dr_safe:
    cmp $1, %edi
    je 2f
    cmp $2, %edi
    je 3f
    cmp $3, %edi
    je 4f
    cmp $6, %edi
    je 5f
    cmp $7, %edi
    je 6f
1:  mov %rsi, %dr0
    jmp 7f
2:  mov %rsi, %dr1
    jmp 7f
3:  mov %rsi, %dr2
    jmp 7f
4:  mov %rsi, %dr3
    jmp 7f
5:  mov %rsi, %dr6
    jmp 7f
6:  mov %rsi, %dr7
7:  mov $1, %eax
    ret
8:  xor %eax, %eax
    ret
    may_fault 1b, 8b
    may_fault 2b, 8b
    may_fault 3b, 8b
    may_fault 4b, 8b
    may_fault 5b, 8b
    may_fault 6b, 8b

/* void load_descriptor_tables(const void *gdtr, const void *idtr): and the selectors that go with them. */
    .globl load_descriptor_tables
load_descriptor_tables:
    lgdt (%rdi)
    lidt (%rsi)
    pushq $EMU_CS
    lea 1f(%rip), %rax
    push %rax
    lretq
1:  mov $EMU_SS, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    lldt %ax                        /* after a reset there is one of 64 KB at address 0 */
    mov $EMU_TSS, %eax
    ltr %ax
    ret

/* void wait_for_interrupt(void): STI's shadow lets no interrupt slip in before HLT. */
    .globl wait_for_interrupt
wait_for_interrupt:
    sti
    hlt
    cli
    ret

    .bss
    .balign 16
syscall_rsp:
    .space 8
    .balign 16
    .space STACK_BYTES
    .globl stack_top
stack_top:
    .space IST_BYTES
    .globl double_fault_stack_top
double_fault_stack_top:
    .space IST_BYTES
    .globl nmi_stack_top
nmi_stack_top:
    .space IST_BYTES
    .globl debug_stack_top
debug_stack_top:

    .section .note.GNU-stack, "", @progbits
