/*
 * struct boot_params, the "zero page" that a kernel is handed by Linux's boot protocol: Documentation/arch/x86/boot.rst and
 * zero-page.rst, include/uapi/asm/bootparam.h.
 */

export const BOOT_PARAMS_BYTES = 4096;
export const E820_ENTRY_BYTES = 20;

const ACPI_RSDP_ADDR = 0x070;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;
/** Entries that the page has room for. */
export const E820_MAX_ENTRIES = 128;
const SETUP_HEADER = 0x1f1;
const VID_MODE = 0x1fa;
const BOOT_FLAG = 0x1fe;
const HEADER = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const KERNEL_ALIGNMENT = 0x230;

const BOOT_FLAG_MAGIC = 0xaa55;
/** "HdrS". */
const HEADER_MAGIC = 0x53726448;
const PROTOCOL = 0x020f;
const UNDEFINED_LOADER = 0xff;
const NORMAL_VIDEO_MODE = 0xffff;
const LOADED_HIGH = 1;
const ELF_ALIGNMENT = 0x200000;

export interface E820Entry {
  /** Bytes. */
  readonly address: number;
  readonly size: number;
  /** 1 RAM, 2 reserved, 3 ACPI tables, 5 unusable. */
  readonly type: number;
}

export interface BootParams {
  /** A bzImage's own header, from offset 0x1f1; without one that of a kernel in an ELF file is made up. */
  readonly setupHeader: Uint8Array | undefined;
  /** Where the kernel was loaded. */
  readonly kernel: number;
  readonly cmdline: number;
  readonly initrd?: { readonly address: number; readonly bytes: number };
  /** Physical address of the RSDP. */
  readonly rsdp: number;
  readonly memoryMap: readonly E820Entry[];
}

export function encodeBootParams(params: BootParams): Uint8Array {
  const bytes = new Uint8Array(BOOT_PARAMS_BYTES);
  const view = new DataView(bytes.buffer);
  if (params.setupHeader !== undefined) {
    bytes.set(params.setupHeader.subarray(0, E820_TABLE - SETUP_HEADER), SETUP_HEADER);
  } else {
    view.setUint16(BOOT_FLAG, BOOT_FLAG_MAGIC, true);
    view.setUint32(HEADER, HEADER_MAGIC, true);
    view.setUint16(VERSION, PROTOCOL, true);
    view.setUint32(KERNEL_ALIGNMENT, ELF_ALIGNMENT, true);
  }
  view.setUint16(VID_MODE, NORMAL_VIDEO_MODE, true);
  view.setUint8(TYPE_OF_LOADER, UNDEFINED_LOADER);
  view.setUint8(LOADFLAGS, view.getUint8(LOADFLAGS) | LOADED_HIGH);
  view.setUint32(CODE32_START, params.kernel, true);
  view.setUint32(CMD_LINE_PTR, params.cmdline, true);
  view.setUint32(RAMDISK_IMAGE, params.initrd?.address ?? 0, true);
  view.setUint32(RAMDISK_SIZE, params.initrd?.bytes ?? 0, true);
  view.setBigUint64(ACPI_RSDP_ADDR, BigInt(params.rsdp), true);
  const map = params.memoryMap.slice(0, E820_MAX_ENTRIES);
  view.setUint8(E820_ENTRIES, map.length);
  for (const [i, { address, size, type }] of map.entries()) {
    const at = E820_TABLE + i * E820_ENTRY_BYTES;
    view.setBigUint64(at, BigInt(address), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
  }
  return bytes;
}
