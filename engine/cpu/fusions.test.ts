/**
 * Runs of micro-ops that are done in one dispatch (fusions.ts) must mean what their parts mean. For each run of the list
 * the instructions that decode to it are put together, with the registers it asks for and with others that merely look
 * like them, on values and addresses good and bad. The result after one go is compared with the result of one instruction
 * at a time, where nothing can be joined; the instructions alone are compared with silicon elsewhere (oracle). What was
 * decoded is read from the core's memory, so that a run that nothing tests any more is noticed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Cpu } from "./cpu.ts";
import { createCpu } from "./door/create-cpu.ts";
import { FUSIONS } from "./fusions.ts";
import { REGISTER_NAMES } from "./types.ts";

/** engine/cpu/core/layout.ts: where micro-ops lie. */
const ARENA = 0x10_4000;
/** More than one of the programs here decodes to. */
const ARENA_LOOK = 0x1000;
const VARIANTS = 48;
const CODE = 0x40_0000;
const DATA = 0x20_0000;
const STACK = 0x30_0000;
const UNMAPPED = 0x4000_0000n;

/** xorshift, so that a failure comes back. */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
type Random = ReturnType<typeof random>;

/** Registers by what they hold: anything, a pointer to DATA, a small number. */
const KINDS = { value: [0, 1, 2, 3], base: [6, 7], index: [10, 11] } as const;
type Kind = keyof typeof KINDS;

const rexOf = (wide: boolean, reg: number, rm: number, index = 0): number =>
  0x40 | (wide ? 8 : 0) | (reg & 8 ? 4 : 0) | (index & 8 ? 2 : 0) | (rm & 8 ? 1 : 0);
const modRM = (mod: number, reg: number, rm: number): number => (mod << 6) | ((reg & 7) << 3) | (rm & 7);
/** opcode with two registers */
const rr = (wide: boolean, opcode: number[], reg: number, rm: number): number[] => [
  rexOf(wide, reg, rm),
  ...opcode,
  modRM(3, reg, rm),
];
/** opcode with [base + disp8] */
const bd = (wide: boolean, opcode: number[], reg: number, base: number, disp: number): number[] => [
  rexOf(wide, reg, base),
  ...opcode,
  modRM(1, reg, base),
  disp,
];
/** opcode with [base + index + disp8] */
const bi = (
  wide: boolean,
  opcode: number[],
  reg: number,
  base: number,
  index: number,
  disp: number,
): number[] => [
  rexOf(wide, reg, base, index),
  ...opcode,
  modRM(1, reg, 4),
  ((index & 7) << 3) | (base & 7),
  disp,
];

