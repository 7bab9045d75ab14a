/**
 * The contract between emu (the guest-resident micro-kernel, engine/emu) and xenner (the host half, this folder):
 * ports, memory map, boot information, statistics. It is defined here and nowhere else; engine/emu/generate.ts writes
 * the C header engine/emu/abi.h from it.
 *
 * START OF DAY. xenner places emu with `placeEmu` (emu-image.ts), writes an encoded BOOT_INFO at `region.bootInfo`,
 * puts `slot256` into entry 256 of the guest's initial L4, and starts the processor in 64-bit mode, ring 0, flat
 * segments, interrupts off, CR3 = the initial L4, RIP = emu's ELF entry, RDI = directMap(region.bootInfo). emu needs
 * no stack, GDT or IDT from xenner; it makes its own, validates the initial page tables, and enters the guest kernel
 * at `kernelEntry` with RSI = `startInfo` and RSP = `initialStack`.
 *
 * START OF DAY, 32 BITS. The hypervisor's entries go into the L2 of the highest GiB of the initial tables, and the processor
 * starts in 32-bit protected mode, ring 0, flat segments, paging and interrupts off, EIP = the *machine* address of emu's
 * ELF entry, ESI = the machine address of an L3 that maps emu's region and that very address, EDI = the address of
 * BOOT_INFO in emu's map of its region.
 *
 * TIME. Guest system time in ns is ((TSC << tscShift) * tscToSystemMul) >> 32 as in pvclock (a negative shift goes
 * right), zero at TSC zero. On our own core one tick is one nanosecond: CORE_TSC.
 *
 * EVENTS. xenner raises EVENT_VECTOR when a line becomes pending and keeps it raised until emu has read PORT_EVENTS,
 * which clears all lines. emu turns lines into event channels of the guest.
 */

import { HYPERCALLS } from "./hypercall-names.ts";
import { type Structure, structure } from "./structure.ts";

/** Changes whenever a structure or a port changes its meaning; emu refuses to start with another one. */
export const ABI_VERSION = 1;
/** "XEMU", little-endian. */
export const BOOT_INFO_MAGIC = 0x554d4558;

// ---- Ports. All accesses are 32 bits wide.

export const PORTS = {
  /** OUT length: write the first `length` bytes (1..4096) of the message page to the guest's console. */
  CONSOLE_WRITE: 0xe00,
  /** OUT line: the guest notified the event channel of this line (LINES.XENSTORE, LINES.CONSOLE). */
  NOTIFY: 0xe04,
  /** OUT: low 32 bits of the deadline that the next write to TIMER_HIGH arms. */
  TIMER_LOW: 0xe08,
  /** OUT: high 32 bits of the deadline, an absolute guest system time in ns; arms the one timer, replacing the old
   * deadline. When it is reached (at once if it is past) LINES.TIMER becomes pending and the timer is off. */
  TIMER_HIGH: 0xe0c,
  /** OUT anything: the timer is off. A line that is already pending stays so. */
  TIMER_STOP: 0xe10,
  /** IN: bit n is set if line n is pending; clears them all and lowers the interrupt. */
  EVENTS: 0xe14,
  /** OUT SHUTDOWN_* (xen/include/public/sched.h): the guest shut itself down. emu does not go on. */
  SHUTDOWN: 0xe18,
  /** OUT length: emu gives up on the guest for the reason in the message page. emu does not go on. */
  PANIC: 0xe1c,
  /** OUT length: a line for the developer of emu or the guest, from the message page; not the guest's console. */
  LOG: 0xe20,
} as const;

/** Event lines: bit numbers in PORT_EVENTS and the value written to PORT_NOTIFY. Lines 3-31 are reserved. */
export const LINES = { TIMER: 0, XENSTORE: 1, CONSOLE: 2 } as const;

/** The interrupt that says "a line is pending". */
export const EVENT_VECTOR = 0xe0;

// ---- Virtual memory map: PML4 slot 256, 0xffff800000000000-0xffff807fffffffff. Only the m2p is visible to ring 3.

