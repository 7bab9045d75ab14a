/* 32-bit protected mode without paging: segments, rings, gates, far transfers, traps (SDM vol. 3A chapters 3, 5, 6). */
        .include "common.inc"

        .macro  FLAGS_BEHIND_GATE name, type
        IDT_GATE32 0x30, 1f, \type
        TRY     "\name"
        push    0x4202
        popfd
        int     0x30
1:      pushfd
        pop     ecx
        END
        SHOW    "flags", ecx
        .endm

        /* FS becomes the segment of this descriptor. */
        .macro  FS_SEGMENT high, low
        DESCRIPTOR FREE0, \high, \low
        mov     eax, FREE0
        mov     fs, eax
        .endm

        START32
        mov     dword ptr [DATA_AREA], 0x44332211
        mov     dword ptr [DATA_AREA + 4], 0x88776655

        TITLE   "segment loads, ring 0"
        TRY     "null DS may be loaded"
        xor     eax, eax
        mov     ds, eax
        END
        TRY     "null DS may not be used"
        xor     eax, eax
        mov     ds, eax
        mov     eax, [DATA_AREA]
        END
        TRY     "null SS"
        xor     eax, eax
        mov     ss, eax
        END
        TRY     "CS by MOV"
        mov     eax, CODE32
        .byte   0x8e, 0xc8
        END
        TRY     "beyond the table"
        mov     eax, GDT_BYTES + 8
        mov     es, eax
        END
        DESCRIPTOR FREE0, 0x00cf1300, 0x0000ffff
        TRY     "DS not present"
        mov     eax, FREE0
        mov     ds, eax
        END
        TRY     "SS not present"
        mov     eax, FREE0
        mov     ss, eax
        END
        DESCRIPTOR FREE0, 0x00cf9900, 0x0000ffff
        TRY     "execute-only code into DS"
        mov     eax, FREE0
        mov     ds, eax
        END
        TRY     "code into SS"
        mov     eax, CODE32
        mov     ss, eax
        END
        DESCRIPTOR FREE0, 0x00cf9100, 0x0000ffff
        TRY     "read-only data into SS"
        mov     eax, FREE0
        mov     ss, eax
        END
        TRY     "SS with another RPL"
        mov     eax, DATA + 1
        mov     ss, eax
        END
        TRY     "a TSS into DS"
        mov     eax, TSS32
        mov     ds, eax
        END
        TRY     "RPL 3 of ring 0 data"
        mov     eax, DATA + 3
        mov     ds, eax
        END
        DESCRIPTOR FREE0, 0x00cf9200, 0x0000ffff
        TRY     "Accessed is set by a load"
        mov     eax, FREE0
        mov     es, eax
        END
        SHOW    "descriptor", [gdt + FREE0 + 4]
        DESCRIPTOR FREE0, 0x00cf9a00, 0x0000ffff
        TRY     "LES through a readable code segment"
        mov     dword ptr [DATA_AREA + 8], 0x12345678
        mov     dword ptr [DATA_AREA + 12], FREE0
        les     ecx, [DATA_AREA + 8]
        mov     edx, es
        END
        SHOW    "ecx", ecx
        SHOW    "es", edx
        TRY     "POP to FS"
        push    DATA
        pop     fs
        mov     eax, fs
        END
        SHOW    "fs", eax

        TITLE   "POP SS to a stack of another width"
        DESCRIPTOR FREE0, 0x00009300, 0x0000ffff
        mov     [save_sp], esp
        mov     dword ptr [0xfffc], DATA
        mov     eax, FREE0
        mov     ss, eax
        mov     esp, 0x2fffc
        pop     ss
        mov     eax, esp
        mov     esp, [save_sp]
        SHOW    "esp of 16 bits, then 32", eax
        mov     dword ptr [DATA_AREA + 0xfffc], FREE0
        mov     esp, DATA_AREA + 0xfffc
        pop     ss
        mov     eax, esp
        mov     ecx, DATA
        mov     ss, ecx
        mov     esp, [save_sp]
        SHOW    "esp of 32 bits, then 16", eax

        TITLE   "segment limits"
        /* 16 bytes at DATA_AREA. */
        FS_SEGMENT 0x00409320, 0x0000000f
        mov     eax, fs:[0]
        SHOW    "base is added", eax
        TRY     "last double word"
        mov     eax, fs:[12]
        END
        TRY     "one byte too far"
        mov     eax, fs:[13]
        END
        TRY     "write one byte too far"
        mov     word ptr fs:[15], ax
        END
        TRY     "byte beyond"
        mov     al, fs:[16]
        END
        TRY     "offset that wraps"
        mov     ebx, 0xffffffff
        mov     eax, fs:[ebx]
        END
        FS_SEGMENT 0x00409120, 0x0000000f
        TRY     "write to read-only data"
        mov     fs:[0], eax
        END
        TRY     "write to code"
        mov     cs:[DATA_AREA], eax
        END
        FS_SEGMENT 0x00c09300, 0x00000000
        TRY     "limit in pages, inside"
        mov     eax, fs:[0xffc]
        END
        TRY     "limit in pages, outside"
        mov     eax, fs:[0xffd]
        END
        DESCRIPTOR FREE1, 0x0040f328, 0x00000fff
        TRY3    "stack limit"
        mov     eax, FREE1 + 3
        mov     ss, eax
        mov     esp, 0x1002
        push    eax
        END
        TRY3    "stack address by EBP"
        mov     eax, FREE1 + 3
        mov     ss, eax
        mov     ebp, 0xffe
        mov     eax, [ebp]
        END

        TITLE   "expand-down segments"
        FS_SEGMENT 0x00409720, 0x0000000f
        TRY     "at the limit"
        mov     al, fs:[15]
        END
        TRY     "above the limit"
        mov     al, fs:[16]
        END
        TRY     "below"
        mov     al, fs:[0]
        END
        TRY     "double word that begins at the limit"
        mov     eax, fs:[15]
        END
        FS_SEGMENT 0x00009720, 0x0000000f
        TRY     "64 KiB is the top of a small one"
        mov     al, fs:[0x10000]
        END
        TRY     "below 64 KiB"
        mov     al, fs:[0xffff]
        END

        TITLE   "far jumps and calls, ring 0"
        TRY     "null selector"
        FAR_JUMP 0, 1f
1:      END
        TRY     "to data"
        FAR_JUMP DATA, 1f
1:      END
        DESCRIPTOR FREE0, 0x00cf1b00, 0x0000ffff
        TRY     "not present"
        FAR_JUMP FREE0, 1f
1:      END
        DESCRIPTOR FREE0, 0x00cffb00, 0x0000ffff
        TRY     "to ring 3 code"
        FAR_JUMP FREE0, 1f
1:      END
        DESCRIPTOR FREE0, 0x00409b00, 0x00000fff
        TRY     "beyond the limit of the target"
        FAR_JUMP FREE0, 0x1000
1:      END
        TRY     "beyond the table"
        FAR_CALL GDT_BYTES + 8, 0
1:      END
        DESCRIPTOR FREE0, 0x00cf9e00, 0x0000ffff
        TRY     "conforming ring 0 code"
        FAR_CALL FREE0, 1f
1:      mov     edx, cs
        mov     ecx, [esp + 4]
        END
        SHOW    "cs", edx
        SHOW    "pushed cs", ecx
        TRY     "call and return"
        mov     edx, esp
        FAR_CALL CODE32, 1f
        jmp     2f
1:      mov     ecx, esp
        retf
2:      sub     edx, ecx
        END
        SHOW    "bytes pushed", edx
        TRY     "return releases parameters"
        mov     edx, esp
        push    1
        push    2
        FAR_CALL CODE32, 1f
        jmp     2f
1:      retf    8
2:      sub     edx, esp
        END
        SHOW    "bytes left", edx
        TRY     "16-bit call and return through memory"
        mov     word ptr [DATA_AREA + 16], offset 1f-image
        mov     word ptr [DATA_AREA + 18], CODE16
        mov     edx, esp
        .byte   0x66, 0xff, 0x1d        /* call far word [m] */
        .long   DATA_AREA + 16
        jmp     2f
        .code16
