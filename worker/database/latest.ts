import { mayChange, type Principal } from "../auth/principal.ts";
import type { Env } from "../env.ts";
import { withDatabase } from "./database.ts";

/** How a job stands. */
export interface Standing {
  readonly id: string;
  readonly state: string;
  readonly verdict: string | null;
}

const LATEST = `SELECT j.id, j.state, j.verdict FROM job_labels AS l CROSS JOIN jobs AS j ON j.id = l.job
  WHERE l.name = ? AND l.value = ? AND j.owner = ? AND (? OR j.visibility = 'public')
  ORDER BY l.created_at DESC, l.job DESC LIMIT 1`;

/**
 * The newest of an owner's jobs with this label that the principal may read; null if there is none. Never anybody's: whoever may make jobs
 * could else say how others' stand.
 */
export async function latestJobWithLabel(
  env: Pick<Env, "DB" | "REGISTER">,
  principal: Principal,
  owner: string,
  name: string,
  value: string,
): Promise<Standing | null> {
  const all = mayChange(principal, owner) ? 1 : 0;
  return await withDatabase(env, (database) =>
    database.prepare(LATEST).bind(name, value, owner, all).first<Standing>(),
  );
}
