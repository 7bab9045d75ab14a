/*
 * The four loops of the benchmark, as a flat 64-bit binary that runs wherever it is put.
 *
 * Each loop sits at a multiple of LOOP_BYTES: there, CALL and HLT; BODY_OFFSET further, the loop as a subroutine, for a
 * harness that wants it to return. Parameters come in registers, as loops.ts says; the result is left in RAX. A stack is
 * needed. Only general registers and plain memory are used, and no loop leaves a page of code.
 */
        .intel_syntax noprefix
        .text

        .set    LOOP_BYTES, 0x100
        .set    BODY_OFFSET, 0x10

        .macro  ENTRY number, body
        .org    \number * LOOP_BYTES, 0xcc
        call    \body
        hlt
        .org    \number * LOOP_BYTES + BODY_OFFSET, 0xcc
\body:
        .endm

/* CRC-32C, bit by bit: RSI buffer, RDI end of buffer, EDX passes. EAX: the CRC of all passes in a row. */
        .set    CRC32C_REVERSED, 0x82f63b78

        ENTRY   0, crc
        mov     eax, -1
.Lcrc_pass:
        mov     r9, rsi
.Lcrc_byte:
        movzx   ecx, byte ptr [r9]
        inc     r9
        xor     eax, ecx
        mov     r8d, 8
.Lcrc_bit:
        mov     ecx, eax
        and     ecx, 1
        neg     ecx
        and     ecx, CRC32C_REVERSED
        shr     eax, 1
        xor     eax, ecx
        dec     r8d
        jnz     .Lcrc_bit
        cmp     r9, rdi
        jne     .Lcrc_byte
        dec     edx
        jnz     .Lcrc_pass
        not     eax
        ret

/*
 * Copy and sum: RSI source, RDI destination, RDX bytes (a multiple of 16), ECX passes.
 * RAX: the sum of all even quadwords plus the exclusive or of all odd ones, over all passes.
 */
        ENTRY   1, copy
        xor     eax, eax
        xor     r10d, r10d
.Lcopy_pass:
        xor     r8d, r8d
.Lcopy_pair:
        mov     r9, [rsi + r8]
        mov     r11, [rsi + r8 + 8]
        add     rax, r9
        xor     r10, r11
        mov     [rdi + r8], r9
        mov     [rdi + r8 + 8], r11
        add     r8, 16
        cmp     r8, rdx
        jb      .Lcopy_pair
        dec     ecx
        jnz     .Lcopy_pass
        add     rax, r10
        ret

/* Fibonacci by two recursive calls: EDI the index. RAX: the number. */
        ENTRY   2, fibonacci
        cmp     edi, 2
        jae     .Lfibonacci_sum
        mov     eax, edi
        ret
.Lfibonacci_sum:
        push    rbx
        push    r12
        mov     ebx, edi
        lea     edi, [rbx - 1]
        call    fibonacci
        mov     r12, rax
        lea     edi, [rbx - 2]
        call    fibonacci
        add     rax, r12
        pop     r12
        pop     rbx
        ret

/*
 * Sieve of Eratosthenes: RDI array of one byte a number, ESI how many numbers (from 0), EDX passes.
 * RAX: the sum of all primes below ESI, over all passes.
 */
        ENTRY   3, sieve
        xor     eax, eax
.Lsieve_pass:
        xor     ecx, ecx
.Lsieve_clear:
        mov     byte ptr [rdi + rcx], 0
        inc     ecx
        cmp     ecx, esi
        jb      .Lsieve_clear
        mov     ecx, 2
.Lsieve_next:
        cmp     byte ptr [rdi + rcx], 0
        jne     .Lsieve_composite
        add     rax, rcx
        mov     r8d, ecx
        imul    r8, rcx
.Lsieve_mark:
        cmp     r8, rsi
        jae     .Lsieve_composite
        mov     byte ptr [rdi + r8], 1
        add     r8, rcx
        jmp     .Lsieve_mark
.Lsieve_composite:
        inc     ecx
        cmp     ecx, esi
        jb      .Lsieve_next
        dec     edx
        jnz     .Lsieve_pass
        ret
        .org    4 * LOOP_BYTES, 0xcc
