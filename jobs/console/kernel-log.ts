import { Lines, textOf } from "../lines.ts";
import { VERDICTS } from "../verdict.ts";
import { InitcallTracker, type RunningInitcall } from "./initcalls.ts";
import { DIE, type EventKind, KIND_VERDICTS, killed, openingOf, PANIC_KINDS } from "./kinds.ts";
import {
  CONTEXT_LINES,
  EVENT_LINES,
  EVENTS,
  EXCERPT_CHARACTERS,
  EXCERPT_LINES,
  KEY_LINES,
  LINE_CHARACTERS,
} from "./limits.ts";
import { parsePrintk } from "./printk.ts";
import { type Frames, frameOf, isGeneric, NO_FRAMES, withFrame } from "./stack.ts";
import { functionOf, normalise } from "./title.ts";

/** Something a kernel complained about, with its own words. */
export interface KernelEvent {
  readonly kind: EventKind;
  /** The same for equal failures, whatever the addresses, numbers and processes were. */
  readonly title: string;
  /** The console line it began at, counted from 1. */
  readonly line: number;
  /** That line's time stamp in seconds, if it had one. */
  readonly time: number | null;
  /** The line that says what happened, as printed. */
  readonly text: string;
  readonly excerpt: readonly string[];
  /** The initcall under way: from initcall_debug's lines if there are any, else from the call trace. */
  readonly initcall: string | null;
  /** Title of the event that a panic followed from, as with panic_on_oops. */
  readonly cause: string | null;
  /** How many times it happened. */
  readonly count: number;
}

/** An event whose end has not been seen. */
interface OpenEvent {
  readonly kind: EventKind;
  readonly title: string;
  readonly placed: boolean;
  readonly message: string;
  readonly line: number;
  readonly time: number | null;
  readonly lastTime: number | null;
  readonly text: string;
  readonly excerpt: readonly string[];
  readonly characters: number;
  readonly lines: number;
  readonly died: boolean;
  /** It began below a line of "=" and ends with the next one. */
  readonly ruled: boolean;
  readonly inTrace: boolean;
  readonly rip: string | null;
  readonly frames: Frames;
  readonly initcall: string | null;
  readonly cause: string | null;
}

/** All a log remembers, as JSON. */
export interface KernelLogState {
  readonly line: string;
  readonly lineNumber: number;
  readonly timed: boolean;
  readonly recent: readonly string[];
  readonly initcalls: readonly RunningInitcall[];
  readonly events: readonly KernelEvent[];
  readonly open: OpenEvent | null;
  readonly dropped: number;
}

const CUT_HERE = "------------[ cut here ]------------";
const RULE = /^={20,}$/;
/** Panics that only say that something before them was the last straw (kernel/panic.c and callers). */
const CONSEQUENCE =
  /^Kernel panic: (?:Fatal exception|kernel: panic_on_warn|panic_on_warn|\S{0,16}: panic_on_warn|hung_task|softlockup|Hard LOCKUP|RCU Stall|Out of memory|System is deadlocked|KASAN|UBSAN|Attempted to kill init)/;
/** A kernel that has this much time between two lines has ended what it was saying. */
const GAP_SECONDS = 1;
/** Traces of these end the event; oopses go on to "end trace". */
const ENDS_WITH_TRACE: ReadonlySet<EventKind> = new Set([
  "hung-task",
  "soft-lockup",
  "rcu-stall",
  "allocation-failure",
  "lockdep",
]);

/**
 * Reads a kernel's console as it comes and understands what it complains about. However the bytes are cut into pieces, the
 * events are the same; memory is bounded (limits.ts), and time is linear in the number of bytes. When the kernel puts time
 * stamps on its lines, lines without one are user space's and are not believed.
 */
export class KernelLog {
  readonly #lines: Lines;
  #lineNumber: number;
  #timed: boolean;
  #recent: readonly string[];
  readonly #initcalls: InitcallTracker;
  #events: KernelEvent[];
  #open: OpenEvent | null;
  #dropped: number;

