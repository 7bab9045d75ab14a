/* Entry, notes and trap handlers of hostile.c. */
#define VIRT_BASE 0xffffffff80000000

#include "../../../r2-fixtures/elf-note.h"
    elf_note 6, .asciz "hostile"
    elf_note 5, .asciz "xen-3.0"
    elf_note 8, .asciz "generic"
    elf_note 3, .quad VIRT_BASE
    elf_note 4, .quad 0
    elf_note 1, .quad start

    .text
    .globl start
start:
    lea stack_top(%rip), %rsp
    mov %rsi, %rdi
    call hostile
    ud2

/* rcx, r11, error, rip, cs, rflags, rsp, ss: goes on behind the instruction. */
    .globl skip_with_error
skip_with_error:
    push %rax
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    mov (7 + 3) * 8(%rsp), %rdi
    call instruction_length
    add %rax, (7 + 3) * 8(%rsp)
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rax
    pop %rcx
    pop %r11
    add $8, %rsp
    orb $3, 8(%rsp)
    movl $0, 12(%rsp)
    iretq

    .bss
    .balign 4096
    .skip 65536
stack_top:
    .section .note.GNU-stack, "", @progbits
