/* Page tables, descriptor tables, memory_op. */
#include "hello32.h"

u8 spare[PAGE] __attribute__((aligned(4096)));
u8 spare2[PAGE] __attribute__((aligned(4096)));
u8 read_only[PAGE] __attribute__((aligned(4096)));
u8 kernel_only[PAGE] __attribute__((aligned(4096)));
u64 gdt[512] __attribute__((aligned(4096)));
static u64 l1[512] __attribute__((aligned(4096)));
static u64 l2[512] __attribute__((aligned(4096)));
static u64 top_l2[512] __attribute__((aligned(4096)));
static u64 l3[512] __attribute__((aligned(4096)));

#define BAD_DOMAIN 77

long remap(const void *page, u32 flags)
{
    return CALL(update_va_mapping, page, MFN_OF(page) << 12 | flags, 0, UVMF_INVLPG);
}

static long map_as(const void *page, u32 low, u32 high)
{
    return CALL(update_va_mapping, page, low, high, UVMF_INVLPG);
}

static long mmuext(u32 command, u32 mfn, u32 domain)
{
    struct mmuext_op op = {.cmd = command, .arg1.mfn = mfn};
    return CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, domain);
}

static long update(u64 ptr, u64 val)
{
    mmu_update_t request = {ptr, val};
    return CALL(mmu_update, argument(&request, sizeof(request)), 1, 0, DOMID_SELF);
}

static u64 machine(const void *at)
{
    return (u32)at - VIRT_BASE;
}

static void check_va_mapping(void)
{
    check("a page made read-only", remap(read_only, PTE_P), 0);
    probe_write((u32)read_only, 1);
    check("cannot be written", (long)trap.vector, 14);
    check("as the error code says", (long)trap.error, 3);
    check("at its address", (long)shared.vcpu_info[0].arch.cr2, (long)read_only);
    REFUSED("a page table mapped writable", -XEN_EINVAL, map_as(spare, (u32)machine((void *)start_info->pt_base) | 3, 0));
    REFUSED("emu's memory mapped", -XEN_EINVAL, map_as(spare, (u32)start_info->shared_info + 0x200 * PAGE + 3, 0));
    REFUSED("memory that is not there", -XEN_EINVAL, map_as(spare, 3, 0xf));
    REFUSED("cache disabled", -XEN_EINVAL, remap(spare, PTE_P | PTE_W | PTE_PCD));
    REFUSED("a reserved bit", -XEN_EINVAL, map_as(spare, MFN_OF(spare) << 12 | 3, 1u << 30));
    REFUSED("an address in the hole", -XEN_EINVAL, map_as((void *)IN_HOLE, MFN_OF(spare) << 12 | 3, 0));
    REFUSED("an address without an L1", -XEN_EINVAL, map_as((void *)0x40000000, MFN_OF(spare) << 12 | 3, 0));
    REFUSED("a mask of processors nobody can read", -XEN_EINVAL,
            CALL(update_va_mapping, spare, MFN_OF(spare) << 12 | 0x67, 0, UVMF_INVLPG | UNMAPPED));
    check("a page without U/S", remap(kernel_only, PTE_P | PTE_W), 0);
}

