import { describe, expect, test } from "vitest";
import { InputScript } from "./input.ts";
import { JUDGE_INTERVAL } from "./limits.ts";
import { Monitor } from "./monitor.ts";
import { SnapshotPoints } from "./snapshot-points.ts";
import { parseConfig, parseForkConfig, type Step } from "./spec.ts";

/*
 * What is typed and when, as a story of what the guest prints: text for what it prints, "." for a moment at which the console
 * is judged. However the output is cut into pieces and wherever the state is saved and taken up again, the same steps are
 * typed at the same moments.
 */

const ENCODER = new TextEncoder();

const clock = (instructions: number, seconds = instructions / 1e9) => ({
  instructions,
  guestNanoseconds: seconds * 1e9,
});

/** Plays a story; "typed TEXT" entries are put where they were typed. */
function play(steps: readonly Step[], story: readonly string[], line = ""): string[] {
  let script = new InputScript(steps, clock(0), undefined, line);
  const seen: string[] = [];
  let now = 0;
  const type = (): void => {
    for (const text of script.take(clock(now))) seen.push(`typed ${text}`);
  };
  type();
  for (const event of story) {
    if (event === ".") {
      script.check(clock(now));
      now += JUDGE_INTERVAL;
      // A checkpoint may be written here.
      script = new InputScript(steps, clock(0), JSON.parse(JSON.stringify(script.save())));
      type();
      seen.push(".");
    } else {
      for (const byte of ENCODER.encode(event)) script.output(Uint8Array.of(byte));
      seen.push(event);
    }
  }
  return seen;
}

describe("input", () => {
  test("is typed at the first moment at which its pattern is on a line", () => {
    const steps = [{ wait: "login:", send: "root\n" }];
    expect(play(steps, ["boot\n", ".", "x login: y\n", "more\n", ".", "."])).toEqual([
      "boot\n",
      ".",
      "x login: y\n",
      "more\n",
      "typed root\n",
      ".",
      ".",
    ]);
  });

  test("waits for a prompt to stand still", () => {
    const steps = [{ wait: "# $", send: "ls\n" }];
    expect(play(steps, ["/ # ", ".", "."])).toEqual(["/ # ", ".", "typed ls\n", "."]);
  });

  test("without a pattern is typed at once, and so is what follows without one", () => {
    const steps = [{ send: "a" }, { send: "b" }, { wait: "ok", send: "c" }, { send: "d" }];
    expect(play(steps, [".", "ok\n", "."])).toEqual([
      "typed a",
      "typed b",
      ".",
      "ok\n",
      "typed c",
      "typed d",
      ".",
    ]);
  });

  test("does not take what was printed before the last step for what comes after it", () => {
    const steps = [
      { wait: "# $", send: "one\n" },
      { wait: "# $", send: "two\n" },
    ];
    expect(play(steps, ["/ # ", ".", ".", ".", "done\n/ # ", ".", "."])).toEqual([
      "/ # ",
      ".",
      "typed one\n",
      ".",
      ".",
      "done\n/ # ",
      ".",
      "typed two\n",
      ".",
    ]);
  });

  test("sees the prompt that the guest already stood at", () => {
    expect(play([{ wait: "# $", send: "ls\n" }], ["."], "/ # \u001b[6n")).toEqual(["typed ls\n", "."]);
    expect(play([{ wait: "# $", send: "ls\n" }], ["."], "/ # x")).toEqual(["."]);
  });

  test("is remembered with its instruction", () => {
    const script = new InputScript([{ send: "a" }, { wait: "x", send: "b" }], clock(0));
    expect(script.take(clock(5))).toEqual(["a"]);
    expect(script.take(clock(6))).toEqual([]);
    expect(script.typed).toEqual([{ instructions: 5, send: "a" }]);
    expect(script.waitingFor).toBe("step 2 of 2 waited for /x/");
  });
});

