/* Real mode and virtual-8086 mode, as far as boot trampolines and monitors go (SDM vol. 3A chapter 20, 9.9). */
        .include "common.inc"

        .set    LOW, 0x8000             /* where the 16-bit code is copied to */
        .set    REAL_RESULT, 0x9000

        .code32
        /* Enters virtual-8086 mode at a label of the low code; ends like TRY3. */
        .macro  TRY_V86 name, target, flags=0x20002
        call    say
        .asciz  "  \name: "
        mov     dword ptr [resume], offset 77f
        mov     dword ptr [tried], \target-low_code
        mov     [saved_sp], esp
        push    0x4444                  /* GS FS DS ES */
        push    0x3333
        push    LOW >> 4
        push    0x1111
        push    0x0900                  /* SS:SP */
        push    0x0100
        push    \flags
        push    LOW >> 4
        push    \target-low_code
        iretd
77:
        .endm

        START32
        mov     esi, offset low_code
        mov     edi, LOW
        mov     ecx, low_code_end-low_code
        rep movsb
        mov     dword ptr [TSS_AREA + 0x64], 0x680000

        TITLE   "virtual-8086 mode"
        TRY_V86 "INT n with IOPL 0", v_int
        TRY_V86 "INT n with IOPL 3, gate for ring 3", v_int, 0x23002
        mov     byte ptr [IDT + 0x30 * 8 + 5], 0xee
        TRY_V86 "INT 0x30 with IOPL 3: frame with data segments", v_int30, 0x23002
        TRY_V86 "CLI with IOPL 0", v_cli
        TRY_V86 "CLI with IOPL 3", v_cli, 0x23002
        TRY_V86 "PUSHF with IOPL 0", v_pushf
        TRY_V86 "POPF with IOPL 0", v_popf
        TRY_V86 "IRET with IOPL 0", v_iret
        TRY_V86 "IRET with IOPL 3", v_iret, 0x23002
        SHOW    "ax", [REAL_RESULT]
        TRY_V86 "HLT", v_hlt
        TRY_V86 "MOV from CR0", v_cr0
        TRY_V86 "LLDT is not there", v_lldt
        TRY_V86 "IN without bitmap", v_in, 0x23002
        mov     byte ptr [IDT + 3 * 8 + 5], 0xee
        TRY_V86 "INT3 with IOPL 0", v_int3
        TRY_V86 "segments are selector * 16", v_segments, 0x23002
        SHOW    "read", [REAL_RESULT]
        SHOW    "cs ds", [REAL_RESULT + 4]
        TRY_V86 "far call and return", v_far, 0x23002
        SHOW    "pushed", [REAL_RESULT]
        SHOW    "sp", [REAL_RESULT + 4]
        TRY_V86 "UD2", v_ud2
        TRY_V86 "PUSHF with IOPL 3", v_pushf_store, 0x23202
        SHOW    "flags", [REAL_RESULT]

        TITLE   "real mode"
        DESCRIPTOR FREE4, 0x00009b00, (LOW << 16) + 0xffff
        DESCRIPTOR FREE3, 0x00009300, (LOW << 16) + 0xffff
        lidt    [real_idt]
        FAR_JUMP FREE4, (r_leave-low_code)
image_real_back:
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     esp, KERNEL_STACK
        lidt    [idt_pointer]
        .macro  RESULT name, n
        movzx   eax, word ptr [REAL_RESULT + \n * 2]
        SHOW    "\name", eax
        .endm
        RESULT  "cs", 0
        RESULT  "ds of selector * 16", 1
        RESULT  "INT: pushed ip", 2
        RESULT  "INT: pushed cs", 3
        RESULT  "INT: pushed flags", 4
        RESULT  "INT: flags inside", 5
        RESULT  "INT: bytes pushed", 6
        RESULT  "#DE vector taken", 7
        RESULT  "#DE pushed ip", 8
        RESULT  "far call pushed cs", 9
        RESULT  "far call bytes", 10
        RESULT  "32-bit operand", 11
        RESULT  "32-bit address", 12
        RESULT  "SMSW", 13
        RESULT  "#UD of LLDT", 14
        RESULT  "32-bit far return", 15
        RESULT  "POPF may change IOPL", 16
        RESULT  "16-bit SP wraps", 17
        STOP

        .code16
low_code:
v_int:  int     0x10
v_int30: int    0x30
v_cli:  cli
        int     DONE
v_pushf: pushf
        int     DONE
v_popf: popf
        int     DONE
v_iret: pushf
        push    LOW >> 4
        push    (1f-low_code)
        iret
1:      mov     ax, 0x600d
        mov     cs:[REAL_RESULT - LOW], ax
        int     DONE
v_hlt:  hlt
v_cr0:  mov     eax, cr0
v_lldt: lldt    ax
v_in:   in      al, 0x80
        int     DONE
v_int3: int3
v_ud2:  ud2
v_segments:
        mov     ax, LOW >> 4
        add     ax, 1
        mov     ds, ax
        mov     eax, ds:[0]
        mov     cs:[REAL_RESULT - LOW], eax
        mov     ax, cs
        mov     cs:[REAL_RESULT - LOW + 6], ax
        mov     ax, ds
        mov     cs:[REAL_RESULT - LOW + 4], ax
        int     DONE
