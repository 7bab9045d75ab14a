// Our decoder against another one, iced-x86: the length of an instruction, or that there is none; and of its operands the
// registers, the address that base, index, scale, displacement and segment make for random registers, the constants, branch
// targets, operand sizes, and which instruction it is.

import iced, { type Instruction } from "iced-x86";
import { enumerateForms } from "./encodings.ts";
import { BIT_TESTS, mnemonicName, SHIFT_LIKE } from "./instruction-kinds.ts";
import { INSTRUCTION_ADDRESS, OurDecoder, type Ours, SLOT } from "./micro-ops.ts";
import { isOffered } from "./offered.ts";
import { gprOf } from "./operands.ts";
import { conditionOf, sameInstruction } from "./our-names.ts";
import { Random } from "./random.ts";

const {
  CpuidFeature: F,
  Decoder,
  DecoderOptions,
  Instruction: IcedInstruction,
  MandatoryPrefix,
  MemorySizeExt,
  Mnemonic: M,
  OpCodeOperandKind,
  OpCodeTableKind,
  OpKind,
  Register: R,
} = iced;
export type Mode = 64 | 32 | 16;
const BYTES = 16;

/**
 * Extensions whose encodings run as something older where they are missing: LZCNT and TZCNT as BSR and BSF, CET's as the
 * NOPs they were carved from, WBNOINVD as WBINVD (SDM vol. 2, each instruction's page).
 */
const FALLS_BACK = new Set<number>([
  F.LZCNT,
  F.BMI1,
  F.CET_IBT,
  F.CET_SS,
  F.WBNOINVD,
  F.CLDEMOTE,
  F.PREFETCHWT1,
  F.PREFETCHITI,
]);
/** Of CET, only what is carved from 0F 1E. */
const CET = new Set<number>([F.CET_IBT, F.CET_SS]);
const HINT_NOP = 0x1e;
const PREFIXES = [0x66, 0xf2, 0xf3, 0x67, 0x2e, 0x64, 0x65, 0xf0, 0x26, 0x36, 0x3e];
/** CPUID offers neither VMX nor SVM. */
const HYPERCALLS = new Set<number>([M.Vmcall, M.Vmmcall, M.Vmgexit]);
/** Defined to be undefined. */
const UNDEFINED = new Set<number>([M.Ud0, M.Ud1, M.Ud2]);
const VEX_OR_EVEX = new Set([0xc4, 0xc5, 0x62, 0x8f]);

/** What the reference says of an opcode, kept by its Code: asking costs. */
interface OpcodeFacts {
  readonly opcode: number;
  readonly map: number;
  /** As our decoder numbers them: none, 66, F3, F2. */
  readonly prefix: number;
  readonly offered: boolean;
  /** Not offered, but runs as something older. */
  readonly older: boolean;
  /** Which part of the encoding names each operand. */
  readonly roles: readonly Role[];
}

type Role = "reg" | "rm" | "other";

const OPERAND_KINDS = new Map<number, string>(
  Object.entries(OpCodeOperandKind)
    .filter((e): e is [string, number] => typeof e[1] === "number")
    .map(([name, value]) => [value, name]),
);

function roleOf(kind: number): Role {
  const name = OPERAND_KINDS.get(kind) ?? "";
  return /_reg(_mem)?$/.test(name) ? "reg" : /_(or_mem|rm)$/.test(name) ? "rm" : "other";
}

export class DecoderComparer {
  readonly #instruction = new IcedInstruction();
  readonly #decoder = new OurDecoder();
  readonly #facts = new Map<number, OpcodeFacts>();
  readonly #r: Random;
  readonly #mode: Mode;
  compared = 0;
  /** Of these, valid instructions whose operands were compared. */
  valid = 0;
  /** Left out, because the manuals differ. */
  left = 0;
  readonly codes = new Set<number>();

  constructor(mode: Mode, seed: number) {
    this.#mode = mode;
    this.#r = new Random(seed, mode);
    this.#decoder.randomize(this.#r, mode);
  }

