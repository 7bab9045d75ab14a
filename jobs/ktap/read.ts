import { parsePrintk } from "../console/printk.ts";
import { Lines, textOf } from "../lines.ts";
import { DEPTH, DIAGNOSTIC_CHARACTERS, DIAGNOSTIC_LINES, NAME_CHARACTERS, RESULTS } from "./limits.ts";
import { hasFailure, type TestResult, type TestRun, type TestStatus } from "./results.ts";

/** What a line of test output says. `indent` is in columns. */
type Token =
  | { readonly kind: "version"; readonly indent: number }
  | { readonly kind: "plan"; readonly indent: number; readonly count: number; readonly skip: string | null }
  | { readonly kind: "subtest"; readonly indent: number; readonly name: string }
  | {
      readonly kind: "result";
      readonly indent: number;
      readonly ok: boolean;
      readonly number: string;
      readonly rest: string;
    }
  | { readonly kind: "bail"; readonly indent: number; readonly reason: string };

/** A group of results whose own result line has not come yet. */
interface Level {
  readonly indent: number;
  readonly results: TestResult[];
  /** Number and name of its results. */
  readonly seen: Set<string>;
  planned: number | null;
  /** Reason of "1..0 # SKIP". */
  skipped: string | null;
  name: string | null;
}

const VERSION = /^K?TAP version \d{1,3}$/;
const PLAN = /^1\.\.(\d{1,9})(?:\s{1,8}#\s{0,8}(SKIP\S{0,16})?\s{0,8}(.{0,256}))?$/i;
const RESULT = /^(not ok|ok)(?:$|[ \t]+(?:(\d{1,9})(?:$|[ \t]+))?(?:-(?:$|[ \t]+))?)/;
const DIRECTIVE = /^(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\S{0,16}(?:\s+|$)/i;
/** A time stamp of printk (kernel/printk/printk.c, print_time), as it stands in the middle of a line. */
const STAMP = /\[ {0,4}\d{1,10}\.\d{6}\](?:\[ {0,8}[TC]\d{1,10}\])? /;
/** What KUnit says before an error of its own, such as a filter it does not understand (lib/kunit/executor.c). */
const EXECUTOR = "kunit executor: ";
const TAB_COLUMNS = 8;
/** A level of "# ", which kselftest's runner puts before the lines of the tests it runs. */
const HASH_COLUMNS = 2;

/** Columns of space before the text. */
function indentOf(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (character !== " " && character !== "\t") break;
    columns += character === "\t" ? TAB_COLUMNS : 1;
  }
  return columns;
}

function tokenOf(line: string): Token | undefined {
  let at = 0;
  let indent = 0;
  for (let hashes = 0; hashes <= DEPTH; hashes++) {
    for (; line[at] === " " || line[at] === "\t"; at++) indent += line[at] === "\t" ? TAB_COLUMNS : 1;
    const token = contentOf(line.slice(at).trimEnd(), indent);
    if (token !== undefined) return token;
    if (line[at] !== "#" || line[at + 1] !== " ") return undefined;
    at += 2;
    indent += HASH_COLUMNS;
  }
  return undefined;
}

function contentOf(text: string, indent: number): Token | undefined {
  if (text.startsWith("# Subtest: "))
    return { kind: "subtest", indent, name: text.slice("# Subtest: ".length).trim() };
  if (text.startsWith("Bail out!")) return { kind: "bail", indent, reason: text.slice(9).trim() };
  if (text.startsWith("1..")) {
    const plan = PLAN.exec(text);
    if (plan === null) return undefined;
    const count = Number(plan[1]);
    return {
      kind: "plan",
      indent,
      count,
      skip: count === 0 && plan[2] !== undefined ? (plan[3] ?? "") : null,
    };
  }
  if (VERSION.test(text)) return { kind: "version", indent };
  const result = RESULT.exec(text);
  if (result === null) return undefined;
  return {
    kind: "result",
    indent,
    ok: result[1] === "ok",
    number: result[2] ?? "",
    rest: text.slice(result[0].length),
  };
}

/** Where the description ends: a "#" that begins the rest or follows a space, and has no backslash before it (TAP 14). */
function split(rest: string): { readonly name: string; readonly after: string } {
  for (let at = rest.indexOf("#"); at >= 0; at = rest.indexOf("#", at + 1)) {
    if (at > 0 && rest[at - 1] !== " " && rest[at - 1] !== "\t") continue;
    return { name: unescaped(rest.slice(0, at)), after: rest.slice(at + 1).trim() };
  }
  return { name: unescaped(rest), after: "" };
}

function unescaped(name: string): string {
  return name.replace(/\\([\\#])/g, "$1").trim();
}

function statusOf(ok: boolean, directive: string | undefined): TestStatus {
  switch (directive?.toUpperCase()) {
    case "SKIP":
      return "skip";
    case "TODO":
      return ok ? "pass" : "todo";
    case "XFAIL":
      return "xfail";
    case "TIMEOUT":
      return "timeout";
    case "ERROR":
      return "error";
    default:
      return ok ? "pass" : "fail";
  }
}

/**
 * Reads test results from a console as it comes: KTAP version 1 (Documentation/dev-tools/ktap.rst), with the nested results of
 * KUnit (indented, older ones with "# Subtest:") and of kselftest's runner ("# " before each line), TAP 13 and 14. Results are
 * believed once a version, a plan or a subtest header has been seen. Whatever else is printed in between is diagnostics.
 */
export class KtapReader {
  readonly #lines = new Lines();
  readonly #levels: Level[] = [];
  readonly #problems: string[] = [];
  readonly #done: TestResult[] = [];
  #begun = false;
  /** Columns of the result that was the line before this one. */
  #resultBefore: number | null = null;
  #subtest: string | null = null;
  #diagnostics: string[] = [];
  #inYaml = false;
  #results = 0;
  #dropped = 0;

  output(bytes: Uint8Array): void {
    for (const line of this.#lines.take(bytes)) this.#takes(textOf(line));
  }

  /** The guest prints no more. */
  end(): TestRun {
    if (this.#lines.unfinished !== "") this.#takes(textOf(this.#lines.unfinished));
    this.#lines.clear();
    this.#finish();
    return { results: this.#done, problems: this.#problems, dropped: this.#dropped };
  }

  /** A console line: what the kernel printed behind a result of user space, without waiting for its end, is a line of its own. */
  #takes(line: string): void {
    const at = line.search(STAMP);
    if (at > 0 && parsePrintk(line).time === null && tokenOf(line.slice(0, at))?.kind === "result") {
      this.#take(line.slice(0, at));
      this.#take(line.slice(at));
    } else this.#take(line);
  }

  #take(line: string): void {
    const { text } = parsePrintk(line);
    const resultBefore = this.#resultBefore;
    this.#resultBefore = null;
    if (this.#inYaml) {
      this.#diagnose(text);
      if (text.trim() === "...") this.#inYaml = false;
      return;
    }
    const token = tokenOf(text);
    if (token === undefined) {
      if (text.startsWith(EXECUTOR)) this.#problem(text.trim());
      if (!this.#begun) return;
      this.#diagnose(text);
      // Elsewhere it is a line that anybody may print.
      this.#inYaml = resultBefore !== null && text.trim() === "---" && indentOf(text) > resultBefore;
      return;
    }
    if (token.kind === "result" && !this.#begun) return;
    if (token.kind === "bail") {
      if (this.#begun) this.#problem(`Bail out! ${token.reason}`.trim());
      return;
    }
    this.#begun = true;
    if (token.kind === "subtest") this.#names(token.indent, token.name.slice(0, NAME_CHARACTERS));
    else if (token.kind === "result") {
      this.#result(token);
      this.#resultBefore = token.indent;
    } else this.#opens(token);
  }

  /** The name of the group whose version line was just seen (KUnit), or whose results come next (TAP 14). */
  #names(indent: number, name: string): void {
    const top = this.#levels.at(-1);
    if (top?.indent === indent && top.results.length === 0) top.name = name;
    this.#subtest = name;
  }

  /** A version or a plan: the results of a group, or of another document, come. */
  #opens(token: Token & { readonly kind: "version" | "plan" }): void {
    const top = this.#levels.at(-1);
    // Results of a group that is over without a result of its own: what ran it died, or never told.
    if (token.indent === 0 && (top?.indent ?? 0) > 0) this.#orphans(0);
    const same = this.#levels.findLast(({ indent }) => indent === token.indent);
    const full = same !== undefined && same.planned !== null && same.results.length >= same.planned;
    if (token.kind === "version") {
      if (token.indent === 0) this.#finish();
      else if (same !== undefined && same.results.length > 0) this.#orphans(token.indent - 1);
      this.#level(token.indent);
      return;
    }
    if (same !== undefined && full && same.results.length > 0) {
      if (token.indent === 0) this.#finish();
      else this.#orphans(token.indent - 1);
    }
    const level = this.#level(token.indent);
    level.planned = token.count;
    level.skipped = token.skip;
  }

  /** The level of this indentation, made if it is not there. */
  #level(indent: number): Level {
    const known = this.#levels.findLast((level) => level.indent <= indent);
    if (known?.indent === indent || this.#levels.length >= DEPTH) {
      const level = known ?? this.#levels[0];
      if (level !== undefined) return level;
    }
    const level: Level = {
      indent,
      results: [],
      seen: new Set(),
      planned: null,
      skipped: null,
      name: this.#subtest,
    };
    this.#levels.push(level);
    this.#subtest = null;
    return level;
  }

  #result({ indent, ok, number, rest }: Token & { readonly kind: "result" }): void {
    const { name, after } = split(rest);
    const directive = DIRECTIVE.exec(after);
    let reason = (directive === null ? after : after.slice(directive[0].length)).trim();
    let status = statusOf(ok, directive?.[1]);
    const children: TestResult[] = [];
    for (let top = this.#levels.at(-1); top !== undefined && top.indent > indent; top = this.#levels.at(-1)) {
      this.#levels.pop();
      this.#complete(top, name);
      if (top.planned === 0 && top.results.length === 0) {
        if (status === "pass") status = "skip";
        // kselftest's runner says only that it was skipped.
        if (status === "skip" && reason === "") reason = (top.skipped ?? "").trim();
      }
      children.unshift(...top.results);
    }
    const level = this.#level(indent);
    const key = `${number} ${ok} ${rest}`;
    // A test that forks with text in its buffer prints it twice.
    if (number !== "" && children.length === 0 && level.seen.has(key)) return;
    if (level.seen.size < RESULTS) level.seen.add(key);
    this.#add(level, {
      // kselftest prints "ok 3 # SKIP name".
      name: (name === "" ? reason : name).slice(0, NAME_CHARACTERS),
      status,
      reason: name === "" && directive !== null ? "" : reason.slice(0, DIAGNOSTIC_CHARACTERS),
      diagnostics: status === "pass" || status === "skip" ? [] : this.#diagnostics,
      children,
    });
    this.#diagnostics = [];
  }

  #add(level: Level, result: TestResult): void {
    if (this.#results >= RESULTS) {
      this.#dropped++;
      // What is not kept must not make a run look better than it was.
      if (hasFailure(result))
        this.#problem(`${result.name} failed, and there are more results than are kept.`);
      return;
    }
    this.#results++;
    level.results.push(result);
  }

  #complete(level: Level, name: string): void {
    if (this.#dropped > 0 || level.planned === null || level.results.length >= level.planned) return;
    const where = name === "" ? "" : ` of ${name}`;
    this.#problem(`${level.results.length} of ${level.planned} announced results${where} came.`);
  }

  /** Levels deeper than `indent` have no parent's result: they become groups that ended in an error. */
  #orphans(indent: number): void {
    for (let top = this.#levels.at(-1); top !== undefined && top.indent > indent; top = this.#levels.at(-1)) {
      this.#levels.pop();
      const name = top.name ?? "unnamed";
      this.#complete(top, name);
      // The first of its tests may be the one that ended everything.
      if (top.results.length === 0 && (top.name === null || top.planned === 0)) continue;
      // Nothing says that this is a group: the whole output is indented.
      if (this.#levels.length === 0 && top.name === null) {
        this.#done.push(...top.results);
        continue;
      }
      this.#problem(`${name} has no result of its own.`);
      const below = this.#levels.at(-1);
      const group: TestResult = {
        name,
        status: "error",
        reason: "no result",
        diagnostics: this.#diagnostics,
        children: top.results,
      };
      this.#diagnostics = [];
      if (below === undefined) this.#done.push(group);
      else this.#add(below, group);
    }
  }

  /** A document is over. */
  #finish(): void {
    this.#orphans(0);
    const level = this.#levels.pop();
    if (level === undefined) return;
    this.#complete(level, "");
    this.#planOfNone(level);
    this.#done.push(...level.results);
    this.#diagnostics = [];
  }

  /** "1..0" of a whole document: with "# SKIP" a test that could not be run, otherwise tests that were looked for and not found. */
  #planOfNone({ results, planned, skipped }: Level): void {
    if (planned !== 0 || results.length > 0) return;
    if (skipped === null) this.#problem("No test ran: the plan is of none.");
    else
      this.#done.push({
        name: "tests",
        status: "skip",
        reason: skipped.trim(),
        diagnostics: [],
        children: [],
      });
  }

  #diagnose(text: string): void {
    if (this.#diagnostics.length < DIAGNOSTIC_LINES && text.trim() !== "")
      this.#diagnostics.push(text.trimEnd().slice(0, DIAGNOSTIC_CHARACTERS));
  }

  #problem(message: string): void {
    if (this.#problems.length < DIAGNOSTIC_LINES)
      this.#problems.push(message.slice(0, DIAGNOSTIC_CHARACTERS));
  }
}

/** The test results of a whole console. */
export function readKtap(console: Uint8Array): TestRun {
  const reader = new KtapReader();
  reader.output(console);
  return reader.end();
}
