import { LOADER_LIMITS } from "../limits.ts";
import { openKernel } from "../loader/kernel.ts";
import type { ByteSource } from "../loader/source.ts";
import { MemorySpool, type Spool } from "../loader/spool.ts";
import { CallSites } from "./call-sites.ts";
import { readKallsyms, type SymbolTable } from "./kallsyms.ts";
import { OrcTable } from "./orc.ts";
import { readSymtab } from "./symtab.ts";

/** What is known of a kernel's functions. */
export interface KernelMap {
  readonly symbols: SymbolTable;
  readonly orc: OrcTable | undefined;
  readonly calls: CallSites;
}

/**
 * Reads what a kernel file (ELF or bzImage) tells about its functions: the kernel's own kallsyms, or an ELF symbol table.
 *
 * @param spool holds the decompressed kernel as long as the result is used
 * @returns undefined for a kernel without symbols
 * @throws LoadError for a file that is no kernel
 */
export async function readKernelMap(
  file: Uint8Array | ByteSource,
  spool: Spool = new MemorySpool(),
): Promise<KernelMap | undefined> {
  const { elf } = await openKernel(file, spool, LOADER_LIMITS.decompressedBytes);
  const symbols = readKallsyms(elf.file) ?? readSymtab(elf);
  if (symbols === undefined) return undefined;
  return { symbols, orc: OrcTable.read(elf), calls: new CallSites(elf) };
}
