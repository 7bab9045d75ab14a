import type { BatchSpec } from "../../jobs/batch/schema.ts";
import { type Principal, ROOT } from "../auth/principal.ts";
import { newJobId, quotaError } from "../create-job.ts";
import type { Env } from "../env.ts";
import { HttpError } from "../errors.ts";
import { checkNotify } from "../notify/check.ts";
import { notifyIn } from "../notify/on-batch.ts";
import { overQuota } from "../register/quota.ts";
import { registerOf } from "../register/stub.ts";
import { dispatcherOf } from "./dispatcher-stub.ts";
import { BATCH_LIMITS } from "./limits.ts";
import { storedKey } from "./owner.ts";
import type { BatchView } from "./record.ts";

/**
 * Makes a batch that was checked. With an `id` that was made before, it is the same batch again: so whoever may come twice brings its own.
 *
 * @throws HttpError 429 with Retry-After if none of its jobs could be made now, whatever ends, or if its token has
 * too many batches, or no room for it; 422 if those whom it names cannot be told
 */
export async function makeBatch(
  env: Env,
  { tokenId, quotas, scopes }: Pick<Principal, "tokenId" | "quotas" | "scopes">,
  spec: BatchSpec,
  id: string = newJobId(),
): Promise<BatchView> {
  const object = env.BATCH.getByName(id);
  const made = (await object.view()) as BatchView | null;
  if (made !== null) return made;
  await checkNotify(env, tokenId, notifyIn(spec.common.config));
  const visibility = spec.common.config.visibility === "public" ? "public" : "private";
  await admit(env, id, { tokenId, quotas }, JSON.stringify(spec).length);
  try {
    const batch = await object.create({
      ...spec,
      id,
      owner: { tokenId, quotas, scopes: [...scopes] },
      visibility,
    });
    return batch as BatchView;
  } catch (error) {
    // It may have been made all the same: then the next one that is refused for it finds out.
    if ((await object.view().catch(() => undefined)) === null) await dismiss(env, id);
    throw error;
  }
}

/** Counts a batch that is about to be made. From then on it says itself how large it is, and when it has ended. */
async function admit(
  env: Env,
  id: string,
  { tokenId, quotas }: Pick<Principal, "tokenId" | "quotas">,
  bytes: number,
): Promise<void> {
  if (tokenId !== ROOT && !(await dispatcherOf(env).admit(id, tokenId))) {
    throw new HttpError(
      429,
      "over-quota",
      `This token has ${BATCH_LIMITS.live} batches that have not ended, the most there may be; wait for one to end, or cancel one.`,
      { field: "batches", headers: { "retry-after": String(BATCH_LIMITS.liveRetrySeconds) } },
    );
  }
  try {
    // Counted first, and then compared: of several that come at once none is overlooked.
    const until = Date.now() + BATCH_LIMITS.makingMilliseconds;
    await registerOf(env).store(storedKey(id), tokenId, bytes, until, false);
    await demandQuota(env, tokenId, quotas);
  } catch (error) {
    await dismiss(env, id);
    throw error;
  }
}

/** The batch was not made. */
async function dismiss(env: Env, id: string): Promise<void> {
  await Promise.all([registerOf(env).unstore(storedKey(id)), dispatcherOf(env).ended(id)]);
}

/** Its jobs wait for those that run; but not for what is used up until tomorrow, or what they cannot have at all. */
async function demandQuota(env: Env, tokenId: string, quotas: Principal["quotas"]): Promise<void> {
  if (Object.values(quotas).every((most) => most === null)) return;
  const usage = await registerOf(env).usage(tokenId);
  const concurrentJobs = quotas.concurrentJobs === 0 ? 0 : null;
  const over = overQuota({ ...quotas, concurrentJobs }, usage, Date.now(), { job: true, bytes: 0 });
  if (over !== undefined) throw quotaError(over);
}
