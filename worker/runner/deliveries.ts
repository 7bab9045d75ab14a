import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { dispatchJobEvent } from "../events/dispatch.ts";
import { OUTBOX_LIMITS } from "../limits.ts";
import { logEvent, logInfo } from "../log.ts";
import type { JobState } from "./job-state.ts";

/** Rejects when it takes too long. What is under way goes on; consumers bear to have an event twice. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it took too long")), OUTBOX_LIMITS.deliveryMilliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Delivers the events of a job's outbox, in order. What could not be delivered comes again with the object's alarm. */
export class Deliveries {
  readonly #job: JobState;
  readonly #env: Env;
  #underWay: Promise<void> | undefined;

  constructor(job: JobState, env: Env) {
    this.#job = job;
    this.#env = env;
  }

  /**
   * Delivers what is due, and sees to it that an alarm comes for what is left. Never rejects: a job does not depend on
   * whether others hear of it. Call it after whatever sets the object's alarm.
   */
  deliver(): Promise<void> {
    this.#underWay ??= this.#deliver()
      .catch((error: unknown) => logEvent("outbox.failed", { error: messageOf(error) }))
      .finally(() => {
        this.#underWay = undefined;
      });
    return this.#underWay;
  }

  async #deliver(): Promise<void> {
    const { outbox, storage } = this.#job;
    for (let next = outbox.next(); next !== undefined; next = outbox.next()) {
      const { event, attempts, due } = next;
      if (due > Date.now()) break;
      try {
        await inTime(dispatchJobEvent(this.#env, event));
        outbox.delivered(event);
        logInfo(event.type, {
          job: event.jobId,
          owner: event.owner,
          verdict: event.job.verdict,
          code: event.job.reasonCode,
          instructions: event.job.instructions,
        });
      } catch (error) {
        const { delayMilliseconds, mostDelayMilliseconds } = OUTBOX_LIMITS;
        const delay = Math.min(mostDelayMilliseconds, delayMilliseconds * 2 ** Math.min(attempts, 20));
        outbox.failed(event, Date.now() + delay);
        logEvent("outbox.delayed", { id: event.id, attempts: attempts + 1, error: messageOf(error) });
      }
    }
    const left = outbox.next();
    if (left === undefined) return;
    const alarm = await storage.getAlarm();
    if (alarm === null || alarm > left.due) await storage.setAlarm(Math.max(left.due, Date.now()));
  }
}
