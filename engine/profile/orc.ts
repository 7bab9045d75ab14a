/*
 * ORC, the tables from which Linux unwinds its stacks (Documentation/arch/x86/orc-unwinder.rst, arch/x86/include/asm/
 * orc_types.h): for every instruction of the kernel, where its caller's frame begins.
 */

import { copyOf } from "../loader/bytes.ts";
import type { ElfImage } from "../loader/elf.ts";
import { countUpTo } from "./search.ts";

/** What the stack is at an instruction. */
export type OrcHint =
  /** The frame ends `bytes` above the stack pointer, and the return address lies right below its end. */
  | { readonly kind: "call"; readonly bytes: number }
  /** The same, measured from RBP: where the function has moved the stack pointer by more than the tables can know. */
  | { readonly kind: "call-rbp"; readonly bytes: number }
  /** A struct pt_regs lies `bytes` above the stack pointer. `partial`: only its last part, the frame of IRET. */
  | { readonly kind: "registers"; readonly bytes: number; readonly partial: boolean }
  /** The outermost frame. */
  | { readonly kind: "end" }
  | { readonly kind: "unknown" };

const ENTRY_BYTES = 6;
/** ORC_REG_* */
const REGISTER_UNDEFINED = 0;
const REGISTER_BP = 4;
const REGISTER_SP = 5;

export class OrcTable {
  readonly #addresses: Int32Array;
  readonly #base: bigint;
  readonly #entries: DataView;
  /** Linux 6.4 has three bits for the type and no bit for the end of the stack. */
  readonly #isNew: boolean;

  private constructor(addresses: Int32Array, base: bigint, entries: DataView, isNew: boolean) {
    this.#addresses = addresses;
    this.#base = base;
    this.#entries = entries;
    this.#isNew = isNew;
  }

  /** The tables of a vmlinux; undefined if it has none (CONFIG_UNWINDER_ORC=n, or no section headers). */
  static read(elf: ElfImage): OrcTable | undefined {
    const sections = new Map(elf.sections().map((section) => [section.name, section]));
    const addresses = sections.get(".orc_unwind_ip");
    const entries = sections.get(".orc_unwind");
    if (addresses === undefined || entries === undefined || elf.bits !== 64) return undefined;
    const count = Math.floor(addresses.fileBytes / 4);
    if (count === 0 || entries.fileBytes < count * ENTRY_BYTES) return undefined;
    const offsets = new Int32Array(copyOf(elf.file, addresses.fileOffset, 4 * count));
    // Each is relative to where it lies itself.
    for (let i = 0; i < count; i++) offsets[i] = offsets[i]! + 4 * i;
    const view = new DataView(copyOf(elf.file, entries.fileOffset, count * ENTRY_BYTES));
    return new OrcTable(offsets, addresses.virtualAddress, view, sections.has(".orc_header"));
  }

  /** What the stack is at the instruction that contains this address. */
  at(address: bigint): OrcHint {
    const wanted = Number(address - this.#base);
    const upTo = countUpTo(this.#addresses, wanted);
    if (upTo === 0) return { kind: "unknown" };
    const at = (upTo - 1) * ENTRY_BYTES;
    const bytes = this.#entries.getInt16(at, true);
    const flags = this.#entries.getUint16(at + 4, true);
    const register = flags & 15;
    const type = this.#isNew ? ((flags >> 8) & 7) - 2 : (flags >> 8) & 3;
    const isEnd = this.#isNew ? type === -1 : register === REGISTER_UNDEFINED && flags >> 10 !== 0;
    if (isEnd) return { kind: "end" };
    if (register === REGISTER_BP && type === 0) return { kind: "call-rbp", bytes };
    if (register !== REGISTER_SP) return { kind: "unknown" };
    if (type === 0) return { kind: "call", bytes };
    if (type === 1 || type === 2) return { kind: "registers", bytes, partial: type === 2 };
    return { kind: "unknown" };
  }
}
