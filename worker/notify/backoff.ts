import { NOTIFY_LIMITS } from "./limits.ts";

/**
 * Milliseconds until the next attempt: doubled with each further one up to some hours, and somewhere between three quarters and
 * five quarters of that, so that what failed together does not come again together.
 *
 * @param attempts those that failed, from 1
 * @param random from 0 to 1
 * @param asked what the receiver asked to wait (Retry-After), in milliseconds: no less than that, within the most
 */
export function retryDelay(attempts: number, first: number, random: number, asked = 0): number {
  const { mostRetryMilliseconds } = NOTIFY_LIMITS;
  const doubled = Math.min(mostRetryMilliseconds, first * 2 ** Math.min(attempts - 1, 40));
  return Math.max(doubled * (0.75 + random / 2), Math.min(asked, mostRetryMilliseconds));
}

/** Retry-After in seconds or as a date (RFC 9110, 10.2.3), in milliseconds from now; 0 if it says nothing. */
export function retryAfter(header: string | null, now: number): number {
  if (header === null) return 0;
  const wait = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wait) ? Math.max(0, wait) : 0;
}
