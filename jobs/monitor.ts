import { JUDGE_INTERVAL, LINE_BYTES } from "./limits.ts";
import { Pattern } from "./pattern/match.ts";
import type { JobConfig } from "./spec.ts";
import { type Finding, judge, type Outcome } from "./verdict.ts";

/** How a guest came to its end by itself. The same shape as the engine's SliceEnd without "budget". */
export type GuestEnd =
  | { readonly kind: "shutdown"; readonly reason: string }
  | { readonly kind: "crash"; readonly message: string }
  | { readonly kind: "idle" };

/** A point in a run. */
export interface Clock {
  readonly instructions: number;
  readonly guestNanoseconds: number;
}

/** All a monitor remembers, as JSON: it is part of a checkpoint. */
export interface MonitorState {
  readonly bytes: number;
  /** The unfinished line, one character a byte (Latin-1). */
  readonly line: string;
  /** What the last line that was not blank said. */
  readonly lastLine: string;
  /** For each pass pattern: the line that matched. */
  readonly passed: readonly (string | null)[];
  readonly findings: readonly Finding[];
  /** A pass pattern matched the panic's own line: the panic was what the user asked for. */
  readonly panicExpected: boolean;
  readonly lastOutput: Clock;
  /** Guest time at which the verdict was known. */
  readonly decidedAt: number | null;
}

/** Linux kernel/panic.c. */
const PANIC = "Kernel panic - not syncing";
/** Escape sequences (ECMA-48 CSI and the short ones), which GRUB draws its prompt with, are no text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is what an escape sequence begins with
const ESCAPES = /\u001b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|[()][0-9A-B]|[=>78cDEHM])/g;
const EXCERPT = 200;
const NANOSECONDS = 1e9;

const seconds = (value: number): string => `${value} guest second${value === 1 ? "" : "s"}`;
const count = (value: number): string => value.toLocaleString("en-US");

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

const DECODER = new TextDecoder();
/** What a console line says: UTF-8 decoded, without escape sequences and carriage returns. */
function textOf(line: string): string {
  const bytes = Uint8Array.from(line, (character) => character.charCodeAt(0));
  return DECODER.decode(bytes).replace(ESCAPES, "").replaceAll("\r", "");
}

/**
 * Watches one guest: its console for patterns, panics and floods, its clock for limits; and says when the run is over and
 * why. It depends on the console bytes and on the clock at the moments `check` is called, on nothing else.
 *
 * Patterns are matched line by line. A line ends at a line feed or after LINE_BYTES bytes; an unfinished line, such as a
 * prompt, counts as a line once nothing was printed between two checks, and when the guest ends.
 */
export class Monitor {
  readonly #config: JobConfig;
  readonly #pass: readonly Pattern[];
  readonly #fail: readonly Pattern[];
  #bytes = 0;
  #line = "";
  #lastLine = "";
  #passed: (string | null)[];
  #findings: Finding[] = [];
  #panicExpected = false;
  #lastOutput: Clock = { instructions: 0, guestNanoseconds: 0 };
  #decidedAt: number | null = null;
  #printedSinceCheck = false;

  constructor(config: JobConfig, saved?: MonitorState) {
    this.#config = config;
    this.#pass = config.expect.pass.map((source) => new Pattern(source));
    this.#fail = config.expect.fail.map((source) => new Pattern(source));
    this.#passed = config.expect.pass.map(() => null);
    if (saved === undefined) return;
    this.#bytes = saved.bytes;
    this.#line = saved.line;
    this.#lastLine = saved.lastLine;
    this.#passed = [...saved.passed];
    this.#findings = [...saved.findings];
    this.#panicExpected = saved.panicExpected;
    this.#lastOutput = saved.lastOutput;
    this.#decidedAt = saved.decidedAt;
  }

  save(): MonitorState {
    return {
      bytes: this.#bytes,
      line: this.#line,
      lastLine: this.#lastLine,
      passed: this.#passed,
      findings: this.#findings,
      panicExpected: this.#panicExpected,
      lastOutput: this.#lastOutput,
      decidedAt: this.#decidedAt,
    };
  }

  /** Console bytes kept so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The instruction count up to which the guest may run before the next `check`. */
  nextCheck(instructions: number): number {
    const next = (Math.floor(instructions / JUDGE_INTERVAL) + 1) * JUDGE_INTERVAL;
    return instructions < this.#config.limits.instructions
      ? Math.min(next, this.#config.limits.instructions)
      : next;
  }

  /** Takes console output; returns the part of it that is kept (all of it, up to the console limit). */
  output(bytes: Uint8Array): Uint8Array {
    const kept = bytes.subarray(0, Math.max(0, this.#config.limits.consoleBytes - this.#bytes));
    this.#bytes += kept.length;
    if (bytes.length > 0) this.#printedSinceCheck = true;
    const lines = (this.#line + latin1(kept)).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) this.#longLine(line);
    while (this.#line.length > LINE_BYTES) {
      this.#matchLine(this.#line.slice(0, LINE_BYTES));
      this.#line = this.#line.slice(LINE_BYTES);
    }
    if (kept.length < bytes.length && !this.#found("console-flood")) {
      this.#findings.push({
        verdict: "fail",
        code: "console-flood",
        message: `The guest printed more than ${count(this.#config.limits.consoleBytes)} bytes (limits.consoleBytes).`,
      });
    }
    return kept;
  }

  /** To be called at every `nextCheck`, after `output`. An outcome means the run is over. */
  check(clock: Clock): Outcome | undefined {
    if (this.#printedSinceCheck) this.#lastOutput = clock;
    else if (this.#line !== "") this.#matchLine(this.#line);
    this.#printedSinceCheck = false;
    if (this.#found("console-flood")) return this.#outcome();

    if (this.#decidedAt === null && (this.#findings.length > 0 || this.#allPassed()))
      this.#decidedAt = clock.guestNanoseconds;
    const { limits } = this.#config;
    if (
      this.#decidedAt !== null &&
      clock.guestNanoseconds - this.#decidedAt >= limits.graceSeconds * NANOSECONDS
    ) {
      return this.#outcome();
    }
    const exceeded = this.#exceeded(clock);
    if (exceeded === undefined) return undefined;
    if (this.#decidedAt === null) this.#findings.push(exceeded);
    return this.#outcome();
  }

  /** The guest ended by itself at `clock`; everything it printed was given to `output`. */
  ended(end: GuestEnd): Outcome {
    if (this.#line !== "") this.#matchLine(this.#line);
    this.#line = "";
    const finding = this.#endFinding(end);
    if (finding !== undefined) this.#findings.push(finding);
    return this.#outcome();
  }

  #found(code: Finding["code"]): boolean {
    return this.#findings.some((finding) => finding.code === code);
  }

  #allPassed(): boolean {
    return this.#passed.length > 0 && !this.#passed.includes(null);
  }

  #longLine(line: string): void {
    for (let start = 0; start === 0 || start < line.length; start += LINE_BYTES) {
      this.#matchLine(line.slice(start, start + LINE_BYTES));
    }
  }

  #matchLine(raw: string): void {
    const line = textOf(raw);
    if (line.trim() !== "") this.#lastLine = line.trim().slice(0, EXCERPT);
    let expected = false;
    for (const [index, pattern] of this.#pass.entries()) {
      if (!pattern.test(line)) continue;
      this.#passed[index] ??= line.slice(0, EXCERPT);
      expected = true;
    }
    const failing = this.#fail.find((pattern) => pattern.test(line));
    if (failing !== undefined && !this.#found("fail-pattern")) {
      this.#findings.push({
        verdict: "fail",
        code: "fail-pattern",
        message: `The fail pattern /${failing.source}/ matched: ${line.trim().slice(0, EXCERPT)}`,
      });
    }
    if (!line.includes(PANIC)) return;
    if (expected) this.#panicExpected = true;
    else if (!this.#found("panic") && !this.#panicExpected) {
      const words = line.slice(line.indexOf(PANIC)).trim().slice(0, EXCERPT);
      this.#findings.push({
        verdict: "crash",
        code: "panic",
        message: `The guest's kernel panicked: ${words}`,
      });
    }
  }