1:      mov     cx, cs
        mov     si, sp
        /* The return address has 16 bits, too few for this image: a jump leads back. */
        LEAVE16 2f
2:      sub     edx, esp
        movzx   ecx, cx
        END
        SHOW    "cs", ecx
        SHOW    "bytes pushed", edx
        TRY     "return to an inner ring"
        push    USER_CODE32 - 2
        push    0
        retf
        END

        TITLE   "16-bit code segments and sizes"
        mov     dword ptr [DATA_AREA], 0x44332211
        TRY     "operand and address sizes"
        mov     eax, 0x11111111
        mov     ebx, 0xffff0010
        mov     ecx, 0x12345678
        FAR_JUMP CODE16, (1f-image)
        .code16
1:      mov     ax, cx
        .byte   0x66
        .byte   0x89, 0xca              /* mov edx, ecx */
        .byte   0x66, 0xbe
        .long   DATA_AREA
        .byte   0x67, 0x66, 0x8b, 0x3e  /* mov edi, [esi] */
        LEAVE16 2f
2:      END
        SHOW    "eax", eax
        SHOW    "edx", edx
        SHOW    "edi", edi
        TRY     "16-bit address wraps"
        mov     eax, DATA16
        mov     ds, eax
        mov     ebx, 0x1234fffe
        FAR_JUMP CODE16, (1f-image)
        .code16
1:      lea     si, [bx + 4]
        .byte   0x67, 0x66, 0x8d, 0x7b, 4 /* lea edi, [ebx + 4] */
        mov     al, [bx + 3]            /* the image's second byte */
        LEAVE16 2f
2:      movzx   esi, si
        movzx   eax, al
        END
        SHOW    "si", esi
        SHOW    "edi", edi
        SHOW    "al", eax
        TRY     "16-bit stack keeps the upper half of ESP"
        mov     dword ptr [save_sp], esp
        mov     eax, DATA16
        mov     ss, eax
        mov     esp, 0x1234fff8
        push    0x11223344
        mov     edx, esp
        push    ax
        mov     esi, esp
        push    eax
        mov     edi, esp
        mov     eax, DATA
        mov     ss, eax
        mov     esp, [save_sp]
        END
        SHOW    "edx", edx
        SHOW    "esi", esi
        SHOW    "edi", edi
        TRY     "near jump wraps at 16 bits"
        FAR_JUMP CODE16, (1f-image)
        .code16
1:      xor     ax, ax
        jmp     2f
        nop
2:      inc     ax
        call    3f
3:      pop     dx
        sub     dx, offset 3b-image
        loop    4f
4:      LEAVE16 2f
2:      movzx   edx, dx
        END
        SHOW    "pop after call", edx

        TITLE   "rings"
        TRY3    "ring 3 runs"
        mov     ecx, cs
        mov     edx, ss
        END
        SHOW    "cs", ecx
        SHOW    "ss", edx
        TRY3    "HLT"
        hlt
        END
        TRY3    "CLI with IOPL 0"
        cli
        END
        TRY3    "CLI with IOPL 3", 0x3002
        cli
        END
        TRY3    "IN with IOPL 0"
        in      al, 0x80
        END
        TRY3    "ring 0 data into DS"
        mov     eax, DATA
        mov     ds, eax
        END
        TRY3    "ring 0 data into DS with RPL 3"
        mov     eax, DATA + 3
        mov     ds, eax
        END
        TRY3    "ring 0 data into SS"
        mov     eax, DATA
        mov     ss, eax
        END
        TRY3    "far jump to ring 0 code"
        FAR_JUMP CODE32, 1f
1:      END
        DESCRIPTOR FREE0, 0x00cf9e00, 0x0000ffff
        TRY3    "conforming ring 0 code keeps the ring"
        FAR_JUMP FREE0, 1f
