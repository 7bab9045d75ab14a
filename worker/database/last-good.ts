import { labelKey } from "../../jobs/compare/compare.ts";
import type { Visibility } from "../auth/principal.ts";
import type { Env } from "../env.ts";
import type { JobEventConsumer } from "../events/event.ts";
import type { JobView } from "../runner/record.ts";
import { withDatabase } from "./database.ts";

/** A job that passed, which others of the same labels are compared with. */
export interface GoodJob {
  readonly id: string;
  /** Of the run alone: without those before the snapshot that it began from. */
  readonly instructions: number;
}

/** What has to be known of a job to find the last known good before it. */
export interface ComparableJob {
  readonly id: string;
  readonly owner: string;
  readonly visibility: Visibility;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

const WRITE = `INSERT INTO good_jobs (labels, created_at, id, owner, visibility, instructions) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET instructions = excluded.instructions`;
const FIND = `SELECT id, instructions FROM good_jobs
  WHERE labels = ? AND created_at <= ? AND id <> ? AND owner = ? AND (? OR visibility = 'public')
  ORDER BY created_at DESC, id DESC LIMIT 1`;

/** The same for equal labels; undefined if there are none: jobs without labels have nothing in common. */
async function keyOf(labels: Readonly<Record<string, string>>): Promise<string | undefined> {
  const key = labelKey(labels);
  if (key === undefined) return undefined;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Instructions of the job's own run. */
export function runInstructions({ instructions, from }: Pick<JobView, "instructions" | "from">): number {
  return from?.since.instructions ?? instructions;
}

/** Keeps a job that passed for others to be compared with. */
export const indexGoodJob: JobEventConsumer = async (env, { job }) => {
  if (job.verdict !== "pass") return;
  // Jobs of an older version have no labels.
  const key = await keyOf(job.config.labels ?? {});
  if (key === undefined) return;
  const row = [key, Date.parse(job.createdAt), job.id, job.owner, job.visibility, runInstructions(job)];
  await withDatabase(env, (database) =>
    database
      .prepare(WRITE)
      .bind(...row)
      .run(),
  );
};

/**
 * The newest job that passed, is not newer than this one and has the same labels and owner: whoever may make jobs could else set the
 * measure for others'. A public job's is public, too, as all that is said of it is read by others. Null if there is none, or the job has
 * no labels. Rejects if the database does.
 */
export async function findLastGood(
  env: Pick<Env, "DB" | "REGISTER">,
  { id, owner, visibility, labels, createdAt }: ComparableJob,
): Promise<GoodJob | null> {
  const key = await keyOf(labels);
  if (key === undefined) return null;
  return await withDatabase(env, (database) =>
    database
      .prepare(FIND)
      .bind(key, createdAt, id, owner, visibility === "private" ? 1 : 0)
      .first<{ id: string; instructions: number }>(),
  );
}
