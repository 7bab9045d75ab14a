import { tellBatch } from "../batches/on-job-event.ts";
import { indexGoodJob } from "../database/last-good.ts";
import { indexJobEvent } from "../database/on-job-event.ts";
import type { Env } from "../env.ts";
import { indexDeliveriesOfJob, notifyOfJob } from "../notify/on-job-event.ts";
import { accountJobEvent } from "../register/on-job-event.ts";
import type { JobEvent, JobEventConsumer } from "./event.ts";

/**
 * What is made of the jobs' events and can be made anew from them: the database's tables. A repair gives each job's last event to these
 * again. In this order.
 */
export const INDEXES: readonly JobEventConsumer[] = [
  indexJobEvent,
  indexGoodJob,
  tellBatch,
  indexDeliveriesOfJob,
];

/** What is done once for each event, and not again by a repair. */
export const FOLLOWERS: readonly JobEventConsumer[] = [notifyOfJob];

/** Gives an event to everyone, first to the register, on which quotas depend. Rejects if one rejects: the event comes again then, to all of them. */
export async function dispatchJobEvent(env: Env, event: JobEvent): Promise<void> {
  for (const consume of [accountJobEvent, ...INDEXES, ...FOLLOWERS]) await consume(env, event);
}
