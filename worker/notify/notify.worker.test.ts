import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBatch, stored } from "../batches/testing.ts";
import { makeTables } from "../database/database.ts";
import { createJob, endOf, errorOf, postJob, request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { DeliveryView } from "./record.ts";

/*
 * From a job's events to whoever it names, through the outbox, a Notifier, the queue and back. Here the receivers are functions in place of
 * fetch; real ones over HTTP, which go away and come back, are in worker/local/hooks.e2e.test.ts.
 */

const HELLO: Script = {
  events: [
    { at: 1_000_000, print: "hello\n" },
    { at: 2_500_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};
const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

interface Seen {
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
  readonly redirect: string | undefined;
}

let seen: Seen[];
/** What the receiver answers; requests for names' addresses are answered before. */
let answer: (request: Seen) => Response | Promise<Response>;
/** What names resolve to. */
let addresses: Readonly<Record<string, string>>;

beforeEach(async () => {
  await makeTables(env);
  seen = [];
  answer = () => new Response(null, { status: 204 });
  addresses = {};
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const url = new URL(String(input));
    if (url.pathname === "/dns-query") {
      const name = url.searchParams.get("name") ?? "";
      const data = addresses[name] ?? "93.184.216.34";
      return Response.json({ Status: 0, Answer: [{ name, type: 1, TTL: 1, data }] });
    }
    const request = {
      url: url.href,
      headers: new Headers(init?.headers),
      body: String(init?.body),
      redirect: init?.redirect,
    };
    seen.push(request);
    return answer(request);
  });
  await putSecret("default");
});
afterEach(() => vi.restoreAllMocks());

const putSecret = (name: string, secret = SECRET) =>
  request(`/webhook-secrets/${name}`, { method: "PUT", body: JSON.stringify({ secret }) });

async function deliveriesOf(path: string): Promise<DeliveryView[]> {
  const response = await request(`${path}/deliveries`);
  return ((await response.json()) as { deliveries: DeliveryView[] }).deliveries;
}

/** When all have come to an end, or to what is asked for. */
async function settled(
  path: string,
  count: number,
  isDone = (delivery: DeliveryView): boolean => delivery.state !== "pending",
): Promise<DeliveryView[]> {
  for (;;) {
    const deliveries = await deliveriesOf(path);
    if (deliveries.length === count && deliveries.every(isDone)) return deliveries;
    await scheduler.wait(10);
  }
}

/** The time has come for what waits for another attempt. */
const hurry = (subject: string): Promise<void> =>
  runInDurableObject(env.NOTIFIER.getByName(subject), async (object, { storage }) => {
    storage.sql.exec(
      "UPDATE delivery SET next_at = 0, asked_at = 0, claimed_until = 0 WHERE state = 'pending'",
    );
    await object.alarm();
  });

test("each event comes once, in order, signed, with the job and without whom else it names", async () => {
  const url = "https://ci.example.org/hook?key=1";
  const notify = [{ url, events: ["job.queued", "job.running", "job.ended"] }, "https://other.example.org/"];
  const { id } = await createJob(HELLO, { notify });
  await endOf(id);
  const deliveries = await settled(`/jobs/${id}`, 4);
  expect(
    deliveries.map(({ type, state, attempts, lastStatus }) => [type, state, attempts, lastStatus]),
  ).toEqual([
    ["job.queued", "delivered", 1, 204],
    ["job.running", "delivered", 1, 204],
    ["job.ended", "delivered", 1, 204],
    ["job.ended", "delivered", 1, 204],
  ]);
  const own = seen.filter((one) => one.url === url);
  expect(own).toHaveLength(3);
  expect(own.map(({ headers }) => headers.get("webhook-id"))).toEqual([1, 2, 3].map((n) => `evt_${id}_${n}`));
  for (const { headers, body, redirect } of own) {
    const message = new Webhook(SECRET).verify(body, Object.fromEntries(headers)) as {
      data: { job: { id: string } };
    };
    expect(message.data.job.id).toBe(id);
    expect(body).not.toContain("other.example.org");
    expect(redirect).toBe("manual");
  }
  expect(JSON.parse(own[2]?.body ?? "")).toMatchObject({ data: { job: { verdict: "pass" } } });
  // The same event again, as after a crash, makes nothing new.
  const { notifyOfJob } = await import("./on-job-event.ts");
  await notifyOfJob(env as never, (await env.JOB_RUNNER.getByName(id).lastEvent()) as never);
  await scheduler.wait(100);
  expect(seen).toHaveLength(4);
});

test("a receiver that is down gets the event when it is back, under the same id, and only then once", async () => {
  answer = () =>
    new Response("maintenance <b>today</b>", { status: 503, headers: { "retry-after": "7200" } });
  const { id } = await createJob(HELLO, { notify: ["https://ci.example.org/"] });
  await endOf(id);
  const [first] = await settled(`/jobs/${id}`, 1, ({ attempts }) => attempts === 1);
  expect(first).toMatchObject({
    state: "pending",
    lastStatus: 503,
    lastError: expect.stringContaining("maintenance"),
  });
  expect(Date.parse(first?.nextAttemptAt ?? "") - Date.now()).toBeGreaterThan(7_000_000);
  answer = () => Promise.reject(new Error("connection refused"));
  await hurry(id);
  const [second] = await settled(`/jobs/${id}`, 1, ({ attempts }) => attempts === 2);
  expect(second).toMatchObject({
    lastStatus: null,
    lastError: expect.stringContaining("connection refused"),
  });
  // The process dies while it waits.
  await abortAllDurableObjects();
  answer = () => new Response("thanks");
  await hurry(id);
  const [third] = await settled(`/jobs/${id}`, 1);
  expect(third).toMatchObject({ state: "delivered", attempts: 3 });
  expect(third?.log.map(({ status }) => status)).toEqual([503, null, 200]);
  expect(new Set(seen.map(({ headers }) => headers.get("webhook-id"))).size).toBe(1);
  await hurry(id);
  await scheduler.wait(100);
  expect(seen).toHaveLength(3);
});

test("whoever died with a delivery in hand did not lose it; what he says later counts for nothing", async () => {
  answer = () => new Response(null, { status: 500 });
  const { id } = await createJob(HELLO, { notify: ["https://ci.example.org/"] });
  const [delivery] = await settled(`/jobs/${id}`, 1, ({ attempts }) => attempts === 1);
  const notifier = env.NOTIFIER.getByName(id);
  const name = delivery?.id ?? "";
  expect(await notifier.claim(name)).toBeNull();
  await runInDurableObject(notifier, (_, { storage }) => {
    storage.sql.exec("UPDATE delivery SET next_at = 0");
  });
  const task = await notifier.claim(name);
  expect(task).toMatchObject({ id: name, webhookId: `evt_${id}_3` });
  expect(await notifier.claim(name)).toBeNull();
  // A minute later.
  answer = () => new Response();
  await hurry(id);
  await settled(`/jobs/${id}`, 1);
  await notifier.finish(name, task?.claim ?? 0, {
    status: 500,
    error: "x",
    again: true,
    wait: 0,
    milliseconds: 1,
  });
  expect(await deliveriesOf(`/jobs/${id}`)).toMatchObject([{ state: "delivered", attempts: 2 }]);
});

test("after a day it is given up, and sent again when that is asked for", async () => {
  answer = () => new Response(null, { status: 500 });
  const { id } = await createJob(HELLO, { notify: ["https://ci.example.org/"] });
  await settled(`/jobs/${id}`, 1, ({ attempts }) => attempts === 1);
  await runInDurableObject(env.NOTIFIER.getByName(id), (_, { storage }) => {
    storage.sql.exec("UPDATE delivery SET give_up_at = ?", Date.now());
  });
  await hurry(id);
  const [failed] = await settled(`/jobs/${id}`, 1);
  expect(failed).toMatchObject({ state: "failed", attempts: 2, nextAttemptAt: null });
  answer = () => new Response();
  expect((await request(failed?.links.redeliver ?? "", { method: "POST" })).status).toBe(202);
  expect(await settled(`/jobs/${id}`, 1)).toMatchObject([{ state: "delivered", attempts: 3 }]);
  expect(seen.at(-1)?.headers.get("webhook-id")).toBe(failed?.webhookId);
  expect((await request(`/deliveries/${id}.9.9/redeliver`, { method: "POST" })).status).toBe(404);
});

test("a redirect is not followed, a name at a private address is not asked, 410 is the end", async () => {
  addresses = { "rebind.example.org": "169.254.169.254", "inner.example.org": "::ffff:10.0.0.1" };
  answer = ({ url }) =>
    url.includes("gone")
      ? new Response(null, { status: 410 })
      : new Response(null, { status: 302, headers: { location: "http://127.0.0.1/" } });
  const urls = ["moved", "rebind", "inner", "gone"].map((name) => `https://${name}.example.org/`);
  const { id } = await createJob(HELLO, { notify: urls });
  const [moved, rebind, inner, gone] = await settled(`/jobs/${id}`, 4, ({ attempts }) => attempts > 0);
  expect(moved).toMatchObject({
    state: "pending",
    lastStatus: 302,
    lastError: expect.stringContaining("redirect"),
  });
  expect(rebind?.lastError).toMatch(/169\.254\.169\.254/);
  expect(inner?.lastError).toMatch(/10\.0\.0\.1|a00:1/);
  expect(gone).toMatchObject({ state: "failed", lastStatus: 410 });
  expect(seen.map(({ url }) => url).sort()).toEqual([urls[3], urls[0]]);
});

test("addresses and secrets that will not do are refused when the job is posted", async () => {
  const refused = async (entry: unknown): Promise<unknown> => {
    const response = await postJob(HELLO, { notify: [entry] });
    expect(response.status).toBe(422);
    return (await errorOf(response)).code;
  };
  expect(await refused("https://169.254.169.254/latest/")).toBe("refused-url");
  expect(await refused("http://example.org/")).toBe("refused-url");
  expect(await refused({ url: "https://example.org/", secret: "unknown" })).toBe("no-secret");
  const batch = { kernel: await stored(HELLO), jobs: [{}], config: { notify: ["https://localhost/"] } };
  const posted = await request("/batches", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(batch),
  });
  expect(posted.status).toBe(422);
});

