/* A fault while a double fault is delivered shuts the processor down (SDM vol. 3A 6.15, interrupt 8). */
        .include "common.inc"

        START32
        TITLE   "triple fault (SDM vol. 3A 6.15)"
        SAY     "  before\n"
        mov     byte ptr [IDT + 13 * 8 + 5], 0
        mov     byte ptr [IDT + 8 * 8 + 5], 0
        mov     byte ptr [IDT + 11 * 8 + 5], 0
        mov     eax, GDT_BYTES
        mov     fs, eax
        SAY     "  after\n"
        STOP
image_end:
