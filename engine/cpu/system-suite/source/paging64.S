/* 4-level paging: permissions, reserved bits, sizes, accessed and dirty bits, error codes, translations kept (SDM vol. 3A 4.5-4.10). */
        .include "common.inc"
        .include "long.inc"

        /* Tables of the tests: PDPT entry 1, from 0x40000000. */
        .set    PD1, TABLES + 0x3000
        .set    PT1, TABLES + 0x4000
        .set    TESTED, 0x40000000
        .set    FRAME, 0x500000
        .set    PTE_NX, 0x80000000

        .macro  ENTRY at, low, high=0
        mov     dword ptr [\at], \low
        mov     dword ptr [\at + 4], \high
        .endm

        .macro  FLUSH
        mov     rax, cr3
        mov     cr3, rax
        .endm

        /* read, write, fetch from ring 0 and ring 3 */
        .macro  SIX name
        FLUSH
        TRY64   "\name, read"
        mov     eax, [TESTED]
        END64
        TRY64   "\name, write"
        mov     dword ptr [TESTED + 8], eax
        END64
        TRY64   "\name, fetch"
        call    2f
        jmp     1f
2:      mov     eax, TESTED
        jmp     rax
1:      END64
        TRY64_3 "\name, user read"
        mov     eax, [TESTED]
        END64
        TRY64_3 "\name, user write"
        mov     dword ptr [TESTED + 8], eax
        END64
        TRY64_3 "\name, user fetch"
        call    2f
        jmp     1f
2:      mov     eax, TESTED
        jmp     rax
