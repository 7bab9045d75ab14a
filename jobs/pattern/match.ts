import { PATTERN_PROGRAM } from "../limits.ts";
import { caseVariants } from "./case.ts";
import { type Assertion, type CharacterSet, inSet, type Node, PatternError, parsePattern } from "./parse.ts";

/** One instruction of a Thompson automaton; `set` is an index. */
type Instruction =
  | { readonly op: "take"; readonly set: number }
  | { readonly op: "assert"; readonly assertion: Assertion }
  | { readonly op: "jump"; readonly to: number }
  | { readonly op: "split"; readonly to: readonly number[] }
  | { readonly op: "match" };

/** What stood before the present position. */
type Before = "line-start" | "word" | "other";

/** A set of instructions the automaton may be at, in ascending order, before empty moves. */
interface State {
  readonly at: readonly number[];
  readonly before: Before;
  /** Next state by code unit; "match" once and for all. */
  readonly next: Map<number, State | "match">;
}

const END = -1;
/**
 * Transitions, and instructions in remembered states, before the cache is emptied: some 300 KB. Bounds memory, never the
 * result.
 */
const CACHE_ENTRIES = 16_384;

function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x5f ||
    (code >= 0x61 && code <= 0x7a)
  );
}

interface Program {
  readonly instructions: readonly Instruction[];
  /** Each once, however often it is repeated. */
  readonly sets: readonly CharacterSet[];
}

function compile(root: Node): Program {
  const program: Instruction[] = [];
  const sets = new Map<CharacterSet, number>();
  const push = (instruction: Instruction): number => {
    if (program.length >= PATTERN_PROGRAM)
      throw new PatternError("the pattern is too large when its repetitions are written out", 0);
    return program.push(instruction) - 1;
  };
  const emit = (node: Node): void => {
    switch (node.kind) {
      case "empty":
        return;
      case "set":
        if (!sets.has(node.set)) sets.set(node.set, sets.size);
        push({ op: "take", set: sets.get(node.set)! });
        return;
      case "assert":
        push({ op: "assert", assertion: node.assertion });
        return;
      case "sequence":
        for (const part of node.parts) emit(part);
        return;
      case "choice": {
        const split = push({ op: "jump", to: 0 });
        const starts: number[] = [];
        const ends: number[] = [];
        for (const option of node.options) {
          starts.push(program.length);
          emit(option);
          ends.push(push({ op: "jump", to: 0 }));
        }
        program[split] = { op: "split", to: starts };
        for (const end of ends) program[end] = { op: "jump", to: program.length };
        return;
      }
      case "repeat": {
        const begin = program.length;
        for (let i = 0; i < node.min; i++) {
          emit(node.body);
          // Nothing, however often it is repeated, is nothing; and repetitions multiply when they are nested.
          if (program.length === begin) return;
        }
        if (node.max === undefined) {
          const split = push({ op: "jump", to: 0 });
          emit(node.body);
          push({ op: "jump", to: split });
          program[split] = { op: "split", to: [split + 1, program.length] };
          return;
        }
        const exits: number[] = [];
        for (let i = node.min; i < node.max; i++) {
          exits.push(push({ op: "jump", to: 0 }));
          emit(node.body);
        }
        for (const exit of exits) program[exit] = { op: "split", to: [exit + 1, program.length] };
        return;
      }
    }
  };
  emit(root);
  push({ op: "match" });
  return { instructions: program, sets: [...sets.keys()] };
}

/**
 * A compiled pattern: tells whether a line contains a match, in time proportional to the line's length times the
 * pattern's size at worst, and to the line's length when the same states come again.
 */
export class Pattern {
  readonly source: string;
  readonly #program: readonly Instruction[];
  readonly #sets: readonly CharacterSet[];
  readonly #ignoreCase: boolean;
  #states = new Map<string, State>();
  #entries = 0;
  /** The last line that was looked at, and what came of it: a line that stands still is looked at again and again. */
  #line: string | undefined;
  #matched = false;

  /** Throws PatternError. */
  constructor(source: string) {
    const { root, ignoreCase } = parsePattern(source);
    this.source = source;
    this.#ignoreCase = ignoreCase;
    const { instructions, sets } = compile(root);
    this.#program = instructions;
    this.#sets = sets;
  }

