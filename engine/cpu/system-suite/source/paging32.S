/* 32-bit paging with 4 MiB pages, and PAE paging outside IA-32e mode (SDM vol. 3A 4.3, 4.4). */
        .include "common.inc"

        .set    PD32, TABLES
        .set    PT32, TABLES + 0x1000
        .set    PDPT_PAE, TABLES + 0x2000
        .set    PD_PAE, TABLES + 0x3000
        .set    PD_PAE1, TABLES + 0x4000
        .set    PT_PAE, TABLES + 0x5000
        .set    TESTED, 0x40000000
        .set    FRAME, 0x500000

        .macro  FLUSH
        mov     eax, cr3
        mov     cr3, eax
        .endm

        .macro  SIX name
        FLUSH
        TRY     "\name, read"
        mov     eax, [TESTED]
        END
        TRY     "\name, write"
        mov     dword ptr [TESTED + 8], eax
        END
        TRY     "\name, fetch"
        mov     eax, TESTED
        call    eax
        END
        TRY3    "\name, user read"
        mov     eax, [TESTED]
        END
        TRY3    "\name, user write"
        mov     dword ptr [TESTED + 8], eax
        END
        TRY3    "\name, user fetch"
        mov     eax, TESTED
        call    eax
        END
        .endm

        START32
        mov     byte ptr [FRAME], 0xc3
        /* 64 MiB to themselves by 4 MiB pages. */
        mov     edi, PD32
        mov     eax, 0x87
        mov     ecx, 16
1:      mov     [edi], eax
        add     eax, 0x400000
        add     edi, 4
        loop    1b
        mov     dword ptr [PD32 + 0x400], PT32 + 7
        mov     eax, PD32
        mov     cr3, eax
        mov     eax, 0x10               /* PSE */
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80010000
        mov     cr0, eax

        TITLE   "32-bit paging: permissions"
        SIX     "not present"
        mov     dword ptr [PT32], FRAME + 7
        SIX     "user, writable"
        mov     dword ptr [PT32], FRAME + 5
        SIX     "user, read-only"
        mov     dword ptr [PT32], FRAME + 3
        SIX     "supervisor, writable"
        mov     dword ptr [PT32], FRAME + 7
        mov     dword ptr [PD32 + 0x400], PT32 + 5
        SIX     "read-only in the directory"
        mov     dword ptr [PD32 + 0x400], PT32 + 3
        SIX     "supervisor in the directory"
        mov     dword ptr [PD32 + 0x400], PT32 + 7
        mov     dword ptr [PT32], FRAME + 5
        mov     eax, cr0
        and     eax, ~0x10000
        mov     cr0, eax
        SIX     "read-only, WP clear"
        mov     eax, cr0
        or      eax, 0x10000
        mov     cr0, eax

        TITLE   "32-bit paging: accessed, dirty, large pages"
        mov     dword ptr [PT32], FRAME + 7
        mov     dword ptr [PD32 + 0x400], PT32 + 7
        FLUSH
        mov     eax, [TESTED]
        SHOW    "after a read", [PT32]
        SHOW    "directory", [PD32 + 0x400]
        mov     [TESTED + 8], eax
        SHOW    "after a write", [PT32]
        mov     dword ptr [0x800000 + 0x123450], 0x600d
        mov     dword ptr [PD32 + 0x400], 0x800087
        FLUSH
        SHOW    "4 MiB page", [TESTED + 0x123450]
        SHOW    "entry", [PD32 + 0x400]
        mov     [TESTED + 0x123450], eax
        SHOW    "dirty", [PD32 + 0x400]
        mov     dword ptr [PD32 + 0x400], 0xa00087
        SIX     "reserved bit 21 of a 4 MiB page"
        mov     dword ptr [PT32], FRAME + 7
        mov     dword ptr [PD32 + 0x400], PT32 + 7
        FLUSH
        mov     dword ptr [FRAME + 0x1000], 0x2222
        mov     dword ptr [FRAME], 0x1111
        mov     eax, [TESTED]
        mov     dword ptr [PT32], FRAME + 0x1007
        invlpg  [TESTED]
        SHOW    "after INVLPG", [TESTED]
        TITLE   "PAE paging"
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        mov     byte ptr [FRAME], 0xc3
        IDENTITY_2M PD_PAE, 0x87, 32
        mov     dword ptr [PDPT_PAE], PD_PAE + 1
        mov     dword ptr [PDPT_PAE + 8], PD_PAE1 + 1
        mov     dword ptr [PD_PAE1], PT_PAE + 7
        mov     dword ptr [PT_PAE], FRAME + 7
        mov     eax, PDPT_PAE
        mov     cr3, eax
        mov     eax, 0x20
        mov     cr4, eax
        mov     ecx, 0xc0000080
        mov     eax, 0x800
        xor     edx, edx
        wrmsr
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        SIX     "user, writable"
        mov     dword ptr [PT_PAE + 4], 0x80000000
        SIX     "no execute"
        mov     dword ptr [PT_PAE + 4], 0
        mov     dword ptr [PT_PAE], FRAME + 1
        SIX     "supervisor, read-only"
        mov     dword ptr [PT_PAE], FRAME + 7
        SHOW    "page accessed and dirty", [PT_PAE]
        mov     dword ptr [0x600000 + 0x12340], 0x77
        mov     dword ptr [PD_PAE1], 0x600087
        FLUSH
        SHOW    "2 MiB page", [TESTED + 0x12340]
        mov     dword ptr [PD_PAE1], PT_PAE + 7
        /* Pointer entries are loaded with CR3, not looked at later. */
        mov     dword ptr [PDPT_PAE + 8], 0
        invlpg  [TESTED]
        TRY     "pointer entry changed in memory only"
        mov     eax, [TESTED]
        END
        FLUSH
        TRY     "pointer entry after CR3"
        mov     eax, [TESTED]
        END
        STOP
image_end:
