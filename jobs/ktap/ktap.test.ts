import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { growth, MOST_GROWTH } from "../testing/growth.ts";
import { findingsOfTests } from "./findings.ts";
import { DEPTH, RESULTS } from "./limits.ts";
import { KtapReader, readKtap } from "./read.ts";
import { casesOf, countsOf, type TestResult } from "./results.ts";
import { writeKtap } from "./write.ts";

/*
 * Kernel tests print what they found on the console, among everything else that is printed there. The recording is of a guest
 * in which KUnit ran two of its suites and kselftest's runner some tests; the other outputs are after the specification
 * (Documentation/dev-tools/ktap.rst) and its older relatives, TAP 13 and 14.
 */

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const recording = readFileSync(join(import.meta.dirname, "..", "console", "recorded", "tests.txt"));
/** KUnit in Debian's 6.1, mode hvm: suites that fail, warn, are skipped, cannot start, and panic. Registers are left out. */
const recordedPanic = readFileSync(
  join(import.meta.dirname, "..", "console", "recorded", "kunit-panic.txt"),
  "latin1",
);
const read = (text: string) => readKtap(bytes(text));

/** "name status reason", children indented. */
function outline(results: readonly TestResult[], indent = ""): string[] {
  return results.flatMap(({ name, status, reason, children }) => [
    `${indent}${name} ${status}${reason === "" ? "" : ` (${reason})`}`,
    ...outline(children, `${indent}  `),
  ]);
}

