import { DOMAIN_LIMITS } from "../limits.ts";
import { LoadError } from "../loader/errors.ts";
import type { Kernel } from "../loader/kernel.ts";
import { HYPERVISOR_L4_SLOT, HYPERVISOR_LAST_L4_SLOT, MAP_32, MAX_RAM_PAGES_32, PAGE_BYTES } from "./abi.ts";
import { type Levels, planTables, type TablePlan } from "./page-tables.ts";

/*
 * Where everything lies in a new domain's memory: the contract of "Start-of-day memory layout" in
 * xen/include/public/xen.h, in the order in which tools/libs/guest of Xen allocates.
 *
 *   kernel | initrd | p2m | start_info | xenstore | console | page tables | stack | >= 512 KiB, up to a 4 MiB boundary
 *
 * All of that is one virtual mapping from VIRT_BASE. A kernel that says so in its notes gets its initrd behind it, not
 * mapped (MOD_START_PFN), and its p2m behind that, mapped at an address of its own (INIT_P2M).
 */

/** Pages from `pfn` on. */
export interface PageRange {
  readonly pfn: number;
  readonly pages: number;
}

export interface DomainLayout {
  readonly ramPages: number;
  readonly virtBase: bigint;
  /** End of the initial mapping (virtual). */
  readonly virtEnd: bigint;
  /** `virtual` is undefined if it is not mapped. */
  readonly initrd?: PageRange & { readonly bytes: number; readonly virtual?: bigint };
  /** The p2m list; `pages` counts the list alone, `tables` the page tables behind it (INIT_P2M only). */
  readonly p2m: PageRange & { readonly virtual: bigint; readonly tables?: TablePlan };
  readonly startInfo: number;
  readonly xenstore: number;
  readonly console: number;
  /** Page tables of the initial mapping; the L4 is the first. */
  readonly tables: TablePlan;
  readonly stack: number;
}

const SLACK_BYTES = 512 * 1024;
const END_ALIGNMENT = 4 * 1024 * 1024;
const MIB = 1024 * 1024;

/**
 * Plans the memory of a domain with `ramPages` pages.
 *
 * @throws LoadError does-not-fit (naming the memory that would do), or bad-note if the kernel's notes leave no room in
 *   the address space
 */
export function planLayout(kernel: Kernel, initrdBytes: number, ramPages: number): DomainLayout {
  if (kernel.wordBytes === 4 && ramPages > MAX_RAM_PAGES_32) {
    throw new LoadError({
      code: "bad-memory",
      field: "memory",
      what: `a 32-bit guest cannot have ${(ramPages * PAGE_BYTES) / MIB} MiB`,
      remedy: `Give at most ${(MAX_RAM_PAGES_32 * PAGE_BYTES) / MIB} MiB`,
    });
  }
  if (kernel.physicalEnd > DOMAIN_LIMITS.maxMemoryMiB * MIB) {
    throw new LoadError({
      code: "does-not-fit",
      what: `the kernel ends at ${(kernel.physicalEnd / MIB).toFixed(1)} MiB; the largest guest has ${DOMAIN_LIMITS.maxMemoryMiB} MiB`,
      where: `segment at 0x${kernel.segments.at(-1)!.physicalAddress.toString(16)}`,
      remedy: "Send a smaller kernel",
    });
  }
  const plan = tryLayout(kernel, initrdBytes, ramPages);
  if (plan.usedPages <= ramPages) return plan.layout;
  throw doesNotFit(kernel, initrdBytes, ramPages);
}

function tryLayout(
  kernel: Kernel,
  initrdBytes: number,
  ramPages: number,
): { layout: DomainLayout; usedPages: number } {
  const virtual = (pfn: number): bigint => kernel.virtBase + BigInt(pfn) * BigInt(PAGE_BYTES);
  const levels: Levels = kernel.wordBytes === 8 ? 4 : 3;
  const p2mPages = toPages(ramPages * kernel.wordBytes);
  const initrdPages = toPages(initrdBytes);
  const mapInitrd = initrdBytes > 0 && !kernel.acceptsUnmappedInitrd;
  // Xen, too, ignores an INIT_P2M that is not below the image.
  const p2mBase =
    kernel.initP2m !== undefined && kernel.initP2m + BigInt(p2mPages * PAGE_BYTES) <= kernel.virtBase
      ? kernel.initP2m
      : undefined;

  const kernelEnd = toPages(kernel.physicalEnd);
  const beforeTables = (mapInitrd ? initrdPages : 0) + (p2mBase === undefined ? p2mPages : 0) + 3;
  const { start, tableCount, end } = fitMapping(kernel.virtBase, kernelEnd, beforeTables, levels);

  let next = start;
  const take = (pages: number): number => {
    const pfn = next;
    next += pages;
    return pfn;
  };
  const mappedInitrd = mapInitrd ? take(initrdPages) : 0;
  const mappedP2m = p2mBase === undefined ? take(p2mPages) : 0;
  const startInfo = take(1);
  const xenstore = take(1);
  const console = take(1);
  const tables = planTables(take(tableCount), kernel.virtBase, virtual(end), undefined, levels);
  const stack = take(1);
  next = end;
  checkAddresses(kernel.virtBase, virtual(end), levels);

  const initrdPfn = mapInitrd ? mappedInitrd : initrdBytes > 0 ? take(initrdPages) : 0;
  const initrd = initrdBytes > 0 && {
    pfn: initrdPfn,
    pages: initrdPages,
    bytes: initrdBytes,
    ...(mapInitrd && { virtual: virtual(initrdPfn) }),
  };
  let p2m: DomainLayout["p2m"];
  if (p2mBase === undefined) {
    p2m = { pfn: mappedP2m, pages: p2mPages, virtual: virtual(mappedP2m) };
  } else {
    const p2mEnd = p2mBase + BigInt(p2mPages * PAGE_BYTES);
    checkAddresses(p2mBase, p2mEnd, levels);
    const pfn = take(p2mPages);
    const own = planTables(next, p2mBase, p2mEnd, tables, levels);
    take(own.count);
    p2m = { pfn, pages: p2mPages, virtual: p2mBase, tables: own };
  }
  const layout: DomainLayout = {
    ramPages,
    virtBase: kernel.virtBase,
    virtEnd: virtual(end),
    ...(initrd && { initrd }),
    p2m,
    startInfo,
    xenstore,
    console,
    tables,
    stack,
  };
  return { layout, usedPages: next };
}

