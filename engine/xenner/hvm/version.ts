/* HYPERVISOR_xen_version of an HVM guest (xen/include/public/version.h); what can be the same as emu's is. */

import { PAGE_BYTES } from "../abi.ts";
import { XEN_VERSION } from "./cpuid.ts";
import { ERRNO } from "./errors.ts";
import { GuestStructure } from "./guest-structure.ts";
import type { GuestVirtual } from "./guest-virtual.ts";
import { FEATURE_INFO } from "./structures.ts";

const XENVER = {
  version: 0,
  extraversion: 1,
  compile_info: 2,
  capabilities: 3,
  changeset: 4,
  platform_parameters: 5,
  get_features: 6,
  pagesize: 7,
  guest_handle: 8,
  commandline: 9,
  build_id: 10,
} as const;

/** XENFEAT_* (features.h): what Xen says to a translated guest, without pirqs. */
export const FEATURES =
  (1 << 0) | // writable_page_tables
  (1 << 2) | // auto_translated_physmap
  (1 << 4) | // pae_pgdir_above_4gb
  (1 << 6) | // highmem_assist
  (1 << 7) | // gnttab_map_avail_bits
  (1 << 8) | // hvm_callback_vector
  (1 << 9); // hvm_safe_pvclock
const FEATURE_SUBMAPS = 1;

/** Fixed-length texts: xen_extraversion_t, the parts of xen_compile_info, xen_capabilities_info_t, xen_changeset_info_t. */
const EXTRAVERSION = text(".0-xenner", 16);
const COMPILE_INFO = Uint8Array.of(
  ...text("none", 64),
  ...text("xenner", 16),
  ...text("none", 32),
  ...text("none", 32),
);
const CAPABILITIES = text("xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ", 1024);
const CHANGESET = text("none", 64);

function text(value: string, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  out.set(new TextEncoder().encode(value));
  return out;
}

export function xenVersion(
  guest: GuestVirtual,
  command: number,
  argument: bigint,
  wide: boolean,
  uuid: Uint8Array,
): number {
  const give = (bytes: Uint8Array): number => (guest.write(argument, bytes) ? 0 : ERRNO.FAULT);
  switch (command) {
    case XENVER.version:
      return XEN_VERSION;
    case XENVER.extraversion:
      return give(EXTRAVERSION);
    case XENVER.compile_info:
      return give(COMPILE_INFO);
    case XENVER.capabilities:
      return give(CAPABILITIES);
    case XENVER.changeset:
      return give(CHANGESET);
    case XENVER.platform_parameters:
      return give(new Uint8Array(wide ? 8 : 4));
    case XENVER.get_features: {
      const request = GuestStructure.read(guest, argument, wide, FEATURE_INFO);
      if (request === undefined) return ERRNO.FAULT;
      const index = request.number("submap_idx");
      if (index >= FEATURE_SUBMAPS) return ERRNO.INVAL;
      return request.set("submap", BigInt(FEATURES)).write(guest) ? 0 : ERRNO.FAULT;
    }
    case XENVER.pagesize:
      return PAGE_BYTES;
    case XENVER.guest_handle:
      return give(uuid);
    case XENVER.commandline:
      return ERRNO.PERM;
    case XENVER.build_id:
      return ERRNO.NODATA;
    default:
      return ERRNO.NOSYS;
  }
}
