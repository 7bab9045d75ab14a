import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { request } from "../testing/client.ts";

/*
 * Sessions as a browser has them, without a browser: what is in the database is worth nothing without the cookie, the cookie nothing
 * without the database, both nothing when the token's time is over, and other sites can do nothing with either.
 */

const ORIGIN = "http://worker";

/** A request without a bearer token. */
const bare = (path: string, init: RequestInit): Promise<Response> =>
  exports.default.fetch(new Request(`${ORIGIN}${path}`, { redirect: "manual", ...init }));

async function logIn(
  token: string,
  headers: Readonly<Record<string, string>> = { origin: ORIGIN },
): Promise<Response> {
  const body = new URLSearchParams({ token, next: "/new" }).toString();
  const type = { "content-type": "application/x-www-form-urlencoded", "content-length": String(body.length) };
  return bare("/login", { method: "POST", body, headers: { ...type, ...headers } });
}

async function cookieOf(token: string): Promise<string> {
  const response = await logIn(token);
  expect(response.status).toBe(303);
  return (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

/** Status of the API for whoever has the cookie and nothing else. */
async function statusWith(cookie: string): Promise<number> {
  return (await bare("/fixtures", { headers: { cookie } })).status;
}

interface Row {
  readonly hash: string;
  readonly sealed: string;
}

const rows = async (): Promise<readonly Row[]> =>
  (await env.DB.prepare("SELECT hash, sealed FROM sessions").all<Row>()).results;

describe("a session", () => {
  test("begins with a token that is known, and is a cookie for this worker alone", async () => {
    const response = await logIn("test-token");
    expect([response.status, response.headers.get("location")]).toEqual([303, "/new"]);
    const cookie = response.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/^xenner=[\w-]{43}; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(await statusWith(cookie.split(";")[0] ?? "")).toBe(200);
    const wrong = await logIn("wrong");
    expect([wrong.status, wrong.headers.get("set-cookie")]).toEqual([401, null]);
    expect((await logIn("test-token\r\nx: y")).status).toBe(401);
  });

  test("leaves nothing in the database that would be a token or a cookie", async () => {
    const cookie = await cookieOf("test-token");
    const secret = cookie.split("=")[1] ?? "";
    for (const row of await rows()) {
      const text = JSON.stringify(row);
      expect(text).not.toContain("test-token");
      expect(text).not.toContain(secret);
      // The hash of a cookie is no cookie.
      expect(await statusWith(`xenner=${row.hash}`)).toBe(401);
    }
  });

  test("is over when its row is gone, is another's, or is old", async () => {
    const cookie = await cookieOf("test-token");
    expect(await statusWith(cookie)).toBe(200);
    const before = await rows();
    await env.DB.prepare("UPDATE sessions SET sealed = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'").run();
    expect(await statusWith(cookie)).toBe(401);
    for (const { hash, sealed } of before)
      await env.DB.prepare("UPDATE sessions SET sealed = ? WHERE hash = ?").bind(sealed, hash).run();
    expect(await statusWith(cookie)).toBe(200);
    await env.DB.prepare("UPDATE sessions SET expires_at = 1").run();
    expect(await statusWith(cookie)).toBe(401);
    await env.DB.prepare("DELETE FROM sessions").run();
    expect(await statusWith(cookie)).toBe(401);
    for (const odd of ["xenner=", "xenner=x", "xenner=../../x", `xenner=${"A".repeat(43)}`])
      expect(await statusWith(odd)).toBe(401);
  });

  test("of a token that is revoked is over with it", async () => {
    const made = await request("/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "browser", scopes: ["read"] }),
    });
    expect(made.status).toBe(201);
    const { id, token } = (await made.json()) as { id: string; token: string };
    const cookie = await cookieOf(token);
    expect(await statusWith(cookie)).toBe(200);
    expect((await request(`/tokens/${id}`, { method: "DELETE" })).ok).toBe(true);
    expect(await statusWith(cookie)).toBe(401);
  });

  test("changes nothing for another site", async () => {
    for (const headers of [
      {},
      { origin: "https://elsewhere.example" },
      { "sec-fetch-site": "cross-site", origin: ORIGIN },
      { origin: "null" },
    ])
      expect((await logIn("test-token", headers)).status).toBe(403);
    const cookie = await cookieOf("test-token");
    for (const headers of [{}, { origin: "https://elsewhere.example" }, { "sec-fetch-site": "same-site" }]) {
      const response = await bare(`/jobs/${"a".repeat(32)}`, {
        method: "DELETE",
        headers: { cookie, ...headers },
      });
      expect(response.status).toBe(403);
    }
    const own = await bare(`/jobs/${"a".repeat(32)}`, {
      method: "DELETE",
      headers: { cookie, origin: ORIGIN },
    });
    expect(own.status).toBe(404);
  });
});

test("who is not logged in is sent to the login, from another site's link by way of a page of ours", async () => {
  const visit = (headers: Readonly<Record<string, string>>): Promise<Response> =>
    bare("/?text=%22%3E%3Cscript%3E", { headers: { accept: "text/html", ...headers } });
  const direct = await visit({});
  expect([direct.status, direct.headers.get("location")]).toEqual([
    303,
    "/login?next=%2F%3Ftext%3D%2522%253E%253Cscript%253E",
  ]);
  const linked = await visit({ "sec-fetch-site": "cross-site" });
  expect(linked.status).toBe(200);
  const page = await linked.text();
  expect(page).toContain('http-equiv="refresh"');
  expect(page).not.toContain("<script");
  // Programs are told in JSON.
  const program = await bare("/jobs", {});
  expect([program.status, program.headers.get("content-type")]).toEqual([401, "application/json"]);
});

test("an address that is none is a page for browsers and JSON for programs", async () => {
  const cookie = await cookieOf("test-token");
  for (const path of ["/nosuch", "/jobs/zzzz", `/jobs/${"a".repeat(32)}/report.json`]) {
    const seen = await bare(path, { headers: { cookie, accept: "text/html,*/*" } });
    expect([path, seen.status, seen.headers.get("content-type")]).toEqual([
      path,
      404,
      "text/html; charset=UTF-8",
    ]);
    expect(seen.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await seen.text()).toContain("<h1>Not found</h1>");
    const program = await bare(path, { headers: { cookie, accept: "*/*" } });
    expect([path, program.status]).toEqual([path, 404]);
    expect(await program.json()).toHaveProperty("error.code");
    const stranger = await bare(path, { headers: { accept: "text/html" } });
    expect([stranger.status, stranger.headers.get("location")]).toEqual([
      303,
      `/login?next=${encodeURIComponent(path)}`,
    ]);
  }
});
