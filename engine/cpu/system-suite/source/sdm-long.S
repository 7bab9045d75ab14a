/* What qemu does not refuse in 64-bit mode but a processor does: addresses in descriptor tables that are not canonical. */
        .include "common.inc"
        .include "long.inc"

        START64

        /* SDM vol. 2A, LGDT/LIDT and LTR, 64-bit mode exceptions: #GP(0) and #GP(selector). */
        TITLE64 "table registers (SDM vol. 2A LGDT, LTR)"
        TRY64   "LGDT with a non-canonical base"
        mov     word ptr [DATA_AREA + 0x100], 0xff
        mov     rax, 0x0000900000000000
        mov     [DATA_AREA + 0x102], rax
        lgdt    [DATA_AREA + 0x100]
        END64
        DESCRIPTOR64 FREE0, 0x0000892f, 0x00000067
        DESCRIPTOR64 FREE1, 0x00000000, 0x00008000
        TRY64   "non-canonical base"
        mov     eax, FREE0
        ltr     ax
        END64
        /* SDM vol. 2B, MOV to CR: #GP(0) for a bit beyond the physical address. */
        TITLE64 "CR3 (SDM vol. 2B MOV to CR)"
        TRY64   "CR3 with a reserved bit"
        mov     rax, 0x0000010000400000
        mov     cr3, rax
        END64
        /* SDM vol. 3A 2.5 (CR4.PAE) and 2.2.1 (EFER.LME): neither changes while paging is on. */
        TITLE64 "IA-32e mode cannot be left by one bit (SDM vol. 3A 2.2.1, 2.5)"
        TRY64   "LME cannot change while paging"
        mov     ecx, 0xc0000080
        mov     eax, 0x801
        xor     edx, edx
        wrmsr
        END64
        TRY64   "PAE cannot be cleared"
        mov     eax, 0x600
        mov     cr4, rax
        END64
        /* SDM vol. 2B, SYSCALL: #UD if CS.L is 0. qemu does as AMD's processors do. */
        TITLE64 "SYSCALL is of 64-bit code alone (SDM vol. 2B SYSCALL)"
        TRY64_3 "in compatibility mode", 0x2, USER_CODE32
        .byte   0x0f, 0x05
        END64
        STOP64
image_end:
