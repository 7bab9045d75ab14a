import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { judgeConsole } from "./judge-console.ts";
import { reportConsole } from "./report/job.ts";
import { type Finding, judge, VERDICTS } from "./verdict.ts";

/*
 * A guest may power off politely after an oops, and a test program may end although its tests failed. What the whole console
 * says counts for the verdict; what a job asked for does not count against it. The consoles are recorded from real guests.
 */

const recorded = (name: string) =>
  reportConsole(readFileSync(join(import.meta.dirname, "console", "recorded", `${name}.txt`)));
const console = (text: string) => reportConsole(new TextEncoder().encode(text));
const finding = (fields: Partial<Finding>): Finding => ({
  verdict: "pass",
  code: "powered-off",
  message: "It powered off.",
  ...fields,
});
const POLITE = judge([finding({})]);

test("the worst of what the kernel said wins over a polite end", () => {
  for (const [name, verdict, code] of [
    ["warn", "fail", "warning"],
    ["oom", "fail", "oom-kill"],
    ["hung-task", "fail", "hung-task"],
    ["null", "crash", "oops"],
    ["list", "crash", "bug"],
    ["no-root", "crash", "no-root"],
    ["soft-lockup", "crash", "soft-lockup"],
    // A warning and a stall; the earlier of equals is the verdict's reason.
    ["rcu-stall", "fail", "warning"],
  ] as const) {
    const outcome = judgeConsole(POLITE, recorded(name), []);
    expect([name, outcome.verdict, outcome.code]).toEqual([name, verdict, code]);
    expect(outcome.findings).toContainEqual(POLITE.findings[0]);
  }
  expect(judgeConsole(POLITE, recorded("null"), []).reason).toBe(
    "BUG: kernel NULL pointer dereference in fail_init [fail] (in initcall fail_init [fail])",
  );
});

test("a failed test fails the run, and says which", () => {
  const outcome = judgeConsole(POLITE, recorded("tests"), []);
  expect(outcome).toMatchObject({ verdict: "fail", code: "tests-failed" });
  expect(outcome.reason).toMatch(/^1 of \d+ tests failed: selftests: clone3: missing\.$/);
});

test("tests that were all skipped are a skip, tests that broke off a failure, no tests nothing", () => {
  const skipped = judgeConsole(POLITE, console("TAP version 13\n1..1\nok 1 a # SKIP\n"), []);
  expect([skipped.verdict, skipped.code]).toEqual(["skip", "tests-skipped"]);
  const broken = judgeConsole(POLITE, console("TAP version 13\n1..3\nok 1 a\n"), []);
  expect([broken.verdict, broken.code]).toEqual(["fail", "tests-incomplete"]);
  expect(judgeConsole(POLITE, console("hello\n"), [])).toEqual(POLITE);
  expect(judgeConsole(POLITE, console("TAP version 13\n1..1\nok 1 a\n"), [])).toEqual(POLITE);
});

test("what was asked for does not count, nor what led to it", () => {
  expect(judgeConsole(POLITE, recorded("no-root"), ["Unable to mount root"]).verdict).toBe("pass");
  expect(judgeConsole(POLITE, recorded("oops-panic"), ["Kernel panic.*Fatal exception"]).verdict).toBe(
    "pass",
  );
  expect(judgeConsole(POLITE, recorded("oops-panic"), ["NULL pointer"]).verdict).toBe("crash");
});

test("a panic that the monitor saw is told once", () => {
  const panicked = judge([
    finding({ verdict: "crash", code: "panic", message: "The guest's kernel panicked: x" }),
  ]);
  const { findings } = judgeConsole(panicked, recorded("oops-panic"), []);
  expect(findings.map(({ code, message }) => [code, message])).toEqual([
    ["oops", expect.stringMatching(/^BUG: kernel NULL pointer dereference in fail_init/)],
    ["panic", expect.stringMatching(/^Kernel panic - not syncing: Fatal exception, after: BUG: kernel NULL/)],
  ]);
  expect(judgeConsole(panicked, recorded("init-exits"), [])).toMatchObject({
    code: "no-init",
    reason: "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300",
  });
  // A snapshot's console may begin behind the panic's line; then the monitor's word stands.
  expect(judgeConsole(panicked, console("hello\n"), [])).toEqual(panicked);
});

test("our own errors and cancellations stay what they are", () => {
  for (const [verdict, code] of [
    ["error", "infrastructure"],
    ["canceled", "canceled"],
  ] as const) {
    const ours = judge([finding({ verdict, code })]);
    expect(judgeConsole(ours, recorded("null"), [])).toEqual(ours);
  }
});

test("verdicts are ordered: each loses to every later one", () => {
  for (const [index, worse] of VERDICTS.entries()) {
    for (const better of VERDICTS.slice(0, index)) {
      for (const pair of [[better, worse] as const, [worse, better] as const])
        expect(judge([finding({ verdict: pair[0] }), finding({ verdict: pair[1] })]).verdict).toBe(worse);
    }
  }
  expect(VERDICTS).toEqual(["pass", "skip", "canceled", "timeout", "no-output", "fail", "crash", "error"]);
});
