/* Hardware task switches of 32-bit protected mode. SDM vol. 3A chapter 7. */
        .include "common.inc"

        .set    TSS_A, 0x80             /* FREE0: the other task */
        .set    GATE_A, 0x88            /* FREE1: a task gate to it */
        .set    TSS_BAD, 0x90
        .set    CODE_DPL3, 0x98
        .set    AREA_A, 0x2f4000
        .set    STACK_A, 0x2d8000
        .set    RPL3, 3

        START32
        DESCRIPTOR TSS_A, 0x0000892f, 0x40000067
        DESCRIPTOR GATE_A, 0x0000e500, (TSS_A << 16)

        /* The other task's TSS as it is before every switch to it. */
        .macro  TASK target, flags=0x2
        mov     edi, AREA_A
        mov     ecx, 26
        xor     eax, eax
        rep     stosd
        mov     byte ptr [gdt + TSS_A + 5], 0x89
        mov     dword ptr [AREA_A + 4], RING0_STACK
        mov     dword ptr [AREA_A + 8], DATA
        mov     dword ptr [AREA_A + 32], offset \target
        mov     dword ptr [AREA_A + 36], \flags
        mov     dword ptr [AREA_A + 40], 0x11111111
        mov     dword ptr [AREA_A + 44], 0x22222222
        mov     dword ptr [AREA_A + 48], 0x33333333
        mov     dword ptr [AREA_A + 52], 0x44444444
        mov     dword ptr [AREA_A + 56], STACK_A
        mov     dword ptr [AREA_A + 60], 0x55555555
        mov     dword ptr [AREA_A + 64], 0x66666666
        mov     dword ptr [AREA_A + 68], 0x77777777
        mov     dword ptr [AREA_A + 72], DATA
        mov     dword ptr [AREA_A + 76], CODE32
        mov     dword ptr [AREA_A + 80], DATA
        mov     dword ptr [AREA_A + 84], DATA
        mov     dword ptr [AREA_A + 102], 0x68
        .endm

        /* What the switch left: the registers are shown by the task that is in. */
        .macro  SHOW_TASK
        SHOW    "eax", eax
        SHOW    "ecx", ecx
        SHOW    "edx", edx
        SHOW    "ebx", ebx
        SHOW    "esp", esp
        SHOW    "ebp", ebp
        SHOW    "esi", esi
        SHOW    "edi", edi
        .endm
        .macro  SHOW_SYSTEM
        pushfd
        pop     eax
        SHOW    "flags", eax
        str     eax
        SHOW    "tr", eax
        mov     eax, cr0
        and     eax, 8
        SHOW    "cr0.ts", eax
        clts
        mov     eax, [gdt + TSS32 + 4]
        SHOW    "first tss", eax
        mov     eax, [gdt + TSS_A + 4]
        SHOW    "other tss", eax
        mov     eax, [AREA_A]
        SHOW    "link", eax
        .endm
        .macro  SHOW_SAVED area
        mov     eax, [\area + 36]
        SHOW    "saved flags", eax
        mov     eax, [\area + 56]
        SHOW    "saved esp", eax
        mov     eax, [\area + 68]
        SHOW    "saved edi", eax
        movzx   eax, word ptr [\area + 76]
        SHOW    "saved cs", eax
        movzx   eax, word ptr [\area + 80]
        SHOW    "saved ss", eax
        .endm

        TITLE   "JMP to a TSS and back"
        TASK    1f, 0x203
        mov     edi, 0x12345678
        FAR_JUMP TSS_A, 0
        SAY     "  back\n"
        SHOW    "edi", edi
        SHOW_SYSTEM
        jmp     2f
1:      SHOW_TASK
        SHOW_SYSTEM
        SHOW_SAVED TSS_AREA
        cli
        push    0x803                   /* qemu saves what it has not computed yet */
        popfd
        FAR_JUMP TSS32, 0
2:      SHOW_SAVED AREA_A

        TITLE   "CALL and IRET"
        TASK    1f
        mov     esi, 0x9abcdef0
        FAR_CALL TSS_A, 0
        SAY     "  back\n"
        SHOW    "esi", esi
        SHOW_SYSTEM
        SHOW_SAVED AREA_A
        jmp     2f
