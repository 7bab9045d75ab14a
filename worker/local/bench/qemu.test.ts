/*
 * The comparison with qemu is fair only if qemu does the same work: here the committed loops and the committed stub run
 * under TCG, and each report that comes back is checked against the result that was worked out without running anything.
 * Skipped, and saying so, where qemu is not installed; not in continuous integration.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeLoops } from "../../../engine/cpu/bench/loops.ts";
import { LOOPS_BINARY, STUB } from "./files.ts";
import { qemuVersion, timeLoopInQemu } from "./qemu.ts";

const runnable = qemuVersion() !== undefined || process.env.CI === "true";
if (!runnable) console.warn("SKIPPED: no qemu-system-x86_64 here, its half of the benchmark is not tested");
const TIMEOUT_MS = 60_000;

describe.skipIf(!runnable)("loops under qemu TCG", () => {
  const loopsBinary = readFileSync(LOOPS_BINARY);

  test.each(describeLoops())(
    "$name gives the right result, call after call",
    async (loop) => {
      const seconds = await timeLoopInQemu(loop, loopsBinary, STUB, 2);
      expect(seconds).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test("a wrong result is noticed", async () => {
    const loop = { ...describeLoops()[2]!, result: 1n };
    await expect(timeLoopInQemu(loop, loopsBinary, STUB, 1)).rejects.toThrow(/RAX is 3524578, must be 1/);
  });
});
