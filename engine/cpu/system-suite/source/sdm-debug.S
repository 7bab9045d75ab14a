/* Debug registers where qemu does not do what the manual says. */
        .include "debug.inc"

        START64

        /* SDM vol. 3A 17.3.1.4 and table 17-2: one #DB for both, with BS and the breakpoint's bit in DR6. */
        TITLE64 "data breakpoint and single step (SDM vol. 3A 17.3.1.4)"
        mov     qword ptr [returning], 1
        DR      0, DATA_AREA
        DR      7, 0x10402
        TRY64   "together with TF"
        push    0x102
        popfq
        mov     byte ptr [DATA_AREA], 1
        push    2
        popfq
        END64
        DR      7, 0x400
        mov     qword ptr [returning], 0

        /* SDM vol. 3A 6.8.3 and vol. 2A, INT n: what a load of SS holds off comes with the next debug exception, as one. */
        TITLE64 "data breakpoint of MOV SS, then INT1 (SDM vol. 3A 6.8.3)"
        mov     qword ptr [returning], 1
        mov     dword ptr [DATA_AREA], DATA
        DR      0, DATA_AREA
        DR      7, 0xf0402
        TRY64   "one exception, behind INT1"
        mov     ss, [DATA_AREA]
        .byte   0xf1
        nop
        END64
        DR      7, 0x400
        mov     qword ptr [returning], 0

        /* SDM vol. 3A 17.2.4: a fault before the instruction, with BD in DR6; GD is cleared on entry to the handler. */
        TITLE64 "general detect (SDM vol. 3A 17.2.4)"
        TRY64   "MOV to DR0 with DR7.GD"
        DR      7, 0x2400
        mov     dr0, rax
        END64
        mov     rcx, dr7
        SHOW64  "dr7 after", rcx
        STOP64
image_end:
