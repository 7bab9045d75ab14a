// The JSON of the door: what a case may say, and what comes back. Every number that can exceed 2^53 is a hexadecimal
// string; inputs may also be decimal.

import { REGISTER_NAMES } from "../types.ts";

/** One case as it is read from a line of --many. */
export interface DoorCase {
  readonly name: string;
  readonly code: Uint8Array;
  readonly mode: 64 | 32 | 16;
  readonly load: bigint;
  readonly map: readonly { readonly address: bigint; readonly bytes: bigint }[];
  readonly poke: readonly { readonly address: bigint; readonly bytes: Uint8Array }[];
  /** Register name to value; see SETTABLE. */
  readonly set: ReadonlyMap<string, bigint>;
  readonly cpu: "v1" | "v2";
  readonly max: number;
  readonly dump: readonly { readonly address: bigint; readonly bytes: bigint }[];
}

export interface DoorResult {
  readonly name: string;
  readonly stop: "hlt" | "fault" | "limit";
  /** `error` is 0 for an exception without error code; `cr2` is CR2 as it stands. */
  readonly fault: { readonly vector: number; readonly error: number; readonly cr2: string } | null;
  readonly instructions: number;
  /** General-purpose registers, rip, rflags; in real mode the segment registers, too. */
  readonly regs: Readonly<Record<string, string>>;
  readonly xmm: readonly string[];
  /** From the top of the stack: st(0) first. */
  readonly st: readonly string[];
  readonly fcw: string;
  readonly fsw: string;
  /** The full 16-bit tag word (SDM vol. 1 8.1.7), not FXSAVE's abridged one. */
  readonly ftw: string;
  readonly mxcsr: string;
  /** Address as given, to the bytes there. */
  readonly dump: Readonly<Record<string, string>>;
}

/** A case that cannot be run; the message says which field is wrong. */
export class DoorError extends Error {}

export const DEFAULT_LOAD: Readonly<Record<64 | 32 | 16, bigint>> = {
  64: 0x10000n,
  32: 0x10000n,
  16: 0x7c00n,
};
export const DEFAULT_MAX = 1_000_000;

/** Segment registers in the order of their encoding; only real mode lets a case set them. */
export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

/** What a case may set, with its width in bits. */
export const SETTABLE: ReadonlyMap<string, number> = new Map<string, number>([
  ...REGISTER_NAMES.map((name) => [name, 64] as const),
  ["mxcsr", 16],
  ["fcw", 16],
  ["fs_base", 64],
  ["gs_base", 64],
  ...SEGMENT_NAMES.map((name) => [name, 16] as const),
  ...Array.from({ length: 16 }, (_, i) => [`xmm${i}`, 128] as const),
  ...Array.from({ length: 8 }, (_, i) => [`st${i}`, 80] as const),
]);

const MODES: ReadonlySet<number> = new Set([16, 32, 64]);

/** A number as hexadecimal ("0x1f") or decimal string, or as a JSON integer. */
export function parseInteger(value: unknown, what: string): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === "string" && /^(?:0x[0-9a-f]+|[0-9]+)$/i.test(value)) return BigInt(value);
  throw new DoorError(`${what}: expected a number such as "0x1000", not ${JSON.stringify(value)}`);
}

export function parseHex(value: unknown, what: string): Uint8Array {
  if (typeof value !== "string")
    throw new DoorError(`${what}: expected hexadecimal bytes, not ${JSON.stringify(value)}`);
  const digits = value.replace(/^0x/i, "").replaceAll(/\s/g, "");
  const bad = /[^0-9a-f]/i.exec(digits);
  if (bad !== null) throw new DoorError(`${what}: ${JSON.stringify(bad[0])} is no hexadecimal digit`);
  if (digits.length % 2 !== 0)
    throw new DoorError(`${what}: expected an even number of hexadecimal digits, not ${digits.length}`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

export function parseMode(value: unknown): 64 | 32 | 16 {
  const mode = Number(value);
  if (!MODES.has(mode)) throw new DoorError(`mode: expected 64, 32 or 16, not ${JSON.stringify(value)}`);
  return mode as 64 | 32 | 16;
}

export function parseCpu(value: unknown): "v1" | "v2" {
  if (value === "v1" || value === "v2") return value;
  throw new DoorError(`cpu: expected "v1" or "v2", not ${JSON.stringify(value)}`);
}

function parsePair(value: unknown, what: string): [unknown, unknown] {
  if (!Array.isArray(value) || value.length !== 2) throw new DoorError(`${what}: expected a pair`);
  return [value[0], value[1]];
}

function parseList(value: unknown, what: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new DoorError(`${what}: expected a list`);
  return value;
}

export function parseRegister(name: string, value: unknown): [string, bigint] {
  const lower = name.toLowerCase();
  const bits = SETTABLE.get(lower);
  if (bits === undefined) throw new DoorError(`set: no register is called ${JSON.stringify(name)}`);
  const number = parseInteger(value, `set.${lower}`);
  if (number >> BigInt(bits) !== 0n)
    throw new DoorError(`set.${lower}: 0x${number.toString(16)} has more than ${bits} bits`);
  return [lower, number];
}

/**
 * Checks one line of --many. `readFile` serves the field "file". Throws DoorError.
 */
export function parseCase(json: unknown, readFile: (path: string) => Uint8Array): DoorCase {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new DoorError("expected a JSON object");
  const o = json as Record<string, unknown>;
  const known = ["name", "code", "file", "mode", "load", "map", "poke", "set", "cpu", "max", "dump"];
  for (const key of Object.keys(o))
    if (!known.includes(key)) throw new DoorError(`no field is called ${JSON.stringify(key)}`);
  if ((o.code === undefined) === (o.file === undefined)) throw new DoorError(`give either "code" or "file"`);
  const mode = parseMode(o.mode ?? 64);
  const ranges = (list: unknown, what: string): { address: bigint; bytes: bigint }[] =>
    parseList(list, what).map((pair, i) => {
      const [address, bytes] = parsePair(pair, `${what}[${i}]`);
      return { address: parseInteger(address, `${what}[${i}]`), bytes: parseInteger(bytes, `${what}[${i}]`) };
    });
  const set = o.set ?? {};
  if (typeof set !== "object" || set === null || Array.isArray(set))
    throw new DoorError("set: expected an object");
  for (const name of ["name", "file"])
    if (o[name] !== undefined && typeof o[name] !== "string")
      throw new DoorError(`${name}: expected a string, not ${JSON.stringify(o[name])}`);
  return {
    name: (o.name as string | undefined) ?? "",
    code: o.file === undefined ? parseHex(o.code, "code") : readFile(o.file as string),
    mode,
    load: o.load === undefined ? DEFAULT_LOAD[mode] : parseInteger(o.load, "load"),
    map: ranges(o.map, "map"),
    poke: parseList(o.poke, "poke").map((pair, i) => {
      const [address, bytes] = parsePair(pair, `poke[${i}]`);
      return { address: parseInteger(address, `poke[${i}]`), bytes: parseHex(bytes, `poke[${i}]`) };
    }),
    set: new Map(Object.entries(set).map(([name, value]) => parseRegister(name, value))),
    cpu: parseCpu(o.cpu ?? "v2"),
    max: o.max === undefined ? DEFAULT_MAX : Number(parseInteger(o.max, "max")),
    dump: ranges(o.dump, "dump"),
  };
}