1:      mov     ecx, cs
        cli
        END
        SHOW    "cs", ecx
        TRY3    "POPF changes neither IOPL nor IF"
        push    0x3202
        popfd
        pushfd
        pop     ecx
        END
        SHOW    "flags", ecx
        TRY3    "POPF with IOPL 3 changes IF", 0x3002
        push    0x0202
        popfd
        pushfd
        pop     ecx
        END
        SHOW    "flags", ecx
        TRY3    "LGDT"
        lgdt    [gdt_pointer]
        END
        TRY3    "MOV from CR0"
        mov     eax, cr0
        END
        TRY3    "SMSW"
        smsw    ax
        END
        TRY3    "RDMSR"
        mov     ecx, 0x10
        rdmsr
        END
        TRY3    "INVLPG"
        invlpg  [0]
        END
        TRY3    "CLTS"
        clts
        END
        TRY3    "MOV from DR7"
        mov     eax, dr7
        END
        TRY3    "LTR"
        ltr     ax
        END
        TRY3    "RDTSC while CR4.TSD is clear"
        rdtsc
        END
        mov     eax, 4
        mov     cr4, eax
        TRY3    "RDTSC while CR4.TSD is set"
        rdtsc
        END
        xor     eax, eax
        mov     cr4, eax

        TITLE   "I/O permission bitmap"
        mov     word ptr [TSS_AREA + 0x66], 0x68
        DESCRIPTOR FREE1, 0x0000892f, 0x00000088
        mov     eax, FREE1
        ltr     ax
        mov     dword ptr [TSS_AREA + 0x68 + 0x10], 0xfffffff7
        mov     dword ptr [TSS_AREA + 0x68 + 0x14], 0xffffffff
        TRY3    "port 83, allowed"
        in      al, 0x83
        END
        TRY3    "port 84, denied"
        in      al, 0x84
        END
        TRY3    "word at port 83, half denied"
        in      ax, 0x83
        END
        TRY3    "port beyond the bitmap"
        mov     edx, 0x200
        in      al, dx
        END
        and     byte ptr [gdt + TSS32 + 5], 0xfd
        mov     word ptr [TSS_AREA + 0x66], 0x68
        mov     eax, TSS32
        ltr     ax

        TITLE   "interrupt and trap gates"
        mov     byte ptr [IDT + 0x30 * 8 + 5], 0x8e
        TRY     "INT n, ring 0"
        int     0x30
        END
        TRY3    "INT n, gate for ring 0"
        int     0x30
        END
        mov     byte ptr [IDT + 0x30 * 8 + 5], 0xee
        TRY3    "INT n, gate for ring 3"
        int     0x30
        END
        mov     byte ptr [IDT + 0x30 * 8 + 5], 0x6e
        TRY3    "gate not present"
        int     0x30
        END
        mov     byte ptr [IDT + 0x30 * 8 + 5], 0xec
        TRY3    "not a gate of the table"
        int     0x30
        END
        TRY     "vector beyond the table"
        lidt    [1f]
        jmp     2f
1:      .short  0x20f
        .long   IDT
2:      int     0x50
        END
        lidt    [idt_pointer]
        FLAGS_BEHIND_GATE "interrupt gate clears IF, TF, NT", 0x8e
        FLAGS_BEHIND_GATE "trap gate keeps IF", 0x8f
        IDT_GATE32 0x30, 1f, 0x8e, 0
        TRY     "null selector in a gate"
        int     0x30
1:      END
        IDT_GATE32 0x30, 1f, 0x8e, DATA
        TRY     "data selector in a gate"
        int     0x30
1:      END
        DESCRIPTOR FREE0, 0x00cf1b00, 0x0000ffff
        IDT_GATE32 0x30, 1f, 0x8e, FREE0
        TRY     "code of a gate not present"
        int     0x30
1:      END
        IDT_GATE32 0x30, 1f, 0x8e, USER_CODE32
        TRY     "gate to an outer ring"
        int     0x30
1:      END
        IDT_GATE32 6, 1f, 0x8e, DATA
        TRY     "fault whose gate is bad: EXT"
        ud2
1:      END
        IDT_GATE32 6, (stubs32 + 6 * 16), 0x8e
        DESCRIPTOR FREE0, 0x00409b10, 0x0000ffff
        GATE32  (IDT + 0x30 * 8), FREE0, (1f-image), 0xe6
        TRY     "16-bit interrupt gate"
        mov     edx, esp
        push    0x0ed7
        popfd
        int     0x30
