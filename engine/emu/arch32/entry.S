/*
 * Every way into emu and out of it: start of day, the hypercall gate, exceptions and interrupts, and the instructions
 * that touch guest memory and are allowed to fault.
 *
 * All entries build a struct regs (regs.h) on emu's only stack and hand its address to C, which answers with the frame
 * to leave by.
 */
#include "abi.h"
#include "arch.h"
#include "processor.h"

#define STACK_BYTES 16384

/* Offsets in struct regs. */
#define REGS_DS 28
#define REGS_ES 32
#define REGS_FS 36
#define REGS_GS 40
#define REGS_CS 56

/* PAE, OSFXSR, OSXMMEXCPT; PE, MP, ET, NE, WP, PG */
#define CR4_VALUE 0x620
#define CR0_VALUE 0x80010033
#define EFER_NXE 0x800

/* If the instruction at `at` faults in emu, execution goes on at `to`. */
.macro may_fault at, to
    .pushsection exception_table, "a"
    .long \at, \to
    .popsection
.endm

/* fs and gs stay the guest's: emu has no use for them. */
.macro save_registers
    push %gs
    push %fs
    push %es
    push %ds
    push %eax
    push %ebp
    push %edi
    push %esi
    push %edx
    push %ecx
    push %ebx
    mov $EMU_SS, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
.endm

    .text
    .code32

/*
 * At its machine address, paging off: esi = machine address of an L3 that maps this very page and emu's part, edi = boot
 * information.
 */
    .globl emu_start
emu_start:
    mov $CR4_VALUE, %eax
    mov %eax, %cr4
    mov %esi, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_NXE, %eax
    wrmsr
    mov $CR0_VALUE, %eax
    mov %eax, %cr0
    mov $1f, %eax
    jmp *%eax
1:  mov $stack_top, %esp
    xor %ebp, %ebp
    push %edi
    call start_of_day
    mov %eax, %esp
    jmp restore_and_iret

/* INT 0x82 from ring 1. */
    .globl hypercall_entry
    .balign 16
hypercall_entry:
    push $0
    push $VECTOR_HYPERCALL
    save_registers
    push %esp
    call handle_hypercall
    pop %esp
    jmp restore_and_iret

    .balign 16
trap_common:
    save_registers
    push %esp
    call handle_trap
    mov %eax, %esp
restore_and_iret:
    testb $3, REGS_CS(%esp)
    jz exit_es
    .globl exit_gs, exit_fs, exit_es, exit_ds
exit_gs:
    mov REGS_GS(%esp), %gs
exit_fs:
    mov REGS_FS(%esp), %fs
exit_es:
    mov REGS_ES(%esp), %es
exit_ds:
    mov REGS_DS(%esp), %ds
    pop %ebx
    pop %ecx
    pop %edx
    pop %esi
    pop %edi
    pop %ebp
    pop %eax
    add $6 * 4, %esp                    /* selectors, vector and error code */
    .globl exit_iret
exit_iret:
    iret

/* One stub of 16 bytes for each vector; those without a processor error code push a zero. */
    .globl trap_stubs
    .balign 16
trap_stubs:
    vector = 0
    .rept 256
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    push $0
    .endif
    push $vector
    jmp trap_common
    vector = vector + 1
    .endr

/*
 * u32 copy_bytes(void *to, const void *from, u32 bytes): the number of bytes that could not be copied. One of the two
 * addresses is the guest's and may fault.
 */
    .globl copy_bytes
    .balign 16
copy_bytes:
    push %esi
    push %edi
    mov 12(%esp), %edi
    mov 16(%esp), %esi
    mov 20(%esp), %ecx
1:  rep movsb
2:  mov %ecx, %eax
    pop %edi
    pop %esi
    ret
    may_fault 1b, 2b

/* bool write_dr_safe(u32 number, u32 value), numbers 0-3, 6, 7. */
    .globl write_dr_safe
write_dr_safe:
    mov 4(%esp), %ecx
    mov 8(%esp), %edx
    cmp $1, %ecx
    je 2f
    cmp $2, %ecx
    je 3f
    cmp $3, %ecx
    je 4f
    cmp $6, %ecx
    je 5f
    cmp $7, %ecx
    je 6f
1:  mov %edx, %dr0
    jmp 7f
2:  mov %edx, %dr1
    jmp 7f
3:  mov %edx, %dr2
    jmp 7f
4:  mov %edx, %dr3
    jmp 7f
5:  mov %edx, %dr6
    jmp 7f
6:  mov %edx, %dr7
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
    mov 4(%esp), %eax
    lgdt (%eax)
    mov 8(%esp), %eax
    lidt (%eax)
    ljmp $EMU_CS, $1f
1:  mov $EMU_SS, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    xor %eax, %eax
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
    .space STACK_BYTES
    .globl stack_top
stack_top:

    .section .note.GNU-stack, "", @progbits
