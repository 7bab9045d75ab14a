import type { Principal } from "./auth/principal.ts";
import type { Blob } from "./blobs/store.ts";
import type { Env } from "./env.ts";
import { HttpError, messageOf } from "./errors.ts";
import { QUOTA_LIMITS } from "./limits.ts";
import { logEvent } from "./log.ts";
import { checkNotify } from "./notify/check.ts";
import type { OverQuota } from "./register/quota.ts";
import { registerOf } from "./register/stub.ts";
import type { JobRequest, JobView } from "./runner/record.ts";

/** What a job is made from. Who may see it, and who is told of it, is in its configuration. */
export interface NewJob extends Omit<JobRequest, "id" | "owner" | "batch"> {
  /** The batch it belongs to. */
  readonly batch?: string;
}

export const newJobId = (): string => crypto.randomUUID().replaceAll("-", "");

/** The answer to whoever asks for more than his token may have. */
export function quotaError({ quota, message, retryAfter }: OverQuota): HttpError {
  return new HttpError(429, "over-quota", message, {
    field: quota,
    headers: { "retry-after": String(retryAfter) },
  });
}

/** @throws HttpError 429 with Retry-After if the token may not store so many bytes more */
export async function demandRoom(
  env: Env,
  { tokenId, quotas }: Pick<Principal, "tokenId" | "quotas">,
  bytes: number,
): Promise<void> {
  if (quotas.storageBytes === null) return;
  const over = await registerOf(env).room(tokenId, quotas, bytes);
  if (over !== null) throw quotaError(over);
}

/**
 * Holds room in a token's storage while `use` fills it, so that requests that come together do not all find the same room.
 * What is stored is counted by `use` itself.
 *
 * @param use is given the key of what is held; null if the token has no bound
 * @throws HttpError 429 with Retry-After if the token may not store so many bytes more
 */
export async function withRoom<T>(
  env: Env,
  { tokenId, quotas }: Pick<Principal, "tokenId" | "quotas">,
  bytes: number,
  use: (held: string | null) => Promise<T>,
): Promise<T> {
  if (quotas.storageBytes === null) return await use(null);
  const held = `room ${crypto.randomUUID()}`;
  const until = Date.now() + QUOTA_LIMITS.roomMilliseconds;
  const over = await registerOf(env).hold(held, tokenId, quotas, bytes, until);
  if (over !== null) throw quotaError(over);
  try {
    return await use(held);
  } finally {
    // If that fails it is held no longer than until its time is over.
    await registerOf(env)
      .unstore(held)
      .catch((error: unknown) => logEvent("quota.room-not-freed", { error: messageOf(error) }));
  }
}

/**
 * Counts a file as this token's that is about to be stored and was not here before.
 *
 * @param held what withRoom holds for it
 * @throws HttpError 429 with Retry-After if there is no room for it
 */
export async function admitUpload(
  env: Env,
  { tokenId, quotas }: Pick<Principal, "tokenId" | "quotas">,
  blob: Blob,
  held: string | null = null,
): Promise<void> {
  const until = Date.now() + QUOTA_LIMITS.uploadMilliseconds;
  const file = { key: `blob ${blob.sha256}`, bytes: blob.size, until };
  const over = await registerOf(env).keep(file, tokenId, quotas, held);
  if (over !== null) throw quotaError(over);
}

/** Counts a file as this token's, unless it is counted already: files are shared by all, and whoever sends one again sends nothing. */
export async function countUpload(
  env: Env,
  { tokenId }: Pick<Principal, "tokenId">,
  blob: Blob,
): Promise<void> {
  const until = Date.now() + QUOTA_LIMITS.uploadMilliseconds;
  await registerOf(env).store(`blob ${blob.sha256}`, tokenId, blob.size, until, true);
}

/**
 * Makes a job of a request whose files are stored and checked. With an `id` that was made before, it is the same job again: so whoever
 * may come twice brings its own.
 *
 * @throws HttpError 429 with Retry-After if the token's quotas leave no room for it, 422 if those whom it names cannot be told
 */
export async function createJob(
  env: Env,
  principal: Pick<Principal, "tokenId" | "quotas">,
  job: NewJob,
  id: string = newJobId(),
): Promise<JobView> {
  const { batch = null, ...request } = job;
  const { tokenId: owner, quotas } = principal;
  // Jobs of a batch of an older version may have no such field.
  await checkNotify(env, owner, request.config.notify ?? []);
  // Before the job: whatever happens next, it can be found again.
  const over = await registerOf(env).admit(id, owner, quotas);
  if (over !== null) throw quotaError(over);
  return await env.JOB_RUNNER.getByName(id).create({ ...request, id, owner, batch });
}
