import { describe, expect, test } from "vitest";
import { PATTERN_PROGRAM } from "../limits.ts";
import { growth, MOST_GROWTH } from "../testing/growth.ts";
import { Pattern } from "./match.ts";
import { PatternError } from "./parse.ts";

/*
 * Patterns decide verdicts, so they must mean what JavaScript means by them: every pattern here is tried on every line
 * with JavaScript's own RegExp as the judge. And they must never run long, which is why they have an engine of their
 * own: the classic patterns that hang a backtracking engine are tried on lines made to hang it.
 */

const PATTERNS = [
  "BOOT-OK",
  "^BOOT-OK$",
  "panic",
  "a|b|",
  "(?:ab)+c",
  "x*",
  "^$",
  "^\\s*#",
  "\\d{2,4}:\\d+",
  "[^a-z]$",
  "[-a]b",
  "[a-]b",
  "[\\d.]+ MIPS",
  "\\bOK\\b",
  "\\BK",
  "colou?r",
  "me.home",
  "^\\S+$",
  "(a|ab)(c|bcd)",
  "a{3}",
  "a{0}b",
  "a{2,}b",
  "(a*)*b",
  "(a|aa)+$",
  "\\.",
  "\\[ *\\d+\\.\\d+\\]",
  "[\\]x]",
  "é",
  "\\x41\\u0042",
  "end.$",
  "a.c",
  "^(?:init|/init): (ok|done)",
  "grub>",
  "{",
  "a{x",
  "[\\w-]+@",
  "[^\\W\\d]",
  "\\w+?\\s",
  "a??b",
  "(|a)b",
  "^^a",
  "(x+x+)+y",
];
const LINES = [
  "",
  "BOOT-OK",
  " BOOT-OK",
  "BOOT-OK ",
  "Kernel panic - not syncing",
  "abababc",
  "abc",
  "abcd",
  "ac",
  "bcd",
  "aaa",
  "aaab",
  "b",
  "#",
  "  # comment",
  "12:34",
  "1:2",
  "1234:5",
  "100.5 MIPS",
  "an OK here",
  "OKAY",
  "NOK",
  "color",
  "colour",
  "[    0.000000] Linux",
  "]",
  "x",
  "café",
  "AB",
  "the end.",
  "the end",
  "init: ok",
  "/init: done",
  "grub> ",
  "{",
  "a{x",
  "me@host",
  "me\u2028home",
  "wide\u3000space",
  "\ufeff",
  "_",
  "9",
  "word word",
  "a\tc",
  "xxxxy",
];

describe("patterns mean what RegExp means", () => {
  for (const source of PATTERNS) {
    test(source, () => {
      const pattern = new Pattern(source);
      const judge = new RegExp(source);
      for (const line of LINES) expect([line, pattern.test(line)]).toEqual([line, judge.test(line)]);
    });
  }

  test("(?i) at the beginning ignores case", () => {
    expect(new Pattern("(?i)boot-ok").test("Boot-OK")).toBe(true);
    expect(new Pattern("(?i)[a-c]x").test("BX")).toBe(true);
    expect(new Pattern("(?i)^[^a]$").test("A")).toBe(false);
    // The last have three forms: final sigma, micro sign, titlecase.
    const letters = ["k", "s", "ss", "\u00e5", "\u00df", "\u03c2", "\u00b5", "\u01c5", "[^\u03c2]"];
    for (const source of [...letters, "[^k]", "[a-z]", "\\w"]) {
      for (const line of [
        "k",
        "K",
        "\u212a",
        "\u017f",
        "S",
        "\u00df",
        "\u1e9e",
        "\u00e5",
        "\u00c5",
        "\u212b",
        "\u03c3",
        "\u03a3",
        "\u03bc",
        "\u039c",
        "\u01c4",
        "\u01c6",
      ]) {
        const expected = new RegExp(source, "i").test(line);
        expect([source, line, new Pattern(`(?i)${source}`).test(line)]).toEqual([source, line, expected]);
      }
    }
  });

  test("random patterns on random lines agree with RegExp", () => {
    let seed = 12345;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % n;
    };
    const piece = (depth: number): string => {
      const atoms = ["a", "b", "c", ".", "[ab]", "[^a]", "\\b", "^", "$", "\\w"];
      const atom =
        depth > 0 && random(3) === 0
          ? `(${piece(depth - 1)}|${piece(depth - 1)})`
          : atoms[random(atoms.length)]!;
      const repeatable = !["\\b", "^", "$"].includes(atom);
      const quantifier = repeatable ? ["", "", "", "*", "+", "?", "{2}", "{1,3}"][random(8)]! : "";
      return atom + quantifier + (random(2) === 0 ? piece(depth) : "");
    };
    for (let i = 0; i < 2000; i++) {
      const source = piece(2);
      if (source.length > 60) continue;
      const pattern = new Pattern(source);
      const judge = new RegExp(source);
      for (let j = 0; j < 5; j++) {
        const line = Array.from({ length: random(9) }, () => "abc -"[random(5)]).join("");
        expect([source, line, pattern.test(line)]).toEqual([source, line, judge.test(line)]);
      }
    }
  });
});

