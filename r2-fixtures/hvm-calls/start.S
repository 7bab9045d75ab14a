/*
 * Entries of the guest by PVH and by Linux's boot protocol, up to main() in the guest's own word size with paging on; its exceptions; and hypercalls on each
 * path, in ring 0 and ring 3, with a look whether any register but the result has changed.
 *
 * Memory: the first 16 MiB are mapped as they are, in large pages; at 1 GiB there is a window of 4 KiB pages.
 */

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define START_CODE 0x18
#define USER_CODE 0x23
#define USER_DATA 0x2b
#define TSS_SELECTOR 0x30
#define LARGE_USER 0xe7		/* present, writable, user, accessed, dirty, large */
#define TABLE_USER 7
#define GATES 0x81

	.section .note.Xen, "a"
	.long 4, 9f - 8f, 18	/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
8:
#ifdef __x86_64__
	.quad pvh_entry
#else
	.long pvh_entry
#endif
9:	.p2align 2

/* By Linux's boot protocol: RSI is struct boot_params. A 64-bit kernel comes in 64-bit code, and goes to where PVH begins. */
	.text
	.globl linux_entry
linux_entry:
#ifdef __x86_64__
	.code64
	movl %esi, boot_params(%rip)
	movl $stack_top, %esp
	lgdt gdt_pointer
	pushq $START_CODE
	pushq $1f
	lretq
	.code32
1:	movl $0x11, %eax		/* no paging: that ends IA-32e mode */
	movl %eax, %cr0
	movl $0xc0000080, %ecx
	rdmsr
	andl $~0x100, %eax
	wrmsr
	movl $KERNEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
#else
	movl %esi, boot_params
#endif
	jmp 1f

	.code32
	.globl pvh_entry
pvh_entry:
	movl %ebx, start_info
1:	movl $stack_top, %esp
	cld
	lgdt gdt_pointer
#ifdef __x86_64__
	/* root -> directories -> large pages and the window's table */
	movl $top_table + TABLE_USER, root
	movl $large_table + TABLE_USER, top_table
	movl $window_directory + TABLE_USER, top_table + 8
	movl $window_table + TABLE_USER, window_directory
	movl $large_table, %edi
	movl $LARGE_USER, %eax
	movl $8, %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl $0x20, %eax		/* PAE */
	movl %eax, %cr4
	movl $root, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80010011, %eax
	movl %eax, %cr0
	ljmp $KERNEL_CODE, $2f
	.code64
#else
	movl $root, %edi
	movl $LARGE_USER, %eax
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $0x400000, %eax
	addl $4, %edi
	loop 1b
	movl $window_table + TABLE_USER, root + 4 * 256
	movl $0x10, %eax		/* PSE */
	movl %eax, %cr4
	movl $root, %eax
	movl %eax, %cr3
	movl $0x80010011, %eax
	movl %eax, %cr0
	ljmp $KERNEL_CODE, $2f
#endif
2:	movl $KERNEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	call set_up_tables
	call main
3:	cli
	hlt
	jmp 3b

/* Gates call gate_N, which gives its number to `trap`. */
#ifdef __x86_64__
#define WORD .quad
#else
#define WORD .long
#endif
	.globl gates
	.set vector, 0
	.macro gate
gate_\@:
	.pushsection .rodata
	WORD gate_\@
	.popsection
	.if (vector != 8) && (vector != 10) && (vector != 11) && (vector != 12) && (vector != 13) && (vector != 14) && (vector != 17)
	push $0
	.endif
	push $vector
	jmp trapped
	.set vector, vector + 1
	.endm
	.pushsection .rodata
	.p2align 3
gates:
	.popsection
	.rept GATES
	gate
	.endr

/* Vector, error code, IP, CS: what comes from ring 3 ends the call there; anything else is fatal. */
trapped:
#ifdef __x86_64__
	testl $3, 24(%rsp)
	jz 1f
	cmpl $0x80, (%rsp)
	je 2f
	popq %rax
	orl $0x7e0000, %eax
2:	movq saved_stack(%rip), %rsp
	jmp user_done
1:	movq (%rsp), %rdi
	movq 16(%rsp), %rsi
	andq $-16, %rsp
	call fatal
#else
	testl $3, 12(%esp)
	jz 1f
	cmpl $0x80, (%esp)
	je 2f
	popl %eax
	orl $0x7e0000, %eax
2:	movl $KERNEL_DATA, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl saved_stack, %esp
	jmp user_done
1:	pushl 8(%esp)
	pushl 4(%esp)
	call fatal
#endif

/* The callback vector: upcall() in between any two instructions. */
	.globl upcall_entry
upcall_entry:
#ifdef __x86_64__
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	cld
	call upcall
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	iretq
#else
	pushal
	cld
	call upcall
	popal
	iretl
#endif

/* Each path is an instruction, or a call, and a return. */
	.globl path_vmcall, path_vmmcall, path_page
