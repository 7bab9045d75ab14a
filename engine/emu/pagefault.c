/* Page faults of the guest: those that are emu's business, and the rest for the guest. */
#include "emu.h"

/* A write of the guest kernel to one of its page tables, which it has mapped read-only: "writable page tables". */
static bool page_table_write(struct regs *regs, word address)
{
    u64 l1_mfn, *entry;
    if (!(vcpu.assists & (1UL << VMASST_TYPE_writable_pagetables)))
        return false;
    if (!vcpu.in_kernel || (regs->error & (PF_PRESENT | PF_WRITE)) != (PF_PRESENT | PF_WRITE))
        return false;
    if (!is_canonical(address) || !(entry = walk_to_l1(address, &l1_mfn)) || !(*entry & PTE_PRESENT))
        return false;
    u64 target = PTE_MFN(*entry);
    if (!page_is_ram(target) || page_type(target) != PAGE_L1)
        return false;
    u64 *table_entry = view_at(VIEW_ENTRY, (target << PAGE_SHIFT) | (address & (PAGE_SIZE - 1) & ~7UL));
    if (!emulate_table_write(regs, address, target, table_entry))
        return false;
    count_trap(TRAP_EMULATED_PAGE_TABLE_WRITE);
    return true;
}

void handle_page_fault(struct regs *regs)
{
    word address = read_cr2();
    word error = regs->error;

    if (address >= LDT_VIRTUAL && address < LDT_VIRTUAL + 0x10000 && map_ldt_page(address, &address))
        return;
    if (page_table_write(regs, address))
        return;
    /* Both guest modes are ring 3; the guest wants to know which one it was. */
    if (vcpu.in_kernel)
        error &= ~PF_USER;
    vcpu.info->arch.cr2 = address;
    bounce_exception(regs, VECTOR_PF, true, error);
}
