/*
 * Descriptor tables. The GDT is seen through a window of 15 pages: 14 of the guest's frames and emu's own page with
 * the selectors Xen promises. The LDT has a window of 16 pages that is filled when the guest first touches one.
 * A guest's descriptors may describe code and data of ring 3, and nothing else.
 */
#include "emu.h"

#define GUEST_GDT_PAGES 14
#define GUEST_GDT_ENTRIES (GUEST_GDT_PAGES * 512)
#define LDT_PAGES 16
#define LDT_ENTRIES 8192
/* Index of the LDT window in the L1 that maps both. */
#define LDT_L1_INDEX ((LDT_VIRTUAL - GDT_VIRTUAL) >> PAGE_SHIFT)

#define WINDOW_ENTRY (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE)

#include "segments.h"

static u64 own_gdt_page[512] __attribute__((aligned(4096)));
static u8 empty_page[4096] __attribute__((aligned(4096)));

static xen_pfn_t gdt_frames[GUEST_GDT_PAGES];
static unsigned gdt_pages;
static word ldt_base, ldt_entries;
static u64 ldt_frames[LDT_PAGES];
static u32 ldt_mapped; /* bit for each page of the window */

static u64 *window(void)
{
    return machine(boot.descriptor_l1);
}

static u64 image_address(const void *object)
{
    return boot.region_base + ((word)object - IMAGE_VIRTUAL);
}

/* Index in emu's own page of the GDT. */
static u64 *own(u16 selector)
{
    return &own_gdt_page[(selector >> 3) - GUEST_GDT_ENTRIES];
}

static void map_gdt(void)
{
    for (unsigned page = 0; page < GUEST_GDT_PAGES; page++) {
        u64 address = page < gdt_pages ? (u64)gdt_frames[page] << PAGE_SHIFT : image_address(empty_page);
        window()[page] = address | WINDOW_ENTRY;
        invalidate_page(GDT_VIRTUAL + page * PAGE_SIZE);
    }
}

#include "gates.h"

/* A page that is about to hold descriptors. */
s64 descriptors_validate(u64 mfn)
{
    u64 *descriptors = view(VIEW_PAGE, mfn);
    for (unsigned index = 0; index < 512; index++)
        if (!descriptor_acceptable(&descriptors[index])) {
            log_refusal("descriptor refused: value, page", descriptors[index], mfn);
            return -XEN_EINVAL;
        }
    return 0;
}

s64 do_set_gdt(word frames, word entries)
{
    xen_pfn_t new_frames[GUEST_GDT_PAGES];
    if (entries > GUEST_GDT_ENTRIES)
        return -XEN_EINVAL;
    unsigned pages = (unsigned)((entries + 511) / 512);
    if (!copy_from_guest(new_frames, frames, pages * sizeof(xen_pfn_t)))
        return -XEN_EFAULT;
    for (unsigned page = 0; page < pages; page++)
        if (page_get(new_frames[page], PAGE_DESCRIPTORS) != 0) {
            while (page--)
                page_put(new_frames[page], PAGE_DESCRIPTORS);
            return -XEN_EINVAL;
        }
    unsigned old_pages = gdt_pages;
    xen_pfn_t old_frames[GUEST_GDT_PAGES];
    copy_memory(old_frames, gdt_frames, sizeof(old_frames));
    copy_memory(gdt_frames, new_frames, pages * sizeof(xen_pfn_t));
    gdt_pages = pages;
    map_gdt();
    for (unsigned page = 0; page < old_pages; page++)
        page_put(old_frames[page], PAGE_DESCRIPTORS);
    return 0;
}

s64 do_update_descriptor(u64 address, u64 descriptor)
{
    u64 mfn = address >> PAGE_SHIFT;
    if (address % sizeof(u64) || !page_is_ram(mfn) || !descriptor_acceptable(&descriptor))
        return -XEN_EINVAL;
    enum page_type type = page_type(mfn) == PAGE_DESCRIPTORS ? PAGE_DESCRIPTORS : PAGE_WRITABLE;
    s64 result = page_get(mfn, type);
    if (result != 0)
        return result;
    *(volatile u64 *)view_at(VIEW_PAGE, address) = descriptor;
    page_put(mfn, type);
    return 0;
}

/* Empties the window; its pages come back when they are touched, if they still may. */
void ldt_forget_pages(void)
{
    for (unsigned page = 0; ldt_mapped; page++) {
        if (!(ldt_mapped & (1u << page)))
            continue;
        ldt_mapped &= ~(1u << page);
        window()[LDT_L1_INDEX + page] = 0;
        invalidate_page(LDT_VIRTUAL + page * PAGE_SIZE);
        page_put(ldt_frames[page], PAGE_DESCRIPTORS);
    }
}

s64 set_ldt(word address, word entries)
{
    if (entries > LDT_ENTRIES)
        return -XEN_EINVAL;
    if (entries != 0 && (address % PAGE_SIZE || !is_canonical(address) || !guest_range_ok(address, entries * 8)))
        return -XEN_EINVAL;
    if (entries == 0 && ldt_entries == 0)
        return 0;
    ldt_forget_pages();
    ldt_base = address;
    ldt_entries = entries;
    u16 selector = 0;
    if (entries != 0) {
        set_system_descriptor(EMU_LDT, LDT_VIRTUAL, entries * 8 - 1, TYPE_LDT);
        selector = EMU_LDT;
    }
    asm volatile("lldt %w0" : : "r"((u32)selector));
    return 0;
}

/*
 * A fault in the window: maps the page behind it. False if it is none, or the guest's page may not hold descriptors;
 * then `guest_address` is where the guest would have faulted.
 */
bool map_ldt_page(word fault_address, word *guest_address)
{
    word offset = fault_address - LDT_VIRTUAL;
    u64 mfn;
    if (fault_address < LDT_VIRTUAL || offset >= ldt_entries * 8)
        return false;
    *guest_address = ldt_base + offset;
    unsigned page = (unsigned)(offset >> PAGE_SHIFT);
    if (ldt_mapped & (1u << page) || !walk_to_mfn(*guest_address, &mfn) || page_get(mfn, PAGE_DESCRIPTORS) != 0)
        return false;
    ldt_frames[page] = mfn;
    ldt_mapped |= 1u << page;
    window()[LDT_L1_INDEX + page] = mfn << PAGE_SHIFT | WINDOW_ENTRY;
    return true;
}