v_far:  mov     bx, sp
        .byte   0x9a
        .short  1f-low_code, LOW >> 4
        mov     cs:[REAL_RESULT - LOW + 4], sp
        mov     word ptr cs:[REAL_RESULT - LOW + 6], 0
        int     DONE
1:      pop     eax
        push    eax
        shr     eax, 16
        mov     cs:[REAL_RESULT - LOW], eax
        retf
v_pushf_store:
        .byte   0x66
        pushf
        pop     eax
        mov     cs:[REAL_RESULT - LOW], eax
        int     DONE

        /* 16-bit protected mode to real mode and through its tests. */
r_leave:
        mov     ax, FREE3
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     fs, ax
        mov     gs, ax
        mov     eax, cr0
        and     al, 0xfe
        mov     cr0, eax
        .byte   0xea
        .short  1f-low_code, LOW >> 4
1:      mov     ax, cs
        mov     ss, ax
        mov     sp, 0x0f00
        mov     es, ax
        mov     cs:[REAL_RESULT - LOW], ax
        /* DS one paragraph up: its byte 0 is CS's byte 16. */
        inc     ax
        mov     ds, ax
        mov     ax, ds:[0]
        sub     ax, cs:[0x10]
        mov     cs:[REAL_RESULT - LOW + 2], ax
        mov     ax, cs
        mov     ds, ax
        /* The vector table at 0. */
        xor     ax, ax
        mov     fs, ax
        mov     word ptr fs:[0x21 * 4], offset 2f-low_code
        mov     word ptr fs:[0x21 * 4 + 2], LOW >> 4
        mov     word ptr fs:[0], offset 3f-low_code
        mov     word ptr fs:[2], LOW >> 4
        mov     word ptr fs:[6 * 4], offset 4f-low_code
        mov     word ptr fs:[6 * 4 + 2], LOW >> 4
        push    0x0246
        popf
        mov     bx, sp
        int     0x21
5:      jmp     6f
2:      mov     bp, sp
        mov     ax, [bp]
        sub     ax, offset 5b-low_code
        mov     ds:[REAL_RESULT - LOW + 4], ax
        mov     ax, [bp + 2]
        mov     ds:[REAL_RESULT - LOW + 6], ax
        mov     ax, [bp + 4]
        mov     ds:[REAL_RESULT - LOW + 8], ax
        pushf
        pop     ax
        mov     ds:[REAL_RESULT - LOW + 10], ax
        sub     bx, sp
        mov     ds:[REAL_RESULT - LOW + 12], bx
        iret
6:      cli
        xor     cx, cx
7:      div     cx
        jmp     8f
3:      mov     word ptr ds:[REAL_RESULT - LOW + 14], 1
        mov     bp, sp
        mov     ax, [bp]
        sub     ax, offset 7b-low_code
        mov     ds:[REAL_RESULT - LOW + 16], ax
        add     word ptr [bp], 2
        iret
8:      mov     bx, sp
        .byte   0x9a
        .short  1f-low_code, LOW >> 4
        jmp     2f
1:      mov     bp, sp
        mov     ax, [bp + 2]
        mov     ds:[REAL_RESULT - LOW + 18], ax
        sub     bx, sp
        mov     ds:[REAL_RESULT - LOW + 20], bx
        retf
2:      mov     eax, 0x12345678
        shr     eax, 16
        mov     ds:[REAL_RESULT - LOW + 22], ax
        mov     ebx, REAL_RESULT - LOW
        mov     ax, [ebx]
        mov     ds:[REAL_RESULT - LOW + 24], ax
        smsw    ax
        mov     ds:[REAL_RESULT - LOW + 26], ax
        mov     word ptr ds:[REAL_RESULT - LOW + 28], 0
        lldt    ax
        jmp     5f
4:      mov     word ptr ds:[REAL_RESULT - LOW + 28], 1
        mov     bp, sp
        add     word ptr [bp], 3
        iret
5:      mov     eax, LOW >> 4
        push    eax
        mov     eax, 6f-low_code
        push    eax
        .byte   0x66, 0xcb
        ud2
6:      mov     ds:[REAL_RESULT - LOW + 30], sp
        push    0x3002
        popf
        pushf
        pop     ax
        mov     ds:[REAL_RESULT - LOW + 32], ax
        push    2
        popf
        mov     bx, sp
        mov     sp, 1
        inc     sp
        push    ax
        push    ax
        mov     ds:[REAL_RESULT - LOW + 34], sp
        mov     sp, bx
        /* Back to protected mode. */
        .byte   0x66, 0x2e, 0x0f, 0x01, 0x16
        .short  gdt_copy-low_code
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea
        .long   image_real_back
        .short  CODE32
gdt_copy:
        .short  GDT_BYTES - 1
        .long   gdt
low_code_end:
        .balign 4
real_idt:
        .short  0x3ff
        .long   0
        .code32
image_end:
