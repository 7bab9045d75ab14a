/* Alignment checks, which qemu's interpreter does not make. SDM vol. 3A 6.15, interrupt 17, and table 6-7. */
        .include "common.inc"

        .set    AC, 0x40002
        START32
        mov     eax, cr4
        or      eax, 0x600              /* OSFXSR, OSXMMEXCPT */
        mov     cr4, eax
        fninit

        /* One attempt in ring 3 at each of the addresses. */
        .macro  AT name, offset, instruction:vararg
        TRY3    "\name at \offset", AC
        \instruction
        END
        .endm

        TITLE   "not armed without CR0.AM"
        TRY3    "double word at 1", AC
        mov     eax, [DATA_AREA + 1]
        END

        mov     eax, cr0
        or      eax, 0x40000
        mov     cr0, eax

        TITLE   "armed by CR0.AM, EFLAGS.AC and ring 3 together"
        TRY3    "without AC"
        mov     eax, [DATA_AREA + 1]
        END
        TRY     "in ring 0 with AC"
        push    AC
        popfd
        mov     eax, [DATA_AREA + 1]
        push    2
        popfd
        END
        TRY3    "AC set by POPF"
        push    AC
        popfd
        mov     eax, [DATA_AREA + 1]
        END
        TRY3    "AC cleared by POPF", AC
        push    2
        popfd
        mov     eax, [DATA_AREA + 1]
        END
        /* The page is in the TLB by then. */
        TRY3    "after aligned accesses to the same page", AC
        mov     eax, [DATA_AREA]
        mov     [DATA_AREA + 4], eax
        mov     [DATA_AREA + 6], eax
        END
        TRY3    "not left armed", 2
        mov     [DATA_AREA + 6], eax
        END

        TITLE   "which alignment (table 6-7)"
        AT      "byte", 1, mov al, [DATA_AREA + 1]
        AT      "word", 1, mov ax, [DATA_AREA + 1]
        AT      "word", 2, mov ax, [DATA_AREA + 2]
        AT      "double word", 2, mov eax, [DATA_AREA + 2]
        AT      "double word", 4, add dword ptr [DATA_AREA + 4], eax
        AT      "double word, written", 3, mov [DATA_AREA + 3], eax
        AT      "read, modified, written", 1, inc word ptr [DATA_AREA + 1]
        AT      "single precision", 2, fld dword ptr [DATA_AREA + 2]
        AT      "double precision", 4, fld qword ptr [DATA_AREA + 4]
        AT      "double precision", 8, fld qword ptr [DATA_AREA + 8]
        AT      "extended precision", 4, fld tbyte ptr [DATA_AREA + 4]
        AT      "extended precision", 8, fld tbyte ptr [DATA_AREA + 8]
        AT      "x87 environment", 2, fnstenv [DATA_AREA + 2]
        AT      "x87 environment", 4, fnstenv [DATA_AREA + 4]
        AT      "x87 environment of 16 bits", 2, .byte 0x66; fnstenv [DATA_AREA + 2]
        AT      "far pointer of 48 bits", 2, les eax, [DATA_AREA + 0x82]
        AT      "far pointer of 48 bits", 4, les eax, [DATA_AREA + 0x84]
        AT      "far pointer of 32 bits", 2, les ax, [DATA_AREA + 0x82]
        AT      "CMPXCHG8B", 4, cmpxchg8b [DATA_AREA + 4]
        AT      "MOVQ", 4, movq xmm0, qword ptr [DATA_AREA + 4]
        AT      "MOVAPS is #GP", 8, movaps xmm0, [DATA_AREA + 8]
        AT      "bit string", 2, bt dword ptr [DATA_AREA + 2], eax

        TITLE   "stacks and strings"
        TRY3    "PUSH", AC
        mov     esp, USER_STACK - 2
        push    eax
        END
        TRY3    "PUSH of a word", AC
        mov     esp, USER_STACK - 2
        push    ax
        END
        TRY3    "CALL", AC
        mov     esp, USER_STACK - 2
        call    1f
1:      END
        TRY3    "REP MOVSD stops at the first", AC
        mov     esi, DATA_AREA
        mov     edi, DATA_AREA + 0x101
        mov     ecx, 4
        rep     movsd
        END
        SHOW    "ecx", ecx
        TRY3    "REP MOVSB", AC
        mov     esi, DATA_AREA + 1
        mov     edi, DATA_AREA + 0x103
        mov     ecx, 64
        rep     movsb
        END
        STOP
image_end:
