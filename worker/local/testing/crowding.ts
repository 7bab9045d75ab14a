import { availableParallelism, loadavg } from "node:os";
import { Worker } from "node:worker_threads";

/** A piece of work that takes a processor of ours NOMINAL_MILLISECONDS when nothing else wants it. */
const ITERATIONS = 8_000_000;
const NOMINAL_MILLISECONDS = 10;
const PAUSE_MILLISECONDS = 150;
/** Until the compiler has done with it. */
const WARM_UP = 3;

const METRONOME = `
const { parentPort } = require("node:worker_threads");
const work = () => {
  let x = 1;
  for (let i = 0; i < ${ITERATIONS}; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
};
let sum = 0;
const beat = () => {
  const began = performance.now();
  sum ^= work();
  parentPort.postMessage(performance.now() - began);
  setTimeout(beat, ${PAUSE_MILLISECONDS});
};
beat();
`;

/**
 * How much longer work takes on this machine now than on one of ours that does nothing else: what a limit in wall time is
 * multiplied by. Measured while it lasts, by a thread that does the same little work again and again, so it counts slow processors,
 * other processes (tests beside this one first of all) and other machines on the same hardware alike. At least 1.
 */
export class Crowding {
  readonly #metronome: Worker;
  readonly #beats: number[] = [];
  #load = 0;

  constructor() {
    this.#metronome = new Worker(METRONOME, { eval: true });
    this.#metronome.unref();
    this.#metronome.on("message", (milliseconds: number) => {
      this.#beats.push(milliseconds / NOMINAL_MILLISECONDS);
      this.#load = Math.max(this.#load, loadavg()[0] ?? 0);
    });
  }

  /** Ends it. What comes is for a share of all that happened: 0.95 for the 95th percentile of many requests, 1 for what happened once. */
  async stop(): Promise<(share: number) => number> {
    await this.#metronome.terminate();
    const beats = this.#beats.slice(WARM_UP).sort((a, b) => a - b);
    // The system's own count comes late, but of long waits for storage it is the only one.
    const load = this.#load / availableParallelism();
    return (share) => Math.max(1, load, beats[Math.ceil(beats.length * share) - 1] ?? 1);
  }
}
