// What the generator has to know about an instruction before it runs, from the reference decoder's view of it.

import iced, { type Instruction } from "iced-x86";
import { CODE } from "./layout.ts";
import { segmentBase } from "./operands.ts";
import { FLAG, type State } from "./state.ts";

const { FlowControl, MemorySizeExt, Mnemonic: M, OpKind, Register: R } = iced;

const MNEMONIC_NAMES = new Map<number, string>(
  Object.entries(M)
    .filter((e): e is [string, number] => typeof e[1] === "number")
    .map(([name, value]) => [value, name.toLowerCase()]),
);

export function mnemonicName(mnemonic: number): string {
  return MNEMONIC_NAMES.get(mnemonic) ?? `mnemonic ${mnemonic}`;
}

export const STRINGS = new Set<number>([
  M.Movsb,
  M.Movsw,
  M.Movsd,
  M.Movsq,
  M.Cmpsb,
  M.Cmpsw,
  M.Cmpsd,
  M.Cmpsq,
  M.Stosb,
  M.Stosw,
  M.Stosd,
  M.Stosq,
  M.Lodsb,
  M.Lodsw,
  M.Lodsd,
  M.Lodsq,
  M.Scasb,
  M.Scasw,
  M.Scasd,
  M.Scasq,
]);
export const POPS_ALL = new Set<number>([M.Popa, M.Popad]);
export const COMPARES_STRINGS = new Set<number>([M.Cmpsb, M.Cmpsw, M.Cmpsd, M.Cmpsq]);
export const BIT_TESTS = new Set<number>([M.Bt, M.Bts, M.Btr, M.Btc]);
export const DIVISIONS = new Set<number>([M.Div, M.Idiv]);
export const RETURNS_FAR = new Set<number>([M.Retf]);
export const APPROXIMATE_XMM = new Set<number>([M.Rcpps, M.Rcpss, M.Rsqrtps, M.Rsqrtss]);
export const TRANSCENDENTAL = new Set<number>([
  M.F2xm1,
  M.Fyl2x,
  M.Fyl2xp1,
  M.Fptan,
  M.Fpatan,
  M.Fsin,
  M.Fcos,
  M.Fsincos,
]);

/** Flags that Jcc, SETcc and CMOVcc read, by condition code / 2. */
export const CONDITION_READS = [
  FLAG.OF,
  FLAG.CF,
  FLAG.ZF,
  FLAG.CF | FLAG.ZF,
  FLAG.SF,
  FLAG.PF,
  FLAG.SF | FLAG.OF,
  FLAG.SF | FLAG.OF | FLAG.ZF,
] as const;

/** They leave all flags alone when the count is 0, so they do not end an earlier undefinedness. */
export const SHIFT_LIKE = new Set<number>([
  M.Shl,
  M.Sal,
  M.Shr,
  M.Sar,
  M.Rol,
  M.Ror,
  M.Rcl,
  M.Rcr,
  M.Shld,
  M.Shrd,
]);

export function touchesStackPointer(instruction: Instruction): boolean {
  for (let i = 0; i < instruction.opCount; i++) {
    if (instruction.opKind(i) !== OpKind.Register) continue;
    const register = instruction.opRegister(i);
    if (register === R.RSP || register === R.ESP || register === R.SP || register === R.SPL) return true;
  }
  return false;
}

export function movesToSegment(instruction: Instruction): boolean {
  const m = instruction.mnemonic;
  if (m === M.Lfs || m === M.Lgs || m === M.Lss || m === M.Les || m === M.Lds) return true;
  if (m !== M.Mov && m !== M.Pop) return false;
  return (
    instruction.op0Kind === OpKind.Register &&
    instruction.op0Register >= R.ES &&
    instruction.op0Register <= R.GS
  );
}

const NEAR_BRANCHES = new Set<number>([
  FlowControl.UnconditionalBranch,
  FlowControl.ConditionalBranch,
  FlowControl.Call,
  FlowControl.IndirectBranch,
  FlowControl.IndirectCall,
  FlowControl.Return,
]);

const FAR_POINTERS = new Set<number>([M.Lfs, M.Lgs, M.Lss]);

/**
 * True for encodings that processor makers treat differently, so that one oracle cannot judge them; the core follows
 * Intel's manual.
 */
export function skipOnModel(instruction: Instruction, bytes: Uint8Array, mode: 32 | 64): boolean {
  const prefixes = prefixesOf(bytes, mode);
  const m = instruction.mnemonic;
  if (mode === 64) {
    // Near branches with an operand-size prefix: Intel ignores the prefix, AMD branches to a 16-bit address (APM vol. 3,
    // "Near branches").
    const far = loadsFarPointer(instruction) || m === M.Retf;
    if (!far && NEAR_BRANCHES.has(instruction.flowControl) && prefixes.legacy.has(0x66)) return true;
    // Far pointers of 10 bytes: AMD ignores REX.W here (APM vol. 3, CALL far, LFS).
    if ((loadsFarPointer(instruction) || FAR_POINTERS.has(m)) && prefixes.rexW) return true;
    // Intel reads a word, AMD a doubleword (APM vol. 3, MOVSXD).
    if (m === M.Movsxd && instruction.op1Kind === OpKind.Memory && prefixes.legacy.has(0x66)) return true;
  }
  // 0F 0D with a register: a reserved NOP to Intel, undefined to AMD (SDM vol. 2D table A-3; APM vol. 3 table A-2).
  if (m === M.Nop && instruction.opCode.opCode === 0x0d) return true;
  // #UD on Intel, #GP on AMD (SDM vol. 2B SYSRET; APM vol. 3 SYSRET).
  if (mode === 32 && (m === M.Sysret || m === M.Sysretq)) return true;
  // AMD lets a repeat prefix choose between LOOPE and LOOPNE; by SDM vol. 2 4.1 it is reserved there.
  if ((m === M.Loope || m === M.Loopne) && (prefixes.legacy.has(0xf2) || prefixes.legacy.has(0xf3)))
    return true;
  return false;
}

