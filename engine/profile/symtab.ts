/* The symbol table of an ELF file that was not stripped (System V gABI 4.1, chapter 4, "Symbol Table"). */

import { PROFILE_LIMITS } from "../limits.ts";
import { asciiz } from "../loader/bytes.ts";
import { type ElfImage, SHT_SYMTAB } from "../loader/elf.ts";
import type { SymbolTable } from "./kallsyms.ts";

const ENTRY_BYTES = { 32: 16, 64: 24 } as const;
const NAME_BYTES = 256;
/** Types of symbols: what assembly does not declare has none. */
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;

interface Entry {
  readonly start: bigint;
  /** Offset in the names. */
  readonly name: number;
}

/** Reads the functions of an ELF file; undefined if it has no symbol table. */
export function readSymtab(elf: ElfImage): SymbolTable | undefined {
  const sections = elf.sections();
  const table = sections.find(({ type, fileBytes }) => type === SHT_SYMTAB && fileBytes > 0);
  const strings = sections.find(({ index }) => index === table?.link);
  if (table === undefined || strings === undefined || strings.fileBytes === 0) return undefined;
  const size = ENTRY_BYTES[elf.bits];
  const count = Math.min(Math.floor(table.fileBytes / size), PROFILE_LIMITS.symbols);
  const bytes = elf.file.bytes(table.fileOffset, count * size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Entry[] = [];
  for (let at = 0; at < count * size; at += size) {
    const is64 = elf.bits === 64;
    const info = view.getUint8(at + (is64 ? 4 : 12));
    const section = view.getUint16(at + (is64 ? 6 : 14), true);
    const start = is64 ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true));
    const type = info & 15;
    if ((type !== STT_FUNC && type !== STT_NOTYPE) || section === SHN_UNDEF || section === SHN_ABS) continue;
    entries.push({ start, name: view.getUint32(at, true) });
  }
  entries.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const nameAt = (offset: number): string => {
    const length = Math.min(NAME_BYTES, Math.max(0, strings.fileBytes - offset));
    return asciiz(elf.file.bytes(strings.fileOffset + Math.min(offset, strings.fileBytes), length), length);
  };
  return {
    find(address) {
      let low = 0;
      let high = entries.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (entries[middle]!.start <= address) low = middle + 1;
        else high = middle;
      }
      const entry = entries[low - 1];
      return entry && { name: nameAt(entry.name), start: entry.start };
    },
  };
}
