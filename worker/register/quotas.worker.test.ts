import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import type { JobView } from "../runner/record.ts";
import { SNAPSHOT_LIMITS } from "../snapshots/limits.ts";
import { errorOf, jobOf, request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";
import { as, ended, jobAs, makeToken } from "../testing/tokens.ts";
import type { Usage } from "./quota.ts";
import { RegisterObject } from "./register.ts";

/*
 * Ways around a token's quotas, in workerd: whoever tries them finds that each is closed, in what GET /tokens says he takes.
 */

const HELLO: Script = {
  events: [
    { at: 1_000_000, print: "hello\n" },
    { at: 2_500_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};

const hexOf = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

const usageOf = (id: string): Promise<Usage> => env.REGISTER.getByName("register").usage(id);

/** A body that begins at once and ends when `go` does. */
function slow(bytes: Uint8Array, go: Promise<void>): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(bytes.length);
  const writer = writable.getWriter();
  const send = async (): Promise<void> => {
    await writer.write(bytes.slice(0, 1));
    await go;
    await writer.write(bytes.slice(1));
    await writer.close();
  };
  // Whoever is refused is read no further.
  send().catch(() => {});
  return readable;
}

const executedInAll = async (): Promise<number> =>
  (await env.REGISTER.getByName("register").totals()).find(({ name }) => name === "guest_instructions")
    ?.value ?? 0;

test("a fork that ends before its guest is there gives no instructions back", async () => {
  const { id, token } = await makeToken({ name: "forks" });
  const job = await jobAs(token, HELLO, { snapshots: [{ name: "kept", at: "hello" }] });
  await ended(token, job);
  await expect.poll(async () => (await usageOf(id)).instructionsToday).toBe(2_500_000);
  const before = await executedInAll();
  const key = `snapshots/jobs/${job}/kept`;
  const file = new Uint8Array(await (await env.BLOBS.get(key))!.arrayBuffer());
  file[file.length - 1]! ^= 1;
  await env.BLOBS.put(key, file);
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ from: { job, snapshot: "kept" } });
  const { id: fork } = (await (
    await as(token, "/jobs", { method: "POST", headers, body })
  ).json()) as JobView;
  await ended(token, fork);
  await expect.poll(async () => (await usageOf(id)).concurrentJobs).toBe(0);
  expect(await jobOf(fork)).toMatchObject({ state: "error", instructions: 0, mips: null });
  expect((await usageOf(id)).instructionsToday).toBe(2_500_000);
  expect(await executedInAll()).toBe(before);
});

test("what all tokens take is asked for in one call of the register", async () => {
  const made = [await makeToken({ name: "one" }), await makeToken({ name: "two" })];
  await ended(made[0]!.token, await jobAs(made[0]!.token, { ...HELLO, name: "listed" }));
  await expect.poll(async () => (await usageOf(made[0]!.id)).instructionsToday).toBe(2_500_000);
  const usage = vi.spyOn(RegisterObject.prototype, "usage");
  try {
    const answer = await request("/tokens");
    expect(usage).not.toHaveBeenCalled();
    const { tokens } = (await answer.json()) as { tokens: { id: string; usage: Usage }[] };
    for (const { id } of made) {
      const listed = tokens.find((token) => token.id === id)?.usage;
      expect(listed).toEqual(await usageOf(id));
    }
    // The spy sees what comes over RPC.
    expect(usage).toHaveBeenCalledTimes(made.length);
  } finally {
    usage.mockRestore();
  }
});

