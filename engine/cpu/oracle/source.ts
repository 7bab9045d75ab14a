// Cases and outcomes as short JSON: only what differs from the default state is written. It is the form of the recorded
// vectors and of the failing cases that the fuzzer prints.

import { GPR_NAMES } from "../types.ts";
import { type Case, defaultState, type Ignore, type Outcome, type Patch } from "./case.ts";
import { describeCase } from "./disassemble.ts";
import { CODE } from "./layout.ts";
import { SEGMENT_NAMES, type State } from "./state.ts";

/** Field name to lower-case hexadecimal digits, most significant first. */
export type Fields = Record<string, string>;

export interface CaseSource {
  text: string;
  mode?: 32;
  code: string;
  /** Where the code is, if not at CODE. */
  at?: number;
  instructions?: number;
  set: Fields;
  poke?: [address: number, hex: string][];
  ignore?: Ignore;
}

export interface OutcomeSource {
  end: "exception" | "endless";
  vector?: number;
  error?: number;
  cr2?: string;
  /** What differs from the state the case started from. */
  set: Fields;
  memory?: [address: number, hex: string][];
}

interface Field {
  readonly name: string;
  get(s: State): string;
  set(s: State, hex: string): void;
}

const reversed = (bytes: Uint8Array): string => Buffer.from(bytes).reverse().toString("hex");
const setReversed = (into: Uint8Array, hex: string): void => into.set(Buffer.from(hex, "hex").reverse());

function wordField(name: string, index: number): Field {
  return {
    name,
    get: (s) => s.u64[index]!.toString(16),
    set: (s, hex) => {
      s.u64[index] = BigInt(`0x${hex}`);
    },
  };
}

function numberField(name: "mxcsr" | "fcw" | "fsw" | "ftw"): Field {
  return {
    name,
    get: (s) => s[name].toString(16),
    set: (s, hex) => {
      s[name] = Number.parseInt(hex, 16);
    },
  };
}

const FIELDS: readonly Field[] = [
  ...GPR_NAMES.map((name, i) => wordField(name, i)),
  wordField("rip", 16),
  wordField("rflags", 17),
  wordField("fs_base", 18),
  wordField("gs_base", 19),
  ...SEGMENT_NAMES.map((name, i) => ({
    name,
    get: (s: State) => s.selector(i).toString(16),
    set: (s: State, hex: string) => s.setSelector(i, Number.parseInt(hex, 16)),
  })),
  numberField("mxcsr"),
  numberField("fcw"),
  numberField("fsw"),
  numberField("ftw"),
  ...Array.from({ length: 16 }, (_, i) => ({
    name: `xmm${i}`,
    get: (s: State) => reversed(s.xmm(i)),
    set: (s: State, hex: string) => setReversed(s.xmm(i), hex),
  })),
  ...Array.from({ length: 8 }, (_, i) => ({
    name: `st${i}`,
    get: (s: State) => reversed(s.st(i)),
    set: (s: State, hex: string) => setReversed(s.st(i), hex),
  })),
];

const BY_NAME = new Map(FIELDS.map((f) => [f.name, f]));

/** The fields in which `state` differs from `base`. */
export function differingFields(state: State, base: State): Fields {
  const out: Fields = {};
  for (const f of FIELDS) {
    const value = f.get(state);
    if (value !== f.get(base)) out[f.name] = value;
  }
  return out;
}

/** A copy of `base` with the fields set. Throws for a field that does not exist. */
export function withFields(base: State, fields: Fields): State {
  const state = base.clone();
  for (const [name, hex] of Object.entries(fields)) {
    const field = BY_NAME.get(name);
    if (field === undefined) throw new Error(`no register is called ${name}`);
    field.set(state, hex);
  }
  return state;
}

const patchesOut = (patches: readonly Patch[]): [number, string][] =>
  patches.map((p) => [p.address, Buffer.from(p.bytes).toString("hex")]);
const patchesIn = (list: readonly (readonly [number, string])[]): Patch[] =>
  list.map(([address, hex]) => ({ address, bytes: Uint8Array.from(Buffer.from(hex, "hex")) }));

function startState(mode: 32 | 64, at: number): State {
  const state = defaultState(mode);
  state.rip = BigInt(at);
  return state;
}

/** The first patch of a case is its code. */
export function toSource(c: Case): CaseSource {
  const [code, ...pokes] = c.patches;
  if (code === undefined) throw new Error("a case without code");
  return {
    text: describeCase(c),
    ...(c.mode === 32 ? { mode: 32 as const } : {}),
    code: Buffer.from(code.bytes).toString("hex"),
    ...(code.address === CODE ? {} : { at: code.address }),
    ...(c.instructions === 1 ? {} : { instructions: c.instructions }),
    set: differingFields(c.state, startState(c.mode, code.address)),
    ...(pokes.length === 0 ? {} : { poke: patchesOut(pokes) }),
    ...(Object.keys(c.ignore).length === 0 ? {} : { ignore: c.ignore }),
  };
}

export function fromSource(s: CaseSource): Case {
  const mode = s.mode ?? 64;
  const at = s.at ?? CODE;
  return {
    text: s.text,
    mode,
    state: withFields(startState(mode, at), s.set),
    patches: patchesIn([[at, s.code], ...(s.poke ?? [])]),
    instructions: s.instructions ?? 1,
    ignore: s.ignore ?? {},
  };
}

/** Undefined for an outcome that says nothing (a system call). */
export function outcomeToSource(c: Case, o: Outcome): OutcomeSource | undefined {
  if (o.kind === "system-call") return undefined;
  if (o.kind === "endless") return { end: "endless", set: {} };
  return {
    end: "exception",
    ...(o.vector === 3 ? {} : { vector: o.vector }),
    ...(o.error === 0 ? {} : { error: o.error }),
    ...(o.vector === 14 ? { cr2: o.cr2.toString(16) } : {}),
    set: differingFields(o.state, c.state),
    ...(o.changes.length === 0 ? {} : { memory: patchesOut(o.changes) }),
  };
}

export function outcomeFromSource(c: Case, s: OutcomeSource): Outcome {
  const state = withFields(c.state, s.set);
  const changes = patchesIn(s.memory ?? []);
  if (s.end === "endless") return { kind: "endless", state, changes };
  return {
    kind: "exception",
    vector: s.vector ?? 3,
    error: s.error ?? 0,
    cr2: BigInt(`0x${s.cr2 ?? "0"}`),
    state,
    changes,
  };
}
