import { createHash } from "node:crypto";
import { makeCase, Random, randomMxcsr, type Values } from "./cases.ts";
import type { VectorUnit } from "./machine.ts";
import type { VectorCase, VectorOutcome } from "./silicon.ts";

/** Cases of one encoding. `name` is map.prefix.opcode, or opcode.ModRM for the x87. */
export interface Kind {
  readonly name: string;
  readonly cases: readonly VectorCase[];
}

const PREFIX_BYTES = [[], [0x66], [0xf3], [0xf2]] as const;
const ESCAPE_BYTES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;

/** Opcodes of map 0F whose ModRM.reg names a general register, and of all maps whose ModRM.rm does. */
const REG_IS_GENERAL = new Set([0x2c, 0x2d, 0x50, 0xc3, 0xc5, 0xd7]);
const RM_IS_GENERAL = [
  new Set<number>(),
  new Set([0x2a, 0x6e, 0x7e, 0xc4]),
  new Set<number>(),
  new Set([0x14, 0x15, 0x16, 0x17, 0x20, 0x22]),
] as const;
const FLOATING = new Set([0x7c, 0x7d, 0xd0, 0xc2, 0xe6]);
/** RCPPS, RSQRTPS: the bits are the implementation's choice. */
const APPROXIMATIONS = new Set([0x52, 0x53]);
const EMMS = 0x77;
const STATE_IMAGE = 0xae;
/** POPFD-like state of MXCSR in an FXSAVE image. */
const IMAGE_MXCSR = 24;
const IMAGE_REGISTERS = 160;

/** One random instruction of an encoding, or undefined if its form is #UD. */
function vectorCase(
  unit: VectorUnit,
  random: Random,
  map: 1 | 2 | 3,
  prefix: number,
  opcode: number,
): VectorCase | undefined {
  const registers = random.below(2) === 0;
  let modrm = registers ? 0xc0 | random.below(64) : 3 | (random.below(8) << 3);
  const id = unit.decodeVector(map, prefix, opcode, modrm, 0);
  if (id === 0) return undefined;
  let rex = random.below(3) ? 0 : 0x40 | (random.below(4) ? 0 : 8) | (random.below(2) << 2);
  const rmIsGeneral = RM_IS_GENERAL[map].has(opcode);
  if (registers && rex !== 0) rex |= random.below(2);
  // Of the general registers a case has rax, rcx, rdx, r8 and r9.
  if (map === 1 && REG_IS_GENERAL.has(opcode)) modrm = (modrm & ~0x38) | (random.below(rex & 4 ? 2 : 3) << 3);
  if (registers && rmIsGeneral) modrm = (modrm & ~7) | random.below(rex & 1 ? 2 : 3);
  const string = map === 3 && opcode >= 0x60;
  const wholeImm = string || (map === 3 && opcode < 0x0c);
  const imm =
    (id >> 16) & 1 ? [wholeImm || random.below(3) === 0 ? random.u32() & 0xff : random.below(64)] : [];
  const emms = map === 1 && opcode === EMMS;
  const code = [
    ...PREFIX_BYTES[prefix]!,
    ...(rex ? [rex] : []),
    ...ESCAPE_BYTES[map],
    opcode,
    ...(emms ? [] : [modrm]),
    ...imm,
  ];
  const integer = map === 2 || string || (map === 1 && opcode >= 0x60 && !FLOATING.has(opcode));
  const values: Values = integer ? "integer" : random.pick(["single", "double", "any"] as const);
  // Once in a while the memory operand is misaligned.
  const offset = random.below(16) === 0 ? 1 + random.below(40) : random.below(4) * 16;
  const c = makeCase(random, code, { values, offset, mxcsr: () => randomMxcsr(random) });
  if (string) fewCharacters(random, c);
  if (map === 1 && opcode === STATE_IMAGE) stateImage(random, c, (modrm >> 3) & 7);
  return c;
}

/** String operands from a small alphabet, with zeros; small lengths in eax and edx. */
function fewCharacters(random: Random, c: VectorCase): void {
  const character = (): number => {
    if (random.below(4) !== 0) return 1 + random.below(3);
    return random.below(6) === 0 ? 0 : random.below(256);
  };
  for (let i = 0; i < 256; i++) c.fx[IMAGE_REGISTERS + i] = character();
  for (let i = 0; i < 128; i++) c.memory[i] = character();
  const regs = c.regs as bigint[];
  regs[0] = BigInt.asUintN(64, BigInt(random.below(40) - 20));
  regs[2] = BigInt.asUintN(64, BigInt(random.below(40) - 20));
}

