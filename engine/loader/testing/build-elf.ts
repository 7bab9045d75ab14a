/* Builds small ELF executables and bzImages for tests, out of parts that may be wrong in any way a test wants. */

export interface TestSegment {
  readonly type?: number;
  readonly flags?: number;
  readonly vaddr?: bigint;
  readonly paddr?: bigint;
  readonly bytes?: Uint8Array;
  readonly filesz?: bigint;
  readonly memsz?: bigint;
  readonly offset?: bigint;
}

export interface TestSection {
  readonly name: string;
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface TestElf {
  readonly bits?: 32 | 64;
  readonly machine?: number;
  readonly type?: number;
  readonly entry?: bigint;
  readonly segments?: readonly TestSegment[];
  readonly sections?: readonly TestSection[];
}

const PT_LOAD = 1;

/** The file's bytes: header, program headers, segment bytes, section bytes, section headers. */
export function buildElf(elf: TestElf): Uint8Array {
  const is64 = (elf.bits ?? 64) === 64;
  const segments = elf.segments ?? [];
  const names = ["", ...(elf.sections ?? []).map(({ name }) => name), ".shstrtab"];
  const nameOffsets: number[] = [];
  let nameText = "";
  for (const name of names) {
    nameOffsets.push(nameText.length);
    nameText += `${name}\0`;
  }
  const sections: TestSection[] =
    elf.sections === undefined
      ? []
      : [
          { name: "", type: 0, bytes: new Uint8Array(0) },
          ...elf.sections,
          { name: ".shstrtab", type: 3, bytes: new TextEncoder().encode(nameText) },
        ];
  const headerBytes = is64 ? 64 : 52;
  const programBytes = is64 ? 56 : 32;
  const sectionBytes = is64 ? 64 : 40;
  let end = headerBytes + programBytes * segments.length;
  const place = (bytes: Uint8Array): number => {
    const at = end;
    end += Math.ceil(bytes.length / 16) * 16;
    return at;
  };
  const segmentOffsets = segments.map(({ bytes }) => place(bytes ?? new Uint8Array(0)));
  const sectionOffsets = sections.map(({ bytes }) => place(bytes));
  const table = end;
  const file = new Uint8Array(table + sectionBytes * sections.length);
  const view = new DataView(file.buffer);
  const word = (at: number, value: bigint): void => {
    if (is64) view.setBigUint64(at, value, true);
    else view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  };

  file.set([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1]);
  view.setUint16(16, elf.type ?? 2, true);
  view.setUint16(18, elf.machine ?? (is64 ? 62 : 3), true);
  view.setUint32(20, 1, true);
  word(24, elf.entry ?? 0n);
  word(is64 ? 32 : 28, BigInt(headerBytes));
  word(is64 ? 40 : 32, sections.length > 0 ? BigInt(table) : 0n);
  const counts = is64 ? 54 : 42;
  view.setUint16(counts - 2, headerBytes, true);
  view.setUint16(counts, programBytes, true);
  view.setUint16(counts + 2, segments.length, true);
  view.setUint16(counts + 4, sectionBytes, true);
  view.setUint16(counts + 6, sections.length, true);
  view.setUint16(counts + 8, Math.max(0, sections.length - 1), true);

  for (const [i, segment] of segments.entries()) {
    const at = headerBytes + i * programBytes;
    const bytes = segment.bytes ?? new Uint8Array(0);
    file.set(bytes, segmentOffsets[i]!);
    const filesz = segment.filesz ?? BigInt(bytes.length);
    const fields: [at64: number, at32: number, value: bigint][] = [
      [8, 4, segment.offset ?? BigInt(segmentOffsets[i]!)],
      [16, 8, segment.vaddr ?? 0n],
      [24, 12, segment.paddr ?? 0n],
      [32, 16, filesz],
      [40, 20, segment.memsz ?? filesz],
    ];
    view.setUint32(at, segment.type ?? PT_LOAD, true);
    view.setUint32(at + (is64 ? 4 : 24), segment.flags ?? 7, true);
    for (const [at64, at32, value] of fields) word(at + (is64 ? at64 : at32), value);
  }
  for (const [i, section] of sections.entries()) {
    const at = table + i * sectionBytes;
    file.set(section.bytes, sectionOffsets[i]!);
    view.setUint32(at, nameOffsets[i]!, true);
    view.setUint32(at + 4, section.type, true);
    word(at + (is64 ? 24 : 16), BigInt(sectionOffsets[i]!));
    word(at + (is64 ? 32 : 20), BigInt(section.bytes.length));
  }
  return file;
}

/** A run of Xen's notes: type and value (bigint: 8 bytes; string: ASCIIZ). */
export function xenNotes(
  notes: readonly (readonly [type: number, value: bigint | string | Uint8Array])[],
): Uint8Array {
  const out: number[] = [];
  const word = (value: number): number => out.push(value, value >> 8, value >> 16, value >> 24);
  for (const [type, value] of notes) {
    let bytes: Uint8Array;
    if (typeof value === "bigint") {
      bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, value, true);
    } else {
      bytes = typeof value === "string" ? new TextEncoder().encode(`${value}\0`) : value;
    }
    word(4);
    word(bytes.length);
    word(type);
    out.push(0x58, 0x65, 0x6e, 0, ...bytes);
    while (out.length % 4 !== 0) out.push(0);
  }
  return Uint8Array.from(out);
}

