import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { hashOf } from "../register/tokens.ts";
import { errorOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import { as, ended, jobAs, makeToken, postAs } from "../testing/tokens.ts";
import { NO_QUOTAS } from "./principal.ts";

/*
 * Who may do what, in workerd: requests without a token, with a wrong one, with one of the wrong scope, of another token, and
 * over each of the quotas. Every route is asked, as the application itself lists them.
 */

const HELLO: Script = {
  events: [
    { at: 1_000_000, print: "hello\n" },
    { at: 2_500_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};

describe("tokens", () => {
  test("are made by an administrator, work at once, and stop working when they are deleted", async () => {
    const made = await makeToken({ name: "ci", scopes: ["read"] });
    expect(made.token).toMatch(/^xen_[A-Za-z0-9_-]{43}$/);
    expect((await as(made.token, "/fixtures")).status).toBe(200);
    expect((await request(`/tokens/${made.id}`, { method: "DELETE" })).status).toBe(204);
    expect((await as(made.token, "/fixtures")).status).toBe(401);
    expect((await request(`/tokens/${made.id}`, { method: "DELETE" })).status).toBe(404);
  });

  test("are stored as hashes only, in the register and in the database", async () => {
    const made = await makeToken({ name: "hashed" });
    const rows = (await env.DB.prepare("SELECT * FROM tokens WHERE id = ?").bind(made.id).all()).results;
    expect(rows).toMatchObject([{ hash: await hashOf(made.token) }]);
    expect(JSON.stringify(rows)).not.toContain(made.token);
    expect(JSON.stringify(await (await request("/tokens")).json())).not.toContain(made.token);
    expect(await env.REGISTER.getByName("register").findToken(await hashOf(made.token))).toMatchObject({
      id: made.id,
      scopes: ["read", "run"],
    });
  });

  test("are found without their copies in the database", async () => {
    const made = await makeToken({ name: "uncopied" });
    await env.DB.prepare("DELETE FROM tokens").run();
    expect((await as(made.token, "/fixtures")).status).toBe(200);
  });

  test("have no copy that outlives them: what a delete did not reach, a repair that begins by itself removes", async () => {
    const made = await makeToken({ name: "revoked" });
    const { forgetToken } = await import("./find-token.ts");
    await env.DB.prepare("ALTER TABLE tokens RENAME TO lost").run();
    await env.DB.prepare("CREATE VIEW tokens AS SELECT * FROM lost").run();
    const refused = await request(`/tokens/${made.id}`, { method: "DELETE" });
    expect([refused.status, (await errorOf(refused)).code]).toEqual([503, "not-removed"]);
    // Meanwhile the repair cannot go on, and what needs no database does: a job that was never made gives its place back.
    const register = env.REGISTER.getByName("register");
    await register.admit("f".repeat(32), made.id, NO_QUOTAS);
    await runInDurableObject(register, async (object, { storage }) => {
      storage.sql.exec("UPDATE job SET heard_at = 0 WHERE owner = ?", made.id);
      await object.alarm();
    });
    expect((await register.usage(made.id)).concurrentJobs).toBe(0);
    // The copy is there, the token is not.
    await env.DB.prepare("DROP VIEW tokens").run();
    await env.DB.prepare("ALTER TABLE lost RENAME TO tokens").run();
    expect((await as(made.token, "/fixtures")).status).toBe(200);
    await expect
      .poll(
        async () => {
          forgetToken(made.id);
          // Sooner than in half a minute.
          await runInDurableObject(register, (object) => object.alarm());
          return (await as(made.token, "/fixtures")).status;
        },
        { timeout: 20_000 },
      )
      .toBe(401);
  });

  test("expire", async () => {
    const made = await makeToken({ name: "short", days: 0.04 });
    expect((await as(made.token, "/fixtures")).status).toBe(200);
    const text = JSON.stringify({
      ...(await env.REGISTER.getByName("register").findToken(await hashOf(made.token))),
      expiresAt: Date.now() - 1,
    });
    await env.DB.prepare("UPDATE tokens SET token = ? WHERE id = ?").bind(text, made.id).run();
    const { forgetToken } = await import("./find-token.ts");
    forgetToken(made.id);
    expect((await as(made.token, "/fixtures")).status).toBe(401);
  });

  test("that are asked for wrongly are refused with the field", async () => {
    for (const [body, field] of [
      [{}, "body.name"],
      [{ name: "x", scope: [] }, "body.scope"],
      [{ name: "x", scopes: ["write"] }, "body.scopes[0]"],
      [{ name: "x", quotas: { concurrentJobs: -1 } }, "body.quotas.concurrentJobs"],
    ] as const) {
      const response = await request("/tokens", { method: "POST", body: JSON.stringify(body) });
      expect([response.status, (await errorOf(response)).field]).toEqual([400, field]);
    }
  });
});

test("without a token, or with a wrong one, every route is a 401, and every page the login", async () => {
  const { createApp } = await import("../app.ts");
  // What tells nothing about anybody: the worker's health, its documentation, its style sheets, and the login.
  const open = /^\/(healthz|openapi\.json|docs|favicon\.ico|(login|logout|assets)(\/.*)?)$/;
  const routes = createApp(async () => undefined).routes.filter(
    ({ method, path }) => method !== "ALL" && !open.test(path),
  );
  expect(routes.length).toBeGreaterThan(30);
  const answers = new Set<string>();
  const leaks: string[] = [];
  for (const { method, path } of routes) {
    const address = path.replace(/:\w+(\{.*?\})?/g, "0".repeat(32)).replace(/\*/g, "x");
    for (const authorization of ["", "Bearer wrong", `Bearer xen_${"A".repeat(43)}`, "Basic dGVzdA=="]) {
      const response = await request(address, { method, headers: { authorization }, redirect: "manual" });
      const { status, headers } = response;
      const isLogin = status === 303 && headers.get("location")?.startsWith("/login") === true;
      const isRefused = status === 401 && headers.get("www-authenticate")?.startsWith("Bearer") === true;
      // Deliveries are signed instead; without the secret they are signed with, there is no such route.
      if (/^\/hooks\/(github|generic)$/.test(path) && status === 404) continue;
      if (isLogin || isRefused) answers.add(isLogin ? "login" : "401");
      else leaks.push(`${method} ${path} ${authorization}: ${status}`);
    }
  }
  expect(leaks).toEqual([]);
  expect([...answers].sort()).toEqual(["401", "login"]);
});

test("with the wrong scope it is a 403, which says what is needed", async () => {
  const reader = await makeToken({ name: "reader", scopes: ["read"] });
  const runner = await makeToken({ name: "runner", scopes: ["run"] });
  for (const [token, method, path, scope] of [
    [reader.token, "POST", "/jobs", "run"],
    [reader.token, "DELETE", `/jobs/${"0".repeat(32)}`, "run"],
    [reader.token, "PUT", `/blobs/${"0".repeat(64)}`, "run"],
    [reader.token, "GET", "/tokens", "admin"],
    [reader.token, "POST", "/tokens", "run"],
    [runner.token, "GET", `/jobs/${"0".repeat(32)}`, "read"],
    [runner.token, "POST", "/tokens", "admin"],
    [runner.token, "POST", "/admin/repair", "admin"],
  ] as const) {
    const response = await as(token, path, { method });
    expect([path, response.status]).toEqual([path, 403]);
    const error = await errorOf(response);
    expect(error.code).toBe("wrong-scope");
    expect(error.message).toContain(`"${scope}"`);
  }
});

describe("another token's job", () => {
  const PARTS = [
    ["GET", ""],
    ["DELETE", ""],
    ["GET", "/console"],
    ["GET", "/console?follow"],
    ["GET", "/hypercalls"],
    ["GET", "/report.json"],
    ["GET", "/report.xml"],
    ["GET", "/report.ktap"],
    ["GET", "/report.kcidb"],
    ["GET", "/report.md"],
    ["GET", "/badge.svg"],
    ["GET", "/snapshots"],
    ["GET", "/snapshots/kept"],
    ["DELETE", "/snapshots/kept"],
    ["POST", "/snapshots"],
  ] as const;

  test("is a 404 on every route if it is private, as one that does not exist is", async () => {
    const [owner, other] = [await makeToken({ name: "owner" }), await makeToken({ name: "other" })];
    const id = await jobAs(owner.token, HELLO, { snapshots: [{ name: "kept" }] });
    await ended(owner.token, id);
    const absent = "0".repeat(32);
    for (const [method, part] of PARTS) {
      const init = { method, ...(method === "POST" && { body: JSON.stringify({ name: "x" }) }) };
      const response = await as(other.token, `/jobs/${id}${part}`, init);
      expect([part, response.status]).toEqual([part, 404]);
      expect(response.headers.get("cache-control")).toBe("no-store");
      const none = await as(other.token, `/jobs/${absent}${part}`, init);
      expect([none.status, await none.text()]).toEqual([404, await response.text()]);
    }
    const fork = (token: string): Promise<Response> =>
      as(token, "/jobs", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ from: { job: id, snapshot: "kept" } }),
      });
    const refused = await fork(other.token);
    expect([refused.status, (await errorOf(refused)).code]).toEqual([422, "no-snapshot"]);
    // A proxy on the way must not keep what is its owner's.
    for (const part of ["", "/console", "/profile", "/snapshots/kept", "/report.xml"]) {
      const response = await as(owner.token, `/jobs/${id}${part}`);
      await response.body?.cancel();
      expect([part, response.status]).toEqual([part, 200]);
      expect([part, response.headers.get("cache-control")]).toEqual([
        part,
        expect.stringContaining("no-store"),
      ]);
    }
    expect((await request(`/jobs/${id}`)).status).toBe(200);
  });

  test("can be read, not changed, if it is public", async () => {
    const [owner, other] = [await makeToken({ name: "owner" }), await makeToken({ name: "other" })];
    const id = await jobAs(owner.token, HELLO, { visibility: "public" });
    await ended(owner.token, id);
    expect((await as(other.token, `/jobs/${id}`)).status).toBe(200);
    expect(await (await as(other.token, `/jobs/${id}/console`)).text()).toBe("hello\n");
    const canceled = await as(other.token, `/jobs/${id}`, { method: "DELETE" });
    expect([canceled.status, (await errorOf(canceled)).code]).toEqual([403, "not-yours"]);
  });
});