1:      END64
        .endm

        START64
        mov     byte ptr [FRAME], 0xc3  /* ret */
        ENTRY   PDPT + 8, PD1 + 7
        ENTRY   PD1, PT1 + 7

        TITLE64 "permissions"
        ENTRY   PT1, 0
        SIX     "not present"
        ENTRY   PT1, FRAME + 7
        SIX     "user, writable"
        ENTRY   PT1, FRAME + 5
        SIX     "user, read-only"
        ENTRY   PT1, FRAME + 3
        SIX     "supervisor, writable"
        ENTRY   PT1, FRAME + 1
        SIX     "supervisor, read-only"
        mov     rax, cr0
        and     eax, ~0x10000
        mov     cr0, rax
        SIX     "supervisor, read-only, WP clear"
        mov     rax, cr0
        or      eax, 0x10000
        mov     cr0, rax
        ENTRY   PT1, FRAME + 7, PTE_NX
        SIX     "no execute"
        ENTRY   PT1, FRAME + 7
        ENTRY   PD1, PT1 + 7, PTE_NX
        SIX     "no execute in the directory"
        ENTRY   PD1, PT1 + 5
        SIX     "read-only in the directory"
        ENTRY   PD1, PT1 + 3
        SIX     "supervisor in the directory"
        ENTRY   PD1, PT1 + 7

        TITLE64 "reserved bits"
        ENTRY   PT1, FRAME + 7, 0x00000100
        SIX     "physical address bit 40"
        ENTRY   PT1, FRAME + 6, 0x00000100
        SIX     "not present counts first"
        mov     ecx, 0xc0000080
        rdmsr
        and     eax, ~0x800
        wrmsr
        ENTRY   PT1, FRAME + 7, PTE_NX
        SIX     "NX without EFER.NXE"
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 0x800
        wrmsr
        ENTRY   PT1, FRAME + 7
        ENTRY   PD1, 0x600000 + 0x2087
        SIX     "bit 13 of a 2 MiB page"
        ENTRY   PD1, PT1 + 7
        ENTRY   (PML4+0x808), PDPT + 0x87
        TRY64   "PS in the top table"
        mov     rax, 0xffff808040000000
        mov     rax, [rax]
        END64

        TITLE64 "large pages"
        ENTRY   PD1, 0x600000 + 0x87
        mov     dword ptr [0x600000 + 0x12344], 0xabcd0001
        FLUSH
        mov     ecx, [TESTED + 0x12344]
        SHOW64  "2 MiB page", rcx
        SHOW64  "accessed", [PD1]
        mov     dword ptr [TESTED + 0x12344], 1
        SHOW64  "dirty", [PD1]
        ENTRY   PDPT + 8, 0x87
        FLUSH
        mov     rcx, [TESTED + 0x600000 + 0x12344]
        SHOW64  "1 GiB page", rcx
        SHOW64  "entry", [PDPT + 8]
        ENTRY   PDPT + 8, 0x2087
        SIX     "bit 13 of a 1 GiB page"
        ENTRY   PDPT + 8, PD1 + 7
        ENTRY   PD1, PT1 + 7

        TITLE64 "accessed and dirty"
        ENTRY   PT1, FRAME + 7
        FLUSH
        mov     eax, [TESTED]
        SHOW64  "after a read", [PT1]
        SHOW64  "directory", [PD1]
        mov     [TESTED + 8], eax
        SHOW64  "after a write", [PT1]
        ENTRY   PT1, FRAME + 5
        FLUSH
        TRY64   "write to a read-only page"
        mov     [TESTED + 8], eax
        END64
        mov     rcx, [PT1]
        and     ecx, 0x40
        SHOW64  "dirty", rcx
        ENTRY   PT1, FRAME + 7
        ENTRY   PT1 + 8, 0
        FLUSH
        TRY64   "write across into a page not present"
        mov     dword ptr [TESTED + 0xffe], 0x11223344
        END64
        mov     ecx, [FRAME + 0xffe]
        and     ecx, 0xffff
        SHOW64  "first half", rcx
        TRY64   "16-byte access across"
        movups  xmm0, [TESTED + 0xff8]
        END64
        ENTRY   PT1 + 8, FRAME + 0x1007
        ENTRY   PT1, 0
        FLUSH
        TRY64   "read across from a page not present"
        mov     eax, [TESTED + 0xffe]
        END64
        ENTRY   PT1, FRAME + 7
        ENTRY   PT1 + 8, 0
        mov     byte ptr [FRAME + 0xfff], 0xb8  /* mov eax, imm32 */
        FLUSH
        TRY64   "instruction across into a page not present"
        mov     eax, TESTED + 0xfff
        jmp     rax
        END64

        TITLE64 "translations that are kept and forgotten"
        mov     dword ptr [FRAME], 0x1111
        mov     dword ptr [FRAME + 0x1000], 0x2222
        ENTRY   PT1, FRAME + 7
        FLUSH
        mov     eax, [TESTED]
        ENTRY   PT1, FRAME + 0x1007
        invlpg  [TESTED + 0x123]
        mov     ecx, [TESTED]
        SHOW64  "after INVLPG", rcx
        ENTRY   PT1, FRAME + 7
        FLUSH
        mov     ecx, [TESTED]
        SHOW64  "after CR3", rcx
        ENTRY   PT1, 0
        invlpg  [TESTED]
        TRY64   "unmapped and INVLPG"
        mov     ecx, [TESTED]
        END64
        ENTRY   PT1, FRAME + 0x1007
        mov     ecx, [TESTED]
        SHOW64  "not present is not kept", rcx
        ENTRY   PT1, FRAME + 0x1005
        FLUSH
        TRY64   "read-only now"
        mov     [TESTED], ecx
        END64
        ENTRY   PD1, 0x600087
        mov     dword ptr [0x600000], 0x3333
        FLUSH
        mov     ecx, [TESTED]
        SHOW64  "table replaced by a large page", rcx
        ENTRY   PD1, PT1 + 7
        invlpg  [TESTED]
        mov     ecx, [TESTED]
        SHOW64  "and back by INVLPG", rcx
        mov     eax, 0x6a0              /* PGE */
        mov     cr4, rax
        ENTRY   PT1, FRAME + 0x107
        mov     eax, [TESTED]
        ENTRY   PT1, FRAME + 0x1107
        invlpg  [TESTED]
        mov     ecx, [TESTED]
        SHOW64  "global page after INVLPG", rcx
        ENTRY   PT1, FRAME + 0x107
        mov     eax, 0x620
        mov     cr4, rax
        mov     ecx, [TESTED]
        SHOW64  "global page after PGE is cleared", rcx
        /* Another address space with the same addresses. */
        ENTRY   TABLES + 0x5000, TABLES + 0x6007
        ENTRY   TABLES + 0x6000, PD + 7
        ENTRY   TABLES + 0x6008, TABLES + 0x7007
        ENTRY   TABLES + 0x7000, TABLES + 0x8007
        ENTRY   TABLES + 0x8000, FRAME + 0x1007
        ENTRY   PT1, FRAME + 7
        FLUSH
        mov     esi, [TESTED]
        mov     eax, TABLES + 0x5000
        mov     cr3, rax
        mov     edi, [TESTED]
        ENTRY   PT1, FRAME + 0x1007
        ENTRY   TABLES + 0x8000, FRAME + 7
        mov     eax, PML4
        mov     cr3, rax
        mov     ebx, [TESTED]
        mov     eax, TABLES + 0x5000
        mov     cr3, rax
        mov     ecx, [TESTED]
        mov     eax, PML4
        mov     cr3, rax
        SHOW64  "first space", rsi
        SHOW64  "second space", rdi
        SHOW64  "first space, changed meanwhile", rbx
        SHOW64  "second space, changed before the switch", rcx

        TITLE64 "INVLPG far from any large page"
        ENTRY   (PML4+0x900), PDPT + 7
        ENTRY   PT1, FRAME + 7
        FLUSH
        mov     rbx, 0xffff900000000000 + TESTED
        mov     esi, [rbx]
        ENTRY   PT1, FRAME + 0x1007
        invlpg  [rbx + 0x123]
        mov     edi, [rbx]
        SHOW64  "before", rsi
        SHOW64  "after", rdi

        TITLE64 "code that changes"
        ENTRY   PT1, FRAME + 7
        FLUSH
        mov     dword ptr [FRAME], 0x0001b8
        mov     dword ptr [FRAME + 4], 0x9090c300
        mov     eax, TESTED
        call    rax
        SHOW64  "first", rax
        mov     byte ptr [FRAME + 1], 2
        mov     eax, TESTED
        call    rax
        SHOW64  "through another address", rax
        mov     byte ptr [TESTED + 1], 3
        mov     eax, TESTED
        call    rax
        SHOW64  "through the same address", rax
        mov     ecx, 3
        xor     eax, eax
1:      mov     byte ptr [2f + 1], cl
        jmp     2f
2:      add     al, 0x55
        loop    1b
        SHOW64  "in a loop", rax
        mov     byte ptr [2f + 1], 0x77
2:      mov     al, 0x11
        SHOW64  "the next instruction", rax
        mov     dword ptr [FRAME + 0x1000], 0x0009b8
        mov     dword ptr [FRAME + 0x1004], 0x9090c300
        ENTRY   PT1, FRAME + 0x1007
        invlpg  [TESTED]
        mov     eax, TESTED
        call    rax
        SHOW64  "another frame at the same address", rax

        TITLE64 "1 TiB and beyond"
        mov     rbx, 0xffff800000000000
        ENTRY   (PML4+0x800), PDPT + 7
        FLUSH
        mov     ecx, [rbx + 0x40000000]
        SHOW64  "upper half", rcx
        TRY64_3 "user read of the upper half"
        mov     rbx, 0xffff800080000000
        mov     eax, [rbx]
        END64
        STOP64
image_end:
