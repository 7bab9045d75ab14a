import type { RandomAccess } from "../loader/bytes.ts";
import { type ElfImage, PT_LOAD } from "../loader/elf.ts";

/** Code of a kernel by virtual address, for telling return addresses from other words. */
export class CallSites {
  readonly #file: RandomAccess;
  /** Each look reads the file, which may be in storage; the same few addresses are on most stacks. */
  readonly #known = new Map<bigint, bigint | "somewhere" | undefined>();
  readonly #segments: readonly { readonly start: bigint; readonly end: bigint; readonly offset: number }[];

  constructor(elf: ElfImage) {
    this.#file = elf.file;
    this.#segments = elf.segments
      .filter(({ type, flags }) => type === PT_LOAD && (flags & PF_X) !== 0)
      .map(({ virtualAddress, fileBytes, fileOffset }) => ({
        start: virtualAddress,
        end: virtualAddress + BigInt(fileBytes),
        offset: fileOffset,
      }));
  }

  /** Whether an address lies in the kernel's code. */
  isCode(address: bigint): boolean {
    return this.#segments.some(({ start, end }) => address >= start && address < end);
  }

  /**
   * Where the CALL that ends at this address goes: its target, "somewhere" for an indirect one, undefined if there is none (SDM vol. 2A,
   * CALL: E8 rel32, FF /2).
   */
  before(address: bigint): bigint | "somewhere" | undefined {
    if (!this.#known.has(address)) this.#known.set(address, this.#look(address));
    return this.#known.get(address);
  }

  #look(address: bigint): bigint | "somewhere" | undefined {
    const segment = this.#segments.find(
      ({ start, end }) => address >= start + LONGEST_CALL && address <= end,
    );
    if (segment === undefined) return undefined;
    const at = segment.offset + Number(address - segment.start - LONGEST_CALL);
    const bytes = this.#file.bytes(at, Number(LONGEST_CALL));
    if (bytes[2] === 0xe8) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + 3, 4);
      return BigInt.asUintN(64, address + BigInt(view.getInt32(0, true)));
    }
    // FF /2 with a register, a displacement of 0, 8 or 32 bits.
    const isIndirect = [2, 3, 6, 7].some(
      (length) => bytes[7 - length] === 0xff && ((bytes[8 - length] ?? 0) & 0x38) === 0x10,
    );
    return isIndirect ? "somewhere" : undefined;
  }
}

const PF_X = 1;
const LONGEST_CALL = 7n;
