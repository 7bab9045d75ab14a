import type { BatchSpec } from "../../jobs/batch/schema.ts";
import type { Principal } from "../auth/principal.ts";
import { newJobId, quotaError } from "../create-job.ts";
import type { Env } from "../env.ts";
import { checkNotify } from "../notify/check.ts";
import { notifyIn } from "../notify/on-batch.ts";
import { overQuota } from "../register/quota.ts";
import { registerOf } from "../register/stub.ts";
import type { BatchView } from "./record.ts";

/**
 * Makes a batch that was checked. With an `id` that was made before, it is the same batch again: so whoever may come twice brings its own.
 *
 * @throws HttpError 429 with Retry-After if none of its jobs could be made now, whatever ends; 422 if those whom it names cannot be told
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
  await demandQuota(env, tokenId, quotas);
  const visibility = spec.common.config.visibility === "public" ? "public" : "private";
  const batch = await object.create({
    ...spec,
    id,
    owner: { tokenId, quotas, scopes: [...scopes] },
    visibility,
  });
  return batch as BatchView;
}

/** Its jobs wait for those that run; but not for what is used up until tomorrow, or what they cannot have at all. */
async function demandQuota(env: Env, tokenId: string, quotas: Principal["quotas"]): Promise<void> {
  if (Object.values(quotas).every((most) => most === null)) return;
  const usage = await registerOf(env).usage(tokenId);
  const concurrentJobs = quotas.concurrentJobs === 0 ? 0 : null;
  const over = overQuota({ ...quotas, concurrentJobs }, usage, Date.now(), { job: true, bytes: 0 });
  if (over !== undefined) throw quotaError(over);
}
