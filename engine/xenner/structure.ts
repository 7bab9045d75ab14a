/**
 * Structures shared between emu (C) and xenner (TypeScript), described as data: a field list from which both the
 * accessors here and the C declarations in engine/emu/abi.h are made. Little-endian, naturally aligned, no padding
 * that is not a field.
 */

export type ScalarType = "u8" | "u32" | "i32" | "u64";

export interface FieldSpec {
  readonly name: string;
  readonly type: ScalarType;
  /** Number of elements; absent for a scalar. */
  readonly count?: number;
  /** One line for the reader of abi.h. */
  readonly doc: string;
}

export interface Field extends FieldSpec {
  /** Bytes from the start of the structure. */
  readonly offset: number;
}

export interface Structure {
  /** The C tag. */
  readonly name: string;
  readonly fields: readonly Field[];
  readonly bytes: number;
}

const SCALAR_BYTES: Readonly<Record<ScalarType, number>> = { u8: 1, u32: 4, i32: 4, u64: 8 };

/**
 * Lays fields out in the order given.
 * @throws Error if a field would need padding before it, or the whole is not a multiple of 8 bytes: TypeScript and C
 *   must not be able to disagree about a layout.
 */
export function structure(name: string, specs: readonly FieldSpec[]): Structure {
  let offset = 0;
  const fields = specs.map((spec): Field => {
    const size = SCALAR_BYTES[spec.type];
    if (offset % size !== 0) throw new Error(`${name}.${spec.name}: not aligned at offset ${offset}`);
    const field = { ...spec, offset };
    offset += size * (spec.count ?? 1);
    return field;
  });
  if (offset % 8 !== 0) throw new Error(`${name}: ${offset} bytes is not a multiple of 8`);
  return { name, fields, bytes: offset };
}

/** The field called `name`. @throws Error if there is none. */
export function field(of: Structure, name: string): Field {
  const found = of.fields.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`${of.name} has no field ${name}`);
  return found;
}

function setScalar(view: DataView, at: number, type: ScalarType, value: bigint): void {
  if (type === "u8") view.setUint8(at, Number(BigInt.asUintN(8, value)));
  else if (type === "u64") view.setBigUint64(at, BigInt.asUintN(64, value), true);
  else view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
}

function getScalar(view: DataView, at: number, type: ScalarType): bigint {
  if (type === "u8") return BigInt(view.getUint8(at));
  if (type === "u64") return view.getBigUint64(at, true);
  return BigInt(type === "i32" ? view.getInt32(at, true) : view.getUint32(at, true));
}

export type FieldValue = number | bigint | Uint8Array;

/**
 * The structure's bytes. A field that is not in `values` is zero; a `u8` array takes a Uint8Array of at most its length.
 * @throws Error for a value whose name is not a field's, or that does not fit the field's shape.
 */
export function encode(of: Structure, values: Readonly<Record<string, FieldValue>>): Uint8Array {
  const bytes = new Uint8Array(of.bytes);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const { offset, type, count } = field(of, name);
    if (value instanceof Uint8Array) {
      if (type !== "u8" || value.length > (count ?? 1)) throw new Error(`${of.name}.${name}: bad byte array`);
      bytes.set(value, offset);
    } else if (count !== undefined) {
      throw new Error(`${of.name}.${name} is an array`);
    } else {
      setScalar(view, offset, type, BigInt(value));
    }
  }
  return bytes;
}

/** Element `index` of field `name`, read from the structure's bytes. */
export function decode(of: Structure, bytes: Uint8Array, name: string, index = 0): bigint {
  const { offset, type, count } = field(of, name);
  if (index < 0 || index >= (count ?? 1)) throw new RangeError(`${of.name}.${name}[${index}]`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return getScalar(view, offset + index * SCALAR_BYTES[type], type);
}
