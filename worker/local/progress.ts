import type { JobView } from "../runner/record.ts";
import type { Client } from "./client.ts";
import { short } from "./report.ts";

const INTERVAL_MILLISECONDS = 500;
const CLEAR_LINE = "\r\u001b[K";

/** A line at the bottom of a terminal that says how far a job is. It gives way to console output. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #client: Client;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  /** The console is at the beginning of a line, so a line of ours does not cut one of its own in two. */
  #atLineStart = true;

  constructor(client: Client, out: NodeJS.WriteStream = process.stderr) {
    this.#client = client;
    this.#out = out;
  }

  start(id: string): void {
    if (!this.#out.isTTY) return;
    let asking = false;
    this.#timer = setInterval(async () => {
      if (asking) return;
      asking = true;
      const job = await this.#client.job(id).catch(() => undefined);
      asking = false;
      if (job !== undefined && this.#timer !== undefined) this.#show(job);
    }, INTERVAL_MILLISECONDS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.clear();
  }

  /** To be called before console output is written. */
  clear(): void {
    if (this.#shown) this.#out.write(CLEAR_LINE);
    this.#shown = false;
  }

  /** To be called after console output was written. */
  wrote(bytes: Uint8Array): void {
    this.#atLineStart = bytes.at(-1) === 0x0a;
  }

  #show(job: JobView): void {
    if (!this.#atLineStart) return;
    const mips = job.mips === null ? "" : `, ${job.mips.toFixed(0)} MIPS`;
    const text = `${job.state}  ${job.seconds.toFixed(0)} s, ${short(job.instructions)} instructions${mips}`;
    this.#out.write(`${CLEAR_LINE}${text.slice(0, this.#out.columns - 1)}`);
    this.#shown = true;
  }
}
