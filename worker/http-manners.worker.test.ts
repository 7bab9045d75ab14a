import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { createApp } from "./app.ts";
import { makeTables } from "./database/database.ts";
import { createJob, errorOf, request } from "./testing/client.ts";

/*
 * What clients that never read README.md do: other spellings of the token's header, Accept headers with weights, compressed bodies,
 * addresses with slashes too many, config fields in the wrong place, uploads that end in the middle. Each is served as the RFCs have it,
 * or refused with what to do instead. In workerd, without a guest.
 */

const HEADERS = { "content-type": "application/json" };

describe("the token", () => {
  test.each(["bearer test-token", "BEARER test-token", "Bearer   test-token", "Bearer test-token "])(
    "%j is understood",
    async (authorization) => {
      expect((await request("/fixtures", { headers: { authorization } })).status).toBe(200);
    },
  );

  test.each([
    [`Basic ${btoa("x:test-token")}`, /no bearer token/, 'Bearer realm="xenner"'],
    ["test-token", /no bearer token/, 'Bearer realm="xenner"'],
    ["Bearer wrong", /not known/, 'Bearer realm="xenner", error="invalid_token"'],
  ])("%j is told what is wrong with it", async (authorization, message, challenge) => {
    const response = await request("/fixtures", { headers: { authorization } });
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, challenge]);
    expect((await errorOf(response)).message).toMatch(message);
  });

  test("one that lacks a scope is told which", async () => {
    const made = await request("/tokens", {
      method: "POST",
      headers: HEADERS,
      body: JSON.stringify({ name: "looks", scopes: ["read"] }),
    });
    const { token } = (await made.json()) as { token: string };
    const response = await request("/jobs", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.status).toBe(403);
    expect(response.headers.get("www-authenticate")).toBe(
      'Bearer realm="xenner", error="insufficient_scope", scope="run"',
    );
  });
});

test.each([
  ["text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html"],
  ["application/json, text/html;q=0.9", "application/json"],
  ["text/html;q=0.1, application/json", "application/json"],
  ["text/html;q=0, */*", "application/json"],
  ["application/json, text/plain, */*", "application/json"],
  ["*/*", "application/json"],
  ["image/png", "application/json"],
])("Accept: %s gets %s", async (accept, type) => {
  const response = await request("/batches", { headers: { accept } });
  expect(response.headers.get("content-type")).toMatch(type);
});