function loadsFarPointer(instruction: Instruction): boolean {
  return instruction.isCallFarIndirect || instruction.isJmpFarIndirect;
}

const LEGACY_PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

function prefixesOf(
  bytes: Uint8Array,
  mode: 32 | 64,
): { readonly legacy: ReadonlySet<number>; readonly rexW: boolean } {
  const legacy = new Set<number>();
  let rexW = false;
  for (const b of bytes) {
    if (LEGACY_PREFIXES.has(b)) {
      legacy.add(b);
      rexW = false;
    } else if (mode === 64 && (b & 0xf0) === 0x40) rexW = (b & 8) !== 0;
    else break;
  }
  return { legacy, rexW };
}

/**
 * Instructions of virtualization with whatever prefix, and LOCK where it does not belong, but is not plainly #UD: LOCK MOV to
 * and from CR0 is CR8 on AMD (APM vol. 3, MOV CRn), and its VERR and VERW look at the operand first.
 */
export function isUndefinedOnSomeModels(bytes: Uint8Array): boolean {
  const escape0f = bytes.indexOf(0x0f);
  const opcode = bytes[escape0f + 1];
  if (opcode === 0x01 && VIRTUALIZATION.has(bytes[escape0f + 2] ?? 0)) return true;
  if (!bytes.subarray(0, escape0f).includes(0xf0)) return false;
  return opcode === 0x00 || opcode === 0x20 || opcode === 0x22;
}

/** ModRM bytes of VMCALL and of SVM's group: a hypervisor that took #UD for itself answers them as it likes, prefixes or not. */
const VIRTUALIZATION = new Set([0xc1, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf]);

const SIXTY_FOUR_KIB = 1n << 16n;
const FOUR_GIB = 1n << 32n;
const TASK_HALF = 1n << 46n; // no bit offset leads from below to where addresses stop being canonical
const X87_PARTS = new Set<number>([M.Fld, M.Fstp, M.Fbld, M.Fbstp, M.Fldenv, M.Fnstenv, M.Frstor, M.Fnsave]);

/** True for addresses whose treatment is the model's. */
export function addressDependsOnModel(
  instruction: Instruction,
  state: State,
  mode: 32 | 64,
  address: bigint,
): boolean {
  const size = BigInt(Math.max(operandBytes(instruction), 1));
  const last = BigInt.asUintN(64, address + size - 1n);
  const parts =
    size > 16n ||
    X87_PARTS.has(instruction.mnemonic) ||
    FAR_POINTERS.has(instruction.mnemonic) ||
    loadsFarPointer(instruction);
  // Whether an operand may wrap at the limit of a 4 GiB segment varies even from one execution to another (SDM vol. 3A
  // 6.3); one that is accessed in parts may wrap at the end of what its address size reaches.
  if (mode === 32) return last >= FOUR_GIB || (parts && address < SIXTY_FOUR_KIB && last >= SIXTY_FOUR_KIB);
  // AMD checks the offset in FS and GS for being canonical, Intel the sum with the base (SDM vol. 1 3.3.7.1).
  const offset = BigInt.asUintN(64, address - segmentBase(instruction, state));
  if (isCanonical(offset) !== isCanonical(address)) return true;
  if (BIT_TESTS.has(instruction.mnemonic) && offset !== address && offset >= TASK_HALF) return true;
  if (parts && offset < FOUR_GIB && offset + size > FOUR_GIB) return true;
  // The parts before the one that is not canonical may fault first.
  if (parts && isCanonical(address) !== isCanonical(last)) return true;
  // Of #GP for alignment and #SS for a non-canonical stack address, none is said to be first.
  return size === 16n && (address & 15n) !== 0n && !isCanonical(address);
}

function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}

/** A branch into its own bytes would run bytes nobody chose, or for ever. */
export function leadsIntoItself(instruction: Instruction): boolean {
  const kind = instruction.op0Kind;
  if (kind !== OpKind.NearBranch64 && kind !== OpKind.NearBranch32 && kind !== OpKind.NearBranch16)
    return false;
  const target = instruction.nearBranchTarget - BigInt(CODE);
  return target >= 0n && target < BigInt(instruction.length);
}

export function operandBytes(instruction: Instruction): number {
  return MemorySizeExt.size(instruction.memorySize);
}