static void check_updates(void)
{
    u32 done = 9;
    check("machphys update", update(MFN_OF(spare2) * PAGE + MMU_MACHPHYS_UPDATE, 0x1234), 0);
    check("is in the m2p", (long)((u32 *)IN_M2P)[MFN_OF(spare2)], 0x1234);
    check("and back", update(MFN_OF(spare2) * PAGE + MMU_MACHPHYS_UPDATE, MFN_OF(spare2)), 0);
    check("an update of plain memory", update(machine(spare), 0x1122334455667788), 0);
    check("is a store", *(u64 *)spare == 0x1122334455667788, 1);

    u64 pt = machine((void *)start_info->pt_base);
    const u64 *l3_now = (const u64 *)start_info->pt_base;
    u64 top = l3_now[3] & ~0xfffull;
    REFUSED("the last entry of an L3", -XEN_EINVAL, update(pt + 3 * 8, 0));
    REFUSED("what lies behind an L3", -XEN_EINVAL, update(pt + 8 * 8, 0));
    REFUSED("the hypervisor's entries", -XEN_EINVAL, update(top + 430 * 8, 0));
    REFUSED("the first of them", -XEN_EINVAL, update(top + 428 * 8, MFN_OF(spare) << 12 | 1));
    REFUSED("an address that is not aligned", -XEN_EINVAL, update(pt + 4, 0));
    REFUSED("a page that is not RAM", -XEN_EINVAL, update(0xf00000000ull, 0));
    REFUSED("a machphys update of no RAM", -XEN_EINVAL, update(0xf00000000ull + MMU_MACHPHYS_UPDATE, 1));
    REFUSED("another domain", -XEN_ESRCH, CALL(mmu_update, scratch, 1, 0, BAD_DOMAIN));
    REFUSED("another domain's tables", -XEN_ESRCH, CALL(mmu_update, scratch, 1, 0, DOMID_SELF | (BAD_DOMAIN + 1) << 16));
    REFUSED("DOMID_IO", -XEN_EPERM, CALL(mmu_update, scratch, 1, 0, DOMID_IO));
    REFUSED("requests from nowhere", -XEN_EFAULT, CALL(mmu_update, UNMAPPED, 1, 0, DOMID_SELF));
    REFUSED("requests in the hole", -XEN_EFAULT, CALL(mmu_update, IN_HOLE, 1, 0, DOMID_SELF));
    REFUSED("requests past the end", -XEN_EFAULT, CALL(mmu_update, TOP_BYTES, 2, 0, DOMID_SELF));
    mmu_update_t *requests = (mmu_update_t *)(scratch + PAGE - sizeof(mmu_update_t));
    *requests = (mmu_update_t){machine(spare), 5};
    check("read_only is behind no page of requests", CALL(mmu_update, requests, 1, &done, DOMID_SELF), 0);
    check("one was done", (long)done, 1);
}

