/**
 * Makes the interpreter's cases for runs of micro-ops (fusions.ts), and the decoder's look-up of them.
 *
 * A run's case is the text of its ops' cases in interp.ts, one behind the other. Where the run says that operands are the
 * same register, its value is kept in a local variable from the first time it is read or written: the second op need not
 * wait for memory. A store of a register that the next op overwrites, with nothing in between that could see it, is left
 * out.
 */
import { FUSIONS } from "./fusions.ts";

type Role = "A" | "B" | "C";

interface FusedOp {
  readonly name: string;
  /** Letter of the register an operand names, where the run says one. */
  readonly letters: ReadonlyMap<Role, string>;
  /** The run is only for an index that is not scaled. */
  readonly unscaled: boolean;
}

type Run = readonly FusedOp[];

function parseRun(text: string): Run {
  return text.split("|").map((part) => {
    const [name, ...operands] = part.trim().split(/\s+/);
    if (name === undefined || name === "") throw new Error(`fusions.ts: no op in "${text}"`);
    const letters = new Map<Role, string>();
    let unscaled = false;
    for (const operand of operands) {
      if (operand === "unscaled") {
        unscaled = true;
        continue;
      }
      const match = /^([abc]+):([a-z])$/.exec(operand);
      if (!match?.[1] || !match[2])
        throw new Error(`fusions.ts: "${operand}" in "${text}" is not like "ac:x"`);
      for (const role of match[1]) letters.set(role.toUpperCase() as Role, match[2]);
    }
    return { name, letters, unscaled };
  });
}

const RUNS: readonly Run[] = FUSIONS.map(parseRun);

/** Ops that move the stack pointer. */
const STACK = /^(PUSH|POP|CALL$|RET$)/;
const usesStackTwice = (run: Run): boolean => run.filter((op) => STACK.test(op.name)).length > 1;

/** Ops that store: what they store may be the code of the op behind them. */
const STORES = /^(ST|PUSH)/;

/** The index behind the parenthesis or brace that closes the one just before `from`. */
function closing(text: string, from: number, open: string, close: string): number {
  let depth = 1;
  let at = from;
  for (; depth > 0; at++) {
    if (at >= text.length) throw new Error(`no ${close} in "${text.slice(from, from + 80)}"`);
    if (text[at] === open) depth++;
    else if (text[at] === close) depth--;
  }
  return at;
}

