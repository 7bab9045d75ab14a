import { startMember } from "./batches/start-member.ts";
import type { Env } from "./env.ts";
import { messageOf } from "./errors.ts";
import { makeRuns } from "./hooks/make-runs.ts";
import { QUEUE_LIMITS } from "./limits.ts";
import { logEvent } from "./log.ts";
import { sendDelivery } from "./notify/send.ts";

/** Work that is done outside of requests. Its kind says who does it; the rest is between them and the sender. */
export interface WorkMessage {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** Does the work of one kind. It rejects to have the message again later; it may have been done before (at least once). */
export type WorkHandler = (env: Env, message: WorkMessage) => Promise<void>;

/** Who does what. */
export const WORK_HANDLERS: Readonly<Record<string, WorkHandler>> = {
  batch: startMember,
  notify: sendDelivery,
  hook: makeRuns,
};

/** Messages of the queue WORK_QUEUE, all at the same time, each by itself: one that fails does not bring the others again. */
export async function consumeQueue(
  batch: MessageBatch<unknown>,
  env: Env,
  handlers: Readonly<Record<string, WorkHandler>> = WORK_HANDLERS,
): Promise<void> {
  const consume = async (message: Message<unknown>): Promise<void> => {
    const work = message.body as WorkMessage;
    const handler = handlers[work.kind];
    if (handler === undefined) {
      // Of a newer version of this worker, perhaps; trying again would not help.
      logEvent("queue.unknown", { kind: work.kind, message: message.id });
      message.ack();
      return;
    }
    try {
      await handler(env, work);
      message.ack();
    } catch (error) {
      logEvent("queue.failed", { kind: work.kind, attempts: message.attempts, error: messageOf(error) });
      message.retry({
        delaySeconds: Math.min(QUEUE_LIMITS.mostDelaySeconds, 2 ** Math.min(message.attempts, 20)),
      });
    }
  };
  await Promise.all(batch.messages.map(consume));
}
