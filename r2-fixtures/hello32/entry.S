/* Notes, the first instruction, ways into the hypervisor and back, and trap handlers. */
#define __ASSEMBLY__
#include <xen/arch-x86/xen-x86_32.h>

#define VIRT_BASE 0xc0000000
#define PAGE 4096
#define HYPERVISOR_iret 23

#include "../elf-note.h"

    elf_note 6, .asciz "hello32"                /* GUEST_OS */
    elf_note 7, .asciz "1"                      /* GUEST_VERSION */
    elf_note 5, .asciz "xen-3.0"                /* XEN_VERSION */
    elf_note 8, .asciz "generic"                /* LOADER */
    elf_note 3, .long VIRT_BASE                 /* VIRT_BASE */
    elf_note 4, .long 0                         /* PADDR_OFFSET */
    elf_note 1, .long start                     /* ENTRY */
    elf_note 2, .long hypercall_page            /* HYPERCALL_PAGE */
    elf_note 9, .asciz "yes"                    /* PAE_MODE */
    elf_note 10, .asciz "pae_pgdir_above_4gb"   /* FEATURES */

    .text
    .globl start
start:
    mov $stack_top, %esp
    cld
    push %esi
    call hello
    ud2

/* long hypercall(number, a1, a2, a3, a4) */
    .globl hypercall
hypercall:
    push %ebx
    push %esi
    mov 12(%esp), %eax
    mov 16(%esp), %ebx
    mov 20(%esp), %ecx
    mov 24(%esp), %edx
    mov 28(%esp), %esi
    int $0x82
    pop %esi
    pop %ebx
    ret

    .globl hypercall_by_page
hypercall_by_page:
    push %ebx
    push %esi
    mov 12(%esp), %eax
    shl $5, %eax
    add $hypercall_page, %eax
    mov 16(%esp), %ebx
    mov 20(%esp), %ecx
    mov 24(%esp), %edx
    mov 28(%esp), %esi
    call *%eax
    pop %esi
    pop %ebx
    ret

/* Remembers where to go on after a trap, with the stack as it is now. */
.macro may_trap at
    movl $0, trap
    movl $\at, resume
    mov %esp, resume_esp
.endm

    .globl probe_read
probe_read:
    mov 4(%esp), %ecx
    xor %eax, %eax
    may_trap 1f
    mov (%ecx), %eax
1:  ret

    .globl probe_write
probe_write:
    mov 4(%esp), %ecx
    mov 8(%esp), %edx
    may_trap 1f
    mov %edx, (%ecx)
1:  ret

/* Reads through a selector that is in gs only for so long. */
    .globl probe_read_gs
probe_read_gs:
    mov 4(%esp), %edx
    mov 8(%esp), %ecx
    xor %eax, %eax
    may_trap 1f
    mov %edx, %gs
    mov %gs:(%ecx), %eax
1:  mov $FLAT_KERNEL_DS, %edx
    mov %edx, %gs
    ret

    .globl probe_int80
probe_int80:
    may_trap 1f
    int $0x80
1:  ret

    .globl probe_cli
probe_cli:
    may_trap 1f
    cli
1:  ret

    .globl probe_ud2
probe_ud2:
    may_trap 1f
    ud2
1:  ret

    .globl probe_int3
probe_int3:
    may_trap 1f
    int3
1:  ret

    .globl probe_cr0
probe_cr0:
    may_trap 1f
    mov %cr0, %eax
1:  ret

/* What CR4 is after a value was written to it. */
    .globl probe_cr4
probe_cr4:
    mov 4(%esp), %eax
    may_trap 1f
    mov %eax, %cr4
    mov %cr4, %eax
1:  ret

/* #NM if TS is set. */
    .globl probe_fpu
probe_fpu:
    may_trap 1f
    fnop
1:  ret

/* vcpu_op(VCPUOP_send_nmi, 0, 0): the NMI comes on the way back. */
    .globl probe_nmi
probe_nmi:
    push %ebx
    may_trap 1f
    mov $24, %eax
    mov $11, %ebx
    xor %ecx, %ecx
    xor %edx, %edx
    int $0x82
1:  pop %ebx
    ret

/* ebx of a leaf, by forced emulation: ud2, "xen", cpuid. */
    .globl forced_cpuid
forced_cpuid:
    push %ebx
    mov 8(%esp), %eax
    xor %ecx, %ecx
    may_trap 1f
    .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e
    cpuid
    mov %ebx, %eax
1:  pop %ebx
    ret

/* void go_to(eip, cs, eflags, esp, ss) */
    .globl go_to
go_to:
    push %ebx
    push %esi
    push %edi
    push %ebp
    may_trap 1f
    mov 20(%esp), %eax
    mov 24(%esp), %ecx
    mov 28(%esp), %edx
    mov 32(%esp), %esi
    mov 36(%esp), %edi
    push %edi
    push %esi
    push %edx
    push %ecx
    push %eax
    mov $0x600d, %eax
    jmp hypercall_page + HYPERVISOR_iret * 32