/** Memory for FXRSTOR (group 1) and LDMXCSR (2): mostly a valid MXCSR. */
function stateImage(random: Random, c: VectorCase, group: number): void {
  const view = new DataView(c.memory.buffer);
  const mxcsr = random.below(3) ? random.u32() & 0xffff : random.u32() | 0x80000000;
  if (group !== 1) view.setUint32(c.offset, mxcsr, true);
  else if (c.offset + IMAGE_MXCSR + 4 <= c.memory.length) {
    view.setUint32(c.offset + IMAGE_MXCSR, mxcsr, true);
    view.setUint16(c.offset, 0x37f, true);
  }
}

/** Cases of every vector encoding that decodes. */
export function vectorKinds(unit: VectorUnit, seed: number, perKind: number): Kind[] {
  const kinds: Kind[] = [];
  for (const map of [1, 2, 3] as const) {
    for (let prefix = 0; prefix < 4; prefix++) {
      for (let opcode = 0; opcode < 256; opcode++) {
        if (map === 1 && APPROXIMATIONS.has(opcode)) continue;
        const random = new Random(seed * 0x10001 + ((map << 10) | (prefix << 8) | opcode));
        const cases: VectorCase[] = [];
        for (let i = 0; i < perKind; i++) {
          const c = vectorCase(unit, random, map, prefix, opcode);
          if (c) cases.push(c);
        }
        if (cases.length)
          kinds.push({ name: `${map}.${prefix}.${opcode.toString(16).padStart(2, "0")}`, cases });
      }
    }
  }
  return kinds;
}

/** D9 opcodes whose last bit is not fixed by a standard. */
export const TRANSCENDENTAL: ReadonlyMap<number, string> = new Map([
  [0xf0, "F2XM1"],
  [0xf1, "FYL2X"],
  [0xf2, "FPTAN"],
  [0xf3, "FPATAN"],
  [0xf9, "FYL2XP1"],
  [0xfb, "FSINCOS"],
  [0xfe, "FSIN"],
  [0xff, "FCOS"],
]);

function x87Case(random: Random, opcode: number, modrm: number): VectorCase {
  const group = (modrm >> 3) & 7;
  const memoryForm = modrm < 0xc0;
  const control = memoryForm && (opcode === 0xd9 || opcode === 0xdd) && group >= 4;
  const small = control && random.below(2) === 0;
  const unary = opcode === 0xd9 && modrm >= 0xe0;
  const top = random.below(3) === 0 ? random.below(8) : 0;
  const seventhEmpty = 0xff & ~(1 << ((top + 7) & 7));
  const c = makeCase(random, [...(small ? [0x66] : []), opcode, modrm], {
    values: random.pick(["integer", "single", "double"] as const),
    fcw: () => (random.below(3) ? 0x37f : 0x40 | (random.u32() & 0xf3f) | (random.below(2) ? 0x3f : 0)),
    fsw: () => (random.u32() & 0x4700) | (top << 11) | (random.below(6) ? 0 : random.u32() & 0x3f),
    ftw: () => {
      const kind = random.below(8);
      if (kind === 0) return random.u32() & 0xff;
      if (kind === 1) return (0xff << top) & 0xff;
      return memoryForm || unary || random.below(2) ? seventhEmpty : 0xff;
    },
  });
  const view = new DataView(c.memory.buffer);
  if (memoryForm && opcode === 0xdf && group === 4) {
    for (let i = 0; i < 10; i++) c.memory[c.offset + i] = random.below(10) | (random.below(10) << 4);
  }
  if (control && group <= 5) {
    const unit = small ? 2 : 4;
    view.setUint16(c.offset, random.u32(), true);
    if (group === 4) {
      view.setUint16(
        c.offset + unit,
        (random.u32() & 0x7f00) | (random.below(3) ? 0 : random.u32() & 0xff),
        true,
      );
    }
  }
  return c;
}

/** Cases of every x87 encoding, the transcendental ones or the others. */
export function x87Kinds(seed: number, perKind: number, transcendental: boolean): Kind[] {
  const kinds: Kind[] = [];
  for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
    for (let modrm = 0; modrm < 256; modrm++) {
      if (modrm < 0xc0 && (modrm & 0xc7) !== 3) continue;
      if (transcendental !== (opcode === 0xd9 && TRANSCENDENTAL.has(modrm))) continue;
      const random = new Random(seed * 0x10001 + ((opcode << 8) | modrm));
      const cases = Array.from({ length: perKind }, () => x87Case(random, opcode, modrm));
      kinds.push({ name: `${opcode.toString(16)}.${modrm.toString(16).padStart(2, "0")}`, cases });
    }
  }
  return kinds;
}

const ARITH_FLAGS = 0x8d5n;
/** End of the registers in an FXSAVE image; above is reserved and free for software. */
const IMAGE_END = 416;