  #exceeded(clock: Clock): Finding | undefined {
    const { limits } = this.#config;
    const guestSeconds = clock.guestNanoseconds / NANOSECONDS;
    if (clock.instructions >= limits.instructions) {
      return this.#timeout(
        "instructions",
        `${count(limits.instructions)} instructions (limits.instructions)`,
      );
    }
    if (guestSeconds >= limits.guestSeconds) {
      return this.#timeout("guest-time", `${seconds(limits.guestSeconds)} (limits.guestSeconds)`);
    }
    const silent = guestSeconds - this.#lastOutput.guestNanoseconds / NANOSECONDS >= limits.silentSeconds;
    const busy = clock.instructions - this.#lastOutput.instructions >= limits.silentInstructions;
    if (!silent && !busy) return undefined;
    const span = silent
      ? `${seconds(limits.silentSeconds)} (limits.silentSeconds)`
      : `${count(limits.silentInstructions)} instructions (limits.silentInstructions)`;
    if (this.#bytes === 0)
      return { verdict: "no-output", code: "no-output", message: `The guest printed nothing for ${span}.` };
    return {
      verdict: "timeout",
      code: "silent",
      message: `The guest stopped printing for ${span}; its last line: ${this.#lastLine}`,
    };
  }

  #timeout(code: "instructions" | "guest-time", limit: string): Finding {
    if (this.#bytes === 0)
      return {
        verdict: "no-output",
        code: "no-output",
        message: `The guest printed nothing within ${limit}.`,
      };
    return { verdict: "timeout", code, message: `The guest did not end within ${limit}${this.#missing()}` };
  }

  #missing(): string {
    const missing = this.#config.expect.pass.filter((_, index) => this.#passed[index] === null);
    return missing.length === 0 ? "." : `; not seen: ${missing.map((source) => `/${source}/`).join(", ")}.`;
  }

  /** What is wrong with an end of this kind, given what was seen before; undefined when nothing is. */
  #endFinding(end: GuestEnd): Finding | undefined {
    if (end.kind === "crash")
      return { verdict: "crash", code: "machine-crash", message: `The guest crashed: ${end.message}` };
    const patternsAsked = this.#passed.length > 0;
    if (end.kind === "idle") {
      if (this.#allPassed()) return undefined;
      if (this.#bytes === 0) {
        return {
          verdict: "no-output",
          code: "no-output",
          message: "The guest printed nothing and waits for an event that can never come.",
        };
      }
      return {
        verdict: "timeout",
        code: "hang",
        message: `The guest waits for an event that can never come${this.#missing()}`,
      };
    }
    switch (end.reason) {
      case "crash":
      case "watchdog":
        if (this.#panicExpected) break;
        return {
          verdict: "crash",
          code: "guest-crash",
          message: `The guest shut down with the reason SHUTDOWN_${end.reason}.`,
        };
      case "reboot":
      case "soft_reset":
        if (patternsAsked) break;
        return { verdict: "fail", code: "rebooted", message: "The guest rebooted instead of powering off." };
      case "suspend":
        if (patternsAsked) break;
        return {
          verdict: "fail",
          code: "suspended",
          message: "The guest suspended itself instead of powering off.",
        };
    }
    if (this.#bytes === 0)
      return {
        verdict: "no-output",
        code: "no-output",
        message: "The guest ended without printing anything.",
      };
    if (patternsAsked && !this.#allPassed()) {
      return {
        verdict: "fail",
        code: "pattern-missing",
        message: `The guest ended (${end.reason})${this.#missing()}`,
      };
    }
    return undefined;
  }

  #outcome(): Outcome {
    const [first, ...rest] = this.#findings;
    if (first !== undefined) return judge([first, ...rest]);
    if (this.#passed.length === 0) {
      return judge([
        {
          verdict: "pass",
          code: "powered-off",
          message: "The guest printed something and powered off without a panic.",
        },
      ]);
    }
    const seen = this.#config.expect.pass.map((source) => `/${source}/`).join(", ");
    return judge([{ verdict: "pass", code: "patterns-seen", message: `Seen: ${seen}.` }]);
  }
}