1:      mov     ecx, [esp]
        movzx   ebx, word ptr [esp + 4]
        sub     edx, esp
        sub     ecx, offset 1b-image
        movzx   ecx, cx
        FAR_JUMP CODE32, 1f
1:      END
        SHOW    "pushed bytes", edx
        SHOW    "flags", ebx
        DESCRIPTOR FREE0, 0x00cfbb00, 0x0000ffff
        IDT_GATE32 0x30, 1f, 0xee, FREE0
        TRY3    "gate to ring 1"
        int     0x30
1:      mov     ecx, cs
        mov     edx, ss
        mov     ebx, esp
        END
        TITLE   "stack switch through the TSS"
        DESCRIPTOR FREE1, 0x00cfb300, 0x0000ffff
        mov     dword ptr [TSS_AREA + 16], FREE1 + 1
        TRY3    "ring 1 with its stack"
        int     0x30
1:      END
        IDT_GATE32 0x30, 1f, 0xee, FREE0
        TRY3    "ring 1 code runs"
        int     0x30
1:      mov     ecx, cs
        mov     edx, ss
        mov     ebx, esp
        mov     esi, [esp + 12]
        mov     edi, [esp + 16]
        END
        SHOW    "cs", ecx
        SHOW    "ss", edx
        SHOW    "esp", ebx
        SHOW    "pushed esp", esi
        SHOW    "pushed ss", edi
        mov     dword ptr [TSS_AREA + 16], 0
        TRY3    "null stack selector"
        int     0x30
        END
        mov     dword ptr [TSS_AREA + 16], FREE1
        TRY3    "stack selector with another RPL"
        int     0x30
        END
        DESCRIPTOR FREE1, 0x00cf3300, 0x0000ffff
        mov     dword ptr [TSS_AREA + 16], FREE1 + 1
        TRY3    "stack not present"
        int     0x30
        END
        mov     dword ptr [TSS_AREA + 16], GDT_BYTES + 8 + 1
        TRY3    "stack selector beyond the table"
        int     0x30
        END

        TITLE   "call gates"
        IDT_GATE32 0x30, (stubs32 + 0x30 * 16), 0xee
        GATE32  (gdt + FREE2), CODE32, 1f, 0x8c
        TRY     "same ring"
        mov     edx, esp
        FAR_CALL FREE2, 0xdeadbeef
1:      mov     ecx, [esp + 4]
        sub     edx, esp
        END
        SHOW    "bytes pushed", edx
        SHOW    "pushed cs", ecx
        GATE32  (gdt + FREE2), CODE32, 1f, 0xec, 3
        TRY3    "ring 3 to ring 0 with parameters"
        push    0x33333333
        push    0x22222222
        push    0x11111111
        mov     ebx, esp
        FAR_CALL FREE2 + 3, 0
        mov     eax, 0x5a5a5a5a
        sub     ebx, esp
        int     DONE
1:      mov     ecx, [esp + 8]
        mov     edx, [esp + 16]
        mov     esi, [esp + 20]
        mov     edi, [esp + 24]
        mov     ebp, esp
        mov     eax, cs
        mov     [DATA_AREA + 0x20], eax
        mov     eax, ss
        mov     [DATA_AREA + 0x24], eax
        retf    12
        END
        SHOW    "after the return", eax
        SHOW    "released in ring 3", ebx
        SHOW    "first parameter", ecx
        SHOW    "third parameter", edx
        SHOW    "old esp", esi
        SHOW    "old ss", edi
        SHOW    "esp", ebp
        SHOW    "cs", [DATA_AREA + 0x20]
        SHOW    "ss", [DATA_AREA + 0x24]
        TRY3    "jump through a gate to an inner ring"
        FAR_JUMP FREE2 + 3, 0
        END
        GATE32  (gdt + FREE2), CODE32, 1b, 0x8c
        TRY3    "gate for ring 0"
        FAR_CALL FREE2 + 3, 0
        END
        GATE32  (gdt + FREE2), CODE32, 1b, 0x6c
        TRY3    "gate not present"
        FAR_CALL FREE2 + 3, 0
        END
        GATE32  (gdt + FREE2), DATA, 1b, 0xec
        TRY3    "gate to data"
        FAR_CALL FREE2 + 3, 0
        END
        GATE32  (gdt + FREE2), 0, 1b, 0xec
        TRY3    "gate with a null selector"
        FAR_CALL FREE2 + 3, 0
        END
        DESCRIPTOR FREE0, 0x00cf9e00, 0x0000ffff
        GATE32  (gdt + FREE2), FREE0, 1f, 0xec
        TRY3    "gate to conforming code"
        mov     edx, esp
        FAR_CALL FREE2 + 3, 0
