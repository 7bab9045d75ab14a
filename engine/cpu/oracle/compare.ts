// Says what differs between two outcomes of one case, as far as the manuals say it may not.

import { GPR_NAMES } from "../types.ts";
import type { Case, Outcome, Patch } from "./case.ts";
import {
  FLAG,
  FX,
  FX_FDP,
  FX_FIP,
  FX_FTW,
  FX_MXCSR,
  FX_XMM,
  RFLAGS,
  SEGMENT_NAMES,
  SELECTOR,
  STATE_BYTES,
  type State,
} from "./state.ts";

/** One difference, ready to be printed: what, what the processor did, what our core did. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

export const VECTOR = {
  DE: 0,
  DB: 1,
  BP: 3,
  OF: 4,
  UD: 6,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  XM: 19,
} as const;

const hex = (v: bigint | number): string => `0x${v.toString(16)}`;
const hexBytes = (b: Uint8Array): string => Buffer.from(b).toString("hex");

/** The page-fault bit that Linux forces for addresses at and above TASK_SIZE_MAX (arch/x86/mm/fault.c). */
const PF_PROTECTION = 1;
const TASK_SIZE_MAX = 0x7fff_ffff_f000n;

/** RF is set in the image that a fault saves (SDM vol. 3B 18.3.1.1); the core reports the register, not the image. */
const NEVER_COMPARED = FLAG.RF;

export function compare(c: Case, expected: Outcome, got: Outcome): Difference[] {
  const out: Difference[] = [];
  if (expected.kind === "system-call") return out;
  if (expected.kind !== got.kind) {
    return [{ what: "end", expected: describeEnd(expected), got: describeEnd(got) }];
  }
  if (expected.kind === "endless" || got.kind === "endless") return out;
  if (got.kind !== "exception") return out;
  if (expected.vector !== got.vector) {
    if (isModelsChoice(c, expected, got)) return out;
    return [{ what: "end", expected: describeEnd(expected), got: describeEnd(got) }];
  }
  const regular = expected.vector === VECTOR.BP;
  const add = (what: string, e: string, g: string): void => {
    if (e !== g) out.push({ what, expected: e, got: g });
  };
  const kernelHalf = expected.vector === VECTOR.PF && expected.cr2 >= TASK_SIZE_MAX ? PF_PROTECTION : 0;
  add("error code", hex(expected.error | kernelHalf), hex(got.error | kernelHalf));
  const cr2Bits = c.ignore.cr2Offset === true ? 12n : 0n;
  if (expected.vector === VECTOR.PF) add("cr2", hex(expected.cr2 >> cr2Bits), hex(got.cr2 >> cr2Bits));
  if (!sameState(c, expected.state, got.state, regular))
    compareState(c, expected.state, got.state, regular, add);
  compareMemory(c, expected.changes, got.changes, add);
  return out;
}

type Exception = Outcome & { readonly kind: "exception" };

const isCanonical = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
const refusesAddress = ({ vector }: Exception): boolean => vector === VECTOR.GP || vector === VECTOR.SS;
/** The largest operand in bytes: what may wrap around at the end of the address space. */
const LARGEST_OPERAND = 16n;

/** Different exceptions at the same instruction, of which the manuals allow either. */
function isModelsChoice(c: Case, expected: Exception, got: Exception): boolean {
  if (expected.state.rip !== got.state.rip) return false;
  if (c.mode === 64) {
    // The linear address must be canonical (SDM vol. 1 3.3.7.1). AMD's processors ask it of the offset, too.
    const bases = [got.state.u64[FS_BASE_WORD]!, got.state.u64[GS_BASE_WORD]!];
    return (
      refusesAddress(expected) &&
      got.vector === VECTOR.PF &&
      bases.some((base) => base !== 0n && !isCanonical(BigInt.asUintN(64, got.cr2 - base)))
    );
  }
  // With a limit of 4 GiB an operand that goes beyond may fault or wrap around (SDM vol. 3A 5.3): MASKMOVDQU wraps.
  return expected.vector === VECTOR.PF && expected.cr2 < LARGEST_OPERAND && refusesAddress(got);
}

