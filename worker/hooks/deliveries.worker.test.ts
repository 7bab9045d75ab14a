import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { makeTables } from "../database/database.ts";
import { signatureHeaders } from "../notify/signature.ts";
import { errorOf, request } from "../testing/client.ts";
import { HOOK_LIMITS } from "./limits.ts";
import type { HookView, Run } from "./record.ts";
import { hooksOf } from "./stub.ts";

/*
 * The list of deliveries, page by page: each delivery is on one of them, also if many came in the same millisecond, which is where pages end.
 * Those of which nothing can be made: how long that is tried, and who learns of it. And what is left of a token that is no more.
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

/** A delivery that is accepted, and of which no message is on its way. */
function insert(sql: SqlStorage, key: string): void {
  sql.exec(
    "INSERT INTO delivery (key, id, source, event, hash, state, received_at, runs, next_at) VALUES (?, ?, 'generic', 'job', ?, 'accepted', ?, '[]', 0)",
    key,
    key,
    key,
    Date.now(),
  );
}

test("whoever takes long keeps his claim as long as he says so; of many that died nobody is the next", async () => {
  await runInDurableObject(hooksOf(env), (hooks, { storage: { sql } }) => {
    const late = (key: string) => sql.exec("UPDATE delivery SET claimed_until = 0 WHERE key = ?", key);
    insert(sql, "slow");
    expect(hooks.claim("slow")).toMatchObject({ claim: 1, isLast: false });
    late("slow");
    expect(hooks.renew("slow", 1)).toBe(true);
    expect(hooks.claim("slow")).toBeNull();
    late("slow");
    expect(hooks.claim("slow")).toMatchObject({ claim: 2 });
    // The first is not dead after all, and learns that it is another's now.
    expect(hooks.renew("slow", 1)).toBe(false);
    sql.exec("UPDATE delivery SET state = 'done' WHERE key = 'slow'");

    insert(sql, "deadly");
    for (let deaths = 0; deaths < HOOK_LIMITS.claims; deaths++) {
      expect(hooks.claim("deadly")).not.toBeNull();
      late("deadly");
    }
    expect(hooks.claim("deadly")).toBeNull();
    const [row] = sql.exec("SELECT state, error FROM delivery WHERE key = 'deadly'").toArray();
    expect(row).toMatchObject({ state: "failed", error: expect.stringContaining("20 times") });
  });
});

test("a commit learns that nothing could be fetched when that is tried no more, and nothing of what was secret", async () => {
  await makeTables(env);
  const settings = env as unknown as Record<string, string>;
  Object.assign(settings, {
    GITHUB_TOKEN: "ghp_test",
    GITHUB_REPOSITORIES: "me/linux",
    NOTIFY_RESOLVER: "none",
  });
  const told: string[] = [];
  const fetching = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    if (String(input).startsWith("https://files.example.org/")) return new Response(null, { status: 503 });
    told.push(String(init?.body));
    return new Response(null, { status: 201 });
  });
  const labels = { git_repository: "me/linux", git_commit_hash: "a".repeat(40) };
  const run: Run = {
    kind: "job",
    id: "b".repeat(32),
    rule: "nightly",
    token: "root",
    request: { kernel: { url: "https://files.example.org/vmlinuz?token=hunter2" }, config: { labels } },
    hosts: ["files.example.org"],
  };
  const hooks = hooksOf(env);
  await hooks.accept({ id: "d1", source: "github", event: "push", hash: "d1", runs: [run] });
  const delivery = async () => (await hooks.list(null, 100)).find(({ id }) => id === "d1") as HookView;
  await expect.poll(async () => (await delivery()).attempts).toBe(1);
  expect([(await delivery()).state, told]).toEqual(["accepted", []]);
  await runInDurableObject(hooks, async (object, { storage }) => {
    const attempts = HOOK_LIMITS.attempts - 1;
    storage.sql.exec("UPDATE delivery SET attempts = ?, next_at = 0, asked_at = 0 WHERE id = 'd1'", attempts);
    await object.alarm();
  });
  await expect.poll(async () => (await delivery()).state).toBe("failed");
  await expect.poll(() => told.length).toBe(1);
  const { state, description } = JSON.parse(told[0] ?? "") as Record<string, string>;
  expect([state, description]).toEqual([
    "error",
    expect.stringContaining("https://files.example.org/vmlinuz?… "),
  ]);
  expect(told.join()).not.toContain("hunter2");
  fetching.mockRestore();
  for (const name of ["GITHUB_TOKEN", "GITHUB_REPOSITORIES", "NOTIFY_RESOLVER"]) delete settings[name];
});

test("secrets of a token that is no more are kept while its jobs may still tell something, and then go", async () => {
  const hooks = hooksOf(env);
  for (const owner of ["root", "1".repeat(16), "2".repeat(16)]) await hooks.putSecret(owner, "ci", "whsec_");
  const left = async () =>
    await Promise.all(
      ["root", "1".repeat(16), "2".repeat(16)].map(async (owner) => (await hooks.secrets(owner)).length),
    );
  await hooks.keepSecretsOf(["1".repeat(16)]);
  expect(await left()).toEqual([1, 1, 1]);
  await runInDurableObject(hooks, (_, { storage }) => {
    storage.sql.exec("UPDATE orphan SET since = since - ?", HOOK_LIMITS.keepMilliseconds);
  });
  await hooks.keepSecretsOf(["1".repeat(16)]);
  expect(await left()).toEqual([1, 1, 0]);
});

test("a batch that is larger than POST /batches takes is refused, and nothing of it is kept", async () => {
  const secret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
  const settings = env as unknown as Record<string, string>;
  settings.GENERIC_WEBHOOK_SECRET = secret;
  const job = { config: { cmdline: "x".repeat(1000), expect: { fail: Array(7).fill("y".repeat(250)) } } };
  const body = JSON.stringify({ kernel: { sha256: "0".repeat(64) }, jobs: Array(900).fill(job) });
  const timestamp = Math.floor(Date.now() / 1000);
  const headers = await signatureHeaders(secret, { id: "large", timestamp, body });
  const response = await request("/hooks/generic", { method: "POST", headers, body });
  expect([response.status, (await errorOf(response)).field]).toEqual([413, "body"]);
  delete settings.GENERIC_WEBHOOK_SECRET;
});
