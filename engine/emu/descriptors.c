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

/* Descriptor bits, SDM vol. 3A figure 3-8. */
#define DESCRIPTOR_DPL3 (3UL << 45)
#define DESCRIPTOR_SEGMENT (1UL << 44) /* S: code or data */
#define DESCRIPTOR_PRESENT (1UL << 47)
#define DESCRIPTOR_TYPE (15UL << 40)

#define CODE64_DPL0 0x00af9b000000ffffUL
#define DATA_DPL0 0x00cf93000000ffffUL
#define CODE32_DPL3 0x00cffb000000ffffUL
#define DATA_DPL3 0x00cff3000000ffffUL
#define CODE64_DPL3 0x00affb000000ffffUL
#define TYPE_TSS 0x89UL
#define TYPE_LDT 0x82UL
#define GATE_INTERRUPT 0x8e
#define GATE_DPL3 0x60

struct idt_gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
} __attribute__((packed));

struct task_state {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_bitmap;
} __attribute__((packed));

struct table_register {
    u16 limit;
    u64 base;
} __attribute__((packed));

static struct idt_gate idt[256] __attribute__((aligned(16)));
static struct task_state tss __attribute__((aligned(128)));
static u64 own_gdt_page[512] __attribute__((aligned(4096)));
static u8 empty_page[4096] __attribute__((aligned(4096)));

static u64 gdt_frames[GUEST_GDT_PAGES];
static unsigned gdt_pages;
static u64 ldt_base, ldt_entries;
static u64 ldt_frames[LDT_PAGES];
static u32 ldt_mapped; /* bit for each page of the window */

static u64 *window(void)
{
    return machine(boot.descriptor_l1);
}

static u64 image_address(const void *object)
{
    return boot.region_base + ((u64)object - IMAGE_VIRTUAL);
}

/* Index in emu's own page of the GDT. */
static u64 *own(u16 selector)
{
    return &own_gdt_page[(selector >> 3) - GUEST_GDT_ENTRIES];
}

static void set_system_descriptor(u16 selector, u64 base, u64 limit, u64 type)
{
    u64 *descriptor = own(selector);
    descriptor[0] = limit | (base & 0xffffff) << 16 | type << 40 | (base >> 24 & 0xff) << 56;
    descriptor[1] = base >> 32;
}

static void map_gdt(void)
{
    for (unsigned page = 0; page < GUEST_GDT_PAGES; page++) {
        u64 address = page < gdt_pages ? gdt_frames[page] << PAGE_SHIFT : image_address(empty_page);
        window()[page] = address | WINDOW_ENTRY;
        invalidate_page(GDT_VIRTUAL + page * PAGE_SIZE);
    }
}

void descriptors_init(void)
{
    *own(EMU_CS) = CODE64_DPL0;
    *own(EMU_SS) = DATA_DPL0;
    *own(FLAT_RING3_CS32) = CODE32_DPL3;
    *own(FLAT_RING3_SS32) = DATA_DPL3;
    *own(FLAT_RING3_CS64) = CODE64_DPL3;
    set_system_descriptor(EMU_TSS, (u64)&tss, sizeof(tss) - 1, TYPE_TSS);
    map_gdt();
    window()[GUEST_GDT_PAGES] = image_address(own_gdt_page) | WINDOW_ENTRY;

    tss.rsp[0] = (u64)stack_top;
    tss.ist[0] = (u64)double_fault_stack_top;
    tss.ist[1] = (u64)nmi_stack_top;
    tss.io_bitmap = sizeof(tss); /* beyond the limit: no ports for ring 3 */
    for (unsigned vector = 0; vector < 256; vector++) {
        u64 stub = (u64)trap_stubs + vector * 16;
        bool for_guest = vector == 3 || vector == 4 || vector == 0x80;
        idt[vector] = (struct idt_gate){
            .offset_low = (u16)stub,
            .offset_middle = (u16)(stub >> 16),
            .offset_high = (u32)(stub >> 32),
            .selector = EMU_CS,
            .ist = vector == VECTOR_DF ? 1 : vector == VECTOR_NMI || vector == VECTOR_MC ? 2 : 0,
            .type = GATE_INTERRUPT | (for_guest ? GATE_DPL3 : 0),
        };
    }
    struct table_register gdtr = {(GUEST_GDT_PAGES + 1) * PAGE_SIZE - 1, GDT_VIRTUAL};
    struct table_register idtr = {sizeof(idt) - 1, (u64)idt};
    load_descriptor_tables(&gdtr, &idtr);
}

/* Whether a guest may have it; raises its privilege level to 3. A descriptor that is not present is only a number. */
bool descriptor_acceptable(u64 *descriptor)
{
    u64 value = *descriptor;
    if (!(value & DESCRIPTOR_PRESENT))
        return true;
    if (!(value & DESCRIPTOR_SEGMENT))
        return false;
    *descriptor = value | DESCRIPTOR_DPL3;
    return true;
}

/* A page that is about to hold descriptors. */
s64 descriptors_validate(u64 mfn)
{
    u64 *descriptors = machine_page(mfn);
    for (unsigned index = 0; index < 512; index++)
        if (!descriptor_acceptable(&descriptors[index])) {
            log_refusal("descriptor refused: value, page", descriptors[index], mfn);
            return -XEN_EINVAL;
        }
    return 0;
}

s64 do_set_gdt(u64 frames, u64 entries)
{
    u64 new_frames[GUEST_GDT_PAGES];
    if (entries > GUEST_GDT_ENTRIES)
        return -XEN_EINVAL;
    unsigned pages = (unsigned)((entries + 511) / 512);
    if (!copy_from_guest(new_frames, frames, pages * sizeof(u64)))
        return -XEN_EFAULT;
    for (unsigned page = 0; page < pages; page++)
        if (page_get(new_frames[page], PAGE_DESCRIPTORS) != 0) {
            while (page--)
                page_put(new_frames[page], PAGE_DESCRIPTORS);
            return -XEN_EINVAL;
        }
    unsigned old_pages = gdt_pages;
    u64 old_frames[GUEST_GDT_PAGES];
    copy_memory(old_frames, gdt_frames, sizeof(old_frames));
    copy_memory(gdt_frames, new_frames, pages * sizeof(u64));
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
    *(volatile u64 *)machine(address) = descriptor;
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

s64 set_ldt(u64 address, u64 entries)
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
bool map_ldt_page(u64 fault_address, u64 *guest_address)
{
    u64 offset = fault_address - LDT_VIRTUAL;
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
