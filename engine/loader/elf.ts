import { LOADER_LIMITS } from "../limits.ts";
import { asciiz, Bytes, type RandomAccess } from "./bytes.ts";
import { hex, LoadError, REMEDY_COMPLETE_FILE } from "./errors.ts";

/* The ELF object format (System V gABI 4.1, chapters 4 and 5), for what a loader of executables needs of it. */

const IDENT_BYTES = 16;
const CLASS_32 = 1;
const CLASS_64 = 2;
const DATA_LITTLE_ENDIAN = 1;
const TYPE_EXECUTABLE = 2;
const TYPE_SHARED = 3;

export const EM_386 = 3;
export const EM_ARM = 40;
export const EM_X86_64 = 62;

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const SHT_NOTE = 7;
const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_NOBITS = 8;
/** e_shnum is 0 and e_shstrndx is this when the numbers do not fit 16 bits. */
const SHN_XINDEX = 0xffff;
/** As much of a section's name as tells it apart. */
const SECTION_NAME_BYTES = 64;

const MACHINE_NAMES: ReadonlyMap<number, string> = new Map([
  [2, "SPARC"],
  [EM_386, "i386"],
  [8, "MIPS"],
  [20, "PowerPC"],
  [21, "64-bit PowerPC"],
  [22, "S/390"],
  [EM_ARM, "32-bit ARM"],
  [43, "64-bit SPARC"],
  [50, "IA-64"],
  [EM_X86_64, "x86-64"],
  [183, "64-bit ARM"],
  [243, "RISC-V"],
  [258, "LoongArch"],
]);

export interface ElfSegment {
  readonly index: number;
  readonly type: number;
  /** PF_*: 1 execute, 2 write, 4 read. */
  readonly flags: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  /** Where the segment's bytes are in the file; they lie inside it. p_filesz is 0 for what is neither loaded nor a note. */
  readonly fileOffset: number;
  readonly fileBytes: number;
  /** p_memsz: what follows the file's bytes is zero. */
  readonly memoryBytes: number;
}

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  /** sh_addr: 0 for what is not loaded. */
  readonly virtualAddress: bigint;
  /** sh_link: of a symbol table, the section with its names. */
  readonly link: number;
  /**
   * Where the section's bytes are in the file; they lie inside it. None for sections that hold neither notes nor symbols, or
   * symbols that are not in the file.
   */
  readonly fileOffset: number;
  readonly fileBytes: number;
}

export interface ElfImage {
  /** The whole file. */
  readonly file: RandomAccess;
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** Reads the section headers; only kernels without PT_NOTE need them. */
  sections(): readonly ElfSection[];
}

/** Whether a file that begins with `data` says that it is an ELF file. */
export function isElf(data: Uint8Array): boolean {
  return data[0] === 0x7f && data[1] === 0x45 && data[2] === 0x4c && data[3] === 0x46;
}

function bad(what: string, where: string): LoadError {
  return new LoadError({ code: "bad-elf", what, where, remedy: REMEDY_COMPLETE_FILE });
}

/**
 * Reads the headers of an ELF executable.
 *
 * @throws LoadError bad-elf, truncated, wrong-architecture
 */
