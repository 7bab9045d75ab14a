import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { growth, MOST_GROWTH } from "../testing/growth.ts";
import { type ConsoleLine, ConsoleReader, textOfSpans } from "./console.ts";
import { type Span, styleLine } from "./line.ts";
import {
  classesOf,
  decodeStyle,
  encodeStyle,
  FLAGS,
  nearestColour,
  PLAIN,
  rgbOf,
  type Style,
} from "./style.ts";

/*
 * A console is shown as a terminal would show it, one line at a time, and nothing in it gets further than its line. What text is
 * left is compared with Node's own idea of terminal sequences; colours with ECMA-48 and xterm's palette.
 */

const RECORDED = join(import.meta.dirname, "..", "console", "recorded");
const style = (fields: Partial<Style>): Style => ({ ...PLAIN, ...fields });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (line: string): string => textOfSpans(styleLine(line).spans);
const spansOf = (line: string): (readonly [string, string])[] =>
  styleLine(line).spans.map(({ text, style: look }: Span) => [text, classesOf(look)] as const);

function readAll(console: Uint8Array, piece: number): ConsoleLine[] {
  const reader = new ConsoleReader();
  const lines: ConsoleLine[] = [];
  for (let at = 0; at < console.length; at += piece)
    lines.push(...reader.read(console.subarray(at, at + piece)));
  const last = reader.unfinished();
  return last === undefined ? lines : [...lines, last];
}

describe("colours", () => {
  test("are set, combined and reset", () => {
    expect(spansOf("a\x1b[1;31mb\x1b[0mc\x1b[38;5;208md\x1b[48;2;255;0;0me\x1b[mf")).toEqual([
      ["a", ""],
      ["b", "f1 bo"],
      ["c", ""],
      ["d", "f208"],
      ["e", "b196 r208"],
      ["f", ""],
    ]);
    expect(spansOf("\x1b[38:2::0:0:255mx\x1b[38:5:9my\x1b[92;100mz")).toEqual([
      ["x", "f21"],
      ["y", "f9"],
      ["z", "b8 r10"],
    ]);
    expect(spansOf("\x1b[7mx\x1b[32my\x1b[27mz\x1b[3;4;9mw\x1b[23;24;29;39mv")).toEqual([
      ["x", "bd fd"],
      ["y", "b2 fd"],
      ["z", "f2"],
      ["w", "f2 it un st"],
      ["v", ""],
    ]);
  });

  test("go on in the next line, and in a reader that goes on from a position", () => {
    const first = new ConsoleReader();
    const [line] = first.read(bytes("\x1b[31mred\nstill"));
    expect(line?.spans[0]?.style).toEqual(style({ foreground: 1 }));
    expect(first.position).toEqual({ number: 2, offset: 9, style: style({ foreground: 1 }) });
    const second = new ConsoleReader(first.position);
    expect(second.read(bytes("still\n"))).toEqual(first.read(bytes("\n")));
    expect(second.bytes).toBe(15);
  });

  test("as styles survive an attribute", () => {
    for (const look of [PLAIN, style({ foreground: 0, background: 255, flags: FLAGS.dim | FLAGS.strike })])
      expect(decodeStyle(encodeStyle(look))).toEqual(look);
    expect(decodeStyle("x,9999,<b>")).toEqual(PLAIN);
  });

  test("of 24 bits become the nearest of the palette", () => {
    for (let index = 16; index < 256; index++) {
      const [r, g, b] = rgbOf(index);
      expect(rgbOf(nearestColour(r, g, b))).toEqual([r, g, b]);
    }
    expect(nearestColour(1e9, -5, 0)).toBe(196);
  });
});

