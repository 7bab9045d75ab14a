/* 64-bit and compatibility mode (SDM vol. 3A 2.2, 5.8, 6.14). */
        .include "common.inc"
        .include "long.inc"

        .macro  FLAGS_BEHIND_GATE name, type
        IDT_GATE64 0x30, 1f, \type
        TRY64   "\name"
        push    0x4202
        popfq
        int     0x30
1:      pushfq
        pop     rcx
        END64
        SHOW64  "flags", rcx
        .endm

        START64

        TITLE64 "segments in 64-bit mode"
        TRY64   "null SS in ring 0"
        xor     eax, eax
        mov     ss, eax
        mov     ecx, ss
        END64
        SHOW64  "ss", rcx
        TRY64   "null SS with RPL 3 in ring 0"
        mov     eax, 3
        mov     ss, eax
        END64
        TRY64   "null DS may be used"
        xor     eax, eax
        mov     ds, eax
        mov     eax, [DATA_AREA]
        END64
        TRY64   "limits do not count"
        DESCRIPTOR64 FREE0, 0x00409300, 0x0000000f
        mov     eax, FREE0
        mov     ds, eax
        mov     eax, [DATA_AREA]
        END64
        TRY64   "bases of FS and GS count"
        mov     dword ptr [DATA_AREA + 0x10], 0x12345678
        DESCRIPTOR64 FREE0, 0x00cf9320, 0x0000ffff
        mov     eax, FREE0
        mov     fs, eax
        mov     ecx, fs:[0x10]
        END64
        SHOW64  "fs:", rcx
        TRY64   "FS base by MSR"
        mov     ecx, 0xc0000100
        mov     eax, DATA_AREA + 0x8
        xor     edx, edx
        wrmsr
        mov     esi, fs:[8]
        rdmsr
        mov     edi, fs
        END64
        SHOW64  "fs:", rsi
        SHOW64  "base", rax
        SHOW64  "selector", rdi
        TRY64   "SWAPGS"
        mov     ecx, 0xc0000101
        mov     eax, 0x1111
        xor     edx, edx
        wrmsr
        mov     ecx, 0xc0000102
        mov     eax, 0x2222
        mov     edx, 0xffff8000
        wrmsr
        swapgs
        mov     ecx, 0xc0000101
        rdmsr
        mov     esi, edx
        mov     edi, eax
        mov     ecx, 0xc0000102
        rdmsr
        END64
        SHOW64  "gs high", rsi
        SHOW64  "gs low", rdi
        SHOW64  "kernel gs", rax
        TRY64_3 "SWAPGS in ring 3"
        swapgs
        END64
        TRY64   "non-canonical FS base"
        mov     ecx, 0xc0000100
        mov     edx, 0x00008000
        wrmsr
        END64
        TRY64   "PUSH of ES"
        .byte   0x06
        END64
        TRY64   "LDS"
        .byte   0xc5, 0x00
        END64
        TRY64   "far jump with an immediate"
        .byte   0xea, 0, 0, 0, 0, 8, 0
        END64

        TITLE64 "canonical addresses"
        mov     rbx, 0x0000800000000000
        TRY64   "read"
        mov     eax, [rbx]
        END64
        TRY64   "read by RBP"
        mov     rbp, rbx
        mov     eax, [rbp]
        END64
        TRY64   "across the hole"
        mov     eax, [rbx - 2]
        END64
        TRY64   "jump"
        jmp     rbx
        END64
        TRY64   "return"
        push    rbx
        ret
        END64
        TRY64   "IRET"
        push    DATA
        push    KERNEL_STACK
        push    2
        push    CODE64
        push    rbx
        iretq
        END64
        TRY64   "LSTAR"
        mov     ecx, 0xc0000082
        xor     eax, eax
        mov     edx, 0x8000
        wrmsr
        END64

        TITLE64 "interrupt gates"
        TRY64   "same ring: the stack is aligned and SS pushed"
        sub     rsp, 5
        int     0x30
        END64
        TRY64_3 "gate for ring 0"
        int     0x30
        END64
        mov     byte ptr [IDT + 0x30 * 16 + 5], 0xee
        TRY64_3 "gate for ring 3: null SS"
        int     0x30
        END64
        TRY64_3 "in compatibility mode", 0x2, USER_CODE32
        .code32
        int     0x30
        .code64
        END64
        mov     byte ptr [IDT + 0x30 * 16 + 5], 0x6e
        TRY64   "not present"
        int     0x30
        END64
        mov     byte ptr [IDT + 0x30 * 16 + 5], 0xe6
        TRY64   "16-bit gate"
        int     0x30
        END64
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 0, CODE32
        TRY64   "gate to 32-bit code"
        int     0x30
        END64
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 0, USER_CODE64
        TRY64   "gate to an outer ring"
        int     0x30
        END64
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 0, 0
        TRY64   "gate with a null selector"
        int     0x30
        END64
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 0, GDT_BYTES
        TRY64   "gate with a selector beyond the table"
        int     0x30
        END64
        TRY64   "vector beyond the table"
        lidt    [1f]
        jmp     2f