1:      mov     ecx, cs
        sub     edx, esp
        END
        SHOW    "cs through the gate", ecx
        SHOW    "bytes pushed", edx
        DESCRIPTOR FREE0, 0x00409b10, 0x0000ffff
        GATE32  (gdt + FREE2), FREE0, (1f-image), 0xe4, 2
        TRY3    "16-bit gate with parameters"
        push    0x22221111
        FAR_CALL FREE2 + 3, 0
1:      mov     ecx, [esp + 4]
        movzx   edx, word ptr [esp + 8]
        movzx   esi, word ptr [esp + 10]
        mov     ebp, esp
        FAR_JUMP CODE32, 1f
1:      END
        SHOW    "parameters", ecx
        SHOW    "old sp", edx
        SHOW    "old ss", esi
        SHOW    "esp", ebp

        TITLE   "RETF and IRET to an outer ring"
        TRY     "RETF to ring 3"
        push    USER_DATA
        push    USER_STACK
        push    USER_CODE32
        push    offset 1f
        retf
1:      mov     ecx, cs
        mov     edx, esp
        END
        SHOW    "cs", ecx
        SHOW    "esp", edx
        TRY     "RETF n to ring 3 releases on both stacks"
        push    USER_DATA
        push    USER_STACK
        push    1
        push    2
        push    USER_CODE32
        push    offset 1f
        retf    8
1:      mov     edx, esp
        END
        SHOW    "esp", edx
        TRY     "data segments of inner rings become null"
        mov     eax, DATA
        mov     es, eax
        mov     fs, eax
        mov     eax, USER_DATA
        mov     gs, eax
        push    USER_DATA
        push    USER_STACK
        push    0x2
        push    USER_CODE32
        push    offset 1f
        iretd
1:      mov     ecx, es
        mov     edx, fs
        mov     esi, gs
        END
        SHOW    "es", ecx
        SHOW    "fs", edx
        SHOW    "gs", esi
        TRY     "IRET with a bad SS"
        push    DATA
        push    USER_STACK
        push    0x2
        push    USER_CODE32
        push    0
        iretd
        END
        TRY     "IRET with a null SS"
        push    0
        push    USER_STACK
        push    0x2
        push    USER_CODE32
        push    0
        iretd
        END
        TRY     "IRET with a null CS"
        push    0x2
        push    0
        push    0
        iretd
        END
        TRY     "IRET to ring 0 code with RPL 3"
        push    USER_DATA
        push    USER_STACK
        push    0x2
        push    CODE32 + 3
        push    0
        iretd
        END
        TRY     "IRET beyond the limit"
        DESCRIPTOR FREE0, 0x00409b00, 0x0000ffff
        push    0x2
        push    FREE0
        push    0x10000
        iretd
        END
        TRY     "16-bit IRET"
        mov     edx, esp
        push    0
        sub     esp, 2
        mov     word ptr [esp + 4], 0x0ed7
        mov     word ptr [esp + 2], CODE16
        mov     word ptr [esp], offset 1f-image
        .byte   0x66, 0xcf              /* iretw */
        .code16
1:      .byte   0x66
        pushf
        .byte   0x66
        pop     cx
        LEAVE16 2f
2:      sub     edx, esp
        END
        SHOW    "flags", ecx
        SHOW    "stack", edx
        TRY     "IRET with NT and no task to return to"
        push    0x4002
        popfd
        push    0x2
        push    CODE32
        push    offset 1f
        mov     dword ptr [TSS_AREA], 0
        iretd
