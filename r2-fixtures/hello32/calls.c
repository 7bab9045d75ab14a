/* Calls that need little more than their arguments. */
#include "hello32.h"

#define BAD_DOMAIN 77

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

void check_version(void)
{
    static char text[PAGE];
    check("extraversion", CALL(xen_version, XENVER_extraversion, text), 0);
    check("starts with a dot", text[0], '.');
    check("compile_info", CALL(xen_version, XENVER_compile_info, text), 0);
    check("capabilities", CALL(xen_version, XENVER_capabilities, text), 0);
    check("of 32 bits with PAE", same(text, "xen-3.0-x86_32p "), 1);
    check("changeset", CALL(xen_version, XENVER_changeset, text), 0);
    check("guest_handle", CALL(xen_version, XENVER_guest_handle, text), 0);
    xen_platform_parameters_t platform;
    check("platform_parameters", CALL(xen_version, XENVER_platform_parameters, &platform), 0);
    check("where the hypervisor starts", (long)platform.virt_start, (long)HYPERVISOR_VIRT_START);
    check("pagesize", CALL(xen_version, XENVER_pagesize), PAGE);
    struct xen_feature_info features = {.submap_idx = 0};
    check("get_features", CALL(xen_version, XENVER_get_features, &features), 0);
    check("L3 tables above 4 GiB", (long)(features.submap >> XENFEAT_pae_pgdir_above_4gb & 1), 1);
    features.submap_idx = XENFEAT_NR_SUBMAPS;
    REFUSED("features that are not", -XEN_EINVAL, CALL(xen_version, XENVER_get_features, argument(&features, sizeof(features))));
    REFUSED("features from nowhere", -XEN_EFAULT, CALL(xen_version, XENVER_get_features, UNMAPPED));
    REFUSED("features of the hole", -XEN_EFAULT, CALL(xen_version, XENVER_get_features, IN_HOLE));
    REFUSED("capabilities to read-only", -XEN_EFAULT, CALL(xen_version, XENVER_capabilities, read_only));
    REFUSED("extraversion past the end", -XEN_EFAULT, CALL(xen_version, XENVER_extraversion, TOP_BYTES));
    REFUSED("compile_info to the m2p", -XEN_EFAULT, CALL(xen_version, XENVER_compile_info, IN_M2P));
    REFUSED("changeset to the last bytes before the hole", -XEN_EFAULT, CALL(xen_version, XENVER_changeset, IN_M2P - 8));
    REFUSED("guest_handle to nowhere", -XEN_EFAULT, CALL(xen_version, XENVER_guest_handle, UNMAPPED));
    REFUSED("platform_parameters to nowhere", -XEN_EFAULT, CALL(xen_version, XENVER_platform_parameters, UNMAPPED));
    REFUSED("commandline", -XEN_EPERM, CALL(xen_version, XENVER_commandline, scratch));
    REFUSED("build_id", -XEN_ENODATA, CALL(xen_version, XENVER_build_id, scratch));
    REFUSED("an unknown version", -XEN_ENOSYS, CALL(xen_version, 50, scratch));
}

void check_console(void)
{
    check("nothing to write", CALL(console_io, CONSOLEIO_write, 0, scratch), 0);
    REFUSED("text from nowhere", -XEN_EFAULT, CALL(console_io, CONSOLEIO_write, 5, UNMAPPED));
    REFUSED("text of emu's", -XEN_EFAULT, CALL(console_io, CONSOLEIO_write, 5, IN_HOLE));
    REFUSED("text that runs into the hole", -XEN_EFAULT, CALL(console_io, CONSOLEIO_write, 64, IN_M2P - 32));
    REFUSED("reading", -XEN_EPERM, CALL(console_io, CONSOLEIO_read, 5, scratch));
    REFUSED("an unknown operation", -XEN_ENOSYS, CALL(console_io, 9, 5, scratch));
}