describe("over quota it is a 429 that says when to come again", () => {
  async function refused(response: Response, quota: string): Promise<number> {
    const error = await errorOf(response);
    expect([response.status, error.code, error.field]).toEqual([429, "over-quota", quota]);
    const wait = Number(response.headers.get("retry-after"));
    expect(wait).toBeGreaterThan(0);
    return wait;
  }

  test("concurrent jobs, exactly, however many ask at once", async () => {
    const { token } = await makeToken({ name: "two", quotas: { concurrentJobs: 2 } });
    const responses = await Promise.all([1, 2, 3, 4, 5].map(() => postAs(token, ENDLESS, UNLIMITED)));
    const made = responses.filter(({ status }) => status === 201);
    expect(made.length).toBe(2);
    for (const response of responses) if (response.status !== 201) await refused(response, "concurrentJobs");
    const [first, second] = (await Promise.all(made.map((response) => response.json()))) as { id: string }[];
    await as(token, `/jobs/${first?.id}`, { method: "DELETE" });
    const third = await jobAs(token, ENDLESS, UNLIMITED);
    for (const id of [second?.id, third]) await as(token, `/jobs/${id}`, { method: "DELETE" });
  });

  test("instructions a day, until midnight", async () => {
    const today = () => new Date().toISOString().slice(0, 10);
    for (;;) {
      const day = today();
      const { id, token } = await makeToken({ name: "few", quotas: { instructionsPerDay: 2_000_000 } });
      await ended(token, await jobAs(token, HELLO));
      const used = async () => (await env.REGISTER.getByName("register").usage(id)).instructionsToday;
      while ((await used()) === 0 && today() === day) await scheduler.wait(5);
      const before = Date.now();
      const response = await postAs(token, HELLO);
      const after = Date.now();
      // What was used yesterday is no matter.
      if (today() !== day) continue;
      const wait = await refused(response, "instructionsPerDay");
      const midnight = new Date(day).getTime() + 86_400_000;
      expect(wait).toBeGreaterThanOrEqual(Math.floor((midnight - after) / 1000));
      expect(wait).toBeLessThanOrEqual(Math.ceil((midnight - before) / 1000));
      return;
    }
  });

  test("storage: uploads, and jobs when there is none left", async () => {
    const { token } = await makeToken({ name: "small", quotas: { storageBytes: 100_000 } });
    const put = async (size: number): Promise<Response> => {
      const bytes = crypto.getRandomValues(new Uint8Array(size));
      const sha256 = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) =>
        byte.toString(16).padStart(2, "0"),
      ).join("");
      return as(token, `/blobs/${sha256}`, { method: "PUT", body: bytes });
    };
    await refused(await put(65_000).then(() => put(60_000)), "storageBytes");
    expect((await put(30_000)).status).toBe(201);
    await ended(token, await jobAs(token, HELLO));
    await refused(await postAs(token, HELLO), "storageBytes");
  });
});

