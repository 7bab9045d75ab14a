/* Entry, notes and trap handlers of hostile.c, for 32 bits. */
#define VIRT_BASE 0xc0000000

#include "../../../r2-fixtures/elf-note.h"
    elf_note 6, .asciz "hostile"
    elf_note 5, .asciz "xen-3.0"
    elf_note 8, .asciz "generic"
    elf_note 3, .long VIRT_BASE
    elf_note 4, .long 0
    elf_note 1, .long start
    elf_note 9, .asciz "yes"

    .text
    .globl start
start:
    mov $stack_top, %esp
    push %esi
    call hostile
    ud2

/* error, eip, cs, eflags: goes on behind the instruction. */
    .globl skip_with_error
skip_with_error:
    push %eax
    push %ecx
    push %edx
    push 4 * 4(%esp)
    call instruction_length
    add $4, %esp
    add %eax, 4 * 4(%esp)
    pop %edx
    pop %ecx
    pop %eax
    add $4, %esp
    andl $0xffff, 4(%esp)
    iret

    .bss
    .balign 4096
    .skip 65536
stack_top:
    .section .note.GNU-stack, "", @progbits