test("a batch tells of its end where its config asks for it, each job of its own", async () => {
  const notify = [{ url: "https://batches.example.org/", events: ["batch.ended", "job.ended"] }];
  const { id } = await createBatch({
    name: "two",
    kernel: await stored(HELLO),
    jobs: [{}, {}],
    config: { notify },
  });
  const told = () => seen.filter(({ url }) => url === "https://batches.example.org/");
  await settled(`/batches/${id}`, 1);
  while (told().length < 3) await scheduler.wait(10);
  expect(
    told()
      .map(({ body }) => (JSON.parse(body) as { type: string }).type)
      .sort(),
  ).toEqual(["batch.ended", "job.ended", "job.ended"]);
  const ended = JSON.parse(told().find(({ body }) => body.includes("batch.ended"))?.body ?? "") as unknown;
  expect(ended).toMatchObject({ data: { batch: { id, verdict: "pass", jobs: { total: 2, ended: 2 } } } });
});

test("commit statuses: pending, then the verdict; one that is old is not sent after a newer", async () => {
  const settings = env as unknown as Record<string, string>;
  Object.assign(settings, {
    GITHUB_TOKEN: "ghp_test",
    GITHUB_REPOSITORIES: "me/*",
    PUBLIC_URL: "https://xenner.example/",
  });
  const labels = { name: "cloud", git_repository: "me/kernel", git_commit_hash: COMMIT };
  const { id } = await createJob(HELLO, { labels });
  await endOf(id);
  await settled(`/jobs/${id}`, 2);
  const toGithub = () => seen.filter(({ url }) => url.startsWith("https://api.github.com/"));
  for (const { url } of toGithub())
    expect(url).toBe(`https://api.github.com/repos/me/kernel/statuses/${COMMIT}`);
  expect(JSON.parse(toGithub().at(-1)?.body ?? "")).toMatchObject({
    state: "success",
    context: "xenner/cloud",
    target_url: `https://xenner.example/jobs/${id}`,
  });
  expect(toGithub()[0]?.headers.get("authorization")).toBe("Bearer ghp_test");
  expect(toGithub()[0]?.headers.has("webhook-signature")).toBe(false);
  // GitHub is away for both: only the last one is worth trying again.
  seen = [];
  answer = () => new Response(null, { status: 502 });
  const failing = await createJob(
    { events: [{ at: 2_000_000, end: { kind: "shutdown", reason: "crash", code: 3 } }] },
    { labels },
  );
  await endOf(failing.id);
  const [old, young] = await settled(
    `/jobs/${failing.id}`,
    2,
    ({ state, attempts }) => state === "superseded" || attempts > 0,
  );
  expect(old?.state).toBe("superseded");
  answer = () => new Response(null, { status: 201 });
  await hurry(failing.id);
  await settled(`/jobs/${failing.id}`, 2);
  expect(young?.type).toBe("job.ended");
  expect(JSON.parse(toGithub().at(-1)?.body ?? "")).toMatchObject({ state: "failure" });
  // A repository that this worker may not write to; without a list that is each of them.
  for (const repositories of ["me/other, you/*", ""]) {
    settings.GITHUB_REPOSITORIES = repositories;
    const foreign = await createJob(HELLO, { labels });
    await endOf(foreign.id);
    expect(await deliveriesOf(`/jobs/${foreign.id}`)).toEqual([]);
  }
  for (const name of ["GITHUB_TOKEN", "GITHUB_REPOSITORIES", "PUBLIC_URL"]) delete settings[name];
});