1:      .short  0x40f
        .quad   IDT
2:      int     0x41
        END64
        lidt    [idt_pointer64]
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee
        mov     dword ptr [IDT + 0x30 * 16 + 8], 0x8000
        TRY64   "non-canonical target"
        int     0x30
        END64
        FLAGS_BEHIND_GATE "interrupt gate clears IF, TF, NT", 0x8e
        FLAGS_BEHIND_GATE "trap gate keeps IF", 0x8f

        TITLE64 "IST"
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 1
        TRY64   "from ring 0"
        int     0x30
        END64
        TRY64_3 "from ring 3"
        int     0x30
        END64
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 2
        TRY64   "an entry that is not aligned"
        int     0x30
        END64
        IDT_GATE64 0x30, (stubs64 + 0x30 * 16), 0xee, 0
        mov     rax, 0x0000900000000000
        mov     [TSS_AREA + 4], rax
        IDT_GATE64 12, (stubs64 + 12 * 16), 0x8e, 1
        TRY64_3 "RSP0 is not canonical: #SS"
        int     0x30
        END64
        mov     qword ptr [TSS_AREA + 4], RING0_STACK
        IDT_GATE64 12, (stubs64 + 12 * 16), 0x8e

        TITLE64 "LTR, LLDT, table registers"
        str     ecx
        SHOW64  "str", rcx
        TRY64   "busy TSS"
        mov     eax, TSS64
        ltr     ax
        END64
        TRY64   "LLDT"
        mov     dword ptr [gdt + LDT64 + 4], 0x0000822f
        mov     dword ptr [gdt + LDT64], 0x1000003f
        mov     eax, LDT64
        lldt    ax
        mov     dword ptr [LDT_AREA + 8], 0x0000ffff
        mov     dword ptr [LDT_AREA + 12], 0x00cf9320
        mov     eax, 0x0c
        mov     fs, eax
        mov     ecx, fs:[0x10]
        END64
        SHOW64  "fs:", rcx
        TRY64   "null LDT"
        xor     eax, eax
        lldt    ax
        mov     eax, 0x0c
        mov     fs, eax
        END64
        TRY64   "SGDT stores ten bytes"
        mov     rax, -1
        mov     [DATA_AREA + 0x100], rax
        mov     [DATA_AREA + 0x108], rax
        sgdt    [DATA_AREA + 0x100]
        mov     rcx, [DATA_AREA + 0x108]
        movzx   edx, word ptr [DATA_AREA + 0x100]
        END64
        SHOW64  "limit", rdx
        SHOW64  "after the base", rcx
        mov     ecx, 0x77777777
        mov     eax, TSS64
        lar     ecx, eax
        SHOW64  "LAR of the TSS", rcx
        mov     ecx, 0x77777777
        lsl     ecx, eax
        SHOW64  "LSL of the TSS", rcx

        TITLE64 "call gates in 64-bit mode"
        GATE64  (gdt + FREE2), CODE64, 1f, 0xec
        TRY64   "same ring"
        mov     rdx, rsp
        mov     dword ptr [DATA_AREA + 0x20], 0
        mov     dword ptr [DATA_AREA + 0x24], FREE2
        call    fword ptr [DATA_AREA + 0x20]
1:      sub     rdx, rsp
        mov     rcx, [rsp + 8]
        END64
        SHOW64  "bytes pushed", rdx
        SHOW64  "pushed cs", rcx
        TRY64_3 "from ring 3"
        call    fword ptr [DATA_AREA + 0x20]
1:      END64
        mov     dword ptr [DATA_AREA + 0x24], FREE2 + 3
        GATE64  (gdt + FREE2), CODE64, 1f, 0xec
        TRY64_3 "from ring 3 and back"
        mov     r8, rsp
        call    fword ptr [DATA_AREA + 0x20]
        mov     eax, cs
        sub     r8, rsp
        int     DONE
