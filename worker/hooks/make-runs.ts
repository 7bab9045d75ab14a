import { LoadError } from "../../engine/loader/errors.ts";
import { parseBatch } from "../../jobs/batch/schema.ts";
import { SpecError } from "../../jobs/spec-error.ts";
import { type Principal, ROOT, ROOT_PRINCIPAL } from "../auth/principal.ts";
import { mayUseSnapshot } from "../auth/snapshots.ts";
import { makeBatch } from "../batches/make-batch.ts";
import { createJob } from "../create-job.ts";
import type { Env } from "../env.ts";
import { HttpError, messageOf } from "../errors.ts";
import { checkKernel, rememberingCheck } from "../kernel-check.ts";
import { logEvent, logInfo } from "../log.ts";
import { statusDelivery } from "../notify/github-status.ts";
import type { WorkHandler } from "../queue.ts";
import { registerOf } from "../register/stub.ts";
import { principalOf, type StoredToken } from "../register/tokens.ts";
import { readJobRequest, withKernelChecked } from "../routes/job-request.ts";
import { settingsOf } from "../settings.ts";
import { fetchArtifact, replaceUrls, urlsIn } from "./artifacts.ts";
import { isHookMessage } from "./messages.ts";
import type { HookOutcome, HookTask, Run } from "./record.ts";
import { hooksOf } from "./stub.ts";

const TOO_MANY_REQUESTS = 429;
const checkOnce = rememberingCheck(checkKernel);

/** Whom a rule names. @throws HttpError if there is no such token any more */
async function ownerOf(env: Env, id: string): Promise<Principal> {
  if (id === ROOT) return ROOT_PRINCIPAL;
  const tokens = (await registerOf(env).listTokens()) as StoredToken[];
  const token = tokens.find((one) => one.id === id);
  if (token === undefined || (token.expiresAt !== null && token.expiresAt <= Date.now()))
    throw new HttpError(
      422,
      "no-token",
      `There is no token ${id} any more, in whose name this was to be made.`,
    );
  return principalOf(token);
}

/** The delivery is another's by now, who makes what is left. */
class ClaimLost extends Error {}

/**
 * Makes what a delivery asked for, once: its id was made before.
 *
 * @param renew is called before each step that may take long
 */
async function make(
  env: Env,
  { kind, id, token, request, hosts }: Run,
  renew: () => Promise<void>,
): Promise<void> {
  const owner = await ownerOf(env, token);
  const files = new Map<string, string>();
  for (const url of urlsIn(request)) {
    await renew();
    files.set(url, (await fetchArtifact(env, url, hosts, owner)).sha256);
  }
  await renew();
  const whole = replaceUrls(request, (url) => ({ sha256: files.get(url) }));
  if (kind === "batch") {
    const most = settingsOf(env).batchJobs;
    await makeBatch(env, owner, parseBatch(whole, most), id);
    return;
  }
  const asked = new Request("http://worker/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(whole),
  });
  const parsed = await readJobRequest(env.BLOBS, asked, (snapshot) => mayUseSnapshot(env, owner, snapshot));
  await createJob(env, owner, await withKernelChecked(env, parsed, checkOnce), id);
}

/** Whether it is the request's own fault, so that trying again would not help. */
function isFinal(error: unknown): boolean {
  if (error instanceof SpecError || error instanceof LoadError) return true;
  return error instanceof HttpError && error.status < 500 && error.status !== TOO_MANY_REQUESTS;
}

/** A message as everybody may read it: what follows the "?" of an address may be a secret. */
const inPublic = (message: string): string => message.replace(/(https?:\/\/[^\s"?]+)\?[^\s"]*/g, "$1?…");

/** Whoever looks at the commit learns that nothing could be run. */
async function tellCommit(env: Env, { kind, id, token, rule, request }: Run, message: string): Promise<void> {
  const config = request.config as { readonly labels?: Readonly<Record<string, string>> } | undefined;
  const subject = { kind, id, owner: token };
  const status = statusDelivery(env, subject, {
    number: 0,
    type: "hook.failed",
    labels: config?.labels ?? {},
    name: config?.labels?.name ?? rule ?? "hook",
    state: "error",
    description: inPublic(message),
  });
  if (status !== undefined) await env.NOTIFIER.getByName(id).add(subject, [status]);
}

/** Makes the jobs and batches of a delivery that was accepted. Done twice, it is done once. */
export const makeRuns: WorkHandler = async (env, message) => {
  if (!isHookMessage(message)) throw new Error("this is no message of a hook");
  const { delivery } = message;
  const hooks = hooksOf(env);
  const task = (await hooks.claim(delivery)) as HookTask | null;
  if (task === null) return;
  const renew = async (): Promise<void> => {
    if (!(await hooks.renew(delivery, task.claim))) throw new ClaimLost();
  };
  const errors: string[] = [];
  let again = false;
  for (const run of task.runs) {
    try {
      await make(env, run, renew);
      logInfo("hook.made", { delivery, kind: run.kind, id: run.id });
    } catch (error) {
      if (error instanceof ClaimLost) return;
      const why = messageOf(error);
      errors.push(`${run.rule ?? run.kind}: ${why}`);
      logEvent("hook.failed", {
        delivery,
        kind: run.kind,
        id: run.id,
        error: error instanceof HttpError ? error.code : why,
      });
      if (isFinal(error) || task.isLast) await tellCommit(env, run, why);
      else again = true;
    }
  }
  const outcome: HookOutcome = {
    error: errors.length === 0 ? null : errors.join("; ").slice(0, 2000),
    again,
  };
  await hooks.finish(delivery, task.claim, outcome);
};
