#!/bin/sh
# Builds a kernel with the checkers that Debian's kernels are built without, from Debian's package linux-source-6.1: as small
# as can be, and a guest of Xen in mode hvm. Needs gcc, make, flex, bison, bc, libelf-dev; some ten minutes on two processors.
#
# build-checkers.sh SOURCE: SOURCE is the unpacked linux-source-6.1, built in place
set -eu
cd "$1"
make -s tinyconfig > /dev/null
sed -i '/^CONFIG_SLOB=/d' .config
for option in \
  64BIT SMP HYPERVISOR_GUEST PARAVIRT XEN XEN_PVH PVH HVC_XEN HVC_XEN_FRONTEND PCI ACPI \
  TTY PRINTK PRINTK_TIME BUG DEBUG_BUGVERBOSE KALLSYMS UNWINDER_ORC PREEMPT HIGH_RES_TIMERS NO_HZ_IDLE MAGIC_SYSRQ \
  BINFMT_ELF BINFMT_SCRIPT BLK_DEV_INITRD DEVTMPFS MODULES PROC_FS SYSFS FUTEX EPOLL MULTIUSER POSIX_TIMERS SLUB SLUB_DEBUG \
  DEBUG_KERNEL KASAN KASAN_GENERIC KASAN_OUTLINE KFENCE UBSAN UBSAN_SHIFT UBSAN_SANITIZE_ALL PROVE_LOCKING DEBUG_ATOMIC_SLEEP; do
  echo "CONFIG_$option=y"
done >> .config
make -s olddefconfig > /dev/null 2>&1
for option in KASAN KFENCE UBSAN_SHIFT PROVE_LOCKING DEBUG_ATOMIC_SLEEP XEN_PVH HVC_XEN DEVTMPFS; do
  grep -q "^CONFIG_$option=y" .config || { echo "CONFIG_$option is not to be had" >&2; exit 1; }
done
export KBUILD_BUILD_USER=xenner KBUILD_BUILD_HOST=xenner KBUILD_BUILD_TIMESTAMP=2026-01-01
make -s -j"$(nproc)" bzImage modules
