import { describe, expect, test } from "vitest";
import { JUDGE_INTERVAL, LINE_BYTES } from "./limits.ts";
import { type GuestEnd, Monitor } from "./monitor.ts";
import { parseConfig } from "./spec.ts";
import { finalState } from "./states.ts";
import type { Outcome } from "./verdict.ts";

/*
 * A monitor sits beside a guest and says when the run is over and why. Each story here is a console and a clock: what the
 * guest printed, when, and how it ended; and the verdict a kernel developer would give it.
 */

type Event = { print: string } | { seconds: number } | { instructions: number } | { end: GuestEnd };

const POWEROFF: Event = { end: { kind: "shutdown", reason: "poweroff" } };
const IDLE: Event = { end: { kind: "idle" } };

function monitorOf(config: unknown): Monitor {
  return new Monitor(parseConfig(config, () => 0));
}

/** Plays events to a monitor; with `revive`, it is saved and restored through JSON before each of them. */
function play(config: unknown, events: readonly Event[], revive = false): Outcome | undefined {
  const parsed = parseConfig(config, () => 0);
  let monitor = new Monitor(parsed);
  const clock = { instructions: 0, guestNanoseconds: 0 };
  for (const event of events) {
    if (revive) monitor = new Monitor(parsed, JSON.parse(JSON.stringify(monitor.save())));
    if ("print" in event) {
      monitor.output(new TextEncoder().encode(event.print));
      clock.instructions += JUDGE_INTERVAL;
    } else if ("seconds" in event) clock.guestNanoseconds += event.seconds * 1e9;
    else if ("instructions" in event) clock.instructions += event.instructions;
    else return monitor.ended(event.end);
    const outcome = monitor.check({ ...clock });
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

const PANIC = "Kernel panic - not syncing: VFS: Unable to mount root fs\n";
const stories: [string, unknown, Event[], string, string, RegExp][] = [
  ["prints and powers off", {}, [{ print: "hi\n" }, POWEROFF], "pass", "powered-off", /powered off/],
  ["powers off in silence", {}, [POWEROFF], "no-output", "no-output", /without printing/],
  [
    "panics, then shuts down",
    {},
    [{ print: PANIC }, { end: { kind: "shutdown", reason: "crash" } }],
    "crash",
    "panic",
    /Unable to mount root/,
  ],
  ["panics, then powers off", {}, [{ print: PANIC }, POWEROFF], "crash", "panic", /panicked/],
  ["panics, then spins", {}, [{ print: PANIC }, { seconds: 3 }], "crash", "panic", /panicked/],
  [
    "panic in two pieces",
    {},
    [{ print: "Kernel pan" }, { print: "ic - not syncing: x\n" }, POWEROFF],
    "crash",
    "panic",
    /: x$/,
  ],
  [
    "panics as asked",
    { expect: { pass: ["panic.*VFS"] } },
    [{ print: PANIC }, { end: { kind: "shutdown", reason: "crash" } }],
    "pass",
    "patterns-seen",
    /VFS/,
  ],
  [
    "crashes",
    {},
    [{ print: "x" }, { end: { kind: "crash", message: "triple fault" } }],
    "crash",
    "machine-crash",
    /triple fault/,
  ],
  [
    "SHUTDOWN_crash",
    {},
    [{ print: "x" }, { end: { kind: "shutdown", reason: "crash" } }],
    "crash",
    "guest-crash",
    /SHUTDOWN_crash/,
  ],
  [
    "reboots",
    {},
    [{ print: "x" }, { end: { kind: "shutdown", reason: "reboot" } }],
    "fail",
    "rebooted",
    /rebooted/,
  ],
  ["waits for ever", {}, [{ print: "x" }, IDLE], "timeout", "hang", /never come/],
  ["waits for ever in silence", {}, [IDLE], "no-output", "no-output", /never come/],
  [
    "waits at the prompt asked for",
    { expect: { pass: ["grub>"] } },
    [{ print: "\u001b[H\u001b[Jgrub\u001b[0m> " }, IDLE],
    "pass",
    "patterns-seen",
    /grub>/,
  ],
  [
    "stays busy at the prompt asked for",
    { expect: { pass: ["grub> $"] } },
    [{ print: "grub> " }, { instructions: 1 }, { seconds: 3 }],
    "pass",
    "patterns-seen",
    /grub>/,
  ],
  [
    "passes and goes on for ever",
    { expect: { pass: ["OK"] } },
    [{ print: "OK\n" }, { seconds: 1 }, { seconds: 1 }],
    "pass",
    "patterns-seen",
    /OK/,
  ],
  [
    "passes, then panics",
    { expect: { pass: ["OK"] } },
    [{ print: "OK\n" }, { seconds: 0.3 }, { print: PANIC }, POWEROFF],
    "crash",
    "panic",
    /panicked/,
  ],
  [
    "one of two patterns",
    { expect: { pass: ["OK", "DONE"] } },
    [{ print: "OK\n" }, POWEROFF],
    "fail",
    "pattern-missing",
    /\/DONE\//,
  ],
  [
    "fail pattern",
    { expect: { fail: ["BUG:"] } },
    [{ print: "BUG: bad\n" }, POWEROFF],
    "fail",
    "fail-pattern",
    /BUG: bad/,
  ],
  [
    "fail and panic: the worse wins",
    { expect: { fail: ["BUG:"] } },
    [{ print: `BUG: bad\n${PANIC}` }, POWEROFF],
    "crash",
    "panic",
    /panicked/,
  ],
  [
    "pass and fail: the worse wins",
    { expect: { pass: ["OK"], fail: ["BUG"] } },
    [{ print: "OK\nBUG\n" }, POWEROFF],
    "fail",
    "fail-pattern",
    /BUG/,
  ],
  [
    "floods",
    { limits: { consoleBytes: 64 } },
    [{ print: "x".repeat(65) }],
    "fail",
    "console-flood",
    /64 bytes/,
  ],
  [
    "pattern on a last line without an end",
    { expect: { pass: ["OK$"] } },
    [{ print: "OK" }, POWEROFF],
    "pass",
    "patterns-seen",
    /OK/,
  ],
  [
    "carriage returns",
    { expect: { pass: ["^OK$"] } },
    [{ print: "OK\r\n" }, POWEROFF],
    "pass",
    "patterns-seen",
    /OK/,
  ],
  [
    "too long in guest time",
    { limits: { guestSeconds: 5 } },
    [{ print: "x\n" }, { seconds: 6 }],
    "timeout",
    "guest-time",
    /5 guest seconds/,
  ],
  [
    "too many instructions",
    { limits: { instructions: 5e6 } },
    [{ print: "x\n" }, { instructions: 5e6 }],
    "timeout",
    "instructions",
    /5,000,000/,
  ],
  [
    "stops printing",
    { limits: { silentSeconds: 9 } },
    [{ print: "last words\n" }, { seconds: 9 }],
    "timeout",
    "silent",
    /last words/,
  ],
  [
    "spins in silence",
    { limits: { silentInstructions: 1e7 } },
    [{ print: "last words\n" }, { instructions: 1e7 }],
    "timeout",
    "silent",
    /limits.silentInstructions/,
  ],
  [
    "never prints",
    { limits: { silentSeconds: 9 } },
    [{ seconds: 9 }],
    "no-output",
    "no-output",
    /printed nothing/,
  ],
  [
    "never prints, out of time",
    { limits: { guestSeconds: 9 } },
    [{ seconds: 9 }],
    "no-output",
    "no-output",
    /printed nothing/,
  ],
];

describe("stories of guests", () => {
  for (const [story, config, events, verdict, code, reason] of stories) {
    test(story, () => {
      const outcome = play(config, events);
      expect(outcome).toMatchObject({ verdict, code });
      expect(outcome?.reason).toMatch(reason);
      // A monitor that was saved and restored at every step comes to the same end.
      expect(play(config, events, true)).toEqual(outcome);
    });
  }

  test("every verdict is a final state", () => {
    for (const [, config, events] of stories)
      expect(finalState(play(config, events)!.verdict)).not.toBe("running");
  });
});

describe("the console is data", () => {
  test("however it is cut into pieces, the outcome is the same", () => {
    const console = `one\r\ntwo é\n${"x".repeat(LINE_BYTES + 10)}OK\nKernel panic - not syncing: yes\n`;
    const bytes = new TextEncoder().encode(console);
    const outcomes = [1, 2, 3, 7, 100, bytes.length].map((size) => {
      const monitor = monitorOf({ expect: { pass: ["two é$", "OK$"], fail: ["zzz"] } });
      for (let at = 0; at < bytes.length; at += size)
        expect(monitor.output(bytes.subarray(at, at + size)).length).toBeGreaterThan(0);
      expect(monitor.bytes).toBe(bytes.length);
      return monitor.ended({ kind: "shutdown", reason: "poweroff" });
    });
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
    expect(outcomes[0]).toMatchObject({ verdict: "crash", code: "panic" });
  });

  test("a flood is kept up to the limit and no further", () => {
    const monitor = monitorOf({ limits: { consoleBytes: 100 } });
    expect(monitor.output(new Uint8Array(60)).length).toBe(60);
    expect(monitor.output(new Uint8Array(60)).length).toBe(40);
    expect(monitor.output(new Uint8Array(60)).length).toBe(0);
    expect(monitor.bytes).toBe(100);
  });

  test("checks come at multiples of the interval, and exactly at the instruction limit", () => {
    const monitor = monitorOf({ limits: { instructions: 2_500_000 } });
    expect([0, 999_999, 1_000_000, 2_000_000].map((n) => monitor.nextCheck(n))).toEqual([
      1e6, 1e6, 2e6, 2.5e6,
    ]);
  });

  test("the milestones a run passed are known, that of the pass patterns too", () => {
    const monitor = monitorOf({ expect: { pass: ["OK"] } });
    const print = (text: string, instructions: number) => {
      monitor.output(new TextEncoder().encode(text));
      monitor.check({ instructions, guestNanoseconds: 2 * instructions });
    };
    print("[    0.000000] Linux version 6", 1e6);
    print(".1.0 (x)\n", 2e6);
    print("[    0.100000] Run /init as init process\nO", 3e6);
    print("K\n", 4e6);
    expect(monitor.milestones.times).toEqual({
      "linux-version": { instructions: 2e6, guestNanoseconds: 4e6, kernelSeconds: 0 },
      init: { instructions: 3e6, guestNanoseconds: 6e6, kernelSeconds: 0.1 },
      pass: { instructions: 4e6, guestNanoseconds: 8e6, kernelSeconds: null },
    });
    const brief = monitorOf({ expect: { pass: ["OK"] } });
    brief.output(new TextEncoder().encode("OK\n"));
    brief.ended({ kind: "shutdown", reason: "poweroff" }, { instructions: 5, guestNanoseconds: 6 });
    expect(brief.milestones.times).toEqual({
      pass: { instructions: 5, guestNanoseconds: 6, kernelSeconds: null },
    });
  });
});
