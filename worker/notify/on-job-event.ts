import type { JobEventConsumer } from "../events/event.ts";
import { deliveriesOfJob } from "./events.ts";
import { commitOf } from "./github-status.ts";

/** Sees to it that those are told whom the job names. */
export const notifyOfJob: JobEventConsumer = async (env, event) => {
  const deliveries = deliveriesOfJob(env, event);
  if (deliveries.length === 0) return;
  const { jobId: id, owner } = event;
  await env.NOTIFIER.getByName(id).add({ kind: "job", id, owner }, deliveries);
};

/** For a repair: the rows of the job's deliveries are written anew. */
export const indexDeliveriesOfJob: JobEventConsumer = async (env, { jobId, notify, job }) => {
  if (notify.length === 0 && commitOf(job.config.labels ?? {}) === undefined) return;
  await env.NOTIFIER.getByName(jobId).reindex();
};
