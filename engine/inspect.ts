import { DOMAIN_LIMITS, LOADER_LIMITS } from "./limits.ts";
import type { Compression } from "./loader/decompress/index.ts";
import { LoadError } from "./loader/errors.ts";
import { type Kernel, loadKernel } from "./loader/kernel.ts";
import { type LinuxKernel, loadLinuxKernel } from "./loader/linux-boot.ts";
import { loadPvhKernel, type PvhKernel } from "./loader/pvh.ts";
import type { ByteSource } from "./loader/source.ts";
import { MemorySpool, type Spool } from "./loader/spool.ts";
import type { XenNotes } from "./loader/xen-notes.ts";
import type { GuestMode } from "./machine-api.ts";
import { PAGE_BYTES } from "./xenner/abi.ts";
import { type PvhLayout, planPvh } from "./xenner/hvm/layout.ts";
import { type LinuxLayout, planLinux } from "./xenner/hvm/linux-domain.ts";
import { type DomainLayout, planLayout } from "./xenner/layout.ts";

const MIB = 1024 * 1024;

/** What can be said about a kernel without running it. */
export interface KernelSummary {
  readonly format: "elf" | "bzImage";
  readonly compression?: Compression;
  /** Of the kernel's words. */
  readonly bits: 32 | 64;
  /** XEN_ELFNOTE_GUEST_OS and _GUEST_VERSION. */
  readonly guestOs: string;
  readonly guestVersion: string;
  readonly entry: bigint;
  /** The kernel wants a hypercall page at start of day; otherwise it executes `syscall` itself, or asks for one later. */
  readonly usesHypercallPage: boolean;
  /** Undefined where they do not matter, in mode "hvm". */
  readonly notes: XenNotes | undefined;
  /** Guest memory in bytes that is in use at start of day: kernel, initrd, page tables and the rest. */
  readonly usedBytes: number;
}

export interface PreparedDomain {
  readonly kernel: Kernel;
  readonly layout: DomainLayout;
}

/**
 * Checks everything about a job that can be wrong before its guest runs, without building anything: for a request that
 * wants its answer now. `initrdBytes` is the size of the initrd, 0 for none. `spool` is cleared afterwards.
 *
 * @throws LoadError, with a message for the one who sent the kernel
 */
export async function inspectKernel(
  kernelFile: Uint8Array | ByteSource,
  memoryMiB: number,
  initrdBytes = 0,
  spool: Spool = new MemorySpool(),
  mode: GuestMode = "pv",
): Promise<KernelSummary> {
  try {
    if (mode === "pvh") return summaryOfPvh(await preparePvh(kernelFile, memoryMiB, initrdBytes, spool));
    if (mode === "hvm") return summaryOfLinux(await prepareLinux(kernelFile, memoryMiB, initrdBytes, spool));
    return summaryOf(await prepareDomain(kernelFile, memoryMiB, initrdBytes, spool));
  } finally {
    spool.clear();
  }
}

function summaryOf({ kernel, layout }: PreparedDomain): KernelSummary {
  const used = Math.max(
    layout.stack + 1,
    layout.initrd === undefined ? 0 : layout.initrd.pfn + layout.initrd.pages,
    layout.p2m.pfn + layout.p2m.pages,
  );
  return {
    format: kernel.format,
    ...(kernel.compression && { compression: kernel.compression }),
    bits: kernel.wordBytes === 8 ? 64 : 32,
    guestOs: kernel.notes.guestOs ?? "",
    guestVersion: kernel.notes.guestVersion ?? "",
    entry: kernel.entry,
    usesHypercallPage: kernel.hypercallPage !== undefined,
    notes: kernel.notes,
    usedBytes: used * PAGE_BYTES,
  };
}

function summaryOfPvh({ kernel, layout }: PreparedPvh): KernelSummary {
  const { initrd, startInfo } = layout;
  const end = initrd === undefined ? startInfo + PAGE_BYTES : initrd.address + initrd.bytes;
  return {
    format: kernel.format,
    ...(kernel.compression && { compression: kernel.compression }),
    bits: kernel.bits,
    guestOs: kernel.notes.guestOs ?? "",
    guestVersion: kernel.notes.guestVersion ?? "",
    entry: BigInt(kernel.entry),
    usesHypercallPage: false,
    notes: kernel.notes,
    usedBytes: Math.ceil(end / PAGE_BYTES) * PAGE_BYTES,
  };
}

