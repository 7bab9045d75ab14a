/*
 * The benchmark's small parts that can be wrong without anyone noticing: its averages, and what its arguments choose.
 */
import { describe, expect, test } from "vitest";
import { processSeconds } from "./cpu-time.ts";
import { PARTS, parseOptions, UsageError } from "./options.ts";
import { geometricMean, median } from "./statistics.ts";

describe("averages", () => {
  test("median of odd and even numbers of values, in any order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
    expect(() => median([])).toThrow(RangeError);
  });

  test("geometric mean weighs ratios, not differences", () => {
    expect(geometricMean([2, 0.5])).toBeCloseTo(1, 12);
    expect(geometricMean([8, 1, 1])).toBeCloseTo(2, 12);
    expect(() => geometricMean([])).toThrow(RangeError);
  });
});

describe("arguments", () => {
  test("everything by default, several times over", () => {
    const options = parseOptions([]);
    expect([...options.parts]).toEqual([...PARTS]);
    expect(options.json).toBe(false);
    expect(options.loopRuns).toBeGreaterThan(1);
  });

  test("--only takes parts and kinds, --quick runs once", () => {
    const options = parseOptions(["--json", "--quick", "--only", "loops-node,boot"]);
    expect([...options.parts].sort()).toEqual(["boot-qemu", "boot-workerd", "loops-node"]);
    expect(options).toMatchObject({ json: true, loopRuns: 1, bootRuns: 1 });
  });

  test.each([[["--only"]], [["--only", "loop"]], [["--fast"]]])("%j is wrong use", (args) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
  });
});

describe("processor time", () => {
  test("is what the process itself says, in steps of 10 ms", ({ skip }) => {
    const seconds = processSeconds(process.pid);
    if (seconds === undefined && process.platform !== "linux") skip("there is no /proc");
    const { user, system } = process.cpuUsage();
    expect(Math.abs(seconds! - (user + system) / 1e6)).toBeLessThan(0.5);
  });

  test("of no process is not there", () => {
    expect(processSeconds(undefined)).toBeUndefined();
  });
});