interface Operands {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly any: Random;
}
const disp = (o: Operands): number => o.any(8) * 8;
const imm32 = (o: Operands): number[] => {
  const n = o.any(3) === 0 ? o.any(128) : o.any(0x7fff_ffff);
  return [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
};

const ALU: Readonly<Record<string, number>> = { ADD: 0, OR: 1, AND: 4, SUB: 5, XOR: 6, CMP: 7 };
const SHIFT: Readonly<Record<string, number>> = { ROL: 0, ROR: 1, SHL: 4, SHR: 5, SAR: 7 };
const CONDITION: Readonly<Record<string, number>> = {
  B: 2,
  AE: 3,
  E: 4,
  NE: 5,
  BE: 6,
  A: 7,
  S: 8,
  NS: 9,
  L: 12,
  GE: 13,
  LE: 14,
  G: 15,
};
/** A jump over one NOP: taken or not shows in the count. */
const jcc = (name: string | undefined): number[] => [0x70 | (CONDITION[name ?? ""] ?? 0), 1, 0x90];
/** The three-operand form a = c op ... of an instruction that works on a. */
const moved = (wide: boolean, o: Operands): number[] => (o.a === o.c ? [] : rr(wide, [0x89], o.c, o.a));

/** [pattern of the op's name, the instructions that decode to it, kinds of its operands a b c] */
const ENCODINGS: readonly (readonly [RegExp, (o: Operands, m: string[]) => number[], string])[] = [
  [
    /^(ADD|OR|AND|SUB|XOR)(32|64)_RR(?:_N)?$/,
    (o, m) => [...moved(m[2] === "64", o), ...rr(m[2] === "64", [(ALU[m[1] ?? ""] ?? 0) * 8 + 1], o.b, o.a)],
    "vvv",
  ],
  [
    /^(ADD|OR|AND|SUB|XOR)(32|64)_RI(?:_N)?$/,
    (o, m) => [
      ...moved(m[2] === "64", o),
      ...rr(m[2] === "64", [0x81], ALU[m[1] ?? ""] ?? 0, o.a),
      ...imm32(o),
    ],
    "v-v",
  ],
  [
    /^(ROL|ROR|SHL|SHR|SAR)(32|64)_I(?:_N)?$/,
    (o, m) => [
      ...moved(m[2] === "64", o),
      ...rr(m[2] === "64", [0xc1], SHIFT[m[1] ?? ""] ?? 0, o.a),
      1 + o.any(31),
    ],
    "v-v",
  ],
  [/^NEG(32|64)_N$/, (o, m) => rr(m[1] === "64", [0xf7], 3, o.a), "v--"],
  [/^INC(32|64)_N$/, (o, m) => rr(m[1] === "64", [0xff], 0, o.a), "v--"],
  [/^IMUL64_RR_N$/, (o) => [...moved(true, o), ...rr(true, [0x0f, 0xaf], o.a, o.b)], "vvv"],
  [/^MOV(32|64)_RR$/, (o, m) => rr(m[1] === "64", [0x89], o.b, o.a), "vv-"],
  [/^MOVSX32_64_RR$/, (o) => rr(true, [0x63], o.a, o.b), "vv-"],
  [/^MOVZX8_RR$/, (o) => rr(false, [0x0f, 0xb6], o.a, o.b), "vv-"],
  [/^LEA32$/, (o) => bd(false, [0x8d], o.a, o.b, disp(o)), "vv-"],
  [/^LEA64$/, (o) => bi(true, [0x8d], o.a, o.b, o.c, disp(o)), "vvi"],
  [/^SETCC$/, (o) => [0x0f, 0x90 | o.any(16), modRM(3, 0, o.a)], "v--"],
  [/^CMOV64$/, (o) => rr(true, [0x0f, 0x40 | o.any(16)], o.a, o.b), "vv-"],
  [/^CMP64_RR$/, (o) => rr(true, [0x39], o.b, o.a), "vv-"],
  [/^LD64$/, (o) => bi(true, [0x8b], o.a, o.b, o.c, disp(o)), "vbi"],
  [/^LD(32|64)_BD$/, (o, m) => bd(m[1] === "64", [0x8b], o.a, o.b, disp(o)), "vb-"],
  [/^LDZX8$/, (o) => bi(false, [0x0f, 0xb6], o.a, o.b, o.c, disp(o)), "vbi"],
  [/^ST64$/, (o) => bi(true, [0x89], o.a, o.b, o.c, disp(o)), "vbi"],
  [/^ST64_BD$/, (o) => bd(true, [0x89], o.a, o.b, disp(o)), "vb-"],
  [/^STI8$/, (o) => [...bi(false, [0xc6], 0, o.b, o.c, disp(o)), o.any(256)], "-bi"],
  [/^CMP8_MI$/, (o) => [...bi(false, [0x80], 7, o.b, o.c, disp(o)), o.any(2)], "-bi"],
  [/^CMP(32|64)_MI$/, (o, m) => [...bi(m[1] === "64", [0x83], 7, o.b, o.c, disp(o)), o.any(2)], "-bi"],
  [/^TEST8_MI$/, (o) => [...bi(false, [0xf6], 0, o.b, o.c, disp(o)), o.any(4)], "-bi"],
  [/^PUSH64$/, (o) => [0x50 + o.a], "v--"],
  [/^POP64$/, (o) => [0x58 + o.a], "v--"],
  [/^CALL$/, () => [0xe8, 0, 0, 0, 0], "---"],
  [/^RET$/, () => [0xc3], "---"],
  [/^JCC_(\w+)$/, (_o, m) => jcc(m[1]), "---"],
  [/^CMPJ(32|64)_RR_(\w+)$/, (o, m) => [...rr(m[1] === "64", [0x39], o.b, o.a), ...jcc(m[2])], "vv-"],
  [
    /^CMPJ(32|64)_RI_(\w+)$/,
    (o, m) => [...rr(m[1] === "64", [0x81], 7, o.a), ...imm32(o), ...jcc(m[2])],
    "v--",
  ],
  [/^TESTJ8_RR_(\w+)$/, (o, m) => [0x84, modRM(3, o.b, o.a), ...jcc(m[1])], "vv-"],
  [/^TESTJ(32|64)_RR_(\w+)$/, (o, m) => [...rr(m[1] === "64", [0x85], o.b, o.a), ...jcc(m[2])], "vv-"],
  [/^DECJ32_(\w+)$/, (o, m) => [...rr(false, [0xff], 1, o.a), ...jcc(m[1])], "v--"],
];

const KIND_OF: Readonly<Record<string, Kind>> = { v: "value", b: "base", i: "index" };

function encodingOf(name: string): readonly [(o: Operands) => number[], string] {
  for (const [pattern, make, kinds] of ENCODINGS) {
    const match = pattern.exec(name);
    if (match) return [(o) => make(o, [...match]), kinds];
  }
  throw new Error(`no instruction is known that decodes to ${name}`);
}

/** Instructions for a run, with the registers it names (`strict`) or any of their kinds. */
function assemble(run: string, any: Random, strict: boolean): number[] {
  const ops = run.split("|").map((part) => part.trim().split(/\s+/));
  const kindOf = new Map<string, Kind>();
  const letterOf = (words: string[], role: string): string | undefined =>
    words
      .slice(1)
      .map((word) => word.split(":")) // "unscaled" has no letter, and nothing here is scaled
      .find(([roles]) => roles?.includes(role))?.[1];
  for (const words of ops) {
    const [, kinds] = encodingOf(words[0] ?? "");
    for (const [i, role] of ["a", "b", "c"].entries()) {
      const letter = letterOf(words, role);
      const kind = KIND_OF[kinds[i] ?? "-"];
      // An address stays an address, whatever else is done with it.
      if (letter && kind && (kind !== "value" || !kindOf.has(letter))) kindOf.set(letter, kind);
    }
  }
  const chosen = new Map<string, number>();
  const pick = (kind: Kind): number => KINDS[kind][any(KINDS[kind].length)] ?? 0;
  const register = (letter: string | undefined, kind: Kind | undefined): number => {
    if (kind === undefined) return 0;
    if (letter === undefined || !strict)
      return pick(letter === undefined ? kind : (kindOf.get(letter) ?? kind));
    const known = chosen.get(letter);
    if (known !== undefined) return known;
    let choice = pick(kindOf.get(letter) ?? kind);
    while ([...chosen.values()].includes(choice)) choice = pick(kindOf.get(letter) ?? kind);
    chosen.set(letter, choice);
    return choice;
  };
  const bytes: number[] = [];
  for (const words of ops) {
    const [make, kinds] = encodingOf(words[0] ?? "");
    const [a, b, c] = ["a", "b", "c"].map((role, i) =>
      register(letterOf(words, role), KIND_OF[kinds[i] ?? "-"]),
    );
    // Most code works in place, so c is a where nothing else is said.
    const inPlace = kinds[2] === "v" && letterOf(words, "c") === undefined && any(4) > 0;
    bytes.push(...make({ a: a ?? 0, b: b ?? 0, c: (inPlace ? a : c) ?? 0, any }));
  }
  // cmp rax,rax ends the life of the flags, mov rax,rax does not; hlt ends the program.
  return [...bytes, ...rr(true, [any(2) ? 0x39 : 0x89], 0, 0), 0xf4];
}

const memories: WebAssembly.Memory[] = [];
const RealMemory = WebAssembly.Memory;
beforeAll(() => {
  // The core's memory is its own affair; this test looks into it all the same.
  WebAssembly.Memory = class extends RealMemory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      memories.push(this);
    }
  };
});
afterAll(() => {
  WebAssembly.Memory = RealMemory;
});

