/* Descriptors and gates of emu64; a part of descriptors.c. */

static void set_system_descriptor(u16 selector, u64 base, u64 limit, u64 type)
{
    u64 *descriptor = own(selector);
    descriptor[0] = limit | (base & 0xffffff) << 16 | type << 40 | (base >> 24 & 0xff) << 56;
    descriptor[1] = base >> 32;
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
    tss.ist[2] = (u64)debug_stack_top;
    tss.io_bitmap = sizeof(tss); /* beyond the limit: no ports for ring 3 */
    for (unsigned vector = 0; vector < 256; vector++) {
        u64 stub = vector == VECTOR_DB ? (u64)debug_entry : (u64)trap_stubs + vector * 16;
        bool for_guest = vector == 3 || vector == 4 || vector == 0x80;
        idt[vector] = (struct idt_gate){
            .offset_low = (u16)stub,
            .offset_middle = (u16)(stub >> 16),
            .offset_high = (u32)(stub >> 32),
            .selector = EMU_CS,
            .ist = vector == VECTOR_DF                            ? 1
                   : vector == VECTOR_NMI || vector == VECTOR_MC ? 2
                   : vector == VECTOR_DB                         ? 3
                                                                 : 0,
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

