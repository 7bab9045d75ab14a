/*
 * What xenner loads into the hypercall pages of an HVM guest, position-independent and without VMCALL:
 *
 *   0x0000  entry points for a guest that takes one page: each leaves by the port
 *   0x1000  entry points for a guest that takes two: those of calls that can be served here jump to the page behind
 *   0x2000  that page: the code
 *
 * Values come from engine/xenner/hvm/blob-layout.ts by way of build.ts.
 *
 * Rules of the code page, on which engine/xenner/hvm/blob.ts relies:
 * - EAX holds the hypercall's number until nothing can fault any more, and all other registers but two hold what the guest had in
 *   them; the two are on the stack. So a fault between body_start and body_end can be turned into a call by the port.
 * - At most one store goes to memory that the guest named, after every check, so that a call by the port that follows a fault
 *   finds nothing changed.
 * - Bits of shared_info are changed by single instructions: the guest's interrupt handlers may come between any two.
 * - What is counted is counted last.
 */

	.section .pages, "ax"

	.macro entry_by_port number
	.p2align 5, 0xcc
	movl $\number, %eax
	outl %eax, $PORT
	ret
	.endm

	.macro entry_by_code number
	.p2align 5, 0xcc
	movl $\number, %eax
	.byte 0xe9			/* jmp rel32: the same in both word sizes */
	.long code - (. + 4)
	.endm

	.code64
one_page:
	.set number, 0
	.rept 128
	entry_by_port number
	.set number, number + 1
	.endr
	.p2align 12, 0xcc

two_pages:
	.set number, 0
	.rept 128
	/* memory_op, xen_version, grant_table_op, vcpu_op, sched_op, event_channel_op, hvm_op; what nobody offers */
	.if (number < 64) && (number != 13) && (number != 15) && (number != 18)
	entry_by_code number
	.else
	entry_by_port number
	.endif
	.set number, number + 1
	.endr
	.p2align 12, 0xcc

page:
code:
	/* 32- or 64-bit code? 40 90 is INC EAX; NOP in the one and a NOP with a prefix in the other. */
	cmpl %eax, %eax
	.byte 0x40, 0x90
	.byte 0x0f, 0x85		/* jnz rel32 */
	.long code32 - (. + 4)

/*
 * 64-bit code: arguments in RDI, RSI, RDX. R11 is the shared_info page, RCX is free.
 */
	.code64
code64:
	pushq %rcx
	pushq %r11
body64:
	movl %cs, %ecx
	testb $3, %cl
	jnz leave64			/* user mode: the host says -EPERM */
	movq slot_shared(%rip), %r11
	testq %r11, %r11
	jz leave64			/* nobody knows yet where shared_info is mapped */
	movl slot_magic(%rip), %ecx
	cmpl %ecx, TAIL_MAGIC(%r11)
	jne leave64			/* it is mapped there no more */
	cmpl $SIGNATURE, TAIL_SIGNATURE(%r11)
	jne leave64
	cmpl $32, %eax
	je event_channel_op64
	cmpl $29, %eax
	je sched_op64
	cmpl $17, %eax
	je xen_version64
	cmpl $24, %eax
	je vcpu_op64
	cmpl $20, %eax
	je grant_table_op64
	cmpl $12, %eax
	je memory_op64
	cmpl $34, %eax
	je hvm_op64
	cmpl $64, %eax
	jae leave64
	incq TAIL_NOSYS(%r11, %rax, 8)
	movq $-ENOSYS, %rax
	jmp return64

	/* Counts the call and returns. */
	.macro finish64 counter, result
	incq TAIL_COUNTERS + 8 * \counter(%r11)
	movq $\result, %rax
	jmp return64
	.endm

event_channel_op64:
	cmpl $9, %edi
	jne 1f
	movl (%rsi), %ecx
	cmpl $0, TAIL_PORTS64(%r11)
	je leave64			/* FIFO queues, or the layout of the other word size */
	cmpl TAIL_PORTS64(%r11), %ecx
	jae 2f
	/* Unmask, then look: an event that comes in between finds the port open and makes its own upcall. */
	btrl %ecx, MASK64(%r11)
	jnc 3f
	btl %ecx, PENDING(%r11)
	jnc 3f
	btsl %ecx, MASK64(%r11)		/* an upcall is due: let the host do it all */
	jmp leave64
3:	finish64 COUNT_UNMASK, 0
2:	finish64 COUNT_UNMASK_INVAL, -EINVAL
1:	cmpl $EVTCHNOP_LAST, %edi
	jbe leave64
	finish64 COUNT_EVENT_NOSYS, -ENOSYS

sched_op64:
	testl %edi, %edi
	jnz 1f
	finish64 COUNT_YIELD, 0
1:	cmpl $SCHEDOP_LAST, %edi
	jbe leave64
	finish64 COUNT_SCHED_NOSYS, -ENOSYS

xen_version64:
	testl %edi, %edi
	jnz 1f
	finish64 COUNT_VERSION, XEN_VERSION
1:	cmpl $6, %edi
	jne 1f
	movq (%rsi), %rcx
	testl %ecx, %ecx
	jnz 2f
	movl $FEATURES, 4(%rsi)
	finish64 COUNT_FEATURES, 0
