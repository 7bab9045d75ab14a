import type { JobView } from "../../runner/record.ts";
import type { Client } from "../client.ts";
import { short } from "../report.ts";

const INTERVAL_MILLISECONDS = 500;
/** Where there is no terminal, a line now and then shows that something happens: some CI systems end what is silent. */
const PLAIN_INTERVAL_MILLISECONDS = 15_000;
const CLEAR_LINE = "\r\u001b[K";
const BAR_WIDTH = 24;

/**
 * Says how far a job is: a bar at the bottom of a terminal, which gives way to console output, or plain lines. A boot takes as many
 * instructions as the last good one with the same labels did, to a fraction of a percent, so the bar is honest; without one, it only
 * shows that the guest runs.
 */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #client: Client;
  readonly #isTerminal: boolean;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  /** The console is at the beginning of a line, so a line of ours does not cut one of its own in two. */
  #atLineStart = true;
  /** Instructions that the job is expected to take. */
  #expected: number | undefined;
  #ticks = 0;

  constructor(client: Client, out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
    this.#client = client;
    this.#isTerminal = out.isTTY === true && process.env.CI !== "true" && process.env.TERM !== "dumb";
  }

  /** @param labels the job's, if it has any */
  async start(id: string, labels?: unknown): Promise<void> {
    let asking = false;
    this.#timer = setInterval(
      async () => {
        if (asking) return;
        asking = true;
        const job = await this.#client.job(id).catch(() => undefined);
        asking = false;
        if (job !== undefined && this.#timer !== undefined) this.#show(job);
      },
      this.#isTerminal ? INTERVAL_MILLISECONDS : PLAIN_INTERVAL_MILLISECONDS,
    );
    // What it cannot be told must not keep the job waiting.
    this.#expected = await this.#lastGood(labels).catch(() => undefined);
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

  async #lastGood(labels: unknown): Promise<number | undefined> {
    const pairs = Object.entries((labels ?? {}) as Readonly<Record<string, string>>);
    if (pairs.length === 0) return undefined;
    const query = new URLSearchParams([
      ["verdict", "pass"],
      ["limit", "1"],
      ...pairs.map(([name, value]) => ["label", `${name}=${value}`]),
    ]);
    const response = await this.#client.request(`/jobs?${query}`);
    const { jobs } = (await response.json()) as { jobs: readonly { instructions: number }[] };
    return jobs[0]?.instructions;
  }

  #show(job: JobView): void {
    if (!this.#atLineStart) return;
    const text = progressText(job, this.#expected);
    if (!this.#isTerminal) {
      this.#out.write(`${text}\n`);
      return;
    }
    const bar = barOf(job.instructions, this.#expected, this.#ticks++);
    this.#out.write(`${CLEAR_LINE}${`${bar} ${text}`.slice(0, this.#out.columns - 1)}`);
    this.#shown = true;
  }
}

/** "running  12 s, 1.20 G instructions, 85 MIPS, initcalls-done, 40 %" */
export function progressText(job: JobView, expected: number | undefined): string {
  const mips = job.mips === null ? "" : `, ${job.mips.toFixed(0)} MIPS`;
  const [milestone] = Object.entries(job.milestones).sort(([, a], [, b]) => b.instructions - a.instructions);
  const passed = milestone === undefined ? "" : `, ${milestone[0]}`;
  const share = shareOf(job.instructions, expected);
  const percent = share === undefined ? "" : `, ${Math.floor(share * 100)} %`;
  return `${job.state}  ${job.seconds.toFixed(0)} s, ${short(job.instructions)} instructions${mips}${passed}${percent}`;
}

function shareOf(instructions: number, expected: number | undefined): number | undefined {
  return expected === undefined || expected <= 0 ? undefined : Math.min(1, instructions / expected);
}

/** A bar that fills, or one in which something goes to and fro if nobody knows how long it takes. */
export function barOf(instructions: number, expected: number | undefined, tick: number): string {
  const share = shareOf(instructions, expected);
  if (share !== undefined) {
    const filled = Math.floor(share * BAR_WIDTH);
    return `[${"=".repeat(filled)}${" ".repeat(BAR_WIDTH - filled)}]`;
  }
  const way = BAR_WIDTH - 3;
  const at = Math.abs((tick % (2 * way)) - way);
  return `[${" ".repeat(at)}<=>${" ".repeat(way - at)}]`;
}
