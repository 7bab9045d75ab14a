import { LOADER_LIMITS } from "../limits.ts";
import type { RandomAccess } from "./bytes.ts";
import { isBzImage, openBzImage } from "./bzimage.ts";
import type { Compression } from "./decompress/index.ts";
import { type ElfImage, EM_X86_64, isElf, PT_LOAD, parseElf } from "./elf.ts";
import { hex, LoadError } from "./errors.ts";
import { imageOf } from "./image.ts";
import { notAKernel } from "./recognise.ts";
import { type ByteSource, sourceOf } from "./source.ts";
import { MemorySpool, type Spool } from "./spool.ts";
import { findXenNotes, type XenNotes } from "./xen-notes.ts";

/** A part of the kernel as it has to lie in guest memory. */
export interface KernelSegment {
  /** Guest-physical byte address. */
  readonly physicalAddress: number;
  /** The bytes of `Kernel.image` to be copied there. */
  readonly fileOffset: number;
  readonly fileBytes: number;
  /** Size in memory; what follows those bytes is zero. */
  readonly memoryBytes: number;
}

/** A Xen PV kernel, checked and ready to be placed by the domain builder. */
export interface Kernel {
  readonly format: "elf" | "bzImage";
  /** Of a bzImage's payload; undefined if it is not compressed. */
  readonly compression?: Compression;
  /** The decompressed kernel: an ELF file. Good until the spool it is in is cleared or used again. */
  readonly image: RandomAccess;
  readonly notes: XenNotes;
  /** Bytes of a word: 8 for ELFCLASS64, 4 for ELFCLASS32. */
  readonly wordBytes: 4 | 8;
  /** Virtual address of the entry point. */
  readonly entry: bigint;
  /** Virtual address of guest-physical address 0 in the initial mapping: VIRT_BASE. */
  readonly virtBase: bigint;
  /** Ascending by address. */
  readonly segments: readonly KernelSegment[];
  /** Guest-physical extent of all segments: [physicalStart, physicalEnd). */
  readonly physicalStart: number;
  readonly physicalEnd: number;
  /** Guest-physical address of the hypercall page, if the kernel wants one filled. */
  readonly hypercallPage?: number;
  /** Virtual address for the initial p2m, if the kernel wants it outside the initial mapping. */
  readonly initP2m?: bigint;
  /** The kernel accepts an initrd that is not mapped, named by its page number (SIF_MOD_START_PFN). */
  readonly acceptsUnmappedInitrd: boolean;
}

/** Xen's "no value" for numeric notes (UNSET_ADDR of libelf). */
const UNSET = 0xffff_ffff_ffff_ffffn;
const XEN_VERSION = "xen-3.0";
const LOADER = "generic";
/** The hole that belongs to the hypervisor: xen/include/public/arch-x86/xen-x86_64.h. */
const HYPERVISOR_START = 0xffff800000000000n;
const HYPERVISOR_END = 0xffff880000000000n;
/** And of 32-bit guests: xen/include/public/arch-x86/xen-x86_32.h. */
const HYPERVISOR_START_32 = 0xf5800000n;
const PAGE_BYTES = 4096;
/** More than any guest's memory; addresses below it are exact as numbers. */
const PHYSICAL_LIMIT = 1n << 40n;

const REMEDY_PV = "Send a kernel built with Xen PV support (CONFIG_XEN=y, CONFIG_XEN_PV=y)";

/** As much of a file as tells what it is. */
const HEAD_BYTES = 4096;

/**
 * Reads a kernel file (ELF or bzImage) as a Xen PV guest of the word size of its ELF class, with the rules of xen/common/libelf. The file is read in
 * pieces, once.
 *
 * @param spool holds the decompressed kernel, for as long as the result is used
 * @param maxDecompressedBytes bound on what a compressed payload may become
 * @throws LoadError for anything that cannot be booted
 */
export async function loadKernel(
  file: Uint8Array | ByteSource,
  spool: Spool = new MemorySpool(),
  maxDecompressedBytes: number = LOADER_LIMITS.decompressedBytes,
): Promise<Kernel> {
  const { elf, ...opened } = await openKernel(file, spool, maxDecompressedBytes);
  return { ...opened, ...interpret(elf) };
}

/**
 * The beginning of a kernel file: enough to tell what it is.
 *
 * @throws LoadError for a file that is too large
 */
export async function readHead(
  file: Uint8Array | ByteSource,
): Promise<{ readonly source: ByteSource; readonly head: Uint8Array }> {
  const source = sourceOf(file);
  if (source.size > LOADER_LIMITS.kernelFileBytes) {
    throw new LoadError({
      code: "too-large",
      what: `the file has ${source.size} bytes; at most ${LOADER_LIMITS.kernelFileBytes} are accepted`,
      remedy: "Strip debugging information from the kernel",
    });
  }
  const head = (await source.read(0, Math.min(HEAD_BYTES, source.size))).slice();
  return { source, head };
}