  /** Instructions it compiled to: what a character of a line costs at worst. */
  get size(): number {
    return this.#program.length;
  }

  /** Whether `line` (without its line end) contains a match. */
  test(line: string): boolean {
    if (line !== this.#line) {
      this.#matched = this.#run(line);
      this.#line = line;
    }
    return this.#matched;
  }

  #run(line: string): boolean {
    let state = this.#start();
    for (let i = 0; i <= line.length; i++) {
      const code = i < line.length ? line.charCodeAt(i) : END;
      let next = state.next.get(code);
      if (next === undefined) {
        next = this.#step(state, code);
        state.next.set(code, next);
        if (++this.#entries > CACHE_ENTRIES) this.#forget(next);
      }
      if (next === "match") return true;
      state = next;
    }
    return false;
  }

  /** Transitions and instructions of states that are remembered. */
  get remembered(): number {
    return this.#entries;
  }

  /** Empties the cache; `state` is a copy of its own from now on. */
  #forget(state: State | "match"): void {
    this.#states = new Map();
    this.#entries = 0;
    if (state !== "match") state.next.clear();
  }

  /** `bits`: bit i says whether the automaton may be at instruction i. */
  #state(bits: Uint16Array, before: Before): State {
    const key = before + String.fromCharCode.apply(null, bits as unknown as number[]);
    let state = this.#states.get(key);
    if (state === undefined) {
      const at: number[] = [];
      for (let pc = 0; pc < this.#program.length; pc++) if (bits[pc >> 4]! & (1 << (pc & 15))) at.push(pc);
      state = { at, before, next: new Map() };
      this.#states.set(key, state);
      this.#entries += at.length;
    }
    return state;
  }

  /** A state that the automaton is at the start in, and nowhere else. */
  #start(): State {
    const bits = this.#noBits();
    bits[0] = 1;
    return this.#state(bits, "line-start");
  }

  #noBits(): Uint16Array {
    return new Uint16Array((this.#program.length + 15) >> 4);
  }

  /** Follows empty moves from `state`, knowing that `code` comes next, then takes `code`. */
  #step(state: State, code: number): State | "match" {
    const seen = new Uint8Array(this.#program.length);
    const takes = this.#takes(code);
    const pending = state.at.slice();
    const next = this.#noBits();
    const add = (pc: number): void => {
      next[pc >> 4]! |= 1 << (pc & 15);
    };
    for (let pc = pending.pop(); pc !== undefined; pc = pending.pop()) {
      if (seen[pc] === 1) continue;
      seen[pc] = 1;
      const instruction = this.#program[pc]!;
      switch (instruction.op) {
        case "match":
          return "match";
        case "jump":
          pending.push(instruction.to);
          break;
        case "split":
          pending.push(...instruction.to);
          break;
        case "assert":
          if (holds(instruction.assertion, state.before, code)) pending.push(pc + 1);
          break;
        case "take":
          if (takes(instruction.set)) add(pc + 1);
          break;
      }
    }
    // A match may begin anywhere, so the start is in every state.
    add(0);
    return this.#state(next, isWord(code) ? "word" : "other");
  }

  /** Tells of a set whether it has `code`; each is looked at once. */
  #takes(code: number): (set: number) => boolean {
    if (code === END) return () => false;
    const variants = this.#ignoreCase ? caseVariants(code) : [code];
    const known: (boolean | undefined)[] = [];
    return (index) => {
      let result = known[index];
      if (result === undefined) {
        const set = this.#sets[index]!;
        const isIn = (variant: number): boolean => inSet(set, variant);
        // Folding must not turn "not a" into "anything": a negated set refuses a letter if it refuses any case of it.
        result = set.negated ? variants.every(isIn) : variants.some(isIn);
        known[index] = result;
      }
      return result;
    };
  }
}

function holds(assertion: Assertion, before: Before, code: number): boolean {
  switch (assertion) {
    case "line-start":
      return before === "line-start";
    case "line-end":
      return code === END;
    case "word-boundary":
      return (before === "word") !== isWord(code);
    case "not-word-boundary":
      return (before === "word") === isWord(code);
  }
}
