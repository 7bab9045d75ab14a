/* What qemu does not refuse but a processor does: control registers, reserved bits, segments of a kind. */
        .include "common.inc"

        START32

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

        /* CPUID offers neither VME, nor SMEP, SMAP, UMIP, PKE, PCIDE, MCE, PCE. */
        .macro  REFUSED_CR4 name, bit
        TRY     "\name"
        mov     eax, 1 << \bit
        mov     cr4, eax
        END
        .endm
        REFUSED_CR4 "VME", 0
        REFUSED_CR4 "PVI", 1
        REFUSED_CR4 "MCE", 6
        REFUSED_CR4 "PCE", 8
        REFUSED_CR4 "UMIP", 11
        REFUSED_CR4 "PCIDE", 17
        REFUSED_CR4 "SMEP", 20
        REFUSED_CR4 "SMAP", 21
        REFUSED_CR4 "PKE", 22

        /* SDM vol. 2B, WRMSR: #GP(0) for reserved bits. */
        TITLE   "reserved bits of MSRs (SDM vol. 2B WRMSR)"
        .macro  REFUSED_MSR name, msr, low, high
        TRY     "\name"
        mov     ecx, \msr
        mov     eax, \low
        mov     edx, \high
        wrmsr
        END
        .endm
        REFUSED_MSR "EFER bit 1", 0xc0000080, 2, 0
        REFUSED_MSR "EFER bit 63", 0xc0000080, 0, 0x80000000
        REFUSED_MSR "TSC_AUX bit 32", 0xc0000103, 0, 1
        REFUSED_MSR "PAT with type 2", 0x277, 0x00070402, 0x00070406
        REFUSED_MSR "SYSENTER_EIP, not canonical", 0x176, 0, 0x8000

        /* SDM vol. 3A 4.4.1: #GP(0) at the load of CR3. */
        TITLE   "page-directory-pointer entries (SDM vol. 3A 4.4.1)"
        mov     edi, TABLES
        mov     ecx, 1024
        xor     eax, eax
        rep     stosd
        IDENTITY_2M (TABLES + 0x1000), 0x83, 16
        mov     dword ptr [TABLES], TABLES + 0x1001
        mov     eax, TABLES
        mov     cr3, eax
        mov     eax, 0x20
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        .macro  REFUSED_PDPTE name, low, high
        TRY     "\name"
        mov     dword ptr [TABLES + 24], \low
        mov     dword ptr [TABLES + 28], \high
        mov     eax, TABLES
        mov     cr3, eax
        END
        .endm
        REFUSED_PDPTE "writable", TABLES + 0x1003, 0
        REFUSED_PDPTE "bit 40", TABLES + 0x1001, 0x100
        REFUSED_PDPTE "bit 63", TABLES + 0x1001, 0x80000000
        REFUSED_PDPTE "not present: the rest does not matter", 0x1e6, 0xfff00100
        REFUSED_PDPTE "good", TABLES + 0x1001, 0

        /* SDM vol. 3A 4.4.2: bits 52-62 are reserved in PAE paging; error code P and RSVD. */
        TITLE   "reserved bits of PAE entries (SDM vol. 3A 4.4.2, 4.7)"
        .macro  REFUSED_PDE name, low, high
        mov     dword ptr [TABLES + 0x1000 + 15 * 8], \low
        mov     dword ptr [TABLES + 0x1004 + 15 * 8], \high
        TRY     "\name"
        mov     eax, [15 * 0x200000]
        END
        .endm
        REFUSED_PDE "bit 52", 0x01e00083, 0x00100000
        REFUSED_PDE "bit 62", 0x01e00083, 0x40000000
        REFUSED_PDE "bit 40", 0x01e00083, 0x100
        REFUSED_PDE "bit 13 of a large page", 0x01e02083, 0
        REFUSED_PDE "none", 0x01e00083, 0
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax

        /* SDM vol. 3A 2.5, CR4.OSXMMEXCPT. */
        TITLE   "unmasked SIMD exceptions (SDM vol. 3A 2.5)"
        .macro  SIMD_EXCEPTION name, bits
        mov     eax, \bits
        mov     cr4, eax
        TRY     "\name"
        mov     dword ptr [DATA_AREA], 0x1d80
        ldmxcsr [DATA_AREA]
        xorps   xmm0, xmm0
        mov     dword ptr [DATA_AREA], 0x3f800000
        movss   xmm1, dword ptr [DATA_AREA]
        divss   xmm1, xmm0
        END
        .endm
        SIMD_EXCEPTION "with OSXMMEXCPT", 0x600
        SIMD_EXCEPTION "without", 0x200

        /* SDM vol. 2B, MOVNTI: an integer store; neither CR0.EM, CR0.TS nor CR4.OSFXSR matters. */
        TITLE   "MOVNTI (SDM vol. 2B)"
        xor     eax, eax
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0xc
        mov     cr0, eax
        TRY     "with EM and TS, without OSFXSR"
        movnti  [DATA_AREA], eax
        END
        TRY     "MOVNTPS beside it"
        movntps [DATA_AREA], xmm0
        END
        mov     eax, cr0
        and     eax, ~0xc
        mov     cr0, eax

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