/** A kernel file of which nothing is known yet but that it holds an ELF file. */
export interface OpenedKernel {
  readonly format: "elf" | "bzImage";
  readonly compression?: Compression;
  readonly image: RandomAccess;
  readonly elf: ElfImage;
}

/**
 * Opens a kernel file, ELF or bzImage, for whatever mode it is to be started in; parameters as those of `loadKernel`.
 *
 * @throws LoadError for a file that is neither, or damaged
 */
export async function openKernel(
  file: Uint8Array | ByteSource,
  spool: Spool,
  maxDecompressedBytes: number,
): Promise<OpenedKernel> {
  const { source, head } = await readHead(file);
  if (isElf(head)) {
    const image = await imageOf(source, 0, source.size, spool);
    return { format: "elf", image, elf: parseElf(image) };
  }
  if (isBzImage(head)) {
    const { compression, elf } = await openBzImage(source, head, spool, maxDecompressedBytes);
    return { format: "bzImage", ...(compression && { compression }), image: elf, elf: parseElf(elf) };
  }
  throw await notAKernel(source, head);
}

function interpret(elf: ElfImage): Omit<Kernel, "format" | "compression" | "image"> {
  const notes = findXenNotes(elf);
  if (notes === undefined) {
    throw new LoadError({
      code: "no-xen-notes",
      what: "this kernel has no Xen ELF notes (neither in PT_NOTE, nor in SHT_NOTE, nor in __xen_guest), so it was built without Xen support",
      where: `${elf.segments.length} program headers`,
      remedy: REMEDY_PV,
    });
  }
  checkMode(notes);
  const wordBytes = elf.machine === EM_X86_64 ? 8 : 4;
  if (wordBytes === 4) checkPae(notes);

  const virtBase = notes.virtBase ?? 0n;
  // The legacy string has the ELF's addresses virtual, the notes have them physical, if they do not say otherwise.
  const paddrOffset = notes.paddrOffset ?? (notes.source === "__xen_guest" ? virtBase : 0n);
  if (virtBase % BigInt(PAGE_BYTES) !== 0n)
    throw badNote("VIRT_BASE", `${hex(virtBase)} is not the start of a page`);
  const segments = placeSegments(elf, paddrOffset);
  const physicalStart = segments[0]!.physicalAddress;
  const physicalEnd = Math.max(...segments.map((s) => s.physicalAddress + s.memoryBytes));
  const toVirtual = (physical: number): bigint => BigInt.asUintN(wordBytes * 8, virtBase + BigInt(physical));

  const start = toVirtual(physicalStart);
  const end = toVirtual(physicalEnd);
  if (end < start) {
    throw badNote("VIRT_BASE", `the image would wrap around the end of the address space at ${hex(start)}`);
  }
  if (!isOutsideHole(wordBytes, start, end)) {
    throw badNote(
      "VIRT_BASE",
      `the image at ${hex(start)} to ${hex(end)} is not in the guest's part of the address space`,
    );
  }
  const entry = notes.entry ?? elf.entry;
  if (entry < start || entry >= end) {
    // Linux for 32 bits has the other notes of a PV guest all the same; its e_entry is a physical address.
    if (notes.entry === undefined && notes.phys32Entry !== undefined) throw hvmOnly();
    throw badNote(
      "ENTRY",
      `the entry point ${hex(entry)} lies outside the image, ${hex(start)} to ${hex(end)}`,
    );
  }
  // As Xen's domain builder: a p2m of its own place is for 64-bit guests.
  const initP2m = notes.initP2m === UNSET || wordBytes === 4 ? undefined : notes.initP2m;
  if (initP2m !== undefined) checkInitP2m(initP2m, start, end);
  const hypercallPage = findHypercallPage(notes, virtBase, start, end);
  return {
    notes,
    wordBytes,
    entry,
    virtBase,
    segments,
    physicalStart,
    physicalEnd,
    ...(hypercallPage !== undefined && { hypercallPage }),
    ...(initP2m !== undefined && { initP2m }),
    acceptsUnmappedInitrd: (notes.modStartPfn ?? 0n) !== 0n,
  };
}

function isOutsideHole(wordBytes: 4 | 8, start: bigint, end: bigint): boolean {
  if (wordBytes === 4) return end <= HYPERVISOR_START_32;
  return isCanonical(start) && isCanonical(end - 1n) && !(start < HYPERVISOR_END && end > HYPERVISOR_START);
}

/** 32-bit guests of Xen have page tables of three levels; those of two levels ended with Xen 3.3. */
function checkPae({ paeMode, source }: XenNotes): void {
  if (paeMode !== undefined && (paeMode.startsWith("yes") || paeMode.includes("bimodal"))) return;
  throw new LoadError({
    code: "mode-not-offered",
    what: `this 32-bit kernel is for page tables of two levels (PAE mode "${paeMode?.slice(0, 40) ?? "no"}"); 32-bit PV guests are offered with PAE only`,
    where: source === "__xen_guest" ? "section __xen_guest, PAE" : "XEN_ELFNOTE_PAE_MODE",
    remedy: "Send a kernel built with PAE (CONFIG_X86_PAE=y), or a 64-bit one",
  });
}

/** Whether the kernel is a PV guest of this ABI at all (elf_xen_note_check of libelf). */
function checkMode(notes: XenNotes): void {
  const isPvh = notes.phys32Entry !== undefined;
  if (isPvh && notes.entry === undefined && notes.virtBase === undefined) throw hvmOnly();
  if (notes.xenVersion !== undefined && notes.xenVersion !== XEN_VERSION) {
    throw badNote(
      "XEN_VERSION",
      `the guest is for "${notes.xenVersion.slice(0, 40)}", this is "${XEN_VERSION}"`,
    );
  }
  const isLinux = notes.guestOs?.startsWith("linux") ?? false;
  if (!isLinux && !notes.loader?.startsWith(LOADER)) {
    throw badNote("LOADER", `the loader is "${notes.loader?.slice(0, 40) ?? ""}", only "${LOADER}" is known`);
  }
}

function hvmOnly(): LoadError {
  return new LoadError({
    code: "hvm-only",
    what: "this kernel has an entry point for hardware virtual machines (PVH) only, none for Xen PV",
    where: "XEN_ELFNOTE_PHYS32_ENTRY without XEN_ELFNOTE_ENTRY",
    remedy: REMEDY_PV,
  });
}

function badNote(note: string, what: string): LoadError {
  return new LoadError({
    code: "bad-note",
    what,
    where: `XEN_ELFNOTE_${note}`,
    remedy: "Rebuild the kernel; readelf -n shows its notes, readelf -l its segments",
  });
}

function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}

/** The loadable segments by physical address, less `paddrOffset`; at least one. */
export function placeSegments(elf: ElfImage, paddrOffset: bigint): KernelSegment[] {
  const segments: KernelSegment[] = [];
  for (const segment of elf.segments) {
    if (segment.type !== PT_LOAD || segment.memoryBytes === 0) continue;
    const physical = BigInt.asUintN(64, segment.physicalAddress - paddrOffset);
    if (physical >= PHYSICAL_LIMIT) {
      throw new LoadError({
        code: "bad-elf",
        what: `the segment's physical address ${hex(segment.physicalAddress)} less the PADDR_OFFSET ${hex(paddrOffset)} is no address in memory`,
        where: `segment ${segment.index}`,
        remedy: "Rebuild the kernel; readelf -l shows its segments, readelf -n its notes",
      });
    }
    segments.push({
      physicalAddress: Number(physical),
      fileOffset: segment.fileOffset,
      fileBytes: segment.fileBytes,
      memoryBytes: segment.memoryBytes,
    });
  }
  if (segments.length === 0) {
    throw new LoadError({
      code: "bad-elf",
      what: "no segment is to be loaded",
      where: `${elf.segments.length} program headers`,
      remedy: "Send the linked kernel: vmlinux or bzImage",
    });
  }
  return segments.sort((a, b) => a.physicalAddress - b.physicalAddress);
}

function checkInitP2m(address: bigint, start: bigint, end: bigint): void {
  const inHole = address >= HYPERVISOR_START && address < HYPERVISOR_END;
  if (address % BigInt(PAGE_BYTES) !== 0n || !isCanonical(address) || inHole) {
    throw badNote("INIT_P2M", `the p2m cannot be at ${hex(address)}`);
  }
  if (address >= start && address < end) {
    throw badNote("INIT_P2M", `the p2m at ${hex(address)} would overlap the image`);
  }
}

function findHypercallPage(
  notes: XenNotes,
  virtBase: bigint,
  start: bigint,
  end: bigint,
): number | undefined {
  let address = notes.hypercallPage;
  if (address === undefined && notes.hypercallPageNumber !== undefined) {
    address = BigInt.asUintN(64, virtBase + notes.hypercallPageNumber * BigInt(PAGE_BYTES));
  }
  if (address === undefined || address === UNSET) return undefined;
  if (address % BigInt(PAGE_BYTES) !== 0n || address < start || address + BigInt(PAGE_BYTES) > end) {
    throw badNote(
      "HYPERCALL_PAGE",
      `the hypercall page ${hex(address)} is not a page of the image, ${hex(start)} to ${hex(end)}`,
    );
  }
  return Number(address - virtBase);
}