1:  pop %ebp
    pop %edi
    pop %esi
    pop %ebx
    ret

/* From the kernel code that go_to went to: back behind go_to. */
    .globl come_back
come_back:
    mov resume_esp, %esp
    jmp *resume

    .globl kernel_code
kernel_code:
    mov %eax, system_call_eax
    mov %cs, %eax
    mov %eax, system_call_cs
    jmp come_back

/* ---- Traps. From ring 1: [error], eip, cs, eflags. From ring 3 esp and ss besides, and then ds and es are none. */
.macro kernel_data
    push %eax
    mov $FLAT_KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    pop %eax
.endm

.macro handler name, number, error
    .globl \name
\name:
    kernel_data
    movl $\number, trap
    movl $0, trap + 4
    .if \error
    pop trap + 4
    .endif
    jmp trap_common
.endm
    handler on_divide, 0, 0
    handler on_debug, 1, 0
    handler on_int3, 3, 0
    handler on_invalid, 6, 0
    handler on_no_device, 7, 0
    handler on_no_segment, 11, 1
    handler on_page_fault, 14, 1
    handler on_int81, 0x81, 0
    handler on_sysenter, 0x34, 0

trap_common:
    pop trap + 8
    pop trap + 12
    mov resume_esp, %esp
    jmp *resume

/* The hypercall instruction in ring 3 is counted and passed over; everything else is as above. */
    .globl on_protection
on_protection:
    kernel_data
    cmpl $(0x82 * 8 + 2), (%esp)
    jne 1f
    testb $2, 8(%esp)
    jz 1f
    incl user_refused
    add $4, %esp
    addl $2, (%esp)
    jmp hypercall_page + HYPERVISOR_iret * 32
1:  movl $13, trap
    pop trap + 4
    jmp trap_common

/* System calls: back by a plain IRET, which ring 1 may execute. */
    .globl on_int80
on_int80:
    kernel_data
    mov %eax, system_call_eax
    push 4(%esp)
    pop system_call_cs
    movl $0x80, trap
    mov $0x5ca11, %eax
    iret

/* Events below 32: their bits go to `upcalls`. */
    .globl on_event
on_event:
    push %eax
    movb $0, shared                         /* evtchn_upcall_pending */
    movl $0, shared + 4                     /* evtchn_pending_sel */
    xor %eax, %eax
    xchg %eax, shared + 32 * 64             /* evtchn_pending[0] */
    or %eax, upcalls
    pop %eax
    andl $0xffff, 4(%esp)                   /* cs without the saved mask */
    jmp hypercall_page + HYPERVISOR_iret * 32

/* ds, es, fs, gs, eip, cs, eflags [, esp, ss] */
    .globl on_failsafe
on_failsafe:
    kernel_data
    incl failsafes
    mov 8(%esp), %eax
    mov %eax, failsafe_fs
    mov 16(%esp), %eax
    mov %eax, failsafe_eip
    mov resume_esp, %esp
    jmp *resume

/* ---- Ring 3. */
    .globl user_code
user_code:
    mov $63, %esi
1:  mov %esi, %eax                          /* every hypercall there could be */
    xor %ebx, %ebx
    xor %ecx, %ecx
    xor %edx, %edx
    int $0x82
    dec %esi
    jns 1b
    mov $42, %eax
    int $0x80
    cmp $0x5ca11, %eax
    jne 2f
    ud2                                     /* all is well */
2:  int3

    .globl user_reads
user_reads:
    mov $FLAT_USER_DS, %eax
    mov %eax, %ds
    mov kernel_only, %eax
    int3
    .globl user_writes_m2p
user_writes_m2p:
    mov $FLAT_USER_DS, %eax
    mov %eax, %ds
    mov %eax, 0xf5800000
    int3
    .globl user_int80
user_int80:
    mov $43, %eax
    int $0x80
    ud2
    .globl user_sysenter
user_sysenter:
    sysenter
    .globl user_cli
user_cli:
    cli
    ud2

    .balign PAGE
    .globl hypercall_page
hypercall_page:
    .skip PAGE

    .bss
    .balign PAGE
    .skip 4 * PAGE
stack_top:
    .globl shared, user_stack, interrupt_stack
shared:
    .skip PAGE
user_stack:
    .skip PAGE
interrupt_stack:
    .skip PAGE
    .globl trap, user_refused, system_call_eax, system_call_cs, upcalls, failsafes, failsafe_eip, failsafe_fs
trap:
    .skip 16
resume:
    .skip 4
resume_esp:
    .skip 4
user_refused:
    .skip 4
system_call_eax:
    .skip 4
system_call_cs:
    .skip 4
upcalls:
    .skip 4
failsafes:
    .skip 4
failsafe_eip:
    .skip 4
failsafe_fs:
    .skip 4

    .section .note.GNU-stack, "", @progbits