  #factsOf(instruction: Instruction): OpcodeFacts {
    let facts = this.#facts.get(instruction.code);
    if (facts === undefined) {
      const info = instruction.opCode;
      const features = instruction.cpuidFeatures();
      // ENDBR has its ModRM byte in the opcode.
      const hint =
        !features.some((f) => CET.has(f)) || info.opCode === HINT_NOP || info.opCode >> 8 === HINT_NOP;
      const vex = VEX_OR_EVEX.has(info.opCode) || info.encoding !== 0;
      facts = {
        opcode: info.opCode,
        map: MAPS.get(info.table) ?? -1,
        prefix: MANDATORY.get(info.mandatoryPrefix) ?? 0,
        offered: isOffered(instruction),
        older: !vex && hint && features.every((f) => FALLS_BACK.has(f)),
        roles: [0, 1, 2, 3, 4].map((i) => (i < info.opCount ? roleOf(info.opKind(i)) : "other")),
      };
      info.free();
      this.#facts.set(instruction.code, facts);
    }
    return facts;
  }

  /** What differs, for people; undefined if nothing does. `ours` are the bytes that our decoder is given. */
  compare(bytes: Uint8Array, ourBytes = bytes): string | undefined {
    const mode = this.#mode;
    const decoder = new Decoder(mode, bytes, DecoderOptions.None);
    decoder.ip = INSTRUCTION_ADDRESS;
    const instruction = this.#instruction;
    decoder.decodeOut(instruction);
    decoder.free();
    let theirs = instruction.length;
    let operands = false;
    if (HYPERCALLS.has(instruction.mnemonic)) theirs = 0;
    else if (instruction.isInvalid || UNDEFINED.has(instruction.mnemonic)) theirs = 0;
    else {
      const facts = this.#factsOf(instruction);
      // 0F 0D with a register: a NOP to Intel, undefined to AMD.
      if (facts.opcode === 0x0d && facts.map === 1 && instruction.op0Kind === OpKind.Register) {
        this.left++;
        return undefined;
      }
      operands = facts.offered;
      if (!facts.offered && !facts.older) theirs = 0;
    }
    this.compared++;
    const ours = this.#decoder.decode(ourBytes, mode);
    if (ours.length !== theirs) return this.#say(bytes, `length ${theirs}, ours ${ours.length}`);
    if (theirs === 0 || !operands) return undefined;
    this.valid++;
    this.codes.add(instruction.code);
    const what = this.#operands(instruction, ours, bytes);
    return what === undefined ? undefined : this.#say(bytes, what);
  }

  #say(bytes: Uint8Array, what: string): string {
    const { isInvalid, length } = this.#instruction;
    const text = isInvalid ? "(undefined)" : this.#instruction.toString();
    const code = Buffer.from(bytes.subarray(0, isInvalid ? BYTES : length)).toString("hex");
    return `${this.#mode}-bit ${code} ${text}: ${what} (${this.#decoder.ours.names.join(" ")})`;
  }

  #operands(instruction: Instruction, ours: Ours, bytes: Uint8Array): string | undefined {
    return (
      identity(instruction, ours, this.#factsOf(instruction), bytes) ??
      registers(instruction, ours, this.#factsOf(instruction).roles) ??
      this.#memory(instruction, ours) ??
      immediates(instruction, ours)
    );
  }

  #memory(instruction: Instruction, ours: Ours): string | undefined {
    const mode = this.#mode;
    if (ours.string !== undefined) return stringOperands(instruction, ours.string, mode);
    let has = false;
    for (let i = 0; i < instruction.opCount; i++) has ||= EXPLICIT_MEMORY.has(instruction.opKind(i));
    const m = instruction.mnemonic;
    if (!has || NO_ACCESS.has(m)) return undefined;
    if (ours.address === undefined) return "a memory operand, ours has none";
    let expected = this.#offset(instruction);
    if (m !== M.Lea) {
      const s = instruction.memorySegment;
      expected += this.#decoder.values[SLOT.SEGMENTS / 8 + (s - R.ES)]!;
      expected &= mode === 64 ? U64 : U32;
    }
    const bits = m === M.Lea ? (gprOf(instruction.op0Register)?.bits ?? 64) : 64;
    if (BigInt.asUintN(bits, ours.address) !== BigInt.asUintN(bits, expected)) {
      return `address ${expected.toString(16)} for random registers, ours ${ours.address.toString(16)}`;
    }
    const size = MemorySizeExt.size(instruction.memorySize);
    if (mode !== 64 && size > 0 && ours.checkedBytes > 0 && ours.checkedBytes !== size)
      return `${size} bytes of memory, ours ${ours.checkedBytes}`;
    return undefined;
  }

  /** Base + index * scale + displacement, in the address size. */
  #offset(instruction: Instruction): bigint {
    const { values } = this.#decoder;
    const mode = this.#mode;
    const of = (register: number): bigint => {
      if (register === R.AL) return values[0]! & 0xffn;
      const gpr = gprOf(register);
      return gpr === undefined ? 0n : values[gpr.index]!;
    };
    const kind = instruction.opKind(0);
    if (kind === OpKind.MemorySegRDI) return values[7]!;
    if (kind === OpKind.MemorySegEDI) return values[7]! & U32;
    if (kind === OpKind.MemorySegDI) return values[7]! & 0xffffn;
    const base = instruction.memoryBase;
    if (base === R.RIP || base === R.EIP) return instruction.ipRelMemoryAddress;
    const bits =
      gprOf(base)?.bits ??
      gprOf(instruction.memoryIndex)?.bits ??
      ADDRESS_BITS.get(instruction.memoryDisplSize) ??
      mode;
    const sum =
      of(base) +
      of(instruction.memoryIndex) * BigInt(instruction.memoryIndexScale) +
      instruction.memoryDisplacement;
    // POP computes the address with the incremented stack pointer.
    const popped = instruction.mnemonic === M.Pop && gprOf(base)?.index === 4;
    return BigInt.asUintN(bits, sum + (popped ? BigInt(MemorySizeExt.size(instruction.memorySize)) : 0n));
  }
}

