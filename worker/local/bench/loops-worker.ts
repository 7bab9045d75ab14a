/**
 * A worker that runs one loop of the benchmark a request: GET /NAME answers the retired instructions as JSON.
 *
 * It does not time anything: inside workerd the clock stands still while code runs. The asker times the request.
 */
import { buildImage } from "../../../engine/cpu/bench/image.ts";
import { MEMORY_BYTES, PAGE_BYTES } from "../../../engine/cpu/bench/layout.ts";
import loopsBinary from "../../../engine/cpu/bench/loops.bin";
import { describeLoops } from "../../../engine/cpu/bench/loops.ts";
import { LoopRunner } from "../../../engine/cpu/bench/run.ts";
import core from "../../../engine/cpu/core.wasm";
import { Cpu } from "../../../engine/cpu/cpu.ts";
import { MapPageStore } from "../../../engine/memory/page-store.ts";

const loops = describeLoops();
let runner: LoopRunner | undefined;

/** Made at the first request: a Worker may not compute much before it. */
function startedRunner(): LoopRunner {
  if (runner !== undefined) return runner;
  const cpu = Cpu.create({ module: core, pages: MEMORY_BYTES / PAGE_BYTES, store: new MapPageStore() });
  runner = new LoopRunner(cpu, buildImage(new Uint8Array(loopsBinary), loops[0]!, 1));
  return runner;
}

export default {
  fetch(request: Request): Response {
    const name = new URL(request.url).pathname.slice(1);
    const loop = loops.find((candidate) => candidate.name === name);
    if (loop === undefined) return new Response(`no loop "${name}"`, { status: 404 });
    return Response.json({ instructions: startedRunner().run(loop) });
  },
};