/**
 * Finds the number of page tables and the end of the mapping, which depend on each other, and the page behind the
 * kernel where the rest starts.
 *
 * Linux removes the initial mapping up to the next 4 MiB boundary after the page tables. If stack and slack push the end
 * beyond it, writable and executable pages remain, which its W^X check reports; then everything moves up.
 */
function fitMapping(
  virtBase: bigint,
  kernelEnd: number,
  beforeTables: number,
  levels: Levels,
): { start: number; tableCount: number; end: number } {
  let start = kernelEnd;
  let tableCount = 4;
  for (;;) {
    const tablesEnd = start + beforeTables + tableCount;
    const end = alignEnd(virtBase, tablesEnd + 1 + SLACK_BYTES / PAGE_BYTES);
    const { count } = planTables(0, virtBase, virtBase + BigInt(end) * BigInt(PAGE_BYTES), undefined, levels);
    const unmappedByLinux = alignEnd(virtBase, tablesEnd);
    if (count > tableCount) tableCount = count;
    else if (unmappedByLinux < end) start += unmappedByLinux - tablesEnd + 1;
    else return { start, tableCount, end };
  }
}

/** The first page number from `pfn` on whose virtual address is a multiple of 4 MiB. */
function alignEnd(virtBase: bigint, pfn: number): number {
  const address = virtBase + BigInt(pfn) * BigInt(PAGE_BYTES);
  const past = address % BigInt(END_ALIGNMENT);
  return past === 0n ? pfn : pfn + (END_ALIGNMENT - Number(past)) / PAGE_BYTES;
}

function toPages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

const L4_SHIFT = 39n;

function checkAddresses(start: bigint, end: bigint, levels: Levels): void {
  const last = end - 1n;
  if (levels === 3 && end <= BigInt(MAP_32.M2P_VIRTUAL)) return;
  const canonical = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
  const slot = (address: bigint): number => Number((address >> L4_SHIFT) & 511n);
  const inHole = slot(last) >= HYPERVISOR_L4_SLOT && slot(start) <= HYPERVISOR_LAST_L4_SLOT;
  if (levels === 4 && canonical(start) && canonical(last) && start >> 47n === last >> 47n && !inHole) return;
  throw new LoadError({
    code: "bad-note",
    what: `the initial mapping at 0x${start.toString(16)} to 0x${end.toString(16)} does not lie in the guest's part of the address space`,
    where: "XEN_ELFNOTE_VIRT_BASE, XEN_ELFNOTE_INIT_P2M",
    remedy: "Rebuild the kernel; readelf -n shows its notes",
  });
}

function doesNotFit(kernel: Kernel, initrdBytes: number, ramPages: number): LoadError {
  // The p2m grows with memory: a few rounds settle it.
  let pages = ramPages;
  for (let round = 0; round < 4; round++) {
    pages = Math.max(pages, tryLayout(kernel, initrdBytes, pages).usedPages);
  }
  const needed = Math.ceil((pages * PAGE_BYTES) / MIB);
  const kernelMiB = (kernel.physicalEnd / MIB).toFixed(1);
  const withInitrd = initrdBytes > 0 ? `, the initrd has ${(initrdBytes / MIB).toFixed(1)} MiB` : "";
  return new LoadError({
    code: "does-not-fit",
    field: "memory",
    what: `${(ramPages * PAGE_BYTES) / MIB} MiB are too little for this kernel: it ends at ${kernelMiB} MiB${withInitrd}, and page tables and p2m come on top`,
    remedy: `Give the guest at least ${needed} MiB, or send a smaller kernel or initrd`,
  });
}
