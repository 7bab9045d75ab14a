/*
 * Runs one loop of loops.S on a machine that boots a kernel by the PVH protocol, such as qemu-system-x86_64 -kernel.
 *
 * This is a whole ELF file written by hand, so that an assembler alone builds it. Entered in 32-bit protected mode
 * (docs/misc/pvh.pandoc of Xen), it switches to 64-bit mode with the page tables of image.ts and calls the loop as often
 * as the parameter block says. After each call the result goes out as eight bytes, low byte first, by REPORT_PORT; the
 * observer times those. The end is a write to EXIT_PORT (qemu's isa-debug-exit).
 */
        .intel_syntax noprefix
        .text

        .set    LOAD_ADDRESS, 0x100000
        /* The same numbers are in image.ts. */
        .set    PARAMETERS, 0x200000
        .set    PARAMETER_CR3, PARAMETERS + 0x00
        .set    PARAMETER_STACK, PARAMETERS + 0x08
        .set    PARAMETER_BODY, PARAMETERS + 0x10
        .set    PARAMETER_CALLS, PARAMETERS + 0x18
        .set    PARAMETER_RDI, PARAMETERS + 0x20
        .set    PARAMETER_RSI, PARAMETERS + 0x28
        .set    PARAMETER_RDX, PARAMETERS + 0x30
        .set    PARAMETER_RCX, PARAMETERS + 0x38

        .set    REPORT_PORT, 0xe9
        .set    EXIT_PORT, 0xf4

        .set    XEN_ELFNOTE_PHYS32_ENTRY, 18
        .set    CR0_PE_MP_ET_NE_WP_PG, 0x80010033
        .set    CR4_PAE_OSFXSR_OSXMMEXCPT, 0x620
        .set    MSR_EFER, 0xc0000080
        .set    EFER_LME_NXE, 0x900

file:
        /* ELF64 header */
        .byte   0x7f
        .ascii  "ELF"
        .byte   2, 1, 1, 0
        .quad   0
        .short  2, 62                   /* ET_EXEC, EM_X86_64 */
        .long   1
        .quad   LOAD_ADDRESS + (start - file)
        .quad   program_headers - file
        .quad   0
        .long   0
        .short  64, 56, 2, 64, 0, 0
program_headers:
        .long   1, 7                    /* PT_LOAD, RWX */
        .quad   0, LOAD_ADDRESS, LOAD_ADDRESS, end - file, end - file, 0x1000
        .long   4, 4                    /* PT_NOTE, R */
        .quad   note - file, LOAD_ADDRESS + (note - file), LOAD_ADDRESS + (note - file)
        .quad   note_end - note, note_end - note, 4
note:
        .long   4, 4, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   LOAD_ADDRESS + (start - file)
note_end:

        .balign 8
gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* 0x08: 64-bit code, ring 0 */
        .quad   0x00cf93000000ffff      /* 0x10: data, ring 0 */
gdt_end:
gdt_pointer:
        .short  gdt_end - gdt - 1
        .long   LOAD_ADDRESS + (gdt - file)

        .code32
start:
        cli
        lgdt    [LOAD_ADDRESS + (gdt_pointer - file)]
        mov     eax, CR4_PAE_OSFXSR_OSXMMEXCPT
        mov     cr4, eax
        mov     eax, [PARAMETER_CR3]
        mov     cr3, eax
        mov     ecx, MSR_EFER
        mov     eax, EFER_LME_NXE
        xor     edx, edx
        wrmsr
        mov     eax, CR0_PE_MP_ET_NE_WP_PG
        mov     cr0, eax
        .byte   0xea                    /* ljmp 0x08:long_mode */
        .long   LOAD_ADDRESS + (long_mode - file)
        .short  0x08

        .code64
long_mode:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     rsp, [PARAMETER_STACK]
        mov     r13, [PARAMETER_CALLS]
.Lcall:
        mov     rdi, [PARAMETER_RDI]
        mov     rsi, [PARAMETER_RSI]
        mov     rdx, [PARAMETER_RDX]
        mov     rcx, [PARAMETER_RCX]
        call    [PARAMETER_BODY]
        mov     ecx, 8
.Lreport:
        out     REPORT_PORT, al
        shr     rax, 8
        dec     ecx
        jnz     .Lreport
        dec     r13
        jnz     .Lcall
        xor     eax, eax
        out     EXIT_PORT, al
.Lstop:
        hlt
        jmp     .Lstop
end:
