import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { makeTables } from "../database/database.ts";
import { errorOf, request } from "../testing/client.ts";
import type { HookView } from "./record.ts";
import { hooksOf } from "./stub.ts";

/*
 * The list of deliveries, page by page: each delivery is on one of them, also if many came in the same millisecond, which is where pages end.
 */

interface Page {
  readonly deliveries: readonly HookView[];
  readonly next: string | null;
}

async function pageOf(query: string): Promise<Page> {
  const response = await request(`/hooks/deliveries?${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}

test("pages have each delivery once, newest first, whatever came in the same millisecond", async () => {
  await makeTables(env);
  const hooks = hooksOf(env);
  // Ids as both sources have them: GitHub's are UUIDs, those of Standard Webhooks any characters but dots and spaces.
  const sent = Array.from({ length: 11 }, (_, index) =>
    index % 2 === 0
      ? ({ id: `6f2c1a-${index}`, source: "github" } as const)
      : ({ id: `msg_ü+%&/-${index}`, source: "generic" } as const),
  );
  for (const { id, source } of sent) await hooks.accept({ id, source, event: "push", hash: id, runs: [] });
  // Ten of one millisecond, one of the millisecond before.
  await runInDurableObject(hooks, (_, { storage }) => {
    storage.sql.exec("UPDATE delivery SET received_at = 1700000000000");
    storage.sql.exec("UPDATE delivery SET received_at = 1699999999999 WHERE id = ?", sent[0]?.id ?? "");
  });
  const whole = await pageOf("limit=100");
  expect(whole.next).toBeNull();
  expect(whole.deliveries.map(({ id }) => id).sort()).toEqual(sent.map(({ id }) => id).sort());
  expect(whole.deliveries.at(-1)?.id).toBe(sent[0]?.id);
  for (const limit of [1, 3, 10, 11]) {
    const seen: string[] = [];
    let next: string | null = "";
    for (let pages = 0; next !== null && pages < 20; pages++) {
      const cursor: string = next === "" ? "" : `&cursor=${encodeURIComponent(next)}`;
      const page: Page = await pageOf(`limit=${limit}${cursor}`);
      expect(page.deliveries.length).toBeLessThanOrEqual(limit);
      seen.push(...page.deliveries.map(({ id }) => id));
      next = page.next;
    }
    expect([limit, seen]).toEqual([limit, whole.deliveries.map(({ id }) => id)]);
  }
  for (const cursor of ["1700000000000", "x-github-1", "1-gitlab-1", "1-github-"]) {
    const response = await request(`/hooks/deliveries?cursor=${cursor}`);
    expect([response.status, (await errorOf(response)).field]).toEqual([400, "cursor"]);
  }
});
