/**
 * Patterns are regular expressions in JavaScript's notation, without what cannot be matched in linear time
 * (backreferences and look-around). JavaScript's own engine backtracks: `(a+)+$` on a line of a hundred letters would
 * hold the worker for years, and nothing could interrupt it. So patterns have a parser and a matcher of their own.
 */

/** Inclusive ranges of UTF-16 code units. */
export interface CharacterSet {
  readonly ranges: readonly (readonly [number, number])[];
  readonly negated: boolean;
}

export type Assertion = "line-start" | "line-end" | "word-boundary" | "not-word-boundary";

export type Node =
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "assert"; readonly assertion: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly options: readonly Node[] }
  /** `max` is undefined for "any number". */
  | { readonly kind: "repeat"; readonly body: Node; readonly min: number; readonly max: number | undefined };

export interface ParsedPattern {
  readonly root: Node;
  /** The pattern begins with `(?i)`. */
  readonly ignoreCase: boolean;
}

/** Why a pattern was refused, and at which character. */
export class PatternError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = "PatternError";
    this.offset = offset;
  }
}

const REPEAT_MAX = 1000;

const range = (from: string, to: string): readonly [number, number] => [from.charCodeAt(0), to.charCodeAt(0)];
const DIGIT = [range("0", "9")];
const WORD = [range("0", "9"), range("A", "Z"), range("_", "_"), range("a", "z")];
/** WhiteSpace and LineTerminator of ECMA-262. */
const SPACE = [
  range("\t", "\r"),
  range(" ", " "),
  range("\u00a0", "\u00a0"),
  range("\u1680", "\u1680"),
  range("\u2000", "\u200a"),
  range("\u2028", "\u2029"),
  range("\u202f", "\u202f"),
  range("\u205f", "\u205f"),
  range("\u3000", "\u3000"),
  range("\ufeff", "\ufeff"),
];
/** What "." is not: LineTerminator. */
const LINE_END = [range("\n", "\n"), range("\r", "\r"), range("\u2028", "\u2029")];
const CLASSES: Readonly<Record<string, CharacterSet>> = {
  d: { ranges: DIGIT, negated: false },
  D: { ranges: DIGIT, negated: true },
  w: { ranges: WORD, negated: false },
  W: { ranges: WORD, negated: true },
  s: { ranges: SPACE, negated: false },
  S: { ranges: SPACE, negated: true },
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, e: 27, "0": 0 };

/** Whether code unit `code` belongs to `set`. */
export function inSet(set: CharacterSet, code: number): boolean {
  for (const [low, high] of set.ranges) if (code >= low && code <= high) return !set.negated;
  return set.negated;
}

