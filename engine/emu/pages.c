/*
 * The type of every machine page and how often it is used as that: the rules that keep a guest from writing its own
 * page tables or descriptors. A page is a page table of one level, or holds descriptors, or is mapped writable, never
 * two of them at once.
 */
#include "emu.h"

u32 *page_info;
xen_pfn_t *machine_to_phys;

/*
 * The TLB may hold what the page types no longer allow: a writable mapping that was given up, a page table that was
 * given up. It is flushed before such a page can become the other.
 */
static bool stale_writable, stale_table;

void pages_init(void)
{
    page_info = machine(boot.page_info);
    machine_to_phys = machine(boot.m2p);
    for (u64 mfn = 0; mfn < boot.ram_pages; mfn++)
        machine_to_phys[mfn] = mfn;
    fill_memory(&machine_to_phys[boot.ram_pages], 0xff, M2P_FILLED_BYTES - boot.ram_pages * sizeof(xen_pfn_t));
}

/* RAM that belongs to the guest at present. */
bool page_is_ram(u64 mfn)
{
    return mfn < boot.ram_pages && !(page_info[mfn] & PAGE_RELEASED);
}

enum page_type page_type(u64 mfn)
{
    return (enum page_type)((page_info[mfn] >> PAGE_TYPE_SHIFT) & 15);
}

/* Whether the page's contents allow it to be used as `type`. */
static s64 become(u64 mfn, enum page_type type)
{
    switch (type) {
    case PAGE_L1:
    case PAGE_L2:
    case PAGE_L3:
    case PAGE_L4:
        return table_validate(mfn, type);
    case PAGE_DESCRIPTORS:
        return descriptors_validate(mfn);
    default:
        return 0;
    }
}

/* Takes a reference to `mfn` as `type`: 0, or -EINVAL if it is in use as another, or is not fit for it. */
s64 page_get(u64 mfn, enum page_type type)
{
    if (!page_is_ram(mfn))
        return -XEN_EINVAL;
    u32 info = page_info[mfn];
    if (info & PAGE_COUNT_MASK) {
        if (page_type(mfn) != type || (info & PAGE_COUNT_MASK) == PAGE_COUNT_MASK)
            return -XEN_EINVAL;
        page_info[mfn] = info + 1;
        return 0;
    }
    /* The type is set before the entries are looked at, so that a table that maps itself writable is refused. */
    page_info[mfn] = (u32)type << PAGE_TYPE_SHIFT | 1;
    if (type == PAGE_WRITABLE) {
        if (stale_table)
            flush_tlb();
        return 0;
    }
    if (stale_writable)
        flush_tlb();
    s64 result = become(mfn, type);
    if (result != 0)
        page_info[mfn] = 0;
    return result;
}

void page_put(u64 mfn, enum page_type type)
{
    if (--page_info[mfn] & PAGE_COUNT_MASK)
        return;
    if (type == PAGE_WRITABLE)
        stale_writable = true;
    else
        stale_table = true;
    if (type <= PAGE_L4)
        table_devalidate(mfn, type);
    page_info[mfn] = 0;
}

void flush_tlb(void)
{
    stale_writable = stale_table = false;
    write_cr3(read_cr3());
}

void load_cr3(u64 mfn)
{
    word cr3 = mfn << PAGE_SHIFT;
    if (read_cr3() != cr3)
        statistics->cr3_switches++;
    stale_writable = stale_table = false;
    write_cr3(cr3);
}
