/* System instructions in all their widths, and those whose answers belong to the machine: what can be said of any. */
        .include "common.inc"
        .include "long.inc"

        START32

        TITLE   "stores of system registers, 32-bit"
        .macro  STORED name, instruction:vararg
        mov     ecx, 0x77777777
        \instruction
        SHOW    "\name", ecx
        .endm
        STORED  "SLDT cx", sldt cx
        STORED  "SLDT ecx", sldt ecx
        STORED  "STR cx", str cx
        STORED  "STR ecx", str ecx
        STORED  "SMSW cx", smsw cx
        mov     eax, CODE32
        mov     ecx, 0x77777777
        .byte   0x66, 0x0f, 0x02, 0xc8  /* lar cx, ax */
        SHOW    "LAR cx", ecx
        mov     ecx, 0x77777777
        .byte   0x66, 0x0f, 0x03, 0xc8  /* lsl cx, ax */
        SHOW    "LSL cx", ecx
        .byte   0x66, 0x0f, 0x00, 0xe0  /* verr ax */
        setz    cl
        .byte   0x66, 0x0f, 0x00, 0xe8  /* verw ax */
        setz    ch
        SHOW    "VERR, VERW", ecx
        mov     dword ptr [DATA_AREA], -1
        mov     dword ptr [DATA_AREA + 4], -1
        sidt    [DATA_AREA]
        SHOW    "SIDT", [DATA_AREA]
        SHOW    "SIDT rest", [DATA_AREA + 4]
        mov     dword ptr [DATA_AREA], -1
        mov     dword ptr [DATA_AREA + 4], -1
        sgdt    [DATA_AREA]
        movzx   ecx, word ptr [DATA_AREA]
        SHOW    "SGDT limit", ecx
        SHOW    "SGDT rest", [DATA_AREA + 4]
        mov     dword ptr [DATA_AREA], -1
        mov     dword ptr [DATA_AREA + 4], -1
        .byte   0x66, 0x0f, 0x01, 0x0d  /* sidt with 16-bit operands */
        .long   DATA_AREA
        SHOW    "SIDT, 16-bit", [DATA_AREA + 4]
        mov     dword ptr [DATA_AREA + 4], -1
        .byte   0x66, 0x0f, 0x01, 0x05  /* sgdt */
        .long   DATA_AREA
        SHOW    "SGDT, 16-bit", [DATA_AREA + 4]
        STORED  "SMSW ecx", smsw ecx
        and     byte ptr [gdt + TSS64 + 5], 0xfd
        call    setup64
        .code64

        TITLE64 "stores of system registers, 64-bit"
        .macro  STORED64 name, instruction:vararg
        mov     rcx, 0x7777777777777777
        \instruction
        SHOW64  "\name", rcx
        .endm
        STORED64 "SLDT cx", sldt cx
        STORED64 "SLDT rcx", .byte 0x48, 0x0f, 0x00, 0xc1
        STORED64 "STR rcx", .byte 0x48, 0x0f, 0x00, 0xc9
        STORED64 "SMSW rcx", smsw rcx
        mov     eax, CODE32
        mov     rcx, 0x7777777777777777
        .byte   0x48, 0x0f, 0x02, 0xc8  /* lar rcx, rax */
        and     rcx, ~0xf0000           /* undefined */
        SHOW64  "LAR rcx", rcx
        STORED64 "LSL rcx", .byte 0x48, 0x0f, 0x03, 0xc8
        .byte   0x48, 0x0f, 0x00, 0xe0
        setz    cl
        .byte   0x48, 0x0f, 0x00, 0xe8
        setz    ch
        movzx   ecx, cx
        SHOW64  "VERR, VERW", rcx
        mov     rax, -1
        mov     [DATA_AREA], rax
        mov     [DATA_AREA + 8], rax
        sidt    [DATA_AREA]
        SHOW64  "SIDT", [DATA_AREA]
        SHOW64  "SIDT rest", [DATA_AREA + 8]

        TITLE64 "CPUID"
        xor     eax, eax
        cpuid
        SHOW64  "maker 1", rbx
        SHOW64  "maker 2", rdx
        SHOW64  "maker 3", rcx
        mov     eax, 1
        cpuid
        and     edx, 0x0787a979         /* FPU PSE TSC MSR PAE CX8 SEP PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
        SHOW64  "features", rdx
        mov     eax, 0x80000008
        cpuid
        and     eax, 0xffff
        SHOW64  "address bits", rax

        TITLE64 "RDTSCP, RDPMC, RDRAND, RDSEED"
        mov     ecx, 0xc0000103
        mov     eax, 0x1234
        xor     edx, edx
        wrmsr
        rdtscp
        SHOW64  "RDTSCP ecx", rcx
        rdtsc
        mov     esi, eax
        mov     edi, edx
        rdtsc
        shl     rdx, 32
        or      rax, rdx
        shl     rdi, 32
        or      rsi, rdi
        cmp     rax, rsi
        setae   cl
        movzx   ecx, cl
        SHOW64  "time goes on", rcx
        TRY64_3 "RDPMC in ring 3"
        xor     ecx, ecx
        rdpmc
        END64
        .macro  RANDOM name, instruction:vararg
        mov     rcx, -1
        \instruction
        pushfq
        pop     rdx
        and     edx, 0x8d5
        SHOW64  "\name flags", rdx
        mov     rdx, rcx
        shr     rdx, 32
        cmp     edx, -1
        setne   dl
        movzx   edx, dl
        SHOW64  "\name changes the upper half", rdx
        .endm
        RANDOM  "RDRAND cx", rdrand cx
        RANDOM  "RDRAND ecx", rdrand ecx
        RANDOM  "RDRAND rcx", rdrand rcx
        RANDOM  "RDSEED cx", rdseed cx
        RANDOM  "RDSEED ecx", rdseed ecx
        RANDOM  "RDSEED rcx", rdseed rcx
        STOP64
image_end:
