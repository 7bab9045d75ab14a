import { LOADER_LIMITS } from "../limits.ts";
import { EM_X86_64 } from "./elf.ts";
import { hex, LoadError } from "./errors.ts";
import { type Kernel, openKernel, placeSegments } from "./kernel.ts";
import type { ByteSource } from "./source.ts";
import type { Spool } from "./spool.ts";
import { findXenNotes, type XenNotes } from "./xen-notes.ts";

/** A PVH kernel, checked and ready to be placed: see xen/docs/misc/pvh.pandoc. */
export interface PvhKernel
  extends Pick<Kernel, "format" | "compression" | "image" | "segments" | "physicalStart" | "physicalEnd"> {
  readonly notes: XenNotes;
  /** Of the ELF file's class. */
  readonly bits: 32 | 64;
  /** Physical address of the 32-bit entry point: XEN_ELFNOTE_PHYS32_ENTRY. */
  readonly entry: number;
}

/**
 * Reads a kernel file (ELF of either class, or bzImage) as a PVH guest. Parameters and spool as in `loadKernel`.
 *
 * @throws LoadError for anything that cannot be started this way
 */
export async function loadPvhKernel(
  file: Uint8Array | ByteSource,
  spool: Spool,
  maxDecompressedBytes: number = LOADER_LIMITS.decompressedBytes,
): Promise<PvhKernel> {
  const { elf, ...opened } = await openKernel(file, spool, maxDecompressedBytes);
  const notes = findXenNotes(elf);
  if (notes?.phys32Entry === undefined) {
    throw new LoadError({
      code: "no-pvh-entry",
      what: "this kernel has no PVH entry point (XEN_ELFNOTE_PHYS32_ENTRY)",
      where: notes === undefined ? `${elf.segments.length} program headers, no Xen notes` : notes.source,
      remedy: 'Send a kernel built with CONFIG_PVH=y and CONFIG_XEN_PVH=y, or run this one in mode "pv"',
    });
  }
  // The note is an address in memory, and so are the segments': PADDR_OFFSET is PV's.
  const segments = placeSegments(elf, 0n);
  const physicalStart = segments[0]!.physicalAddress;
  const physicalEnd = Math.max(...segments.map((s) => s.physicalAddress + s.memoryBytes));
  const { phys32Entry } = notes;
  if (phys32Entry < BigInt(physicalStart) || phys32Entry >= BigInt(Math.min(physicalEnd, 2 ** 32))) {
    throw new LoadError({
      code: "bad-note",
      what: `the entry point ${hex(phys32Entry)} lies outside the image, ${hex(physicalStart)} to ${hex(physicalEnd)}`,
      where: "XEN_ELFNOTE_PHYS32_ENTRY",
      remedy: "Rebuild the kernel; readelf -n shows its notes, readelf -l its segments",
    });
  }
  return {
    ...opened,
    notes,
    bits: elf.machine === EM_X86_64 ? 64 : 32,
    segments,
    physicalStart,
    physicalEnd,
    entry: Number(phys32Entry),
  };
}
