import { CR0_ADDRESS, CR4_ADDRESS, REGISTERS_ADDRESS, type VectorUnit, WINDOW_ADDRESS } from "./machine.ts";
import { FXSAVE_BYTES, MEMORY_BYTES, type VectorCase, type VectorOutcome } from "./silicon.ts";

const OP = 0x7000;
const IMAGE_OFFSET = 0x800; // of the window: the FXSAVE image that loads and stores a case's registers
const REGISTER_NUMBERS = [0, 1, 2, 8, 9, 7];
const CLASS_MMX = 1;
const VECTOR_UD = 6;
const CR4_OSXMMEXCPT = 0x400;

/** One decoded instruction of a case. */
interface Fields {
  readonly x87: boolean;
  readonly wait: boolean;
  readonly map: number;
  readonly prefix: number;
  readonly opcode: number;
  readonly modrm: number;
  readonly rex: number;
  readonly imm: number;
  readonly operandSize: boolean;
}

/** Reads the encodings the cases use: prefixes, REX, opcode, ModRM of [rbx] or registers, imm8. */
function parse(code: readonly number[]): Fields {
  let i = 0;
  let prefix = 0;
  let operandSize = false;
  for (; ; i++) {
    if (code[i] === 0x66) {
      operandSize = true;
      if (prefix === 0) prefix = 1;
    } else if (code[i] === 0xf3) prefix = 2;
    else if (code[i] === 0xf2) prefix = 3;
    else break;
  }
  let rex = 0;
  if ((code[i]! & 0xf0) === 0x40) rex = code[i++]!;
  let map = 0;
  let opcode = code[i++]!;
  if (opcode === 0x0f) {
    map = 1;
    opcode = code[i++]!;
    if (opcode === 0x38 || opcode === 0x3a) {
      map = opcode === 0x38 ? 2 : 3;
      opcode = code[i++]!;
    }
  }
  return {
    x87: map === 0 && opcode >= 0xd8 && opcode <= 0xdf,
    wait: map === 0 && opcode === 0x9b,
    map,
    prefix,
    opcode,
    modrm: code[i] ?? 0,
    rex,
    imm: code[i + 1] ?? 0,
    operandSize,
  };
}

const CR0_PE = 1;

/** Runs cases on the test build of the vector unit, as the interpreter would. */
export class UnitRunner {
  readonly #unit: VectorUnit;
  readonly #fxrstor: number;
  readonly #fxsave: number;

  constructor(unit: VectorUnit) {
    this.#unit = unit;
    // Protected mode: environments have other forms in real-address mode.
    new DataView(unit.memory.buffer).setUint32(CR0_ADDRESS, CR0_PE, true);
    new DataView(unit.memory.buffer).setUint32(CR4_ADDRESS, CR4_OSXMMEXCPT, true);
    this.#fxsave = unit.decodeVector(1, 0, 0xae, 0x03, 1) & 0xffff;
    this.#fxrstor = unit.decodeVector(1, 0, 0xae, 0x0b, 1) & 0xffff;
  }

  #stateImage(fn: number, reg: number): void {
    const view = new Uint8Array(this.#unit.memory.buffer);
    view.set([0, 0, reg, 3, 1, 0, 1], OP);
    if (!this.#unit.execVector(fn, OP, BigInt(WINDOW_ADDRESS + IMAGE_OFFSET)))
      throw new Error("state image refused");
  }

  run(c: VectorCase): VectorOutcome {
    const bytes = new Uint8Array(this.#unit.memory.buffer);
    const view = new DataView(bytes.buffer);
    const image = WINDOW_ADDRESS + IMAGE_OFFSET;
    bytes.set(c.fx, image);
    this.#stateImage(this.#fxrstor, 1);
    bytes.fill(0, WINDOW_ADDRESS, image);
    bytes.set(c.memory, WINDOW_ADDRESS);
    REGISTER_NUMBERS.forEach((n, i) => {
      view.setBigUint64(REGISTERS_ADDRESS + 8 * n, c.regs[i]!, true);
    });
    view.setBigUint64(REGISTERS_ADDRESS + 8 * 7, 0n, true);
    this.#unit.setArithFlags(Number(c.regs[6]));
    const vector = this.#execute(parse(c.code), bytes, BigInt(WINDOW_ADDRESS + c.offset));
    const memory = bytes.slice(WINDOW_ADDRESS, WINDOW_ADDRESS + MEMORY_BYTES);
    this.#stateImage(this.#fxsave, 0);
    const regs = REGISTER_NUMBERS.map((n) => view.getBigUint64(REGISTERS_ADDRESS + 8 * n, true));
    regs.push(BigInt(this.#unit.getArithFlags()));
    return { vector, regs, fx: bytes.slice(image, image + FXSAVE_BYTES), memory };
  }

  #execute(f: Fields, bytes: Uint8Array, ea: bigint): number {
    const unit = this.#unit;
    const memoryForm = f.modrm >> 6 !== 3;
    const w = (f.rex >> 3) & 1;
    if (f.wait) return unit.x87Wait() ? -1 : unit.exceptionVector();
    if (f.x87) {
      if (!unit.x87Defined(f.opcode, f.modrm)) return VECTOR_UD;
      bytes.set([0, 0, f.opcode, f.modrm, memoryForm ? 1 : 0, f.operandSize ? 1 : 0, w], OP);
      return unit.execX87(OP, ea) ? -1 : unit.exceptionVector();
    }
    const id = unit.decodeVector(f.map, f.prefix, f.opcode, f.modrm, w);
    if (id === 0) return VECTOR_UD;
    const reg = ((f.modrm >> 3) & 7) | ((f.rex & 4) << 1);
    const rm = (f.modrm & 7) | ((f.rex & 1) << 3);
    bytes.set([0, 0, reg, rm, memoryForm ? 1 : 0, f.imm, w], OP);
    if (((id >> 17) & 3) === CLASS_MMX && !unit.x87Wait()) return unit.exceptionVector();
    return unit.execVector(id & 0xffff, OP, ea) ? -1 : unit.exceptionVector();
  }
}
