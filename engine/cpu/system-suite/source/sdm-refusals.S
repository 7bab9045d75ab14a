/* What qemu does not refuse but a processor does: control registers, reserved bits, segments of a kind. */
        .include "common.inc"

        .code32
start:
        mov     esp, KERNEL_STACK
        call    setup32

        /* SDM vol. 2B, MOV - Move to/from Control Registers, protected mode exceptions: #GP(0). */
        TITLE   "control registers (SDM vol. 2B MOV to CR)"
        TRY     "PG without PE"
        mov     eax, 0x80000010
        mov     cr0, eax
        END
        TRY     "NW without CD"
        mov     eax, cr0
        or      eax, 0x20000000
        mov     cr0, eax
        END
        TRY     "reserved bit of CR4"
        mov     eax, 0x00800000
        mov     cr4, eax
        END

        /* SDM vol. 3A 17.3.1.1: a fault is pushed with RF set, a trap without. */
        TITLE   "RF in pushed flags (SDM vol. 3A 17.3.1.1)"
        .macro  PUSHED_RF name, vector, bytes, instruction:vararg
        IDT_GATE32 \vector, 8f, 0x8f
        \instruction
        nop
8:      mov     eax, [esp + \bytes]
        add     esp, \bytes + 4
        and     eax, 0x10000
        SHOW    "\name", eax
        .endm
        PUSHED_RF "#UD", 6, 8, ud2
        PUSHED_RF "#BP", 3, 8, int3
        PUSHED_RF "INT 0x30", 0x30, 8, int 0x30
        mov     eax, GDT_BYTES
        PUSHED_RF "#GP", 13, 12, mov fs, eax
        STOP
image_end:
