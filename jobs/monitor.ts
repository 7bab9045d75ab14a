import { type MilestoneState, MilestoneTracker } from "./compare/milestones.ts";
import { expectedPatterns, InputScript, type InputState } from "./input.ts";
import { JUDGE_INTERVAL } from "./limits.ts";
import { Lines, textOf } from "./lines.ts";
import { Pattern } from "./pattern/match.ts";
import { SnapshotPoints, type SnapshotPointsState } from "./snapshot-points.ts";
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
  /** Where the run began: not at 0 if it began from a snapshot. */
  readonly start: Clock;
  /** What was on the unfinished line when the run began, until that line ends. */
  readonly before: string;
  readonly lastOutput: Clock;
  /** Guest time at which the verdict was known. */
  readonly decidedAt: number | null;
  /** How the guest ended, if it is no more. */
  readonly guestEnd: string | null;
  readonly input: InputState;
  readonly snapshots: SnapshotPointsState;
  /** Checkpoints of an older version have none. */
  readonly milestones?: MilestoneState;
}

/** What a run from a snapshot takes over. */
export interface RunStart {
  readonly clock: Clock;
  /** The line the guest had not finished, one character a byte: input may wait for the prompt on it. */
  readonly line: string;
}

const FROM_KERNEL: RunStart = { clock: { instructions: 0, guestNanoseconds: 0 }, line: "" };

/** Linux kernel/panic.c. */
const PANIC = "Kernel panic - not syncing";
const EXCERPT = 200;
const NANOSECONDS = 1e9;

const seconds = (value: number): string => `${value} guest second${value === 1 ? "" : "s"}`;
const count = (value: number): string => value.toLocaleString("en-US");

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
  /** What steps wait for. */
  readonly #waited: readonly Pattern[];
  #bytes = 0;
  readonly #lines: Lines;
  #lastLine = "";
  #passed: (string | null)[];
  #findings: Finding[] = [];
  #panicExpected = false;
  readonly #start: Clock;
  /** What was on the unfinished line when the run began, until that line ends. No pattern for a verdict sees it. */
  #before: string;
  #lastOutput: Clock;
  #decidedAt: number | null = null;
  #guestEnd: string | null = null;

  /** What has to happen in order, and what is to be typed when. */
  readonly input: InputScript;
  /** When the job is to make snapshots of itself. */
  readonly snapshots: SnapshotPoints;
  /** How far the kernel has come. */
  readonly milestones: MilestoneTracker;

  /** `start` is for a run that begins from a snapshot; `saved` for one that goes on. */
  constructor(config: JobConfig, saved?: MonitorState, start: RunStart = FROM_KERNEL) {
    this.#config = config;
    this.#pass = config.expect.pass.map((source) => new Pattern(source));
    this.#fail = config.expect.fail.map((source) => new Pattern(source));
    this.#waited = expectedPatterns({ ...config.expect, pass: [] }).map((source) => new Pattern(source));
    this.#passed = config.expect.pass.map(() => null);
    this.#lines = new Lines(saved?.line);
    this.#start = saved?.start ?? start.clock;
    this.#before = saved?.before ?? start.line;
    this.#lastOutput = saved?.lastOutput ?? this.#start;
    this.input = new InputScript(config.expect.steps, this.#start, saved?.input, start.line);
    this.snapshots = new SnapshotPoints(config.snapshots, saved?.snapshots);
    this.milestones = new MilestoneTracker(saved?.milestones);
    if (saved === undefined) return;
    this.#bytes = saved.bytes;
    this.#lastLine = saved.lastLine;
    this.#passed = [...saved.passed];
    this.#findings = [...saved.findings];
    this.#panicExpected = saved.panicExpected;
    this.#decidedAt = saved.decidedAt;
    this.#guestEnd = saved.guestEnd;
  }

  save(): MonitorState {
    return {
      bytes: this.#bytes,
      line: this.#lines.unfinished,
      lastLine: this.#lastLine,
      passed: this.#passed,
      findings: this.#findings,
      panicExpected: this.#panicExpected,
      start: this.#start,
      before: this.#before,
      lastOutput: this.#lastOutput,
      decidedAt: this.#decidedAt,
      guestEnd: this.#guestEnd,
      input: this.input.save(),
      snapshots: this.snapshots.save(),
      milestones: this.milestones.save(),
    };
  }

  /** The line the guest has not finished, one character a byte, also if it began before this run did. */
  get unfinishedLine(): string {
    return this.#before + this.#lines.unfinished;
  }

  /** Console bytes kept so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The instruction count up to which the guest may run before the next `check`. */
  nextCheck(instructions: number): number {
    const next = (Math.floor(instructions / JUDGE_INTERVAL) + 1) * JUDGE_INTERVAL;
    const limit = this.#start.instructions + this.#config.limits.instructions;
    return instructions < limit ? Math.min(next, limit) : next;
  }

  /** Takes console output; returns the part of it that is kept (all of it, up to the console limit). */
  output(bytes: Uint8Array): Uint8Array {
    const kept = bytes.subarray(0, Math.max(0, this.#config.limits.consoleBytes - this.#bytes));
    this.#bytes += kept.length;
    const lines = this.#lines.take(kept);
    if (lines.length > 0) this.#before = "";
    for (const line of lines) this.#matchLine(line);
    this.input.output(kept);
    this.snapshots.output(kept);
    this.milestones.output(kept);
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
    if (this.#lines.check()) this.#lastOutput = clock;
    else if (this.#lines.unfinished !== "") this.#matchLine(this.#lines.unfinished);
    this.input.check(clock);
    this.snapshots.check(clock.instructions);
    if (this.#allPassed()) this.milestones.mark("pass");
    this.milestones.check(clock);
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

  /**
   * The guest waits for an event that only input could be: everything it printed was given to `output`. True if there is
   * something to type or a snapshot to make, after which it may go on.
   */
  rests(clock: Clock): boolean {
    this.input.check(clock, true);
    this.snapshots.check(clock.instructions, true);
    return this.input.isDue || this.snapshots.due.length > 0;
  }

  /** The guest ended by itself, at `clock`; everything it printed was given to `output`. */
  ended(end: GuestEnd, clock?: Clock): Outcome {
    if (this.#lines.unfinished !== "") this.#matchLine(this.#lines.unfinished);
    this.#lines.clear();
    this.input.check(clock ?? this.#lastOutput, true);
    if (end.kind !== "idle") this.#guestEnd = end.kind === "crash" ? end.message : end.reason;
    if (clock !== undefined) {
      if (this.#allPassed()) this.milestones.mark("pass");
      this.milestones.check(clock);
    }
    const finding = this.#endFinding(end);
    if (finding !== undefined) this.#findings.push(finding);
    return this.#outcome();
  }

  #found(code: Finding["code"]): boolean {
    return this.#findings.some((finding) => finding.code === code);
  }

  /** Everything that was asked for has happened: nothing is left to be seen, and no step is left. */
  #allPassed(): boolean {
    return this.#asked() && !this.#passed.includes(null) && this.input.waitingFor === undefined;
  }

  #asked(): boolean {
    return this.#hasGoal || this.input.waitingFor !== undefined;
  }

  /** There is something to be seen at the end: what was typed last is not, its effects are. */
  get #hasGoal(): boolean {
    const last = this.#config.expect.steps.at(-1);
    return this.#passed.length > 0 || (last !== undefined && last.send === undefined);
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
    if (expected || this.#waited.some((pattern) => pattern.test(line))) this.#panicExpected = true;
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
    const step = this.input.exceeded(clock);
    if (step !== undefined) return this.#late(step);
    const guestSeconds = (clock.guestNanoseconds - this.#start.guestNanoseconds) / NANOSECONDS;
    if (clock.instructions - this.#start.instructions >= limits.instructions) {
      return this.#timeout(
        "instructions",
        `${count(limits.instructions)} instructions (limits.instructions)`,
      );
    }
    if (guestSeconds >= limits.guestSeconds) {
      return this.#timeout("guest-time", `${seconds(limits.guestSeconds)} (limits.guestSeconds)`);
    }
    const silent =
      (clock.guestNanoseconds - this.#lastOutput.guestNanoseconds) / NANOSECONDS >= limits.silentSeconds;
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
      message: `The guest stopped printing for ${span}; its last line: ${this.#lastLine}${this.#waiting()}`,
      ...this.#step(),
    };
  }

  /** A step waited longer than its own limit. */
  #late(limit: string): Finding {
    if (this.#bytes === 0)
      return {
        verdict: "no-output",
        code: "no-output",
        message: `The guest printed nothing within ${limit}.`,
        ...this.#step(),
      };
    return {
      verdict: "timeout",
      code: "step",
      message: `A step took longer than ${limit}${this.#waiting()}; the last line: ${this.#lastLine}`,
      ...this.#step(),
    };
  }

  /** The step that the run stands at. */
  #step(): Pick<Finding, "step"> {
    const { waiting } = this.input;
    return waiting === undefined ? {} : { step: waiting };
  }

  #timeout(code: "instructions" | "guest-time", limit: string): Finding {
    if (this.#bytes === 0)
      return {
        verdict: "no-output",
        code: "no-output",
        message: `The guest printed nothing within ${limit}.`,
      };
    return {
      verdict: "timeout",
      code,
      message: `The guest did not end within ${limit}${this.#missing()}`,
      ...this.#step(),
    };
  }

  #missing(): string {
    const missing = this.#config.expect.pass.filter((_, index) => this.#passed[index] === null);
    const seen =
      missing.length === 0 ? "" : `; not seen: ${missing.map((source) => `/${source}/`).join(", ")}`;
    return `${seen}${this.#waiting()}.`;
  }

  #waiting(): string {
    const waiting = this.input.waitingFor;
    return waiting === undefined ? "" : `; ${waiting}`;
  }

  /** What is wrong with an end of this kind, given what was seen before; undefined when nothing is. */
  #endFinding(end: GuestEnd): Finding | undefined {
    if (end.kind === "crash")
      return { verdict: "crash", code: "machine-crash", message: `The guest crashed: ${end.message}` };
    const patternsAsked = this.#asked();
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
        ...this.#step(),
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
        ...this.#step(),
      };
    }
    return undefined;
  }

  #outcome(): Outcome {
    const [first, ...rest] = this.#findings;
    if (first !== undefined) return judge([first, ...rest]);
    if (!this.#hasGoal) {
      return judge([
        {
          verdict: "pass",
          code: "powered-off",
          message: "The guest printed something and powered off without a panic.",
        },
      ]);
    }
    const seen = expectedPatterns(this.#config.expect)
      .map((source) => `/${source}/`)
      .join(", ");
    return judge([{ verdict: "pass", code: "patterns-seen", message: `Seen: ${seen}.` }]);
  }
}