/** First code of a run, from the list of micro-ops. */
function firstFused(): number {
  const source = readFileSync(join(import.meta.dirname, "core/ops.ts"), "utf8");
  const list = /export enum Op \{([^}]*)\}/.exec(source)?.[1]?.replace(/\/\/.*$/gm, "") ?? "";
  return list.split(",").filter((name) => name.trim() !== "").length;
}

/** Adds the codes of the micro-ops decoded since the state was loaded, which empties the arena. */
function collectCodes(memory: WebAssembly.Memory, codes: Set<number>): void {
  const words = new Uint16Array(memory.buffer, ARENA, ARENA_LOOK / 2);
  for (let i = 0; i < words.length; i += 8) codes.add(words[i] ?? 0);
}

function processor(): Cpu {
  const cpu = createCpu({ pages: 4096, model: "v2" });
  cpu.memory.writeU64(0x1000, 0x2003n);
  cpu.memory.writeU64(0x2000, 0x3003n);
  for (let i = 0; i < 8; i++) cpu.memory.writeU64(0x3000 + i * 8, BigInt(i * 0x20_0000) | 0x83n);
  cpu.enterLongMode(0x1000);
  cpu.setExceptionExit(true);
  return cpu;
}

const NASTY = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 63n,
  (1n << 64n) - 1n,
];