test("the list of all deliveries: pages, states, a token's own; lost, it comes back with a repair", async () => {
  const made = await request("/tokens", { method: "POST", body: JSON.stringify({ name: "ci" }) });
  const { token } = (await made.json()) as { token: string };
  const headers = { authorization: `Bearer ${token}` };
  const { id } = await createJob(HELLO, {
    notify: [{ url: "https://ci.example.org/", events: ["job.queued", "job.running", "job.ended"] }],
  });
  await endOf(id);
  await settled(`/jobs/${id}`, 3);
  const page = async (path: string, init = {}) =>
    (await (await request(path, init)).json()) as { deliveries: DeliveryView[]; next: string | null };
  const all = async () => (await page("/deliveries?limit=500")).deliveries.filter(({ job }) => job === id);
  while ((await all()).some(({ state }) => state !== "delivered") || (await all()).length < 3)
    await scheduler.wait(10);
  const first = await page("/deliveries?limit=2&state=delivered");
  expect(first.deliveries).toHaveLength(2);
  const next = await page(`/deliveries?limit=2&state=delivered&cursor=${first.next}`);
  expect(first.deliveries.map(({ id: one }) => one)).not.toContain(next.deliveries[0]?.id);
  expect((await page("/deliveries", { headers })).deliveries).toEqual([]);
  expect((await request(`/jobs/${id}/deliveries`, { headers })).status).toBe(404);
  expect((await request(`/deliveries/${id}.1.0/redeliver`, { method: "POST", headers })).status).toBe(404);
  expect((await request("/deliveries?state=lost")).status).toBe(400);
  const before = await all();
  await env.DB.prepare("DELETE FROM deliveries").run();
  await request("/admin/repair", { method: "POST" });
  while ((await all()).length < 3) await scheduler.wait(10);
  expect(await all()).toEqual(before);
});