/** An image without what processors disagree on: pointers, opcode, MXCSR_MASK, padding of x87 registers. */
function comparable(image: Uint8Array): Uint8Array {
  const copy = image.slice(0, IMAGE_END);
  copy.fill(0, 5, 24);
  copy.fill(0, 28, 32);
  for (let i = 0; i < 8; i++) copy.fill(0, 42 + 16 * i, 48 + 16 * i);
  return copy;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Everything of an outcome that must be the same on every processor, as text. */
export function canonical(c: VectorCase, outcome: VectorOutcome): string {
  const fxsave = c.code.includes(STATE_IMAGE) && c.code.includes(0x0f);
  return [
    outcome.vector,
    ...outcome.regs.slice(0, 5).map((r) => r.toString(16)),
    (outcome.regs[6]! & ARITH_FLAGS).toString(16),
    hex(comparable(outcome.fx)),
    // What FXSAVE writes has the pointers and MXCSR_MASK in it; the registers are seen through the image above.
    fxsave ? "" : hex(outcome.memory),
  ].join(" ");
}

/** A difference between two outcomes as lines of text for a human; empty if there is none. */
export function differences(c: VectorCase, expected: VectorOutcome, actual: VectorOutcome): string[] {
  if (canonical(c, expected) === canonical(c, actual)) return [];
  const lines = [
    `code ${hex(Uint8Array.from(c.code))}, fcw ${word(c.fx, 0)} fsw ${word(c.fx, 2)} mxcsr ${word(c.fx, 24)}`,
  ];
  if (expected.vector !== actual.vector) lines.push(`vector ${expected.vector}, ours ${actual.vector}`);
  expected.regs.forEach((value, i) => {
    if (i !== 5 && value !== actual.regs[i])
      lines.push(`register ${i} ${value.toString(16)}, ours ${actual.regs[i]!.toString(16)}`);
  });
  const a = comparable(expected.fx);
  const b = comparable(actual.fx);
  for (let at = 0; at < IMAGE_END; at += 16) {
    const x = hex(a.subarray(at, at + 16));
    const y = hex(b.subarray(at, at + 16));
    if (x !== y) lines.push(`image+${at}: ${x}, ours ${y}, before ${hex(c.fx.subarray(at, at + 16))}`);
  }
  const m = c.offset & ~15;
  lines.push(
    `memory at rbx ${hex(c.memory.subarray(c.offset, c.offset + 16))}, after ${hex(expected.memory.subarray(m, m + 32))}, ours ${hex(actual.memory.subarray(m, m + 32))}`,
  );
  return lines;
}

function word(bytes: Uint8Array, at: number): string {
  return (bytes[at]! | (bytes[at + 1]! << 8)).toString(16);
}

/** Half of the SHA-256 of the canonical outcomes of a kind. */
function digest(kind: Kind, outcomes: readonly VectorOutcome[]): string {
  const hash = createHash("sha256");
  kind.cases.forEach((c, i) => {
    hash.update(canonical(c, outcomes[i]!));
    hash.update("\n");
  });
  return hash.digest("hex").slice(0, 32);
}

/** Name and digest of each kind's results; `run` is a processor. */
export function digests(
  kinds: readonly Kind[],
  run: (cases: readonly VectorCase[]) => readonly VectorOutcome[],
): Record<string, string> {
  return Object.fromEntries(kinds.map((kind) => [kind.name, digest(kind, run(kind.cases))]));
}

/** An 80-bit register as an integer that counts representable numbers, for distances in units of the last place. */
function ordinal(image: Uint8Array, register: number): bigint {
  const view = new DataView(image.buffer, image.byteOffset);
  const at = 32 + 16 * register;
  const signExponent = view.getUint16(at + 8, true);
  const magnitude =
    (BigInt(signExponent & 0x7fff) << 63n) + (view.getBigUint64(at, true) & 0x7fffffffffffffffn);
  return signExponent & 0x8000 ? -magnitude : magnitude;
}

/**
 * Distance of the outcomes of a transcendental instruction: undefined if they differ in more than the last place of
 * registers and in C1, else the largest difference in units of the last place.
 */
export function lastPlaceDistance(expected: VectorOutcome, actual: VectorOutcome): number | undefined {
  const c1 = 0x200;
  const status = (o: VectorOutcome): number => (o.fx[2]! | (o.fx[3]! << 8)) & ~c1;
  if (
    expected.vector !== actual.vector ||
    status(expected) !== status(actual) ||
    expected.fx[4] !== actual.fx[4]
  )
    return undefined;
  let largest = 0;
  for (let i = 0; i < 8; i++) {
    const distance = ordinal(expected.fx, i) - ordinal(actual.fx, i);
    const magnitude = distance < 0n ? -distance : distance;
    if (magnitude > 1n) return undefined;
    largest = Math.max(largest, Number(magnitude));
  }
  return largest;
}