/* A set of tables from nothing: wrong ones are refused, a right one can be pinned, used, changed, and given up. */
static void check_pinning(void)
{
    const u64 *now = (const u64 *)start_info->pt_base;
    u32 mfn = MFN_OF(l3);
    for (unsigned index = 0; index < 512; index++)
        l1[index] = l2[index] = top_l2[index] = l3[index] = 0;
    REFUSED("a writable page as L3", -XEN_EINVAL, mmuext(MMUEXT_PIN_L3_TABLE, mfn, DOMID_SELF));
    for (unsigned index = 0; index < 4; index++)
        l3[index] = now[index] & ~0x1e6ull; /* the guest's own tables, all but the last */
    l3[1] = 0;
    l3[2] = machine(l2) | PTE_P;
    l3[3] = 0;
    l2[0] = machine(l1) | PTE_P | PTE_W | PTE_U;
    l1[5] = MFN_OF(spare) << 12 | PTE_P | PTE_W;
    check("read-only L1", remap(l1, PTE_P), 0);
    check("read-only L2", remap(l2, PTE_P), 0);
    check("read-only L3", remap(l3, PTE_P), 0);
    REFUSED("an L3 without its last entry", -XEN_EINVAL, mmuext(MMUEXT_PIN_L3_TABLE, mfn, DOMID_SELF));
    check("L3 writable", remap(l3, PTE_P | PTE_W), 0);
    l3[3] = now[3] & ~0x1e6ull;
    check("L3 read-only", remap(l3, PTE_P), 0);
    REFUSED("an L3 that shares its last L2", -XEN_EINVAL, mmuext(MMUEXT_PIN_L3_TABLE, mfn, DOMID_SELF));
    check("L3 writable again", remap(l3, PTE_P | PTE_W), 0);

    /* The kernel lives in the highest GiB: its L1s may be shared, the L2 may not. */
    const u64 *current_top = (const u64 *)(VIRT_BASE + (u32)(now[3] & ~0xfffull));
    for (unsigned index = 0; index < 428; index++)
        top_l2[index] = current_top[index];
    l3[3] = machine(top_l2) | PTE_P | PTE_W | PTE_U | 0x60;
    check("read-only L2 of the highest GiB", remap(top_l2, PTE_P), 0);
    check("L3 read-only again", remap(l3, PTE_P), 0);
    REFUSED("L3 pinned as L2", -XEN_EINVAL, mmuext(MMUEXT_PIN_L2_TABLE, mfn, DOMID_SELF));
    REFUSED("L3 pinned as L4", -XEN_EINVAL, mmuext(MMUEXT_PIN_L4_TABLE, mfn, DOMID_SELF));
    check("pinned", mmuext(MMUEXT_PIN_L3_TABLE, mfn, DOMID_SELF), 0);
    REFUSED("pinned twice", -XEN_EINVAL, mmuext(MMUEXT_PIN_L3_TABLE, mfn, DOMID_SELF));
    REFUSED("a pinned table mapped writable", -XEN_EINVAL, remap(l1, PTE_P | PTE_W));
    check("the rights in an L3 are gone", (long)(u32)(l3[3] & 0xfff) & ~0x20, PTE_P);
    check("in use", mmuext(MMUEXT_NEW_BASEPTR, mfn, DOMID_SELF), 0);
    *(volatile u32 *)spare = 0xfeed;
    check("seen at another address", (long)probe_read(0x80005000), 0xfeed);
    check("a change of it", update(machine(l1) + 5 * 8, MFN_OF(read_only) << 12 | PTE_P), 0);
    check("and its flush", mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, DOMID_SELF), 0);
    probe_write(0x80005000, 1);
    check("is in force", (long)trap.vector, 14);
    check("an entry of the L3 given up", update(machine(l3) + 2 * 8, 0), 0);
    probe_read(0x80005000);
    check("takes its GiB away at once", (long)trap.vector, 14);
    check("a page that was in use below", remap(l2, PTE_P | PTE_W), 0);

    check("writable page tables", CALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    check("L2 read-only", remap(l2, PTE_P), 0);
    check("L3 entry back", update(machine(l3) + 2 * 8, machine(l2) | PTE_P), 0);
    volatile u32 *entry = (volatile u32 *)&l1[6];
    probe_write((u32)entry, MFN_OF(spare) << 12 | PTE_P | PTE_W);
    check("a direct write to an L1", (long)trap.vector, 0);
    check("is there", (long)(*entry & ~0x60u), (long)(MFN_OF(spare) << 12 | PTE_P | PTE_W));
    check("and works", (long)probe_read(0x80006000), 0xfeed);
    asm volatile("lock btrl $1, %0" : "+m"(*entry) : : "cc");
    check("a locked one", (long)(*entry & ~0x60u), (long)(MFN_OF(spare) << 12 | PTE_P));
    asm volatile("movl $0, l1_entry_7" : : : "memory");
    probe_write((u32)&l1[7], (u32)machine(l1) | PTE_P | PTE_W);
    check("a bad one is a page fault", (long)trap.vector, 14);
    check("and is not done", (long)(u32)l1[7], 0);

    check("the old tables in use", mmuext(MMUEXT_NEW_BASEPTR, (u32)(machine(now) >> 12), DOMID_SELF), 0);
    check("unpinned", mmuext(MMUEXT_UNPIN_TABLE, mfn, DOMID_SELF), 0);
    REFUSED("unpinned twice", -XEN_EINVAL, mmuext(MMUEXT_UNPIN_TABLE, mfn, DOMID_SELF));
    check("L3 free", remap(l3, PTE_P | PTE_W), 0);
    check("L2 free", remap(l2, PTE_P | PTE_W), 0);
    check("L1 free", remap(l1, PTE_P | PTE_W), 0);
    check("top L2 free", remap(top_l2, PTE_P | PTE_W), 0);
    check("and empty of the hypervisor", top_l2[430] == 0, 1);
}
asm(".globl l1_entry_7\n.set l1_entry_7, l1 + 56");

