// Where memory operands go. A random base and index would hit nothing but unmapped memory, so the address is chosen
// first, and then a register or the displacement is set to make the operand land there.

import iced, { type ConstantOffsets, type Instruction } from "iced-x86";
import { CODE, DATA, DATA_END, DATA_READ_ONLY, LOW, PAGE_BYTES, STACK, STACK_END, TOP } from "./layout.ts";
import type { Random } from "./random.ts";
import type { State } from "./state.ts";

const { OpKind, Register: R } = iced;

const U64 = 0xffff_ffff_ffff_ffffn;

/** Index of the general register in the order of encoding, and its width; undefined for RIP, none and others. */
export function gprOf(register: number): { readonly index: number; readonly bits: 16 | 32 | 64 } | undefined {
  if (register >= R.RAX && register <= R.R15) return { index: register - R.RAX, bits: 64 };
  if (register >= R.EAX && register <= R.R15D) return { index: register - R.EAX, bits: 32 };
  if (register >= R.AX && register <= R.R15W) return { index: register - R.AX, bits: 16 };
  return undefined;
}

/** Ends of regions, where an operand can lie half in and half out. */
const EDGES = [DATA, DATA + PAGE_BYTES, DATA_READ_ONLY, DATA_END, STACK, STACK_END, TOP + PAGE_BYTES, LOW];

/** An address for an operand of `bytes` bytes: mostly plain memory, otherwise an edge or a hole. `aligned` for SSE. */
export function operandAddress(r: Random, bytes: number, aligned: boolean): bigint {
  const n = Math.max(bytes, 1);
  const align = (a: number): number => (aligned && !r.chance(0.08) ? a - (a % n) : a);
  const choice = r.below(100);
  if (choice < 62) return BigInt(align(DATA + 0x800 + r.below(0x2000)));
  if (choice < 72)
    return BigInt(align(r.pick([DATA, DATA + PAGE_BYTES, DATA + 2 * PAGE_BYTES]) + r.below(64)));
  if (choice < 86) return BigInt(r.pick(EDGES) - 1 - r.below(n));
  if (choice < 90) return BigInt(align(DATA_READ_ONLY + r.below(0xf00)));
  if (choice < 93) return BigInt(align(LOW + r.below(0x1f00)));
  if (choice < 95) return BigInt(align(TOP + 0x800 + r.below(0x1000)));
  if (choice < 96) return BigInt(align(CODE + 0x40 + r.below(64)));
  return r.pick([
    0n,
    8n,
    0x1000n,
    0x7fff_ffff_fff8n,
    0x8000_0000_0000n,
    0xffff_8000_0000_0000n,
    U64 - 3n,
    0x7fff_ffff_ffff_fff8n,
    0xffff_7fff_ffff_ffffn,
    BigInt(DATA_END + r.below(64)),
  ]);
}

function sizeOfAddress(instruction: Instruction, mode: 32 | 64): 16 | 32 | 64 {
  const named = gprOf(instruction.memoryBase) ?? gprOf(instruction.memoryIndex);
  if (named !== undefined) return named.bits;
  if (instruction.memoryBase === R.EIP) return 32;
  if (instruction.memoryDisplSize === 2) return 16;
  return mode;
}

const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

function signExtend(value: bigint, bits: number): bigint {
  return BigInt.asIntN(bits, value);
}

/** The base of the segment an explicit memory operand uses; in 64-bit mode only FS and GS have one. */
export function segmentBase(instruction: Instruction, state: State): bigint {
  if (instruction.memorySegment === R.FS) return state.u64[18]!;
  if (instruction.memorySegment === R.GS) return state.u64[19]!;
  return 0n;
}

/** Writes `bytes` little-endian bytes of `value` into the code. */
function rewrite(code: Uint8Array, offset: number, bytes: number, value: bigint): void {
  for (let i = 0; i < bytes; i++) code[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

/**
 * Sets a register, or the displacement in `code`, so that the explicit memory operand lies at `target`; where the form
 * cannot reach it, as near as it can. Returns the address it has then.
 */
export function aimOperand(
  instruction: Instruction,
  offsets: ConstantOffsets,
  code: Uint8Array,
  state: State,
  mode: 32 | 64,
  target: bigint,
): bigint {
  const bits = sizeOfAddress(instruction, mode);
  const segment = mode === 64 ? segmentBase(instruction, state) : 0n;
  const wanted = (target - segment) & mask(bits);
  const base = gprOf(instruction.memoryBase);
  const index = gprOf(instruction.memoryIndex);
  const ripRelative = instruction.memoryBase === R.RIP || instruction.memoryBase === R.EIP;
  if (base === undefined && index === undefined) {
    const bytes = offsets.displacementSize;
    if (ripRelative)
      rewrite(code, offsets.displacementOffset, bytes, wanted - (state.rip + BigInt(code.length)));
    else rewrite(code, offsets.displacementOffset, bytes, wanted);
  } else {
    const displacement = ripRelative ? 0n : instruction.memoryDisplacement;
    const scale = BigInt(instruction.memoryIndexScale);
    if (base !== undefined && base.index !== index?.index) {
      const other = index === undefined ? 0n : (state.gpr(index.index) & mask(bits)) * scale;
      setLow(state, base.index, bits, wanted - displacement - other);
    } else if (index !== undefined) {
      const factor = base === undefined ? scale : scale + 1n;
      setLow(state, index.index, bits, ((wanted - displacement) & mask(bits)) / factor);
    }
  }
  return (effectiveAddress(instruction, offsets, code, state, bits) + segment) & U64;
}

function setLow(state: State, register: number, bits: number, value: bigint): void {
  state.setGpr(register, (state.gpr(register) & ~mask(bits) & U64) | (value & mask(bits)));
}

function effectiveAddress(
  instruction: Instruction,
  offsets: ConstantOffsets,
  code: Uint8Array,
  state: State,
  bits: number,
): bigint {
  const base = gprOf(instruction.memoryBase);
  const index = gprOf(instruction.memoryIndex);
  let sum = 0n;
  let displacement = 0n;
  for (let i = offsets.displacementSize - 1; i >= 0; i--) {
    displacement = (displacement << 8n) | BigInt(code[offsets.displacementOffset + i]!);
  }
  sum += signExtend(displacement, 8 * offsets.displacementSize || 8);
  if (instruction.memoryBase === R.RIP || instruction.memoryBase === R.EIP)
    sum += state.rip + BigInt(code.length);
  if (base !== undefined) sum += state.gpr(base.index);
  if (index !== undefined) sum += state.gpr(index.index) * BigInt(instruction.memoryIndexScale);
  return sum & mask(bits);
}

/** True if some operand of the instruction is explicit memory (ModRM, moffs or XLAT). */
export function hasExplicitMemory(instruction: Instruction): boolean {
  for (let i = 0; i < instruction.opCount; i++) if (instruction.opKind(i) === OpKind.Memory) return true;
  return false;
}
