/*
 * Plays xenner's start of day on qemu: a multiboot image that turns on long mode and jumps to emu, whose memory qemu
 * has loaded already. run.ts fills the three values at `start_cr3`.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_ADDRESSES 0x10000
#define STUB 0x30000000
/* PML4 slot 257 of the guest's initial L4 shows the stub's tables, until emu clears it. */
#define SLOT257 0xffff808000000000

    .text
    .code32
    .globl _start
_start:
multiboot:
    .long MULTIBOOT_MAGIC, MULTIBOOT_ADDRESSES, -(MULTIBOOT_MAGIC + MULTIBOOT_ADDRESSES)
    .long multiboot, multiboot, image_end, image_end, entry
    .balign 64
start_cr3:
    .quad 0
start_rip:
    .quad 0
start_rdi:
    .quad 0

entry:
    mov $0xff, %al                      /* the firmware's interrupts are over */
    out %al, $0x21
    out %al, $0xa1
    /* The first GiB, by pages of 2 MiB. */
    mov $l2, %edi
    mov $0x83, %eax
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    cmp $0x40000083, %eax
    jne 1b
    mov $0x620, %eax                    /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $l4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx               /* EFER: SCE, LME, NXE */
    mov $0x901, %eax
    xor %edx, %edx
    wrmsr
    mov $0x80010033, %eax               /* PG, WP, NE, ET, MP, PE */
    mov %eax, %cr0
    lgdt gdt_register
    ljmp $8, $long_mode

    .code64
long_mode:
    mov $SLOT257 + STUB, %rax
    lea (high - _start)(%rax), %rcx
    jmp *%rcx
high:
    mov start_rdi(%rip), %rdi
    mov start_rip(%rip), %rcx
    mov start_cr3(%rip), %rax
    mov %rax, %cr3
    jmp *%rcx

    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff
gdt_register:
    .word 15
    .long gdt
    .balign 4096
l4:
    .quad l3 + 3
    .fill 256, 8, 0
    .quad l3 + 3
    .balign 4096
l3: /* at STUB + 0x2000: run.ts counts on it */
    .quad l2 + 3
    .balign 4096
l2:
    .skip 4096
image_end:
    .section .note.GNU-stack, "", @progbits
