import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { budgetLimit, judgeBudget, parseBudget } from "./budget.ts";
import { compare, labelKey, type RunFacts } from "./compare.ts";
import { compareConsoles, compareWholeConsoles, type Ignored } from "./consoles.ts";
import { MilestoneTracker } from "./milestones.ts";

/*
 * Runs are repeatable to the instruction, so what changed between a good run and this one is a fact: which line, which
 * hypercall, how many instructions, and before which milestone. The consoles are recorded from real guests.
 */

const RECORDED = join(import.meta.dirname, "..", "console", "recorded");
const recorded = (name: string): Uint8Array => new Uint8Array(readFileSync(join(RECORDED, `${name}.txt`)));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function facts(fields: Partial<RunFacts>): RunFacts {
  const none = { milestones: {}, hypercalls: {} };
  return { id: "now", instructions: 1000, guestSeconds: 1, ...none, ...fields };
}

/** Plays a console to a tracker, a piece of it every thousand instructions. */
function milestonesOf(console: Uint8Array, piece: number, revive = false): MilestoneTracker {
  let tracker = new MilestoneTracker();
  for (let at = 0, clock = 1000; at < console.length; at += piece, clock += 1000) {
    if (revive) tracker = new MilestoneTracker(JSON.parse(JSON.stringify(tracker.save())));
    tracker.output(console.subarray(at, at + piece));
    tracker.check({ instructions: clock, guestNanoseconds: clock });
  }
  return tracker;
}

describe("milestones", () => {
  test("a Debian passes all of them, in order, on its way to init", () => {
    const { times } = milestonesOf(recorded("bug"), 100);
    const names = ["linux-version", "memory", "initcalls-done", "init"] as const;
    const at = names.map((name) => times[name]?.instructions ?? Number.NaN);
    expect(at).toEqual([...at].sort((a, b) => a - b));
    expect(new Set(at).size).toBe(names.length);
    // Where the words are in the console is where the clock was.
    const text = new TextDecoder("latin1").decode(recorded("bug"));
    for (const [index, words] of [
      "Linux version",
      "Memory:",
      "Freeing unused kernel image",
      "Run /init",
    ].entries()) {
      const lineEnd = text.indexOf("\n", text.indexOf(words));
      expect(at[index]).toBe((Math.floor(lineEnd / 100) + 1) * 1000);
    }
    expect(times.pass).toBeUndefined();
    // As the kernel stamped its lines.
    const stamp = (words: string) => Number(new RegExp(`\\[ *([0-9.]+)\\] ${words}`).exec(text)?.[1]);
    expect(times.memory?.kernelSeconds).toBe(stamp("Memory:"));
    expect(times.init?.kernelSeconds).toBe(stamp("Run /init"));
    expect(times.init?.kernelSeconds).toBeGreaterThan(times.memory?.kernelSeconds ?? Number.NaN);
  });

  test("one without a root ends before init", () => {
    const { times } = milestonesOf(recorded("no-root"), 100);
    expect(Object.keys(times)).toEqual(["linux-version", "memory"]);
  });

  test("saved and restored at every piece it is the same", () => {
    expect(milestonesOf(recorded("bug"), 37, true).times).toEqual(milestonesOf(recorded("bug"), 37).times);
  });

  test("what is known from elsewhere has the time of the next check, once", () => {
    const tracker = new MilestoneTracker();
    tracker.mark("pass");
    tracker.check({ instructions: 5, guestNanoseconds: 6 });
    tracker.mark("pass");
    tracker.check({ instructions: 7, guestNanoseconds: 8 });
    expect(tracker.times).toEqual({ pass: { instructions: 5, guestNanoseconds: 6, kernelSeconds: null } });
  });
});

