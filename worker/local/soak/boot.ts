import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { HypercallStatistics } from "../../../engine/machine-api.ts";
import type { JobView } from "../../runner/record.ts";
import { ApiError, type Client } from "../client.ts";
import type { KillableServer } from "./killable-server.ts";
import type { Kill } from "./plan.ts";

/** All that a client gets of a job. */
export interface Result {
  readonly job: JobView;
  readonly console: Uint8Array;
  readonly statistics: HypercallStatistics | undefined;
}

export interface KilledBoot {
  readonly result: Result;
  /** What a client saw that followed the console over all kills. */
  readonly followed: Uint8Array;
  /** Kills that were carried out; the job may have ended before the last of them. */
  readonly kills: readonly Kill[];
  readonly seconds: number;
}

const POLL_MILLISECONDS = 25;
const RETRY_MILLISECONDS = 50;
const IO_POLL_MILLISECONDS = 2;
/** More than this between two looks is a checkpoint or an eviction, if the guest is large; console and record write less. */
const MOST_BURST_BYTES = 512 * 1024;
/** Longest wait for something to happen. */
const PATIENCE_MILLISECONDS = 300_000;

/** Asks until there is an answer: servers come and go. */
export async function insist<T>(server: KillableServer, ask: (client: Client) => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS;
  for (;;) {
    try {
      return await ask(server.client());
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) throw error;
      if (performance.now() > deadline) throw error;
      await sleep(RETRY_MILLISECONDS);
    }
  }
}

/** A console that is followed from its beginning to the job's end, going on where it was each time the connection breaks. */
class Follower {
  readonly #server: KillableServer;
  readonly #id: string;
  readonly #chunks: Uint8Array[] = [];
  readonly done: Promise<void>;
  bytes = 0;
  ended = false;

  constructor(server: KillableServer, id: string) {
    this.#server = server;
    this.#id = id;
    this.done = this.#follow();
  }

  /** All that was received. */
  get received(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  async #follow(): Promise<void> {
    while (!this.ended) {
      try {
        const client = this.#server.client();
        const response = await client.request(`/jobs/${this.#id}/console?follow=1&offset=${this.bytes}`);
        for await (const chunk of response.body ?? []) {
          this.#chunks.push(chunk);
          this.bytes += chunk.length;
        }
        this.ended = (await client.job(this.#id)).endedAt !== null;
      } catch {
        await sleep(RETRY_MILLISECONDS);
      }
    }
  }
}

export async function resultOf(server: KillableServer, id: string): Promise<Result> {
  const job = await insist(server, (client) => client.job(id));
  const console = await insist(
    server,
    async (client) => new Uint8Array(await (await client.request(`/jobs/${id}/console`)).arrayBuffer()),
  );
  return { job, console, statistics: await insist(server, (client) => client.hypercalls(id)) };
}

/** One boot of `request` (the body of POST /jobs) during which `kills` happen. `reference` is the undisturbed one. */
export async function bootWithKills(
  server: KillableServer,
  request: unknown,
  kills: readonly Kill[],
  reference: Result | undefined,
): Promise<KilledBoot> {
  const began = performance.now();
  const { id } = await insist(server, (client) => client.createJob(request));
  const follower = new Follower(server, id);
  const done: Kill[] = [];
  for (const kill of kills) {
    if (reference === undefined) throw new Error("there is nothing to aim by");
    await moment(server, id, follower, kill, reference);
    // The end is worth killing even when it has just been.
    if (follower.ended && kill.phase !== "end") break;
    await server.kill(kill.victim);
    done.push(kill);
  }
  await follower.done;
  const result = await resultOf(server, id);
  return { result, followed: follower.received, kills: done, seconds: (performance.now() - began) / 1000 };
}

/** Waits for a kill's moment, or the job's end. */
async function moment(
  server: KillableServer,
  id: string,
  follower: Follower,
  kill: Kill,
  reference: Result,
): Promise<void> {
  switch (kill.phase) {
    case "build":
      // A fast machine has the domain built, and a short guest over, before so long.
      return progress(server, id, follower, 1, kill.milliseconds);
    case "run":
      return progress(server, id, follower, kill.share * reference.job.instructions);
    case "checkpoint": {
      await progress(server, id, follower, kill.share * reference.job.instructions);
      const burst = burstBytes(reference);
      for (let before = server.bytesWritten(); !follower.ended; ) {
        await sleep(IO_POLL_MILLISECONDS);
        const now = server.bytesWritten();
        if (now - before > burst) break;
        before = now;
      }
      await sleep(kill.milliseconds);
      return;
    }
    case "end":
      while (follower.bytes < reference.console.length && !follower.ended) await sleep(POLL_MILLISECONDS);
      await sleep(kill.milliseconds);
  }
}

/** What is written at once in a checkpoint of so large a guest. */
function burstBytes({ job: { checkpoints } }: Result): number {
  const { bytesWritten, count } = checkpoints;
  return count === 0 ? MOST_BURST_BYTES : Math.min(MOST_BURST_BYTES, bytesWritten / count / 2);
}

/** Waits until so many instructions are seen to be done, the job has ended or the time is over. */
async function progress(
  server: KillableServer,
  id: string,
  follower: Follower,
  instructions: number,
  milliseconds = Number.POSITIVE_INFINITY,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!follower.ended && performance.now() < deadline) {
    const job = await insist(server, (client) => client.job(id));
    if (job.instructions >= instructions) return;
    await sleep(Math.max(0, Math.min(POLL_MILLISECONDS, deadline - performance.now())));
  }
}

/** What of a killed boot is not as in the undisturbed one; empty if nothing. */
export function differences(reference: Result, { result, followed }: KilledBoot): string[] {
  const found: string[] = [];
  const fields = [
    "state",
    "verdict",
    "reason",
    "reasonCode",
    "findings",
    "instructions",
    "guestSeconds",
    "consoleBytes",
  ] as const;
  for (const field of fields) {
    const [want, have] = [reference.job[field], result.job[field]];
    if (!isDeepStrictEqual(want, have)) {
      found.push(`${field} is ${JSON.stringify(have)} instead of ${JSON.stringify(want)}`);
    }
  }
  const consoles = [
    ["the console", result.console],
    ["what a follower saw", followed],
  ] as const;
  for (const [what, bytes] of consoles) {
    const at = firstDifference(reference.console, bytes);
    if (at !== undefined) found.push(`${what} differs at offset ${at}`);
  }
  if (!isDeepStrictEqual(reference.statistics, result.statistics)) found.push("the statistics differ");
  return found;
}

function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return at;
  return a.length === b.length ? undefined : length;
}
