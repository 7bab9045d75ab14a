import type { JobEventConsumer } from "../events/event.ts";
import { newsOf } from "./member.ts";

/** Tells a job's batch what happened to it. */
export const tellBatch: JobEventConsumer = async (env, { batch, number, job }) => {
  if (batch !== null) await env.BATCH.getByName(batch).hear(newsOf(number, job));
};
