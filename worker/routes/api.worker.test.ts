import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { UPLOAD_LIMITS } from "../limits.ts";
import { consoleOf, createJob, endOf, errorOf, jobOf, postJob, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";

/*
 * The HTTP face, in workerd: what each route answers when it is used as the README says, and what it says to whoever
 * gets it wrong. Kernels are scripts.
 */

const HELLO: Script = {
  events: [
    { at: 1_000_000, print: "hello\n" },
    { at: 2_500_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};
const NO_JOB = "0".repeat(32);

async function sha256Of(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function postJson(body: unknown): Promise<Response> {
  return request("/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

describe("a job", () => {
  test("is posted, runs, and has a verdict, a console and statistics", async () => {
    const response = await postJob(HELLO, { cmdline: "a b", memory: 64 });
    expect(response.status).toBe(201);
    const job = (await response.json()) as Awaited<ReturnType<typeof jobOf>>;
    expect(response.headers.get("location")).toBe(`/jobs/${job.id}`);
    expect(job).toMatchObject({ verdict: null, config: { cmdline: "a b", memory: 64 } });
    const ended = await endOf(job.id);
    expect(ended).toMatchObject({
      state: "passed",
      verdict: "pass",
      reasonCode: "powered-off",
      instructions: 2_500_000,
      consoleBytes: 6,
    });
    expect(await consoleOf(job.id)).toBe("hello\n");
    const statistics = await request(`/jobs/${job.id}/hypercalls`);
    expect(await statistics.json()).toMatchObject({ totals: { calls: 2500, shareInEmu: 1 } });
  });

  test("is deterministic: twice the same job, twice the same run", async () => {
    const runs = await Promise.all([1, 2].map(async () => endOf((await createJob(HELLO)).id)));
    expect(runs[0]?.instructions).toBe(runs[1]?.instructions);
    expect(runs[0]?.kernel).toEqual(runs[1]?.kernel);
  });

  test("can be followed from any offset until its end", async () => {
    const { id } = await createJob(HELLO);
    const [all, rest] = await Promise.all([consoleOf(id, "?follow"), consoleOf(id, "?follow&offset=2")]);
    expect([all, rest]).toEqual(["hello\n", "llo\n"]);
    expect(await jobOf(id)).toMatchObject({ state: "passed" });
    expect(await consoleOf(id, "?offset=3")).toBe("lo\n");
    expect(await consoleOf(id, "?offset=300")).toBe("");
    expect(await consoleOf(id, "?follow=1&offset=300")).toBe("");
  });

  test("can be canceled while it runs, and stays canceled", async () => {
    const { id } = await createJob(ENDLESS, UNLIMITED);
    while ((await consoleOf(id)) === "") await scheduler.wait(5);
    // It answers while the guest goes on for ever: nothing waits for the guest's end.
    const canceled = await request(`/jobs/${id}`, { method: "DELETE" });
    expect(await canceled.json()).toMatchObject({ state: "canceled", verdict: "canceled" });
    expect(await (await request(`/jobs/${id}`, { method: "DELETE" })).json()).toMatchObject({
      state: "canceled",
    });
    const { instructions } = await jobOf(id);
    await scheduler.wait(50);
    expect(await jobOf(id)).toMatchObject({ state: "canceled", instructions });
  });

  test("that has ended is not canceled any more", async () => {
    const { id } = await createJob(HELLO);
    await endOf(id);
    expect(await (await request(`/jobs/${id}`, { method: "DELETE" })).json()).toMatchObject({
      state: "passed",
    });
  });

  test("answers for its status while it runs", async () => {
    const { id } = await createJob(ENDLESS, UNLIMITED);
    const seen: number[] = [];
    // Until it was seen at three places; each answer comes while the guest goes on for ever.
    while (seen.length < 20 || new Set(seen).size < 3) {
      await scheduler.wait(5);
      seen.push((await jobOf(id)).instructions);
    }
    await request(`/jobs/${id}`, { method: "DELETE" });
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });
});

describe("blobs", () => {
  test("a file is stored once, under its hash, and jobs may name it", async () => {
    const bytes = new TextEncoder().encode(JSON.stringify({ ...HELLO, name: "blob" }));
    const sha256 = await sha256Of(bytes);
    const put = () => request(`/blobs/${sha256}`, { method: "PUT", body: bytes });
    expect((await request(`/blobs/${sha256}`)).status).toBe(404);
    expect((await request(`/blobs/${sha256}`, { method: "HEAD" })).status).toBe(404);
    expect((await put()).status).toBe(201);
    expect((await put()).status).toBe(200);
    expect((await request(`/blobs/${sha256}`, { method: "HEAD" })).status).toBe(200);
    expect(await (await request(`/blobs/${sha256}`)).json()).toEqual({ sha256, size: bytes.length });
    const response = await postJson({ kernel: { sha256 }, config: {} });
    expect(response.status).toBe(201);
    expect(await endOf(((await response.json()) as { id: string }).id)).toMatchObject({
      state: "passed",
      kernel: { sha256 },
    });
  });

  test("a body that is not what its address says is refused and not kept", async () => {
    const response = await request(`/blobs/${"ab".repeat(32)}`, { method: "PUT", body: "something else" });
    expect(response.status).toBe(422);
    expect(await errorOf(response)).toMatchObject({ code: "hash-mismatch", field: "sha256" });
    expect((await request(`/blobs/${"ab".repeat(32)}`)).status).toBe(404);
  });

  test("a large kernel goes through R2 in pieces and leaves nothing but itself", async () => {
    const script = JSON.stringify({ ...HELLO, name: "x".repeat(UPLOAD_LIMITS.r2PartBytes + 12_345) });
    const before = (await env.BLOBS.list()).objects.length;
    for (let i = 0; i < 2; i++) {
      const response = await postJob(script);
      expect(response.status).toBe(201);
      const { kernel } = (await response.json()) as { kernel: { sha256: string; size: number } };
      expect(kernel).toEqual({
        sha256: await sha256Of(new TextEncoder().encode(script)),
        size: script.length,
      });
    }
    const { objects } = await env.BLOBS.list();
    expect(objects.length).toBe(before + 1);
    expect(objects.every(({ key }) => key.startsWith("sha256/") || key.startsWith("fixtures/"))).toBe(true);
  });

  test("a file beyond the limit is refused", async () => {
    const response = await request(`/blobs/${"ab".repeat(32)}`, {
      method: "PUT",
      headers: { "content-length": String(UPLOAD_LIMITS.blobBytes + 1) },
      body: new Uint8Array(UPLOAD_LIMITS.blobBytes + 1),
    });
    expect(response.status).toBe(413);
    expect((await errorOf(response)).message).toMatch(/64 MiB/);
    const posted = await postJob(new Uint8Array(UPLOAD_LIMITS.blobBytes + 1));
    expect(posted.status).toBe(413);
    expect(await errorOf(posted)).toMatchObject({ code: "too-large", field: "kernel" });
    expect((await env.BLOBS.list({ prefix: "upload/" })).objects).toEqual([]);
  });
});

describe("fixtures", () => {
  test("bring their own configuration, which the user's goes before", async () => {
    const kernel = new TextEncoder().encode(JSON.stringify({ ...HELLO, name: "fixture" }));
    const sha256 = await sha256Of(kernel);
    await env.BLOBS.put(`sha256/${sha256}`, kernel);
    const fixture = {
      name: "scripted",
      kernel: { sha256 },
      defaults: { cmdline: "from fixture", memory: 32, expect: { pass: ["hello"], fail: [] } },
    };
    await env.BLOBS.put("fixtures/scripted.json", JSON.stringify(fixture));
    const job = (await (
      await postJson({ kernel: { fixture: "scripted" }, config: { memory: 33 } })
    ).json()) as { id: string };
    expect(await endOf(job.id)).toMatchObject({
      state: "passed",
      reasonCode: "patterns-seen",
      fixture: "scripted",
      config: { cmdline: "from fixture", memory: 33 },
    });
    expect(await (await request("/fixtures")).json()).toMatchObject({ fixtures: [{ name: "scripted" }] });
    const missing = await postJson({ kernel: { fixture: "none" } });
    expect(missing.status).toBe(422);
    expect(await errorOf(missing)).toMatchObject({
      field: "kernel.fixture",
      message: expect.stringMatching(/scripted/),
    });
  });
});

describe("the token", () => {
  test("is asked for everywhere but at /healthz", async () => {
    for (const path of ["/jobs", `/jobs/${NO_JOB}`, "/blobs/x", "/fixtures", "/nothing"]) {
      for (const authorization of ["", "Bearer", "Bearer wrong", "Basic test-token"]) {
        const response = await request(path, { headers: { authorization } });
        expect([path, authorization, response.status]).toEqual([path, authorization, 401]);
        expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
      }
    }
    const health = await request("/healthz", { headers: { authorization: "" } });
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
  });
});

describe("what is wrong is said, with its field", () => {
  const multipart = (body: string, type = "multipart/form-data; boundary=B") =>
    request("/jobs", { method: "POST", headers: { "content-type": type }, body });
  const part = (name: string, content: string) =>
    `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${content}\r\n`;

  const cases: [string, () => Promise<Response>, number, { code: string; field?: string }, RegExp][] = [
    [
      "no body type",
      () => request("/jobs", { method: "POST", body: new Uint8Array(3) }),
      415,
      { code: "unsupported-media-type" },
      /multipart/,
    ],
    [
      "no kernel",
      () => multipart(`${part("config", "{}")}--B--`),
      400,
      { code: "missing", field: "kernel" },
      /-F kernel=@/,
    ],
    ["empty kernel", () => postJob(""), 400, { code: "empty", field: "kernel" }, /complete file/],
    ["bad kernel", () => postJob("text"), 422, { code: "not-a-kernel", field: "kernel" }, /Send/],
    [
      "unknown part",
      () => multipart(`${part("kernle", "x")}--B--`),
      400,
      { code: "unknown-field", field: "kernle" },
      /kernel, initrd and config/,
    ],
    [
      "part twice",
      () => multipart(`${part("config", "{}")}${part("config", "{}")}--B--`),
      400,
      { code: "duplicate-field" },
      /once/,
    ],
    ["no boundary", () => multipart("", "multipart/form-data"), 400, { code: "bad-multipart" }, /boundary/],
    ["cut off", () => multipart(part("kernel", "x")), 400, { code: "bad-multipart" }, /ends before/],
    [
      "part without name",
      () => multipart("--B\r\nContent-Type: x\r\n\r\nx\r\n--B--"),
      400,
      { code: "bad-multipart" },
      /no name/,
    ],
    [
      "too many parts",
      () => multipart(`${"--B\r\nX: y\r\n\r\n\r\n".repeat(20)}--B--`),
      400,
      { code: "bad-multipart" },
      /./,
    ],
    [
      "config no JSON",
      () => multipart(`${part("kernel", "{}")}${part("config", "{")}--B--`),
      400,
      { code: "bad-json", field: "config" },
      /JSON/,
    ],
    [
      "config too large",
      () => multipart(`${part("config", " ".repeat(70_000))}--B--`),
      413,
      { code: "too-large", field: "config" },
      /bytes/,
    ],
    [
      "config unknown field",
      () => postJob(HELLO, { memroy: 1 }),
      400,
      { code: "unknown-field", field: "config.memroy" },
      /"memory"/,
    ],
    [
      "config out of range",
      () => postJob(HELLO, { memory: 9999 }),
      400,
      { code: "out-of-range", field: "config.memory" },
      /512/,
    ],
    [
      "config is null",
      () => multipart(`${part("kernel", "{}")}${part("config", "[]")}--B--`),
      400,
      { code: "wrong-type", field: "config" },
      /object/,
    ],
    ["JSON array", () => postJson([]), 400, { code: "wrong-type", field: "body" }, /object/],
    ["JSON without kernel", () => postJson({}), 400, { code: "wrong-type", field: "kernel" }, /missing/],
    [
      "JSON unknown field",
      () => postJson({ kernel: {}, cmdline: "" }),
      400,
      { code: "unknown-field" },
      /config/,
    ],
    [
      "JSON unknown blob",
      () => postJson({ kernel: { sha256: "ab".repeat(32) } }),
      422,
      { code: "no-blob", field: "kernel" },
      /PUT/,
    ],
    [
      "JSON bad hash",
      () => postJson({ kernel: { sha256: "xy" } }),
      400,
      { code: "bad-hash", field: "kernel.sha256" },
      /sha256sum/,
    ],
    [
      "blob bad hash",
      () => request("/blobs/zz", { method: "PUT", body: "x" }),
      400,
      { code: "bad-hash", field: "sha256" },
      /64/,
    ],
    ["no such job", () => request(`/jobs/${NO_JOB}`), 404, { code: "no-job", field: "id" }, /POST/],
    ["no such console", () => request(`/jobs/${NO_JOB}/console`), 404, { code: "no-job" }, /POST/],
    ["no such hypercalls", () => request(`/jobs/${NO_JOB}/hypercalls`), 404, { code: "no-job" }, /POST/],
    [
      "no such job to cancel",
      () => request(`/jobs/${NO_JOB}`, { method: "DELETE" }),
      404,
      { code: "no-job" },
      /POST/,
    ],
    ["strange id", () => request("/jobs/..%2f..%2fx"), 404, { code: "no-job" }, /POST/],
    [
      "bad offset",
      () => request(`/jobs/${NO_JOB}/console?offset=-1`),
      400,
      { code: "bad-offset", field: "offset" },
      /bytes/,
    ],
    ["no such route", () => request("/nothing"), 404, { code: "no-route" }, /GET \/docs/],
    [
      "wrong method",
      () => request(`/jobs/${NO_JOB}`, { method: "PATCH" }),
      405,
      { code: "wrong-method" },
      /PATCH.*takes GET, HEAD, DELETE/,
    ],
  ];
  for (const [name, send, status, error, message] of cases) {
    test(name, async () => {
      const response = await send();
      const body = await errorOf(response);
      expect([response.status, body]).toEqual([status, expect.objectContaining(error)]);
      expect(body.message).toMatch(message);
    });
  }

  test("asking for jobs that do not exist creates no storage", async () => {
    const stub = env.JOB_RUNNER.getByName(NO_JOB);
    expect(await stub.status()).toBe(null);
    expect(await stub.cancel()).toBe(null);
  });
});