static void check_extended(void)
{
    struct mmuext_op op;
    for (u32 command = MMUEXT_TLB_FLUSH_LOCAL; command <= MMUEXT_INVLPG_ALL; command++) {
        if (command == MMUEXT_TLB_FLUSH_MULTI || command == MMUEXT_INVLPG_MULTI)
            continue;
        check("flushes", mmuext(command, (u32)spare, DOMID_SELF), 0);
    }
    op = (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_MULTI, .arg2.vcpumask.p = (void *)UNMAPPED};
    REFUSED("a mask nobody can read", -XEN_EINVAL, CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF));
    REFUSED("NEW_BASEPTR of a writable page", -XEN_EINVAL, mmuext(MMUEXT_NEW_BASEPTR, MFN_OF(spare), DOMID_SELF));
    REFUSED("NEW_BASEPTR of no page", -XEN_EINVAL, mmuext(MMUEXT_NEW_BASEPTR, 0xfffff, DOMID_SELF));
    REFUSED("NEW_USER_BASEPTR", -XEN_EINVAL, mmuext(MMUEXT_NEW_USER_BASEPTR, MFN_OF(l3), DOMID_SELF));
    REFUSED("FLUSH_CACHE", -XEN_EACCES, mmuext(MMUEXT_FLUSH_CACHE, 0, DOMID_SELF));
    REFUSED("MARK_SUPER", -XEN_EOPNOTSUPP, mmuext(MMUEXT_MARK_SUPER, 0, DOMID_SELF));
    REFUSED("an unknown operation", -XEN_ENOSYS, mmuext(60, 0, DOMID_SELF));
    REFUSED("another domain", -XEN_ESRCH, mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, BAD_DOMAIN));
    REFUSED("operations from nowhere", -XEN_EFAULT, CALL(mmuext_op, UNMAPPED, 1, 0, DOMID_SELF));
    REFUSED("operations in the hole", -XEN_EFAULT, CALL(mmuext_op, IN_HOLE, 1, 0, DOMID_SELF));
    op = (struct mmuext_op){.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = (u32)gdt + 4, .arg2.nr_ents = 1};
    REFUSED("an LDT that is not aligned", -XEN_EINVAL, CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF));
    op = (struct mmuext_op){.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = (u32)gdt, .arg2.nr_ents = 8193};
    REFUSED("an LDT that is too large", -XEN_EINVAL, CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF));
    op = (struct mmuext_op){.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = 0xf6900000, .arg2.nr_ents = 8};
    REFUSED("an LDT in the hole", -XEN_EINVAL, CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF));
    *(u32 *)spare = 1;
    check("CLEAR_PAGE", mmuext(MMUEXT_CLEAR_PAGE, MFN_OF(spare), DOMID_SELF), 0);
    check("clears", *(volatile long *)spare, 0);
    *(volatile u32 *)spare2 = 0xc0de;
    op = (struct mmuext_op){.cmd = MMUEXT_COPY_PAGE, .arg1.mfn = MFN_OF(spare), .arg2.src_mfn = MFN_OF(spare2)};
    check("COPY_PAGE", CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF), 0);
    check("copies", *(volatile long *)spare, 0xc0de);
    REFUSED("CLEAR_PAGE of a page table", -XEN_EINVAL,
            mmuext(MMUEXT_CLEAR_PAGE, (u32)(machine((void *)start_info->pt_base) >> 12), DOMID_SELF));
}

void check_page_tables(void)
{
    check_va_mapping();
    check_updates();
    check_pinning();
    check_extended();
}

/* ---- Descriptors are kept out of ring 0, of the hypervisor, and of what is no segment. */

#define SELECTOR(index) ((index)*8 + 1)

static long set_descriptor(unsigned index, u64 value)
{
    u64 at = machine(&gdt[index]);
    return CALL(update_descriptor, (u32)at, (u32)(at >> 32), (u32)value, (u32)(value >> 32));
}

