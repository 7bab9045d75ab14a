// Instructions as bytes: a form of the encoding table dressed in prefixes, registers and constants, and what the reference
// decoder makes of it.

import iced, { type ConstantOffsets, type Instruction } from "iced-x86";
import type { Form } from "./encodings.ts";
import { CODE } from "./layout.ts";
import { type Group, groupOf } from "./offered.ts";
import type { Random } from "./random.ts";

const { Decoder, DecoderOptions, Instruction: IcedInstruction } = iced;

const REX_X = 2;
const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
export const EXTRA_PREFIXES: readonly number[] = [0x66, 0x67, 0xf2, 0xf3, 0xf0, ...SEGMENT_PREFIXES];

/** A decoded instruction and what is known about it before it runs. */
export interface Decoded {
  /** Reused by the next `decode`. */
  readonly instruction: Instruction;
  /** To be freed by the caller. */
  readonly offsets: ConstantOffsets;
  readonly group: Group;
}

export class Encoder {
  readonly mode: 32 | 64;
  readonly bytes = new Uint8Array(32);
  readonly #instruction = new IcedInstruction();

  constructor(mode: 32 | 64) {
    this.mode = mode;
  }

  /** Writes the bytes of a form into bytes (with a tail of constants) and returns the tail's end. */
  write(form: Form, r: Random, plain: boolean): number {
    const b = this.bytes;
    const { mode } = this;
    const prefixes: number[] = [];
    if (form.mandatory !== 0) prefixes.push(form.mandatory);
    if (!plain) {
      if (form.memory && r.chance(0.1)) prefixes.push(r.pick(SEGMENT_PREFIXES));
      if (form.memory && r.chance(0.08)) prefixes.push(0x67);
      if (r.chance(0.05)) prefixes.push(r.pick(EXTRA_PREFIXES));
      if (r.chance(0.02)) prefixes.push(r.pick(EXTRA_PREFIXES));
      if (form.memory && r.chance(0.04)) prefixes.push(0xf0);
      if (prefixes.length > 1 && r.chance(0.5)) prefixes.reverse();
    }
    let n = 0;
    for (const p of prefixes) b[n++] = p;
    if (mode === 64) {
      let rex = form.rexW ? 0x48 : 0;
      if (!plain && r.chance(0.45)) rex |= 0x40 | r.below(8);
      if (rex !== 0) b[n++] = rex;
      // A REX that is not the last prefix is ignored.
      if (!plain && rex !== 0 && r.chance(0.01)) b[n++] = r.pick([0x66, 0x2e, 0x67]);
    }
    for (const o of form.opcode) b[n++] = o;
    if (form.modrm.length > 0) {
      let modrm = r.pick(form.modrm);
      if (form.memory) {
        modrm |= (r.below(3) << 6) | r.below(8);
        b[n++] = modrm;
        b[n++] = r.below(256);
      } else b[n++] = modrm;
    }
    const tail = r.below(4);
    const fill = r.pick([0, 0xff, 0x80, 0x7f]);
    for (let i = n; i < 32; i++) b[i] = tail < 2 ? r.u32() >>> 24 : fill;
    // Small constants of either size, and short branches.
    if (tail === 1) for (let i = n + 1; i < 32; i++) b[i] = b[n]! & 0x80 ? 0xff : 0;
    if (tail === 3) b[n] = r.below(256);
    return 32;
  }

  /** Decodes bytes; undefined if it is no offered instruction. The instruction object is reused by the next call. */
  decode(limit = 32): Decoded | undefined {
    const decoder = new Decoder(this.mode, this.bytes.subarray(0, limit), DecoderOptions.None);
    decoder.ip = BigInt(CODE);
    decoder.decodeOut(this.#instruction);
    const instruction = this.#instruction;
    let decoded: Decoded | undefined;
    if (!instruction.isInvalid) {
      const group = groupOf(instruction);
      if (group !== undefined)
        decoded = { instruction, group, offsets: decoder.getConstantOffsets(instruction) };
    }
    decoder.free();
    return decoded;
  }

  /** Rewrites ModRM and SIB in `bytes`, which hold this memory form, to an address that no register can move. */
  makeAbsolute(form: Form, target: number): void {
    const b = this.bytes;
    let n = 0;
    while (b[n] !== form.opcode[0] || form.opcode.some((o, i) => b[n + i] !== o)) n++;
    if (this.mode === 64 && n > 0 && (b[n - 1]! & 0xf0) === 0x40) b[n - 1]! &= ~REX_X;
    n += form.opcode.length;
    b[n] = (b[n]! & 0x38) | 4; // SIB without base and index: disp32
    b[n + 1] = 0x25;
    new DataView(b.buffer).setInt32(n + 2, target, true);
  }
}
