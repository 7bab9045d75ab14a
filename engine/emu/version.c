/* HYPERVISOR_xen_version (xen/include/public/version.h): what emu says it is. */
#include "emu.h"

#define VERSION 0x00040011 /* 4.17 */

static const xen_extraversion_t extra_version = ".0-emu";
static const xen_capabilities_info_t capabilities = CAPABILITIES;
static const xen_changeset_info_t changeset = "none";
static const struct xen_compile_info compile_info = {
    .compiler = "gcc " __VERSION__,
    .compile_by = "xenner",
    .compile_domain = "emu",
    .compile_date = "none",
};

/* Linux 64-bit PV panics before its console works unless the first two are there. */
#define FEATURES                                                                                                     \
    (1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_gnttab_map_avail_bits |                                \
     1u << XENFEAT_pae_pgdir_above_4gb | 1u << XENFEAT_highmem_assist)

static s64 give(word argument, const void *what, word bytes)
{
    return copy_to_guest(argument, what, bytes) ? 0 : -XEN_EFAULT;
}

static s64 get_features(word argument)
{
    struct xen_feature_info request;
    if (!copy_from_guest(&request, argument, sizeof(request)))
        return -XEN_EFAULT;
    if (request.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -XEN_EINVAL;
    request.submap = FEATURES;
    return give(argument, &request, sizeof(request));
}

s64 do_xen_version(word command, word argument)
{
    word virtual_start = HYPERVISOR_VIRT_START;
    switch (command) {
    case XENVER_version:
        return VERSION;
    case XENVER_extraversion:
        return give(argument, extra_version, sizeof(extra_version));
    case XENVER_compile_info:
        return give(argument, &compile_info, sizeof(compile_info));
    case XENVER_capabilities:
        return give(argument, capabilities, sizeof(capabilities));
    case XENVER_changeset:
        return give(argument, changeset, sizeof(changeset));
    case XENVER_platform_parameters:
        return give(argument, &virtual_start, sizeof(virtual_start));
    case XENVER_get_features:
        return get_features(argument);
    case XENVER_pagesize:
        return PAGE_SIZE;
    case XENVER_guest_handle:
        return give(argument, boot.uuid, sizeof(boot.uuid));
    case XENVER_commandline:
        return -XEN_EPERM;
    case XENVER_build_id:
        return -XEN_ENODATA;
    }
    return -XEN_ENOSYS;
}
