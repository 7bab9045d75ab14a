/* Windows on pages of the guest's, in the L1 that also maps the descriptor tables. */
#include "emu.h"

#define FIRST_ENTRY ((VIEWS_VIRTUAL - GDT_VIRTUAL) >> PAGE_SHIFT)
#define VIEW_ENTRY_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE)

void *view(enum view purpose, u64 mfn)
{
    u64 *entry = (u64 *)machine(boot.descriptor_l1) + FIRST_ENTRY + purpose;
    u32 address = VIEWS_VIRTUAL + purpose * PAGE_SIZE;
    u64 wanted = mfn << PAGE_SHIFT | VIEW_ENTRY_FLAGS;
    if (*entry != wanted) {
        *(volatile u64 *)entry = wanted;
        invalidate_page(address);
    }
    return (void *)address;
}
