// Makes cases: picks a form of the encoding table, dresses it in prefixes, registers and addressing, asks the reference
// decoder what came out, and then arranges registers and memory so that the instruction has something to do.

import iced, { type Instruction } from "iced-x86";
import type { Ignore, Patch, Template } from "./case.ts";
import { type Decoded, Encoder, EXTRA_PREFIXES } from "./encoder.ts";
import { enumerateForms, type Form } from "./encodings.ts";
import {
  APPROXIMATE_XMM,
  addressDependsOnModel,
  BIT_TESTS,
  COMPARES_STRINGS,
  DIVISIONS,
  isUndefinedOnSomeModels,
  leadsIntoItself,
  mnemonicName,
  movesToSegment,
  operandBytes,
  POPS_ALL,
  RETURNS_FAR,
  SHIFT_LIKE,
  STRINGS,
  skipOnModel,
  TRANSCENDENTAL,
} from "./instruction-kinds.ts";
import { CODE, DATA, LOW, PAGE_BYTES, regionOf, STACK, STACK_END } from "./layout.ts";
import { type Group, isComparable } from "./offered.ts";
import { aimOperand, gprOf, hasExplicitMemory, operandAddress, segmentBase } from "./operands.ts";
import { nastyF32, nastyF64, nastyF80, nastyInteger, nastyVector, Random } from "./random.ts";
import { isSimple, makeRun } from "./runs.ts";
import { startState } from "./start-state.ts";
import { FLAG, SELECTOR, type State } from "./state.ts";
import { destinationUndefined, undefinedFlags } from "./undefined-flags.ts";

const {
  Decoder,
  DecoderOptions,
  FlowControl,
  Instruction: IcedInstruction,
  Mnemonic: M,
  OpKind,
  Register: R,
} = iced;

/** Anything larger is read or written in several parts. */
const LARGEST_SIMPLE_OPERAND = 16;
const U64 = 0xffff_ffff_ffff_ffffn;
/** How many cases are encodings that mean nothing. */
const UNDEFINED_SHARE = 0.01;
const RUN_SHARE = 0.3;
/** General registers as bits. */
const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [1, 2, 4, 8, 16, 32, 64, 128] as const;
/** Outside 64-bit mode; FS and GS are null. */
const READABLE_SEGMENTS = new Set<number>([R.DS, R.ES, R.SS, R.CS]);
const WRITABLE_SEGMENTS = new Set<number>([R.DS, R.ES, R.SS]);
const MAX_INSTRUCTION_BYTES = 15;
/** VEX, EVEX and XOP: extensions that the oracle has and the core does not. */
const VEX_LIKE = new Set([0xc4, 0xc5, 0x62, 0x8f]);

export interface GeneratorOptions {
  readonly mode: 32 | 64;
  readonly seed: number;
  /** Names of groups ("sse2") or mnemonics ("imul"); empty for all. */
  readonly only: readonly string[];
  /** Groups to leave out. */
  readonly without?: readonly Group[];
}

export class Generator {
  readonly #options: GeneratorOptions;
  readonly #forms: readonly Form[];
  readonly #simple: readonly Form[];
  readonly #simpleInteger: readonly Form[];
  readonly #r: Random;
  readonly #encoder: Encoder;
  readonly #instruction = new IcedInstruction();
  /** Offered codes of which the oracle cannot be the judge; offered.ts and instruction-kinds.ts say why. */
  readonly leftOut: ReadonlySet<number>;
  /** How often each iced Code was generated. */
  readonly hits = new Map<number, number>();

