import type { PhysicalMemory } from "../cpu/types.ts";
import { LOADER_LIMITS } from "../limits.ts";
import type { Kernel, KernelSegment } from "../loader/kernel.ts";
import { type ByteSource, readPieces } from "../loader/source.ts";
import {
  ABI_VERSION,
  BOOT_INFO,
  BOOT_INFO_MAGIC,
  CONSOLE_PORT,
  CORE_TSC,
  directMap,
  HYPERVISOR_L4_SLOT,
  MAP_32,
  PAGE_BYTES,
  type WordBytes,
  XENSTORE_PORT,
} from "./abi.ts";
import type { PlacedEmu } from "./emu-image.ts";
import { hypercallPage } from "./hypercall-page.ts";
import type { DomainLayout } from "./layout.ts";
import { fillTables, paeTopL2 } from "./page-tables.ts";
import { encodeStartInfo, type StartInfo } from "./start-info.ts";
import { encode } from "./structure.ts";

/** What a domain is built from. */
export interface DomainSpec {
  readonly kernel: Kernel;
  readonly layout: DomainLayout;
  readonly initrd?: ByteSource;
  readonly cmdline: Uint8Array;
  readonly emu: PlacedEmu;
  /** Seconds since 1970-01-01 UTC at start of day. */
  readonly startTime: number;
  readonly uuid: Uint8Array;
  /** Called now and then: a moment for other events of the process. */
  readonly rest?: () => Promise<void>;
}

/** How the processor has to start. */
export interface EntryState {
  /** Physical address of the initial L4; of a 32-bit guest the L3 that emu starts with, for ESI, as paging is off. */
  readonly cr3: number;
  readonly rip: bigint;
  readonly rdi: bigint;
}

export const GUEST_DOMID = 1;

/** Bytes of a segment that are copied at a time; whole pages. */
const COPY_BYTES = 16 * PAGE_BYTES;

/**
 * Builds a domain in `memory`, which must be all zero: kernel, initrd, p2m, start_info, page tables, and emu with its
 * boot information. See layout.ts for what lies where, abi.ts for what emu expects. Kernel and initrd go piece by piece to
 * where pages are kept.
 */
export async function buildDomain(memory: PhysicalMemory, spec: DomainSpec): Promise<EntryState> {
  const { kernel, layout, emu } = spec;
  for (const segment of kernel.segments) await copySegment(memory, spec, segment);
  if (kernel.hypercallPage !== undefined) memory.write(kernel.hypercallPage, hypercallPage(kernel.wordBytes));
  if (layout.initrd !== undefined && spec.initrd !== undefined) {
    await copyInitrd(memory, spec.initrd, layout.initrd.pfn * PAGE_BYTES);
  }
  memory.load(layout.p2m.pfn * PAGE_BYTES, identityP2m(layout.ramPages, kernel.wordBytes));
  memory.write(layout.startInfo * PAGE_BYTES, startInfo(spec));
  writePageTables(memory, layout);

  for (const { address, bytes } of emu.writes) memory.write(address, bytes);
  const cr3 = layout.tables.pfn * PAGE_BYTES;
  memory.write(emu.region.bootInfo, bootInfo(spec, cr3));
  if (emu.pae !== undefined) {
    const top = paeTopL2(layout.tables) * PAGE_BYTES;
    for (const [index, entry] of emu.pae.entries.entries())
      memory.writeU64(top + (MAP_32.HYPERVISOR_L2_SLOT + index) * 8, entry);
    const bootInfoAt = MAP_32.REGION_VIRTUAL + (emu.region.bootInfo - emu.region.base);
    return { cr3: emu.pae.startTable, rip: emu.entry, rdi: BigInt(bootInfoAt) };
  }
  memory.writeU64(cr3 + HYPERVISOR_L4_SLOT * 8, emu.slot256);
  return { cr3, rip: emu.entry, rdi: directMap(emu.region.bootInfo) };
}

/**
 * Copies a segment of a kernel to memory. The first piece ends at the end of a page, so that the others are whole pages.
 */