/** The body of `case Op.NAME: { … }` in the interpreter's source, without the braces, operands named by slotA(p) alone. */
function bodyOf(source: string, name: string): string {
  const head = `case Op.${name}: {`;
  const from = source.indexOf(head);
  if (from < 0) throw new Error(`fusions.ts names ${name}, which interp.ts has no case for`);
  const start = from + head.length;
  const body = source.slice(start, closing(source, start, "{", "}") - 1).trim();
  const alias = "const s = slotA(p); ";
  if (!body.includes(alias)) return body;
  return body
    .replace(alias, "")
    .replace(/\bget<(\w+)>\(s\)/g, "get<$1>(slotA(p))")
    .replace(/\bset<(\w+)>\(s,/g, "set<$1>(slotA(p),");
}

const NEXT = /p \+= 16; continue;$/;
/** What an op may do beside arithmetic on the registers it names: then everything must be in its place. */
const SEES_REGISTERS = /\bbreak\b|\bea\(|\beaBD\(|\bcondition\(|\bcontinue\b/;

/** Writes the ops of one run as one body. */
class RunWriter {
  readonly #run: Run;
  /** Letters named more than once: the others say only what is different. */
  readonly #shared: ReadonlySet<string>;
  readonly #slots = new Set<string>();
  readonly #values = new Set<string>();
  readonly #locals: string[] = [];
  /** Is RSP kept in a variable, and is it known at this point? */
  readonly #keepsRsp: boolean;
  #rspKnown = false;

  constructor(run: Run) {
    this.#run = run;
    const all = run.flatMap((op) => [...op.letters.values()]);
    this.#shared = new Set(all.filter((letter, i) => all.indexOf(letter) !== i));
    this.#keepsRsp = usesStackTwice(run);
    if (this.#keepsRsp) this.#locals.push("let value_rsp: u64 = 0;");
  }

  /** The letter of an operand if it is of use. */
  #letter(op: FusedOp, role: Role): string | undefined {
    const letter = op.letters.get(role);
    return letter !== undefined && this.#shared.has(letter) ? letter : undefined;
  }

  /** The register slot of operand `role`; `before` gets what must be computed first. */
  #slot(op: FusedOp, role: Role, before: string[]): string {
    const letter = this.#letter(op, role);
    if (letter === undefined) return `slot${role}(p)`;
    if (!this.#slots.has(letter)) {
      this.#slots.add(letter);
      before.push(`const slot_${letter} = slot${role}(p);`);
    }
    return `slot_${letter}`;
  }

  /** The 64-bit value of operand `role`. */
  #value(op: FusedOp, role: Role, before: string[]): string {
    const slot = this.#slot(op, role, before);
    const letter = this.#letter(op, role);
    if (letter === undefined) return `get<u64>(${slot})`;
    if (!this.#values.has(letter)) {
      this.#values.add(letter);
      this.#declare(letter);
      before.push(`value_${letter} = get<u64>(${slot});`);
    }
    return `value_${letter}`;
  }

  #declare(letter: string): void {
    const line = `let value_${letter}: u64 = 0;`;
    if (!this.#locals.includes(line)) this.#locals.push(line);
  }

  /** Does op `i` overwrite register `letter` without anything having looked at its place in memory? */
  #overwrites(i: number, letter: string, source: string): boolean {
    const op = this.#run[i];
    if (op === undefined || op.letters.get("A") !== letter) return false;
    const body = bodyOf(source, op.name).replace(NEXT, "");
    if (SEES_REGISTERS.test(body) || !/\bset<[ui](32|64)>\(slotA\(p\),/.test(body)) return false;
    const read = [...body.matchAll(/\bget<\w+>\(slot([ABC])\(p\)\)/g)].map((m) => m[1] as Role);
    return read.every((role) => op.letters.get(role) === letter);
  }

  /** The text of op `i`. */
  #op(i: number, source: string): string {
    const op = this.#run[i];
    if (op === undefined) throw new Error("no such op");
    const before: string[] = [];
    let body = bodyOf(source, op.name);
    body = body.replace(/\bea\(p\)/g, () =>
      op.unscaled || this.#letter(op, "B") || this.#letter(op, "C")
        ? `${op.unscaled ? "eaUnscaled" : "eaOf"}(${this.#value(op, "B", before)}, ${this.#value(op, "C", before)}, p)`
        : "ea(p)",
    );
    body = body.replace(/\beaBD\(p\)/g, () =>
      this.#letter(op, "B") ? `eaBDOf(${this.#value(op, "B", before)}, p)` : "eaBD(p)",
    );
    body = body.replace(/\bget<(\w+)>\(slot([ABC])\(p\)\)/g, (whole, type: string, role: Role) =>
      this.#letter(op, role) ? `(<${type}>${this.#value(op, role, before)})` : whole,
    );
    if (this.#keepsRsp && body.includes("get<u64>(RSP_SLOT)")) {
      if (!this.#rspKnown) before.push("value_rsp = get<u64>(RSP_SLOT);");
      this.#rspKnown = true;
      body = body.replaceAll("get<u64>(RSP_SLOT)", "value_rsp");
    }
    body = this.#writes(body, op, i, source, before);
    body = body.replace(/\bslot([ABC])\(p\)/g, (_whole, role: Role) => this.#slot(op, role, before));
    const previous = this.#run[i - 1];
    if (previous && /^JCC_N?E$/.test(op.name)) body = body.replace("getZF()", `(compared == 0)`);
    if (this.#run[i + 1] && /^JCC_N?E$/.test(this.#run[i + 1]?.name ?? "")) {
      body = body.replace(/(?<=; )((?:sub|and)<u(8|16|32|64)>\(load)/, "compared = <u64>$1");
      if (!body.includes("compared =")) throw new Error(`${op.name} leaves nothing to compare`);
      this.#locals.push("let compared: u64 = 0;");
    }
    return [...before, body].join(" ");
  }

  /** Register writes: into the variable of the register as well, if it has one. */
  #writes(text: string, op: FusedOp, i: number, source: string, before: string[]): string {
    let out = "";
    let at = 0;
    const pattern = /\bset<(\w+)>\(([^,]+),/g;
    for (let m = pattern.exec(text); m; m = pattern.exec(text)) {
      const end = closing(text, pattern.lastIndex, "(", ")");
      const value = text.slice(pattern.lastIndex, end - 1).trim();
      const letter = m[2] === "slotA(p)" ? this.#letter(op, "A") : undefined;
      const whole = m[1] === "u32" || m[1] === "u64" || m[1] === "i64" || m[1] === "i32";
      out += text.slice(at, m.index);
      if (letter !== undefined && whole) {
        const slot = this.#slot(op, "A", before);
        this.#declare(letter);
        this.#values.add(letter);
        const wide = m[1] === "u32" || m[1] === "i32" ? `<u64>(<u32>(${value}))` : `<u64>(${value})`;
        out += `value_${letter} = ${wide}`;
        if (!this.#overwrites(i + 1, letter, source)) out += `; set<u64>(${slot}, value_${letter})`;
      } else if (this.#keepsRsp && m[2] === "RSP_SLOT") {
        out += `value_rsp = ${value}; set<u64>(RSP_SLOT, value_rsp)`;
      } else {
        // Which register this is no one knows: the values read so far may be old ones behind it.
        const named = m[2] === "slotA(p)" && op.letters.has("A");
        if (!named || !whole) {
          this.#values.clear();
          this.#rspKnown = false;
        }
        out += text.slice(m.index, end);
      }
      at = end;
      pattern.lastIndex = end;
    }
    return out + text.slice(at);
  }

  /** The case's body. */
  write(source: string): string {
    const parts: string[] = [];
    this.#run.forEach((op, i) => {
      const text = this.#op(i, source);
      if (i === this.#run.length - 1) {
        parts.push(text);
        return;
      }
      if (!NEXT.test(text)) throw new Error(`${op.name} cannot stand before another op in a run`);
      // Nothing that is declared in one op is seen in the next, but for the variables of registers.
      const advance = STORES.test(op.name)
        ? "p += 16; if (load<u16>(p) == <u16>Op.RESYNC) continue;"
        : "p += 16;";
      parts.push(text.replace(NEXT, advance));
    });
    // Equal names (h, r, sp) in several ops: each op has a scope of its own; slots and values belong to the run.
    const slots: string[] = [];
    const scoped = parts.map((part) => {
      const own = part.replace(/const (slot_[a-z]) = ([^;]+);/g, (_whole, name: string, value: string) => {
        slots.push(`let ${name}: usize = 0;`);
        return `${name} = ${value};`;
      });
      return `{ ${own} }`;
    });
    return [...slots, ...this.#locals, ...scoped].join(" ");
  }
}

/** The interpreter's source with the runs' cases in the place marked for them. */
export function withFusions(source: string): string {
  const cases = RUNS.map((run, i) => `      case Op.FUSED_${i}: { ${new RunWriter(run).write(source)} }`);
  return source.replace("      // @fusions", cases.join("\n"));
}

/** The list of micro-ops with the codes of the runs at its end. */
export function withFusedCodes(source: string): string {
  return source.replace("  // @fusions", `  ${RUNS.map((_run, i) => `FUSED_${i}`).join(", ")},`);
}

const OFFSETS: Readonly<Record<Role, number>> = { A: 2, B: 3, C: 4 };
const OPS = ["p", "q", "r"];

/** What must hold of the operands for a run to fit, in AssemblyScript. */
function conditionsOf(run: Run): string {
  const first = new Map<string, string>();
  const conditions: string[] = [];
  run.forEach((op, i) => {
    for (const [role, letter] of op.letters) {
      const operand = `load<u8>(${OPS[i]}, ${OFFSETS[role]})`;
      const known = first.get(letter);
      if (known === undefined && usesStackTwice(run)) conditions.push(`${operand} != 32`); // RSP
      if (known !== undefined) conditions.push(`${operand} == ${known}`);
      else {
        for (const other of first.values()) conditions.push(`${operand} != ${other}`);
        first.set(letter, operand);
      }
    }
  });
  run.forEach((op, i) => {
    if (op.unscaled) conditions.push(`(load<u8>(${OPS[i]}, 5) & 0x7f) == 0`);
  });
  const third = run[2];
  if (third) conditions.unshift("r", `load<u16>(r) == <u16>Op.${third.name}`);
  return conditions.length === 0 ? "true" : conditions.join(" && ");
}

/** The look-up of a run, in AssemblyScript. */
export function fusionLookup(): string {
  const byHead = new Map<string, string[]>();
  RUNS.forEach((run, i) => {
    const [first, second] = run;
    if (!first || !second || run.length > OPS.length) throw new Error(`run ${i} has ${run.length} ops`);
    const key = `(Op.${first.name} << 16) | Op.${second.name}`;
    const tests = byHead.get(key) ?? [];
    tests.push(`if (${conditionsOf(run)}) return (${run.length} << 16) | Op.FUSED_${i};`);
    byHead.set(key, tests);
  });
  return [
    'import { Op } from "./ops";',
    "/** The ops of the run that begins at p, in bits 16 and up, and its code; or 0. q and r are the ops behind, r may be 0. */",
    "export function fusionAt(p: usize, q: usize, r: usize): i32 {",
    "  switch ((<i32>load<u16>(p) << 16) | <i32>load<u16>(q)) {",
    ...[...byHead].map(([key, tests]) => `    case ${key}: { ${tests.join(" ")} return 0; }`),
    "    default: return 0;",
    "  }",
    "}",
    "",
  ].join("\n");
}