export function describeEnd(o: Outcome): string {
  if (o.kind !== "exception") return o.kind;
  const cr2 = o.vector === VECTOR.PF ? ` cr2 ${hex(o.cr2)}` : "";
  return `vector ${o.vector} error ${hex(o.error)}${cr2} at rip ${hex(o.state.rip)}`;
}

const FS_BASE_WORD = 18;
const GS_BASE_WORD = 19;

/** Words of a state that say nothing: FIP and FDP, and half of the words with FOP and MXCSR_MASK. */
const FIP_WORD = (FX + FX_FIP) / 8;
const FDP_WORD = (FX + FX_FDP) / 8;
const CONTROL_WORD = FX / 8;
const CONTROL_BITS = 0x0000_00ff_ffff_ffffn; // FCW, FSW, FTW
const MXCSR_WORD = (FX + FX_MXCSR) / 8;
const MXCSR_BITS = 0xffff_ffffn;

/** Equal in everything that can be compared? The quick answer for nearly all cases; "no" is for `compareState` to explain. */
function sameState(c: Case, e: State, g: State, regular: boolean): boolean {
  const ignored = BigInt(flagsNotToCompare(c, e, regular) | NEVER_COMPARED);
  for (let i = 0; i < STATE_BYTES / 8; i++) {
    const difference = e.u64[i]! ^ g.u64[i]!;
    if (difference === 0n || i === FIP_WORD || i === FDP_WORD) continue;
    if (i === RFLAGS / 8 && (difference & ~ignored) === 0n) continue;
    if (i === CONTROL_WORD && (difference & CONTROL_BITS) === 0n) continue;
    if (i === MXCSR_WORD && (difference & MXCSR_BITS) === 0n) continue;
    return false;
  }
  return true;
}

function compareState(
  c: Case,
  e: State,
  g: State,
  regular: boolean,
  add: (what: string, e: string, g: string) => void,
): void {
  const registers = c.ignore.registers ?? 0;
  const gprs = c.mode === 64 ? 16 : 8;
  // Leaving 64-bit mode does not preserve the upper halves (SDM vol. 1 3.4.1.1).
  const bits = e.selector(1) === SELECTOR.USER32_CS ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  for (let i = 0; i < gprs; i++) {
    if ((registers & (1 << i)) === 0) add(GPR_NAMES[i]!, hex(e.gpr(i) & bits), hex(g.gpr(i) & bits));
  }
  add("rip", hex(e.rip), hex(g.rip));
  const flags = flagsNotToCompare(c, e, regular);
  const flagMask = 0x3fffff & ~flags & ~NEVER_COMPARED;
  add("rflags", describeFlags(e.rflags & flagMask), describeFlags(g.rflags & flagMask));
  for (let i = 0; i < 6; i++) add(SEGMENT_NAMES[i]!, hex(knownSelector(e, i)), hex(knownSelector(g, i)));
  if (c.mode === 64) {
    add("fs base", hex(e.u64[FS_BASE_WORD]!), hex(g.u64[FS_BASE_WORD]!));
    add("gs base", hex(e.u64[GS_BASE_WORD]!), hex(g.u64[GS_BASE_WORD]!));
  }
  add("mxcsr", hex(e.mxcsr), hex(g.mxcsr));
  for (let i = 0; i < gprs; i++) {
    if (c.ignore.approximateXmm === true) compareApproximately(i, e.xmm(i), g.xmm(i), add);
    else if (!sameBytes(e.bytes, g.bytes, FX + FX_XMM + 16 * i, 16))
      add(`xmm${i}`, hexVector(e.xmm(i)), hexVector(g.xmm(i)));
  }
  add("fcw", hex(e.fcw), hex(g.fcw));
  // C1 says whether a result was rounded up: it goes with the last bits of a transcendental.
  const fswMask = c.ignore.approximateSt === true ? 0xfdff : 0xffff;
  add("fsw", hex(e.fsw & fswMask), hex(g.fsw & fswMask));
  add("ftw", hex(e.bytes[FX + FX_FTW]!), hex(g.bytes[FX + FX_FTW]!));
  for (let i = 0; i < 8; i++) {
    const a = e.st(i);
    const b = g.st(i);
    if (c.ignore.approximateSt === true && nearlyEqual(a, b)) continue;
    add(`st${i}`, hexVector(a), hexVector(b));
  }
}

