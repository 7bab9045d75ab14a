import { afterEach, expect, test, vi } from "vitest";
import type { Env } from "./env.ts";
import { QUEUE_LIMITS } from "./limits.ts";
import { consumeQueue, type WorkMessage } from "./queue.ts";

/*
 * Messages of the queue are each done by who is there for their kind. One that fails comes again, later each time, and takes none of
 * the others along; one that nobody knows is put aside.
 */

interface Sent {
  readonly body: WorkMessage;
  readonly attempts: number;
  done: "ack" | number | undefined;
}

function batchOf(sent: readonly Sent[]): MessageBatch<unknown> {
  const messages = sent.map((message, i) => ({
    id: `${i}`,
    body: message.body,
    attempts: message.attempts,
    ack: () => {
      message.done = "ack";
    },
    retry: (options?: { delaySeconds?: number }) => {
      message.done = options?.delaySeconds ?? 0;
    },
  }));
  return { queue: "xenner-work", messages } as unknown as MessageBatch<unknown>;
}

afterEach(() => {
  vi.restoreAllMocks();
});

test("each message by itself", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const env = { marker: 1 } as unknown as Env;
  const seen: unknown[] = [];
  const sent: Sent[] = [
    { body: { kind: "good", n: 1 }, attempts: 1, done: undefined },
    { body: { kind: "bad", n: 2 }, attempts: 1, done: undefined },
    { body: { kind: "unknown", n: 3 }, attempts: 1, done: undefined },
    { body: { kind: "bad", n: 4 }, attempts: 50, done: undefined },
    { body: { kind: "good", n: 5 }, attempts: 2, done: undefined },
  ];
  await consumeQueue(batchOf(sent), env, {
    good: async (given, message) => {
      seen.push([given === env, message.n]);
    },
    bad: async () => {
      throw new Error("broken");
    },
  });
  expect(sent.map(({ done }) => done)).toEqual(["ack", 2, "ack", QUEUE_LIMITS.mostDelaySeconds, "ack"]);
  expect(seen).toEqual([
    [true, 1],
    [true, 5],
  ]);
  const logged = log.mock.calls.map(([line]) => (JSON.parse(String(line)) as { event: string }).event);
  expect(logged.sort()).toEqual(["queue.failed", "queue.failed", "queue.unknown"]);
});