export const HYPERVISOR_L4_SLOT = 256;
/** The last slot of the hypervisor's hole: the guest may use none of 256-271. */
export const HYPERVISOR_LAST_L4_SLOT = 271;
/** The machine-to-physical table, u64 for each machine page, read-only in ring 3 (MACH2PHYS_VIRT_START). */
export const M2P_VIRTUAL = 0xffff800000000000n;
/** All machine memory, supervisor only, by 2 MiB pages. */
export const DIRECT_MAP_VIRTUAL = 0xffff801000000000n;
/** emu's image, at the address it is linked for. */
export const IMAGE_VIRTUAL = 0xffff804000000000n;
/** The GDT as LGDT sees it: 14 pages of the guest's frames, then emu's own page. */
export const GDT_VIRTUAL = 0xffff804040000000n;
/** The guest's LDT, 16 pages. */
export const LDT_VIRTUAL = 0xffff804040010000n;

/** Bytes of a general register of the guest: 8 for emu64, 4 for emu32pae. */
export type WordBytes = 4 | 8;

/**
 * The same for 32-bit guests: the top of the 4 GiB, 0xf5800000 and up (HYPERVISOR_VIRT_START_PAE), which is the end of the
 * L2 that entry 3 of each L3 refers to. The guest's segments end where the m2p ends.
 */
export const MAP_32 = {
  /** The first of the hypervisor's entries in an L2 of the highest GiB. */
  HYPERVISOR_L2_SLOT: 428,
  /** The machine-to-physical table, u32 for each machine page, read-only (MACH2PHYS_VIRT_START_PAE). */
  M2P_VIRTUAL: 0xf5800000,
  /** Room for it; the guest's segments reach up to here (MACH2PHYS_VIRT_END_PAE). */
  M2P_VIRTUAL_END: 0xf6800000,
  IMAGE_VIRTUAL: 0xf6800000,
  /** emu's whole region, by 2 MiB pages: there is no room for a direct map of all memory. */
  REGION_VIRTUAL: 0xf7000000,
  GDT_VIRTUAL: 0xf8000000,
  LDT_VIRTUAL: 0xf8010000,
  /** Pages of the guest's that emu looks at, one for each purpose. */
  VIEWS_VIRTUAL: 0xf8020000,
} as const;

export const PAGE_BYTES = 4096;
const LARGE_PAGE_BYTES = 0x200000;
/** The largest guest: 4 GiB. */
export const MAX_RAM_PAGES = 0x100000;
/** The largest 32-bit guest, 3 GiB: CR3 holds 32 bits, and emu's region has to lie below 4 GiB, too. */
export const MAX_RAM_PAGES_32 = 0xc0000;

/** Virtual address of machine address `address` in emu's direct map. */
export function directMap(address: number): bigint {
  return DIRECT_MAP_VIRTUAL + BigInt(address);
}

// ---- emu's region of machine memory: everything at fixed offsets, then the tables whose size depends on RAM.

/** Room for emu's image, from the region's start. */
export const IMAGE_MAX_BYTES = 0x100000;
/** Most grant-table frames a guest may set up (512 version-1 entries each). */
export const MAX_GRANT_FRAMES = 32;
const BOOT_INFO_OFFSET = 0x100000;
const MESSAGE_OFFSET = 0x101000;
const SHARED_INFO_OFFSET = 0x102000;
const PAGE_TABLES_OFFSET = 0x104000;
const GRANT_FRAMES_OFFSET = 0x120000;
const STATISTICS_OFFSET = 0x140000;
const M2P_OFFSET = 0x200000;
/** Page-table pages in the region: see emu-image.ts. */
export const MAX_REGION_PAGE_TABLES = (GRANT_FRAMES_OFFSET - PAGE_TABLES_OFFSET) / PAGE_BYTES;

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Where emu's things are, as machine (guest-physical) byte addresses. */
export interface EmuRegion {
  /** Start of the region and of the image: the first 2 MiB boundary after RAM. */
  readonly base: number;
  /** Machine memory ends here: RAM, the gap up to `base` (not memory of the guest's), the region. In 4 KiB pages. */
  readonly machinePages: number;
  readonly bootInfo: number;
  /** One page: console output, panic and log messages on their way to xenner. */
  readonly message: number;
  /** struct shared_info, one page; its machine address goes into start_info.shared_info. */
  readonly sharedInfo: number;
  readonly pageTables: number;
  readonly grantFrames: number;
  /** STATISTICS. */
  readonly statistics: number;
  /** The m2p: `m2pBytes` long, whole 2 MiB pages. */
  readonly m2p: number;
  readonly m2pBytes: number;
  /** emu's u32 for each machine page: type, type count and flags. */
  readonly pageInfo: number;
}

/**
 * The region for a guest with `ramPages` pages of RAM at machine page 0 and up.
 * @throws RangeError if `ramPages` is not an integer in 1..MAX_RAM_PAGES (MAX_RAM_PAGES_32).
 */
export function emuRegion(ramPages: number, wordBytes: WordBytes = 8): EmuRegion {
  const most = wordBytes === 8 ? MAX_RAM_PAGES : MAX_RAM_PAGES_32;
  if (!Number.isInteger(ramPages) || ramPages < 1 || ramPages > most)
    throw new RangeError(`guest RAM of ${ramPages} pages; 1 to ${most} are possible`);
  const base = roundUp(ramPages * PAGE_BYTES, LARGE_PAGE_BYTES);
  const fixed = base + M2P_OFFSET;
  // The tables describe the whole of machine memory, themselves included; a second round settles their size.
  let machineBytes = fixed;
  let m2pBytes = 0;
  for (let round = 0; round < 2; round++) {
    const pages = machineBytes / PAGE_BYTES;
    m2pBytes = roundUp((pages + LARGE_PAGE_BYTES / PAGE_BYTES) * wordBytes, LARGE_PAGE_BYTES);
    machineBytes = fixed + m2pBytes + roundUp((pages + (2 * m2pBytes) / PAGE_BYTES) * 4, LARGE_PAGE_BYTES);
  }
  return {
    base,
    machinePages: machineBytes / PAGE_BYTES,
    bootInfo: base + BOOT_INFO_OFFSET,
    message: base + MESSAGE_OFFSET,
    sharedInfo: base + SHARED_INFO_OFFSET,
    pageTables: base + PAGE_TABLES_OFFSET,
    grantFrames: base + GRANT_FRAMES_OFFSET,
    statistics: base + STATISTICS_OFFSET,
    m2p: base + M2P_OFFSET,
    m2pBytes,
    pageInfo: base + M2P_OFFSET + m2pBytes,
  };
}

/** What xenner tells emu at start of day. `placeEmu` fills the fields from `machinePages` to `slot256`. */
export const BOOT_INFO: Structure = structure("boot_info", [
  { name: "magic", type: "u32", doc: "BOOT_INFO_MAGIC" },
  { name: "version", type: "u32", doc: "ABI_VERSION" },
  { name: "ramPages", type: "u64", doc: "guest RAM, machine pages 0..ramPages-1 (identity p2m)" },
  { name: "machinePages", type: "u64", doc: "end of machine memory, in pages" },
  { name: "regionBase", type: "u64", doc: "machine address of emu's region and image" },
  { name: "message", type: "u64", doc: "machine address of the message page" },
  { name: "sharedInfo", type: "u64", doc: "machine address of struct shared_info" },
  { name: "grantFrames", type: "u64", doc: "machine address of MAX_GRANT_FRAMES pages" },
  { name: "statistics", type: "u64", doc: "machine address of struct statistics" },
  { name: "m2p", type: "u64", doc: "machine address of the m2p" },
  { name: "m2pBytes", type: "u64", doc: "its mapped size" },
  { name: "pageInfo", type: "u64", doc: "machine address of u32 pageInfo[machinePages]" },
  {
    name: "descriptorL1",
    type: "u64",
    doc: "machine address of the L1 that maps GDT_VIRTUAL and LDT_VIRTUAL",
  },
  {
    name: "slot256",
    type: "u64",
    doc: "L4 entry 256, the same in every L4; 32-bit: refers to the L2 with the hypervisor's entries",
  },
  { name: "kernelEntry", type: "u64", doc: "virtual entry point of the guest kernel" },
  { name: "startInfo", type: "u64", doc: "virtual address of start_info" },
  { name: "initialStack", type: "u64", doc: "initial RSP of the guest" },
  { name: "initialL4", type: "u64", doc: "machine address of the initial L4 (32-bit: L3)" },
  { name: "xenstoreMfn", type: "u64", doc: "machine page of the xenstore ring" },
  { name: "consoleMfn", type: "u64", doc: "machine page of the console ring" },
  {
    name: "xenstorePort",
    type: "u32",
    doc: "event channel of LINES.XENSTORE, as in start_info.store_evtchn",
  },
  {
    name: "consolePort",
    type: "u32",
    doc: "event channel of LINES.CONSOLE, as in start_info.console.domU.evtchn",
  },
  { name: "wallclockSeconds", type: "u64", doc: "seconds since 1970-01-01 UTC when system time was zero" },
  { name: "wallclockNanoseconds", type: "u32", doc: "and nanoseconds" },
  { name: "tscToSystemMul", type: "u32", doc: "pvclock multiplier" },
  { name: "tscShift", type: "i32", doc: "pvclock shift" },
  { name: "tscKhz", type: "u32", doc: "ticks a millisecond, for CPUID leaf 0x40000003" },
  { name: "domid", type: "u32", doc: "the guest's domain id" },
  { name: "reserved", type: "u32", doc: "zero" },
  { name: "uuid", type: "u8", count: 16, doc: "XENVER_guest_handle" },
]);

