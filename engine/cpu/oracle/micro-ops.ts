// What our decoder made of an instruction: the micro-ops it emitted, read where it left them. core/ops.ts says what the
// fields of each mean; here that is put to use to find the registers, the memory operand and the constants in them.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCpu } from "../door/create-cpu.ts";
import type { Random } from "./random.ts";

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), "../core/ops.ts");

/** The names of an enum of core/ops.ts by value. */
function enumNames(name: string): Map<number, string> {
  const source = readFileSync(SOURCE, "utf8");
  const from = source.indexOf(`export enum ${name} {`);
  const body = source
    .slice(source.indexOf("{", from) + 1, source.indexOf("\n}", from))
    .replace(/\/\/.*$/gm, "");
  const names = new Map<number, string>();
  let next = 0;
  for (const entry of body.split(",")) {
    const match = /^(\w+)(?:\s*=\s*(\d+))?$/.exec(entry.trim());
    if (match === null) continue;
    if (match[2] !== undefined) next = Number(match[2]);
    names.set(next++, match[1]!);
  }
  return names;
}

const OPS = enumNames("Op");
const GENS = enumNames("Gen");
const RARES = enumNames("Rare");
const codeOf = (name: string): number => [...OPS].find(([, n]) => n === name)![0];

/** Where `decodeLength` leaves its micro-ops: ARENA + 64 of core/layout.ts. And the addresses in their side table. */
const AT = 0x100040;
const SIDE = 0x900000;
const ARENA = 0x100000;
const OP_BYTES = 16;
const MOST_OPS = 16;
const NOTHING = 0xffff;
/** Where the instruction is taken to be. */
export const INSTRUCTION_ADDRESS = 0x1000n;

export const SLOT = { ZERO: 16 * 8, TMP0: 17 * 8, TMP1: 18 * 8, SEGMENTS: 20 * 8, END: 26 * 8 } as const;
const ALU_NAMES = ["ADD", "OR", "ADC", "SBB", "AND", "SUB", "XOR", "CMP"];
const SHIFT_NAMES = ["ROL", "ROR", "RCL", "RCR", "SHL", "SHR", "SAL", "SAR"];
const SEGEA_NO_ACCESS = 2;

type Kind = "plain" | "generic" | "rare" | "vector" | "x87" | "string";

interface Shape {
  readonly kind: Kind;
  /** Fields a, b, c that name register slots. */
  readonly registers: readonly (0 | 1 | 2)[];
  /** b, c, s, d are a memory operand. */
  readonly memory: boolean;
  readonly immediate: "none" | "i" | "wide";
  readonly double: boolean;
  /** Operand size in bytes that the name tells, or 0. */
  readonly bytes: number;
}

const PLAIN: readonly (readonly [RegExp, string, boolean, Shape["immediate"]])[] = [
  [/^(ADD|OR|AND|SUB|XOR|IMUL)\d+_RR(_N)?$/, "abc", false, "none"],
  [/^(ADD|OR|AND|SUB|XOR)\d+_RI(_N)?$/, "ac", false, "i"],
  [/^(SHL|SHR|SAR|ROL|ROR)\d+_I(_N)?$/, "a", false, "i"],
  [/^IMUL\d+_RRI(_N)?$/, "ab", false, "i"],
  [/^(NEG|NOT|INC|DEC|BSWAP)\d+(_N)?$/, "a", false, "none"],
  [/_RM(_N)?$/, "a", true, "none"],
  [/^(CMP|TEST|BT)\d+_RR$/, "ab", false, "none"],
  [/^(CMP|TEST|BT)\d+_RI$/, "a", false, "i"],
  [/^MOV\d+_RR$/, "ab", false, "none"],
  [/^MOV64_RI$/, "a", false, "wide"],
  [/^MOV\d+_RI$/, "a", false, "i"],
  [/^LEA/, "a", true, "none"],
  [/^MOV[ZS]X/, "ab", false, "none"],
  [/^LD/, "a", true, "none"],
  [/^STI\d/, "", true, "i"],
  [/^ST\d/, "a", true, "none"],
  [/_MR$/, "a", true, "none"],
  [/_MI$/, "", true, "i"],
  [/_M$/, "", true, "none"],
  [/^(PUSH64|POP64|SHL\d+_CL|SHR\d+_CL|SAR\d+_CL|CALL_R|JUMP_R)$/, "a", false, "none"],
  [/^(PUSHI64|RET|FAULT)$/, "", false, "i"],
  [/^SETCC$/, "a", false, "i"],
  [/^CMOV/, "ab", false, "i"],
];
const KINDS: Readonly<Record<string, Kind>> = {
  GEN: "generic",
  RARE: "rare",
  VEC: "vector",
  X87: "x87",
  STRING: "string",
};

