import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JobView } from "../runner/record.ts";
import type { SnapshotView } from "../snapshots/store.ts";
import { TEST_BOUNDS } from "./bounds.ts";
import { createJob, endOf, request } from "./client.ts";
import type { ScriptEvent } from "./scripted-machine.ts";

/* A guest that is kept at its prompt, and what a client asks of snapshots. */

export const TURN = TEST_BOUNDS.turnInstructions;
export const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
export const NO_JOB = "0".repeat(32);

/** Comes to a prompt at 20 M instructions, then does something now and then, and powers off. */
export const EVENTS: readonly ScriptEvent[] = [
  { at: 10_000_000, print: "boot\n", fill: 40 },
  { at: 20_000_000, print: "ready> " },
  { at: 0.4 * TURN, print: "first\n" },
  { at: 1.4 * TURN, print: "second\n" },
  { at: 2.4 * TURN, print: "third\n" },
  { at: 2.5 * TURN, end: POWEROFF },
];
export const WHOLE = "boot\nready> first\nsecond\nthird\n";
/** The first moment of judging after one at which nothing was printed. */
export const AT_REST = 21_000_000;

export function post(path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export async function fork(from: unknown, config: unknown = {}): Promise<JobView> {
  const response = await post("/jobs", { from, config });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as JobView;
}

export async function snapshotsOf(id: string): Promise<SnapshotView[]> {
  const response = await request(`/jobs/${id}/snapshots`);
  return ((await response.json()) as { snapshots: SnapshotView[] }).snapshots;
}

export async function exported(id: string, name: string): Promise<Uint8Array> {
  const response = await request(`/jobs/${id}/snapshots/${name}`);
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return new Uint8Array(await response.arrayBuffer());
}

export const imported = (file: Uint8Array): Promise<Response> =>
  request("/snapshots", { method: "POST", body: file });

export async function importedList(): Promise<SnapshotView[]> {
  return ((await (await request("/snapshots")).json()) as { snapshots: SnapshotView[] }).snapshots;
}

/** A job that keeps itself at its prompt. */
export async function prompted(name: string, more: readonly ScriptEvent[] = []): Promise<JobView> {
  const { id } = await createJob(
    { name, events: [...EVENTS, ...more] },
    { snapshots: [{ name: "ready", at: "ready> $" }] },
  );
  return endOf(id);
}

/** Has an aborted object go on: the test's runtime drops its alarm, which in production and in Miniflare comes again. */
export async function again(id: string): Promise<void> {
  await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) => state.storage.setAlarm(Date.now()));
}
