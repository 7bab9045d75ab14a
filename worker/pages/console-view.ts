import {
  CONSOLE_START,
  type ConsoleLine,
  type ConsolePosition,
  ConsoleReader,
} from "../../jobs/ansi/console.ts";
import { classesOf } from "../../jobs/ansi/style.ts";

/** Lines of a console in one page, and as many more as one piece may have. */
export const WINDOW_LINES = 4000;
const PIECE_BYTES = 2048;
/** Lines that a search shows. */
const FOUND_LINES = 500;

/** A part of a console that makes one page. */
export interface ConsoleWindow {
  readonly lines: readonly ConsoleLine[];
  /** Where a live page goes on: the beginning of the line that has not ended. Null if lines follow. */
  readonly next: ConsolePosition | null;
  /** First lines of the windows before and behind; null if there is none. */
  readonly before: number | null;
  readonly behind: number | null;
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/** Where the windows of a console begin. Nothing of it is kept. */
export async function windowsOf(chunks: AsyncIterable<Uint8Array>): Promise<readonly ConsolePosition[]> {
  const reader = new ConsoleReader();
  const starts: ConsolePosition[] = [CONSOLE_START];
  let passed = 0;
  for await (const chunk of chunks) {
    for (const piece of pieces(chunk)) {
      passed += reader.skip(piece);
      if (passed < WINDOW_LINES) continue;
      starts.push(reader.position);
      passed = 0;
    }
  }
  // A window of nothing would be no use.
  const last = starts.at(-1);
  if (starts.length > 1 && last !== undefined && last.offset === reader.bytes) starts.pop();
  return starts;
}

/** Which of the windows has a line: the last one if they end before it. */
export function windowOfLine(starts: readonly ConsolePosition[], line: number): number {
  return Math.max(
    0,
    starts.findLastIndex(({ number }) => number <= line),
  );
}

/** Reads the window `index`; `chunks` is the console from its first byte on. */
export async function readWindow(
  chunks: AsyncIterable<Uint8Array>,
  starts: readonly ConsolePosition[],
  index: number,
): Promise<ConsoleWindow> {
  const reader = new ConsoleReader(starts[index]);
  const end = starts[index + 1]?.number ?? Number.POSITIVE_INFINITY;
  const lines: ConsoleLine[] = [];
  const before = starts[index - 1]?.number ?? null;
  for await (const chunk of chunks) {
    for (const piece of pieces(chunk)) {
      lines.push(...reader.read(piece));
      if ((lines.at(-1)?.number ?? 0) >= end - 1)
        return { lines: lines.filter(({ number }) => number < end), next: null, before, behind: end };
    }
  }
  const unfinished = reader.unfinished();
  if (unfinished !== undefined) lines.push(unfinished);
  return { lines, next: reader.position, before, behind: null };
}

/** Lines that have `text` in them, upper and lower case being the same. */
export async function findLines(
  chunks: AsyncIterable<Uint8Array>,
  text: string,
): Promise<{ readonly lines: readonly ConsoleLine[]; readonly more: boolean }> {
  const wanted = text.toLowerCase();
  const reader = new ConsoleReader();
  const lines: ConsoleLine[] = [];
  const take = (line: ConsoleLine): boolean => {
    if (
      !line.spans
        .map((span) => span.text)
        .join("")
        .toLowerCase()
        .includes(wanted)
    )
      return false;
    if (lines.length >= FOUND_LINES) return true;
    lines.push(line);
    return false;
  };
  for await (const chunk of chunks) {
    for (const line of reader.read(chunk)) if (take(line)) return { lines, more: true };
  }
  const last = reader.unfinished();
  return { lines, more: last !== undefined && take(last) };
}

/** The lines from `first` to `last`; the console is read no further. */
export async function readLines(
  chunks: AsyncIterable<Uint8Array>,
  first: number,
  last: number,
): Promise<readonly ConsoleLine[]> {
  const reader = new ConsoleReader();
  const lines: ConsoleLine[] = [];
  for await (const chunk of chunks) {
    for (const piece of pieces(chunk)) {
      lines.push(...reader.read(piece).filter(({ number }) => number >= first && number <= last));
      if (reader.position.number > last) return lines;
    }
  }
  const unfinished = reader.unfinished();
  return unfinished === undefined || unfinished.number > last ? lines : [...lines, unfinished];
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escapeText = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");

/**
 * Lines as HTML; client/console.ts makes the same elements. Numbers are links to their lines, but no stops of the keyboard: there
 * would be thousands. `marked` lines are those that say what went wrong.
 */
export function linesHtml(
  lines: readonly ConsoleLine[],
  marked: ReadonlySet<number> = new Set(),
  addressOf: (line: number) => string = (line) => `#L${line}`,
): string {
  let html = "";
  for (const { number, spans } of lines) {
    html += `<div class="l${marked.has(number) ? " bad" : ""}" id="L${number}"><a tabindex="-1" href="${escapeText(addressOf(number))}">${number}</a>`;
    for (const { text, style } of spans) {
      const classes = classesOf(style);
      html += classes === "" ? escapeText(text) : `<span class="${classes}">${escapeText(text)}</span>`;
    }
    html += "\n</div>";
  }
  return html;
}