1:      mov     ecx, ss
        mov     rdx, [rsp + 16]
        mov     rsi, [rsp + 24]
        mov     rdi, rsp
        .byte   0x48, 0xcb
        END64
        SHOW64  "cs after", rax
        SHOW64  "stack after", r8
        SHOW64  "ss inside", rcx
        SHOW64  "old rsp", rdx
        SHOW64  "old ss", rsi
        SHOW64  "rsp", rdi
        mov     dword ptr [gdt + FREE2 + 8], 0x8000
        TRY64   "non-canonical target"
        call    fword ptr [DATA_AREA + 0x20]
        END64
        GATE64  (gdt + FREE2), CODE32, 1b, 0xec
        TRY64   "gate to 32-bit code"
        call    fword ptr [DATA_AREA + 0x20]
        END64
        mov     dword ptr [DATA_AREA + 0x24], TSS64
        TRY64   "jump to a TSS"
        jmp     fword ptr [DATA_AREA + 0x20]
        END64

        TITLE64 "compatibility mode"
        TRY64   "far call to 32-bit code and back"
        mov     dword ptr [DATA_AREA + 0x20], offset 1f
        mov     dword ptr [DATA_AREA + 0x24], CODE32
        mov     rbx, 0x1122334455667788
        mov     rdx, rsp
        call    fword ptr [DATA_AREA + 0x20]
        sub     rdx, rsp
        jmp     2f
        .code32
1:      mov     ecx, cs
        mov     esi, esp
        .byte   0x48                    /* dec eax here, REX.W in 64-bit mode */
        mov     edi, 0x12345678
        retf
        .code64
2:      END64
        SHOW64  "cs", rcx
        SHOW64  "rsp there", rsi
        SHOW64  "stack after", rdx
        SHOW64  "rbx is whole", rbx
        TRY64_3 "ring 3", 0x2, USER_CODE32
        .code32
        mov     ecx, cs
        inc     eax
        push    eax
        mov     edx, esp
        .code64
        END64
        SHOW64  "cs", rcx
        SHOW64  "esp", rdx
        TRY64_3 "addresses wrap at 32 bits", 0x2, USER_CODE32
        .code32
        mov     ebx, 0xffffffff
        mov     ecx, [ebx + DATA_AREA + 0x11]
        .code64
        END64
        SHOW64  "read", rcx
        TRY64_3 "null DS counts again", 0x2, USER_CODE32
        .code32
        xor     eax, eax
        mov     ds, eax
        mov     eax, [DATA_AREA]
        .code64
        END64
        TRY64   "L and D both set"
        DESCRIPTOR64 FREE0, 0x00ef9b00, 0x0000ffff
        mov     dword ptr [DATA_AREA + 0x24], FREE0
        jmp     fword ptr [DATA_AREA + 0x20]
        END64

        TITLE64 "IRET and RETF in all widths"
        TRY64   "IRETQ to the same ring loads SS:RSP"
        push    0
        push    KERNEL_STACK - 0x400
        push    2
        push    CODE64
        push    offset 1f
        iretq
1:      mov     rcx, rsp
        mov     edx, ss
        END64
        SHOW64  "rsp", rcx
        SHOW64  "ss", rdx
        TRY64   "IRETD in 64-bit mode"
        sub     rsp, 20
        mov     dword ptr [rsp + 16], DATA
        mov     dword ptr [rsp + 12], KERNEL_STACK - 0x400
        mov     dword ptr [rsp + 8], 2
        mov     dword ptr [rsp + 4], CODE64
        mov     dword ptr [rsp], offset 1f
        .byte   0xcf
1:      mov     rcx, rsp
        END64
        SHOW64  "rsp", rcx
        TRY64   "null SS to ring 3"
        push    3
        push    USER_STACK
        push    2
        push    USER_CODE64
        push    0
        iretq
        END64
        TRY64   "null SS to compatibility mode"
        push    0
        push    USER_STACK
        push    2
        push    CODE32
        push    0
        iretq
        END64
        TRY64   "NT"
        push    0x4002
        popfq
        push    DATA
        push    KERNEL_STACK
        push    2
        push    CODE64
        push    0
        iretq
        END64
        TRY64   "IRETQ loads RF, AC, ID, NT but not VM"
        push    DATA
        push    KERNEL_STACK - 0x400
        push    0x274002
        push    CODE64
        push    offset 1f
        iretq