export function parseElf(data: RandomAccess): ElfImage {
  const file = new Bytes(data);
  const identification = file.slice(0, IDENT_BYTES, "the ELF identification");
  const elfClass = identification[4];
  if (elfClass !== CLASS_32 && elfClass !== CLASS_64) {
    throw bad(`the ELF class is ${elfClass}, neither 32-bit (1) nor 64-bit (2)`, "offset 0x4");
  }
  const is64 = elfClass === CLASS_64;
  file.slice(0, is64 ? 64 : 52, "the ELF header");
  const machine = file.u16(18, "the ELF header");
  if (identification[5] !== DATA_LITTLE_ENDIAN) throw wrongMachine("a big-endian processor", "offset 0x5");
  if (machine !== EM_386 && machine !== EM_X86_64) {
    throw wrongMachine(MACHINE_NAMES.get(machine) ?? `ELF machine number ${machine}`, "offset 0x12");
  }
  // The other way round is a file of the x32 kind, as made by `objcopy -O elf32-x86-64`: 64-bit code whose headers have 32 bits.
  if (is64 && machine === EM_386) {
    throw bad(`a 64-bit file for ${MACHINE_NAMES.get(machine)}`, "offset 0x12");
  }
  const type = file.u16(16, "the ELF header");
  if (type !== TYPE_EXECUTABLE && type !== TYPE_SHARED) {
    throw new LoadError({
      code: "bad-elf",
      what: `an ELF file of type ${type} is no executable (an object file or kernel module is type 1, a core dump 4)`,
      where: "offset 0x10",
      remedy: "Send the linked kernel: vmlinux or bzImage",
    });
  }

  const word = (offset: number): bigint =>
    is64 ? file.u64(offset, "the ELF header") : BigInt(file.u32(offset, "the ELF header"));
  const programOffset = word(is64 ? 32 : 28);
  const sectionOffset = word(is64 ? 40 : 32);
  const counts = is64 ? 54 : 42;
  const programEntryBytes = file.u16(counts, "the ELF header");
  const programCount = file.u16(counts + 2, "the ELF header");
  const sectionEntryBytes = file.u16(counts + 4, "the ELF header");
  const sectionCount = file.u16(counts + 6, "the ELF header");
  const nameSection = file.u16(counts + 8, "the ELF header");

  if (programCount === 0)
    throw bad("there are no program headers, so nothing to load", `offset ${hex(counts + 2)}`);
  if (programCount > LOADER_LIMITS.programHeaders) {
    throw bad(
      `${programCount} program headers; at most ${LOADER_LIMITS.programHeaders} are read`,
      `offset ${hex(counts + 2)}`,
    );
  }
  if (programEntryBytes < (is64 ? 56 : 32)) {
    throw bad(`program headers of ${programEntryBytes} bytes are too small`, `offset ${hex(counts)}`);
  }
  const segments: ElfSegment[] = [];
  for (let index = 0; index < programCount; index++) {
    const at = fileOffset(programOffset, file, `program header ${index}`) + index * programEntryBytes;
    segments.push(is64 ? segment64(file, at, index) : segment32(file, at, index));
  }
  return {
    file: data,
    bits: is64 ? 64 : 32,
    machine,
    entry: word(24),
    segments,
    sections: () => readSections(file, is64, sectionOffset, sectionEntryBytes, sectionCount, nameSection),
  };
}

export function wrongMachine(processor: string, where: string): LoadError {
  return new LoadError({
    code: "wrong-architecture",
    what: `this is a kernel for ${processor}; guests are x86-64`,
    where,
    remedy: "Send a kernel built for x86-64 with Xen PV support (CONFIG_XEN_PV=y)",
  });
}

/** A file offset as a number; anything past the end of the file is a LoadError. */
function fileOffset(value: bigint, file: Bytes, what: string): number {
  if (value <= BigInt(file.length)) return Number(value);
  throw new LoadError({
    code: "truncated",
    what: `${what} lies at offset ${hex(value)}, but the file has only ${file.length} bytes`,
    where: what,
    remedy: REMEDY_COMPLETE_FILE,
  });
}

interface RawSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly fileBytes: bigint;
  readonly memoryBytes: bigint;
}

function segment64(file: Bytes, at: number, index: number): ElfSegment {
  const what = `program header ${index}`;
  return makeSegment(file, index, {
    type: file.u32(at, what),
    flags: file.u32(at + 4, what),
    offset: file.u64(at + 8, what),
    virtualAddress: file.u64(at + 16, what),
    physicalAddress: file.u64(at + 24, what),
    fileBytes: file.u64(at + 32, what),
    memoryBytes: file.u64(at + 40, what),
  });
}

function segment32(file: Bytes, at: number, index: number): ElfSegment {
  const what = `program header ${index}`;
  const word = (offset: number): bigint => BigInt(file.u32(at + offset, what));
  return makeSegment(file, index, {
    type: file.u32(at, what),
    flags: file.u32(at + 24, what),
    offset: word(4),
    virtualAddress: word(8),
    physicalAddress: word(12),
    fileBytes: word(16),
    memoryBytes: word(20),
  });
}