test("who has as many snapshots as one may have leaves others their places", async () => {
  const [greedy, modest] = [await makeToken({ name: "greedy" }), await makeToken({ name: "modest" })];
  const jobs = await Promise.all(
    [greedy, modest].map(async ({ token }, index) => {
      const id = await jobAs(
        token,
        { ...HELLO, name: `places ${index}` },
        { snapshots: [{ name: "kept", at: "hello" }] },
      );
      await ended(token, id);
      return id;
    }),
  );
  const key = (index: number): string => `snapshots/imported/${index.toString(16).padStart(32, "0")}`;
  const keys = Array.from({ length: SNAPSHOT_LIMITS.perOwner - 1 }, (_, index) => key(index));
  try {
    // With the one its job made, as many as one may have.
    for (const each of keys) await env.BLOBS.put(each, "", { customMetadata: { owner: greedy.id } });
    const [own, another] = await Promise.all(
      [greedy, modest].map(async ({ token }, index) => {
        const file = await (await as(token, `/jobs/${jobs[index]}/snapshots/kept`)).arrayBuffer();
        return as(token, "/snapshots", { method: "POST", body: file });
      }),
    );
    expect(another?.status).toBe(201);
    expect(own?.status).toBe(409);
    expect(await errorOf(own!)).toMatchObject({
      code: "snapshots-full",
      message: expect.stringMatching(/^This token has 200/),
    });
  } finally {
    await env.BLOBS.delete(keys);
  }
});

test("uploads that come together do not all find the same room", async () => {
  const size = 90_000;
  const { id, token } = await makeToken({ name: "racer", quotas: { storageBytes: 100_000 } });
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const files = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const bytes = new Uint8Array(size).fill(index + 1);
      return { bytes, sha256: hexOf(await crypto.subtle.digest("SHA-256", bytes)) };
    }),
  );
  const sent = files.map(({ bytes, sha256 }) => {
    const headers = { "content-length": String(size) };
    return as(token, `/blobs/${sha256}`, { method: "PUT", headers, body: slow(bytes, go) });
  });
  await scheduler.wait(200);
  resolve();
  const statuses = (await Promise.all(sent)).map(({ status }) => status).sort();
  expect(statuses).toEqual([201, 429, 429, 429, 429, 429]);
  expect((await usageOf(id)).storageBytes).toBe(size);
});

test("room is held for a file that comes, and is free again if it is refused", async () => {
  const { id, token } = await makeToken({ name: "held", quotas: { storageBytes: 100_000 } });
  const send = (body: Uint8Array | ReadableStream): Promise<Response> =>
    as(token, "/snapshots", { method: "POST", body });
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const headers = { "content-length": "90000" };
  const first = as(token, "/snapshots", { method: "POST", headers, body: slow(new Uint8Array(90_000), go) });
  await expect.poll(async () => (await usageOf(id)).storageBytes).toBe(90_000);
  expect((await send(new Uint8Array(90_000))).status).toBe(429);
  resolve();
  expect((await first).status).toBe(422);
  expect((await usageOf(id)).storageBytes).toBe(0);
  const unsaid = await send(new Blob([new Uint8Array(10)]).stream().pipeThrough(new TransformStream()));
  expect([unsaid.status, (await errorOf(unsaid)).code]).toEqual([411, "length-required"]);
});

test("files of a POST /jobs count as soon as they are stored, whatever becomes of it", async () => {
  const { id, token } = await makeToken({ name: "failing", quotas: { storageBytes: 100_000 } });
  /** The kernel's hash, and the answer to a multipart body of unknown length whose config is wrong. */
  const fail = async (fill: number): Promise<{ readonly sha256: string; readonly status: number }> => {
    const bytes = new Uint8Array(60_000).fill(fill);
    const form = new FormData();
    form.set("kernel", new Blob([bytes]), "kernel");
    form.set("config", '{"nope": 1}');
    const whole = new Response(form);
    const headers = { "content-type": whole.headers.get("content-type") ?? "" };
    const body = whole.body!.pipeThrough(new TransformStream());
    const { status } = await as(token, "/jobs", { method: "POST", headers, body });
    return { status, sha256: hexOf(await crypto.subtle.digest("SHA-256", bytes)) };
  };
  const first = await fail(201);
  expect(first.status).toBe(400);
  expect((await usageOf(id)).storageBytes).toBe(60_000);
  const second = await fail(202);
  expect(second.status).toBe(429);
  expect((await usageOf(id)).storageBytes).toBe(60_000);
  expect((await request(`/blobs/${first.sha256}`)).status).toBe(200);
  expect((await request(`/blobs/${second.sha256}`)).status).toBe(404);
  // What is here already takes no room.
  expect((await fail(201)).status).toBe(400);
});