test("what counts against storage: uploads of either kind once, snapshots until they are deleted, and jobs", async () => {
  const { id, token } = await makeToken({ name: "counted" });
  const stored = async (): Promise<number> =>
    (await env.REGISTER.getByName("register").usage(id)).storageBytes;
  expect(await stored()).toBe(0);
  const script: Script = { ...HELLO, name: "x".repeat(5000) };
  const job = await jobAs(token, script, { snapshots: [{ name: "kept", at: "hello" }] });
  await ended(token, job);
  const file = new Uint8Array(await (await as(token, `/jobs/${job}/snapshots/kept`)).arrayBuffer());
  const kernel = JSON.stringify(script).length;
  const rest = 64 * 1024 + "hello\n".length;
  while ((await stored()) < kernel + file.length + rest) await scheduler.wait(5);
  expect(await stored()).toBe(kernel + file.length + rest);
  // The same file again is nothing more, also not for another.
  const other = await makeToken({ name: "other" });
  const again = await jobAs(other.token, script);
  await ended(other.token, again);
  expect((await env.REGISTER.getByName("register").usage(other.id)).storageBytes).toBeLessThanOrEqual(rest);
  const imported = await as(token, "/snapshots", { method: "POST", body: file });
  const { links } = (await imported.json()) as { links: { self: string } };
  expect(await stored()).toBe(kernel + 2 * file.length + rest);
  expect((await as(other.token, links.self)).status).toBe(404);
  expect((await as(other.token, links.self, { method: "DELETE" })).status).toBe(404);
  expect(await (await as(other.token, "/snapshots")).json()).toEqual({ snapshots: [] });
  for (const path of [links.self, `/jobs/${job}/snapshots/kept`]) {
    expect((await as(token, path, { method: "DELETE" })).status).toBe(204);
  }
  expect(await stored()).toBe(kernel + rest);
});

