/* Debug registers: code and data breakpoints (SDM vol. 3A 17.2, 17.3). */
        .include "debug.inc"

        START64

        TITLE64 "code breakpoints"
        DR      0, offset 5f
        DR      7, 0x402
        TRY64   "fault before the instruction"
        nop
5:      mov     ecx, 1
        END64
        TRY64   "RF passes over it once"
        push    DATA
        push    KERNEL_STACK - 0x400
        push    0x10002
        push    CODE64
        push    offset 5b
        iretq
        END64
        TRY64_3 "in ring 3"
        mov     eax, offset 6f
        jmp     rax
6:      nop
        END64
        DR      0, offset 5f
        TRY64   "disabled"
        DR      7, 0x400
5:      nop
        END64

        TITLE64 "what DR6 said before"
        DR      0, offset 5f
        DR      7, 0x402
        TRY64   "the hits go, single step stays"
        DR      6, 0xffff4fff
5:      nop
        END64

        TITLE64 "data breakpoints"
        mov     qword ptr [returning], 1
        DR      0, DATA_AREA
        DR      1, DATA_AREA + 8
        DR      7, 0xbd040a             /* 0: write, 4 bytes; 1: any access, 8 bytes */
        TRY64   "write"
        mov     dword ptr [DATA_AREA], 1
        nop
        END64
        TRY64   "read of a write breakpoint"
        mov     ecx, [DATA_AREA]
        nop
        END64
        DR      7, 0xb1040a             /* 0: write, 1 byte; 1: any access, 8 bytes */
        TRY64   "read of an access breakpoint"
        mov     ecx, [DATA_AREA + 12]
        nop
        END64
        REARM
        TRY64   "byte next to it"
        mov     cl, [DATA_AREA + 16]
        nop
        END64
        REARM
        TRY64   "both at once"
        movups  [DATA_AREA], xmm0
        nop
        END64
        REARM
        TRY64   "read-modify-write"
        inc     byte ptr [DATA_AREA]
        nop
        END64
        REARM
        TRY64_3 "in ring 3"
        mov     dword ptr [DATA_AREA], 1
        nop
        END64
        DR      7, 0x400
        TRY64   "disabled"
        mov     dword ptr [DATA_AREA], 1
        nop
        END64
        mov     qword ptr [returning], 0

        STOP64
image_end:
