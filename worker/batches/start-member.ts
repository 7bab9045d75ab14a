import { LoadError } from "../../engine/loader/errors.ts";
import { SpecError } from "../../jobs/spec-error.ts";
import { mayUseSnapshot } from "../auth/snapshots.ts";
import { createJob } from "../create-job.ts";
import type { Env } from "../env.ts";
import { HttpError, messageOf } from "../errors.ts";
import { checkKernel, refusalOf, rememberingCheck } from "../kernel-check.ts";
import { logEvent } from "../log.ts";
import type { WorkHandler } from "../queue.ts";
import { readJobRequest, withKernelChecked } from "../routes/job-request.ts";
import type { Claim, Refusal } from "./batch.ts";
import type { Grant } from "./dispatcher-store.ts";
import { dispatcherOf } from "./dispatcher-stub.ts";
import { BATCH_LIMITS } from "./limits.ts";
import { isStartMessage } from "./messages.ts";

const TOO_MANY_REQUESTS = 429;
const checkOnce = rememberingCheck(checkKernel);

/**
 * Makes a job of a member that has its turn, on the same path as POST /jobs. Done twice, it is done once: the job's id is
 * the batch's. What fails by no fault of the request is left to the dispatcher, which sends the message again.
 */
export const startMember: WorkHandler = async (env, message) => {
  if (!isStartMessage(message)) throw new Error("this is no message of a batch");
  const { batch: id, member } = message;
  const batch = env.BATCH.getByName(id);
  const dispatcher = dispatcherOf(env);
  const claim = (await batch.claim(member)) as Claim;
  switch (claim.kind) {
    case "over":
      await dispatcher.release(id, [member]);
      return;
    case "cancel":
      if ((await env.JOB_RUNNER.getByName(claim.job).cancel()) === null) {
        await batch.abandoned(member);
        return;
      }
      // It was made, and whoever made it could not say so: the member ends as its job does.
      await batch.made(member);
      break;
    case "made":
      break;
    case "start": {
      let refusal: Refusal | undefined;
      try {
        await makeJob(env, id, claim);
      } catch (error) {
        refusal = asRefusal(error);
        if (refusal === undefined) {
          logEvent("batch.start-failed", { batch: id, member, error: messageOf(error) });
          if (error instanceof HttpError && error.status === TOO_MANY_REQUESTS)
            await postpone(env, { batch: id, member }, error);
          return;
        }
      }
      if (refusal !== undefined) await batch.refused(member, refusal);
      else if (!(await batch.made(member))) await env.JOB_RUNNER.getByName(claim.job).cancel();
    }
  }
  await dispatcher.acknowledge({ batch: id, member });
};

/** The member's place is for others, until it may be worth trying again. */
async function postpone(env: Env, grant: Grant, { code, message, headers }: HttpError): Promise<void> {
  const dispatcher = dispatcherOf(env);
  const seconds = Number(headers["retry-after"] ?? BATCH_LIMITS.restSeconds);
  switch (await env.BATCH.getByName(grant.batch).postponed(grant.member, { code, message })) {
    case "waits":
      await dispatcher.postpone(grant, Date.now() + seconds * 1000);
      return;
    case "made":
      await dispatcher.acknowledge(grant);
      return;
    case "over":
      await dispatcher.release(grant.batch, [grant.member]);
  }
}

async function makeJob(
  env: Env,
  batch: string,
  { job, request, owner }: Claim & { readonly kind: "start" },
): Promise<void> {
  const asked = new Request("http://worker/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const asker = { tokenId: owner.tokenId, scopes: new Set(owner.scopes) };
  const parsed = await readJobRequest(env.BLOBS, asked, (snapshot) => mayUseSnapshot(env, asker, snapshot));
  await createJob(env, owner, { ...(await withKernelChecked(env, parsed, checkOnce)), batch }, job);
}

/** What is wrong with what was asked for; undefined if that is not what went wrong. */
function asRefusal(error: unknown): Refusal | undefined {
  if (error instanceof SpecError || (error instanceof HttpError && isRefusal(error.status)))
    return { code: error.code, field: error.field ?? null, message: error.message };
  if (!(error instanceof LoadError)) return undefined;
  const { code, field, message } = refusalOf(error);
  return { code, field, message };
}

const isRefusal = (status: number): boolean => status >= 400 && status < 500 && status !== TOO_MANY_REQUESTS;
