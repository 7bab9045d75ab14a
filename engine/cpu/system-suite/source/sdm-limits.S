/* The limit of the code segment, which qemu's interpreter does not look at. SDM vol. 3A 5.3; vol. 2, JMP, Jcc, CALL, RET, LOOP. */
        .include "common.inc"

        .set    LOW_CODE, 0x80          /* FREE0: ends at `edge` */

        START32
        DESCRIPTOR LOW_CODE, (0x00c09b00 + (((edge - image + IMAGE - 1) >> 12) & 0xf0000)), (((edge - image + IMAGE - 1) >> 12) & 0xffff)

        /* ip is told relative to the end of the segment. */
        .macro  TRY_LOW name, target
        TRY     "\name"
        mov     dword ptr [tried], offset edge
        xor     eax, eax
        FAR_JUMP LOW_CODE, \target
        .endm

        TITLE   "the end of the code segment (SDM vol. 3A 5.3)"
        TRY_LOW "runs past the end", past
        END
        TRY_LOW "an instruction across the end", across
        END
        TRY_LOW "the last instruction", last
        END
        TRY_LOW "JMP", jump
        END
        TRY_LOW "Jcc, taken", taken
        END
        TRY_LOW "Jcc, not taken", not_taken
        END
        TRY_LOW "CALL", call_
        END
        TRY_LOW "RET", ret_
        END
        TRY_LOW "LOOP", loop_
        END
        TRY_LOW "indirect JMP", indirect
        END
        TRY     "far JMP to it"
        mov     dword ptr [tried], offset edge
        FAR_JUMP LOW_CODE, edge
        END
        /* The same bytes under a larger limit. */
        DESCRIPTOR LOW_CODE, 0x00cf9b00, 0xffff
        TRY_LOW "the limit is larger now", past
        END
        TRY_LOW "JMP, the limit is larger now", jump
        END
        STOP

        .balign 4096
        .fill   4096 - (edge - low), 1, 0x90
low:
jump:   jmp     edge
taken:  test    eax, eax
        jz      edge
not_taken:
        test    eax, eax
        jnz     edge
        int     DONE
call_:  call    edge
ret_:   push    offset edge
        ret
loop_:  mov     ecx, 2
        loop    edge
indirect:
        mov     ecx, offset edge
        jmp     ecx
last:   int     DONE
across: .byte   0xb8                    /* mov eax, what lies across the edge */
past:   nop
        nop
edge:   nop
        nop
        int     DONE
image_end:
