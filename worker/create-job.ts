import type { Principal, Visibility } from "./auth/principal.ts";
import type { Env } from "./env.ts";
import type { JobRequest, JobView } from "./runner/record.ts";

/** What a job is made from, and whose it is. */
export interface NewJob extends Omit<JobRequest, "id" | "owner" | "visibility" | "batch" | "notify"> {
  readonly visibility?: Visibility;
  /** The batch it belongs to. */
  readonly batch?: string;
  readonly notify?: readonly unknown[];
}

export const newJobId = (): string => crypto.randomUUID().replaceAll("-", "");

/**
 * Makes a job of a request whose files are stored and checked. With an `id` that was made before, it is the same job again: so whoever
 * may come twice brings its own.
 */
export async function createJob(
  env: Env,
  principal: Pick<Principal, "tokenId" | "quotas">,
  job: NewJob,
  id: string = newJobId(),
): Promise<JobView> {
  const { visibility = job.config.visibility, batch = null, notify = job.config.notify, ...request } = job;
  const owner = principal.tokenId;
  return await env.JOB_RUNNER.getByName(id).create({ ...request, id, owner, visibility, batch, notify });
}