1:      pushfq
        pop     rcx
        END64
        SHOW64  "flags", rcx
        TRY64   "RETFQ to ring 3"
        push    USER_DATA
        push    USER_STACK
        push    USER_CODE64
        push    offset 1f
        .byte   0x48, 0xcb
1:      mov     ecx, cs
        mov     rdx, rsp
        END64
        SHOW64  "cs", rcx
        SHOW64  "rsp", rdx
        TRY64   "RETFD to compatibility mode, ring 3"
        sub     rsp, 16
        mov     dword ptr [rsp + 12], USER_DATA
        mov     dword ptr [rsp + 8], USER_STACK
        mov     dword ptr [rsp + 4], USER_CODE32
        mov     dword ptr [rsp], offset 1f
        .byte   0xcb
1:      mov     ecx, cs
        END64
        SHOW64  "cs", rcx

        TITLE64 "bases of segments that a return to ring 3 takes away"
        mov     eax, DATA
        mov     fs, eax
        mov     gs, eax
        mov     ecx, 0xc0000100
        mov     eax, DATA_AREA
        xor     edx, edx
        wrmsr
        inc     ecx
        mov     eax, DATA_AREA + 8
        wrmsr
        mov     dword ptr [DATA_AREA], 0x1234
        mov     dword ptr [DATA_AREA + 8], 0x5678
        TRY64_3 "IRETQ"
        mov     eax, fs
        mov     ecx, gs
        mov     edx, fs:[0]
        mov     esi, gs:[0]
        END64
        SHOW64  "fs", rax
        SHOW64  "gs", rcx
        SHOW64  "at fs", rdx
        SHOW64  "at gs", rsi
        xor     eax, eax
        mov     fs, eax
        mov     gs, eax

        TITLE64 "SYSCALL and SYSRET"
        mov     ecx, 0xc0000081
        xor     eax, eax
        mov     edx, CODE64 | ((USER_CODE32 & ~3) << 16)
        wrmsr
        mov     ecx, 0xc0000084
        mov     eax, 0x700
        xor     edx, edx
        wrmsr
        mov     ecx, 0xc0000082
        mov     eax, offset 1f
        wrmsr
        TRY64_3 "SYSCALL in ring 3", 0xad7
        syscall
0:      nop
1:      mov     rax, rcx
        sub     rax, offset 0b
        mov     rsi, rsp
        mov     edx, cs
        mov     edi, ss
        pushfq
        pop     rbx
        END64
        SHOW64  "rcx", rax
        SHOW64  "r11", r11
        SHOW64  "cs", rdx
        SHOW64  "ss", rdi
        SHOW64  "rsp", rsi
        SHOW64  "flags", rbx
        TRY64   "SYSRETQ"
        mov     ecx, offset 1f
        mov     r11d, 0x3ad7
        .byte   0x48, 0x0f, 0x07
1:      mov     eax, cs
        mov     edx, ss
        pushfq
        pop     rbx
        END64
        SHOW64  "cs", rax
        SHOW64  "ss", rdx
        SHOW64  "flags", rbx
        TRY64   "SYSRETD to compatibility mode"
        mov     ecx, offset 1f
        mov     r11d, 0x2
        .byte   0x0f, 0x07
1:      mov     eax, cs
        mov     edx, ss
        END64
        SHOW64  "cs", rax
        SHOW64  "ss", rdx
        TRY64   "SYSRETQ to a non-canonical address"
        mov     rcx, 0x0000800000000000
        mov     r11d, 2
        .byte   0x48, 0x0f, 0x07
        END64
        TRY64   "SYSRETQ that sets TF: no instruction before the trap"
        mov     ecx, offset 1f
        mov     r11d, 0x102
        .byte   0x48, 0x0f, 0x07
1:      nop
        nop
        END64
        TRY64_3 "SYSRET in ring 3"
        .byte   0x0f, 0x07
        END64
        mov     ecx, 0xc0000080
        rdmsr
        and     eax, ~1
        wrmsr
        TRY64   "SYSCALL without EFER.SCE"
        syscall
        END64
        TRY64   "SYSRET without EFER.SCE"
        .byte   0x0f, 0x07
        END64
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 1
        wrmsr

        TITLE64 "SYSENTER and SYSEXIT in 64-bit mode"
        mov     ecx, 0x174
        mov     eax, CODE32
        xor     edx, edx
        wrmsr
        SYSENTER_TARGET 1f
        TRY64_3 "SYSENTER"
        sysenter