const U64 = 0xffff_ffff_ffff_ffffn;
const U32 = 0xffff_ffffn;
const ADDRESS_BITS = new Map([
  [2, 16],
  [4, 32],
  [8, 64],
]);
const MAPS = new Map<number, number>([
  [OpCodeTableKind.Normal, 0],
  [OpCodeTableKind.T0F, 1],
  [OpCodeTableKind.T0F38, 2],
  [OpCodeTableKind.T0F3A, 3],
]);
const MANDATORY = new Map<number, number>([
  [MandatoryPrefix.None, 0],
  [MandatoryPrefix.PNP, 0],
  [MandatoryPrefix.P66, 1],
  [MandatoryPrefix.PF3, 2],
  [MandatoryPrefix.PF2, 3],
]);
const EXPLICIT_MEMORY = new Set<number>([
  OpKind.Memory,
  OpKind.MemorySegRDI,
  OpKind.MemorySegEDI,
  OpKind.MemorySegDI,
]);
/** Hints, whose operand is not touched. */
const NO_ACCESS = new Set<number>([
  M.Nop,
  M.Reservednop,
  M.Prefetchnta,
  M.Prefetcht0,
  M.Prefetcht1,
  M.Prefetcht2,
  M.Prefetch,
  M.Prefetchw,
  M.Prefetchwt1,
]);

/** Which instruction it is. */
function identity(
  instruction: Instruction,
  ours: Ours,
  facts: OpcodeFacts,
  bytes: Uint8Array,
): string | undefined {
  const { vector, x87 } = ours;
  if (vector !== undefined) {
    const same = vector.map === facts.map && vector.opcode === facts.opcode && vector.prefix === facts.prefix;
    return same
      ? undefined
      : `opcode ${facts.map}:${facts.prefix}:${facts.opcode}, ours ${JSON.stringify(vector)}`;
  }
  if (x87 !== undefined) {
    if (instruction.mnemonic === M.Wait) return x87.opcode === 0x9b ? undefined : "FWAIT, ours is not";
    const at = bytes.findIndex(
      (b, i) => i < instruction.length && b >= 0xd8 && b <= 0xdf && bytes[i + 1] === x87.modrm,
    );
    return at >= 0 && bytes[at] === x87.opcode ? undefined : `ours is x87 ${JSON.stringify(x87)}`;
  }
  if (ours.string !== undefined) return undefined; // stringOperands looks at it
  const name = mnemonicName(instruction.mnemonic);
  const condition = conditionOf(name);
  if (condition !== undefined && !ours.immediates.includes(BigInt(condition)))
    return "ours has another condition";
  if (sameInstruction(name, ours.names) || isXchgR8(instruction, bytes)) return undefined;
  return `ours is another instruction`;
}

/**
 * F3 REX.B 90: the reference says PAUSE; processors exchange RAX and R8, as the REX makes it another opcode than 90 (the
 * fuzzer compares it with this machine's).
 */
function isXchgR8(instruction: Instruction, bytes: Uint8Array): boolean {
  const last = instruction.length - 1;
  return instruction.mnemonic === M.Pause && last > 0 && (bytes[last - 1]! & 0xf1) === 0x41;
}

const GPR8 = new Map<number, number>();
for (let i = 0; i < 4; i++) {
  GPR8.set(R.AL + i, 8 * i);
  GPR8.set(R.AH + i, 8 * i + 1);
}
for (let i = R.SPL; i <= R.R15L; i++) GPR8.set(i, 8 * (4 + i - R.SPL));