function shapeOf(name: string): Shape {
  const kind = KINDS[name];
  if (kind !== undefined)
    return { kind, registers: [], memory: false, immediate: "none", double: true, bytes: 0 };
  const digits = /^[A-Z]+?(8|16|32|64)(_|$)/.exec(name);
  const bytes = digits === null ? 0 : Number(digits[1]) / 8;
  const found = PLAIN.find(([pattern]) => pattern.test(name));
  const [, registers = "", memory = false, immediate = "none"] = found ?? [];
  return {
    kind: "plain",
    registers: [...registers].map((f) => (f.charCodeAt(0) - 97) as 0 | 1 | 2),
    memory,
    immediate,
    double: name === "CALL",
    bytes,
  };
}

const SHAPES = new Map([...OPS].map(([code, name]) => [code, shapeOf(name)]));
const SEGEA = codeOf("SEGEA");
const LEA32 = codeOf("LEA32");
const LEA64 = codeOf("LEA64");
const LEA64_BD = codeOf("LEA64_BD");
const MOV64_RI = codeOf("MOV64_RI");
const MOVZX16 = codeOf("MOVZX16_RR");
const MOVZX8 = codeOf("MOVZX8_RR");
const LINK = codeOf("LINK");
const XJUMP = codeOf("XJUMP");
const FAULT = codeOf("FAULT");

/** What the micro-ops of one instruction say. The same object is used again for the next one. */
export interface Ours {
  /** Length; 0 = #UD, -1 = more bytes are needed. */
  length: number;
  /** What it does: names of micro-ops and functions, without temporaries and flags. */
  names: string[];
  /** Register slots (byte offset, +1 for AH to BH) that count as operands for certain. */
  readonly registers: Set<number>;
  /** Slot of the register that the last plain op writes or, with memory, its only one. */
  destination: number | undefined;
  /** Slots for ModRM.reg and ModRM.rm of GEN and RARE. */
  fields: { readonly reg: number; readonly rm: number | undefined } | undefined;
  /** Slots in fields that some functions do not use. */
  readonly possible: Set<number>;
  readonly immediates: bigint[];
  /** Linear address of the memory operand for the registers at hand, or of LEA its result. */
  address: bigint | undefined;
  /** Bytes that the segment check outside 64-bit mode was told, 0 if it was none. */
  checkedBytes: number;
  /** Operand size in bytes by the names of the ops; 0 if they do not tell. */
  readonly sizes: Set<number>;
  readonly targets: bigint[];
  vector:
    | {
        readonly map: number;
        readonly prefix: number;
        readonly opcode: number;
        readonly reg: number;
        readonly rm: number;
      }
    | undefined;
  x87: { readonly opcode: number; readonly modrm: number } | undefined;
  string:
    | {
        readonly kind: number;
        readonly segment: number;
        readonly bytes: number;
        readonly repeat: number;
        readonly addressBytes: number;
      }
    | undefined;
}

const U64 = 0xffff_ffff_ffff_ffffn;
const U32 = 0xffff_ffffn;

export class OurDecoder {
  readonly #cpu = createCpu({ pages: 16 });
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  /** Values of the register slots, by slot number. */
  readonly values = new BigUint64Array(SLOT.END / 8);
  readonly ours: Ours = {
    length: 0,
    names: [],
    registers: new Set(),
    destination: undefined,
    fields: undefined,
    possible: new Set(),
    immediates: [],
    address: undefined,
    checkedBytes: 0,
    sizes: new Set(),
    targets: [],
    vector: undefined,
    x87: undefined,
    string: undefined,
  };