void check_descriptors(void)
{
    u32 frame = MFN_OF(gdt);
    for (unsigned index = 0; index < 512; index++)
        gdt[index] = 0;
    REFUSED("a GDT that is writable", -XEN_EINVAL, CALL(set_gdt, argument(&frame, 4), 512));
    check("GDT read-only", remap(gdt, PTE_P), 0);
    REFUSED("a GDT with too many entries", -XEN_EINVAL, CALL(set_gdt, argument(&frame, 4), 14 * 512 + 1));
    REFUSED("frames from nowhere", -XEN_EFAULT, CALL(set_gdt, UNMAPPED, 512));
    REFUSED("frames in the hole", -XEN_EFAULT, CALL(set_gdt, IN_HOLE, 512));
    check("set_gdt", CALL(set_gdt, argument(&frame, 4), 512), 0);
    REFUSED("a GDT mapped writable", -XEN_EINVAL, remap(gdt, PTE_P | PTE_W));

    check("a flat segment of ring 0", set_descriptor(4, 0x00cf93000000ffff), 0);
    check("becomes one of ring 1", (long)(gdt[4] >> 45 & 3), 1);
    check("that ends with the m2p: low", (long)(gdt[4] & 0xffff), 0x67ff);
    check("that ends with the m2p: high", (long)(gdt[4] >> 48 & 15), 15);
    check("reads within", (long)probe_read_gs(SELECTOR(4), IN_M2P + 4), 1);
    check("no trap", (long)trap.vector, 0);
    probe_read_gs(SELECTOR(4), 0xf67ffffd);
    check("not across its end", (long)trap.vector, 13);
    check("a segment that starts in the middle", set_descriptor(5, 0xc0cff3000000ffff), 0);
    check("is cut short", (long)(gdt[5] & 0xffff) | (long)(gdt[5] >> 32 & 0xf0000), 0x367ff);
    probe_read_gs(SELECTOR(5) | 3, IN_HOLE - 0xc0000000);
    check("before emu", (long)trap.vector, 13);
    check("an expand-down segment that wraps round", set_descriptor(6, 0xc0c0f70000000000), 0);
    probe_read_gs(SELECTOR(6) | 3, 0x36900000);
    check("has no offset to emu", (long)trap.vector, 13);
    *(volatile u32 *)spare = 0x7777;
    check("but to below its base", set_descriptor(6, 0xd0c0f70000000000), 0);
    check("at an offset below zero", (long)probe_read_gs(SELECTOR(6) | 3, (u32)spare - 0xd0000000), 0x7777);
    REFUSED("a segment in the hole", -XEN_EINVAL, set_descriptor(7, 0xf7cf93000000ffff));
    REFUSED("one of bytes that reaches there", -XEN_EINVAL, set_descriptor(7, 0xf640f27fff000fff));
    REFUSED("64-bit code", -XEN_EINVAL, set_descriptor(7, 0x00af9b000000ffff));
    REFUSED("a TSS", -XEN_EINVAL, set_descriptor(7, 0x0000890000000067));
    REFUSED("a call gate", -XEN_EINVAL, set_descriptor(7, 0x00008c000008ffff));
    REFUSED("an LDT", -XEN_EINVAL, set_descriptor(7, 0x0000820000000067));
    u64 at = machine(&gdt[7]);
    REFUSED("not aligned", -XEN_EINVAL, CALL(update_descriptor, (u32)at + 4, 0, 0, 0));
    REFUSED("not RAM", -XEN_EINVAL, CALL(update_descriptor, 0, 0xf, 0, 0));
    REFUSED("in a page table", -XEN_EINVAL, CALL(update_descriptor, (u32)machine((void *)start_info->pt_base), 0, 0, 0));
    check("not present is only a number", set_descriptor(8, 0x0000090000000067), 0);

    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = (u32)gdt, .arg2.nr_ents = 512};
    check("SET_LDT", CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF), 0);
    check("a selector of it", (long)probe_read_gs(SELECTOR(4) | 4, (u32)spare), 0x7777);
    probe_read_gs(4000 * 8 | 5, 0);
    check("one beyond it", (long)trap.vector, 13);
    op.arg2.nr_ents = 0;
    check("no LDT", CALL(mmuext_op, argument(&op, sizeof(op)), 1, 0, DOMID_SELF), 0);
    probe_read_gs(SELECTOR(4) | 4, (u32)spare);
    check("has no selectors", (long)trap.vector, 13);
    check("no GDT", CALL(set_gdt, 0, 0), 0);
    probe_read_gs(SELECTOR(4), (u32)spare);
    check("has none either", (long)trap.vector != 0, 1);
    check("GDT writable again", remap(gdt, PTE_P | PTE_W), 0);
}

/* ---- memory_op */

static long reserve(u32 command, u32 *frames, u32 count, u32 order, u32 domain)
{
    struct xen_memory_reservation request = {
        .extent_start.p = (xen_pfn_t *)frames, .nr_extents = count, .extent_order = order, .domid = (domid_t)domain};
    return CALL(memory_op, command, argument(&request, sizeof(request)));
}

void check_memory_op(void)
{
    struct {
        u64 address, size;
        u32 type;
    } __attribute__((packed)) ram = {0, 0, 0};
    struct xen_memory_map map = {.nr_entries = 1, .buffer.p = &ram};
    check("memory_map", CALL(memory_op, XENMEM_memory_map, argument(&map, sizeof(map))), 0);
    check("is all of RAM", (long)(u32)(ram.size / PAGE), (long)start_info->nr_pages);
    map.nr_entries = 0;
    REFUSED("memory_map without room", -XEN_EINVAL, CALL(memory_op, XENMEM_memory_map, argument(&map, sizeof(map))));
    map = (struct xen_memory_map){.nr_entries = 1, .buffer.p = (void *)IN_HOLE};
    REFUSED("memory_map to the hole", -XEN_EFAULT, CALL(memory_op, XENMEM_memory_map, argument(&map, sizeof(map))));
    REFUSED("memory_map from nowhere", -XEN_EFAULT, CALL(memory_op, XENMEM_memory_map, UNMAPPED));

    struct xen_machphys_mapping mapping;
    check("machphys_mapping", CALL(memory_op, XENMEM_machphys_mapping, &mapping), 0);
    check("starts at its place", (long)mapping.v_start, (long)MACH2PHYS_VIRT_START);
    check("ends behind it", mapping.v_end > mapping.v_start && mapping.v_end <= MACH2PHYS_VIRT_END, 1);
    check("has every page", mapping.max_mfn >= start_info->nr_pages - 1, 1);
    REFUSED("machphys_mapping to read-only", -XEN_EFAULT, CALL(memory_op, XENMEM_machphys_mapping, read_only));
    REFUSED("machphys_mapping to the hole", -XEN_EFAULT, CALL(memory_op, XENMEM_machphys_mapping, IN_HOLE));

    u16 self = DOMID_SELF, other = 77;
    check("current_reservation", CALL(memory_op, XENMEM_current_reservation, &self), (long)start_info->nr_pages);
    check("maximum_reservation", CALL(memory_op, XENMEM_maximum_reservation, &self), (long)start_info->nr_pages);
    check("maximum_gpfn", CALL(memory_op, XENMEM_maximum_gpfn, &self), (long)start_info->nr_pages - 1);
    check("maximum_ram_page", CALL(memory_op, XENMEM_maximum_ram_page) >= (long)start_info->nr_pages - 1, 1);
    REFUSED("reservation of another", -XEN_ESRCH, CALL(memory_op, XENMEM_current_reservation, &other));
    REFUSED("reservation of nowhere", -XEN_EFAULT, CALL(memory_op, XENMEM_maximum_reservation, UNMAPPED));

    u32 frame = MFN_OF(spare2);
    check("unmapping it", CALL(update_va_mapping, spare2, 0, 0, UVMF_INVLPG), 0);
    REFUSED("giving back another's", -XEN_ESRCH, reserve(XENMEM_decrease_reservation, &frame, 1, 0, 77));
    REFUSED("frames from nowhere", -XEN_EFAULT, reserve(XENMEM_decrease_reservation, (u32 *)UNMAPPED, 1, 0, DOMID_SELF));
    REFUSED("too large extents", -XEN_EPERM, reserve(XENMEM_decrease_reservation, &frame, 1, 30, DOMID_SELF));
    check("mapping it", remap(spare2, PTE_P | PTE_W), 0);
    check("giving it back in use", reserve(XENMEM_decrease_reservation, &frame, 1, 0, DOMID_SELF), 1);
    REFUSED("giving it back again", 0, reserve(XENMEM_decrease_reservation, &frame, 1, 0, DOMID_SELF));
    REFUSED("asking for a page while it is in use", 0, reserve(XENMEM_populate_physmap, &frame, 1, 0, DOMID_SELF));
    *(volatile long *)spare2 = 1;
    check("unmapping it for good", CALL(update_va_mapping, spare2, 0, 0, UVMF_INVLPG), 0);
    check("giving it back once more", reserve(XENMEM_decrease_reservation, &frame, 1, 0, DOMID_SELF), 0);
    check("has one page less", CALL(memory_op, XENMEM_current_reservation, &self), (long)start_info->nr_pages - 1);
    REFUSED("mapping it now", -XEN_EINVAL, remap(spare2, PTE_P | PTE_W));
    check("asking for a page", reserve(XENMEM_populate_physmap, &frame, 1, 0, DOMID_SELF), 1);
    check("gives the same", (long)frame, (long)MFN_OF(spare2));
    check("as many as before", CALL(memory_op, XENMEM_current_reservation, &self), (long)start_info->nr_pages);
    REFUSED("and no more", 0, reserve(XENMEM_populate_physmap, &frame, 1, 0, DOMID_SELF));
    check("mapping it again", remap(spare2, PTE_P | PTE_W), 0);
    check("it is empty", *(volatile long *)spare2, 0);
    REFUSED("machine_memory_map", -XEN_EPERM, CALL(memory_op, XENMEM_machine_memory_map, scratch));
    REFUSED("an unknown operation", -XEN_ENOSYS, CALL(memory_op, 63, scratch));
}
