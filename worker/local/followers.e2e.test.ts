import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isFinal } from "../../jobs/states.ts";
import type { JobView } from "../runner/record.ts";
import type { Script, ScriptEvent } from "../testing/scripted-machine.ts";
import { LocalServer } from "./server.ts";

/*
 * 20 jobs at once, and 200 clients that follow the console of one of them while it runs, over HTTP: from the beginning, from
 * where it is when they come, slow ones, and ones whose connections break and that go on from the byte they had. At the end
 * each has exactly the bytes from its first to the last. The guests are scripts, so that there is much to see in little time.
 */

const FOLLOWERS = 200;
const JOBS = 20;
const LINES = 300;
const LINES_OF_OTHERS = 30;
/** So many times longer a guest may have to be until its followers come while it runs: that is up to how busy this machine is. */
const LONGEST = 64;
const JUDGE_INTERVAL = 1_000_000;

let server: LocalServer;

beforeAll(async () => {
  server = await LocalServer.start({
    entry: join(import.meta.dirname, "..", "testing", "index.ts"),
    // A turn of the event loop for each line.
    variables: { SLICE_INSTRUCTIONS: "1" },
  });
});
afterAll(() => server.stop());

/** Prints a line of its own each million instructions. */
function printer(name: string, lines: number): Script {
  const line = (at: number): string => `${name} line ${at} ${"x".repeat((at * 7919) % 300)}\r\n`;
  const end: ScriptEvent = {
    at: (lines + 1) * JUDGE_INTERVAL,
    end: { kind: "shutdown", reason: "poweroff", code: 0 },
  };
  const events = Array.from({ length: lines }, (_, at): ScriptEvent => {
    return { at: (at + 1) * JUDGE_INTERVAL, print: line(at) };
  });
  return { name, events: [...events, end] };
}

async function post(script: Script): Promise<JobView> {
  const form = new FormData();
  form.set("kernel", new Blob([JSON.stringify(script)]), "kernel");
  const response = await server.client().request("/jobs", { method: "POST", body: form });
  return (await response.json()) as JobView;
}

interface Seen {
  readonly from: number;
  readonly bytes: Buffer;
  /** Pieces that came while the job ran. */
  readonly pieces: number;
  readonly connections: number;
}

/** How one client behaves. */
interface Manner {
  /** Comes so many milliseconds late. */
  readonly late: number;
  /** Begins at the byte that the console has then, not at its first. */
  readonly joins: boolean;
  /** Waits so many milliseconds after each piece. */
  readonly slow: number;
  /** Breaks the connection after so many bytes, again and again. */
  readonly breaks: number;
}

async function follow(
  id: string,
  { late, joins, slow, breaks }: Manner,
  hasCome: () => void = () => {},
): Promise<Seen> {
  await sleep(late);
  const client = server.client();
  const from = joins ? (await client.job(id)).consoleBytes : 0;
  const chunks: Buffer[] = [];
  let length = 0;
  let connections = 0;
  for (;;) {
    connections++;
    const connection = new AbortController();
    const response = await client.request(`/jobs/${id}/console?follow&offset=${from + length}`, {
      signal: connection.signal,
    });
    hasCome();
    let since = 0;
    let isBroken = false;
    for await (const chunk of response.body ?? []) {
      chunks.push(Buffer.from(chunk));
      length += chunk.length;
      since += chunk.length;
      if (slow > 0) await sleep(slow);
      isBroken = since >= breaks;
      if (isBroken) break;
    }
    if (!isBroken) return { from, bytes: Buffer.concat(chunks), pieces: chunks.length, connections };
    connection.abort();
  }
}

/** The first byte at which two texts differ; -1 if none does. */
function parting(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return -1;
  for (let at = 0; ; at++) if (a[at] !== b[at]) return at;
}

/** Follows guests of so many times the length; whether it was live for the followers. Whatever it was, each has every byte once. */
async function followed(times: number): Promise<boolean> {
  const client = server.client();
  const script = printer(`followed-${times}`, LINES * times);
  const scripts = Array.from({ length: JOBS - 1 }, (_, index) =>
    printer(`other-${times}-${index}`, LINES_OF_OTHERS * times),
  );
  const { id } = await post(script);
  const others = await Promise.all(scripts.map(post));
  const coming: Promise<void>[] = [];
  const followers = Array.from({ length: FOLLOWERS }, (_, index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    coming.push(promise);
    const manner = {
      late: index % 2 === 0 ? 0 : (index * 37) % 1000,
      joins: index % 4 === 1,
      slow: index % 10 === 2 ? 30 : 0,
      breaks: index % 5 === 3 ? 4_000 : Number.POSITIVE_INFINITY,
    };
    return follow(id, manner, resolve);
  });
  const othersFollowed = others.map((other) =>
    follow(other.id, { late: 0, joins: false, slow: 0, breaks: Number.POSITIVE_INFINITY }),
  );
  // A follower that fails is told of below.
  await Promise.race([Promise.all(coming), Promise.all(followers)]);
  const { state } = await client.job(id);
  const live = (await Promise.all(others.map((other) => client.job(other.id)))).filter(
    (other) => !isFinal(other.state),
  );

  const seen = await Promise.all(followers);
  const whole = Buffer.from(script.events.map(({ print = "" }) => print).join(""));
  const stored = await (await client.request(`/jobs/${id}/console`)).text();
  expect(stored).toBe(whole.toString());
  const wrong = seen.flatMap(({ from, bytes }, index) => {
    const at = parting(bytes, whole.subarray(from));
    return at < 0 ? [] : [`follower ${index}: from ${from}, ${bytes.length} bytes, wrong at ${at}`];
  });
  expect(wrong).toEqual([]);
  for (const [index, { bytes }] of (await Promise.all(othersFollowed)).entries())
    expect(bytes.toString()).toBe(scripts[index]?.events.map(({ print = "" }) => print).join(""));

  // Once all had come it still ran, and so did others; it was live for them, and connections did break.
  return (
    !isFinal(state) &&
    live.length > JOBS / 2 &&
    seen.filter(({ pieces }) => pieces > 3).length > FOLLOWERS * 0.9 &&
    seen.filter(({ from }) => from > 0).length > FOLLOWERS / 10 &&
    Math.max(...seen.map(({ connections }) => connections)) > 5
  );
}

test("each of 200 followers of a live console has every byte once", async () => {
  for (let times = 1; !(await followed(times)); times *= 4) expect(times).toBeLessThan(LONGEST);
});