2:	finish64 COUNT_FEATURES_INVAL, -EINVAL
1:	cmpl $7, %edi
	jne 1f
	finish64 COUNT_PAGESIZE, 4096
1:	cmpl $5, %edi
	jne 1f
	movq $0, (%rsi)
	finish64 COUNT_PARAMETERS, 0
1:	cmpl $9, %edi
	jne 1f
	finish64 COUNT_COMMANDLINE, -EPERM
1:	cmpl $10, %edi
	jb leave64
	ja 2f
	finish64 COUNT_BUILD_ID, -ENODATA
2:	finish64 COUNT_VERSION_NOSYS, -ENOSYS

vcpu_op64:
	testl %esi, %esi
	jnz leave64
	cmpl $3, %edi
	jne 1f
	finish64 COUNT_IS_UP, 1
1:	testl %edi, %edi
	jnz 1f
	finish64 COUNT_INITIALISE, -EEXIST
1:	cmpl $1, %edi
	jne 1f
	finish64 COUNT_UP, 0
1:	cmpl $10, %edi
	jne 1f
	cmpl $0, TAIL_VCPU_INFO(%r11)
	je leave64
	movq (%rdx), %rcx
	movq 8(%rdx), %rcx
	finish64 COUNT_REGISTER_INFO, -EINVAL
1:	cmpl $VCPUOP_LAST, %edi
	jbe leave64
	finish64 COUNT_VCPU_NOSYS, -ENOSYS

grant_table_op64:
	testl %edx, %edx
	jz leave64
	cmpl $10, %edi
	jne 1f
	movq (%rsi), %rcx
	cmpw $DOMID_SELF, %cx
	je 2f
	cmpw $DOMID, %cx
	jne leave64
2:	movl $1, 4(%rsi)
	finish64 COUNT_GET_VERSION, 0
1:	cmpl $GNTTABOP_LAST, %edi
	jbe leave64
	finish64 COUNT_GRANT_NOSYS, -ENOSYS

memory_op64:
	cmpl $2, %edi
	jne 1f
	incq TAIL_COUNTERS + 8 * COUNT_MAXIMUM_RAM_PAGE(%r11)
	movl TAIL_LAST_PAGE(%r11), %eax
	jmp return64
1:	cmpl $14, %edi
	jne leave64
	incq TAIL_COUNTERS + 8 * COUNT_MAXIMUM_GPFN(%r11)
	movl TAIL_LAST_PAGE(%r11), %eax
	jmp return64

hvm_op64:
	cmpl $5, %edi
	jne 1f
	testq %rsi, %rsi
	jnz leave64
	movq %cr3, %rcx
	movq %rcx, %cr3
	movq %cr4, %rcx
	testb $0x80, %cl
	jz 2f
	xorb $0x80, %cl			/* PGE off and on: global entries too */
	movq %rcx, %cr4
	xorb $0x80, %cl
	movq %rcx, %cr4
2:	finish64 COUNT_FLUSH_TLBS, 0
1:	cmpl $HVMOP_LAST, %edi
	jbe leave64
	finish64 COUNT_HVM_NOSYS, -ENOSYS
body64_end:

return64:
	popq %r11
	popq %rcx
	ret
leave64:
	popq %r11
	popq %rcx
	outl %eax, $PORT
left64:
	ret

/*
 * 32-bit code: arguments in EBX, ECX, EDX. ESI is the shared_info page, EDI is free. What differs by word size is the layout of
 * shared_info and of what the arguments point to.
 */
	.code32
code32:
	decl %eax
	pushl %esi
	pushl %edi
	call 1f
1:	popl %edi
	.set here, 1b
body32:
	movl %cs, %esi
	testl $3, %esi
	jnz leave32
	movl %cs:slot_shared - here(%edi), %esi
	testl %esi, %esi
	jz leave32
	movl %cs:slot_magic - here(%edi), %edi
	cmpl %edi, TAIL_MAGIC(%esi)
	jne leave32
	cmpl $SIGNATURE, TAIL_SIGNATURE(%esi)
	jne leave32
	cmpl $32, %eax
	je event_channel_op32
	cmpl $29, %eax
	je sched_op32
	cmpl $17, %eax
	je xen_version32
	cmpl $24, %eax
	je vcpu_op32
	cmpl $20, %eax
	je grant_table_op32
	cmpl $12, %eax
	je memory_op32
	cmpl $34, %eax
	je hvm_op32
	cmpl $64, %eax
	jae leave32
	addl $1, TAIL_NOSYS(%esi, %eax, 8)
	adcl $0, TAIL_NOSYS + 4(%esi, %eax, 8)
	movl $-ENOSYS, %eax
	jmp return32

	.macro finish32 counter, result
	addl $1, TAIL_COUNTERS + 8 * \counter(%esi)
	adcl $0, TAIL_COUNTERS + 8 * \counter + 4(%esi)
	movl $\result, %eax
	jmp return32
	.endm

