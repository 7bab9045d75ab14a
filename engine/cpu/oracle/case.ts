// What is run (a case) and what came out of it (an outcome). Both the real processor and our core turn one into the other.

import { CODE, STACK } from "./layout.ts";
import type { Group } from "./offered.ts";
import { FX, FX_FTW, SELECTOR, State } from "./state.ts";

export interface Patch {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** What a comparison must not look at, because the manuals leave it open or the processor models differ. */
export interface Ignore {
  /** Bits of RFLAGS. */
  readonly flags?: number;
  /** Instead of `flags` if the case ended by anything but its final INT3; without it, all flags count. */
  readonly flagsAtFault?: number;
  /** General registers, one bit each. */
  readonly registers?: number;
  /** Operands of many parts (FXSAVE, FNSTENV): which byte of the page CR2 names is the model's choice. */
  readonly cr2Offset?: boolean;
  /** Byte ranges of memory: address and length. */
  readonly memory?: readonly (readonly [address: number, bytes: number])[];
  /** RCPPS and its like: the manual bounds the error, the models fill in the rest. Singles of XMM are compared to 11 bits. */
  readonly approximateXmm?: boolean;
  /** x87 transcendentals: compared to within a few units of the last place of the extended format. */
  readonly approximateSt?: boolean;
}

/** A short piece of code and the complete state it starts from. It ends at the first fault or trap. */
export interface Case {
  /** For people: what the code is; empty if it takes a disassembler to say (`describeCase`). */
  readonly text: string;
  readonly mode: 32 | 64;
  readonly state: State;
  /** Memory that differs from the base contents of layout.ts; the code is one of them. */
  readonly patches: readonly Patch[];
  /** Instructions in the code, as far as control flow lets one tell; the runner's limit is a little above it. */
  readonly instructions: number;
  readonly ignore: Ignore;
}

/** A case of the generator, and what it takes to make more of it with other start states. */
export interface Template extends Case {
  /** iced's Code of the one instruction; undefined for runs and undefined encodings. */
  readonly code: number | undefined;
  readonly group: Group;
  /** General registers, one bit each, whose values were chosen for this case: addresses, counts, selectors. */
  readonly pinned: number;
  /** True if nothing of the state may change. */
  readonly fixed: boolean;
}

export type Outcome = {
  readonly state: State;
  /** Memory that differs from what the case began with, ascending, in runs. */
  readonly changes: readonly Patch[];
} & (
  | {
      readonly kind: "exception";
      /** 3 is the regular end: INT3 behind the code. */
      readonly vector: number;
      readonly error: number;
      /** Meaningful for vector 14 only. */
      readonly cr2: bigint;
    }
  /** The code did not end. */
  | { readonly kind: "endless" }
  /** SYSCALL and the like: not for comparison. */
  | { readonly kind: "system-call" }
);

const FCW_AFTER_FNINIT = 0x37f;
const MXCSR_RESET = 0x1f80;

/**
 * The state a case starts from where it does not say otherwise: every register has its own recognisable value, the
 * stack pointer is in the middle of the stack, x87 is as after FNINIT, and all segments are those of 64-bit Linux.
 */
export function defaultState(mode: 32 | 64): State {
  const s = new State();
  for (let i = 0; i < 16; i++) s.setGpr(i, 0x1111_1111_1111_1111n * BigInt(i) + 0x0102_0304_0506_0708n);
  s.setGpr(4, BigInt(STACK + 0x1000));
  s.rip = BigInt(CODE);
  s.rflags = 0x202;
  s.fcw = FCW_AFTER_FNINIT;
  s.bytes[FX + FX_FTW] = 0;
  s.mxcsr = MXCSR_RESET;
  for (let i = 0; i < 16; i++) {
    const x = s.xmm(i);
    for (let j = 0; j < 16; j++) x[j] = 16 * i + j;
  }
  s.setSelector(1, mode === 64 ? SELECTOR.USER_CS : SELECTOR.USER32_CS);
  s.setSelector(2, SELECTOR.USER_DS);
  if (mode === 32) {
    s.setSelector(0, SELECTOR.USER_DS);
    s.setSelector(3, SELECTOR.USER_DS);
    for (let i = 0; i < 16; i++) s.setGpr(i, i < 8 ? s.gpr(i) & 0xffffffffn : 0n);
  }
  return s;
}

/** A case of one piece of code at the start of CODE, for tests and for reproducing by hand. */
export function codeCase(
  code: Uint8Array,
  change?: (state: State) => void,
  patches: readonly Patch[] = [],
): Case {
  const state = defaultState(64);
  change?.(state);
  return {
    text: Buffer.from(code).toString("hex"),
    mode: 64,
    state,
    patches: [{ address: CODE, bytes: code }, ...patches],
    instructions: code.length,
    ignore: {},
  };
}

/** Adds a run of changed memory to a list in ascending order; a run that continues the last one is joined with it. */
export function appendRun(runs: Patch[], address: number, bytes: Uint8Array): void {
  const last = runs.at(-1);
  if (last === undefined || last.address + last.bytes.length !== address) {
    runs.push({ address, bytes });
    return;
  }
  const joined = new Uint8Array(last.bytes.length + bytes.length);
  joined.set(last.bytes);
  joined.set(bytes, last.bytes.length);
  runs[runs.length - 1] = { address: last.address, bytes: joined };
}