1:      END

        TITLE   "LDT"
        mov     dword ptr [gdt + LDT32 + 4], 0x0000822f
        mov     dword ptr [gdt + LDT32], 0x1000003f
        mov     eax, LDT32
        lldt    ax
        sldt    ecx
        SHOW    "sldt", ecx
        LOCAL_DESCRIPTOR 0x08, 0x00409320, 0x0000000f
        LOCAL_DESCRIPTOR 0x10, 0x00cf9b00, 0x0000ffff
        TRY     "data segment of the LDT"
        mov     eax, 0x0c
        mov     fs, eax
        mov     ecx, fs:[4]
        END
        SHOW    "read", ecx
        TRY     "beyond the LDT"
        mov     eax, 0x44
        mov     fs, eax
        END
        TRY     "code segment of the LDT"
        FAR_JUMP 0x14, 1f
1:      mov     ecx, cs
        END
        SHOW    "cs", ecx
        TRY     "null LDT"
        xor     eax, eax
        lldt    ax
        mov     eax, 0x0c
        mov     fs, eax
        END
        TRY     "LLDT of a data segment"
        mov     eax, DATA
        lldt    ax
        END
        TRY     "LLDT from the LDT"
        mov     eax, 0x0c
        lldt    ax
        END
        TITLE   "TR"
        str     ecx
        SHOW    "str", ecx
        SHOW    "busy", [gdt + TSS32 + 4]
        TRY     "busy TSS"
        mov     eax, TSS32
        ltr     ax
        END
        TRY     "null TR"
        xor     eax, eax
        ltr     ax
        END
        and     byte ptr [gdt + TSS32 + 5], 0xfd
        mov     eax, TSS32
        ltr     ax
        DESCRIPTOR FREE0, 0x0000092f, 0x00000067
        TRY     "TSS not present"
        mov     eax, FREE0
        ltr     ax
        END

        TITLE   "LAR, LSL, VERR, VERW"
        .macro  INSPECT name, selector
        mov     ebx, \selector
        mov     ecx, 0x77777777
        lar     ecx, ebx
        setz    dl
        mov     esi, 0x77777777
        lsl     esi, ebx
        setz    dh
        and     ecx, 0x00f0ff00         /* the rest is undefined (SDM vol. 2A, LAR) */
        verr    bx
        setz    al
        verw    bx
        setz    ah
        movzx   edi, dx
        shl     edi, 16
        mov     di, ax
        SAY     "  \name:"
        SAY     " lar="
        push    ecx
        call    hex
        SAY     " lsl="
        push    esi
        call    hex
        SAY     " zf="
        push    edi
        call    hex
        SAY     "\n"
        .endm
        DESCRIPTOR FREE0, 0x00c09900, 0x00000001
        DESCRIPTOR FREE1, 0x00009100, 0x00000001
        INSPECT "null", 0
        INSPECT "code", CODE32
        INSPECT "data", DATA
        INSPECT "execute-only", FREE0
        INSPECT "read-only", FREE1
        INSPECT "TSS", TSS32
        INSPECT "LDT", LDT32
        INSPECT "call gate", FREE2
        INSPECT "RPL above DPL", DATA + 3
        INSPECT "beyond", GDT_BYTES + 8

        TITLE   "INT1, INT3, INTO, BOUND and others"
        TRY     "INT3"
        int3
        END
        TRY     "INT 3 of two bytes"
        .byte   0xcd, 3
        END
        TRY3    "INT3 in ring 3, gate for ring 0"
        int3
        END
        mov     byte ptr [IDT + 3 * 8 + 5], 0xee
        TRY3    "INT3 in ring 3, gate for ring 3"
        int3
        END
        TRY3    "INT1 needs no privilege"
        .byte   0xf1
        END
        TRY     "INTO without overflow"
        xor     eax, eax
        into
        END
        TRY     "INTO with overflow"
        mov     eax, 0x7fffffff
        inc     eax
        into
        END
        TRY     "BOUND inside"
        mov     dword ptr [DATA_AREA + 0x30], 2
        mov     dword ptr [DATA_AREA + 0x34], 5
        mov     eax, 5
        bound   eax, [DATA_AREA + 0x30]
        END
        TRY     "BOUND above"
        mov     eax, 6
        bound   eax, [DATA_AREA + 0x30]
        END
        TRY     "BOUND below"
        mov     eax, -3
        bound   eax, [DATA_AREA + 0x30]
        END
        TRY     "DIV by zero"
        xor     ecx, ecx
        div     ecx
        END
        TRY     "UD2"
        ud2
        END
        TRY     "LOCK NOP"
        .byte   0xf0, 0x90
        END
        TRY     "x87 with CR0.TS"
        mov     eax, cr0
        or      eax, 8
        mov     cr0, eax
        fninit
        END
        clts
        TRY     "instruction of 16 bytes"
        .byte   0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        END
        mov     eax, cr0
        or      eax, 0x40000
        mov     cr0, eax
        TRY3    "alignment check", 0x40002
        mov     eax, [DATA_AREA + 1]
        END
        TRY3    "aligned", 0x40002
        mov     eax, [DATA_AREA + 4]
        END
        TRY3    "unaligned without AC"
        mov     eax, [DATA_AREA + 1]
        END

        TITLE   "INVLPG"
        TRY     "in ring 0"
        invlpg  [DATA_AREA]
        END
        TRY3    "in ring 3"
        invlpg  [DATA_AREA]
        END
        TRY     "of a register"
        .byte   0x0f, 0x01, 0xff
        END

        TITLE   "SYSENTER and SYSEXIT"
        xor     edx, edx
        mov     ecx, 0x174
        xor     eax, eax
        wrmsr
        TRY3    "SYSENTER with a null CS"
        sysenter
        END
        mov     ecx, 0x174
        mov     eax, CODE32
        wrmsr
        SYSENTER_TARGET 1f
        TRY3    "SYSENTER", 0x3202
        sysenter