void check_multicall(void)
{
    static multicall_entry_t calls[3];
    calls[0] = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_version}};
    calls[1] = (multicall_entry_t){.op = 63};
    calls[2] = (multicall_entry_t){.op = __HYPERVISOR_multicall, .args = {(u32)calls, 1}};
    check("multicall", CALL(multicall, calls, 3), 0);
    check("its first result", (long)calls[0].result, 0x00040011);
    check("its second", (long)calls[1].result, -XEN_ENOSYS);
    check("one in the other", (long)calls[2].result, -XEN_EINVAL);
    REFUSED("calls from nowhere", -XEN_EFAULT, CALL(multicall, UNMAPPED, 1));
    REFUSED("calls in the hole", -XEN_EFAULT, CALL(multicall, IN_HOLE, 1));
    REFUSED("calls past the end", -XEN_EFAULT, CALL(multicall, TOP_BYTES, 1));
    multicall_entry_t *unwritable = (multicall_entry_t *)read_only;
    check("read_only writable", remap(read_only, PTE_P | PTE_W), 0);
    *unwritable = (multicall_entry_t){.op = __HYPERVISOR_xen_version, .args = {XENVER_version}};
    check("and no longer", remap(read_only, PTE_P), 0);
    REFUSED("results to read-only", -XEN_EFAULT, CALL(multicall, unwritable, 1));
}

static long grants(u32 command, const void *of, u32 bytes, u32 count)
{
    return CALL(grant_table_op, command, argument(of, bytes), count);
}

void check_grants(void)
{
    static u8 window[PAGE] __attribute__((aligned(4096)));
    xen_pfn_t frames[2] = {0, 0};
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 2, .frame_list.p = frames};
    check("setup_table", grants(GNTTABOP_setup_table, &setup, sizeof(setup), 1), 0);
    check("is done", ((struct gnttab_setup_table *)scratch)->status, GNTST_okay);
    check("two frames in a row", (long)(frames[1] - frames[0]), 1);
    check("one of them mapped", CALL(update_va_mapping, window, frames[0] << 12 | 3, frames[0] >> 20, UVMF_INVLPG), 0);
    const grant_entry_v1_t *table = (const grant_entry_v1_t *)window;
    check("the console's ring is granted", (long)table[GNTTAB_RESERVED_CONSOLE].frame, (long)start_info->console.domU.mfn);
    check("the xenstore's is", (long)table[GNTTAB_RESERVED_XENSTORE].frame, (long)start_info->store_mfn);
    check("unmapped", remap(window, PTE_P | PTE_W), 0);
    setup.dom = BAD_DOMAIN;
    check("setup_table for another", grants(GNTTABOP_setup_table, &setup, sizeof(setup), 1), 0);
    check("is refused", ((struct gnttab_setup_table *)scratch)->status, GNTST_bad_domain);
    setup = (struct gnttab_setup_table){.dom = DOMID_SELF, .nr_frames = 100000, .frame_list.p = frames};
    check("too many frames", grants(GNTTABOP_setup_table, &setup, sizeof(setup), 1), 0);
    check("are refused", ((struct gnttab_setup_table *)scratch)->status, GNTST_general_error);
    setup = (struct gnttab_setup_table){.dom = DOMID_SELF, .nr_frames = 1, .frame_list.p = (xen_pfn_t *)IN_HOLE};
    REFUSED("a list in the hole", -XEN_EFAULT, grants(GNTTABOP_setup_table, &setup, sizeof(setup), 1));
    REFUSED("two tables at once", -XEN_EINVAL, grants(GNTTABOP_setup_table, &setup, sizeof(setup), 2));
    REFUSED("setup_table from nowhere", -XEN_EFAULT, CALL(grant_table_op, GNTTABOP_setup_table, UNMAPPED, 1));
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    check("query_size", grants(GNTTABOP_query_size, &size, sizeof(size), 1), 0);
    check("two by now", (long)((struct gnttab_query_size *)scratch)->nr_frames, 2);
    REFUSED("query_size of the hole", -XEN_EFAULT, CALL(grant_table_op, GNTTABOP_query_size, IN_HOLE, 1));
    struct gnttab_get_version version = {.dom = DOMID_SELF};
    check("get_version", grants(GNTTABOP_get_version, &version, sizeof(version), 1), 0);
    check("is 1", (long)((struct gnttab_get_version *)scratch)->version, 1);
    version.dom = BAD_DOMAIN;
    REFUSED("get_version of another", -XEN_ESRCH, grants(GNTTABOP_get_version, &version, sizeof(version), 1));
    struct gnttab_set_version set = {.version = 1};
    check("set_version 1", grants(GNTTABOP_set_version, &set, sizeof(set), 1), 0);
    set.version = 3;
    check("set_version 3", grants(GNTTABOP_set_version, &set, sizeof(set), 1), -XEN_EINVAL);
    struct gnttab_map_grant_ref map = {.dom = BAD_DOMAIN, .ref = 8, .flags = GNTMAP_host_map};
    check("map_grant_ref", grants(GNTTABOP_map_grant_ref, &map, sizeof(map), 1), 0);
    check("finds no such domain", ((struct gnttab_map_grant_ref *)scratch)->status, GNTST_bad_domain);
    REFUSED("map_grant_ref from nowhere", -XEN_EFAULT, CALL(grant_table_op, GNTTABOP_map_grant_ref, UNMAPPED, 1));
    REFUSED("an unknown operation", -XEN_ENOSYS, CALL(grant_table_op, 99, scratch, 1));
}