describe("a guest that runs the kernel's tests", () => {
  const run = readKtap(recording);

  test("KUnit's suites, their tests, and why some were skipped", () => {
    const suites = run.results.slice(0, 3);
    expect(suites.map(({ name, status, children }) => [name, status, children.length])).toEqual([
      ["example", "pass", 4],
      ["list-kunit-test", "pass", 39],
      ["hlist", "pass", 18],
    ]);
    expect(outline(suites.slice(0, 1))).toEqual([
      "example pass",
      "  example_simple_test pass",
      "  example_skip_test skip (this test should be skipped)",
      "  example_mark_skipped_test skip (this test should be skipped)",
      "  example_all_expect_macros_test pass",
    ]);
  });

  test("kselftest's tests with what they printed themselves", () => {
    const tests = run.results.slice(3, 8);
    expect(tests.map(({ name, status, reason }) => [name, status, reason])).toEqual([
      ["selftests: clone3: clone3", "pass", ""],
      ["selftests: clone3: clone3_clear_sighand", "pass", ""],
      ["selftests: clone3: clone3_set_tid", "pass", ""],
      ["selftests: clone3: missing", "fail", ""],
      ["selftests: size: get_size", "pass", ""],
    ]);
    // What the tests say themselves, on the same console: "1..17" of clone3 and its totals.
    const text = recording.toString("latin1");
    const totals = [...text.matchAll(/# # Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:0 skip:(\d+)/g)];
    expect(totals.length).toBe(3);
    for (const [index, total] of totals.entries()) {
      const counts = countsOf(casesOf({ ...run, results: tests[index]?.children ?? [] }));
      expect([counts.pass, counts.fail, counts.xfail, counts.skip].map(String)).toEqual(total.slice(1, 5));
    }
    expect(tests[3]?.diagnostics.join("\n")).toContain("file missing is missing!");
  });

  test("a test that prints TAP by itself, its clocks that do not exist skipped", () => {
    const clocks = run.results.slice(8);
    const text = recording.toString("latin1");
    const total = /# Totals: pass:(\d+) fail:0 xfail:0 xpass:0 skip:(\d+) error:0\r?\nDONE/.exec(text);
    const counts = countsOf(casesOf({ ...run, results: clocks }));
    expect([String(counts.pass), String(counts.skip)]).toEqual([total?.[1], total?.[2]]);
    expect(clocks[2]).toMatchObject({ name: "CLOCK_PROCESS_CPUTIME_ID", status: "skip" });
  });

  test("nothing is wrong with the output", () => {
    expect(run.problems).toEqual([]);
    expect(run.dropped).toBe(0);
  });

  test("in pieces of any size", () => {
    for (const size of [1, 13, 1000]) {
      const reader = new KtapReader();
      for (let at = 0; at < recording.length; at += size) reader.output(recording.subarray(at, at + size));
      expect(reader.end()).toEqual(run);
    }
  });

  test("written as KTAP and read again it is the same", () => {
    const again = read(writeKtap(run));
    expect(outline(again.results)).toEqual(outline(run.results));
    expect(again.problems).toEqual([]);
    expect(writeKtap(again)).toBe(writeKtap(run));
  });
});

describe("the specification", () => {
  test("its example", () => {
    const run = read(`KTAP version 1
1..1
  KTAP version 1
  1..3
    KTAP version 1
    1..1
    # test_1: initializing test_1
    ok 1 test_1
  ok 1 example_test_1
    KTAP version 1
    1..2
    ok 1 test_1 # SKIP test_1 skipped
    ok 2 test_2
  ok 2 example_test_2
    KTAP version 1
    1..3
    ok 1 test_1
    # test_2: FAIL
    not ok 2 test_2
    ok 3 test_3 # SKIP test_3 skipped
  not ok 3 example_test_3
not ok 1 main_test
`);
    expect(outline(run.results)).toEqual([
      "main_test fail",
      "  example_test_1 pass",
      "    test_1 pass",
      "  example_test_2 pass",
      "    test_1 skip (test_1 skipped)",
      "    test_2 pass",
      "  example_test_3 fail",
      "    test_1 pass",
      "    test_2 fail",
      "    test_3 skip (test_3 skipped)",
    ]);
    const failed = casesOf(run).filter(({ result }) => result.status === "fail");
    expect(failed.map(({ path, result }) => [...path, result.name].join(" "))).toEqual([
      "main_test example_test_3 test_2",
    ]);
    expect(failed[0]?.result.diagnostics).toEqual(["    # test_2: FAIL"]);
  });

  const lines: [string, string][] = [
    ["ok 1 a", "a pass"],
    ["ok 1 - a", "a pass"],
    ["ok a", "a pass"],
    ["ok 1", " pass"],
    ["not ok 1 a", "a fail"],
    ["ok 1 a # SKIP no device", "a skip (no device)"],
    ["not ok 1 a # SKIP no device", "a skip (no device)"],
    ["ok 1 # SKIP a", "a skip"],
    ["ok 1 a # skipped: no device", "a skip (no device)"],
    ["not ok 1 a # TODO later", "a todo (later)"],
    ["ok 1 a # TODO later", "a pass (later)"],
    ["not ok 1 a # XFAIL known", "a xfail (known)"],
    ["not ok 1 a # TIMEOUT 30 seconds", "a timeout (30 seconds)"],
    ["not ok 1 a # ERROR oom", "a error (oom)"],
    ["not ok 1 a # exit=2", "a fail (exit=2)"],
    ["ok 5 check return code # rcode=0", "check return code pass (rcode=0)"],
    ["ok 1 c\\# and b#c", "c# and b#c pass"],
    ["[    1.234567] ok 1 a", "a pass"],
    ["[    1.234567][  T104] not ok 1 - a\r", "a fail"],
  ];
  for (const [line, expected] of lines) {
    test(line, () => expect(outline(read(`TAP version 13\n1..1\n${line}\n`).results)).toEqual([expected]));
  }

  test("lines like results are no results before a test has begun", () => {
    expect(read("ok 1 a\nok then\nnot ok\n").results).toEqual([]);
    expect(read("okay 1\nKTAP version 1\nokay 2\nnot okay\nok: fine\n1...3\n").results).toEqual([]);
  });

  test("older KUnit: tabs and a header instead of a version", () => {
    const run = read(
      "TAP version 14\n1..2\n\t# Subtest: a\n\t1..1\n\tok 1 - x\nok 1 - a\n\t# Subtest: b\n\t1..1\n\tnot ok 1 - y\nnot ok 2 - b\n",
    );
    expect(outline(run.results)).toEqual(["a pass", "  x pass", "b fail", "  y fail"]);
  });

  test("TAP 14: the header stands before the indentation; YAML is diagnostics", () => {
    const run = read(
      "TAP version 14\n1..1\n# Subtest: a\n    1..2\n    not ok 1 - x\n      ---\n      ok 7 not a result\n      ...\n    ok 2 - y\nnot ok 1 - a\n",
    );
    expect(outline(run.results)).toEqual(["a fail", "  x fail", "  y pass"]);
    expect(run.problems).toEqual([]);
  });

  test("other lines between results: dashes that begin no YAML, the kernel in the middle of user space's line", () => {
    const run = read(
      "TAP version 13\n1..3\n---\nok 1 a\n---\nok 2 b[    1.234567][    T9] random: crng init done\n# [ 2.5] ok 3 quoted\n# [    2.549681] ok 3 quoted\nnot ok 3 c\n",
    );
    expect(outline(run.results)).toEqual(["a pass", "b pass", "c fail"]);
    expect(run.problems).toEqual([]);
  });

  test("a plan of nothing skips the group", () => {
    expect(
      outline(read("TAP version 13\n1..1\n# TAP version 13\n# 1..0 # SKIP no root\nok 1 a\n").results),
    ).toEqual(["a skip (no root)"]);
  });

  test("an output that is indented as a whole", () => {
    const run = read("# TAP version 14\n# 1..2\n# ok 1 a\n# ok 2 b\n");
    expect(outline(run.results)).toEqual(["a pass", "b pass"]);
    expect(run.problems).toEqual([]);
  });

  test("two outputs after one another", () => {
    const two = "TAP version 13\n1..1\nok 1 a\nTAP version 13\n1..1\nok 1 b\n1..1\nok 1 c\n";
    expect(outline(read(two).results)).toEqual(["a pass", "b pass", "c pass"]);
  });
});

describe("tests that do not come to their end", () => {
  test("a kernel that dies in the middle of a suite", () => {
    const run = read(`KTAP version 1
1..2
    KTAP version 1
    # Subtest: first
    1..2
    ok 1 a
    ok 2 b
ok 1 first
    KTAP version 1
    # Subtest: second
    1..3
    ok 1 c
[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
`);
    expect(outline(run.results)).toEqual([
      "first pass",
      "  a pass",
      "  b pass",
      "second error (no result)",
      "  c pass",
    ]);
    expect(run.problems).toEqual([
      "1 of 3 announced results of second came.",
      "second has no result of its own.",
    ]);
    expect(run.results[1]?.diagnostics.join()).toContain("NULL pointer");
    expect(countsOf(casesOf(run))).toMatchObject({ pass: 3, error: 1 });
  });

  test("a kernel that dies in the first test of a suite", () => {
    const run = read(
      "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: second\n    1..3\nBUG: unable\n",
    );
    expect(outline(run.results)).toEqual(["second error (no result)"]);
    expect(run.results[0]?.diagnostics).toEqual(["BUG: unable"]);
    expect(findingsOfTests(run)).toMatchObject([{ code: "tests-failed" }]);
  });

  test("KUnit's filter that names no suite, or is none; a test that cannot be run at all", () => {
    expect(findingsOfTests(read("[    0.1] KTAP version 1\n[    0.1] 1..0\n"))).toMatchObject([
      { verdict: "fail", code: "tests-incomplete" },
    ]);
    expect(findingsOfTests(read("[    0.1] kunit executor: unknown action 'lis'\n"))).toMatchObject([
      { verdict: "fail", message: "kunit executor: unknown action 'lis'" },
    ]);
    expect(findingsOfTests(read("TAP version 13\n1..0 # SKIP not as root\n"))).toMatchObject([
      { verdict: "skip", code: "tests-skipped" },
    ]);
  });

  test("KUnit's failures, parameters, skips and a suite that panics, as Linux 6.1 printed them to ttyS0", () => {
    const run = read(recordedPanic.replaceAll("\n", "\r\n"));
    // What tools/testing/kunit/kunit.py makes of the same text; for the panic it counts each of the two that did not come.
    expect(countsOf(casesOf(run))).toMatchObject({ pass: 7, fail: 4, skip: 2, error: 1 });
    expect(outline(run.results)).toEqual([
      "demo_fail fail",
      "  passes pass",
      "  fails fail",
      "  asserts fail",
      "  skips skip (no device: # 1)",
      "  params fail",
      "    value 1 pass (odd=1)",
      "    value 2 fail (odd=0)",
      "    value 3 pass (odd=1)",
      "    value 4 pass (odd=0)",
      "demo_warn pass",
      "  passes pass",
      "  warns pass",
      "demo_skip skip",
      "  skips skip (no device: # 1)",
      "demo_init_fails fail",
      "demo_panic error (no result)",
      "  passes pass",
    ]);
    expect(run.problems).toEqual([
      "1 of 3 announced results of demo_panic came.",
      "demo_panic has no result of its own.",
    ]);
    const asserts = casesOf(run).find(({ result }) => result.name === "asserts");
    expect(asserts?.result.diagnostics[0]).toContain("ASSERTION FAILED at");
    expect(outline(read(writeKtap(run)).results)).toEqual(outline(run.results));
  });

  test("results that were announced and never came, and a bail-out", () => {
    const run = read("TAP version 13\n1..5\nok 1 a\nBail out! no disk\n");
    expect(run.problems).toEqual(["Bail out! no disk", "1 of 5 announced results came."]);
  });
});

describe("hostile output", () => {
  test("a failure behind more results than are kept fails the run all the same", () => {
    const passed = Array.from({ length: RESULTS }, (_, index) => `ok ${index + 1} t${index}\n`).join("");
    const one = (end: string) => findingsOfTests(read(`KTAP version 1\n${passed}${end}`));
    expect(one("ok 10001 last\n")).toEqual([]);
    const inGroup = "  KTAP version 1\n  not ok 1 inner\nok 10001 group\n";
    for (const end of ["not ok 10001 last\n", inGroup])
      expect(one(end)).toMatchObject([{ verdict: "fail", code: "tests-incomplete" }]);
  });

  test("is bounded in results, depth and memory", () => {
    let text = "KTAP version 1\n";
    for (let depth = 0; depth < 3 * DEPTH; depth++) text += `${" ".repeat(2 * depth)}KTAP version 1\n`;
    for (let index = 0; index < RESULTS + 500; index++)
      text += `not ok ${index} ${"x".repeat(50)}\n# ${"y".repeat(300)}\n`;
    const run = read(text);
    expect(casesOf(run).length).toBeLessThanOrEqual(RESULTS);
    expect(run.dropped).toBe(500);
    expect(JSON.stringify(run).length).toBeLessThan(RESULTS * 600);
  });

  test("long lines cost no more than they are long", async () => {
    const evil = (length: number): string[] => [
      "# ".repeat(length / 2),
      "ok 1 ".repeat(length / 5),
      `1..${"9".repeat(length)}`,
      "\t".repeat(length),
      `ok 1 ${"\\#".repeat(length / 2)}`,
    ];
    const read = (length: number, times: number) => {
      readKtap(bytes(`KTAP version 1\n${`${evil(length).join("\n")}\n`.repeat(times)}`));
    };
    expect(await growth((times) => read(4000, times), 20, 320)).toBeLessThan(MOST_GROWTH);
    expect(await growth((length) => read(length, 200), 250, 4000)).toBeLessThan(MOST_GROWTH);
  });
});