describe("a body", () => {
  test("with a content coding is refused with the one that is taken", async () => {
    for (const [path, method] of [
      ["/jobs", "POST"],
      [`/blobs/${"a".repeat(64)}`, "PUT"],
      ["/hooks/github", "POST"],
    ] as const) {
      const headers = { ...HEADERS, "content-encoding": "gzip" };
      const response = await request(path, { method, headers, body: "{}" });
      const { code, message } = await errorOf(response);
      expect([response.status, code, response.headers.get("accept-encoding")]).toEqual([
        415,
        "content-coding",
        "identity",
      ]);
      expect(message).toMatch(/without a Content-Encoding/);
    }
    const identity = { ...HEADERS, "content-encoding": "identity" };
    const taken = await request("/jobs", { method: "POST", headers: identity, body: "{}" });
    expect((await errorOf(taken)).field).toBe("kernel");
  });

  test.each([
    ["multipart/form-data; boundary=b", "--b\r\ncontent-disposition: form-data; name=kernel\r\n\r\nabc"],
    ["application/json", '{"kernel": {"fix'],
  ])("of %s that is broken off is its sender's failure, not the worker's", async (type, text) => {
    let pulls = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (pulls++ === 0) controller.enqueue(new TextEncoder().encode(text));
        else controller.error(new Error("Network connection lost."));
      },
    });
    // In this isolate: on the way to another, the stream's failure would become its end.
    const headers = { "content-type": type, authorization: "Bearer test-token" };
    const sent = new Request("http://worker/jobs", { method: "POST", headers, body });
    const response = await createApp(async () => undefined).fetch(sent, env, createExecutionContext());
    expect([response.status, (await errorOf(response)).code]).toEqual([400, "broken-off"]);
  });

  test("that is still coming when the worker fails is no reason for it to fail once more", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const away = { head: () => Promise.reject(new Error("R2 is away")) };
    const sent = new Request(`http://worker/blobs/${"a".repeat(64)}`, {
      method: "PUT",
      headers: { authorization: "Bearer test-token", "content-length": "10" },
      // As bodies of real requests are; nothing ever comes.
      body: new IdentityTransformStream().readable,
    });
    const broken = { ...env, BLOBS: away as unknown as R2Bucket };
    const response = await createApp(async () => undefined).fetch(sent, broken, createExecutionContext());
    expect([response.status, (await errorOf(response)).code]).toEqual([500, "internal"]);
    expect(log.mock.calls.join()).toMatch(/R2 is away/);
    log.mockRestore();
  });

  test("with a config's field beside the config is told where it goes", async () => {
    const json = await request("/jobs", {
      method: "POST",
      headers: HEADERS,
      body: '{"kernel": {"fixture": "x"}, "memory": 64}',
    });
    expect(await errorOf(json)).toMatchObject({ code: "unknown-field", field: "body.memory" });
    const form = new FormData();
    form.set("memory", "64");
    const parts = await errorOf(await request("/jobs", { method: "POST", body: form }));
    expect([parts.code, parts.field]).toEqual(["unknown-field", "memory"]);
    expect(parts.message).toMatch(/a field of the config/);
  });

  test("of another type is told which it is", async () => {
    const response = await request("/jobs", {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: "MZ",
    });
    expect(response.status).toBe(415);
    expect((await errorOf(response)).message).toMatch(/curl -F kernel=@FILE.*application\/octet-stream/);
  });

  test("whose part is in base64 is not taken for a kernel", async () => {
    const body =
      '--b\r\ncontent-disposition: form-data; name="kernel"\r\ncontent-transfer-encoding: base64\r\n\r\nTVo=\r\n--b--\r\n';
    const headers = { "content-type": "multipart/form-data; boundary=b" };
    const error = await errorOf(await request("/jobs", { method: "POST", headers, body }));
    expect(error).toMatchObject({ code: "bad-multipart" });
    expect(error.message).toMatch(/Content-Transfer-Encoding/);
  });
});

test.each([
  ["/jobs/", "/jobs"],
  ["//jobs", "/jobs"],
  ["/Jobs", "/jobs"],
  ["/healthz/", "/healthz"],
])("%s is no address, and is told of %s", async (path, near) => {
  const response = await exports.default.fetch(
    new Request(`http://worker${path}`, { headers: { authorization: "Bearer test-token" } }),
  );
  expect(response.status).toBe(404);
  expect((await errorOf(response)).message).toMatch(new RegExp(`, but there is ${near}\\.$`));
});

test("an address in another spelling has the same parameters", async () => {
  expect((await request("/%6aobs?limit=1")).status).toBe(200);
  expect((await request("/%6aobs?limt=1")).status).toBe(400);
});

test("GitHub's event is understood as a form, too, which is what GitHub sends unless told otherwise", async () => {
  const secret = "a secret";
  const body = new URLSearchParams({ payload: JSON.stringify({ zen: "Keep it logically awesome." }) });
  const text = new TextEncoder().encode(body.toString());
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, [
    "sign",
  ]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, text));
  const hex = Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("");
  await makeTables(env);
  const sent = new Request("http://worker/hooks/github", {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "x-hub-signature-256": `sha256=${hex}`,
      "x-github-event": "ping",
      "x-github-delivery": "0f2c4e6a-0000-4000-8000-000000000001",
    },
    body: text,
  });
  const open = { ...env, GITHUB_WEBHOOK_SECRET: secret };
  const response = await createApp(async () => undefined).fetch(sent, open, createExecutionContext());
  expect([response.status, await response.json()]).toMatchObject([202, { event: "ping", runs: [] }]);
});

test("?follow is a yes or a no", async () => {
  const { id } = await createJob({
    events: [{ at: 1_000_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } }],
  });
  for (const [value, status] of [
    ["", 200],
    ["TRUE", 200],
    ["No", 200],
    ["maybe", 400],
  ] as const) {
    const response = await request(`/jobs/${id}/console?follow=${value}`);
    await response.text();
    expect([value, response.status]).toEqual([value, status]);
  }
});
