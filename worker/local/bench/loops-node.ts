import { buildImage } from "../../../engine/cpu/bench/image.ts";
import { MEMORY_BYTES, PAGE_BYTES } from "../../../engine/cpu/bench/layout.ts";
import type { Loop } from "../../../engine/cpu/bench/loops.ts";
import { LoopRunner } from "../../../engine/cpu/bench/run.ts";
import { createCpu } from "../../../engine/cpu/door/create-cpu.ts";

/** Our core in this very process. */
export class NodeLoops {
  readonly #runner: LoopRunner;

  constructor(loopsBinary: Uint8Array, loops: readonly Loop[]) {
    const cpu = createCpu({ pages: MEMORY_BYTES / PAGE_BYTES });
    this.#runner = new LoopRunner(cpu, buildImage(loopsBinary, loops[0]!, 1));
  }

  /** Runs a loop once and returns the seconds it took. */
  time(loop: Loop): number {
    const start = performance.now();
    this.#runner.run(loop);
    return (performance.now() - start) / 1000;
  }
}