path_vmcall:
	vmcall
	ret
path_vmmcall:
	vmmcall
	ret
/* The entry is 32 bytes long for each number, and loads EAX by itself. */
path_page:
#ifdef __x86_64__
	pushq %rax
	shlq $5, %rax
	addq page_used(%rip), %rax
	xchgq %rax, (%rsp)
	ret
#else
	pushl %eax
	shll $5, %eax
	addl page_used, %eax
	xchgl %eax, (%esp)
	ret
#endif

/*
 * long hypercall(void *path, long number, long a1, long a2, long a3): in ring 0.
 * long user_hypercall(the same): in ring 3. `clobbered` is set if a register has changed.
 */
	.globl hypercall, user_hypercall, clobbered, page_used
#ifdef __x86_64__
#define CANARY 0x123456789abcdef0

	.macro load_arguments
	movq %rdi, %rbp		/* the path */
	movl %esi, %eax
	movq %rdx, %rdi
	movq %rcx, %rsi
	movq %r8, %rdx
	movq %rdi, %r12
	movq %rsi, %r13
	movq %rdx, %r14
	movq $CANARY, %rcx
	movq %rcx, %rbx
	movq %rcx, %r8
	movq %rcx, %r9
	movq %rcx, %r10
	movq %rcx, %r11
	movq %rcx, %r15
	.endm
	.macro check register, other
	cmpq \other, \register
	jne 9f
	.endm
	.macro check_all
	check %rdi, %r12
	check %rsi, %r13
	check %rdx, %r14
	check %rcx, %rbx
	check %r8, %rbx
	check %r9, %rbx
	check %r10, %rbx
	check %r11, %rbx
	check %r15, %rbx
	.endm
	.macro save_all
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.endm
	.macro restore_all
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	.endm

hypercall:
	save_all
	load_arguments
	call *%rbp
	check_all
	restore_all
	ret
9:	movl $1, clobbered(%rip)
	restore_all
	ret

user_hypercall:
	save_all
	load_arguments
	movq %rsp, saved_stack(%rip)
	pushq $USER_DATA
	pushq $user_stack_top
	pushq $2
	pushq $USER_CODE
	pushq $1f
	iretq
1:	call *%rbp
	int $0x80
user_done:
	movl user_result(%rip), %ecx	/* not used */
	restore_all
	ret
#else
#define CANARY 0x12345678

	.macro save_all
	pushl %ebx
	pushl %ebp
	pushl %esi
	pushl %edi
	.endm
	.macro restore_all
	popl %edi
	popl %esi
	popl %ebp
	popl %ebx
	.endm
	.macro load_arguments
	movl 20(%esp), %ebp
	movl 24(%esp), %eax
	movl 28(%esp), %ebx
	movl 32(%esp), %ecx
	movl 36(%esp), %edx
	movl $CANARY, %esi
	movl %esi, %edi
	.endm

hypercall:
	save_all
	load_arguments
	call *%ebp
	cmpl %ebx, 28(%esp)
	jne 9f
	cmpl %ecx, 32(%esp)
	jne 9f
	cmpl %edx, 36(%esp)
	jne 9f
	cmpl $CANARY, %esi
	jne 9f
	cmpl $CANARY, %edi
	jne 9f
	cmpl %ebp, 20(%esp)
	jne 9f
	restore_all
	ret
9:	movl $1, clobbered
	restore_all
	ret

user_hypercall:
	save_all
	load_arguments
	movl %esp, saved_stack
	pushl $USER_DATA
	pushl $user_stack_top
	pushl $2
	pushl $USER_CODE
	pushl $1f
	pushl %eax
	movl $USER_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	popl %eax
	iretl
1:	call *%ebp
	int $0x80
user_done:
	restore_all
	ret
#endif

	.data
	.p2align 3
	.globl gdt, tss, start_info, boot_params
gdt:	.quad 0
#ifdef __x86_64__
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cf9b000000ffff
	.quad 0x00affb000000ffff
	.quad 0x00cff3000000ffff
#else
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cf9b000000ffff
	.quad 0x00cffb000000ffff
	.quad 0x00cff3000000ffff
#endif
	.quad 0, 0		/* the TSS */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt, 0
start_info:
	.long 0
boot_params:
	.long 0
clobbered:
	.long 0
user_result:
	.long 0
	.p2align 3
saved_stack:
	.quad 0
page_used:
	.quad 0

	.bss
	.p2align 12
	.globl root, large_table, window_table, entry_stack_top
root:	.skip 4096
top_table:
	.skip 4096
large_table:
	.skip 4096
window_directory:
	.skip 4096
window_table:
	.skip 4096
stack:	.skip 16384
stack_top:
	.skip 4096
entry_stack_top:		/* for what comes from ring 3 */
	.skip 4096
user_stack_top:
	.skip 4096
tss:	.skip 128