describe("a run with input", () => {
  const config = (fields: object) => parseConfig(fields, () => 0);

  function monitorOf(fields: object) {
    const monitor = new Monitor(config(fields));
    let at = 0;
    const step = (text: string) => {
      monitor.output(ENCODER.encode(text));
      at += JUDGE_INTERVAL;
      const outcome = monitor.check({ instructions: at, guestNanoseconds: at * 1000 });
      return { outcome, typed: monitor.input.take({ instructions: at, guestNanoseconds: at * 1000 }) };
    };
    return { monitor, step };
  }

  test("has not passed before all of it was typed", () => {
    const { monitor, step } = monitorOf({
      expect: { pass: ["^ok"] },
      limits: { graceSeconds: 0 },
      input: [{ expect: "# $", send: "x\n" }],
    });
    expect(step("ok\n").outcome).toBeUndefined();
    expect(step("/ # ").outcome).toBeUndefined();
    expect(step("").typed).toEqual(["x\n"]);
    expect(step("").outcome).toMatchObject({ verdict: "pass" });
    expect(monitor.input.waitingFor).toBeUndefined();
  });

  test("fails if the guest ends before, and says what was waited for", () => {
    const { monitor, step } = monitorOf({ input: [{ expect: "login", send: "x\n" }] });
    step("hello\n");
    expect(monitor.ended({ kind: "shutdown", reason: "poweroff" })).toMatchObject({
      verdict: "fail",
      code: "pattern-missing",
      reason: expect.stringMatching(/^The guest ended .*; step 1 of 1 waited for \/login\//),
    });
  });

  test("may be what a guest that rests waits for", () => {
    const { monitor } = monitorOf({ input: [{ expect: "> $", send: "go\n" }] });
    monitor.output(ENCODER.encode("grub> "));
    expect(monitor.rests({ instructions: 77, guestNanoseconds: 77 })).toBe(true);
    expect(monitor.input.take(clock(77))).toEqual(["go\n"]);
    expect(monitor.rests({ instructions: 78, guestNanoseconds: 78 })).toBe(false);
  });
});

describe("steps", () => {
  test("that type nothing are over with their line, and each line ends one of them at most", () => {
    const steps: Step[] = [{ wait: "up" }, { wait: "up" }, { wait: "ready", send: "go\n" }];
    expect(play(steps, ["up ready\n", ".", "ready\n", ".", "up\nready\n", "."])).toEqual([
      "up ready\n",
      ".",
      "ready\n",
      ".",
      "up\nready\n",
      "typed go\n",
      ".",
    ]);
  });

  test("do not see the same prompt twice", () => {
    const steps: Step[] = [{ wait: "# $" }, { wait: "# $", send: "x" }];
    expect(play(steps, ["/ # ", ".", ".", ".", "\n/ # ", ".", "."]).filter((event) => event !== ".")).toEqual(
      ["/ # ", "\n/ # ", "typed x"],
    );
  });

  test("have limits, counted from the end of the step before", () => {
    const script = new InputScript(
      [
        { wait: "a", limit: { guestSeconds: 2 } },
        { wait: "b", limit: { guestSeconds: 2, instructions: 100 } },
      ],
      clock(50, 10),
    );
    expect(script.exceeded(clock(60, 11.9))).toBeUndefined();
    expect(script.exceeded(clock(60, 12))).toBe("2 guest seconds (expect.steps[0].limit.guestSeconds)");
    script.output(ENCODER.encode("a\n"));
    script.check(clock(70, 11.5));
    expect(script.exceeded(clock(169, 13.4))).toBeUndefined();
    expect(script.exceeded(clock(170, 13.4))).toBe("100 instructions (expect.steps[1].limit.instructions)");
    expect(script.exceeded(clock(71, 13.5))).toBe("2 guest seconds (expect.steps[1].limit.guestSeconds)");
    expect(script.waiting).toEqual({ index: 1, wait: "b" });
    script.output(ENCODER.encode("b\n"));
    script.check(clock(99, 13));
    expect(script.exceeded(clock(1e9, 1e9))).toBeUndefined();
    expect(script.done.map(({ instructions }) => instructions)).toEqual([70, 99]);
  });

  /** Prints a line each second; the instruction at which the run was over, and how. `cut`: it is saved and restored each second. */
  function story(fields: object, lines: readonly string[], cut: boolean) {
    const parsed = parseConfig(fields, () => 0);
    let monitor = new Monitor(parsed);
    for (const [second, line] of lines.entries()) {
      monitor.input.take(clock(second * JUDGE_INTERVAL, second));
      monitor.output(ENCODER.encode(line));
      const outcome = monitor.check(clock((second + 1) * JUDGE_INTERVAL, second + 1));
      if (outcome !== undefined) return { second: second + 1, ...outcome, steps: monitor.input.done };
      if (cut) monitor = new Monitor(parsed, JSON.parse(JSON.stringify(monitor.save())));
    }
    throw new Error("never over");
  }
  const LOGIN = {
    limits: { graceSeconds: 0 },
    expect: {
      steps: [
        { wait: "login:", send: "root\n", limit: { guestSeconds: 3 } },
        { wait: "# $", send: "id\n", limit: { guestSeconds: 3 } },
        { wait: "^uid=0", limit: { guestSeconds: 3 } },
      ],
    },
  };

  test.each([false, true])("decide a run, checkpointed or not (%s)", (cut) => {
    const good = ["boot\n", "x login: ", "", "\n/ # ", "", "uid=0(root)\n", "", ""];
    const passed = story(LOGIN, good, cut);
    expect(passed).toMatchObject({ second: 6, verdict: "pass", code: "patterns-seen" });
    expect(passed.reason).toBe("Seen: /login:/, /# $/, /^uid=0/.");
    expect(passed.steps.map(({ instructions }) => instructions / JUDGE_INTERVAL)).toEqual([3, 5, 6]);
    const late = story(LOGIN, ["boot\n", "x login: ", "", ...Array(9).fill("noise\n")], cut);
    expect(late).toMatchObject({
      second: 6,
      verdict: "timeout",
      code: "step",
      findings: [{ step: { index: 1, wait: "# $" } }],
    });
    expect(late.reason).toBe(
      "A step took longer than 3 guest seconds (expect.steps[1].limit.guestSeconds); step 2 of 3 waited for /# $/; the last line: noise",
    );
  });

  test("of a guest that prints nothing end it with that verdict", () => {
    expect(story(LOGIN, Array(9).fill(""), false)).toMatchObject({ second: 3, verdict: "no-output" });
  });

  test("are out of order if a later one's line comes first", () => {
    const steps = [{ wait: "one" }, { wait: "two" }];
    const monitor = new Monitor(parseConfig({ expect: { steps } }, () => 0));
    monitor.output(ENCODER.encode("two\none\n"));
    expect(monitor.ended({ kind: "shutdown", reason: "poweroff" }, clock(5))).toMatchObject({
      verdict: "fail",
      code: "pattern-missing",
      reason: "The guest ended (poweroff); step 2 of 2 waited for /two/.",
      findings: [{ step: { index: 1, wait: "two" } }],
    });
  });

  test("may be over with the guest's last words", () => {
    const monitor = new Monitor(parseConfig({ expect: { steps: [{ wait: "halted" }] } }, () => 0));
    monitor.output(ENCODER.encode("System halted"));
    expect(monitor.ended({ kind: "shutdown", reason: "poweroff" }, clock(5))).toMatchObject({
      verdict: "pass",
    });
  });
});

describe("a run that begins at a snapshot", () => {
  const start = { clock: { instructions: 5_000_000_000, guestNanoseconds: 900e9 }, line: "/ # " };

  test("has its limits counted from there, and its patterns judged on its own output", () => {
    const limits = { instructions: 3_000_000, guestSeconds: 5 };
    const monitor = new Monitor(
      parseConfig({ limits, expect: { pass: ["#"] } }, () => 0),
      undefined,
      start,
    );
    const check = (more: number, seconds = 0) =>
      monitor.check({ instructions: 5e9 + more, guestNanoseconds: (900 + seconds) * 1e9 });
    expect(monitor.nextCheck(5e9)).toBe(5_001_000_000);
    expect(monitor.nextCheck(5_002_000_000)).toBe(5_003_000_000);
    expect(check(1_000_000)).toBeUndefined();
    expect(check(2_000_000)).toBeUndefined();
    expect(check(3_000_000)).toMatchObject({ verdict: "no-output" });
    const other = new Monitor(
      parseConfig({ limits }, () => 0),
      undefined,
      start,
    );
    expect(other.check({ instructions: 5e9 + 1, guestNanoseconds: 904.9e9 })).toBeUndefined();
    expect(other.check({ instructions: 5e9 + 2, guestNanoseconds: 905e9 })).toMatchObject({
      verdict: "no-output",
    });
  });

  test("knows the line it is on, also for a snapshot of its own", () => {
    const monitor = new Monitor(
      parseConfig({}, () => 0),
      undefined,
      start,
    );
    monitor.output(ENCODER.encode("echo"));
    expect(monitor.unfinishedLine).toBe("/ # echo");
    monitor.output(ENCODER.encode("\n$ "));
    expect(monitor.unfinishedLine).toBe("$ ");
  });
});

describe("snapshots a job makes of itself", () => {
  test("are due when their pattern stands on a line, at an instruction count, and at the end", () => {
    const points = new SnapshotPoints([
      { name: "prompt", at: "# $" },
      { name: "late", at: 2_500_000 },
      { name: "last", at: "end" },
    ]);
    points.output(ENCODER.encode("boot\n/ # "));
    points.check(1_000_000);
    expect(points.due).toEqual([]);
    points.check(2_000_000);
    expect(points.due).toEqual(["prompt"]);
    points.settle("prompt");
    const again = new SnapshotPoints(
      [
        { name: "prompt", at: "# $" },
        { name: "late", at: 2_500_000 },
        { name: "last", at: "end" },
      ],
      JSON.parse(JSON.stringify(points.save())),
    );
    again.check(3_000_000);
    expect(again.due).toEqual(["late"]);
    again.settle("late");
    again.end();
    expect(again.due).toEqual(["last"]);
  });
});

describe("the configuration of input and snapshots", () => {
  const parse = (fields: object) => () => parseConfig(fields, () => 0);

  test.each([
    [{ input: "x" }, "config.input", /list of steps/],
    [{ input: [{}] }, "config.input[0].send", /text to type/],
    [{ input: [{ send: "" }] }, "config.input[0].send", /empty/],
    [{ input: [{ send: "x", expect: "(" }] }, "config.input[0].expect", /not a valid pattern/],
    [{ input: [{ send: "x", wait: 1 }] }, "config.input[0].wait", /did you mean/],
    [{ input: [{ send: "x".repeat(20_000) }] }, "config.input", /20000 bytes/],
    [{ input: Array.from({ length: 65 }, () => ({ send: "x" })) }, "config.input", /65 steps/],
    [{ expect: { steps: [{}] } }, "config.expect.steps[0]", /does nothing/],
    [{ expect: { steps: [{ expect: "x" }] } }, "config.expect.steps[0].expect", /did you mean/],
    [
      { expect: { steps: [{ send: "x", limit: { guestSeconds: 1 } }] } },
      "config.expect.steps[0]",
      /waits for nothing/,
    ],
    [{ expect: { steps: [{ wait: "x", limit: {} }] } }, "config.expect.steps[0].limit", /is empty/],
    [
      { expect: { steps: [{ wait: "x", limit: { guestSeconds: 0 } }] } },
      "config.expect.steps[0].limit.guestSeconds",
      /between 0.001/,
    ],
    [
      { expect: { steps: [{ wait: "x" }] }, input: [{ send: "x" }] },
      "config.input",
      /config.input and config.expect.steps say the same thing; keep one/,
    ],
    [{ snapshots: [{ name: "../x" }] }, "config.snapshots[0].name", /letters, digits/],
    [{ snapshots: [{ name: "a" }, { name: "a" }] }, "config.snapshots[1].name", /two snapshots/],
    [{ snapshots: [{ name: "a", at: 0 }] }, "config.snapshots[0].at", /above 0/],
    [{ snapshots: [{ name: "a", at: "[" }] }, "config.snapshots[0].at", /not a valid pattern/],
  ])("%j is refused", (fields, field, message) => {
    expect(parse(fields)).toThrow(
      expect.objectContaining({ field, message: expect.stringMatching(message) }),
    );
  });

  test("has defaults", () => {
    expect(parseConfig({ snapshots: [{ name: "a" }] }, () => 0)).toMatchObject({
      expect: { steps: [] },
      snapshots: [{ name: "a", at: "end" }],
    });
  });

  test("of a fork keeps what the snapshot has fixed", () => {
    const machine = {
      cmdline: "quiet",
      memory: 64,
      mode: "pvh",
      cpu: "v1",
      seed: "7",
      startTime: 5,
    } as const;
    expect(parseForkConfig({ expect: { pass: ["x"] }, memory: 64, seed: 7 }, machine)).toMatchObject({
      ...machine,
      expect: { pass: ["x"], fail: [] },
    });
    for (const change of [
      { memory: 65 },
      { cmdline: "loud" },
      { mode: "pv" },
      { cpu: "v2" },
      { seed: "8" },
      { startTime: "now" },
    ]) {
      expect(() => parseForkConfig(change, machine)).toThrow(
        expect.objectContaining({ code: "fixed-by-snapshot", field: `config.${Object.keys(change)[0]}` }),
      );
    }
  });
});