/** The kernel below the oracle does not keep the RPL of a null selector across a context switch. */
function knownSelector(s: State, i: number): number {
  const selector = s.selector(i);
  return selector <= 3 ? 0 : selector;
}

/** A fault at the start leaves all flags; one behind it (the fetch of the next instruction) leaves what the code did. */
function flagsNotToCompare(c: Case, end: State, regular: boolean): number {
  const { flags = 0, flagsAtFault } = c.ignore;
  if (regular) return flags;
  return end.rip === c.state.rip ? (flagsAtFault ?? 0) : (flagsAtFault ?? flags);
}

function sameBytes(a: Uint8Array, b: Uint8Array, from: number, n: number): boolean {
  for (let i = from; i < from + n; i++) if (a[i] !== b[i]) return false;
  return true;
}

const hexVector = (b: Uint8Array): string => `0x${Buffer.from(b).reverse().toString("hex")}`;

function describeFlags(f: number): string {
  const names = Object.entries(FLAG)
    .filter(([, bit]) => (f & bit) !== 0)
    .map(([name]) => name);
  return `${hex(f)} [${names.join(" ")}]`;
}

/** The largest relative error of RCPPS and RSQRTPS is 1.5 * 2^-12 (SDM vol. 2B), so two of them differ by twice that. */
const APPROXIMATION_ERROR = 3 * 2 ** -12;

function compareApproximately(
  i: number,
  e: Uint8Array,
  g: Uint8Array,
  add: (what: string, e: string, g: string) => void,
): void {
  const a = new DataView(e.buffer, e.byteOffset, 16);
  const b = new DataView(g.buffer, g.byteOffset, 16);
  for (let lane = 0; lane < 16; lane += 4) {
    if (a.getUint32(lane, true) === b.getUint32(lane, true)) continue;
    const x = a.getFloat32(lane, true);
    const y = b.getFloat32(lane, true);
    if (Number.isFinite(x) && Number.isFinite(y) && Math.abs(x - y) <= APPROXIMATION_ERROR * Math.abs(x))
      continue;
    if (mayBeTiny(x, y) || mayBeTiny(y, x)) continue;
    add(`xmm${i}`, hexVector(e), hexVector(g));
    return;
  }
}

/** 2^-126, with the relative error allowed. */
const SMALLEST_NORMAL = 2 ** -126 * (1 + APPROXIMATION_ERROR);

/**
 * Tiny results of RCPPS are flushed to zero; for operands about 2^126 it is the implementation's choice whether the result
 * is tiny or the smallest normal number (SDM vol. 2B, RCPPS).
 */
function mayBeTiny(zero: number, other: number): boolean {
  return zero === 0 && Math.abs(other) <= SMALLEST_NORMAL && Object.is(zero, -0) === other < 0;
}

/** Units of the last place that two correct transcendental results may be apart (SDM vol. 1 8.3.10: less than 1 each). */
const ULPS = 2n;

function nearlyEqual(a: Uint8Array, b: Uint8Array): boolean {
  const value = (x: Uint8Array): bigint => {
    const v = new DataView(x.buffer, x.byteOffset, 10);
    return (BigInt(v.getUint16(8, true)) << 63n) + (v.getBigUint64(0, true) & 0x7fff_ffff_ffff_ffffn);
  };
  const d = value(a) - value(b);
  return d <= ULPS && d >= -ULPS;
}

function compareMemory(
  c: Case,
  expected: readonly Patch[],
  got: readonly Patch[],
  add: (what: string, e: string, g: string) => void,
): void {
  const e = visible(c, expected);
  const g = visible(c, got);
  if (e !== g) add("memory", e, g);
}

/** Changed memory as text, without what is ignored. */
function visible(c: Case, patches: readonly Patch[]): string {
  const ranges = c.ignore.memory ?? [];
  const parts: string[] = [];
  for (const p of patches) {
    if (ranges.length === 0) {
      parts.push(`${hex(p.address)}:${hexBytes(p.bytes)}`);
      continue;
    }
    for (let i = 0; i < p.bytes.length; i++) {
      const at = p.address + i;
      if (ranges.some(([from, n]) => at >= from && at < from + n)) continue;
      parts.push(`${hex(at)}:${p.bytes[i]!.toString(16).padStart(2, "0")}`);
    }
  }
  return parts.join(" ");
}
