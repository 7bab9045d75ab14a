/* Xen's public interface (Debian: libxen-dev), at the interface version whose structures emu implements. */
#ifndef EMU_XEN_PUBLIC_H
#define EMU_XEN_PUBLIC_H

#define __XEN_INTERFACE_VERSION__ 0x00040d00

#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#endif