export async function copySegment(
  memory: PhysicalMemory,
  {
    kernel: { image },
    rest,
  }: { readonly kernel: Pick<Kernel, "image">; readonly rest?: () => Promise<void> },
  segment: KernelSegment,
): Promise<void> {
  const { physicalAddress, fileOffset, fileBytes } = segment;
  const toPage = -physicalAddress & (PAGE_BYTES - 1);
  const piece = new Uint8Array(COPY_BYTES);
  for (let done = 0; done < fileBytes; ) {
    const length = Math.min(fileBytes - done, done === 0 && toPage > 0 ? toPage : COPY_BYTES);
    image.copy(fileOffset + done, piece.subarray(0, length));
    memory.load(physicalAddress + done, piece.subarray(0, length));
    done += length;
    await rest?.();
  }
}

/** Copies an initrd to `address`, which is the beginning of a page. */
export async function copyInitrd(memory: PhysicalMemory, initrd: ByteSource, address: number): Promise<void> {
  await readPieces(initrd, 0, initrd.size, LOADER_LIMITS.inputPieceBytes, (piece, at) =>
    memory.load(address + at, piece),
  );
}

/** pfn and mfn are the same, so the guest's table is a row of numbers. */
function identityP2m(pages: number, wordBytes: WordBytes): Uint8Array {
  const table = new Uint8Array(pages * wordBytes);
  const view = new DataView(table.buffer);
  for (let pfn = 0; pfn < pages; pfn++) view.setUint32(pfn * wordBytes, pfn, true);
  return table;
}

function virtualAddress(layout: DomainLayout, pfn: number): bigint {
  return layout.virtBase + BigInt(pfn) * BigInt(PAGE_BYTES);
}

function startInfo({ kernel, layout, emu, cmdline }: DomainSpec): Uint8Array {
  const { initrd, p2m, tables } = layout;
  const info: StartInfo = {
    nrPages: layout.ramPages,
    sharedInfo: emu.region.sharedInfo,
    storeMfn: layout.xenstore,
    storePort: XENSTORE_PORT,
    consoleMfn: layout.console,
    consolePort: CONSOLE_PORT,
    ptBase: virtualAddress(layout, tables.pfn),
    nrPtFrames: tables.count,
    mfnList: p2m.virtual,
    modStart: initrd === undefined ? 0n : (initrd.virtual ?? BigInt(initrd.pfn)),
    modStartIsPfn: initrd !== undefined && initrd.virtual === undefined,
    modLen: initrd?.bytes ?? 0,
    cmdline,
    firstP2mPfn: p2m.tables === undefined ? 0 : p2m.pfn,
    nrP2mFrames: p2m.tables === undefined ? 0 : p2m.pages + p2m.tables.count,
  };
  return encodeStartInfo(info, kernel.wordBytes);
}

/**
 * A page table must not be mapped writable (Xen would refuse to use it as one), so the initial mapping shows its own
 * tables read-only. The tables of an INIT_P2M lie outside of it.
 */
function writePageTables(memory: PhysicalMemory, { tables, p2m }: DomainLayout): void {
  const write = (address: number, value: bigint): void => memory.writeU64(address, value);
  const isTable = (pfn: number): boolean => pfn >= tables.pfn && pfn < tables.pfn + tables.count;
  fillTables(tables, 0, isTable, write);
  if (p2m.tables !== undefined) fillTables(p2m.tables, p2m.pfn, () => false, write);
}

function bootInfo(spec: DomainSpec, cr3: number): Uint8Array {
  const { kernel, layout, emu } = spec;
  return encode(BOOT_INFO, {
    ...emu.bootInfo,
    magic: BOOT_INFO_MAGIC,
    version: ABI_VERSION,
    kernelEntry: kernel.entry,
    startInfo: virtualAddress(layout, layout.startInfo),
    initialStack: virtualAddress(layout, layout.stack + 1),
    initialL4: cr3,
    xenstoreMfn: layout.xenstore,
    consoleMfn: layout.console,
    xenstorePort: XENSTORE_PORT,
    consolePort: CONSOLE_PORT,
    wallclockSeconds: Math.floor(spec.startTime),
    wallclockNanoseconds: Math.round((spec.startTime % 1) * 1e9) % 1_000_000_000,
    ...CORE_TSC,
    domid: GUEST_DOMID,
    uuid: spec.uuid,
  });
}
