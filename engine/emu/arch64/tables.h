/* Page tables of four levels; a part of pagetables.c. */

/* PAT, PWT and PCD select memory types a guest without devices may not use; PS in upper levels is not for PV guests. */
#define L1_REFUSED (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_LARGE)
#define UPPER_REFUSED (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_LARGE | PTE_GLOBAL)
/* A change of an entry in none of these needs no check. */
#define CHECKED_BITS (PTE_ADDRESS | PTE_PRESENT | PTE_WRITE | UPPER_REFUSED | L1_REFUSED)

/* Entries of one level are all of one kind. */
#define ENTRY_KIND(level, index) (level)
#define REFUSED(kind) ((kind) == PAGE_L1 ? L1_REFUSED : UPPER_REFUSED)
/* The type of the table that an entry refers to. */
#define TABLE_BELOW(kind) ((enum page_type)((kind)-1))

static bool hypervisor_slot(unsigned level, unsigned index)
{
    return level == PAGE_L4 && index >= HYPERVISOR_L4_SLOT && index <= HYPERVISOR_LAST_L4_SLOT;
}

/* Not for the guest to change while the page is a table, and not a way to an address of the guest's. */
#define fixed_slot(level, index) hypervisor_slot(level, index)
#define not_to_walk(level, index, address) hypervisor_slot(level, index)

/* As the processor shall see it: the guest kernel runs in ring 3 too, and no mapping may survive a CR3 load. */
static u64 adjusted_entry(u64 entry)
{
    return entry & PTE_PRESENT ? (entry | PTE_USER) & ~PTE_GLOBAL : entry;
}
#define adjusted(level, entry) adjusted_entry(entry)

/* The hypervisor's part of a table whose other entries have been checked. */
static s64 complete_table(unsigned level, u64 *table)
{
    if (level == PAGE_L4) {
        /* emu may be running on this very table: its own slot must never be empty. */
        table[HYPERVISOR_L4_SLOT] = boot.slot256;
        for (unsigned index = HYPERVISOR_L4_SLOT + 1; index <= HYPERVISOR_LAST_L4_SLOT; index++)
            table[index] = 0;
    }
    return 0;
}

static void strip_table(unsigned level, u64 *table)
{
    if (level == PAGE_L4)
        table[HYPERVISOR_L4_SLOT] = 0;
}

/* An entry has been written: the processor reads all levels from memory. */
#define table_changed(level, table_mfn)