  constructor(saved?: KernelLogState) {
    this.#lines = new Lines(saved?.line);
    this.#lineNumber = saved?.lineNumber ?? 0;
    this.#timed = saved?.timed ?? false;
    this.#recent = saved?.recent ?? [];
    this.#initcalls = new InitcallTracker(saved?.initcalls);
    this.#events = [...(saved?.events ?? [])];
    this.#open = saved?.open ?? null;
    this.#dropped = saved?.dropped ?? 0;
  }

  save(): KernelLogState {
    return {
      line: this.#lines.unfinished,
      lineNumber: this.#lineNumber,
      timed: this.#timed,
      recent: this.#recent,
      initcalls: this.#initcalls.running,
      events: this.#events,
      open: this.#open,
      dropped: this.#dropped,
    };
  }

  output(bytes: Uint8Array): void {
    for (const line of this.#lines.take(bytes)) this.#take(textOf(line));
  }

  /** The guest prints no more: an unfinished line is one, and an event under way is over. */
  end(): void {
    const last = this.#lines.unfinished;
    this.#lines.clear();
    if (last !== "") this.#take(textOf(last));
    this.#close();
  }

  /** What happened so far, in order, equal ones counted; one that is still being told is told as far as it is known. */
  get events(): readonly KernelEvent[] {
    if (this.#open === null) return this.#events;
    const copy = [...this.#events];
    add(copy, finish(this.#open));
    return copy;
  }

  /** Distinct events beyond those that are kept. */
  get dropped(): number {
    return this.#dropped;
  }

  #take(line: string): void {
    this.#lineNumber++;
    const { text, time } = parsePrintk(line);
    if (time !== null && text.startsWith("Linux version ")) this.#timed = true;
    if (this.#timed && time === null) return;
    this.#initcalls.take(text);
    const shown = line.slice(0, LINE_CHARACTERS);
    this.#event(text, time, shown);
    this.#recent = [...this.#recent, shown].slice(-CONTEXT_LINES);
  }

  #event(text: string, time: number | null, shown: string): void {
    let open = this.#open;
    if (open !== null && time !== null && open.lastTime !== null && time - open.lastTime > GAP_SECONDS) {
      this.#close();
      open = null;
    }
    const opening = openingOf(text);
    if (open !== null && !continues(open, text, opening?.kind)) {
      if (opening !== undefined || text === CUT_HERE) {
        this.#close();
        open = null;
      }
    } else if (open !== null) {
      this.#open = told(open, text, time, shown);
      return;
    }
    if (open !== null) {
      const grown = told(open, text, time, shown);
      this.#open = grown;
      if (isOver(grown, text)) this.#close();
      return;
    }
    if (opening === undefined) return;
    const before = PANIC_KINDS.has(opening.kind) ? this.#recent : sinceCutHere(this.#recent, 1);
    const message = sinceCutHere(this.#recent)
      .map((recent) => parsePrintk(recent).text.trim())
      .filter((recent) => recent !== CUT_HERE && recent !== "")
      .at(0);
    const excerpt = [...before, shown];
    this.#open = {
      kind: opening.kind,
      title: opening.title,
      placed: opening.placed ?? false,
      message: message ?? "",
      line: this.#lineNumber,
      time,
      lastTime: time,
      text: shown,
      excerpt,
      characters: excerpt.reduce((sum, { length }) => sum + length, 0),
      lines: 1,
      died: DIE.test(text),
      ruled: RULE.test(parsePrintk(this.#recent.at(-1) ?? "").text),
      // KFENCE's first trace comes without a headline.
      inTrace: opening.kind === "kfence",
      rip: null,
      frames: NO_FRAMES,
      initcall: this.#initcalls.last,
      cause:
        opening.title.startsWith("Kernel panic") && CONSEQUENCE.test(opening.title) ? this.#causeOf() : null,
    };
  }

  #causeOf(): string | null {
    const last = this.#events.at(-1);
    return last === undefined ? null : last.title;
  }

  #close(): void {
    if (this.#open === null) return;
    const event = finish(this.#open);
    this.#open = null;
    if (!add(this.#events, event)) this.#dropped++;
  }
}

/** The lines from the last "cut here" on, and `before` ones before it; none if there is none. */
function sinceCutHere(recent: readonly string[], before = 0): readonly string[] {
  const at = recent.findLastIndex((line) => line.endsWith(CUT_HERE));
  return at < 0 ? [] : recent.slice(Math.max(0, at - before));
}

/** Whether a line that could begin an event belongs to the one under way. */
function continues(open: OpenEvent, text: string, kind: EventKind | undefined): boolean {
  if (kind === undefined) return false;
  if (kind === "oops" && !open.died && DIE.test(text)) return open.kind === "oops" || open.kind === "bug";
  return kind === "oom-kill" && open.kind === "oom-kill" && killed(text) !== undefined;
}

/** The event with one more line. */
function told(open: OpenEvent, text: string, time: number | null, shown: string): OpenEvent {
  // What an excerpt must not lack has room of its own.
  const room = openingOf(text) === undefined ? 0 : KEY_LINES;
  const fits =
    open.excerpt.length < EXCERPT_LINES + room &&
    open.characters + shown.length <= EXCERPT_CHARACTERS + room * LINE_CHARACTERS;
  const trimmed = text.trim();
  const rip = trimmed.startsWith("RIP: ") ? (functionOf(trimmed) ?? null) : null;
  const frame = open.inTrace ? frameOf(text) : undefined;
  const victim = open.kind === "oom-kill" ? killed(text) : undefined;
  return {
    ...open,
    title: victim ?? open.title,
    lastTime: time ?? open.lastTime,
    excerpt: fits ? [...open.excerpt, shown] : open.excerpt,
    characters: fits ? open.characters + shown.length : open.characters,
    lines: open.lines + 1,
    died: open.died || DIE.test(text),
    rip: open.rip ?? rip,
    inTrace: trimmed === "Call Trace:" || (open.inTrace && trimmed !== "</TASK>"),
    frames: frame === undefined ? open.frames : withFrame(open.frames, frame),
  };
}

/** Whether `text`, just told, was the event's last line. */
function isOver(open: OpenEvent, text: string): boolean {
  const trimmed = text.trim();
  if (trimmed.startsWith("---[ end ")) return true;
  if (open.ruled && RULE.test(trimmed)) return true;
  if (ENDS_WITH_TRACE.has(open.kind) && trimmed === "</TASK>") return true;
  return open.lines >= EVENT_LINES;
}

function finish(open: OpenEvent): KernelEvent {
  const { rip, frames } = open;
  const place = rip !== null && !isGeneric(rip) ? rip : (frames.first ?? rip);
  const located = open.placed || place === null || PANIC_KINDS.has(open.kind) ? "" : ` in ${place}`;
  const message = open.message === "" ? "" : `: ${open.message}`;
  return {
    kind: open.kind,
    title: normalise(`${open.title}${located}${message}`),
    line: open.line,
    time: open.time,
    text: open.text,
    excerpt: open.excerpt,
    initcall: open.initcall ?? frames.initcall ?? (frames.inInitcall ? rip : null),
    cause: open.cause,
    count: 1,
  };
}

/** How bad an event is. */
const badness = ({ kind }: KernelEvent): number => VERDICTS.indexOf(KIND_VERDICTS[kind]);

/**
 * Adds an event or counts it to an equal one; false if one had to be dropped, which is this one, or the last of those that are less bad:
 * an oops behind many warnings is what the run is judged by.
 */
function add(events: KernelEvent[], event: KernelEvent): boolean {
  const index = events.findIndex(({ title, kind }) => title === event.title && kind === event.kind);
  const known = events[index];
  if (known !== undefined) {
    events[index] = { ...known, count: known.count + 1 };
    return true;
  }
  const isFull = events.length >= EVENTS;
  const least = isFull ? events.findLastIndex((other) => badness(other) < badness(event)) : -1;
  if (isFull && least < 0) return false;
  if (least >= 0) events.splice(least, 1);
  events.push(event);
  return !isFull;
}
