import { asciiz, Bytes } from "./bytes.ts";
import { BZIMAGE_HEAD_BYTES, isBzImage } from "./bzimage.ts";
import { type ElfImage, isElf, PT_LOAD, parseElf } from "./elf.ts";
import { hex, LoadError, REMEDY_COMPLETE_FILE } from "./errors.ts";
import { imageOf } from "./image.ts";
import { type Kernel, placeSegments, readHead } from "./kernel.ts";
import { notAKernel } from "./recognise.ts";
import type { ByteSource } from "./source.ts";
import type { Spool } from "./spool.ts";
import { findXenNotes, type XenNotes } from "./xen-notes.ts";

/*
 * Kernels that are started by Linux's own boot protocol (Documentation/arch/x86/boot.rst). A bzImage is loaded as it is and
 * decompresses itself in the guest; an ELF file (vmlinux) is placed by its program headers and entered at e_entry.
 */

const SECTOR_BYTES = 512;
const PARAGRAPH_BYTES = 16;
/** Offsets in the file, which are those in boot_params, too. */
export const SETUP_HEADER = 0x1f1;
const JUMP_DISTANCE = 0x201;
const HEADER_MAGIC_AT = 0x202;
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const VERSION = 0x206;
const KERNEL_VERSION = 0x20e;
const LOADFLAGS = 0x211;
const INITRD_ADDR_MAX = 0x22c;
const KERNEL_ALIGNMENT = 0x230;
const RELOCATABLE_KERNEL = 0x234;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;

const LOADED_HIGH = 1;
/** XLF_KERNEL_64: there is a 64-bit entry point at 0x200. */
const XLF_KERNEL_64 = 1;
const ENTRY_64 = 0x200;
/** Protocol 2.10: pref_address and init_size, since Linux 2.6.31. */
const PROTOCOL_INIT_SIZE = 0x020a;
/** Protocol 2.12: xloadflags. */
const PROTOCOL_XLOADFLAGS = 0x020c;
/** Where a kernel goes that is not told otherwise. */
const LOAD_HIGH = 0x100000;
/** Longest version string looked at. */
const VERSION_BYTES = 256;
const REMEDY_LINUX = "Send an x86 Linux kernel as bzImage (vmlinuz) or ELF (vmlinux)";

/** A kernel to be entered by Linux's boot protocol, checked and ready to be placed. */
export interface LinuxKernel extends Pick<Kernel, "format" | "image" | "segments"> {
  /** Of an ELF file; none are looked for in a bzImage, which stays compressed. */
  readonly notes: XenNotes | undefined;
  /** "6.1.0-56-cloud-amd64 (…) #1 SMP …", empty if the file does not say. */
  readonly version: string;
  /** The mode the processor has to be in at `entry`, a physical address. */
  readonly bits: 32 | 64;
  readonly entry: number;
  /** Physical extent the kernel needs before it looks at its memory map: [physicalStart, physicalEnd). */
  readonly physicalStart: number;
  readonly physicalEnd: number;
  /** The file's setup header, from offset 0x1f1; undefined for an ELF file. */
  readonly setupHeader: Uint8Array | undefined;
  /** The highest address the initrd's last byte may have. */
  readonly initrdMax: number;
  /** Longest command line without its NUL. */
  readonly cmdlineBytes: number;
}

/**
 * Reads a kernel file for Linux's boot protocol.
 *
 * @param spool holds the kernel's bytes for as long as the result is used
 * @throws LoadError for anything that cannot be started this way
 */
export async function loadLinuxKernel(file: Uint8Array | ByteSource, spool: Spool): Promise<LinuxKernel> {
  const { source, head } = await readHead(file);
  if (isBzImage(head)) return loadBzImage(source, head, spool);
  if (!isElf(head)) throw await notAKernel(source, head);
  const image = await imageOf(source, 0, source.size, spool);
  return { format: "elf", image, ...fromElf(parseElf(image)) };
}

