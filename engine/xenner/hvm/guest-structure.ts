/* Structures of the public interface in the layout of the calling guest: C's rules for x86-64 or, for 32-bit code, i386. */

import type { GuestVirtual } from "./guest-virtual.ts";

/** `long`: unsigned long, xen_ulong_t, a pointer or a guest handle. */
export type FieldType = "u8" | "u16" | "u32" | "u64" | "long";
export type Fields = readonly (readonly [name: string, type: FieldType])[];

const BYTES = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;

interface Place {
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8;
}

/** One structure in guest memory: a copy that can be read, changed and written back. */
export class GuestStructure {
  readonly #view: DataView;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #address: bigint;

  private constructor(bytes: Uint8Array, places: ReadonlyMap<string, Place>, address: bigint) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#places = places;
    this.#address = address;
  }

  /** Reads it, undefined if it cannot be: -EFAULT. */
  static read(
    memory: GuestVirtual,
    address: bigint,
    wide: boolean,
    fields: Fields,
  ): GuestStructure | undefined {
    const { places, bytes } = layOut(fields, wide);
    const data = memory.read(address, bytes);
    return data && new GuestStructure(data, places, address);
  }

  number(name: string): number {
    return Number(this.get(name));
  }

  get(name: string): bigint {
    const { offset, bytes } = this.#places.get(name)!;
    switch (bytes) {
      case 1:
        return BigInt(this.#view.getUint8(offset));
      case 2:
        return BigInt(this.#view.getUint16(offset, true));
      case 4:
        return BigInt(this.#view.getUint32(offset, true));
      case 8:
        return this.#view.getBigUint64(offset, true);
    }
  }

  set(name: string, value: bigint): this {
    const { offset, bytes } = this.#places.get(name)!;
    for (let i = 0; i < bytes; i++) this.#view.setUint8(offset + i, Number((value >> BigInt(8 * i)) & 0xffn));
    return this;
  }

  /** Writes it back; false if it cannot be: -EFAULT. */
  write(memory: GuestVirtual): boolean {
    const { buffer, byteOffset, byteLength } = this.#view;
    return memory.write(this.#address, new Uint8Array(buffer, byteOffset, byteLength));
  }
}

/** Where the fields lie, and the size of the whole, in bytes. */
export function layOut(fields: Fields, wide: boolean): { places: Map<string, Place>; bytes: number } {
  const places = new Map<string, Place>();
  let end = 0;
  let alignment = 1;
  for (const [name, type] of fields) {
    const bytes = type === "long" ? (wide ? 8 : 4) : BYTES[type];
    // i386 aligns 64-bit members like words.
    const aligned = wide ? bytes : Math.min(bytes, 4);
    alignment = Math.max(alignment, aligned);
    const offset = Math.ceil(end / aligned) * aligned;
    places.set(name, { offset, bytes });
    end = offset + bytes;
  }
  return { places, bytes: Math.ceil(end / alignment) * alignment };
}
