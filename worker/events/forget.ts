import { withDatabase } from "../database/database.ts";
import { deleteJobRow } from "../database/jobs.ts";
import type { Env } from "../env.ts";
import { registerOf } from "../register/stub.ts";

/** Nothing is left of a job: what is kept about it elsewhere goes, too. Rejects if some of it could not be removed. */
export async function forgetJob(env: Env, id: string): Promise<void> {
  await withDatabase(env, (database) => deleteJobRow(database, id));
  await registerOf(env).forget(id);
}