/** Note types of xen/include/public/elfnote.h that tests use. */
export const NOTE = {
  ENTRY: 1,
  HYPERCALL_PAGE: 2,
  VIRT_BASE: 3,
  PADDR_OFFSET: 4,
  XEN_VERSION: 5,
  GUEST_OS: 6,
  LOADER: 8,
  INIT_P2M: 15,
  MOD_START_PFN: 16,
  PHYS32_ENTRY: 18,
} as const;

export const KERNEL_BASE = 0xffffffff80000000n;

/** Notes of a minimal 64-bit PV kernel at `KERNEL_BASE`, with `extra` behind them (later notes win). */
export function pvNotes(...extra: readonly (readonly [number, bigint | string | Uint8Array])[]): Uint8Array {
  return xenNotes([
    [NOTE.XEN_VERSION, "xen-3.0"],
    [NOTE.GUEST_OS, "linux"],
    [NOTE.LOADER, "generic"],
    [NOTE.VIRT_BASE, KERNEL_BASE],
    [NOTE.PADDR_OFFSET, 0n],
    [NOTE.ENTRY, KERNEL_BASE + 0x100000n],
    ...extra,
  ]);
}

/** A minimal PV kernel: 8 KiB at 1 MiB. */
export function pvKernel(notes: Uint8Array = pvNotes(), change: TestElf = {}): Uint8Array {
  return buildElf({
    segments: [
      { paddr: 0x100000n, vaddr: KERNEL_BASE + 0x100000n, bytes: new Uint8Array(8192).fill(0xf4) },
      { type: 4, bytes: notes },
    ],
    ...change,
  });
}

export interface TestBzImage {
  readonly payload: Uint8Array;
  readonly version?: number;
  readonly loadflags?: number;
  readonly payloadOffset?: number;
  readonly payloadLength?: number;
  readonly syssize?: number;
}

/** A bzImage with `payload` 256 bytes into its protected-mode part. */
export function buildBzImage(image: TestBzImage): Uint8Array {
  const setup = 2 * 512;
  const offset = 256;
  const size = Math.ceil((offset + image.payload.length + 64) / 16) * 16;
  const file = new Uint8Array(setup + size);
  const view = new DataView(file.buffer);
  file.set([0x4d, 0x5a]);
  file[0x1f1] = 1;
  view.setUint32(0x1f4, image.syssize ?? size / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, image.version ?? 0x020f, true);
  file[0x211] = image.loadflags ?? 1;
  view.setUint32(0x248, image.payloadOffset ?? offset, true);
  view.setUint32(0x24c, image.payloadLength ?? image.payload.length, true);
  file.set(image.payload, setup + offset);
  return file;
}