  constructor() {
    const { buffer } = this.#cpu.instance.memory;
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  /** Values for the registers and, where the mode has them, segment bases. */
  randomize(r: Random, mode: 16 | 32 | 64): void {
    for (let i = 0; i < 16; i++) this.values[i] = r.u64();
    for (let i = 0; i < 6; i++) {
      const has = mode !== 64 || i >= 4;
      this.values[SLOT.SEGMENTS / 8 + i] = has ? r.u64() & U32 : 0n;
    }
    this.values[SLOT.ZERO / 8] = 0n;
  }

  decode(bytes: Uint8Array, mode: 16 | 32 | 64): Ours {
    const o = this.ours;
    this.#bytes.fill(0xff, AT, AT + MOST_OPS * OP_BYTES);
    o.length = this.#cpu.decodeLength(bytes, mode);
    o.names = [];
    o.registers.clear();
    o.destination = undefined;
    o.fields = undefined;
    o.possible.clear();
    o.immediates.length = 0;
    o.address = undefined;
    o.checkedBytes = 0;
    o.sizes.clear();
    o.targets.length = 0;
    o.vector = undefined;
    o.x87 = undefined;
    o.string = undefined;
    if (o.length > 0) this.#read(mode);
    return o;
  }

  #read(mode: 16 | 32 | 64): void {
    const view = this.#view;
    for (let p = AT; p < AT + MOST_OPS * OP_BYTES; ) {
      const code = view.getUint16(p, true);
      if (code === NOTHING) return;
      const shape = SHAPES.get(code);
      if (shape === undefined) throw new Error(`micro-op ${code}`);
      if (!this.#temporary(p, code)) this.#operation(p, code, shape, mode);
      p += shape.double ? 2 * OP_BYTES : OP_BYTES;
    }
  }

  /** Base, index, scale and displacement of a memory operand at p. */
  #sum(p: number): bigint {
    const view = this.#view;
    const base = this.#value(view.getUint8(p + 3));
    const index = this.#value(view.getUint8(p + 4));
    const scale = BigInt(view.getUint8(p + 5) & 0x3f);
    return (base + (index << scale) + BigInt(view.getInt32(p + 8, true))) & U64;
  }