describe("consoles", () => {
  const DECODER = new TextDecoder("latin1");
  /** In pieces of so many bytes. */
  async function* pieces(console: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < console.length; at += size) yield console.subarray(at, at + size);
  }
  const comparison = async (before: Uint8Array, now: Uint8Array, ignore?: Ignored, size = 1000) => {
    const found = await compareConsoles(pieces(before, size), pieces(now, 77), ignore);
    expect(compareWholeConsoles(before, now, ignore)).toEqual(found);
    return found;
  };
  const firstDifference = async (before: Uint8Array, now: Uint8Array, ignore?: Ignored) =>
    (await comparison(before, now, ignore)).difference;

  test("two failures of the same boot part at the command that made them", async () => {
    const difference = await firstDifference(recorded("null"), recorded("bug"));
    const [left, right] = ["null", "bug"].map((name) => DECODER.decode(recorded(name)).split("\n"));
    expect(difference?.before).toBe("insmod /fail.ko how=null");
    expect(difference?.now).toBe("insmod /fail.ko how=bug");
    expect(left?.[(difference?.line ?? 0) - 1]?.trim()).toBe(difference?.before);
    expect(right?.[(difference?.line ?? 0) - 1]?.trim()).toBe(difference?.now);
  });

  test("a console is no different from itself, however it is cut; its time stamps do not count unless they should", async () => {
    const console = recorded("bug");
    for (const size of [1, 63, 4096, 1e9])
      expect(await comparison(console, console, "nothing", size)).toEqual({
        identical: true,
        difference: null,
      });
    const later = bytes(DECODER.decode(console).replace(/^\[ +\d+\./gm, "[  777."));
    expect(await comparison(console, later)).toEqual({ identical: false, difference: null });
    expect(await firstDifference(console, later, "nothing")).toMatchObject({
      now: expect.stringMatching(/^\[ +777\./),
    });
  });

  test("addresses and numbers count unless they should not", async () => {
    const [one, other] = ["mapped 0xffff8880 at 17\n", "mapped 0xffff9990 at 18\n"].map(bytes);
    expect(await firstDifference(one!, other!)).toMatchObject({ line: 1 });
    expect(await comparison(one!, other!, "numbers")).toEqual({ identical: false, difference: null });
    expect(await firstDifference(one!, bytes("unmapped 0x1 at 17\n"), "numbers")).toMatchObject({ line: 1 });
  });

  test("one that ends earlier differs where it ended", async () => {
    expect(await firstDifference(bytes("a\nb\n"), bytes("a\n"))).toEqual({ line: 2, before: "b", now: null });
    expect(await firstDifference(bytes(""), bytes("x"))).toEqual({ line: 1, before: null, now: "x" });
    // The same lines, but the last has no end.
    expect(await comparison(bytes("a\nb\n"), bytes("a\nb"))).toEqual({ identical: false, difference: null });
  });

  test("endless lines are compared in parts", async () => {
    const long = bytes("x".repeat(10_000));
    const other = bytes(`${"x".repeat(9_000)}y${"x".repeat(999)}`);
    expect(await comparison(long, long)).toEqual({ identical: true, difference: null });
    expect(await firstDifference(long, other)).toMatchObject({ line: 3 });
  });
});

test("what changed: instructions, milestones, hypercalls", () => {
  const time = (instructions: number, kernelSeconds: number | null = null) => ({
    instructions,
    guestNanoseconds: 0,
    kernelSeconds,
  });
  const comparison = compare(
    facts({
      instructions: 1005,
      milestones: { "linux-version": time(100), init: time(660, 1.5) },
      hypercalls: { mmu_update: 70, iret: 5, "sched_op: SCHEDOP_block": 3 },
    }),
    facts({
      id: "good",
      instructions: 1000,
      milestones: { "linux-version": time(100), init: time(600, 1), pass: time(900) },
      hypercalls: { mmu_update: 50, iret: 5, xen_version: 1 },
    }),
    { identical: false, difference: { line: 5, before: "x", now: "y" } },
  );
  expect(comparison).toMatchObject({
    good: "good",
    identical: false,
    console: { line: 5, before: "x", now: "y" },
    instructions: { before: 1000, now: 1005, percent: 0.5 },
    milestones: [
      { milestone: "linux-version", before: 100, now: 100, percent: 0 },
      {
        milestone: "init",
        before: 600,
        now: 660,
        percent: 10,
        kernelSeconds: { before: 1, now: 1.5, percent: 50 },
      },
      { milestone: "pass", before: 900, now: null, percent: null },
    ],
    hypercalls: [
      { hypercall: "mmu_update", before: 50, now: 70, percent: 40 },
      { hypercall: "sched_op: SCHEDOP_block", before: 0, now: 3, percent: 100 },
      { hypercall: "xen_version", before: 1, now: 0, percent: -100 },
    ],
  });
});

test("labels are the same in any order", () => {
  expect(labelKey({ branch: "main", arch: "x86" })).toBe(labelKey({ arch: "x86", branch: "main" }));
  expect(labelKey({ branch: "main" })).not.toBe(labelKey({ branch: "main", arch: "x86" }));
  expect(labelKey({ a: 'b","c":"d' })).not.toBe(labelKey({ a: "b", c: "d" }));
  expect(labelKey({ branch: "main", git_commit_hash: "1" })).toBe(labelKey({ branch: "main" }));
  expect(labelKey({ git_commit_hash: "1", kcidb_build_id: "2" })).toBeUndefined();
  expect(labelKey({})).toBeUndefined();
});

describe("budgets", () => {
  test("are written as a number, or as more than the last good run", () => {
    expect(parseBudget("+0.5%")).toEqual({ kind: "percent", percent: 0.5 });
    expect(parseBudget("+1000")).toEqual({ kind: "more", instructions: 1000 });
    expect(parseBudget("3000000000")).toEqual({ kind: "absolute", instructions: 3e9 });
    for (const bad of ["", "0.5%", "-1%", "+x%", "1e9", "+1.5", " 1"])
      expect(parseBudget(bad)).toBeUndefined();
  });

  test("allow what they say and not an instruction more", () => {
    const good = { id: "good", instructions: 2_741_023_869 };
    for (const [text, limit] of [
      ["+0.5%", 2_754_728_988],
      ["+1000", 2_741_024_869],
      ["2000000000", 2_000_000_000],
    ] as const) {
      const budget = parseBudget(text);
      if (budget === undefined) throw new Error(text);
      expect(budgetLimit(budget, good.instructions)).toBe(limit);
      expect(judgeBudget(budget, limit, good)).toBeUndefined();
      expect(judgeBudget(budget, limit + 1, good)).toMatchObject({
        verdict: "fail",
        code: "instruction-budget",
      });
    }
  });

  test("without a good run there is nothing to be more than", () => {
    expect(judgeBudget({ kind: "percent", percent: 0 }, 1e12, null)).toBeUndefined();
    expect(judgeBudget({ kind: "absolute", instructions: 5 }, 6, null)?.message).toMatch(
      /took 6 instructions.*is 5\./,
    );
  });
});