/** The slot of a general register, or undefined. */
function slotOf(register: number): number | undefined {
  const gpr = gprOf(register);
  return gpr === undefined ? GPR8.get(register) : 8 * gpr.index;
}

/** Operands that the opcode implies: the count of a shift, the port of IN and OUT. */
function isImplied(register: number, role: Role): boolean {
  return role === "other" && (register === R.CL || register === R.DX);
}

function registers(instruction: Instruction, ours: Ours, roles: readonly Role[]): string | undefined {
  if (NO_ACCESS.has(instruction.mnemonic) || ours.string !== undefined || ours.x87 !== undefined)
    return undefined;
  const named = new Set<number>();
  for (let i = 0; i < instruction.opCount; i++) {
    if (instruction.opKind(i) !== OpKind.Register) continue;
    const register = instruction.opRegister(i);
    const slot = slotOf(register);
    const role = roles[i]!;
    if (ours.vector !== undefined) {
      const number = slot === undefined ? vectorNumber(register) : slot >> 3;
      if (number === undefined || role === "other") continue;
      const own = ours.vector[role];
      // REX does not extend MMX registers.
      const mask = register >= R.MM0 && register <= R.MM7 ? 7 : 15;
      if ((own & mask) !== number) return `${role} register ${number}, ours ${own}`;
      continue;
    }
    if (slot === undefined) continue;
    named.add(slot);
    if (ours.fields !== undefined && role !== "other" && instruction.opCount > 1) {
      const own = ours.fields[role];
      if (own !== slot && !ours.registers.has(slot)) return `${role} register slot ${slot}, ours ${own}`;
      continue;
    }
    if (i === 0 && ours.destination !== undefined && ours.destination !== slot)
      return `destination register slot ${slot}, ours ${ours.destination}`;
    if (slot === 0 || isImplied(register, role)) continue;
    if (!ours.registers.has(slot) && !ours.possible.has(slot))
      return `register slot ${slot}, ours ${[...ours.registers, ...ours.possible].join(" ")}`;
  }
  for (const slot of ours.registers)
    if (!named.has(slot) && slot !== 0) return `no operand in slot ${slot}, ours has it`;
  return undefined;
}

function vectorNumber(register: number): number | undefined {
  if (register >= R.XMM0 && register <= R.XMM15) return register - R.XMM0;
  if (register >= R.MM0 && register <= R.MM7) return register - R.MM0;
  return undefined;
}

const IMMEDIATES = new Set<number>([
  OpKind.Immediate8,
  OpKind.Immediate8_2nd,
  OpKind.Immediate16,
  OpKind.Immediate32,
  OpKind.Immediate64,
  OpKind.Immediate8to16,
  OpKind.Immediate8to32,
  OpKind.Immediate8to64,
  OpKind.Immediate32to64,
]);
const BRANCHES = new Set<number>([OpKind.NearBranch16, OpKind.NearBranch32, OpKind.NearBranch64]);
/** Counts and bit numbers of constants are kept modulo the operand's width. */
const COUNTED: ReadonlySet<number> = new Set([...SHIFT_LIKE, ...BIT_TESTS]);

function immediates(instruction: Instruction, ours: Ours): string | undefined {
  const m = instruction.mnemonic;
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    if (BRANCHES.has(kind)) {
      const target = instruction.nearBranchTarget & 0xffff_ffff_ffffn;
      if (ours.targets.includes(target)) continue;
      if (
        ours.targets.length === 0 &&
        ours.immediates.some((v) => BigInt.asUintN(32, v) === BigInt.asUintN(32, target))
      )
        continue;
      if (RELATIVE.has(m) && ours.immediates.some((v) => relative(instruction, v) === target)) continue;
      return `branch to ${target.toString(16)}, ours ${ours.targets.join(" ")} ${ours.immediates.join(" ")}`;
    }
    if (!IMMEDIATES.has(kind)) continue;
    const value = BigInt.asUintN(64, BigInt(instruction.immediate(i)));
    if (COUNTED.has(m) && kind === OpKind.Immediate8) {
      const low = value & 31n;
      if (low === 0n || ours.immediates.some((v) => (v & 31n) === low)) continue;
    }
    const bits =
      kind === OpKind.Immediate64
        ? 64
        : kind === OpKind.Immediate8 || kind === OpKind.Immediate8_2nd
          ? 8
          : 16;
    const wide =
      kind === OpKind.Immediate32 ||
      kind === OpKind.Immediate8to32 ||
      kind === OpKind.Immediate8to64 ||
      kind === OpKind.Immediate32to64;
    const width = wide ? 32 : bits;
    const wanted = BigInt.asUintN(width, value);
    if (ours.immediates.some((v) => BigInt.asUintN(width, v) === wanted)) continue;
    // The nesting level counts modulo 32 (SDM vol. 2A, ENTER).
    if (m === M.Enter && ours.immediates.some((v) => ((v >> 16n) & 31n) === (wanted & 31n))) continue;
    return `constant ${wanted.toString(16)}, ours ${ours.immediates.map((v) => BigInt.asUintN(64, v).toString(16)).join(" ")}`;
  }
  return undefined;
}

