import { env } from "cloudflare:workers";
import parsePrometheus from "parse-prometheus-text-format";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createApp } from "../app.ts";
import { createJob, endOf, request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";

/*
 * What those who run the worker see of it: figures that Prometheus reads, health, what is in the log, and the headers of answers.
 * The figures are read by a published parser, and each line is held against the grammar of the format besides.
 */

const HELLO: Script = {
  events: [
    { at: 1_000_000, print: "hello\n" },
    { at: 2_500_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};

interface Metric {
  readonly value: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const LINE =
  /^(?:# HELP [a-z_]+ \S.*|# TYPE [a-z_]+ (?:counter|gauge)|[a-z_]+(?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? \d+(?:\.\d+)?(?:e[+-]\d+)?)$/;

async function metrics(): Promise<Map<string, readonly Metric[]>> {
  const response = await request("/metrics");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.trimEnd().split("\n")) expect(line).toMatch(LINE);
  const families = parsePrometheus(text) as { name: string; type: string; metrics: readonly Metric[] }[];
  expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
  for (const { name, type } of families)
    expect([name, type]).toEqual([name, name.endsWith("_total") ? "COUNTER" : "GAUGE"]);
  return new Map(families.map(({ name, metrics }) => [name, metrics]));
}

/** The value of a figure, with these labels among its own. */
function value(
  all: Map<string, readonly Metric[]>,
  name: string,
  labels: Record<string, string> = {},
): number {
  const found = (all.get(`xenner_${name}`) ?? []).find((metric) =>
    Object.entries(labels).every(([label, text]) => metric.labels?.[label] === text),
  );
  return Number(found?.value ?? Number.NaN);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("/metrics", () => {
  test("tells what happened: jobs by verdict and state, instructions, checkpoints, requests", async () => {
    const before = await metrics();
    const { id } = await createJob(HELLO);
    await endOf(id);
    let after = await metrics();
    while (value(after, "jobs", { state: "passed" }) === value(before, "jobs", { state: "passed" })) {
      await scheduler.wait(10);
      after = await metrics();
    }
    const grown = (name: string, labels?: Record<string, string>): number =>
      value(after, name, labels) - (value(before, name, labels) || 0);
    expect(grown("jobs_ended_total", { verdict: "pass" })).toBe(1);
    expect(grown("jobs_ended_total", { verdict: "fail" })).toBe(0);
    expect(grown("guest_instructions_total")).toBe(2_500_000);
    expect(grown("jobs", { state: "passed" })).toBe(1);
    expect(value(after, "database_up")).toBe(1);
    expect(value(after, "queue_depth")).toBe(0);
    expect(value(after, "jobs_live")).toBe(0);
    expect(value(after, "guest_mips")).toBeGreaterThanOrEqual(0);
    expect(value(after, "checkpoints_total")).toBeGreaterThanOrEqual(0);
    const posts = { method: "POST", route: "/jobs", status: "201" };
    expect(grown("http_requests_total", posts)).toBe(1);
    expect(grown("http_requests_total", { route: "/metrics" })).toBeGreaterThan(0);
    expect(JSON.stringify([...after])).not.toContain(id);
  });

  test("is for a token of its own, and for tokens that may read; not for whoever reads what is public", async () => {
    const app = createApp(async () => undefined);
    const ask = async (bindings: object, authorization?: string): Promise<number> =>
      (
        await app.request(
          "/metrics",
          { headers: authorization === undefined ? {} : { authorization } },
          { ...env, ...bindings },
        )
      ).status;
    expect(await ask({})).toBe(401);
    expect(await ask({ PUBLIC_READ: "1" })).toBe(401);
    expect(await ask({ METRICS_TOKEN: "" }, "Bearer ")).toBe(401);
    expect(await ask({ METRICS_TOKEN: "scrape" }, "Bearer other")).toBe(401);
    expect(await ask({ METRICS_TOKEN: "scrape" }, "Bearer scrape")).toBe(200);
    expect(await ask({}, "Bearer test-token")).toBe(200);
    const made = await request("/tokens", {
      method: "POST",
      body: JSON.stringify({ name: "x", scopes: ["run"] }),
    });
    const { token } = (await made.json()) as { token: string };
    expect(await ask({}, `Bearer ${token}`)).toBe(403);
  });

  test("says so when the database is away", async () => {
    const app = createApp(async () => undefined);
    const DB = {
      prepare: () => {
        throw new Error("away");
      },
    };
    const response = await app.request("/metrics", { headers: { authorization: "Bearer test-token" } }, {
      ...env,
      DB,
    } as never);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("xenner_database_up 0\n");
  });
});

describe("/healthz", () => {
  test("says what answers, and what does not", async () => {
    const well = await request("/healthz?deep", { headers: { authorization: "" } });
    expect([well.status, await well.json()]).toEqual([
      200,
      { status: "ok", checks: { settings: "ok", database: "ok", register: "ok", blobs: "ok" } },
    ]);
    const app = createApp(async () => undefined);
    const DB = {
      prepare: () => {
        throw new Error("away");
      },
    };
    const ill = await app.request("/healthz?deep", {}, { ...env, DB, POOL_MIB: "x" } as never);
    expect([ill.status, await ill.json()]).toEqual([
      503,
      { status: "failed", checks: { settings: "failed", database: "failed", register: "ok", blobs: "ok" } },
    ]);
    expect((await app.request("/healthz", {}, { ...env, DB } as never)).status).toBe(200);
    // Settings that something needs only later.
    for (const wrong of [
      { NOTIFY_RETRY_SECONDS: "soon" },
      { KCIDB_ORIGIN: "Me" },
      { WEBHOOK_SECRET: "whsec_short" },
      { GENERIC_WEBHOOK_SECRET: "secret" },
      { PUBLIC_URL: "xenner.example" },
      { NOTIFY_RESOLVER: "1.1.1.1" },
    ]) {
      const answer = await app.request("/healthz?deep", {}, { ...env, ...wrong } as never);
      expect([wrong, await answer.json()]).toMatchObject([wrong, { checks: { settings: "failed" } }]);
    }
  });
});

test("answers cannot be made pages of, nor framed, and say so whatever they are", async () => {
  const { id } = await createJob(HELLO);
  await endOf(id);
  for (const path of [`/jobs/${id}`, `/jobs/${id}/console`, "/jobs/x", "/nothing", "/metrics", "/healthz"]) {
    const { headers } = await request(path);
    expect([path, headers.get("x-content-type-options")]).toEqual([path, "nosniff"]);
    expect([path, headers.get("content-security-policy")]).toEqual([
      path,
      expect.stringContaining("default-src 'none'"),
    ]);
    expect([path, headers.get("x-frame-options")]).toEqual([path, "DENY"]);
  }
});

// The last one: what it sets is never unset.
test("the log is one JSON object a line, and has no token, body, query or console in it", async () => {
  const lines: string[] = [];
  for (const method of ["log", "warn", "error", "info"] as const) {
    vi.spyOn(console, method).mockImplementation(
      (...parts: unknown[]) => void lines.push(parts.map(String).join(" ")),
    );
  }
  const { setLog } = await import("../log.ts");
  setLog({ LOG: "all" });
  const app = createApp(async () => undefined);
  const made = await app.request(
    "/tokens",
    { method: "POST", headers: { authorization: "Bearer test-token" }, body: '{"name":"secret-name"}' },
    env,
  );
  const { token } = (await made.json()) as { token: string };
  for (const path of ["/jobs?text=secret-query", "/secret-path", `/jobs/${"0".repeat(32)}`, "/fixtures"]) {
    await app.request(path, { headers: { authorization: `Bearer ${token}` } }, env);
  }
  await app.request("/fixtures", { headers: { authorization: "Bearer secret-wrong" } }, env);
  await app.request(
    "/jobs",
    {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: '{"secret-body":1}',
    },
    env,
  );
  expect(lines.length).toBeGreaterThanOrEqual(7);
  const requests = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(requests).toContainEqual(
    expect.objectContaining({ event: "request", method: "GET", route: "/jobs/:id", status: 404 }),
  );
  expect(requests).toContainEqual(expect.objectContaining({ event: "request", status: 401, token: null }));
  for (const secret of [token, "test-token", "secret-"]) expect(lines.join("\n")).not.toContain(secret);
});
