/* The symbol table of an ELF file that was not stripped (System V gABI 4.1, chapter 4, "Symbol Table"). */

import { PROFILE_LIMITS } from "../limits.ts";
import { asciiz } from "../loader/bytes.ts";
import { type ElfImage, SHT_SYMTAB } from "../loader/elf.ts";
import type { SymbolTable } from "./kallsyms.ts";
import { countUpTo } from "./search.ts";

const ENTRY_BYTES = { 32: 16, 64: 24 } as const;
const NAME_BYTES = 256;
/** Entries of the table that are read at a time. */
const ENTRIES_AT_ONCE = 4096;
/** Types of symbols: what assembly does not declare has none. */
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;

/** Reads the functions of an ELF file; undefined if it has no symbol table. */
export function readSymtab(elf: ElfImage): SymbolTable | undefined {
  const sections = elf.sections();
  const table = sections.find(({ type, fileBytes }) => type === SHT_SYMTAB && fileBytes > 0);
  const strings = sections.find(({ index }) => index === table?.link);
  if (table === undefined || strings === undefined || strings.fileBytes === 0) return undefined;
  const size = ENTRY_BYTES[elf.bits];
  const count = Math.min(Math.floor(table.fileBytes / size), PROFILE_LIMITS.symbols);
  const { starts, names } = functionsIn(elf, table.fileOffset, count);
  const nameAt = (offset: number): string => {
    const length = Math.min(NAME_BYTES, Math.max(0, strings.fileBytes - offset));
    return asciiz(elf.file.bytes(strings.fileOffset + Math.min(offset, strings.fileBytes), length), length);
  };
  return {
    find(address) {
      const last = countUpTo(starts, address) - 1;
      const start = starts[last];
      return start === undefined ? undefined : { name: nameAt(names[last]!), start };
    },
  };
}

/** Where functions begin, in ascending order, and the offsets of their names. As typed arrays: a kernel may have a million. */
function functionsIn(
  elf: ElfImage,
  offset: number,
  count: number,
): { readonly starts: BigUint64Array; readonly names: Uint32Array } {
  const is64 = elf.bits === 64;
  const size = ENTRY_BYTES[elf.bits];
  const starts = new BigUint64Array(count);
  const names = new Uint32Array(count);
  let found = 0;
  for (let first = 0; first < count; first += ENTRIES_AT_ONCE) {
    const bytes = elf.file.bytes(offset + first * size, Math.min(ENTRIES_AT_ONCE, count - first) * size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += size) {
      const type = view.getUint8(at + (is64 ? 4 : 12)) & 15;
      const section = view.getUint16(at + (is64 ? 6 : 14), true);
      if ((type !== STT_FUNC && type !== STT_NOTYPE) || section === SHN_UNDEF || section === SHN_ABS)
        continue;
      starts[found] = is64 ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true));
      names[found++] = view.getUint32(at, true);
    }
  }
  // Of several names for one address the first in the table comes first.
  const order = Uint32Array.from({ length: found }, (_, i) => i).sort((a, b) =>
    starts[a]! < starts[b]! ? -1 : starts[a]! > starts[b]! ? 1 : a - b,
  );
  return {
    starts: BigUint64Array.from(order, (i) => starts[i]!),
    names: Uint32Array.from(order, (i) => names[i]!),
  };
}
