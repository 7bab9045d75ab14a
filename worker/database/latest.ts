import type { Principal } from "../auth/principal.ts";
import type { Env } from "../env.ts";
import { withDatabase } from "./database.ts";

/** How a job stands. */
export interface Standing {
  readonly id: string;
  readonly state: string;
  readonly verdict: string | null;
}

const LATEST = `SELECT j.id, j.state, j.verdict FROM job_labels AS l CROSS JOIN jobs AS j ON j.id = l.job
  WHERE l.name = ? AND l.value = ? AND (? OR j.owner = ? OR j.visibility = 'public')
  ORDER BY l.created_at DESC, l.job DESC LIMIT 1`;

/** The newest job with this label that the principal may read; null if there is none. */
export async function latestJobWithLabel(
  env: Pick<Env, "DB" | "REGISTER">,
  { tokenId, scopes }: Principal,
  name: string,
  value: string,
): Promise<Standing | null> {
  const isAdmin = scopes.has("admin") ? 1 : 0;
  return await withDatabase(env, (database) =>
    database.prepare(LATEST).bind(name, value, isAdmin, tokenId).first<Standing>(),
  );
}
