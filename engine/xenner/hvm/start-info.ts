/* struct hvm_start_info and what it points to: xen/include/public/arch-x86/hvm/start_info.h. */

/** "xEn3" with bit 7 of the "E" set. */
export const HVM_START_MAGIC = 0x336ec578;
const VERSION = 1;
export const HVM_START_INFO_BYTES = 56;
export const MODLIST_ENTRY_BYTES = 32;
export const MEMMAP_ENTRY_BYTES = 24;

/** XEN_HVM_MEMMAP_TYPE_*, which are those of ACPI. */
export const MEMMAP_TYPES = { RAM: 1, RESERVED: 2, ACPI: 3, UNUSABLE: 5 } as const;

export interface MemoryMapEntry {
  /** Bytes. */
  readonly address: number;
  readonly size: number;
  readonly type: (typeof MEMMAP_TYPES)[keyof typeof MEMMAP_TYPES];
}

export interface HvmStartInfo {
  /** Where the whole will lie, a physical byte address. */
  readonly address: number;
  readonly initrd?: { readonly address: number; readonly bytes: number };
  /** Without NUL. */
  readonly cmdline: Uint8Array;
  /** Physical address of the RSDP. */
  readonly rsdp: number;
  readonly memoryMap: readonly MemoryMapEntry[];
}

/** How many bytes `encodeHvmStartInfo` makes. */
export function hvmStartInfoBytes(cmdlineBytes: number, memoryMapEntries: number): number {
  return (
    HVM_START_INFO_BYTES + MODLIST_ENTRY_BYTES + memoryMapEntries * MEMMAP_ENTRY_BYTES + cmdlineBytes + 1
  );
}

/** The structure, and behind it the module list, the memory map and the command line. */
export function encodeHvmStartInfo(info: HvmStartInfo): Uint8Array {
  const { address, initrd, cmdline, memoryMap } = info;
  const bytes = new Uint8Array(hvmStartInfoBytes(cmdline.length, memoryMap.length));
  const view = new DataView(bytes.buffer);
  const quad = (offset: number, value: number): void => view.setBigUint64(offset, BigInt(value), true);
  const modlist = HVM_START_INFO_BYTES;
  const memmap = modlist + MODLIST_ENTRY_BYTES;
  const text = memmap + memoryMap.length * MEMMAP_ENTRY_BYTES;

  view.setUint32(0, HVM_START_MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(12, initrd === undefined ? 0 : 1, true);
  quad(16, initrd === undefined ? 0 : address + modlist);
  quad(24, address + text);
  quad(32, info.rsdp);
  quad(40, address + memmap);
  view.setUint32(48, memoryMap.length, true);
  if (initrd !== undefined) {
    quad(modlist, initrd.address);
    quad(modlist + 8, initrd.bytes);
  }
  for (const [i, entry] of memoryMap.entries()) {
    const at = memmap + i * MEMMAP_ENTRY_BYTES;
    quad(at, entry.address);
    quad(at + 8, entry.size);
    view.setUint32(at + 16, entry.type, true);
  }
  bytes.set(cmdline, text);
  return bytes;
}