test("a deployment without any token is open to nobody", async () => {
  const { createApp } = await import("../app.ts");
  const app = createApp(async () => undefined);
  const bare = { ...env, TOKEN: undefined } as unknown as Parameters<typeof app.request>[2];
  for (const authorization of ["", "Bearer ", "Bearer undefined"]) {
    expect((await app.request("/fixtures", { headers: { authorization } }, bare)).status).toBe(401);
  }
  expect((await app.request("/fixtures", {}, bare)).status).toBe(401);
  expect((await app.request("/healthz", {}, bare)).status).toBe(200);
});

test("with PUBLIC_READ whoever has no token reads what is public, and nothing else", async () => {
  const { createApp } = await import("../app.ts");
  const app = createApp(async () => undefined);
  const bindings = { ...env, PUBLIC_READ: "1" };
  const { token } = await makeToken({ name: "publisher" });
  const [open, closed] = [await jobAs(token, HELLO, { visibility: "public" }), await jobAs(token, HELLO)];
  expect((await app.request(`/jobs/${open}`, {}, bindings)).status).toBe(200);
  expect((await app.request(`/jobs/${closed}`, {}, bindings)).status).toBe(404);
  expect((await app.request(`/jobs/${open}`, { method: "DELETE" }, bindings)).status).toBe(401);
  expect((await app.request("/jobs", { method: "POST" }, bindings)).status).toBe(401);
  expect((await app.request("/tokens", {}, bindings)).status).toBe(401);
});
