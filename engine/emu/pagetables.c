/*
 * Guest page tables: what an entry may say, and the references it holds. The processor walks the guest's own tables,
 * so nothing may stand in them that emu has not checked.
 */
#include "emu.h"

#define ENTRIES 512
#define GROUP 8

#include "tables.h"

/* Takes the references a present entry needs. */
static s64 entry_get(unsigned kind, u64 entry)
{
    u64 mfn = PTE_MFN(entry);
    if (entry & REFUSED(kind))
        return -XEN_EINVAL;
    if (kind > PAGE_L1)
        return page_get(mfn, TABLE_BELOW(kind));
    if (!page_is_ram(mfn))
        return mfn == boot.shared_info >> PAGE_SHIFT || grant_frame(mfn) ? 0 : -XEN_EINVAL;
    return entry & PTE_WRITE ? page_get(mfn, PAGE_WRITABLE) : 0;
}

/* Gives them back. */
static void entry_put(unsigned kind, u64 entry)
{
    u64 mfn = PTE_MFN(entry);
    if (kind > PAGE_L1)
        page_put(mfn, TABLE_BELOW(kind));
    else if (mfn >= boot.ram_pages)
        return;
    else if (entry & PTE_WRITE)
        page_put(mfn, PAGE_WRITABLE);
    else if (page_type(mfn) == PAGE_DESCRIPTORS)
        ldt_forget_pages();
}

/* Most tables are nearly empty: whether the GROUP entries from `index` on can be passed over. */
static inline bool group_empty(const u64 *table, unsigned index)
{
    const u64 *at = &table[index];
    return !((at[0] | at[1] | at[2] | at[3] | at[4] | at[5] | at[6] | at[7]) & PTE_PRESENT);
}

/* The first present entry of the guest's at or after `index`; ENTRIES if there is none. */
static inline unsigned next_present(const u64 *table, unsigned level, unsigned index)
{
    for (; index < ENTRIES; index++) {
        while (index % GROUP == 0 && index < ENTRIES && group_empty(table, index))
            index += GROUP;
        if (index < ENTRIES && (table[index] & PTE_PRESENT) && !hypervisor_slot(level, index))
            return index;
    }
    return ENTRIES;
}

static void put_entries(u64 *table, unsigned level, unsigned end)
{
    for (unsigned index = 0; (index = next_present(table, level, index)) < end; index++)
        entry_put(ENTRY_KIND(level, index), table[index]);
}

/* Checks a page that is about to become a table of `level`; it holds no references if the answer is an error. */
s64 table_validate(u64 mfn, unsigned level)
{
    u64 *table = view(VIEW_PAGE + level, mfn);
    for (unsigned index = 0; (index = next_present(table, level, index)) < ENTRIES; index++) {
        u64 entry = table[index];
        s64 result = entry_get(ENTRY_KIND(level, index), entry);
        if (result != 0) {
            log_refusal("page-table entry refused: value, table * 16 + level", entry, mfn << 4 | level);
            put_entries(table, level, index);
            return result;
        }
        if (adjusted(level, entry) != entry)
            table[index] = adjusted(level, entry);
    }
    s64 result = complete_table(level, table);
    if (result != 0)
        put_entries(table, level, ENTRIES);
    return result;
}

void table_devalidate(u64 mfn, unsigned level)
{
    u64 *table = view(VIEW_PAGE + level, mfn);
    put_entries(table, level, ENTRIES);
    strip_table(level, table);
}

static s64 plain_write(u64 mfn, u64 *at, u64 value)
{
    s64 result = page_get(mfn, PAGE_WRITABLE);
    if (result == 0) {
        *at = value;
        page_put(mfn, PAGE_WRITABLE);
    }
    return result;
}

/*
 * Writes `value` to `entry`, which lies in page `table_mfn` of the guest's RAM. A page that is no page table is
 * written like any other memory, as Xen does.
 */
s64 entry_update(u64 table_mfn, u64 *entry, u64 value, bool preserve_ad)
{
    unsigned level = page_type(table_mfn);
    u64 old = *entry;

    if (level == PAGE_NONE || level > PAGE_L4)
        return plain_write(table_mfn, entry, value);
    unsigned index = ((word)entry / sizeof(u64)) % ENTRIES;
    if (fixed_slot(level, index))
        return -XEN_EINVAL;
    if (preserve_ad)
        value |= old & (PTE_ACCESSED | PTE_DIRTY);
    value = adjusted(level, value);
    if (!((old ^ value) & CHECKED_BITS)) {
        *entry = value;
        return 0;
    }
    if (value & PTE_PRESENT) {
        s64 result = entry_get(ENTRY_KIND(level, index), value);
        if (result != 0) {
            log_refusal("page-table update refused: value, table * 16 + level", value, table_mfn << 4 | level);
            return result;
        }
    }
    *(volatile u64 *)entry = value;
    table_changed(level, table_mfn);
    if (old & PTE_PRESENT)
        entry_put(ENTRY_KIND(level, index), old);
    return 0;
}

/* The L1 entry for a guest kernel address, and the page it lies in; 0 if there is no L1 there. */
u64 *walk_to_l1(word address, u64 *l1_mfn)
{
    u64 mfn = vcpu.kernel_table;
    for (unsigned level = TOP_LEVEL; level > PAGE_L1; level--) {
        unsigned index = (address >> (PAGE_SHIFT + 9 * (level - 1))) % ENTRIES;
        u64 entry = ((u64 *)view(VIEW_ENTRY, mfn))[index];
        if (!(entry & PTE_PRESENT) || not_to_walk(level, index, address))
            return 0;
        mfn = PTE_MFN(entry);
    }
    *l1_mfn = mfn;
    return (u64 *)view(VIEW_ENTRY, mfn) + (address >> PAGE_SHIFT) % ENTRIES;
}

/* The RAM page behind a guest kernel address. */
bool walk_to_mfn(word address, u64 *mfn)
{
    u64 l1_mfn;
    u64 *entry = is_canonical(address) ? walk_to_l1(address, &l1_mfn) : 0;
    if (!entry || !(*entry & PTE_PRESENT))
        return false;
    *mfn = PTE_MFN(*entry);
    return page_is_ram(*mfn);
}

/* The new base is in force before the old one is given up. */
s64 load_kernel_table(u64 mfn)
{
    static bool loaded;
    u64 old = vcpu.kernel_table;
    s64 result = page_get(mfn, TOP_LEVEL);
    if (result != 0)
        return result;
    vcpu.kernel_table = mfn;
    if (vcpu.in_kernel)
        load_cr3(mfn);
    if (loaded)
        page_put(old, TOP_LEVEL);
    loaded = true;
    return 0;
}

/* `mfn` 0: the guest has no user mode for now. */
s64 load_user_table(u64 mfn)
{
    u64 old = vcpu.user_table;
    if (mfn != 0 && page_get(mfn, TOP_LEVEL) != 0)
        return -XEN_EINVAL;
    vcpu.user_table = mfn;
    if (old != 0)
        page_put(old, TOP_LEVEL);
    return 0;
}