1:      mov     ecx, cs
        mov     edx, ss
        mov     esi, esp
        pushfd
        pop     edi
        END
        SHOW    "cs", ecx
        SHOW    "ss", edx
        SHOW    "esp", esi
        SHOW    "flags", edi
        TRY     "SYSEXIT"
        mov     edx, offset 1f
        mov     ecx, USER_STACK - 0x100
        sysexit
1:      mov     ecx, cs
        mov     edx, ss
        mov     esi, esp
        END
        SHOW    "cs", ecx
        SHOW    "ss", edx
        SHOW    "esp", esi
        TRY3    "SYSEXIT in ring 3"
        sysexit
        END
        TRY     "SYSCALL without EFER.SCE"
        syscall
        END

        TITLE   "CR0 and CR4"
        TRY     "LMSW cannot clear PE"
        mov     eax, cr0
        mov     edx, eax
        and     eax, 0xfffe
        lmsw    ax
        mov     ecx, cr0
        xor     ecx, edx
        END
        SHOW    "changed", ecx
        TRY     "CR1"
        .byte   0x0f, 0x20, 0xc8
        END
        TRY     "DR4 is DR6"
        mov     eax, dr6
        mov     edx, eax
        .byte   0x0f, 0x21, 0xe1        /* mov ecx, dr4 */
        END
        SHOW    "dr4", ecx
        mov     eax, 8
        mov     cr4, eax
        TRY     "DR4 with CR4.DE"
        .byte   0x0f, 0x21, 0xe1
        END
        xor     eax, eax
        mov     cr4, eax
        TRY     "SSE without OSFXSR"
        xorps   xmm0, xmm0
        END

        TITLE   "double fault"
        /* #GP whose gate names data: contributory after contributory. */
        IDT_GATE32 13, 1f, 0x8e, DATA
        TRY     "#GP in the delivery of #GP"
        mov     eax, GDT_BYTES + 8
        mov     fs, eax
1:      END
        TRY     "#NP while #UD is delivered is no double fault"
        IDT_GATE32 13, (stubs32 + 13 * 16), 0x8e
        mov     byte ptr [IDT + 6 * 8 + 5], 0x0e
        ud2
        END
        mov     byte ptr [IDT + 6 * 8 + 5], 0x8e
        STOP
image_end:
