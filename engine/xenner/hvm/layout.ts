/*
 * Guest-physical memory of a PVH guest:
 *
 *   RAM from 0: kernel | start_info | initrd | free ... | special pages, ACPI tables | room for mappings
 *
 * The special pages are behind RAM, marked as reserved. Behind them is address space without memory of the guest's, where
 * Linux puts grant frames (XENMEM_add_to_physmap): it looks for 128 MiB at a multiple of that (mm/sparse.c's sections).
 * The processor has memory there. The rest of the address space is marked as unusable: Linux would else go above 4 GiB, and
 * what is only reserved it does not look at so early (arch/x86/kernel/e820.c, do_mark_busy).
 */

import { DOMAIN_LIMITS } from "../../limits.ts";
import { LoadError } from "../../loader/errors.ts";
import type { PvhKernel } from "../../loader/pvh.ts";
import { ACPI_BYTES } from "../../platform/acpi.ts";
import { XAPIC_ADDRESS } from "../../platform/lapic.ts";
import { MAX_GRANT_FRAMES, PAGE_BYTES } from "../abi.ts";
import { hvmStartInfoBytes, MEMMAP_TYPES, type MemoryMapEntry } from "./start-info.ts";

const MIB = 1024 * 1024;
const SECTION_PAGES = (128 * MIB) / PAGE_BYTES;
const SPECIAL_ALIGNMENT_PAGES = (2 * MIB) / PAGE_BYTES;
/** Xenstore, console, shared_info and grant frames as long as they are not mapped elsewhere. */
const XENSTORE_PAGE = 0;
const CONSOLE_PAGE = 1;
const SHARED_INFO_PAGE = 2;
const GRANT_PAGE = 4;
const SPECIAL_PAGES = GRANT_PAGE + MAX_GRANT_FRAMES;
const ACPI_PAGES = Math.ceil(ACPI_BYTES / PAGE_BYTES);
/** Entries of the memory map: RAM, special pages, ACPI tables, what there is not. */
const MAP_ENTRIES = 4;
/** Physical addresses have 40 bits (CPUID leaf 0x80000008). */
const ADDRESS_SPACE_PAGES = 2 ** 40 / PAGE_BYTES;

export interface PvhLayout {
  readonly ramPages: number;
  /** Memory of the machine in pages, from 0. */
  readonly machinePages: number;
  /** Physical byte addresses. */
  readonly startInfo: number;
  readonly initrd?: { readonly address: number; readonly bytes: number };
  readonly acpi: number;
  /** Page numbers. */
  readonly xenstore: number;
  readonly console: number;
  readonly sharedInfo: number;
  readonly grantFrames: number;
  readonly memoryMap: readonly MemoryMapEntry[];
}

/** Where everything that does not depend on the kernel lies, for a guest with `ramPages` pages of RAM. */
export function pvhRegion(ramPages: number): Omit<PvhLayout, "startInfo" | "initrd"> {
  const special = Math.ceil(ramPages / SPECIAL_ALIGNMENT_PAGES) * SPECIAL_ALIGNMENT_PAGES;
  const acpi = special + SPECIAL_PAGES;
  const end = acpi + ACPI_PAGES;
  const entry = (pfn: number, pages: number, type: MemoryMapEntry["type"]): MemoryMapEntry => ({
    address: pfn * PAGE_BYTES,
    size: pages * PAGE_BYTES,
    type,
  });
  const machinePages = (Math.ceil(end / SECTION_PAGES) + 1) * SECTION_PAGES;
  return {
    ramPages,
    machinePages,
    acpi: acpi * PAGE_BYTES,
    xenstore: special + XENSTORE_PAGE,
    console: special + CONSOLE_PAGE,
    sharedInfo: special + SHARED_INFO_PAGE,
    grantFrames: special + GRANT_PAGE,
    memoryMap: [
      entry(0, ramPages, MEMMAP_TYPES.RAM),
      entry(special, SPECIAL_PAGES, MEMMAP_TYPES.RESERVED),
      entry(acpi, ACPI_PAGES, MEMMAP_TYPES.ACPI),
      entry(machinePages, ADDRESS_SPACE_PAGES - machinePages, MEMMAP_TYPES.UNUSABLE),
    ],
  };
}

/** Whether the local APIC's registers have an address that no memory of the machine has. */
export function hasXapicPage(machinePages: number): boolean {
  return machinePages * PAGE_BYTES <= XAPIC_ADDRESS;
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/**
 * Plans the memory of a PVH guest.
 *
 * @throws LoadError does-not-fit, naming the memory that would do
 */
export function planPvh(kernel: PvhKernel, initrdBytes: number, ramPages: number): PvhLayout {
  const startInfo = pagesOf(kernel.physicalEnd);
  const initrd = startInfo + pagesOf(hvmStartInfoBytes(DOMAIN_LIMITS.cmdlineBytes, MAP_ENTRIES));
  const end = initrd + pagesOf(initrdBytes);
  if (end > ramPages) {
    throw new LoadError({
      code: "does-not-fit",
      field: "memory",
      what: `${(ramPages * PAGE_BYTES) / MIB} MiB are too little for this kernel: it ends at ${(kernel.physicalEnd / MIB).toFixed(1)} MiB${initrdBytes > 0 ? `, the initrd has ${(initrdBytes / MIB).toFixed(1)} MiB` : ""}`,
      remedy: `Give the guest at least ${Math.ceil((end * PAGE_BYTES) / MIB)} MiB, or send a smaller kernel or initrd`,
    });
  }
  return {
    ...pvhRegion(ramPages),
    startInfo: startInfo * PAGE_BYTES,
    ...(initrdBytes > 0 && { initrd: { address: initrd * PAGE_BYTES, bytes: initrdBytes } }),
  };
}
