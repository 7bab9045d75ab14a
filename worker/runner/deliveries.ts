import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { dispatchJobEvent } from "../events/dispatch.ts";
import { OUTBOX_LIMITS } from "../limits.ts";
import { logEvent, logInfo } from "../log.ts";
import { nextAlarm } from "./ending.ts";
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

/**
 * Delivers the events of a job's outbox, in order. What could not be delivered comes again with the object's alarm, and so does what
 * was being delivered when the process died: as long as the outbox has an event, an alarm is set, for a turn or for the event.
 */
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
    let delivered = false;
    for (let next = outbox.next(); next !== undefined; next = outbox.next()) {
      const { event, attempts, due } = next;
      if (due > Date.now()) break;
      try {
        await inTime(dispatchJobEvent(this.#env, event));
        outbox.delivered(event);
        delivered = true;
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
    if (left === undefined) {
      const job = this.#job;
      // Until now the alarm was to come soon, in case that this process dies.
      if (delivered && job.found !== undefined && job.ended) await storage.setAlarm(nextAlarm(job));
      return;
    }
    const alarm = await storage.getAlarm();
    if (alarm === null || alarm > left.due) await storage.setAlarm(Math.max(left.due, Date.now()));
  }
}