describe("text", () => {
  test("of sequences that Node knows, too, is what Node leaves of it", () => {
    const lines = [
      "\x1b[1;32m[  OK  ]\x1b[0m Started \x1b[0;1;39mudev\x1b[0m.",
      "\x1b]0;title\x07after",
      "\x1b]8;;https://example.com/\x1b\\link\x1b]8;;\x1b\\ and on",
      "\x1b[?25l\x1b[?2004hprompt$ \x1b[6n",
      "plain",
    ];
    for (const line of lines) expect(textOf(line)).toBe(stripVTControlCharacters(line));
  });

  test("of real consoles is what Node leaves of it, however they come in pieces", () => {
    for (const name of readdirSync(RECORDED).filter((file) => file.endsWith(".txt") && file !== "list.txt")) {
      const console = new Uint8Array(readFileSync(join(RECORDED, name)));
      const shown = readAll(console, 1000).map(({ spans }) => textOfSpans(spans));
      const expected = stripVTControlCharacters(new TextDecoder().decode(console))
        .replaceAll("\r", "")
        .split("\n");
      if (expected.at(-1) === "") expected.pop();
      expect(shown.map((line) => line.replace(/ +$/, ""))).toEqual(
        expected.map((line) =>
          line.replace(/\t/g, (_, at: number) => " ".repeat(8 - (at % 8))).replace(/ +$/, ""),
        ),
      );
      expect(readAll(console, 7)).toEqual(readAll(console, 4096));
    }
  });

  test("is written over as on a terminal", () => {
    expect(textOf("loading  10%\rloading 100%\r")).toBe("loading 100%");
    expect(textOf("abc\b\bX")).toBe("aXc");
    expect(textOf("long text\rnew\x1b[K")).toBe("new");
    expect(textOf("abc\x1b[2Kd")).toBe("   d");
    expect(textOf("a\tb\x1b[3Cc\x1b[1GX\x1b[20GY")).toBe("X       b   c      Y");
  });

  test("keeps what would do harm in sight or out of the way", () => {
    expect(textOf("a\0b\x7fc\x01")).toBe("a␀b␡c␁");
    expect(textOf("\u202etxt.exe\u2066")).toBe("\ufffdtxt.exe\ufffd");
    expect(textOf("\u009b31mx")).toBe("\ufffd31mx");
    expect(textOf("\ud800x")).toBe("\ufffdx");
    expect(textOf("<script>alert(1)</script>")).toBe("<script>alert(1)</script>");
    // A string without an end takes its line and no more.
    const [one, two] = readAll(bytes("\x1b]0;never ends\nnext\n"), 3);
    expect([one, two].map((line) => textOfSpans(line?.spans ?? []))).toEqual(["", "next"]);
    // Nor does one that another sequence breaks off hide anything.
    expect(textOf("\x1b]0;a\x1b[31mb")).toBe("0;ab");
    expect(textOf("a\x1b[31")).toBe("a");
    expect(textOf("a\x1b")).toBe("a");
    expect(textOf("\x1b[999999999Cx").length).toBeLessThanOrEqual(4096);
    const invalid = readAll(new Uint8Array([0x61, 0xff, 0xc3, 0x0a]), 1);
    expect(textOfSpans(invalid[0]?.spans ?? [])).toBe("a\ufffd\ufffd");
  });
});

test("an overlong line is as many lines as it is for the patterns, and is shown in linear time", async () => {
  const long = readAll(bytes(`${"x".repeat(10_000)}\nshort`), 777);
  expect(long.map(({ number, spans }) => [number, textOfSpans(spans).length])).toEqual([
    [1, 4096],
    [2, 4096],
    [3, 1808],
    [4, 5],
  ]);
  for (const unit of ["\x1b", "\x1b]", "\x1b[1", "\x1b[1;", "\r", "\x1b[K", "\x1b[4000Cx\r", "\x1bP\x1b"]) {
    const run = (size: number): void => {
      readAll(bytes(`${unit.repeat(size / unit.length)}\n`), 65_536);
    };
    expect(await growth(run, 20_000, 320_000), JSON.stringify(unit)).toBeLessThan(MOST_GROWTH);
  }
});

test("lines that were skipped leave the same position", () => {
  const text = bytes("one\n\x1b[32mtwo\nthree\nfour \xe4");
  const [read, skipped] = [new ConsoleReader(), new ConsoleReader()];
  read.read(text);
  skipped.skip(text);
  expect(skipped.position).toEqual(read.position);
  expect(skipped.unfinished()).toEqual(read.unfinished());
});

test("skipping lines costs nothing of what showing them would", () => {
  // Each of these pieces fills a line of 4000 columns.
  const text = bytes(`${"\x1b[4000Cx\r\x1b[2K\x1b[3m\x1b]0;t\x07\x1b[1\x1b".repeat(100)}\n`.repeat(10));
  const cost = (work: (reader: ConsoleReader) => unknown): number => {
    const reader = new ConsoleReader();
    const start = process.cpuUsage();
    work(reader);
    const { user, system } = process.cpuUsage(start);
    expect(reader.position.style).toEqual(style({ flags: FLAGS.italic }));
    return user + system;
  };
  const shown = cost((reader) => reader.read(text));
  expect(cost((reader) => reader.skip(text))).toBeLessThan(shown / 2);
});
