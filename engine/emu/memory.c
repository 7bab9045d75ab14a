/* HYPERVISOR_memory_op (xen/include/public/memory.h): what a guest may know about its memory, and ballooning. */
#include "emu.h"

#define COMMAND_MASK 0x3f
#define MAX_EXTENT_ORDER 9
#define E820_RAM 1

struct e820_entry {
    u64 address, size;
    u32 type;
} __attribute__((packed));

static u64 released_pages;
/* How many of them were given back in use, and may have become free since; their m2p says which. */
static u64 leaving_pages;
#define LEAVING (~(xen_pfn_t)0 - 1)

static bool own_domain(u16 domain)
{
    return domain == DOMID_SELF || domain == boot.domid;
}

static s64 memory_map(word argument)
{
    struct xen_memory_map request;
    struct e820_entry ram = {0, boot.ram_pages << PAGE_SHIFT, E820_RAM};
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (request.nr_entries < 1)
        return -XEN_EINVAL;
    request.nr_entries = 1;
    if (!copy_to_guest((word)request.buffer.p, &ram, sizeof(ram)) ||
        !copy_to_guest(argument, &request, sizeof(request)))
        return -XEN_EFAULT;
    return 0;
}

static s64 machphys_mapping(word argument)
{
    struct xen_machphys_mapping mapping = {
        .v_start = M2P_VIRTUAL,
        .v_end = M2P_VIRTUAL + boot.m2p_bytes,
        .max_mfn = boot.machine_pages - 1,
    };
    return copy_to_guest(argument, &mapping, sizeof(mapping)) ? 0 : -XEN_EFAULT;
}

/* The number of pages, for this domain alone. */
static s64 reservation(word argument, u64 pages)
{
    u16 domain;
    if (!copy_from_guest(&domain, argument, sizeof(domain)))
        return -XEN_EFAULT;
    return own_domain(domain) ? (s64)pages : -XEN_ESRCH;
}

/* Pages that were given back in use, and are no more, can be had again. */
static __attribute__((noinline)) void release_left(void)
{
    for (u64 mfn = 0; mfn < boot.ram_pages && leaving_pages > 0; mfn++) {
        if (machine_to_phys[mfn] != LEAVING || !page_is_ram(mfn) || (page_info[mfn] & PAGE_COUNT_MASK))
            continue;
        page_info[mfn] = PAGE_RELEASED;
        machine_to_phys[mfn] = ~0UL;
        leaving_pages--;
    }
}

/* As in Xen: a page is given back whatever it is used for, and its pin with it. It is free when the last use has ended. */
static bool release_page(u64 mfn)
{
    if (leaving_pages > 0)
        release_left();
    if (!page_is_ram(mfn) || machine_to_phys[mfn] == LEAVING)
        return false;
    if (page_info[mfn] & PAGE_PINNED) {
        page_info[mfn] &= ~PAGE_PINNED;
        page_put(mfn, page_type(mfn));
    }
    released_pages++;
    if (page_info[mfn] & PAGE_COUNT_MASK) {
        machine_to_phys[mfn] = LEAVING;
        leaving_pages++;
        return true;
    }
    page_info[mfn] = PAGE_RELEASED;
    machine_to_phys[mfn] = ~0UL;
    return true;
}

static bool decrease_extent(u64 first, unsigned order)
{
    for (u64 page = 0; page < 1UL << order; page++)
        if (!release_page(first + page))
            return false;
    return true;
}

/* A released page, zeroed; the search goes round so that a big balloon is not searched from its start again. */
static bool take_page(xen_pfn_t *mfn)
{
    static word hand;
    if (leaving_pages > 0)
        release_left();
    if (released_pages == leaving_pages)
        return false;
    while (!(page_info[hand % (word)boot.ram_pages] & PAGE_RELEASED))
        hand++;
    *mfn = hand++ % (word)boot.ram_pages;
    page_info[*mfn] = 0;
    released_pages--;
    fill_memory(view(VIEW_PAGE, *mfn), 0, PAGE_SIZE);
    return true;
}

/* increase_reservation, decrease_reservation and populate_physmap: the number of extents done. */
static s64 change_reservation(word command, word argument)
{
    struct xen_memory_reservation request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (!own_domain(request.domid))
        return -XEN_ESRCH;
    bool decrease = command == XENMEM_decrease_reservation;
    if (request.extent_order > MAX_EXTENT_ORDER)
        return -XEN_EPERM;
    word list = (word)request.extent_start.p, done;
    for (done = 0; done < request.nr_extents; done++) {
        word slot = list + done * sizeof(xen_pfn_t);
        xen_pfn_t frame = 0, mfn;
        bool has_list = list != 0 || command != XENMEM_increase_reservation;
        if (has_list && !copy_from_guest(&frame, slot, sizeof(frame)))
            return done ? (s64)done : -XEN_EFAULT;
        if (decrease) {
            if (!decrease_extent(frame, request.extent_order))
                break;
            continue;
        }
        /* Pages come back one by one: larger extents would have to be contiguous. */
        if (request.extent_order != 0 || !take_page(&mfn))
            break;
        if (command == XENMEM_populate_physmap)
            machine_to_phys[mfn] = frame;
        if (has_list && !copy_to_guest(slot, &mfn, sizeof(mfn))) {
            release_page(mfn);
            break;
        }
    }
    return (s64)done;
}

s64 do_memory_op(word command, word argument)
{
    switch (command & COMMAND_MASK) {
    case XENMEM_memory_map:
        return memory_map(argument);
    case XENMEM_machphys_mapping:
        return machphys_mapping(argument);
    case XENMEM_current_reservation:
        return reservation(argument, boot.ram_pages - released_pages);
    case XENMEM_maximum_reservation:
        return reservation(argument, boot.ram_pages);
    case XENMEM_maximum_gpfn:
        return reservation(argument, boot.ram_pages - 1);
    case XENMEM_maximum_ram_page:
        return (s64)boot.machine_pages - 1;
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return change_reservation(command & COMMAND_MASK, argument);
    case XENMEM_add_to_physmap: /* for translated guests */
    case XENMEM_remove_from_physmap:
        return -XEN_EACCES;
    case XENMEM_machine_memory_map:
        return -XEN_EPERM;
    }
    return -XEN_ENOSYS;
}