void check_physdev(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1};
    check("set_iopl", CALL(physdev_op, PHYSDEVOP_set_iopl, argument(&iopl, sizeof(iopl))), 0);
    probe_cli();
    check("lets cli do nothing", (long)trap.vector, 0);
    iopl.iopl = 4;
    REFUSED("IOPL 4", -XEN_EINVAL, CALL(physdev_op, PHYSDEVOP_set_iopl, argument(&iopl, sizeof(iopl))));
    iopl.iopl = 0;
    check("set_iopl 0", CALL(physdev_op, PHYSDEVOP_set_iopl, argument(&iopl, sizeof(iopl))), 0);
    struct physdev_set_iobitmap bitmap = {.nr_ports = 65537};
    REFUSED("too many ports", -XEN_EINVAL, CALL(physdev_op, PHYSDEVOP_set_iobitmap, argument(&bitmap, sizeof(bitmap))));
    REFUSED("physdev_op from nowhere", -XEN_EFAULT, CALL(physdev_op, PHYSDEVOP_set_iopl, UNMAPPED));
    REFUSED("physdev_op in the hole", -XEN_EFAULT, CALL(physdev_op, PHYSDEVOP_set_iobitmap, IN_HOLE));
    REFUSED("an unknown physdev_op", -XEN_ENOSYS, CALL(physdev_op, 99, scratch));
    check("4gb_segments", CALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_4gb_segments), 0);
    check("and not", CALL(vm_assist, VMASST_CMD_disable, VMASST_TYPE_4gb_segments), 0);
    check("pae_extended_cr3", CALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    REFUSED("m2p_strict is for 64 bits", -XEN_ENOSYS, CALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict));
    REFUSED("an unknown assist", -XEN_ENOSYS, CALL(vm_assist, VMASST_CMD_enable, 77));
    REFUSED("an unknown command", -XEN_ENOSYS, CALL(vm_assist, 77, VMASST_TYPE_4gb_segments));
}

void check_unknown(void)
{
    static const u8 absent[] = {11, 19, 22, 23 + 4, 31, 34, 37, 38, 39, 40, 41, 42, 43, 48, 55, 63};
    for (unsigned index = 0; index < sizeof(absent); index++)
        REFUSED("an absent hypercall", -XEN_ENOSYS, hypercall(absent[index], (u32)scratch, 0, 0, 0));
    REFUSED("number 64", -XEN_ENOSYS, hypercall(64, 0, 0, 0, 0));
    REFUSED("number -1", -XEN_ENOSYS, hypercall(~0u, 0, 0, 0, 0));
    REFUSED("platform_op", -XEN_EPERM, CALL(platform_op, scratch));
    REFUSED("sysctl", -XEN_EPERM, CALL(sysctl, scratch));
    REFUSED("domctl", -XEN_EPERM, CALL(domctl, scratch));
}
