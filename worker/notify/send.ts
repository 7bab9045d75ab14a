import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { logEvent, logInfo } from "../log.ts";
import type { WorkHandler } from "../queue.ts";
import { RefusedAddress } from "./address.ts";
import { retryAfter } from "./backoff.ts";
import { guardedFetch } from "./guarded-fetch.ts";
import { NOTIFY_LIMITS } from "./limits.ts";
import { isSendMessage } from "./messages.ts";
import type { Outcome, Task } from "./record.ts";
import { DEFAULT_SECRET, findSecret } from "./secrets.ts";
import { signatureHeaders } from "./signature.ts";

const USER_AGENT = "xenner-webhooks";
const GITHUB_API_VERSION = "2022-11-28";
const GONE = 410;
const UNAUTHORIZED = 401;
const UNPROCESSABLE = 422;

class NoSecret extends Error {}

async function headersOf(env: Env, task: Task): Promise<Record<string, string>> {
  const common = { "content-type": "application/json", "user-agent": USER_AGENT };
  if (task.kind === "status") {
    return {
      ...common,
      accept: "application/vnd.github+json",
      "x-github-api-version": GITHUB_API_VERSION,
      authorization: `Bearer ${env.GITHUB_TOKEN ?? ""}`,
    };
  }
  const secret = await findSecret(env, task.owner, task.secret);
  if (secret === undefined)
    throw new NoSecret(
      `there is no secret "${task.secret ?? DEFAULT_SECRET}" to sign with any more; store it again with PUT /webhook-secrets`,
    );
  const timestamp = Math.floor(Date.now() / 1000);
  return {
    ...common,
    ...(await signatureHeaders(secret, { id: task.webhookId, timestamp, body: task.body })),
  };
}

/** The beginning of an answer, for the log, and no more is read. */
async function excerptOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (text.length < NOTIFY_LIMITS.excerptCharacters) text += decoder.decode(chunk, { stream: true });
    if (bytes >= NOTIFY_LIMITS.answerBytes) break;
  }
  const line = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.slice(0, NOTIFY_LIMITS.excerptCharacters).toWellFormed();
}

function explain(status: number, location: string | null, excerpt: string): string {
  if (status >= 300 && status < 400)
    return `the answer was a redirect (${status}) to ${(location ?? "nowhere").slice(0, 200)}, which is not followed; name that address itself`;
  return excerpt === "" ? `the answer was ${status}` : `the answer was ${status}: ${excerpt}`;
}

/** Trying again changes nothing about these: the receiver is gone for good; GitHub does not know the token or the commit. */
function isFinal({ kind }: Task, status: number): boolean {
  return kind === "webhook" ? status === GONE : status === UNAUTHORIZED || status === UNPROCESSABLE;
}

async function attempt(env: Env, task: Task): Promise<Omit<Outcome, "milliseconds">> {
  try {
    const response = await guardedFetch(env, task.url, {
      method: "POST",
      headers: await headersOf(env, task),
      body: task.body,
      signal: AbortSignal.timeout(NOTIFY_LIMITS.attemptMilliseconds),
    });
    const { status, headers } = response;
    if (response.ok) {
      // It was taken, whatever becomes of the rest of the answer.
      await response.body?.cancel().catch(() => {});
      return { status, error: null, again: false, wait: 0 };
    }
    const excerpt = await excerptOf(response).catch(() => "");
    return {
      status,
      error: explain(status, headers.get("location"), excerpt),
      again: !isFinal(task, status),
      wait: retryAfter(headers.get("retry-after"), Date.now()),
    };
  } catch (error) {
    const again = !(error instanceof NoSecret);
    const why =
      error instanceof RefusedAddress ? `nothing is sent there: ${error.message}` : messageOf(error);
    return { status: null, error: why.slice(0, 2 * NOTIFY_LIMITS.excerptCharacters), again, wait: 0 };
  }
}

/**
 * Sends a delivery that is due, and says what came of it. A message that comes twice finds nothing to do the second time. If this is the
 * end of the process, the delivery comes again, under the same id.
 */
export const sendDelivery: WorkHandler = async (env, message) => {
  if (!isSendMessage(message)) throw new Error("this is no message of a delivery");
  const { subject, delivery } = message;
  const task = (await env.NOTIFIER.getByName(subject).claim(delivery)) as Task | null;
  if (task === null) return;
  const start = Date.now();
  const outcome: Outcome = { ...(await attempt(env, task)), milliseconds: Date.now() - start };
  await env.NOTIFIER.getByName(subject).finish(delivery, task.claim, outcome);
  const { status, error, milliseconds } = outcome;
  if (error === null) logInfo("notify.delivered", { delivery, status, milliseconds });
  else logEvent("notify.failed", { delivery, status, milliseconds });
};
