/* physdev_op and vm_assist: privileges without devices behind them, and modes of operation. */
#include "emu.h"

/* What a PV guest of Xen 4.17 may switch on, a 32-bit one only the first 32; those with an effect here are tested where they have it. */
#define ASSISTS                                                                                                      \
    ((1ULL << VMASST_TYPE_4gb_segments | 1ULL << VMASST_TYPE_4gb_segments_notify |                                  \
      1ULL << VMASST_TYPE_writable_pagetables | 1ULL << VMASST_TYPE_pae_extended_cr3 |                              \
      1ULL << VMASST_TYPE_architectural_iopl | 1ULL << VMASST_TYPE_runstate_update_flag |                           \
      1ULL << VMASST_TYPE_m2p_strict) & (word)~0ULL)

s64 do_vm_assist(word command, word type)
{
    if (type >= 64 || !(ASSISTS >> type & 1))
        return -XEN_ENOSYS;
    switch (command) {
    case VMASST_CMD_enable:
        vcpu.assists |= 1ULL << type;
        return 0;
    case VMASST_CMD_disable:
        vcpu.assists &= ~(1ULL << type);
        return 0;
    }
    return -XEN_ENOSYS;
}

s64 do_physdev_op(word command, word argument)
{
    struct physdev_set_iopl iopl;
    struct physdev_set_iobitmap bitmap;
    switch (command) {
    case PHYSDEVOP_set_iopl:
        if (!copy_from_guest(&iopl, argument, sizeof(iopl)))
            return -XEN_EFAULT;
        if (iopl.iopl > 3)
            return -XEN_EINVAL;
        vcpu.iopl = (u8)iopl.iopl;
        return 0;
    case PHYSDEVOP_set_iobitmap: /* there is no port the bits could open */
        if (!copy_from_guest(&bitmap, argument, sizeof(bitmap)))
            return -XEN_EFAULT;
        return bitmap.nr_ports > 65536 ? -XEN_EINVAL : 0;
    }
    return -XEN_ENOSYS;
}
