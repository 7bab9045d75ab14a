/*
 * Guest-physical memory of a guest in mode "hvm" at its start, and what is written there. After Linux's boot protocol:
 *
 *   GDT, boot_params, page tables, command line | hole of the PC | kernel ... initrd | special pages, ACPI tables | room
 *
 * Behind RAM it is as layout.ts has it for PVH; the last 128 MiB of the machine's memory are the window of the PCI host
 * bridge, from where the platform device has its memory, in which Linux puts the grant frames.
 */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { LoadError } from "../../loader/errors.ts";
import type { LinuxKernel } from "../../loader/linux-boot.ts";
import type { ByteSource } from "../../loader/source.ts";
import { hvmAcpiTables, RSDP_BYTES } from "../../platform/acpi-pc.ts";
import { encodeBootParams } from "../../platform/boot-params.ts";
import { PAGE_BYTES } from "../abi.ts";
import { copyInitrd, copySegment } from "../domain-builder.ts";
import { type PvhLayout, pvhRegion } from "./layout.ts";
import { MEMMAP_TYPES, type MemoryMapEntry } from "./start-info.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Low memory, in bytes. The kernel reads all of this before it uses low memory for anything. */
export const LOW = {
  gdt: 0x6000,
  bootParams: 0x7000,
  /** PML4, PDPT, four page directories: the first 4 GiB mapped one to one. */
  pageTables: 0x8000,
  cmdline: 0x20000,
  /** The BIOS data area's word for how many KiB of low memory there are. */
  biosMemoryKiB: 0x413,
  ramEnd: 0x9fc00,
  /** Where an RSDP is looked for. */
  bios: 0xf0000,
  high: 0x100000,
} as const;
/** I/O APIC, local APIC and what else a PC has below 4 GiB. */
const DEVICES = 0xfec00000;
const ADDRESS_SPACE = 2 ** 40;
const PCI_WINDOW_BYTES = 128 * MIB;
const LARGE_PAGE = 2 * MIB;
/** Present, writable, large. */
const LARGE_ENTRY = 0x83n;
const TABLE_ENTRY = 3n;
/** __BOOT_CS and __BOOT_DS, flat. */
export const BOOT_CS = 0x10;
export const BOOT_DS = 0x18;
const GDT = { null: 0n, code32: 0x00cf9b000000ffffn, code64: 0x00af9b000000ffffn, data: 0x00cf93000000ffffn };
export const GDT_LIMIT = 4 * 8 - 1;

export interface LinuxLayout extends Omit<PvhLayout, "startInfo"> {
  /** Memory of PCI devices. */
  readonly pciWindow: { readonly address: number; readonly bytes: number };
}

/** Where everything that does not depend on the kernel lies: `pvhRegion` with a PC's memory map. */
export function linuxRegion(ramPages: number): Omit<LinuxLayout, "initrd"> {
  const region = pvhRegion(ramPages);
  const entry = (from: number, to: number, type: MemoryMapEntry["type"]): MemoryMapEntry => ({
    address: from,
    size: to - from,
    type,
  });
  const { RAM, RESERVED, UNUSABLE } = MEMMAP_TYPES;
  const machineEnd = region.machinePages * PAGE_BYTES;
  const behindRam = region.memoryMap.filter(({ type }) => type !== RAM && type !== UNUSABLE);
  return {
    ...region,
    pciWindow: { address: machineEnd - PCI_WINDOW_BYTES, bytes: PCI_WINDOW_BYTES },
    memoryMap: [
      entry(0, LOW.ramEnd, RAM),
      entry(LOW.ramEnd, 0xa0000, RESERVED),
      entry(LOW.bios, LOW.high, RESERVED),
      entry(LOW.high, ramPages * PAGE_BYTES, RAM),
      ...behindRam,
      entry(machineEnd, DEVICES, UNUSABLE),
      entry(DEVICES, 4 * GIB, RESERVED),
      entry(4 * GIB, ADDRESS_SPACE, UNUSABLE),
    ].filter(({ size }) => size > 0),
  };
}

/**
 * Plans the memory of a guest in mode "hvm".
 *
 * @throws LoadError bad-memory; does-not-fit, naming the memory that would do
 */
export function planLinux(kernel: LinuxKernel, initrdBytes: number, ramPages: number): LinuxLayout {
  if (pvhRegion(ramPages).machinePages * PAGE_BYTES > DEVICES) {
    throw new LoadError({
      code: "bad-memory",
      field: "memory",
      what: `a guest in mode "hvm" cannot have ${(ramPages * PAGE_BYTES) / MIB} MiB: its memory ends below its devices at ${DEVICES / MIB} MiB`,
      remedy: "Give it at most 3 GiB",
    });
  }
  const ramEnd = Math.min(ramPages * PAGE_BYTES, kernel.initrdMax + 1);
  const initrd = Math.floor((ramEnd - initrdBytes) / PAGE_BYTES) * PAGE_BYTES;
  if (kernel.physicalEnd > initrd) {
    const needed = kernel.physicalEnd + Math.ceil(initrdBytes / PAGE_BYTES) * PAGE_BYTES;
    throw new LoadError({
      code: "does-not-fit",
      field: "memory",
      what: `${(ramPages * PAGE_BYTES) / MIB} MiB are too little for this kernel: it needs memory up to ${(kernel.physicalEnd / MIB).toFixed(1)} MiB${initrdBytes > 0 ? `, the initrd has ${(initrdBytes / MIB).toFixed(1)} MiB` : ""}`,
      remedy: `Give the guest at least ${Math.ceil(needed / MIB)} MiB, or send a smaller kernel or initrd`,
    });
  }
  return {
    ...linuxRegion(ramPages),
    ...(initrdBytes > 0 && { initrd: { address: initrd, bytes: initrdBytes } }),
  };
}

/** What a guest in mode "hvm" is built from. */
export interface LinuxDomainSpec {
  readonly kernel: LinuxKernel;
  readonly layout: LinuxLayout;
  readonly initrd?: ByteSource;
  readonly cmdline: Uint8Array;
  /** Called now and then: a moment for other events of the process. */
  readonly rest?: () => Promise<void>;
}

/** Writes kernel, initrd, boot_params, ACPI tables and page tables to `memory`, which must be all zero. */
export async function buildLinuxDomain(memory: PhysicalMemory, spec: LinuxDomainSpec): Promise<void> {
  const { kernel, layout, initrd, cmdline } = spec;
  for (const segment of kernel.segments) await copySegment(memory, spec, segment);
  if (layout.initrd !== undefined && initrd !== undefined) {
    await copyInitrd(memory, initrd, layout.initrd.address);
  }
  const tables = hvmAcpiTables(layout.acpi, layout.pciWindow);
  memory.write(layout.acpi, tables);
  memory.write(LOW.bios, tables.subarray(0, RSDP_BYTES));
  for (const [i, descriptor] of [
    GDT.null,
    GDT.null,
    kernel.bits === 64 ? GDT.code64 : GDT.code32,
    GDT.data,
  ].entries()) {
    memory.writeU64(LOW.gdt + i * 8, descriptor);
  }
  memory.write(LOW.biosMemoryKiB, Uint8Array.of((LOW.ramEnd / 1024) & 0xff, (LOW.ramEnd / 1024) >> 8));
  if (kernel.bits === 64) writeIdentityMap(memory);
  memory.write(LOW.cmdline, cmdline);
  const bootParams = encodeBootParams({
    setupHeader: kernel.setupHeader,
    kernel: kernel.physicalStart,
    cmdline: LOW.cmdline,
    ...(layout.initrd && { initrd: layout.initrd }),
    rsdp: layout.acpi,
    memoryMap: layout.memoryMap,
  });
  memory.write(LOW.bootParams, bootParams);
}

/** The first 4 GiB in large pages. */
function writeIdentityMap(memory: PhysicalMemory): void {
  const pdpt = LOW.pageTables + PAGE_BYTES;
  memory.writeU64(LOW.pageTables, BigInt(pdpt) | TABLE_ENTRY);
  for (let gib = 0; gib < 4; gib++) {
    const directory = pdpt + (gib + 1) * PAGE_BYTES;
    memory.writeU64(pdpt + gib * 8, BigInt(directory) | TABLE_ENTRY);
    for (let i = 0; i < 512; i++) {
      memory.writeU64(directory + i * 8, BigInt(gib * GIB + i * LARGE_PAGE) | LARGE_ENTRY);
    }
  }
}