  #value(slot: number): bigint {
    return this.values[slot >> 3]!;
  }

  /** Ops that make up an address in a temporary slot. */
  #temporary(p: number, code: number): boolean {
    const view = this.#view;
    const o = this.ours;
    const a = view.getUint8(p + 2);
    const temporary = a === SLOT.TMP0 || a === SLOT.TMP1;
    if (!temporary) return false;
    let value: bigint;
    if (code === SEGEA) {
      const n = view.getUint16(p + 6, true);
      const mask = n >> 8 === 1 ? 0xffffn : U32;
      const segment = SLOT.SEGMENTS / 8 + ((n >> 4) & 15);
      value = ((this.#sum(p) & mask) + this.values[segment]!) & U32;
      if ((n & 15) !== SEGEA_NO_ACCESS) o.checkedBytes = view.getInt32(p + 12, true);
      o.address = value;
    } else if (code === LEA32) value = this.#sum(p) & U32;
    else if (code === LEA64 || code === LEA64_BD) value = this.#sum(p);
    else if (code === MOV64_RI) value = view.getBigUint64(p + 8, true);
    else if (code === MOVZX8) value = this.#value(view.getUint8(p + 3)) & 0xffn;
    else return false;
    this.values[a >> 3] = value;
    return true;
  }

  #register(slot: number, certain: boolean): void {
    if (slot >= SLOT.ZERO) return;
    (certain ? this.ours.registers : this.ours.possible).add(slot);
  }

  #operation(p: number, code: number, shape: Shape, mode: 16 | 32 | 64): void {
    const view = this.#view;
    const o = this.ours;
    if (code === LINK) {
      o.targets.push(view.getBigUint64(SIDE + (p - ARENA) / 2, true) & 0xffff_ffff_ffffn);
      return;
    }
    if (code === XJUMP) {
      o.targets.push(view.getBigUint64(p + 8, true));
      return;
    }
    if (code === FAULT) {
      o.names.push("FAULT");
      return;
    }
    const second = p + OP_BYTES;
    switch (shape.kind) {
      case "plain":
        o.names.push(OPS.get(code)!.replace(/_N$/, ""));
        for (const f of shape.registers) this.#register(view.getUint8(p + 2 + f), true);
        if (shape.registers[0] === 0 && view.getUint8(p + 2) < SLOT.ZERO)
          o.destination = view.getUint8(p + 2);
        if (shape.memory) o.address = code === LEA32 ? this.#sum(p) & U32 : this.#sum(p);
        else if (shape.registers.length === 2)
          this.#fromTemporary(view.getUint8(p + 3), code === MOVZX16 ? 0xffffn : U64);
        if (shape.immediate === "i") o.immediates.push(BigInt(view.getInt32(p + 12, true)));
        if (shape.immediate === "wide") o.immediates.push(view.getBigUint64(p + 8, true));
        if (shape.bytes > 0) o.sizes.add(shape.bytes);
        return;
      case "generic": {
        const n = view.getUint16(p + 6, true);
        o.names.push(genericName(n));
        if (GENS.get(n) === "BIT_OFFSET") {
          // The address that counts is the one without the bit's offset.
          this.values[SLOT.TMP1 / 8] = 0n;
          this.#register(view.getUint8(p + 3), true);
          return;
        }
        this.#fields(p, second);
        o.immediates.push(BigInt(view.getInt32(p + 12, true)));
        o.sizes.add(1 << view.getUint8(p + 5));
        return;
      }
      case "rare":
        o.names.push(RARES.get(view.getUint16(second + 6, true)) ?? "?");
        this.#fields(p, second);
        o.immediates.push(BigInt(view.getInt32(second + 12, true)));
        o.sizes.add(1 << view.getUint8(p + 5));
        return;
      case "vector": {
        const id = view.getInt32(p + 8, true);
        o.vector = {
          map: id >> 10,
          prefix: (id >> 8) & 3,
          opcode: id & 0xff,
          reg: view.getUint8(p + 2),
          rm: view.getUint8(p + 3),
        };
        o.names.push("VEC");
        o.immediates.push(BigInt(view.getUint8(p + 5)));
        if (view.getUint8(p + 4) !== 0) o.address = this.#sum(second);
        return;
      }
      case "x87":
        // Outside 64-bit mode a wait comes before the segment check.
        if (view.getUint8(p + 2) === 0x9b && view.getUint16(second + OP_BYTES, true) !== NOTHING) return;
        if (view.getUint8(p + 2) === 0x9b && mode !== 64 && view.getUint16(second, true) !== 0) return;
        o.names.push("X87");
        o.x87 = { opcode: view.getUint8(p + 2), modrm: view.getUint8(p + 3) };
        if (view.getUint8(p + 4) !== 0) o.address = this.#sum(second);
        return;
      case "string":
        o.names.push("STRING");
        o.string = {
          kind: view.getUint8(p + 2),
          segment: view.getInt32(p + 8, true),
          bytes: 1 << view.getUint8(p + 4),
          repeat: view.getUint8(p + 5),
          addressBytes: 1 << view.getUint16(p + 6, true),
        };
        return;
    }
  }

  /** LEA of 16 bits moves its address from a temporary slot. */
  #fromTemporary(slot: number, mask: bigint): void {
    if (slot === SLOT.TMP0 || slot === SLOT.TMP1) this.ours.address ??= this.values[slot >> 3]! & mask;
  }

  /** a and b of GEN and RARE; the memory operand, if there is one, is in the second op. */
  #fields(p: number, second: number): void {
    const view = this.#view;
    const memory = view.getUint8(p + 4) !== 0;
    this.ours.fields = { reg: view.getUint8(p + 2), rm: memory ? undefined : view.getUint8(p + 3) };
    this.#register(view.getUint8(p + 2), false);
    if (view.getUint8(p + 4) === 0) this.#register(view.getUint8(p + 3), false);
    else this.ours.address = this.#sum(second);
  }
}

/** Generic arithmetic by its operation, other functions by their name. */
function genericName(n: number): string {
  if (n < 24) return ALU_NAMES[n & 7]!;
  if (n < 40) return SHIFT_NAMES[n & 7]!;
  return GENS.get(n) ?? `?${n}`;
}