  constructor(options: GeneratorOptions) {
    this.#options = options;
    this.#r = new Random(options.seed, options.mode);
    this.#encoder = new Encoder(options.mode);
    const { mode, only } = options;
    const without = new Set<string>(options.without ?? []);
    const probe = new Random(1);
    const forms: Form[] = [];
    const leftOut = new Set<number>();
    const simple: Form[] = [];
    const simpleInteger: Form[] = [];
    for (const form of enumerateForms(mode)) {
      this.#encoder.write(form, probe, true);
      const decoded = this.#encoder.decode();
      if (decoded === undefined) continue;
      const { instruction, group } = decoded;
      decoded.offsets.free();
      const wanted = this.#isWanted(decoded) && !without.has(group);
      if (!wanted) continue;
      if (!isComparable(instruction) || skipOnModel(instruction, this.#encoder.bytes, mode)) {
        leftOut.add(form.code);
        continue;
      }
      forms.push(form);
      if (!isSimple(form, decoded)) continue;
      simple.push(form);
      if (group === "integer") simpleInteger.push(form);
    }
    if (forms.length === 0) throw new Error(`no instruction matches --only ${only.join(" ")}`);
    for (const form of forms) leftOut.delete(form.code);
    this.leftOut = leftOut;
    this.#forms = forms;
    this.#simple = simple;
    this.#simpleInteger = simpleInteger;
  }

  /** Distinct instruction codes among the forms. */
  get codes(): number {
    return this.allCodes.size;
  }

  /** Instruction codes that singles are made of. */
  get allCodes(): ReadonlySet<number> {
    return new Set(this.#forms.map((f) => f.code));
  }

  /** The next case: one instruction, or a run of some. */
  next(): Template {
    const r = this.#r;
    if (this.#options.only.length === 0 && r.chance(UNDEFINED_SHARE)) return this.#undefined();
    if (this.#simple.length > 0 && r.chance(RUN_SHARE)) {
      const vector = this.#simple.length > this.#simpleInteger.length;
      const integer = this.#simpleInteger.length > 0 && (!vector || r.chance(0.6));
      const pool = integer ? this.#simpleInteger : this.#simple;
      return makeRun(r, this.#encoder, pool, integer ? "integer" : "x87", (d) => this.#isWanted(d));
    }
    for (;;) {
      const made = this.#single();
      if (made !== undefined) return made;
    }
  }

  /** Where the code goes: anywhere, often across the page line, sometimes so that nothing mapped follows it. */
  #codeAddress(length: number): number {
    const r = this.#r;
    const choice = r.below(20);
    if (choice === 0) return CODE + PAGE_BYTES - 1 - r.below(length);
    if (choice === 1) return CODE + 2 * PAGE_BYTES - length;
    return CODE + 0x200 + r.below(0xc00);
  }

  #single(): Template | undefined {
    const r = this.#r;
    const { mode } = this.#options;
    this.#encoder.write(r.pick(this.#forms), r, false);
    const decoded = this.#encoder.decode();
    if (decoded === undefined) return undefined;
    const { instruction, offsets, group } = decoded;
    try {
      if (!isComparable(instruction) || skipOnModel(instruction, this.#encoder.bytes, mode)) return undefined;
      if (!this.#isWanted(decoded)) return undefined;
      const code = this.#encoder.bytes.slice(0, instruction.length);
      // No further than the stack goes.
      if (instruction.mnemonic === M.Retf && offsets.immediateSize === 2)
        code[offsets.immediateOffset + 1]! &= 3;
      const state = startState(r, mode, group);
      const at = this.#codeAddress(code.length);
      state.rip = BigInt(at);
      const patches: Patch[] = [];
      const before = state.clone();
      const ignore = this.#arrange(decoded, code, state, patches);
      if (ignore === undefined) return undefined;
      patches.unshift({ address: at, bytes: code });
      this.hits.set(instruction.code, (this.hits.get(instruction.code) ?? 0) + 1);
      return {
        text: "",
        mode,
        state,
        patches,
        instructions: 1,
        ignore,
        code: instruction.code,
        group,
        pinned: pinnedRegisters(instruction, before, state),
        fixed: instruction.mnemonic === M.Maskmovdqu || instruction.mnemonic === M.Maskmovq,
      };
    } finally {
      offsets.free();
    }
  }

  #isWanted(d: Decoded): boolean {
    const { only } = this.#options;
    if (only.length === 0) return true;
    return only.includes(d.group) || only.includes(mnemonicName(d.instruction.mnemonic));
  }

  /** An encoding of the legacy maps that no processor defines: #UD. */
  #undefined(): Template {
    const r = this.#r;
    const { mode } = this.#options;
    const bytes = new Uint8Array(MAX_INSTRUCTION_BYTES);
    for (;;) {
      r.fill(bytes);
      let n = 0;
      if (r.chance(0.3)) bytes[n++] = r.pick(EXTRA_PREFIXES);
      if (mode === 64 && r.chance(0.3)) bytes[n++] = 0x40 | r.below(16);
      const map = r.below(10);
      if (map < 5) bytes[n] = 0xd8 + r.below(8);
      else if (map < 9) bytes[n++] = 0x0f;
      if (map === 7) bytes[n++] = 0x38;
      if (map === 8) bytes[n++] = 0x3a;
      if (map === 9 && VEX_LIKE.has(bytes[n]!)) continue;
      const decoder = new Decoder(mode, bytes, DecoderOptions.None);
      decoder.decodeOut(this.#instruction);
      decoder.free();
      if (!this.#instruction.isInvalid || isUndefinedOnSomeModels(bytes)) continue;
      const state = startState(r, mode, "integer");
      const at = this.#codeAddress(bytes.length);
      state.rip = BigInt(at);
      // Whole in mapped memory: the fetch must not fault before the encoding is complete.
      if (at + bytes.length > CODE + 2 * PAGE_BYTES) continue;
      const text = `undefined ${Buffer.from(bytes).toString("hex")}`;
      return {
        text,
        mode,
        state,
        patches: [{ address: at, bytes: bytes.slice() }],
        instructions: 1,
        ignore: {},
        code: undefined,
        group: "integer",
        pinned: 0,
        fixed: false,
      };
    }
  }

  /** Sets registers and memory up for one instruction; undefined if it cannot be a case. */
  #arrange(d: Decoded, code: Uint8Array, state: State, patches: Patch[]): Ignore | undefined {
    const r = this.#r;
    const { mode } = this.#options;
    const { instruction, offsets } = d;
    const m = instruction.mnemonic;
    const poke = (address: bigint, bytes: Uint8Array): void => pokeWhereMapped(patches, address, bytes);

    if (instruction.isStackInstruction || m === M.Ret || m === M.Retf)
      this.#arrangeStack(instruction, state, patches);
    if (STRINGS.has(m)) this.#arrangeString(instruction, state);
    if (m === M.Maskmovq || m === M.Maskmovdqu) this.#arrangeMaskedMove(instruction, state);
    if (DIVISIONS.has(m) && r.chance(0.7)) {
      state.setGpr(
        2,
        r.chance(0.6) ? 0n : r.chance(0.5) ? U64 & (mode === 64 ? U64 : 0xffffffffn) : BigInt(r.below(4)),
      );
      if (r.chance(0.5)) state.setGpr(0, state.gpr(0) & 0xff00_00ffn);
    }
    if (movesToSegment(instruction)) {
      for (let i = 0; i < 16; i++)
        if (i !== 4) state.setGpr(i, (state.gpr(i) & ~0xffffn & U64) | BigInt(this.#selector()));
      if (mode === 32) for (let i = 8; i < 16; i++) state.setGpr(i, 0n);
    }
    if (BIT_TESTS.has(m) && instruction.op1Kind === OpKind.Register && r.chance(0.85)) {
      const bits = gprOf(instruction.op1Register);
      if (bits !== undefined) {
        const offset = BigInt(r.below(4000) - 2000);
        state.setGpr(
          bits.index,
          BigInt.asUintN(bits.bits, offset) | (state.gpr(bits.index) & (U64 << BigInt(bits.bits)) & U64),
        );
      }
    }

    let address: bigint | undefined;
    if (hasExplicitMemory(instruction)) {
      const size = operandBytes(instruction);
      address = aimOperand(
        instruction,
        offsets,
        code,
        state,
        mode,
        operandAddress(r, size, d.group.startsWith("sse") || size > 16),
      );
      if (m !== M.Lea && r.chance(0.85)) poke(address, this.#operandContents(d, size, state));
      if ((m === M.Cmpxchg || m === M.Cmpxchg8b || m === M.Cmpxchg16b) && r.chance(0.5))
        poke(address, accumulator(m, state));
    }
    if (m === M.Maskmovq && mode === 32 && !WRITABLE_SEGMENTS.has(instruction.memorySegment))
      return undefined;
    if (instruction.flowControl === FlowControl.IndirectCall && gprOf(instruction.memoryBase)?.index === 4)
      return undefined;
    if (address !== undefined && addressDependsOnModel(instruction, state, mode, address)) return undefined;
    if (leadsIntoItself(instruction)) return undefined;
    return this.#ignored(instruction, state, address);
  }

  #selector(): number {
    const r = this.#r;
    return r.pick([
      0,
      1,
      3,
      SELECTOR.USER_DS,
      SELECTOR.USER_DS,
      SELECTOR.USER_CS,
      SELECTOR.USER32_CS,
      0x28,
      0x10,
      0x1b,
      r.u32() & 0xffff,
    ]);
  }

  #arrangeStack(instruction: Instruction, state: State, patches: Patch[]): void {
    const r = this.#r;
    const m = instruction.mnemonic;
    // Which of two faults comes first, the stack's or the target's, differs between models.
    // And so does what POPA has popped when it faults.
    const inside =
      RETURNS_FAR.has(m) || POPS_ALL.has(m) || instruction.flowControl === FlowControl.IndirectCall;
    const choice = inside ? 0 : r.below(20);
    const sp =
      choice < 15
        ? STACK + 0x800 + r.below(0x1000)
        : choice < 17
          ? STACK + r.below(12)
          : choice < 19
            ? STACK_END - r.below(12)
            : undefined;
    if (sp !== undefined) state.setGpr(4, BigInt(sp));
    if (m === M.Leave || m === M.Enter) {
      if (r.chance(0.8)) state.setGpr(5, BigInt(STACK + 0x400 + r.below(0x1000)));
    }
    if (sp === undefined) return;
    const top = new Uint8Array(16);
    const view = new DataView(top.buffer);
    if (m === M.Ret || RETURNS_FAR.has(m)) {
      if (m === M.Ret && r.chance(0.15)) return;
      const target = BigInt(CODE + 0x100 + r.below(0x80));
      if (m === M.Ret) view.setBigUint64(0, target, true);
      else {
        const slot = instruction.opCode.operandSize / 8;
        view.setBigUint64(0, target, true);
        // Not into compatibility mode: what follows there is another case's business.
        view.setUint16(
          slot,
          r.pick([SELECTOR.USER_CS, SELECTOR.USER_CS, SELECTOR.USER_DS, 0, r.u32() & 0xffff]),
          true,
        );
      }
      pokeWhereMapped(patches, BigInt(sp), top);
    } else if (m === M.Popf || m === M.Popfd || m === M.Popfq) {
      // Without TF: a trap behind the next instruction is the system-mode suite's.
      view.setUint32(0, (r.u32() & 0x3f7fd7 & ~FLAG.TF) >>> 0, true);
      pokeWhereMapped(patches, BigInt(sp), top);
    } else if (
      m === M.Pop &&
      instruction.op0Kind === OpKind.Register &&
      gprOf(instruction.op0Register) === undefined
    ) {
      view.setBigUint64(0, nastyInteger(r), true);
      view.setUint16(0, this.#selector(), true);
      pokeWhereMapped(patches, BigInt(sp), top);
    } else if (r.chance(0.5)) {
      view.setBigUint64(0, nastyInteger(r), true);
      pokeWhereMapped(patches, BigInt(sp), top);
    }
  }

  #arrangeString(instruction: Instruction, state: State): void {
    const r = this.#r;
    const { mode } = this.#options;
    const garbage = mode === 64 && r.chance(0.3) ? r.u64() & 0xffff_ffff_0000_0000n : 0n;
    const short =
      instruction.opKind(0) === OpKind.MemoryESEDI || instruction.opKind(1) === OpKind.MemorySegESI;
    const high = short ? garbage : 0n;
    const near = operandAddress(r, 8, false);
    const put = (i: number, v: bigint): void =>
      state.setGpr(i, mode === 64 ? (v | high) & U64 : v & 0xffffffffn);
    const sixteen =
      instruction.opKind(0) === OpKind.MemorySegSI || instruction.opKind(1) === OpKind.MemorySegSI;
    const safe = BigInt((sixteen ? LOW : DATA + 0x1000) + 0x800 + r.below(0x400));
    // Of two operands that both fault, models differ in which they look at first.
    const sourceFaults = mode === 32 && !READABLE_SEGMENTS.has(instruction.memorySegment);
    const one = COMPARES_STRINGS.has(instruction.mnemonic) ? (sourceFaults ? 1 : r.below(2)) : -1;
    if (r.chance(0.97)) put(6, one === 0 ? safe : operandAddress(r, 8, false));
    if (r.chance(0.97))
      put(7, r.chance(0.2) && one < 0 ? (state.gpr(6) + BigInt(r.below(24) - 12)) & U64 : near);
    if (one === 0) put(6, (safe - (mode === 64 ? segmentBase(instruction, state) : 0n)) & U64);
    if (one === 1) put(7, safe);
    put(1, one >= 0 || r.chance(0.95) ? BigInt(r.below(24)) : BigInt(r.below(0x3000)));
    if (r.chance(0.3))
      state.setGpr(0, (BigInt(r.below(256)) * 0x0101_0101_0101_0101n) & (mode === 64 ? U64 : 0xffffffffn));
  }

  /** Whether bytes that are masked out can fault is the model's choice, so no byte is where one could. */
  #arrangeMaskedMove(instruction: Instruction, state: State): void {
    const r = this.#r;
    const { mode } = this.#options;
    // MASKMOVQ may have entered MMX state when it faults.
    if (instruction.mnemonic === M.Maskmovq || r.chance(0.7)) {
      const sixteen = instruction.op0Kind === OpKind.MemorySegDI;
      state.setGpr(7, BigInt(sixteen ? LOW + 0x100 + r.below(0x1000) : DATA + 0x800 + r.below(0x2000)));
      return;
    }
    const target = operandAddress(r, 16, false);
    state.setGpr(7, mode === 64 ? target : target & 0xffffffffn);
    const mask = state.xmm(instruction.op2Register - R.XMM0);
    for (let i = 0; i < mask.length; i++) mask[i]! |= 0x80;
  }

  /** Something for the instruction to read: of the operand's own type as often as not. */
  #operandContents(d: Decoded, size: number, state: State): Uint8Array {
    const r = this.#r;
    const m = d.instruction.mnemonic;
    const bytes = new Uint8Array(Math.max(16, size));
    const view = new DataView(bytes.buffer);
    if (m === M.Fxrstor || m === M.Fxrstor64) {
      bytes.set(state.bytes.subarray(176, 176 + 464));
      if (r.chance(0.2)) view.setUint32(24, r.u32() & (r.chance(0.5) ? 0xffff : 0x1ffff), true);
      return bytes;
    }
    if (m === M.Ldmxcsr) {
      view.setUint32(0, r.chance(0.9) ? r.u32() & 0xffff : r.u32() & 0x1ffff, true);
      return bytes.subarray(0, 4);
    }
    if (d.group === "x87") {
      if (m === M.Fbld) {
        for (let i = 0; i < 9; i++) bytes[i] = r.below(10) | (r.below(10) << 4);
        bytes[9] = r.pick([0, 0x80]);
      } else if (size === 10) nastyF80(r, bytes);
      else if (m === M.Fldcw)
        view.setUint16(0, 0x40 | r.below(64) | (r.pick([0, 2, 3]) << 8) | (r.below(4) << 10), true);
      else if (m === M.Fldenv || m === M.Frstor) r.fill(bytes);
      else if (size === 4 && r.chance(0.7)) view.setUint32(0, nastyF32(r), true);
      else if (size === 8 && r.chance(0.7)) view.setBigUint64(0, nastyF64(r), true);
      else view.setBigUint64(0, nastyInteger(r), true);
      return bytes.subarray(0, size);
    }
    if (d.group !== "integer") {
      nastyVector(r, bytes);
      return bytes.subarray(0, Math.max(size, 1));
    }
    for (let i = 0; i + 8 <= bytes.length; i += 8) view.setBigUint64(i, nastyInteger(r), true);
    if (
      d.instruction.flowControl === FlowControl.IndirectBranch ||
      d.instruction.flowControl === FlowControl.IndirectCall
    ) {
      if (r.chance(0.7)) view.setBigUint64(0, BigInt(CODE + 0x80 + r.below(0x80)), true);
    }
    return bytes.subarray(0, Math.max(size, 1));
  }

  #ignored(instruction: Instruction, state: State, address: bigint | undefined): Ignore {
    const m = instruction.mnemonic;
    const cl = Number(state.gpr(1) & 0xffn);
    const flags = undefinedFlags(instruction, cl);
    const ignore: { -readonly [K in keyof Ignore]: Ignore[K] } = {};
    if (flags !== 0) ignore.flags = flags;
    if (destinationUndefined(instruction, cl)) {
      if (instruction.op0Kind === OpKind.Register)
        ignore.registers = 1 << (gprOf(instruction.op0Register)?.index ?? 0);
      else if (address !== undefined) ignore.memory = [[Number(address), 8]];
    }
    if (m === M.Bswap && instruction.opCode.operandSize === 16)
      ignore.registers = 1 << (gprOf(instruction.op0Register)?.index ?? 0);
    if (APPROXIMATE_XMM.has(m)) ignore.approximateXmm = true;
    if (TRANSCENDENTAL.has(m)) ignore.approximateSt = true;
    if (address !== undefined) {
      const a = Number(address);
      const size = operandBytes(instruction);
      if (size > LARGEST_SIMPLE_OPERAND) ignore.cr2Offset = true;
      // Instruction and data pointers, the opcode, MXCSR_MASK and what FXSAVE leaves alone belong to the model.
      if (m === M.Fxsave || m === M.Fxsave64)
        ignore.memory = [
          [a + 6, 18],
          [a + 28, 4],
          [a + 416, 96],
        ];
      else if (m === M.Fnstenv || m === M.Fnsave)
        ignore.memory = size === 28 || size === 108 ? [[a + 12, 16]] : [[a + 6, 8]];
    }
    return ignore;
  }
}

/** Registers that a case depends on to be what it is: what `#arrange` chose, and what makes up an address or a count. */
function pinnedRegisters(instruction: Instruction, before: State, after: State): number {
  let pinned = 0;
  for (let i = 0; i < 16; i++) if (before.gpr(i) !== after.gpr(i)) pinned |= 1 << i;
  const m = instruction.mnemonic;
  for (const register of [instruction.memoryBase, instruction.memoryIndex]) {
    const gpr = gprOf(register);
    if (gpr !== undefined) pinned |= 1 << gpr.index;
  }
  // What is ignored was found for this CL.
  if (SHIFT_LIKE.has(m)) pinned |= RCX;
  if (m === M.Cmpxchg || m === M.Cmpxchg8b || m === M.Cmpxchg16b) pinned |= RAX | RDX;
  if (m === M.Xlatb) pinned |= RAX | RBX;
  if (STRINGS.has(m)) pinned |= RCX | RSI | RDI;
  if (instruction.isStackInstruction || m === M.Ret || m === M.Retf) pinned |= RSP | RBP;
  return pinned;
}

/** What CMPXCHG compares with, as memory. */
function accumulator(mnemonic: number, state: State): Uint8Array {
  const bytes = new Uint8Array(mnemonic === M.Cmpxchg16b ? 16 : 8);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, state.gpr(0), true);
  if (mnemonic === M.Cmpxchg16b) view.setBigUint64(8, state.gpr(2), true);
  if (mnemonic === M.Cmpxchg8b) view.setUint32(4, Number(state.gpr(2) & 0xffffffffn), true);
  return bytes;
}

/** Adds a patch, or the part of it that lies in mapped memory. */
function pokeWhereMapped(patches: Patch[], address: bigint, bytes: Uint8Array): void {
  if (address < 0n || address > 0x1_ffff_ffffn) return;
  const at = Number(address);
  let n = bytes.length;
  while (n > 0 && regionOf(at, n) === undefined) n--;
  if (n > 0) patches.push({ address: at, bytes: bytes.slice(0, n) });
}