test("deliveries go when their time is over, also if the database is away just then", async () => {
  const { id } = await createJob(HELLO, { notify: ["https://ci.example.org/"] });
  await endOf(id);
  await settled(`/jobs/${id}`, 1);
  const rows = async () =>
    (await env.DB.prepare("SELECT id FROM deliveries WHERE subject = ?").bind(id).all()).results.length;
  await expect.poll(rows).toBe(1);
  const late = () =>
    runInDurableObject(env.NOTIFIER.getByName(id), async (object, { storage }) => {
      storage.sql.exec("UPDATE subject SET changed_at = 0");
      await storage.deleteAlarm();
      await object.alarm();
      return await storage.getAlarm();
    });
  await env.DB.prepare("ALTER TABLE deliveries RENAME TO lost").run();
  await env.DB.prepare("CREATE VIEW deliveries AS SELECT * FROM lost").run();
  // The platform gives up an alarm that goes on failing: it must come by itself.
  expect(await late()).toBeGreaterThan(Date.now());
  await env.DB.prepare("DROP VIEW deliveries").run();
  await env.DB.prepare("ALTER TABLE lost RENAME TO deliveries").run();
  expect(await rows()).toBe(1);
  expect(await late()).toBeNull();
  expect([await rows(), await deliveriesOf(`/jobs/${id}`)]).toEqual([0, []]);
});

test("of a public job everybody may see all but whom it tells", async () => {
  const made = await request("/tokens", { method: "POST", body: JSON.stringify({ name: "other" }) });
  const { token } = (await made.json()) as { token: string };
  const headers = { authorization: `Bearer ${token}` };
  const url = "https://ci.example.org/?key=secret";
  const { id } = await createJob(HELLO, { visibility: "public", notify: [url] });
  await endOf(id);
  for (const path of [`/jobs/${id}`, `/jobs/${id}/report.json`, `/jobs?visibility=public`]) {
    const response = await request(path, { headers });
    expect([response.status, (await response.text()).includes("key=secret")]).toEqual([200, false]);
  }
  expect(await (await request(`/jobs/${id}`)).text()).toContain("key=secret");
  expect((await request(`/jobs/${id}/deliveries`, { headers })).status).toBe(404);
});

test("secrets can be written, listed by name, removed, and never read", async () => {
  const made = await request("/webhook-secrets/ci", { method: "PUT" });
  expect(made.status).toBe(201);
  const { secret } = (await made.json()) as { secret: string };
  expect(secret).toMatch(/^whsec_/);
  const list = await (await request("/webhook-secrets")).text();
  expect(list).toContain('"ci"');
  expect(list).not.toContain(secret);
  expect((await putSecret("ci", "whsec_short")).status).toBe(400);
  expect((await putSecret("a b")).status).toBe(400);
  const changed = await putSecret("ci");
  expect([changed.status, await changed.json()]).toEqual([200, { name: "ci" }]);
  expect((await request("/webhook-secrets/ci", { method: "DELETE" })).status).toBe(204);
  expect((await request("/webhook-secrets/ci", { method: "DELETE" })).status).toBe(404);
});