function makeSegment(file: Bytes, index: number, raw: RawSegment): ElfSegment {
  const what = `segment ${index}`;
  const base = {
    index,
    type: raw.type,
    flags: raw.flags,
    virtualAddress: raw.virtualAddress,
    physicalAddress: raw.physicalAddress,
  };
  // Other segments (GNU_STACK, TLS) are of no interest and may say what they like.
  if (raw.type !== PT_LOAD && raw.type !== PT_NOTE)
    return { ...base, fileOffset: 0, fileBytes: 0, memoryBytes: 0 };
  if (raw.type === PT_LOAD && raw.fileBytes > raw.memoryBytes) {
    throw bad(`${raw.fileBytes} bytes in the file do not fit ${raw.memoryBytes} bytes of memory`, what);
  }
  const offset = fileOffset(raw.offset, file, what);
  if (raw.fileBytes > BigInt(file.length - offset)) {
    throw new LoadError({
      code: "truncated",
      what: `the file has ${file.length} bytes, but ${what} needs ${raw.fileBytes} bytes from offset ${hex(offset)}`,
      where: what,
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  if (raw.type === PT_LOAD && raw.memoryBytes > 1n << 40n) {
    throw bad(`${hex(raw.memoryBytes)} bytes of memory are more than any machine has`, what);
  }
  return {
    ...base,
    fileOffset: offset,
    fileBytes: Number(raw.fileBytes),
    memoryBytes: raw.type === PT_LOAD ? Number(raw.memoryBytes) : 0,
  };
}

function truncatedSection(file: Bytes, what: string, offset: number, size: bigint): LoadError {
  return new LoadError({
    code: "truncated",
    what: `the file has ${file.length} bytes and ends inside ${what}, which needs ${size} bytes`,
    where: `offset ${hex(offset)}`,
    remedy: REMEDY_COMPLETE_FILE,
  });
}

function readSections(
  file: Bytes,
  is64: boolean,
  tableOffset: bigint,
  entryBytes: number,
  statedCount: number,
  statedNames: number,
): ElfSection[] {
  if (tableOffset === 0n) return [];
  if (entryBytes < (is64 ? 64 : 40))
    throw bad(`section headers of ${entryBytes} bytes are too small`, "the ELF header");
  const table = fileOffset(tableOffset, file, "the section header table");
  const header = (index: number) => {
    const what = `section header ${index}`;
    const at = table + index * entryBytes;
    const word = (offset64: number, offset32: number): bigint =>
      is64 ? file.u64(at + offset64, what) : BigInt(file.u32(at + offset32, what));
    return {
      name: file.u32(at, what),
      type: file.u32(at + 4, what),
      address: word(16, 12),
      offset: word(24, 16),
      size: word(32, 20),
      link: file.u32(at + (is64 ? 40 : 24), what),
    };
  };
  const content = (index: number): { readonly fileOffset: number; readonly fileBytes: number } => {
    const { type, offset, size } = header(index);
    if (type === SHT_NOBITS) return { fileOffset: 0, fileBytes: 0 };
    const what = `section ${index}`;
    const at = fileOffset(offset, file, what);
    if (size > BigInt(file.length - at)) throw truncatedSection(file, what, at, size);
    return { fileOffset: at, fileBytes: Number(size) };
  };

  // Section 0 holds the numbers that do not fit the ELF header.
  const count = statedCount === 0 ? Number(header(0).size) : statedCount;
  if (count > LOADER_LIMITS.sectionHeaders) {
    throw bad(`${count} section headers; at most ${LOADER_LIMITS.sectionHeaders} are read`, "the ELF header");
  }
  const names = statedNames === SHN_XINDEX ? header(0).link : statedNames;
  if (names >= count)
    throw bad(`section ${names}, which should hold the section names, does not exist`, "the ELF header");
  const nameTable = content(names);
  const nameAt = (offset: number): string => {
    const length = Math.min(SECTION_NAME_BYTES, Math.max(0, nameTable.fileBytes - offset));
    return asciiz(
      file.slice(nameTable.fileOffset + Math.min(offset, nameTable.fileBytes), length, ""),
      length,
    );
  };
  const sections: ElfSection[] = [];
  for (let index = 1; index < count; index++) {
    const { name, type, address, link, offset, size } = header(index);
    // A kernel boots without symbols: only what holds notes must be there.
    const isNeeded = type === SHT_NOTE || type === SHT_PROGBITS;
    const isThere = (type === SHT_SYMTAB || type === SHT_STRTAB) && offset + size <= BigInt(file.length);
    sections.push({
      index,
      name: nameAt(name),
      type,
      virtualAddress: address,
      link,
      ...(isNeeded || isThere ? content(index) : { fileOffset: 0, fileBytes: 0 }),
    });
  }
  return sections;
}