describe("patterns cannot run long", () => {
  const evil = [
    "(a+)+$",
    "(a|a)*$",
    "(a|aa)+$",
    "(.*a){12}$",
    "(\\w*\\s*)*!$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
  ];
  for (const source of evil) {
    test(source, async () => {
      const pattern = new Pattern(source);
      const run = (length: number): void => {
        const line = `${"a".repeat(length - 1)}!`;
        for (let i = 0; i < 200; i++) pattern.test(line);
      };
      expect(await growth(run, 256, 4096)).toBeLessThan(MOST_GROWTH);
    });
  }

  test("nothing, repeated, is nothing at once", () => {
    const nested = "(".repeat(30) + "){1000}".repeat(30);
    expect(new Pattern(`^a${nested}b$`).test("ab")).toBe(true);
    expect(new Pattern("^(a{0}){1000}(|){3}b$").test("ab")).toBe(false);
  });

  test("what is remembered of states is bounded, and forgetting changes nothing", () => {
    const source = "^[ab]*a[ab]{180}$";
    const pattern = new Pattern(source);
    const judge = new RegExp(source);
    let seed = 1;
    let most = 0;
    for (let i = 0; i < 20; i++) {
      const line = Array.from({ length: 400 }, () => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return (seed >>> 16) % 2 === 0 ? "a" : "b";
      }).join("");
      expect(pattern.test(line)).toBe(judge.test(line));
      most = Math.max(most, pattern.remembered);
    }
    // 20 lines have 8,000 states of some 90 instructions.
    expect(most).toBeGreaterThan(1000);
    expect(most).toBeLessThan(20_000);
  });

  test("a line that stands still costs nothing", () => {
    const pattern = new Pattern("a[ab]{390}$");
    let seed = 1;
    const letters = Array.from({ length: 4096 }, () => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 16) % 2 === 0 ? "a" : "b";
    });
    const line = letters.with(-391, "a").join("");
    const cost = (times: number): number => {
      const start = process.cpuUsage();
      for (let i = 0; i < times; i++) expect(pattern.test(`${line}c`.slice(0, -1))).toBe(true);
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    const once = cost(1);
    expect(cost(50)).toBeLessThan(10 * once);
    expect(pattern.test(`${line}c`)).toBe(false);
    expect(pattern.test(line)).toBe(true);
  });

  test("a repetition too large to write out is refused at once", () => {
    for (const source of ["((a{100}){100}){100}", `a{${PATTERN_PROGRAM + 1}}`, "(a{9}){99}"]) {
      expect(() => new Pattern(source)).toThrow(PatternError);
    }
  });
});

describe("what is refused says why and where", () => {
  const refused: [string, RegExp, number][] = [
    ["(a", /never closed/, 0],
    ["a)", /no \( before/, 1],
    ["[a", /never closed/, 0],
    ["*a", /nothing to repeat/, 0],
    ["a**", /two quantifiers/, 2],
    ["(a)\\1", /backreferences/, 3],
    ["(?=a)", /not supported/, 0],
    ["(?<n>a)", /not supported/, 0],
    ["[z-a]", /out of order/, 0],
    ["a{3,2}", /out of order/, 1],
    ["\\xg0", /hexadecimal/, 0],
    ["\\q", /not known/, 0],
    ["a\\", /ends too early/, 2],
    ["a{2000}", /at most 1000/, 1],
  ];
  for (const [source, message, offset] of refused) {
    test(source, () => {
      let caught: unknown;
      try {
        new Pattern(source);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(PatternError);
      expect((caught as PatternError).message).toMatch(message);
      expect((caught as PatternError).offset).toBe(offset);
    });
  }
});