/** The ranges `set` does not contain. */
function complement(ranges: CharacterSet["ranges"]): [number, number][] {
  const result: [number, number][] = [];
  let next = 0;
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (low > next) result.push([next, low - 1]);
    next = Math.max(next, high + 1);
  }
  if (next <= 0xffff) result.push([next, 0xffff]);
  return result;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): ParsedPattern {
    const ignoreCase = this.#text.startsWith("(?i)");
    if (ignoreCase) this.#at = 4;
    const root = this.#choice();
    if (this.#at < this.#text.length) this.#fail("there is a ) with no ( before it");
    return { root, ignoreCase };
  }

  #fail(message: string, offset = this.#at): never {
    throw new PatternError(message, offset);
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #take(): string {
    const character = this.#text[this.#at];
    if (character === undefined) this.#fail("the pattern ends too early");
    this.#at++;
    return character;
  }

  #accept(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #choice(): Node {
    const options = [this.#sequence()];
    while (this.#accept("|")) options.push(this.#sequence());
    return options.length === 1 ? options[0]! : { kind: "choice", options };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      parts.push(this.#quantified(this.#atom()));
    }
    if (parts.length === 0) return { kind: "empty" };
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  #quantified(body: Node): Node {
    const start = this.#at;
    let bounds: { min: number; max: number | undefined };
    if (this.#accept("*")) bounds = { min: 0, max: undefined };
    else if (this.#accept("+")) bounds = { min: 1, max: undefined };
    else if (this.#accept("?")) bounds = { min: 0, max: 1 };
    else {
      const counted = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 16));
      if (counted === null) return body;
      this.#at += counted[0].length;
      const min = Number(counted[1]);
      const max = counted[2] === undefined ? min : counted[3] === "" ? undefined : Number(counted[3]);
      if (Math.max(min, max ?? 0) > REPEAT_MAX) this.#fail(`a repetition is at most ${REPEAT_MAX}`, start);
      if (max !== undefined && max < min) this.#fail("the repetition's bounds are out of order", start);
      bounds = { min, max };
    }
    // "Lazy" only chooses between matches; whether there is one stays the same.
    this.#accept("?");
    if (body.kind === "assert") this.#fail("nothing to repeat before the quantifier", start);
    if (/^[*+?]|^\{\d+(,\d*)?\}/.test(this.#text.slice(this.#at, this.#at + 16))) {
      this.#fail("two quantifiers follow each other; put the first into ( )");
    }
    return { kind: "repeat", body, ...bounds };
  }

  #atom(): Node {
    const start = this.#at;
    const character = this.#take();
    switch (character) {
      case ".":
        return { kind: "set", set: { ranges: LINE_END, negated: true } };
      case "^":
        return { kind: "assert", assertion: "line-start" };
      case "$":
        return { kind: "assert", assertion: "line-end" };
      case "[":
        return { kind: "set", set: this.#brackets(start) };
      case "(": {
        if (this.#peek() === "?" && !this.#accept("?:")) {
          this.#fail("groups with (? are not supported, except (?: … ) and (?i) at the beginning", start);
        }
        const inner = this.#choice();
        if (!this.#accept(")")) this.#fail("the ( is never closed", start);
        return inner;
      }
      case "*":
      case "+":
      case "?":
        return this.#fail(
          "nothing to repeat before the quantifier; write \\ before it to mean the character",
          start,
        );
      case "\\":
        if (this.#accept("b")) return { kind: "assert", assertion: "word-boundary" };
        if (this.#accept("B")) return { kind: "assert", assertion: "not-word-boundary" };
        return { kind: "set", set: this.#escape() };
      default:
        return { kind: "set", set: single(character.charCodeAt(0)) };
    }
  }

  /** What follows a backslash. */
  #escape(): CharacterSet {
    const start = this.#at - 1;
    const character = this.#take();
    const known = CLASSES[character];
    if (known !== undefined) return known;
    const control = CONTROLS[character];
    if (control !== undefined) return single(control);
    if (character === "x" || character === "u") {
      const length = character === "x" ? 2 : 4;
      const digits = this.#text.slice(this.#at, this.#at + length);
      if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length < length) {
        this.#fail(`\\${character} needs ${length} hexadecimal digits`, start);
      }
      this.#at += length;
      return single(Number.parseInt(digits, 16));
    }
    if (/[1-9k]/.test(character)) this.#fail("backreferences are not supported", start);
    if (/[A-Za-z]/.test(character)) this.#fail(`the escape \\${character} is not known`, start);
    return single(character.charCodeAt(0));
  }

  #brackets(start: number): CharacterSet {
    const negated = this.#accept("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#accept("]")) {
      if (this.#peek() === undefined) this.#fail("the [ is never closed", start);
      const low = this.#bracketMember();
      const dash =
        this.#peek() === "-" && this.#text[this.#at + 1] !== "]" && this.#text[this.#at + 1] !== undefined;
      if (!dash) {
        ranges.push(...(low.negated ? complement(low.ranges) : low.ranges));
        continue;
      }
      this.#at++;
      const high = this.#bracketMember();
      const from = onlyMember(low);
      const to = onlyMember(high);
      if (from === undefined || to === undefined || to < from)
        this.#fail("a range in [ ] is out of order", start);
      ranges.push([from, to]);
    }
    return { ranges, negated };
  }

  #bracketMember(): CharacterSet {
    const character = this.#take();
    if (character !== "\\") return single(character.charCodeAt(0));
    return this.#accept("b") ? single(8) : this.#escape();
  }
}

function single(code: number): CharacterSet {
  return { ranges: [[code, code]], negated: false };
}

function onlyMember(set: CharacterSet): number | undefined {
  const first = set.ranges[0];
  return !set.negated && set.ranges.length === 1 && first?.[0] === first?.[1] ? first?.[0] : undefined;
}

/** Parses a pattern. Throws PatternError. */
export function parsePattern(text: string): ParsedPattern {
  return new Parser(text).parse();
}