1:      SHOW_SYSTEM
        iretd
2:
        TITLE   "task gate, JMP through it"
        TASK    1f
        FAR_JUMP GATE_A, 0x1234
        SAY     "  back\n"
        SHOW_SYSTEM
        jmp     2f
1:      SHOW_SYSTEM
        FAR_JUMP TSS32, 0
2:
        TITLE   "interrupt through a task gate"
        TASK    1f
        mov     dword ptr [IDT + 0x30 * 8], (TSS_A << 16)
        mov     dword ptr [IDT + 0x30 * 8 + 4], 0xe500
        int     0x30
        SAY     "  back\n"
        SHOW_SYSTEM
        TASK    1f
        TRY3    "from ring 3", 0x3202
        int     0x30
        END
        SHOW_SAVED TSS_AREA
        jmp     2f
1:      SHOW    "esp", esp
        SHOW_SYSTEM
        iretd
2:
        TITLE   "fault through a task gate"
        TASK    1f
        mov     dword ptr [IDT + 13 * 8], (TSS_A << 16)
        mov     dword ptr [IDT + 13 * 8 + 4], 0xe500
        mov     eax, TSS32
        mov     fs, eax
        SAY     "  back\n"
        SHOW_SYSTEM
        IDT_GATE32 13, (stubs32 + 13 * 16), 0x8e
        jmp     2f
1:      SHOW    "esp", esp
        pop     eax
        SHOW    "error", eax
        add     dword ptr [TSS_AREA + 32], 2
        SHOW_SYSTEM
        iretd
2:
        TITLE   "a task in ring 3"
        TASK    1f, 0x2
        mov     dword ptr [AREA_A + 72], USER_DATA
        mov     dword ptr [AREA_A + 76], USER_CODE32
        mov     dword ptr [AREA_A + 80], USER_DATA
        mov     dword ptr [AREA_A + 84], USER_DATA
        FAR_CALL TSS_A, 0
        SHOW_SYSTEM
        jmp     2f
1:      mov     eax, cs
        mov     edx, ss
        mov     [DATA_AREA], eax
        mov     [DATA_AREA + 4], edx
        iretd
2:      mov     eax, [DATA_AREA]
        SHOW    "cs", eax
        mov     eax, [DATA_AREA + 4]
        SHOW    "ss", eax

        TITLE   "refusals in the old task"
        TASK    1f
        mov     byte ptr [gdt + TSS_A + 5], 0x8b
        TRY     "busy"
        FAR_JUMP TSS_A, 0
        END
        mov     byte ptr [gdt + TSS_A + 5], 0x09
        TRY     "not present"
        FAR_CALL TSS_A, 0
        END
        mov     byte ptr [gdt + TSS_A + 5], 0x89
        TRY3    "TSS of ring 0 from ring 3"
        FAR_CALL TSS_A, 0
        END
        mov     byte ptr [gdt + TSS_A], 0x66
        TRY     "limit too small"
        FAR_JUMP TSS_A, 0
        END
        mov     byte ptr [gdt + TSS_A], 0x67
        DESCRIPTOR GATE_A, 0x00008500, (TSS_A << 16)
        TRY3    "gate of ring 0 from ring 3"
        FAR_CALL GATE_A, 0
        END
        DESCRIPTOR GATE_A, 0x0000e500, (DATA << 16)
        TRY     "gate to no TSS"
        FAR_JUMP GATE_A, 0
        END
        DESCRIPTOR GATE_A, 0x00006500, (TSS_A << 16)
        TRY     "gate not present"
        FAR_JUMP GATE_A, 0
        END
        mov     word ptr [TSS_AREA], TSS_A
        TRY     "IRET to a task that is not busy"
        push    0x4002
        popfd
        iretd
        END
        mov     word ptr [TSS_AREA], DATA
        TRY     "IRET to no task"
        push    0x4002
        popfd
        iretd
        END
        jmp     2f
1:      SAY     "wrong\n"
2:      STOP
image_end:
