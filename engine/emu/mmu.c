/* The memory-management hypercalls: mmu_update, mmuext_op, update_va_mapping (xen/include/public/xen.h). */
#include "emu.h"

/* Set by Xen itself in the count of a call it continues. */
#define CONTINUED 0x80000000UL

/* No other domain's tables or pages can be named. */
static s64 check_domain(word domain)
{
    word page_table_domain = domain >> 16;
    if ((u16)domain == DOMID_IO)
        return -XEN_EPERM;
    if ((u16)domain != DOMID_SELF || (page_table_domain != 0 && page_table_domain != DOMID_SELF + 1u))
        return -XEN_ESRCH;
    return 0;
}

static s64 report_done(word done, word count, s64 result)
{
    u32 value = (u32)count;
    if (done != 0 && !copy_to_guest(done, &value, sizeof(value)))
        return -XEN_EFAULT;
    return result;
}

static s64 machphys_update(u64 mfn, u64 pfn)
{
    if (!page_is_ram(mfn))
        return -XEN_EINVAL;
    machine_to_phys[mfn] = pfn;
    return 0;
}

static s64 one_update(const mmu_update_t *request)
{
    u64 command = request->ptr & 3;
    u64 address = request->ptr & ~3ULL;
    u64 mfn = address >> PAGE_SHIFT;

    switch (command) {
    case MMU_MACHPHYS_UPDATE:
        return machphys_update(mfn, request->val);
    case MMU_PT_UPDATE_NO_TRANSLATE: /* the guest's addresses are machine addresses already */
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
        if (!page_is_ram(mfn) || address % sizeof(u64))
            return -XEN_EINVAL;
        return entry_update(mfn, view_at(VIEW_ENTRY, address), request->val, command == MMU_PT_UPDATE_PRESERVE_AD);
    }
    return -XEN_ENOSYS;
}

s64 do_mmu_update(word requests, word count, word done, word domain)
{
    mmu_update_t request;
    s64 result = check_domain(domain);
    word index = 0;

    count &= ~CONTINUED;
    if (result != 0)
        return result;
    for (; index < count; index++) {
        if (!copy_from_guest(&request, requests + index * sizeof(request), sizeof(request))) {
            result = -XEN_EFAULT;
            break;
        }
        if (index > 0)
            call_done(0);
        call_request(__HYPERVISOR_mmu_update, request.ptr);
        result = one_update(&request);
        if (result != 0)
            break;
    }
    return report_done(done, index, result);
}

static s64 pin(u64 mfn, enum page_type type)
{
    s64 result = page_get(mfn, type);
    if (result != 0)
        return result;
    if (page_info[mfn] & PAGE_PINNED) {
        page_put(mfn, type);
        return -XEN_EINVAL;
    }
    page_info[mfn] |= PAGE_PINNED;
    return 0;
}

static s64 unpin(u64 mfn)
{
    if (!page_is_ram(mfn) || !(page_info[mfn] & PAGE_PINNED))
        return -XEN_EINVAL;
    page_info[mfn] &= ~PAGE_PINNED;
    page_put(mfn, page_type(mfn));
    return 0;
}

static s64 clear_page(u64 mfn)
{
    s64 result = page_get(mfn, PAGE_WRITABLE);
    if (result == 0) {
        fill_memory(view(VIEW_PAGE, mfn), 0, PAGE_SIZE);
        page_put(mfn, PAGE_WRITABLE);
    }
    return result;
}

static s64 copy_page(u64 to, u64 from)
{
    if (!page_is_ram(from))
        return -XEN_EINVAL;
    s64 result = page_get(to, PAGE_WRITABLE);
    if (result == 0) {
        copy_memory(view(VIEW_PAGE, to), view(VIEW_SOURCE, from), PAGE_SIZE);
        page_put(to, PAGE_WRITABLE);
    }
    return result;
}

/* The set of processors must be readable, even though there is only one to flush. */
static s64 check_cpu_mask(word mask)
{
    u8 first;
    return copy_from_guest(&first, mask, sizeof(first)) ? 0 : -XEN_EINVAL;
}

static s64 one_extended(const struct mmuext_op *op)
{
    u64 mfn = op->arg1.mfn;
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
        return pin(mfn, PAGE_L1);
    case MMUEXT_PIN_L2_TABLE:
        return pin(mfn, PAGE_L2);
    case MMUEXT_PIN_L3_TABLE:
        return pin(mfn, PAGE_L3);
    case MMUEXT_PIN_L4_TABLE:
        return WORD_BITS == 64 ? pin(mfn, PAGE_L4) : -XEN_EINVAL;
    case MMUEXT_UNPIN_TABLE:
        return unpin(mfn);
    case MMUEXT_NEW_BASEPTR:
        return load_kernel_table(mfn);
    case MMUEXT_NEW_USER_BASEPTR:
        return WORD_BITS == 64 ? load_user_table(mfn) : -XEN_EINVAL;
    case MMUEXT_TLB_FLUSH_MULTI:
        if (check_cpu_mask((word)op->arg2.vcpumask.p) != 0)
            return -XEN_EINVAL;
        flush_tlb();
        return 0;
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_TLB_FLUSH_ALL:
        flush_tlb();
        return 0;
    case MMUEXT_INVLPG_MULTI:
        if (check_cpu_mask((word)op->arg2.vcpumask.p) != 0)
            return -XEN_EINVAL;
        invalidate_page(op->arg1.linear_addr);
        return 0;
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_ALL:
        invalidate_page(op->arg1.linear_addr);
        return 0;
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return -XEN_EACCES; /* only for domains with devices */
    case MMUEXT_SET_LDT:
        return set_ldt(op->arg1.linear_addr, op->arg2.nr_ents);
    case MMUEXT_CLEAR_PAGE:
        return clear_page(mfn);
    case MMUEXT_COPY_PAGE:
        return copy_page(mfn, op->arg2.src_mfn);
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -XEN_EOPNOTSUPP;
    }
    return -XEN_ENOSYS;
}

s64 do_mmuext_op(word requests, word count, word done, word domain)
{
    struct mmuext_op op;
    s64 result = check_domain(domain);
    word index = 0;

    count &= ~CONTINUED;
    if (result != 0)
        return result;
    for (; index < count; index++) {
        if (!copy_from_guest(&op, requests + index * sizeof(op), sizeof(op))) {
            result = -XEN_EFAULT;
            break;
        }
        if (index > 0)
            call_done(0);
        call_request(__HYPERVISOR_mmuext_op, op.cmd);
        result = one_extended(&op);
        if (result != 0)
            break;
    }
    return report_done(done, index, result);
}

s64 do_update_va_mapping(word address, u64 value, word flags)
{
    u64 l1_mfn;
    u64 *entry = is_canonical(address) ? walk_to_l1(address, &l1_mfn) : 0;
    if (!entry)
        return -XEN_EINVAL;
    s64 result = entry_update(l1_mfn, entry, value, false);
    if (result != 0)
        return result;
    word cpu_mask = flags & ~(UVMF_FLUSHTYPE_MASK | UVMF_ALL);
    switch (flags & UVMF_FLUSHTYPE_MASK) {
    case UVMF_TLB_FLUSH:
        if (cpu_mask && check_cpu_mask(cpu_mask) != 0)
            return -XEN_EINVAL;
        flush_tlb();
        break;
    case UVMF_INVLPG:
        if (cpu_mask && check_cpu_mask(cpu_mask) != 0)
            return -XEN_EINVAL;
        invalidate_page(address);
        break;
    }
    return 0;
}