/** Puts both processors before the program at `at`. */
function prepare(cpus: readonly Cpu[], start: Uint8Array, at: number, code: number[], any: Random): void {
  const data = Uint8Array.from({ length: 256 }, () => (any(3) === 0 ? any(256) : 0));
  const stack = new Uint8Array(64);
  // What RET finds: the last two instructions.
  for (let i = 0; i < stack.length; i += 8)
    new DataView(stack.buffer).setBigUint64(i, BigInt(at + code.length - 4), true);
  const values = [0, 1, 2, 3].map(() =>
    any(2) === 0 ? (NASTY[any(NASTY.length)] ?? 0n) : BigInt(any(0x1_0000_0000)) * BigInt(any(0x1_0000_0000)),
  );
  const bases = [6, 7].map(() => (any(8) === 0 ? UNMAPPED : BigInt(DATA + 64)));
  const indices = [10, 11].map(() => BigInt(any(64)));
  const flags = BigInt(2 | any(2));
  for (const cpu of cpus) {
    cpu.loadState(start);
    cpu.memory.write(at, Uint8Array.from(code));
    cpu.memory.write(DATA, data);
    cpu.memory.write(STACK, stack);
    cpu.memory.write(STACK - 64, stack);
    for (const [i, n] of [0, 1, 2, 3].entries()) cpu.setRegister(REGISTER_NAMES[n] ?? "rax", values[i] ?? 0n);
    for (const [i, n] of [6, 7].entries()) cpu.setRegister(REGISTER_NAMES[n] ?? "rax", bases[i] ?? 0n);
    for (const [i, n] of [10, 11].entries()) cpu.setRegister(REGISTER_NAMES[n] ?? "rax", indices[i] ?? 0n);
    cpu.setRegister("rsp", BigInt(STACK));
    cpu.setRegister("rip", BigInt(at));
    cpu.setRegister("rflags", flags);
  }
}

function result(cpu: Cpu, exit: unknown): string {
  const registers = REGISTER_NAMES.map((name) => cpu.getRegister(name).toString(16)).join(" ");
  const bytes = [cpu.memory.read(DATA, 256), cpu.memory.read(STACK - 64, 128)].map((b) =>
    Buffer.from(b).toString("hex"),
  );
  return `${JSON.stringify(exit)} ${cpu.instructions} ${registers} ${bytes.join(" ")}`;
}

test("runs in one dispatch do what their instructions do one at a time, and each of them is met", () => {
  const whole = processor();
  const memory = memories[memories.length - 1];
  const stepped = processor();
  const start = whole.saveState();
  const codes = new Set<number>();
  let at = CODE;
  for (const run of FUSIONS) {
    for (let variant = 0; variant < VARIANTS; variant++) {
      const any = random((at * 2654435761) | 0);
      const code = assemble(run, any, variant % 3 !== 0);
      prepare([whole, stepped], start, at, code, any);
      const from = whole.instructions;
      const one = whole.run(from + 100);
      let other = stepped.run(from + 1);
      while (other.kind === "limit") other = stepped.run(stepped.instructions + 1);
      expect(result(whole, one), `${run}: ${Buffer.from(code).toString("hex")}`).toBe(result(stepped, other));
      if (memory) collectCodes(memory, codes);
      at += 64;
    }
  }
  const first = firstFused();
  const missed = FUSIONS.filter((_run, i) => !codes.has(first + i));
  expect(missed).toEqual([]);
}, 120_000);
