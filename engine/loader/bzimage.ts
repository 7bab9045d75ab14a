import { Bytes } from "./bytes.ts";
import { type Compression, decompressPayload } from "./decompress/index.ts";
import { isElf } from "./elf.ts";
import { hex, LoadError, REMEDY_COMPLETE_FILE } from "./errors.ts";
import { type Image, imageOf } from "./image.ts";
import type { ByteSource } from "./source.ts";
import type { Spool } from "./spool.ts";

/* The bzImage format: Documentation/arch/x86/boot.rst of Linux, "The Real-Mode Kernel Header". */

const SECTOR_BYTES = 512;
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const HEADER = 0x202;
const VERSION = 0x206;
const LOADFLAGS = 0x211;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

const BOOT_FLAG_MAGIC = 0xaa55;
/** "HdrS" */
const HEADER_MAGIC = 0x53726448;
/** The first protocol version with a payload offset: Linux 2.6.26. */
const PROTOCOL_PAYLOAD = 0x0208;
const LOADED_HIGH = 0x01;
/** syssize counts paragraphs, and may count the last one in full. */
const PARAGRAPH_BYTES = 16;

/** As much of a file as its setup header needs. */
export const BZIMAGE_HEAD_BYTES = 0x250;

/** Whether a file that begins with `data` is a bzImage. */
export function isBzImage(data: Uint8Array): boolean {
  if (data.length < HEADER + 4) return false;
  const file = new Bytes(data);
  return file.u16(BOOT_FLAG, "") === BOOT_FLAG_MAGIC && file.u32(HEADER, "") === HEADER_MAGIC;
}

export interface BzImagePayload {
  /** Undefined for CONFIG_KERNEL_UNCOMPRESSED. */
  readonly compression?: Compression;
  /** The vmlinux inside. */
  readonly elf: Image;
}

/**
 * Finds the payload of a bzImage and decompresses it into `spool`. `head` is the file's beginning, BZIMAGE_HEAD_BYTES of
 * it. `limit` bounds the decompressed size in bytes.
 *
 * @throws LoadError bad-bzimage, truncated, unknown-compression, corrupt-payload, too-large
 */
export async function openBzImage(
  source: ByteSource,
  head: Uint8Array,
  spool: Spool,
  limit?: number,
): Promise<BzImagePayload> {
  const file = new Bytes(head);
  const what = "the bzImage setup header";
  const version = file.u16(VERSION, what);
  if (version < PROTOCOL_PAYLOAD) {
    throw new LoadError({
      code: "bad-bzimage",
      what: `the boot protocol is version ${version >>> 8}.${version & 0xff}; the payload can be found from 2.8 on`,
      where: `offset ${hex(VERSION)}`,
      remedy: "Send the kernel's vmlinux instead of its bzImage",
    });
  }
  if ((file.u8(LOADFLAGS, what) & LOADED_HIGH) === 0) {
    throw new LoadError({
      code: "bad-bzimage",
      what: "this is a zImage, not a bzImage",
      where: `offset ${hex(LOADFLAGS)}`,
      remedy: "Send the kernel's bzImage or vmlinux",
    });
  }
  // 0 means 4, for kernels older than any this can load.
  const setupSectors = file.u8(SETUP_SECTS, what) || 4;
  const protectedMode = (setupSectors + 1) * SECTOR_BYTES;
  const protectedModeBytes = file.u32(SYSSIZE, what) * PARAGRAPH_BYTES;
  const payloadOffset = file.u32(PAYLOAD_OFFSET, what);
  const payloadLength = file.u32(PAYLOAD_LENGTH, what);
  if (payloadLength === 0) {
    throw new LoadError({
      code: "bad-bzimage",
      what: "this bzImage has no kernel inside that could be taken out of it: it can only be entered by Linux's boot protocol",
      where: `offset ${hex(PAYLOAD_LENGTH)}`,
      remedy: 'Boot it in mode "hvm"',
    });
  }
  if (payloadOffset + payloadLength > protectedModeBytes) {
    throw new LoadError({
      code: "bad-bzimage",
      what: `a payload of ${payloadLength} bytes at ${hex(payloadOffset)} does not lie in the ${protectedModeBytes} bytes of the kernel`,
      where: `offset ${hex(PAYLOAD_OFFSET)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  const stated = protectedMode + protectedModeBytes;
  if (source.size + PARAGRAPH_BYTES <= stated) {
    throw new LoadError({
      code: "truncated",
      what: `the bzImage has ${source.size} bytes, but its header says ${stated}`,
      where: `offset ${hex(SYSSIZE)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  const start = protectedMode + payloadOffset;
  if (start + payloadLength > source.size) {
    throw new LoadError({
      code: "truncated",
      what: `the file has ${source.size} bytes and ends inside the compressed kernel, which needs ${payloadLength} bytes`,
      where: `offset ${hex(start)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  if (isElf(await source.read(start, Math.min(4, payloadLength)))) {
    return { elf: await imageOf(source, start, payloadLength, spool) };
  }
  const { compression, image } = await decompressPayload(source, start, payloadLength, spool, limit);
  if (image.length < 4 || !isElf(image.bytes(0, 4))) {
    throw new LoadError({
      code: "bad-bzimage",
      what: `the ${compression} payload decompresses to ${image.length} bytes that are not an ELF file`,
      where: `offset ${hex(start)}`,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  return { compression, elf: image };
}
