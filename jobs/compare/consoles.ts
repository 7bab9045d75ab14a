import { parsePrintk } from "../console/printk.ts";
import { normalise } from "../console/title.ts";
import { LINE_BYTES } from "../limits.ts";
import { latin1, textOf } from "../lines.ts";

/**
 * What of two lines need not be equal: the kernel's time stamps; with "numbers" also addresses and numbers, wherever they are; with
 * "nothing", every byte counts.
 */
export const IGNORED = ["stamps", "numbers", "nothing"] as const;
export type Ignored = (typeof IGNORED)[number];

/** Where two consoles part. */
export interface LineDifference {
  /** Counted from 1. */
  readonly line: number;
  /** The lines as printed; null where a console has ended. */
  readonly before: string | null;
  readonly now: string | null;
}

export interface ConsoleComparison {
  /** Not a byte differs. */
  readonly identical: boolean;
  /** The first line that differs in more than what is ignored; null if none does. */
  readonly difference: LineDifference | null;
}

const SHOWN_CHARACTERS = 400;

/** A console's lines with their ends, cut where they are longer than LINE_BYTES, however the pieces are cut. */
class RawLines {
  #lines: string[] = [];
  #at = 0;
  #rest = "";
  #isOver = false;

  /** Whether `push` has to be called before `take`. */
  get isEmpty(): boolean {
    return this.#at === this.#lines.length && !this.#isOver;
  }

  /** Takes the next piece; undefined at the end. */
  push(piece: Uint8Array | undefined): void {
    this.#isOver = piece === undefined;
    this.#lines = this.#cut(piece === undefined ? "" : latin1(piece));
    this.#at = 0;
  }

  /** The next line; undefined at the end. */
  take(): string | undefined {
    return this.#lines[this.#at++];
  }

  #cut(more: string): string[] {
    const text = this.#rest + more;
    const lines: string[] = [];
    let at = 0;
    while (at < text.length) {
      const feed = text.indexOf("\n", at);
      const isLong = feed < 0 ? text.length - at > LINE_BYTES : feed - at > LINE_BYTES;
      if (feed < 0 && !isLong && !this.#isOver) break;
      const end = isLong ? at + LINE_BYTES : feed < 0 ? text.length : feed + 1;
      lines.push(text.slice(at, end));
      at = end;
    }
    this.#rest = text.slice(at);
    return lines;
  }
}

const shown = (raw: string): string => textOf(raw.replace(/\n$/, ""));

function isSame(a: string, b: string, ignore: Ignored): boolean {
  if (a === b) return true;
  if (ignore === "nothing") return false;
  const [left, right] = [parsePrintk(shown(a)).text, parsePrintk(shown(b)).text];
  return left === right || (ignore === "numbers" && normalise(left) === normalise(right));
}

/** Compares two consoles as their lines come. */
class Comparer {
  readonly before = new RawLines();
  readonly now = new RawLines();
  readonly #ignore: Ignored;
  #line = 0;
  #identical = true;

  constructor(ignore: Ignored) {
    this.#ignore = ignore;
  }

  /** Goes on until one of the two needs another piece (undefined), or it is known how they compare. */
  run(): ConsoleComparison | undefined {
    while (!this.before.isEmpty && !this.now.isEmpty) {
      this.#line++;
      const a = this.before.take();
      const b = this.now.take();
      if (a === undefined && b === undefined) return { identical: this.#identical, difference: null };
      if (a === b) continue;
      this.#identical = false;
      if (a !== undefined && b !== undefined && isSame(a, b, this.#ignore)) continue;
      const text = (raw: string | undefined): string | null =>
        raw === undefined ? null : shown(raw).slice(0, SHOWN_CHARACTERS);
      return { identical: false, difference: { line: this.#line, before: text(a), now: text(b) } };
    }
    return undefined;
  }
}

/** Compares two consoles line by line, up to the first that differs; neither is held in memory. */
export async function compareConsoles(
  before: AsyncIterable<Uint8Array>,
  now: AsyncIterable<Uint8Array>,
  ignore: Ignored = "stamps",
): Promise<ConsoleComparison> {
  const comparer = new Comparer(ignore);
  const sides = [
    [comparer.before, before[Symbol.asyncIterator]()],
    [comparer.now, now[Symbol.asyncIterator]()],
  ] as const;
  try {
    for (;;) {
      const found = comparer.run();
      if (found !== undefined) return found;
      for (const [lines, pieces] of sides) {
        if (!lines.isEmpty) continue;
        const piece = await pieces.next();
        lines.push(piece.done === true ? undefined : piece.value);
      }
    }
  } finally {
    for (const [, pieces] of sides) await pieces.return?.();
  }
}

/** The same for consoles that are in memory. */
export function compareWholeConsoles(
  before: Uint8Array,
  now: Uint8Array,
  ignore: Ignored = "stamps",
): ConsoleComparison {
  const comparer = new Comparer(ignore);
  comparer.before.push(before);
  comparer.now.push(now);
  for (;;) {
    const found = comparer.run();
    if (found !== undefined) return found;
    for (const lines of [comparer.before, comparer.now]) if (lines.isEmpty) lines.push(undefined);
  }
}