event_channel_op32:
	cmpl $9, %ebx
	jne 1f
	movl (%ecx), %edi
	cmpl $0, TAIL_PORTS32(%esi)
	je leave32
	cmpl TAIL_PORTS32(%esi), %edi
	jae 2f
	btrl %edi, MASK32(%esi)
	jnc 3f
	btl %edi, PENDING(%esi)
	jnc 3f
	btsl %edi, MASK32(%esi)
	jmp leave32
3:	finish32 COUNT_UNMASK, 0
2:	finish32 COUNT_UNMASK_INVAL, -EINVAL
1:	cmpl $EVTCHNOP_LAST, %ebx
	jbe leave32
	finish32 COUNT_EVENT_NOSYS, -ENOSYS

sched_op32:
	testl %ebx, %ebx
	jnz 1f
	finish32 COUNT_YIELD, 0
1:	cmpl $SCHEDOP_LAST, %ebx
	jbe leave32
	finish32 COUNT_SCHED_NOSYS, -ENOSYS

xen_version32:
	testl %ebx, %ebx
	jnz 1f
	finish32 COUNT_VERSION, XEN_VERSION
1:	cmpl $6, %ebx
	jne 1f
	movl 4(%ecx), %edi
	movl (%ecx), %edi
	testl %edi, %edi
	jnz 2f
	movl $FEATURES, 4(%ecx)
	finish32 COUNT_FEATURES, 0
2:	finish32 COUNT_FEATURES_INVAL, -EINVAL
1:	cmpl $7, %ebx
	jne 1f
	finish32 COUNT_PAGESIZE, 4096
1:	cmpl $5, %ebx
	jne 1f
	movl $0, (%ecx)
	finish32 COUNT_PARAMETERS, 0
1:	cmpl $9, %ebx
	jne 1f
	finish32 COUNT_COMMANDLINE, -EPERM
1:	cmpl $10, %ebx
	jb leave32
	ja 2f
	finish32 COUNT_BUILD_ID, -ENODATA
2:	finish32 COUNT_VERSION_NOSYS, -ENOSYS

vcpu_op32:
	testl %ecx, %ecx
	jnz leave32
	cmpl $3, %ebx
	jne 1f
	finish32 COUNT_IS_UP, 1
1:	testl %ebx, %ebx
	jnz 1f
	finish32 COUNT_INITIALISE, -EEXIST
1:	cmpl $1, %ebx
	jne 1f
	finish32 COUNT_UP, 0
1:	cmpl $10, %ebx
	jne 1f
	cmpl $0, TAIL_VCPU_INFO(%esi)
	je leave32
	movl (%edx), %edi
	movl 12(%edx), %edi
	finish32 COUNT_REGISTER_INFO, -EINVAL
1:	cmpl $VCPUOP_LAST, %ebx
	jbe leave32
	finish32 COUNT_VCPU_NOSYS, -ENOSYS

grant_table_op32:
	testl %edx, %edx
	jz leave32
	cmpl $10, %ebx
	jne 1f
	movl 4(%ecx), %edi
	movl (%ecx), %edi
	cmpw $DOMID_SELF, %di
	je 2f
	cmpw $DOMID, %di
	jne leave32
2:	movl $1, 4(%ecx)
	finish32 COUNT_GET_VERSION, 0
1:	cmpl $GNTTABOP_LAST, %ebx
	jbe leave32
	finish32 COUNT_GRANT_NOSYS, -ENOSYS

	.macro last_page32 counter
	addl $1, TAIL_COUNTERS + 8 * \counter(%esi)
	adcl $0, TAIL_COUNTERS + 8 * \counter + 4(%esi)
	movl TAIL_LAST_PAGE(%esi), %eax
	jmp return32
	.endm

memory_op32:
	cmpl $2, %ebx
	jne 1f
	last_page32 COUNT_MAXIMUM_RAM_PAGE
1:	cmpl $14, %ebx
	jne leave32
	last_page32 COUNT_MAXIMUM_GPFN

hvm_op32:
	cmpl $5, %ebx
	jne 1f
	testl %ecx, %ecx
	jnz leave32
	movl %cr3, %edi
	movl %edi, %cr3
	movl %cr4, %edi
	testl $0x80, %edi
	jz 2f
	xorl $0x80, %edi
	movl %edi, %cr4
	xorl $0x80, %edi
	movl %edi, %cr4
2:	finish32 COUNT_FLUSH_TLBS, 0
1:	cmpl $HVMOP_LAST, %ebx
	jbe leave32
	finish32 COUNT_HVM_NOSYS, -ENOSYS
body32_end:

return32:
	popl %edi
	popl %esi
	ret
leave32:
	popl %edi
	popl %esi
	outl %eax, $PORT
left32:
	ret
code_end:

	/* Where things are, for the host: offsets in this page. */
	.org page + OFFSETS, 0xcc
	.short body64 - page, body64_end - page, left64 - page
	.short body32 - page, body32_end - page, left32 - page
	.short code_end - page, 0

	/* What the host writes: where shared_info is mapped, and how to tell that it still is. */
	.org page + SLOTS, 0
slot_shared:
	.quad 0
slot_magic:
	.long 0
	.org page + 4096, 0
