import { expect, test } from "vitest";
import { retryAfter, retryDelay } from "./backoff.ts";
import { NOTIFY_LIMITS } from "./limits.ts";

/* How long a receiver that is down is waited for: often at first, then seldom, for about a day, and never in step with others. */

test("an event is tried about twenty times in a day, first within seconds", () => {
  let at = 0;
  const times: number[] = [];
  for (let attempts = 1; at < NOTIFY_LIMITS.giveUpMilliseconds; attempts++) {
    times.push(at);
    at += retryDelay(attempts, NOTIFY_LIMITS.retryMilliseconds, 0.5);
  }
  expect(times.slice(0, 4)).toEqual([0, 5_000, 15_000, 35_000]);
  expect(times.length).toBeGreaterThan(13);
  expect(times.length).toBeLessThan(25);
});

test("jitter is a quarter either way", () => {
  expect(retryDelay(1, 1000, 0)).toBe(750);
  expect(retryDelay(1, 1000, 1)).toBe(1250);
  expect(retryDelay(3, 1000, 0.5)).toBe(4000);
});

test("what the receiver asks for is waited, within the most", () => {
  expect(retryDelay(1, 1000, 0, 60_000)).toBe(60_000);
  expect(retryDelay(1, 1000, 0, 1e12)).toBe(NOTIFY_LIMITS.mostRetryMilliseconds);
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(retryAfter("120", now)).toBe(120_000);
  expect(retryAfter("Thu, 01 Jan 2026 00:01:00 GMT", now)).toBe(60_000);
  for (const text of [null, "", "soon", "-5", "Thu, 01 Jan 2020 00:01:00 GMT"])
    expect(retryAfter(text, now)).toBe(0);
});