async function loadBzImage(source: ByteSource, head: Uint8Array, spool: Spool): Promise<LinuxKernel> {
  const file = new Bytes(head);
  const what = "the bzImage setup header";
  const protocol = file.u16(VERSION, what);
  if (protocol < PROTOCOL_INIT_SIZE || !(file.u8(LOADFLAGS, what) & LOADED_HIGH)) {
    throw new LoadError({
      code: "bad-bzimage",
      what: `the boot protocol is version ${protocol >>> 8}.${protocol & 0xff}; kernels are started from 2.10 on`,
      where: `offset ${hex(VERSION)}`,
      remedy: "Send the kernel's vmlinux instead of its bzImage, or a kernel from Linux 2.6.31 on",
    });
  }
  file.slice(0, BZIMAGE_HEAD_BYTES, what);
  const start = ((file.u8(SETUP_SECTS, what) || 4) + 1) * SECTOR_BYTES;
  const stated = file.u32(SYSSIZE, what) * PARAGRAPH_BYTES;
  // syssize may count the last paragraph in full.
  if (source.size + PARAGRAPH_BYTES <= start + stated || source.size <= start) {
    throw new LoadError({
      code: "truncated",
      what: `the bzImage has ${source.size} bytes, but its header says ${start + stated}`,
      where: `offset ${hex(SYSSIZE)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  const bytes = Math.min(stated, source.size - start);
  const address = loadAddress(file);
  const initSize = file.u32(INIT_SIZE, what);
  if (initSize < bytes) {
    throw new LoadError({
      code: "bad-bzimage",
      what: `the kernel says that it needs ${initSize} bytes to start in, but has ${bytes} itself`,
      where: `offset ${hex(INIT_SIZE)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  const isWide =
    protocol >= PROTOCOL_XLOADFLAGS && (file.u16(XLOADFLAGS, what) & XLF_KERNEL_64) !== 0 && bytes > ENTRY_64;
  const headerEnd = HEADER_MAGIC_AT + file.u8(JUMP_DISTANCE, what);
  const versionAt = file.u16(KERNEL_VERSION, what) + 0x200;
  return {
    format: "bzImage",
    image: await imageOf(source, start, bytes, spool),
    notes: undefined,
    version: file.has(versionAt, 1) ? asciiz(head.subarray(versionAt), VERSION_BYTES) : "",
    bits: isWide ? 64 : 32,
    entry: address + (isWide ? ENTRY_64 : 0),
    segments: [{ physicalAddress: address, fileOffset: 0, fileBytes: bytes, memoryBytes: bytes }],
    physicalStart: address,
    physicalEnd: address + initSize,
    setupHeader: file.slice(SETUP_HEADER, headerEnd - SETUP_HEADER, what).slice(),
    initrdMax: file.u32(INITRD_ADDR_MAX, what),
    cmdlineBytes: file.u32(CMDLINE_SIZE, what),
  };
}

/** The preferred address, where a kernel that can be moved need not move. */
function loadAddress(file: Bytes): number {
  const what = "the bzImage setup header";
  const preferred = file.u64(PREF_ADDRESS, what);
  const alignment = file.u32(KERNEL_ALIGNMENT, what);
  if (file.u8(RELOCATABLE_KERNEL, what) === 0) return LOAD_HIGH;
  const isAligned = alignment !== 0 && preferred % BigInt(alignment) === 0n;
  if (preferred < BigInt(LOAD_HIGH) || preferred >= 1n << 31n || !isAligned) return LOAD_HIGH;
  return Number(preferred);
}

/** Only Linux is known to begin at e_entry as its boot protocol says, whatever its notes offer besides. */
function refusePvOnly(notes: XenNotes | undefined): void {
  if (notes?.entry === undefined || notes.phys32Entry !== undefined) return;
  if (notes.guestOs?.startsWith("linux")) return;
  throw new LoadError({
    code: "pv-only",
    what: "this kernel has an entry point for Xen PV only, and is no Linux",
    where: "XEN_ELFNOTE_ENTRY without XEN_ELFNOTE_PHYS32_ENTRY",
    remedy: 'Boot it in the mode "pv"',
  });
}

function fromElf(elf: ElfImage): Omit<LinuxKernel, "format" | "image"> {
  const notes = findXenNotes(elf);
  refusePvOnly(notes);
  const segments = placeSegments(elf, 0n);
  const physicalStart = segments[0]!.physicalAddress;
  const physicalEnd = Math.max(...segments.map((s) => s.physicalAddress + s.memoryBytes));
  const entry = physicalEntry(elf);
  if (entry < BigInt(physicalStart) || entry >= BigInt(Math.min(physicalEnd, 2 ** 32))) {
    throw new LoadError({
      code: "bad-elf",
      what: `the entry point ${hex(elf.entry)} is not an address of the image, ${hex(physicalStart)} to ${hex(physicalEnd)}`,
      where: "ELF header, e_entry",
      remedy: REMEDY_LINUX,
    });
  }
  if (physicalStart < LOAD_HIGH) {
    throw new LoadError({
      code: "bad-elf",
      what: `the image begins at ${hex(physicalStart)}, but Linux's boot protocol keeps what is below ${hex(LOAD_HIGH)} to itself`,
      where: "program headers",
      remedy: REMEDY_LINUX,
    });
  }
  return {
    notes,
    version: "",
    // An x32 file starts in 32-bit mode, as with other loaders: its headers have no room for an address of 64 bits.
    bits: elf.bits,
    entry: Number(entry),
    segments,
    physicalStart,
    physicalEnd,
    setupHeader: undefined,
    initrdMax: 0x7fffffff,
    cmdlineBytes: 2047,
  };
}

/** e_entry of a vmlinux is physical; that of another file may be virtual. */
function physicalEntry(elf: ElfImage): bigint {
  const { entry } = elf;
  const loaded = elf.segments.filter(({ type, memoryBytes }) => type === PT_LOAD && memoryBytes > 0);
  const holds = (start: bigint, bytes: number): boolean => entry >= start && entry < start + BigInt(bytes);
  if (loaded.some(({ physicalAddress, memoryBytes }) => holds(physicalAddress, memoryBytes))) return entry;
  const segment = loaded.find(({ virtualAddress, memoryBytes }) => holds(virtualAddress, memoryBytes));
  return segment === undefined ? entry : entry - segment.virtualAddress + segment.physicalAddress;
}
