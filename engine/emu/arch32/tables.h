/*
 * Page tables of three levels; a part of pagetables.c. The guest kernel runs in ring 1, which is "supervisor" to paging:
 * it is kept out of emu's pages by its segments' limits, and user mode by the entries' U/S bits.
 *
 * The hypervisor's hole is the end of the L2 of the highest GiB, so such an L2 is a type of its own, as in Xen. An L3 has
 * four entries; what follows in its page is not looked at. The processor reads the four when CR3 is loaded.
 */

#define PAGE_L2_TOP PAGE_L4
#define L3_ENTRIES 4
#define L3_TOP_ENTRY 3

/* Reserved in PAE paging (SDM vol. 3A table 4-11). */
#define ALWAYS_REFUSED 0x7ff0000000000000ULL
/* PAT, PWT and PCD select memory types a guest without devices may not use; PS in upper levels is not for PV guests. */
#define L1_REFUSED (ALWAYS_REFUSED | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_LARGE)
#define UPPER_REFUSED (ALWAYS_REFUSED | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_LARGE | PTE_GLOBAL)
#define L3_REFUSED (UPPER_REFUSED | PTE_NO_EXECUTE)
/* A change of an entry in none of these needs no check. */
#define CHECKED_BITS (PTE_ADDRESS | PTE_PRESENT | PTE_WRITE | L3_REFUSED | L1_REFUSED)

/* The entry of an L3 that refers to the L2 of the highest GiB is a kind of its own. */
#define KIND_L3_TOP 8
#define ENTRY_KIND(level, index) ((level) == PAGE_L3 && (index) == L3_TOP_ENTRY ? KIND_L3_TOP : (level))
#define REFUSED(kind)                                                                                                \
    ((kind) == PAGE_L1 ? L1_REFUSED : (kind) == PAGE_L3 || (kind) == KIND_L3_TOP ? L3_REFUSED : UPPER_REFUSED)
/* The type of the table that an entry refers to. */
#define TABLE_BELOW(kind)                                                                                            \
    ((kind) == KIND_L3_TOP ? PAGE_L2_TOP : (kind) == PAGE_L2_TOP ? PAGE_L1 : (enum page_type)((kind)-1))

static bool hypervisor_slot(unsigned level, unsigned index)
{
    return (level == PAGE_L2_TOP && index >= HYPERVISOR_L2_SLOT) || (level == PAGE_L3 && index >= L3_ENTRIES);
}

/* Not for the guest to change while the page is a table: as Xen, that includes the last entry of an L3. */
#define fixed_slot(level, index) (hypervisor_slot(level, index) || ((level) == PAGE_L3 && (index) >= L3_TOP_ENTRY))
#define not_to_walk(level, index, address) ((address) >= M2P_VIRTUAL)

/* As the processor shall see it: in an L3 it takes no rights, accessed or dirty bits. */
static u64 adjusted(unsigned level, u64 entry)
{
    if (level == PAGE_L3 && (entry & PTE_PRESENT))
        return entry & ~(PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY);
    return entry;
}

/* The hypervisor's part of a table whose other entries have been checked. */
static s64 complete_table(unsigned level, u64 *table)
{
    if (level == PAGE_L2_TOP) {
        const u64 *ours = machine(boot.slot256 & PTE_ADDRESS);
        copy_memory(&table[HYPERVISOR_L2_SLOT], &ours[HYPERVISOR_L2_SLOT], (ENTRIES - HYPERVISOR_L2_SLOT) * sizeof(u64));
    }
    /* As Xen: the L2 of the highest GiB must be there, and be this table's alone. */
    if (level == PAGE_L3) {
        u64 top = table[L3_TOP_ENTRY];
        if (!(top & PTE_PRESENT) || (page_info[PTE_MFN(top)] & PAGE_COUNT_MASK) != 1) {
            log_refusal("the last entry of an L3 is missing or shared: value, count", top,
                        top & PTE_PRESENT ? page_info[PTE_MFN(top)] & PAGE_COUNT_MASK : 0);
            return -XEN_EINVAL;
        }
    }
    return 0;
}

static void strip_table(unsigned level, u64 *table)
{
    if (level == PAGE_L2_TOP)
        fill_memory(&table[HYPERVISOR_L2_SLOT], 0, (ENTRIES - HYPERVISOR_L2_SLOT) * sizeof(u64));
}

/* An entry has been written: the processor has its own copy of the L3 in use. */
static void table_changed(unsigned level, u64 table_mfn)
{
    if (level == PAGE_L3 && table_mfn == vcpu.kernel_table)
        flush_tlb();
}
