import type { JobEventConsumer } from "../events/event.ts";
import { withDatabase } from "./database.ts";
import { jobStatements } from "./jobs.ts";

/** Keeps the job's row in the index up to date. */
export const indexJobEvent: JobEventConsumer = async (env, event) => {
  await withDatabase(env, (database) => database.batch(jobStatements(database, event)));
};
