import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import type { Loop } from "../../../engine/cpu/bench/loops.ts";
import { bundleWorker, MODULES_ROOT } from "../bundle.ts";
import { COMPATIBILITY } from "../server.ts";
import { LOOPS_WORKER } from "./files.ts";

/** Our core inside workerd, one loop a request; the clock is ours, outside. */
export class WorkerdLoops {
  readonly #miniflare: Miniflare;
  readonly #url: URL;

  private constructor(miniflare: Miniflare, url: URL) {
    this.#miniflare = miniflare;
    this.#url = url;
  }

  static async start(): Promise<WorkerdLoops> {
    const modules = await bundleWorker(LOOPS_WORKER);
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: "127.0.0.1",
        port: 0,
        cf: false,
        telemetry: { enabled: false },
        log: new Log(LogLevel.ERROR),
        workers: [
          {
            name: "bench",
            modules: modules.map((module) => ({ ...module })),
            modulesRoot: MODULES_ROOT,
            compatibilityDate: COMPATIBILITY.date,
            compatibilityFlags: [...COMPATIBILITY.flags],
          },
        ],
      }),
    );
    return new WorkerdLoops(miniflare, await miniflare.ready);
  }

  stop(): Promise<void> {
    return this.#miniflare.dispose();
  }

  /** Runs a loop once and returns the seconds of the request. */
  async time(loop: Loop): Promise<number> {
    const start = performance.now();
    const response = await fetch(new URL(loop.name, this.#url));
    const text = await response.text();
    const seconds = (performance.now() - start) / 1000;
    if (!response.ok) throw new Error(`loop ${loop.name} in workerd: ${response.status} ${text}`);
    return seconds;
  }
}
