import { LOADER_LIMITS } from "../limits.ts";
import { asciiz, Bytes } from "./bytes.ts";
import { type ElfImage, PT_NOTE, SHT_NOTE } from "./elf.ts";
import { LoadError } from "./errors.ts";

/* What a kernel says about itself as a Xen guest: xen/include/public/elfnote.h, xen/common/libelf. */

/** XEN_ELFNOTE_*, by number. */
const NOTE_NAMES = [
  "INFO",
  "ENTRY",
  "HYPERCALL_PAGE",
  "VIRT_BASE",
  "PADDR_OFFSET",
  "XEN_VERSION",
  "GUEST_OS",
  "GUEST_VERSION",
  "LOADER",
  "PAE_MODE",
  "FEATURES",
  "BSD_SYMTAB",
  "HV_START_LOW",
  "L1_MFN_VALID",
  "SUSPEND_CANCEL",
  "INIT_P2M",
  "MOD_START_PFN",
  "SUPPORTED_FEATURES",
  "PHYS32_ENTRY",
] as const;
type NoteName = (typeof NOTE_NAMES)[number];

const TEXT_NOTES: ReadonlySet<NoteName> = new Set([
  "XEN_VERSION",
  "GUEST_OS",
  "GUEST_VERSION",
  "LOADER",
  "PAE_MODE",
  "FEATURES",
  "BSD_SYMTAB",
] as const);

/** Xen's notes of one kernel. Addresses are virtual, except where said otherwise. */
export interface XenNotes {
  /** Where they were found. */
  readonly source: "PT_NOTE" | "SHT_NOTE" | "__xen_guest";
  readonly entry?: bigint;
  readonly hypercallPage?: bigint;
  /** The legacy string gives the hypercall page as a page number counted from the start of the image. */
  readonly hypercallPageNumber?: bigint;
  readonly virtBase?: bigint;
  readonly paddrOffset?: bigint;
  readonly xenVersion?: string;
  readonly guestOs?: string;
  readonly guestVersion?: string;
  readonly loader?: string;
  readonly paeMode?: string;
  readonly features?: string;
  readonly bsdSymtab?: boolean;
  readonly hvStartLow?: bigint;
  /** Mask and value pairs, as bytes. */
  readonly l1MfnValid?: Uint8Array;
  readonly suspendCancel?: bigint;
  readonly initP2m?: bigint;
  readonly modStartPfn?: bigint;
  readonly supportedFeatures?: bigint;
  /** Physical. */
  readonly phys32Entry?: bigint;
}

type MutableNotes = { -readonly [K in keyof XenNotes]: XenNotes[K] };

const REMEDY = "Rebuild the kernel; readelf -n shows its notes";
/** "Xen", little endian. */
const NAME_XEN = 0x006e6558;

/**
 * Finds Xen's notes as libelf does: in PT_NOTE segments, else in SHT_NOTE sections, else as the string in section
 * `__xen_guest` of kernels before 2006. Undefined if there are none.
 *
 * @throws LoadError bad-note, and those of the section table
 */
export function findXenNotes(elf: ElfImage): XenNotes | undefined {
  const file = new Bytes(elf.file);
  const fromSegments: MutableNotes = { source: "PT_NOTE" };
  let found = 0;
  for (const segment of elf.segments) {
    if (segment.type === PT_NOTE) found += readNotes(file, segment, `segment ${segment.index}`, fromSegments);
  }
  if (found > 0) return fromSegments;

  const sections = elf.sections();
  const fromSections: MutableNotes = { source: "SHT_NOTE" };
  for (const section of sections) {
    if (section.type !== SHT_NOTE) continue;
    found += readNotes(file, section, `section ${section.index} (${section.name})`, fromSections);
  }
  if (found > 0) return fromSections;

  const legacy = sections.find(({ name }) => name === "__xen_guest");
  if (legacy === undefined) return undefined;
  const length = Math.min(legacy.fileBytes, LOADER_LIMITS.noteStringBytes);
  return readLegacyString(file.slice(legacy.fileOffset, length, legacy.name));
}

/** A part of the file, which lies inside it. */
interface Part {
  readonly fileOffset: number;
  readonly fileBytes: number;
}

/** Reads a run of ELF notes; returns how many were Xen's. */
function readNotes(file: Bytes, part: Part, place: string, notes: MutableNotes): number {
  const length = part.fileBytes;
  const word = (at: number): number => file.u32(part.fileOffset + at, place);
  let at = 0;
  let found = 0;
  for (let index = 0; length - at >= 12; index++) {
    if (index >= LOADER_LIMITS.notes) throw badNote(`more than ${LOADER_LIMITS.notes} notes`, place);
    const nameBytes = word(at);
    const type = word(at + 8);
    const nameAt = at + 12;
    const valueAt = nameAt + alignToWord(nameBytes);
    if (valueAt > length) throw pastTheEnd(place, index);
    const name = nameBytes === 4 && word(nameAt) === NAME_XEN ? NOTE_NAMES[type] : undefined;
    let valueBytes = word(at + 4);
    if (valueAt + valueBytes > length) {
      // A text ends at its NUL, whatever its note says (libelf). GRUB's PAE_MODE has a length that is too large.
      const rest = file.slice(part.fileOffset + valueAt, length - valueAt, place);
      if (name === undefined || !TEXT_NOTES.has(name) || !rest.includes(0)) throw pastTheEnd(place, index);
      valueBytes = rest.length;
    }
    at = valueAt + alignToWord(valueBytes);
    if (name === undefined) continue;
    found++;
    const where = `${place}, note ${index} (XEN_ELFNOTE_${name})`;
    // A longer one is no number, and of a text no more is kept.
    const kept = Math.min(valueBytes, LOADER_LIMITS.noteStringBytes);
    storeNote(name, file.slice(part.fileOffset + valueAt, kept, place), where, notes);
  }
  return found;
}