/** pvclock parameters of our own core, where one tick is one nanosecond: (tsc << 1) * 2^31 / 2^32. */
export const CORE_TSC = { tscToSystemMul: 0x80000000, tscShift: 1, tscKhz: 1_000_000 } as const;

/** The event channels xenner and emu bind before the guest starts. */
export const XENSTORE_PORT = 1;
export const CONSOLE_PORT = 2;

// ---- Statistics: kept by emu, read by xenner (statistics.ts).

/**
 * Traps by kind. The first 32 are exceptions that were bounced to the guest, by vector; null where the processor has
 * none. Those named emulated_* were served by emu.
 */
export const TRAP_KINDS: readonly (string | null)[] = [
  "divide_error",
  "debug",
  "nmi",
  "breakpoint",
  "overflow",
  "bound_range",
  "invalid_opcode",
  "device_not_available",
  "double_fault",
  null,
  "invalid_tss",
  "segment_not_present",
  "stack_segment",
  "general_protection",
  "page_fault",
  null,
  "x87_error",
  "alignment_check",
  "machine_check",
  "simd_error",
  ...new Array<null>(12).fill(null),
  "software_interrupt",
  "user_syscall",
  "failsafe",
  "emulated_cpuid",
  "emulated_rdmsr",
  "emulated_wrmsr",
  "emulated_port_io",
  "emulated_control_register",
  "emulated_debug_register",
  "emulated_instruction",
  "emulated_page_table_write",
];

/** One statistics row: the calls of one sub-operation, or of the hypercall as a whole. */
export interface StatisticsRow {
  readonly hypercall: string;
  /** Xen's name, "other" for unknown sub-operations, null if the hypercall has none. */
  readonly subop: string | null;
}

/** For each hypercall number 0..63: its first row and how many rows follow in sub-operation order, "other" last. */
export interface StatisticsGroup {
  readonly number: number;
  readonly first: number;
  readonly rows: number;
}

function layOutRows(): { rows: StatisticsRow[]; groups: StatisticsGroup[] } {
  const rows: StatisticsRow[] = [{ hypercall: "unknown", subop: null }];
  const groups: StatisticsGroup[] = [];
  for (const { number, name, source, subops } of HYPERCALLS) {
    const first = rows.length;
    for (const [, subop] of subops) rows.push({ hypercall: name, subop });
    rows.push({ hypercall: name, subop: source === "none" ? null : "other" });
    groups.push({ number, first, rows: rows.length - first });
  }
  return { rows, groups };
}

const laidOut = layOutRows();
/** Row 0 counts hypercalls whose number is in no table. */
export const STATISTICS_ROWS: readonly StatisticsRow[] = laidOut.rows;
export const STATISTICS_GROUPS: readonly StatisticsGroup[] = laidOut.groups;
/** u64 counters in a row, in this order. `inEmu` is calls - byPort. */
export const ROW_COUNTERS = ["calls", "byPort", "errors", "instructions"] as const;

export const STATISTICS: Structure = structure("statistics", [
  { name: "kernelEntries", type: "u64", doc: "hypercall instructions executed by the guest kernel" },
  { name: "upcalls", type: "u64", doc: "event callbacks entered" },
  { name: "cr3Switches", type: "u64", doc: "loads of CR3 with another table" },
  { name: "interrupts", type: "u64", doc: "EVENT_VECTOR taken" },
  { name: "portAccesses", type: "u64", doc: "ports read or written" },
  { name: "idleTicks", type: "u64", doc: "TSC ticks spent halted" },
  { name: "traps", type: "u64", count: TRAP_KINDS.length, doc: "by TRAP_KINDS" },
  {
    name: "rows",
    type: "u64",
    count: STATISTICS_ROWS.length * ROW_COUNTERS.length,
    doc: "STATISTICS_ROWS times ROW_COUNTERS",
  },
]);
