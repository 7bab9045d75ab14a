/*
 * The benchmark is only worth something if the loops do what they are for. Each is run to its HLT on our core; its result
 * and its number of instructions must be what loops.ts has worked out without looking at the machine code. The same
 * binary is run by qemu in worker/local/bench/qemu.test.ts.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createCpu } from "../door/create-cpu.ts";
import { buildImage } from "./image.ts";
import { DESTINATION_BUFFER, MEMORY_BYTES, PAGE_BYTES } from "./layout.ts";
import { BUFFER_BYTES, bufferContents, describeLoops } from "./loops.ts";
import { LoopRunner, WrongResult } from "./run.ts";

const loopsBinary = readFileSync(join(import.meta.dirname, "loops.bin"));
const loops = describeLoops();
/** The CALL and the HLT around the subroutine. */
const INSTRUCTIONS_AROUND = 2;
const TIMEOUT_MS = 60_000;

describe("the loops on our core", () => {
  test.each(loops)(
    "$name: result and instruction count",
    (loop) => {
      const cpu = createCpu({ pages: MEMORY_BYTES / PAGE_BYTES });
      const runner = new LoopRunner(cpu, buildImage(loopsBinary, loop, 1));
      expect(runner.run(loop)).toBe(loop.instructions + INSTRUCTIONS_AROUND);
      expect(runner.run(loop)).toBe(loop.instructions + INSTRUCTIONS_AROUND);
      if (loop.name === "copy") {
        expect(cpu.memory.read(DESTINATION_BUFFER, BUFFER_BYTES)).toEqual(bufferContents());
      }
    },
    TIMEOUT_MS,
  );

  test("a wrong result is noticed", () => {
    const loop = { ...loops[2]!, result: 1n };
    const cpu = createCpu({ pages: MEMORY_BYTES / PAGE_BYTES });
    expect(() => new LoopRunner(cpu, buildImage(loopsBinary, loop, 1)).run(loop)).toThrow(WrongResult);
  });
});