/** Branches that keep their displacement. */
const RELATIVE = new Set<number>([M.Loop, M.Loope, M.Loopne, M.Jcxz, M.Jecxz, M.Jrcxz]);

function relative(instruction: Instruction, displacement: bigint): bigint {
  const bits =
    instruction.op0Kind === OpKind.NearBranch16 ? 16 : instruction.op0Kind === OpKind.NearBranch32 ? 32 : 48;
  return BigInt.asUintN(bits, INSTRUCTION_ADDRESS + BigInt(instruction.length) + displacement);
}

const STRING_KINDS: readonly (readonly number[])[] = [
  [M.Movsb, M.Movsw, M.Movsd, M.Movsq],
  [M.Cmpsb, M.Cmpsw, M.Cmpsd, M.Cmpsq],
  [M.Stosb, M.Stosw, M.Stosd, M.Stosq],
  [M.Lodsb, M.Lodsw, M.Lodsd, M.Lodsq],
  [M.Scasb, M.Scasw, M.Scasd, M.Scasq],
];
const ADDRESS_BYTES = new Map<number, number>([
  [OpKind.MemorySegSI, 2],
  [OpKind.MemorySegESI, 4],
  [OpKind.MemorySegRSI, 8],
  [OpKind.MemoryESDI, 2],
  [OpKind.MemoryESEDI, 4],
  [OpKind.MemoryESRDI, 8],
]);
const SOURCES = new Set<number>([OpKind.MemorySegSI, OpKind.MemorySegESI, OpKind.MemorySegRSI]);

function stringOperands(
  instruction: Instruction,
  ours: NonNullable<Ours["string"]>,
  mode: Mode,
): string | undefined {
  const sizes = STRING_KINDS[ours.kind];
  if (sizes?.[Math.log2(ours.bytes)] !== instruction.mnemonic)
    return `ours is string ${ours.kind} of ${ours.bytes}`;
  const repeats = instruction.hasRepePrefix ? 3 : instruction.hasRepnePrefix ? 2 : 0;
  if (ours.repeat !== repeats) return `repeat prefix ${repeats}, ours ${ours.repeat}`;
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    const bytes = ADDRESS_BYTES.get(kind);
    if (bytes !== undefined && bytes !== ours.addressBytes)
      return `addresses of ${bytes}, ours of ${ours.addressBytes}`;
    const segment = instruction.memorySegment - R.ES;
    if (SOURCES.has(kind) && (mode !== 64 || segment >= 4) && segment !== ours.segment)
      return `segment ${segment}, ours ${ours.segment}`;
  }
  return undefined;
}

/** Every form of the encoding table under random prefixes and operands, `each` times. */
export function* formsUnderPrefixes(mode: Mode, seed: number, each: number): Generator<Uint8Array> {
  const r = new Random(seed);
  for (const form of enumerateForms(mode === 64 ? 64 : 32)) {
    for (let i = 0; i < each; i++) {
      const bytes = new Uint8Array(BYTES);
      r.fill(bytes);
      let n = 0;
      if (form.mandatory !== 0) bytes[n++] = form.mandatory;
      if (r.chance(0.3)) bytes[n++] = r.pick(PREFIXES);
      if (mode === 64 && (form.rexW || r.chance(0.3))) bytes[n++] = 0x40 | (form.rexW ? 8 : 0) | r.below(8);
      for (const o of form.opcode) bytes[n++] = o;
      if (form.modrm.length > 0)
        bytes[n] = form.memory ? r.pick(form.modrm) | (r.below(3) << 6) | r.below(8) : r.pick(form.modrm);
      yield bytes;
    }
  }
}

/** Random strings of 16 bytes; the same array each time. */
export function* randomBytes(seed: number, count: number): Generator<Uint8Array> {
  const r = new Random(seed);
  const bytes = new Uint8Array(BYTES);
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < 4; j++) words[j] = r.u32();
    // Escapes are rarer in uniform bytes than they deserve.
    if (r.chance(0.3)) bytes[r.below(2)] = 0x0f;
    yield bytes;
  }
}