function summaryOfLinux({ kernel, layout }: PreparedLinux): KernelSummary {
  const end = kernel.physicalEnd + (layout.initrd?.bytes ?? 0);
  return {
    format: kernel.format,
    bits: kernel.bits,
    guestOs: kernel.notes?.guestOs ?? "linux",
    guestVersion: kernel.notes?.guestVersion ?? kernel.version,
    entry: BigInt(kernel.entry),
    usesHypercallPage: false,
    notes: kernel.notes,
    usedBytes: Math.ceil(end / PAGE_BYTES) * PAGE_BYTES,
  };
}

export interface PreparedLinux {
  readonly kernel: LinuxKernel;
  readonly layout: LinuxLayout;
}

/** As `prepareDomain`, for a guest that is entered by Linux's boot protocol. */
export async function prepareLinux(
  kernelFile: Uint8Array | ByteSource,
  memoryMiB: number,
  initrdBytes: number,
  spool: Spool = new MemorySpool(),
): Promise<PreparedLinux> {
  checkSizes(memoryMiB, initrdBytes);
  const kernel = await loadLinuxKernel(kernelFile, spool);
  return { kernel, layout: planLinux(kernel, initrdBytes, (memoryMiB * MIB) / PAGE_BYTES) };
}

export interface PreparedPvh {
  readonly kernel: PvhKernel;
  readonly layout: PvhLayout;
}

/** As `prepareDomain`, for a PVH guest. */
export async function preparePvh(
  kernelFile: Uint8Array | ByteSource,
  memoryMiB: number,
  initrdBytes: number,
  spool: Spool = new MemorySpool(),
): Promise<PreparedPvh> {
  checkSizes(memoryMiB, initrdBytes);
  const kernel = await loadPvhKernel(kernelFile, spool, decompressedLimit(memoryMiB));
  return { kernel, layout: planPvh(kernel, initrdBytes, (memoryMiB * MIB) / PAGE_BYTES) };
}

/**
 * Reads the kernel and plans the domain's memory; the same checks as `inspectKernel`. The decompressed kernel is in `spool`
 * then.
 */
export async function prepareDomain(
  kernelFile: Uint8Array | ByteSource,
  memoryMiB: number,
  initrdBytes: number,
  spool: Spool = new MemorySpool(),
): Promise<PreparedDomain> {
  checkSizes(memoryMiB, initrdBytes);
  const kernel = await loadKernel(kernelFile, spool, decompressedLimit(memoryMiB));
  return { kernel, layout: planLayout(kernel, initrdBytes, (memoryMiB * MIB) / PAGE_BYTES) };
}

/** @throws LoadError bad-memory, too-large */
function checkSizes(memoryMiB: number, initrdBytes: number): void {
  const { minMemoryMiB, maxMemoryMiB } = DOMAIN_LIMITS;
  if (!Number.isInteger(memoryMiB) || memoryMiB < minMemoryMiB || memoryMiB > maxMemoryMiB) {
    throw new LoadError({
      code: "bad-memory",
      field: "memory",
      what: `a guest cannot have ${memoryMiB} MiB`,
      remedy: `Give a whole number of MiB from ${minMemoryMiB} to ${maxMemoryMiB}`,
    });
  }
  if (initrdBytes > LOADER_LIMITS.initrdBytes) {
    throw new LoadError({
      code: "too-large",
      field: "initrd",
      what: `the initrd has ${initrdBytes} bytes; at most ${LOADER_LIMITS.initrdBytes} are accepted`,
      remedy: "Send a smaller initrd",
    });
  }
}

/**
 * What a compressed kernel may become. Nearly all of a vmlinux is loaded, so one that is much larger than the guest
 * cannot fit and need not be decompressed to find out; the margin is for symbols and relocations.
 */
function decompressedLimit(memoryMiB: number): number {
  return Math.min(LOADER_LIMITS.decompressedBytes, (memoryMiB * 2 + 16) * MIB);
}

/**
 * Checks a command line for start_info.
 *
 * @throws LoadError bad-cmdline
 */
export function encodeCmdline(cmdline: string): Uint8Array {
  const bytes = new TextEncoder().encode(cmdline);
  if (bytes.length <= DOMAIN_LIMITS.cmdlineBytes && !bytes.includes(0)) return bytes;
  throw new LoadError({
    code: "bad-cmdline",
    field: "cmdline",
    what: bytes.includes(0)
      ? "the command line contains a NUL character"
      : `the command line has ${bytes.length} bytes; start_info holds ${DOMAIN_LIMITS.cmdlineBytes}`,
    remedy: "Shorten the command line",
  });
}
