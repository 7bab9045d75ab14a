/* Descriptors and gates of emu32pae; a part of descriptors.c. */

static void set_system_descriptor(u16 selector, u32 base, u32 limit, u64 type)
{
    *own(selector) = limit | (u64)(base & 0xffffff) << 16 | type << 40 | (u64)(base >> 24) << 56;
}

static void set_gate(unsigned vector, const void *stub, unsigned dpl)
{
    idt[vector] = (struct idt_gate){
        .offset_low = (u16)(u32)stub,
        .offset_high = (u16)((u32)stub >> 16),
        .selector = EMU_CS,
        .type = (u8)(GATE_INTERRUPT | dpl << GATE_DPL_SHIFT),
    };
}

void descriptors_init(void)
{
    *own(EMU_CS) = CODE_DPL0;
    *own(EMU_SS) = DATA_DPL0;
    *own(FLAT_RING1_CS) = FLAT(0xbb);
    *own(FLAT_RING1_DS) = FLAT(0xb3);
    *own(FLAT_RING3_CS) = FLAT(0xfb);
    *own(FLAT_RING3_DS) = FLAT(0xf3);
    set_system_descriptor(EMU_TSS, (u32)&tss, sizeof(tss) - 1, TYPE_TSS);
    map_gdt();
    window()[GUEST_GDT_PAGES] = image_address(own_gdt_page) | WINDOW_ENTRY;

    tss.sp0 = (u32)stack_top;
    tss.ss0 = EMU_SS;
    tss.io_bitmap = sizeof(tss); /* beyond the limit: no ports for the guest */
    for (unsigned vector = 0; vector < 256; vector++)
        set_gate(vector, trap_stubs + vector * 16, vector == 3 || vector == 4 || vector == VECTOR_SYSTEM_CALL ? 3 : 0);
    set_gate(VECTOR_HYPERCALL, hypercall_entry, 1);
    struct table_register gdtr = {(GUEST_GDT_PAGES + 1) * PAGE_SIZE - 1, GDT_VIRTUAL};
    struct table_register idtr = {sizeof(idt) - 1, (u32)idt};
    load_descriptor_tables(&gdtr, &idtr);
}

/* ---- INT 0x80 of user mode goes to the guest kernel without emu, where Xen does that. */

void direct_stack(u32 ss, u32 sp)
{
    tss.ss1 = ss;
    tss.sp1 = sp;
}

/* Not if events are to be masked on entry, which no gate can do, nor for a handler that is not in ring 1. */
void direct_system_call(void)
{
    const struct trap_entry *entry = &vcpu.traps[VECTOR_SYSTEM_CALL];
    if (entry->address == 0 || TI_GET_IF(entry) || (entry->cs & 3) != 1) {
        set_gate(VECTOR_SYSTEM_CALL, trap_stubs + VECTOR_SYSTEM_CALL * 16, 3);
        return;
    }
    idt[VECTOR_SYSTEM_CALL] = (struct idt_gate){
        .offset_low = (u16)entry->address,
        .offset_high = (u16)(entry->address >> 16),
        .selector = entry->cs,
        .type = (u8)(GATE_TRAP | TI_GET_DPL(entry) << GATE_DPL_SHIFT),
    };
}

/* ---- What descriptors a guest may have. */

static u32 base_of(u64 descriptor)
{
    return (u32)(descriptor >> 16 & 0xffffff) | (u32)(descriptor >> 56) << 24;
}

static u32 limit_of(u64 descriptor)
{
    u32 limit = (u32)(descriptor & 0xffff) | (u32)(descriptor >> 32 & 0xf0000);
    return descriptor & DESCRIPTOR_PAGES ? limit << PAGE_SHIFT | (PAGE_SIZE - 1) : limit;
}

/* To so many pages. False if it cannot be said in pages, or nothing would be left. */
static bool shorten(u64 *descriptor, u32 pages)
{
    u32 limit = pages - 1;
    if (!(*descriptor & DESCRIPTOR_PAGES) || pages == 0)
        return false;
    *descriptor = (*descriptor & ~DESCRIPTOR_LIMIT) | (limit & 0xffff) | (u64)(limit & 0xf0000) << 32;
    return true;
}

/* Makes a segment end where emu begins, as Xen did when it lived in the same 4 GiB. False if that cannot be done. */
static bool clip(u64 *descriptor)
{
    u32 base = base_of(*descriptor), limit = limit_of(*descriptor);
    if ((*descriptor & (DESCRIPTOR_CODE | DESCRIPTOR_EXPAND_DOWN)) == DESCRIPTOR_EXPAND_DOWN) {
        /* Valid above the limit: only offsets that wrap round to addresses below the base may be left. */
        if (!(*descriptor & DESCRIPTOR_BIG) || base == 0 || base > M2P_VIRTUAL_END)
            return false;
        if ((u64)base + limit + 1 >= 1ULL << 32)
            return true;
        return shorten(descriptor, -(base & PAGE_MASK) >> PAGE_SHIFT);
    }
    if ((u64)base + limit < M2P_VIRTUAL_END)
        return true;
    return base < M2P_VIRTUAL_END && shorten(descriptor, (M2P_VIRTUAL_END - base) >> PAGE_SHIFT);
}

/* Whether a guest may have it; keeps it out of ring 0 and of emu. A descriptor that is not present is only a number. */
bool descriptor_acceptable(u64 *descriptor)
{
    u64 value = *descriptor;
    if (!(value & DESCRIPTOR_PRESENT))
        return true;
    if (!(value & DESCRIPTOR_SEGMENT) || (value & DESCRIPTOR_LONG))
        return false;
    if (!(value & DESCRIPTOR_DPL))
        value |= DESCRIPTOR_DPL1;
    if (!clip(&value))
        return false;
    *descriptor = value;
    return true;
}

bool flat_code(u32 selector)
{
    u64 descriptor;
    u32 offset = selector & 0xfff8;
    bool local = selector & 4;
    u32 table = local ? LDT_VIRTUAL : GDT_VIRTUAL;
    u32 bytes = local ? ldt_entries * 8 : (GUEST_GDT_PAGES + 1) * PAGE_SIZE;
    /* A page of the LDT may be there no more. */
    if (offset >= bytes || copy_bytes(&descriptor, (const void *)(table + offset), sizeof(descriptor)) != 0)
        return false;
    return base_of(descriptor) == 0 && (descriptor & DESCRIPTOR_BIG);
}
