import type { Env } from "../env.ts";
import { HttpError } from "../errors.ts";
import { NOTIFY_LIMITS } from "./limits.ts";

const GITHUB_API = "https://api.github.com";

/** NOTIFY_RETRY_SECONDS: milliseconds after the first attempt that failed. */
export function firstRetryOf({ NOTIFY_RETRY_SECONDS: text }: Pick<Env, "NOTIFY_RETRY_SECONDS">): number {
  if (text === undefined || text === "") return NOTIFY_LIMITS.retryMilliseconds;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds * 1000;
  throw new HttpError(
    500,
    "bad-setting",
    `This worker's variable NOTIFY_RETRY_SECONDS is "${text}"; set it to a number above 0, at most 3600.`,
  );
}

/** GITHUB_API without a slash at its end. */
export const githubApiOf = ({ GITHUB_API: url }: Pick<Env, "GITHUB_API">): string =>
  (url === undefined || url === "" ? GITHUB_API : url).replace(/\/+$/, "");

/** An address of this worker for others; undefined if PUBLIC_URL does not say where it is. */
export function publicUrl({ PUBLIC_URL }: Pick<Env, "PUBLIC_URL">, path: string): string | undefined {
  return PUBLIC_URL === undefined || !URL.canParse(PUBLIC_URL) ? undefined : new URL(path, PUBLIC_URL).href;
}