1:      mov     eax, cs
        mov     edx, ss
        mov     rsi, rsp
        END64
        SHOW64  "cs", rax
        SHOW64  "ss", rdx
        SHOW64  "rsp", rsi
        TRY64   "SYSEXIT with REX.W"
        mov     edx, offset 1f
        mov     ecx, USER_STACK - 0x80
        .byte   0x48, 0x0f, 0x35
1:      mov     eax, cs
        mov     edx, ss
        mov     rsi, rsp
        END64
        SHOW64  "cs", rax
        SHOW64  "ss", rdx
        SHOW64  "rsp", rsi
        TRY64   "SYSEXIT to a non-canonical address"
        mov     rdx, 0x0000800000000000
        mov     ecx, USER_STACK
        .byte   0x48, 0x0f, 0x35
        END64

        TITLE64 "EFER, CR0, CR4, CR8"
        TRY64   "LMA is read-only"
        mov     ecx, 0xc0000080
        mov     eax, 0x901
        xor     edx, edx
        wrmsr
        rdmsr
        END64
        SHOW64  "efer", rax
        TRY64   "CR8"
        mov     eax, 5
        mov     cr8, rax
        mov     rcx, cr8
        END64
        SHOW64  "cr8", rcx
        xor     eax, eax
        mov     cr8, rax
        TRY64   "unknown MSR"
        mov     ecx, 0x12345678
        rdmsr
        END64
        TRY64   "CR0.TS and SSE"
        mov     rax, cr0
        or      eax, 8
        mov     cr0, rax
        xorps   xmm0, xmm0
        END64
        clts
        TRY64   "CR0.EM and SSE"
        mov     rax, cr0
        or      eax, 4
        mov     cr0, rax
        xorps   xmm0, xmm0
        END64
        mov     rax, cr0
        and     eax, ~4
        mov     cr0, rax
        TRY64   "MOVAPS, unaligned"
        movaps  xmm0, [DATA_AREA + 1]
        END64

        TITLE64 "single step"
        mov     qword ptr [returning], 1
        TRY64   "three instructions"
        push    0x102
        popfq
        nop
        inc     eax
        push    0x2
        popfq
        END64
        SAY64   "  MOV SS holds the trap off:\n"
        TRY64   "MOV SS"
        mov     ecx, DATA
        push    0x102
        popfq
        mov     ss, ecx
        nop
        nop
        push    0x2
        popfq
        END64
        TRY64   "a jump, taken"
        push    0x102
        popfq
        jmp     1f
        nop
1:      push    0x2
        popfq
        END64
        TRY64   "PUSHF shows TF"
        push    0x102
        popfq
        pushfq
        pop     rcx
        push    0x2
        popfq
        END64
        SHOW64  "flags", rcx
        TRY64_3 "in ring 3", 0x102
        nop
        push    0x2
        popfq
        END64
        mov     qword ptr [returning], 0
        IDT_GATE64 0x30, 1f, 0xee
        TRY64   "INT n clears TF before the trap"
        push    0x102
        popfq
        int     0x30
1:      pushfq
        pop     rcx
        END64
        mov     qword ptr [returning], 1
        TRY64   "INT n with TF, stepping"
        push    0x102
        popfq
        int     0x30
1:      pushfq
        pop     rcx
        push    0x2
        popfq
        END64
        mov     qword ptr [returning], 0

        TITLE64 "single step of a repeated instruction"
        mov     qword ptr [returning], 1
        TRY64   "REP traps after each element"
        mov     edi, DATA_AREA + 0x200
        mov     ecx, 3
        push    0x102
        popfq
        rep stosb
        push    0x2
        popfq
        END64
        mov     qword ptr [returning], 0

        TITLE64 "double fault"
        IDT_GATE64 13, 1f, 0x8e, 0, DATA
        TRY64   "#GP in the delivery of #GP"
        mov     rbx, 0x0000800000000000
        mov     rax, [rbx]
1:      END64
        IDT_GATE64 13, (stubs64 + 13 * 16), 0x8e
        IDT_GATE64 8, (stubs64 + 8 * 16), 0x8e, 1
        mov     byte ptr [IDT + 14 * 16 + 5], 0x0e
        TRY64   "#NP in the delivery of #PF"
        mov     rax, [0x40000000]
        END64
        TRY64   "#PF in the delivery of #PF: stack not mapped, double fault on IST 1"
        mov     byte ptr [IDT + 14 * 16 + 5], 0x8e
        mov     rsp, 0x40001000
        mov     rax, [0x40000000]
        END64
        STOP64
image_end:
