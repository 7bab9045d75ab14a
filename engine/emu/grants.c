/*
 * The guest's grant table, version 1 (xen/include/public/grant_table.h): its frames lie in emu's region and are mapped
 * by the guest. No other domain's memory can be mapped.
 */
#include "emu.h"

#define INITIAL_FRAMES 1
/* Of the domain whose back ends serve the console and the xenstore. */
#define BACKEND_DOMAIN 0

static u32 frames = INITIAL_FRAMES;

bool grant_frame(u64 mfn)
{
    u64 first = boot.grant_frames >> PAGE_SHIFT;
    return mfn >= first && mfn < first + frames;
}

/* The two rings are granted before the guest starts, as by Xen's domain builder. */
void grants_init(void)
{
    grant_entry_v1_t *table = machine(boot.grant_frames);
    table[GNTTAB_RESERVED_CONSOLE] = (grant_entry_v1_t){GTF_permit_access, BACKEND_DOMAIN, (u32)boot.console_mfn};
    table[GNTTAB_RESERVED_XENSTORE] = (grant_entry_v1_t){GTF_permit_access, BACKEND_DOMAIN, (u32)boot.xenstore_mfn};
}

static bool own_domain(u16 domain)
{
    return domain == DOMID_SELF || domain == boot.domid;
}

static s64 setup_table(word argument)
{
    gnttab_setup_table_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    request.status = GNTST_okay;
    if (!own_domain(request.dom))
        request.status = GNTST_bad_domain;
    else if (request.nr_frames > MAX_GRANT_FRAMES)
        request.status = GNTST_general_error;
    else if (request.nr_frames > frames)
        frames = request.nr_frames;
    for (word index = 0; request.status == GNTST_okay && index < request.nr_frames; index++) {
        xen_pfn_t mfn = (xen_pfn_t)((boot.grant_frames >> PAGE_SHIFT) + index);
        if (!copy_to_guest((word)request.frame_list.p + index * sizeof(mfn), &mfn, sizeof(mfn)))
            return -XEN_EFAULT;
    }
    return copy_to_guest(argument, &request, sizeof(request)) ? 0 : -XEN_EFAULT;
}

static s64 query_size(word argument)
{
    gnttab_query_size_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    request.nr_frames = frames;
    request.max_nr_frames = MAX_GRANT_FRAMES;
    request.status = own_domain(request.dom) ? GNTST_okay : GNTST_bad_domain;
    return copy_to_guest(argument, &request, sizeof(request)) ? 0 : -XEN_EFAULT;
}

static s64 set_version(word argument)
{
    gnttab_set_version_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    s64 result = request.version == 1 ? 0 : request.version == 2 ? -XEN_ENOSYS : -XEN_EINVAL;
    request.version = 1;
    return copy_to_guest(argument, &request, sizeof(request)) ? result : -XEN_EFAULT;
}

static s64 get_version(word argument)
{
    gnttab_get_version_t request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (!own_domain(request.dom))
        return -XEN_ESRCH;
    request.version = 1;
    return copy_to_guest(argument, &request, sizeof(request)) ? 0 : -XEN_EFAULT;
}

/* Each request names a domain that does not exist. */
static s64 map_refs(word argument, word count)
{
    gnttab_map_grant_ref_t request;
    for (word index = 0; index < count; index++) {
        word at = argument + index * sizeof(request);
        if (!copy_from_guest(&request, at, sizeof(request)))
            return -XEN_EFAULT;
        request.status = GNTST_bad_domain;
        if (!copy_to_guest(at, &request, sizeof(request)))
            return -XEN_EFAULT;
    }
    return 0;
}

s64 do_grant_table_op(word command, word argument, word count)
{
    switch (command) {
    case GNTTABOP_map_grant_ref:
        return map_refs(argument, (u32)count);
    case GNTTABOP_setup_table:
        return count == 1 ? setup_table(argument) : -XEN_EINVAL;
    case GNTTABOP_query_size:
        return count == 1 ? query_size(argument) : -XEN_EINVAL;
    case GNTTABOP_set_version:
        return count == 1 ? set_version(argument) : -XEN_EINVAL;
    case GNTTABOP_get_version:
        return count == 1 ? get_version(argument) : -XEN_EINVAL;
    }
    return -XEN_ENOSYS;
}
