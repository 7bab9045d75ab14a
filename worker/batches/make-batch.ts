import type { BatchSpec } from "../../jobs/batch/schema.ts";
import type { Principal } from "../auth/principal.ts";
import { newJobId } from "../create-job.ts";
import type { Env } from "../env.ts";
import { checkNotify } from "../notify/check.ts";
import { notifyIn } from "../notify/on-batch.ts";
import type { BatchView } from "./record.ts";

/**
 * Makes a batch that was checked. With an `id` that was made before, it is the same batch again: so whoever may come twice brings its own.
 *
 * @throws HttpError 422 if those whom it names cannot be told
 */
export async function makeBatch(
  env: Env,
  { tokenId, quotas, scopes }: Pick<Principal, "tokenId" | "quotas" | "scopes">,
  spec: BatchSpec,
  id: string = newJobId(),
): Promise<BatchView> {
  await checkNotify(env, tokenId, notifyIn(spec.common.config));
  const visibility = spec.common.config.visibility === "public" ? "public" : "private";
  const batch = await env.BATCH.getByName(id).create({
    ...spec,
    id,
    owner: { tokenId, quotas, scopes: [...scopes] },
    visibility,
  });
  return batch as BatchView;
}
