/*
 * What xenner and the code in the hypercall pages (engine/emu-hvm/pages.S) agree upon. The code's counters and what it has to
 * know are in the tail of the shared_info page, which the guest maps writable, as it may map its hypercall pages read-only.
 */

import { DOMID_SELF } from "./event-channels.ts";

/** OUT of EAX, the number of the hypercall: the host serves it with the registers as they are. One that fits an imm8. */
export const HYPERCALL_PORT = 0xec;

/** Offsets in the shared_info page; struct shared_info ends before (structures.test.ts). */
export const TAIL = {
  /** u32: differs from domain to domain. Zero: this is no shared_info page (any more). */
  magic: 0xd00,
  /** u32 */
  signature: 0xd04,
  /** u32: ports of the two-level ABI, for callers of either word size; 0: let the host do it. */
  ports64: 0xd08,
  ports32: 0xd0c,
  /** u32: 1 once VCPUOP_register_vcpu_info was made. */
  vcpuInfo: 0xd10,
  /** u32: what XENMEM_maximum_ram_page tells. */
  lastPage: 0xd14,
  /** u64 for each hypercall number below NOSYS_NUMBERS that is not offered. */
  nosys: 0xd20,
  /** u64 for each of BLOB_COUNTERS. */
  counters: 0xf20,
} as const;
export const NOSYS_NUMBERS = 64;
export const SIGNATURE = 0x42564d48;

/** Offsets in the code page. */
export const OFFSETS = 0xfd0;
export const SLOTS = 0xff0;

/** What is served inside: the name of its counter in pages.S, and the row that it is reported in. */
interface Counter {
  readonly name: string;
  readonly hypercall: number;
  /** One that names no sub-operation for the unknown ones. */
  readonly subop: number;
  readonly isError: boolean;
}

const UNKNOWN = 0xff;
const counter = (name: string, hypercall: number, subop: number, isError = false): Counter => ({
  name,
  hypercall,
  subop,
  isError,
});

/** In the order of their counters. */
export const BLOB_COUNTERS: readonly Counter[] = [
  counter("UNMASK", 32, 9),
  counter("UNMASK_INVAL", 32, 9, true),
  counter("EVENT_NOSYS", 32, UNKNOWN, true),
  counter("YIELD", 29, 0),
  counter("SCHED_NOSYS", 29, UNKNOWN, true),
  counter("VERSION", 17, 0),
  counter("FEATURES", 17, 6),
  counter("FEATURES_INVAL", 17, 6, true),
  counter("PAGESIZE", 17, 7),
  counter("PARAMETERS", 17, 5),
  counter("COMMANDLINE", 17, 9, true),
  counter("BUILD_ID", 17, 10, true),
  counter("VERSION_NOSYS", 17, UNKNOWN, true),
  counter("IS_UP", 24, 3),
  counter("INITIALISE", 24, 0, true),
  counter("UP", 24, 1),
  counter("REGISTER_INFO", 24, 10, true),
  counter("VCPU_NOSYS", 24, UNKNOWN, true),
  counter("GET_VERSION", 20, 10),
  counter("GRANT_NOSYS", 20, UNKNOWN, true),
  counter("MAXIMUM_RAM_PAGE", 12, 2),
  counter("MAXIMUM_GPFN", 12, 14),
  counter("FLUSH_TLBS", 34, 5),
  counter("HVM_NOSYS", 34, UNKNOWN, true),
];

/** The highest sub-operation of the interface (Xen 4.17): what is behind it is unknown for good. */
const LAST = { EVTCHNOP: 13, SCHEDOP: 6, VCPUOP: 13, GNTTABOP: 12, HVMOP: 25 } as const;

/** What pages.S is assembled with. */
export function assemblerConstants(values: {
  readonly xenVersion: number;
  readonly features: number;
  readonly domid: number;
  readonly pending: number;
  readonly mask64: number;
  readonly mask32: number;
  readonly errno: Readonly<Record<"PERM" | "EXIST" | "INVAL" | "NOSYS" | "NODATA", number>>;
}): Record<string, number> {
  const { errno } = values;
  return {
    PORT: HYPERCALL_PORT,
    OFFSETS,
    SLOTS,
    SIGNATURE,
    TAIL_MAGIC: TAIL.magic,
    TAIL_SIGNATURE: TAIL.signature,
    TAIL_PORTS64: TAIL.ports64,
    TAIL_PORTS32: TAIL.ports32,
    TAIL_VCPU_INFO: TAIL.vcpuInfo,
    TAIL_LAST_PAGE: TAIL.lastPage,
    TAIL_NOSYS: TAIL.nosys,
    TAIL_COUNTERS: TAIL.counters,
    PENDING: values.pending,
    MASK64: values.mask64,
    MASK32: values.mask32,
    XEN_VERSION: values.xenVersion,
    FEATURES: values.features,
    DOMID: values.domid,
    DOMID_SELF,
    EPERM: -errno.PERM,
    EEXIST: -errno.EXIST,
    EINVAL: -errno.INVAL,
    ENOSYS: -errno.NOSYS,
    ENODATA: -errno.NODATA,
    ...Object.fromEntries(BLOB_COUNTERS.map(({ name }, i) => [`COUNT_${name}`, i])),
    ...Object.fromEntries(Object.entries(LAST).map(([name, last]) => [`${name}_LAST`, last])),
  };
}