function pastTheEnd(place: string, index: number): LoadError {
  return badNote("the note reaches past the end of its segment or section", `${place}, note ${index}`);
}

function alignToWord(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function badNote(what: string, where: string): LoadError {
  return new LoadError({ code: "bad-note", what, where, remedy: REMEDY });
}

function storeNote(name: NoteName, value: Uint8Array, where: string, notes: MutableNotes): void {
  switch (name) {
    case "ENTRY":
      notes.entry = numeric(value, where);
      break;
    case "HYPERCALL_PAGE":
      notes.hypercallPage = numeric(value, where);
      break;
    case "VIRT_BASE":
      notes.virtBase = numeric(value, where);
      break;
    case "PADDR_OFFSET":
      notes.paddrOffset = numeric(value, where);
      break;
    case "XEN_VERSION":
      notes.xenVersion = text(value);
      break;
    case "GUEST_OS":
      notes.guestOs = text(value);
      break;
    case "GUEST_VERSION":
      notes.guestVersion = text(value);
      break;
    case "LOADER":
      notes.loader = text(value);
      break;
    case "PAE_MODE":
      notes.paeMode = text(value);
      break;
    case "FEATURES":
      notes.features = text(value);
      break;
    case "BSD_SYMTAB":
      notes.bsdSymtab = text(value) === "yes";
      break;
    case "HV_START_LOW":
      notes.hvStartLow = numeric(value, where);
      break;
    case "L1_MFN_VALID":
      notes.l1MfnValid = value.slice();
      break;
    case "SUSPEND_CANCEL":
      notes.suspendCancel = numeric(value, where);
      break;
    case "INIT_P2M":
      notes.initP2m = numeric(value, where);
      break;
    case "MOD_START_PFN":
      notes.modStartPfn = numeric(value, where);
      break;
    case "SUPPORTED_FEATURES":
      notes.supportedFeatures = numeric(value, where);
      break;
    case "PHYS32_ENTRY":
      notes.phys32Entry = numeric(value, where);
      break;
    case "INFO":
      break;
  }
}

/** Numeric notes have 4 or 8 bytes ("depending on the content"); libelf also reads 1 and 2. */
function numeric(value: Uint8Array, where: string): bigint {
  if (![1, 2, 4, 8].includes(value.length)) {
    throw badNote(`the note holds a number, but has ${value.length} bytes instead of 4 or 8`, where);
  }
  let result = 0n;
  for (let i = value.length - 1; i >= 0; i--) result = (result << 8n) | BigInt(value[i]!);
  return result;
}

function text(value: Uint8Array): string {
  return asciiz(value, LOADER_LIMITS.noteStringBytes);
}

/** "NAME=value,NAME=value": the format before ELF notes (elf_xen_parse_guest_info of libelf). */
function readLegacyString(bytes: Uint8Array): XenNotes {
  const notes: MutableNotes = { source: "__xen_guest" };
  const where = "section __xen_guest";
  for (const pair of asciiz(bytes, LOADER_LIMITS.noteStringBytes).split(",")) {
    const equals = pair.indexOf("=");
    const name = (equals < 0 ? pair : pair.slice(0, equals)).trim();
    const value = equals < 0 ? "" : pair.slice(equals + 1).trim();
    switch (name) {
      case "VIRT_ENTRY":
        notes.entry = legacyNumber(value, name, where);
        break;
      case "VIRT_BASE":
        notes.virtBase = legacyNumber(value, name, where);
        break;
      case "ELF_PADDR_OFFSET":
        notes.paddrOffset = legacyNumber(value, name, where);
        break;
      case "HYPERCALL_PAGE":
        notes.hypercallPageNumber = legacyNumber(value, name, where);
        break;
      case "XEN_VER":
        notes.xenVersion = value;
        break;
      case "GUEST_OS":
        notes.guestOs = value;
        break;
      case "GUEST_VER":
        notes.guestVersion = value;
        break;
      case "LOADER":
        notes.loader = value;
        break;
      case "PAE":
        notes.paeMode = value;
        break;
      case "FEATURES":
        notes.features = value;
        break;
      case "BSD_SYMTAB":
        notes.bsdSymtab = true;
        break;
    }
  }
  return notes;
}

function legacyNumber(value: string, name: string, where: string): bigint {
  if (/^(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19})$/.test(value)) return BigInt(value);
  throw badNote(`${name} is "${value.slice(0, 40)}", not a number`, where);
}
