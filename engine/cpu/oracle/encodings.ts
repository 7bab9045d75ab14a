// The encoding table: every opcode of the four legacy maps with every mandatory prefix and every use of ModRM that
// selects another instruction. It is found by asking the reference decoder, not written down: what this walk misses
// does not exist.

import iced from "iced-x86";
import { isOffered } from "./offered.ts";

const { Decoder, DecoderOptions, Instruction } = iced;

/** One instruction form: fixed opcode bytes and the ModRM bytes that select it. */
export interface Form {
  /** iced's Code; distinguishes operand sizes as well. */
  readonly code: number;
  /** Opcode bytes without prefixes, the escape bytes included. */
  readonly opcode: readonly number[];
  /** 0x66, 0xf3, 0xf2 if the form needs it; 0 if not. */
  readonly mandatory: 0 | 0x66 | 0xf3 | 0xf2;
  readonly rexW: boolean;
  /**
   * ModRM bytes of this form: for register operands (mod 3) all of them, for memory operands those with mod 0, rm 0;
   * empty if the form has no ModRM.
   */
  readonly modrm: readonly number[];
  readonly memory: boolean;
}

const MAPS: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const MANDATORY = [0, 0x66, 0xf3, 0xf2] as const;
const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
const TAIL = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x12, 0x34];

function isPrefix(bitness: number, map: readonly number[], op: number): boolean {
  if (map.length === 0) return PREFIXES.has(op) || op === 0x0f || (bitness === 64 && (op & 0xf0) === 0x40);
  return map.length === 1 && (op === 0x38 || op === 0x3a);
}

/** All forms of instructions that the core offers, in a fixed order. */
export function enumerateForms(bitness: 32 | 64): Form[] {
  const found = new Map<string, { form: Form; modrm: number[] }>();
  const buffer = new Uint8Array(24);
  const instruction = new Instruction();
  for (const map of MAPS) {
    for (let op = 0; op < 256; op++) {
      if (isPrefix(bitness, map, op)) continue;
      for (const mandatory of MANDATORY) {
        for (const rexW of bitness === 64 ? [false, true] : [false]) {
          let n = 0;
          if (mandatory !== 0) buffer[n++] = mandatory;
          if (rexW) buffer[n++] = 0x48;
          for (const b of map) buffer[n++] = b;
          buffer[n++] = op;
          buffer.set(TAIL, n + 1);
          for (const modrm of probes()) {
            buffer[n] = modrm;
            const decoder = new Decoder(bitness, buffer, DecoderOptions.None);
            decoder.decodeOut(instruction);
            const offsets = decoder.getConstantOffsets(instruction);
            const hasModrm = usesModrm(instruction.length, n, offsets);
            decoder.free();
            offsets.free();
            if (instruction.isInvalid || !isOffered(instruction)) continue;
            const memory = hasModrm && modrm < 0xc0;
            const key = `${map.length}.${op}.${mandatory}.${rexW}.${instruction.code}.${memory}`;
            const seen = found.get(key);
            if (seen !== undefined) seen.modrm.push(modrm);
            else {
              const list = [modrm];
              const form: Form = {
                code: instruction.code,
                opcode: [...map, op],
                mandatory,
                rexW,
                modrm: hasModrm ? list : [],
                memory,
              };
              found.set(key, { form, modrm: list });
            }
            if (!hasModrm) break;
          }
        }
      }
    }
  }
  instruction.free();
  return [...found.values()].map((f) => f.form);
}

function* probes(): Generator<number> {
  for (let reg = 0; reg < 8; reg++) yield reg << 3;
  for (let modrm = 0xc0; modrm < 0x100; modrm++) yield modrm;
}

interface Offsets {
  readonly immediateOffset: number;
  readonly hasImmediate: boolean;
  readonly displacementOffset: number;
  readonly hasDisplacement: boolean;
}

/** ModRM is what lies between the opcode and the first constant, if anything does. */
function usesModrm(length: number, opcodeEnd: number, o: Offsets): boolean {
  let constants = length;
  if (o.hasImmediate) constants = Math.min(constants, o.immediateOffset);
  if (o.hasDisplacement) constants = Math.min(constants, o.displacementOffset);
  return constants > opcodeEnd;
}
