import { type ChildProcess, spawn } from "node:child_process";
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { BatchView } from "../batches/record.ts";
import type { HookView } from "../hooks/record.ts";
import type { DeliveryView } from "../notify/record.ts";
import { SSRF_CORPUS } from "../notify/ssrf-corpus.ts";
import { ApiError, type Client } from "./client.ts";
import { LocalServer } from "./server.ts";
import { quietPort } from "./testing/quiet-port.ts";

/*
 * From a push to a green commit, with real guests and real connections: GitHub (a stand-in for its API and its downloads) sends a signed
 * delivery, which starts a batch; the results come, signed, to another program, which checks them with the standardwebhooks package, and
 * which is away for a while; the commit gets its status. And nobody is led to a private address, by no trick.
 */

const OWNER = "me/kernel";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const secretOf = (): string => `whsec_${randomBytes(32).toString("base64")}`;
const SECRET = secretOf();
const GENERIC_SECRET = secretOf();
const GITHUB_SECRET = "It's a secret to everybody";
/** Events that may be on their way to one receiver at once: one of each of two jobs and of their batch. */
const IN_HAND = 3;

interface Status {
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: { readonly state: string; readonly context: string; readonly target_url?: string };
}

const hello = await prepareFixture("hello", { log: () => {} });
const kernel = await readFile(hello.kernelPath);

let github: Server;
let victim: Server;
let githubHost: string;
let victimHost: string;
/** Requests that nobody may send. */
let stolen: (string | undefined)[] = [];
const statuses: Status[] = [];
/** Downloads, and whether they are let go on. */
let downloads = 0;
let stalled: ServerResponse[] | undefined;
/** What names resolve to, one answer after the other. */
const names: Record<string, string[]> = {};

let receiverPort: number;
let receiver: ChildProcess | undefined;
interface Event {
  readonly id: string;
  readonly path: string;
  readonly error?: string;
  readonly message: { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
}
const events: Event[] = [];

let server: LocalServer;
let client: Client;

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const made = createServer(handle);
  made.listen(0, "127.0.0.1");
  await once(made, "listening");
  return made;
}
const portOf = (made: Server): number => (made.address() as AddressInfo).port;

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

function answerAsGithub(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "", "http://github");
  if (url.pathname.includes("/statuses/")) {
    void textOf(request).then((text) => {
      const { authorization } = request.headers;
      statuses.push({ url: url.pathname, authorization, body: JSON.parse(text) as Status["body"] });
      response.writeHead(201).end("{}");
    });
  } else if (url.pathname.includes("/releases/download/")) {
    // As there: what is downloaded is elsewhere.
    response.writeHead(302, { location: "/assets/1" }).end();
  } else if (url.pathname === "/assets/1") {
    downloads++;
    if (stalled === undefined) response.writeHead(200).end(kernel);
    else stalled.push(response);
  } else if (url.pathname === "/dns-query") {
    const known = names[url.searchParams.get("name") ?? ""] ?? [];
    const data = known.length > 1 ? known.shift() : known[0];
    const Answer = data === undefined ? [] : [{ type: data.includes(":") ? 28 : 1, data }];
    response
      .writeHead(200, { "content-type": "application/dns-json" })
      .end(JSON.stringify({ Status: 0, Answer }));
  } else if (url.pathname === "/to-victim") {
    response.writeHead(302, { location: `http://${victimHost}/redirected` }).end();
  } else response.writeHead(404).end();
}

/** Starts the other program. */
async function startReceiver(): Promise<void> {
  const program = join(import.meta.dirname, "testing", "webhook-receiver.ts");
  receiver = spawn(process.execPath, [program, String(receiverPort), SECRET], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Events may come with the first line, in one piece.
  createInterface({ input: receiver.stdout! }).on("line", (line) => {
    const told = JSON.parse(line) as Event | { readonly listening: true };
    if ("listening" in told) resolve();
    else events.push(told);
  });
  receiver.once("exit", (status) => reject(new Error(`the receiver ended with ${status}`)));
  await promise;
}

async function stopReceiver(): Promise<void> {
  if (receiver === undefined || receiver.exitCode !== null) return;
  receiver.kill("SIGKILL");
  // When all that it printed has been read.
  await once(receiver, "close");
}

beforeAll(async () => {
  [github, victim] = await Promise.all([
    listen(answerAsGithub),
    listen((request, response) => {
      stolen.push(request.url);
      response.end();
    }),
  ]);
  githubHost = `127.0.0.1:${portOf(github)}`;
  victimHost = `127.0.0.1:${portOf(victim)}`;
  receiverPort = await quietPort();
  server = await LocalServer.start({
    network: ["public", "127.0.0.1/32"],
    variables: {
      NOTIFY_ALLOW: `127.0.0.1:${receiverPort}, ${githubHost}`,
      NOTIFY_RESOLVER: `http://${githubHost}/dns-query`,
      NOTIFY_RETRY_SECONDS: "0.2",
      WEBHOOK_SECRET: SECRET,
      GITHUB_TOKEN: "ghp_local",
      GITHUB_REPOSITORIES: "me/*",
      GITHUB_API: `http://${githubHost}`,
      GITHUB_WEBHOOK_SECRET: GITHUB_SECRET,
      GENERIC_WEBHOOK_SECRET: GENERIC_SECRET,
      PUBLIC_URL: "https://xenner.example",
    },
  });
  client = server.client();
  await server.storeFixture(hello);
});
afterAll(async () => {
  await stopReceiver();
  await server.stop();
  github.closeAllConnections();
  for (const made of [github, victim]) made.close();
});

async function until<T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const found = await what();
    if (found !== undefined) return found;
    await sleep(50);
  }
}

async function getJson<T>(path: string): Promise<T> {
  return (await (await client.request(path)).json()) as T;
}

function release(tag: string): { readonly body: string; readonly headers: Record<string, string> } {
  const body = JSON.stringify({
    action: "published",
    release: { tag_name: tag, target_commitish: COMMIT },
    repository: { full_name: OWNER },
  });
  const signature = `sha256=${createHmac("sha256", GITHUB_SECRET).update(body).digest("hex")}`;
  const headers = {
    "content-type": "application/json",
    "x-github-event": "release",
    "x-github-delivery": randomUUID(),
    "x-hub-signature-256": signature,
  };
  return { body, headers };
}

/** A delivery of GitHub's: nobody's token is with it. */
async function deliver(path: string, { body, headers }: ReturnType<typeof release>) {
  const response = await fetch(new URL(path, server.url), { method: "POST", headers, body });
  const answer = (await response.json()) as HookView & { readonly duplicate: boolean };
  return { status: response.status, answer };
}

/** A request for POST /hooks/generic, signed by the standardwebhooks package. */
function sign(request: object): { readonly body: string; readonly headers: Record<string, string> } {
  const id = `msg_${randomBytes(8).toString("hex")}`;
  const body = JSON.stringify(request);
  const now = new Date();
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(GENERIC_SECRET).sign(id, now, body),
  };
  return { body, headers };
}

const hookView = async (id: string): Promise<HookView | undefined> =>
  (await getJson<{ deliveries: HookView[] }>("/hooks/deliveries")).deliveries.find((one) => one.id === id);

const batchEnd = (id: string): Promise<BatchView> =>
  until(async () => {
    const batch = await getJson<BatchView>(`/batches/${id}`).catch((error: unknown) => {
      // Its kernel is still being fetched.
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
    return batch?.state === "ended" ? batch : undefined;
  });

test("a GitHub release, delivered many times, starts one batch; its results are told, also to whoever was away", async () => {
  const config = {
    artifactHosts: [githubHost],
    github: [
      {
        name: "releases",
        on: { event: "release", repository: "me/*", tag: "v*" },
        batch: {
          name: "boot",
          kernel: { url: `http://${githubHost}/{repository}/releases/download/{tag}/bzImage` },
          matrix: { memory: [16, 32] },
          config: {
            expect: { pass: ["HELLO-OK"] },
            notify: [
              {
                url: `http://127.0.0.1:${receiverPort}/ci?key=x`,
                events: ["job.queued", "job.running", "job.ended", "batch.ended"],
              },
            ],
          },
        },
      },
    ],
  };
  await client.request("/hooks/config", { method: "PUT", body: JSON.stringify(config) });

  const wrong = release("v1");
  wrong.headers["x-hub-signature-256"] = `sha256=${"0".repeat(64)}`;
  expect((await deliver("/hooks/github", wrong)).status).toBe(401);
  expect((await deliver("/hooks/github", release("w1"))).answer).toMatchObject({ state: "done", runs: [] });

  const delivery = release("v1");
  const answers = await Promise.all(Array.from({ length: 5 }, () => deliver("/hooks/github", delivery)));
  // Under another id, which is not signed, it is still the same.
  answers.push(
    await deliver("/hooks/github", {
      ...delivery,
      headers: { ...delivery.headers, "x-github-delivery": randomUUID() },
    }),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(202));
  expect(answers.filter(({ answer }) => !answer.duplicate)).toHaveLength(1);
  const ids = new Set(answers.map(({ answer }) => answer.runs[0]?.id ?? ""));
  expect(ids.size).toBe(1);
  const [id = ""] = ids;

  const batch = await batchEnd(id);
  expect(batch).toMatchObject({ name: "boot", verdict: "pass", jobs: { total: 2, ended: 2 } });
  expect(downloads).toBe(1);
  const batches = await getJson<{ batches: BatchView[] }>("/batches");
  expect(batches.batches.map((one) => one.id)).toEqual([id]);

  // The other program comes late: everything failed until now, and nothing is lost.
  await until(async () => {
    const { deliveries } = await getJson<{ deliveries: DeliveryView[] }>(`/batches/${id}/deliveries`);
    return deliveries.find(({ kind, attempts }) => kind === "webhook" && attempts > 1);
  });
  expect(events).toEqual([]);
  await startReceiver();
  await until(() => (events.length >= 3 ? true : undefined));
  // And goes away in the middle.
  await stopReceiver();
  await sleep(500);
  const before = events.length;
  await startReceiver();
  const expected = 2 * 3 + 1;
  const byId = () => new Map(events.map((event) => [event.id, event]));
  await until(() => (byId().size >= expected ? true : undefined));
  await sleep(1000);
  expect(events.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(byId().size).toBe(expected);
  // What it had in hand when it was killed, not having said so yet, comes again; nothing else does.
  const after = events.slice(before).map((event) => event.id);
  expect(new Set(after).size).toBe(after.length);
  const again = events.slice(0, before).filter((event) => after.includes(event.id));
  expect(again.length).toBeLessThanOrEqual(IN_HAND);
  const types = [...byId().values()].map(({ message }) => message.type).sort();
  expect(types).toEqual([
    "batch.ended",
    ...["job.ended", "job.queued", "job.running"].flatMap((type) => [type, type]),
  ]);
  const ended = events.find(({ message }) => message.type === "batch.ended");
  expect(ended?.message.data).toMatchObject({
    url: `https://xenner.example/batches/${id}`,
    batch: { id, verdict: "pass" },
  });

  // The commit has one status for the batch, which is green at last.
  await until(() => statuses.find(({ body }) => body.state === "success"));
  expect(new Set(statuses.map(({ url }) => url))).toEqual(new Set([`/repos/${OWNER}/statuses/${COMMIT}`]));
  expect(statuses.at(-1)).toMatchObject({
    authorization: "Bearer ghp_local",
    body: { state: "success", context: "xenner/boot", target_url: `https://xenner.example/batches/${id}` },
  });
  expect(statuses.map(({ body }) => body.context)).toEqual(Array(statuses.length).fill("xenner/boot"));
  const { deliveries } = await getJson<{ deliveries: DeliveryView[] }>(`/batches/${id}/deliveries`);
  for (const { state } of deliveries) expect(["delivered", "superseded"]).toContain(state);
});

test("a process that dies while it fetches a kernel comes back, and the delivery runs once", async () => {
  stalled = [];
  const delivery = release("v2");
  const { answer } = await deliver("/hooks/github", delivery);
  await until(() => (stalled?.length === 1 ? true : undefined));
  const workerd = server.workerd() ?? 0;
  process.kill(workerd, "SIGKILL");
  await until(() => (server.workerd() === workerd || server.workerd() === undefined ? undefined : true));
  stalled = undefined;
  // Whoever asks wakes it; nobody asking, it would take some minutes.
  await until(() => hookView(answer.id).catch(() => undefined));
  const again = await deliver("/hooks/github", delivery);
  expect(again.answer).toMatchObject({ duplicate: true, runs: answer.runs });
  const id = answer.runs[0]?.id ?? "";
  expect(await batchEnd(id)).toMatchObject({ verdict: "pass", jobs: { total: 2 } });
  expect(await until(async () => ((await hookView(answer.id))?.state === "done" ? true : undefined))).toBe(
    true,
  );
  const { batches } = await getJson<{ batches: BatchView[] }>("/batches");
  expect(batches).toHaveLength(2);
});

test("a job by anybody's signed request: from a fixture, or a kernel at an allowed host; once by its id", async () => {
  const request = { kernel: { url: `http://${githubHost}/x/releases/download/y/z` }, config: { memory: 16 } };
  const signed = sign(request);
  const [one, two] = await Promise.all([1, 2].map(() => deliver("/hooks/generic", signed)));
  expect(one?.status).toBe(202);
  expect(one?.answer.runs).toEqual(two?.answer.runs);
  const job = one?.answer.runs[0]?.id ?? "";
  const ended = await until(async () => {
    const view = await client.job(job).catch(() => undefined);
    return view?.endedAt === null ? undefined : view;
  });
  expect(ended).toMatchObject({ verdict: "pass" });
  const forged = sign(request);
  expect((await deliver("/hooks/generic", { ...forged, body: `${forged.body} ` })).status).toBe(401);
  for (const [bad, status] of [
    [{ kernel: { url: `http://${victimHost}/bzImage` } }, 422],
    [{ kernel: { url: "https://example.org/bzImage" } }, 422],
    [{ kernel: { fixture: "hello" }, config: { memory: 1 } }, 400],
    [{}, 400],
  ] as const)
    expect((await deliver("/hooks/generic", sign(bad))).status).toBe(status);
});

describe("server-side request forgery", () => {
  const post = (url: string) =>
    client.createJob({ kernel: { fixture: "hello" }, config: { notify: [{ url, events: ["job.queued"] }] } });
  const attempted = (id: string): Promise<DeliveryView> =>
    until(async () => {
      const { deliveries } = await getJson<{ deliveries: DeliveryView[] }>(`/jobs/${id}/deliveries`);
      return deliveries.find(({ attempts }) => attempts > 0);
    });

  test("every address of the corpus is refused when the job is posted", async () => {
    for (const url of SSRF_CORPUS) await expect(post(url), url).rejects.toThrow(ApiError);
  });

  test("names at private addresses, also one that is so only sometimes, and redirects to one", async () => {
    names["private.example.org"] = ["192.168.1.1"];
    names["metadata.example.org"] = ["::ffff:169.254.169.254"];
    // Public for the first look-up of two (A and AAAA), private for the second.
    names["sometimes.example.org"] = ["93.184.216.34", "127.0.0.1"];
    for (const name of Object.keys(names)) {
      const { id } = await post(`https://${name}/`);
      const { lastStatus, lastError } = await attempted(id);
      expect([lastStatus, lastError]).toEqual([null, expect.stringMatching(/no public address/)]);
    }
    const { id } = await post(`http://${githubHost}/to-victim`);
    expect(await attempted(id)).toMatchObject({
      lastStatus: 302,
      lastError: expect.stringContaining("not followed"),
    });
    expect(stolen).toEqual([]);
  });

  test("a kernel at an allowed host that redirects to another is not fetched, and its commit learns why", async () => {
    const request = {
      kernel: { url: `http://${githubHost}/to-victim` },
      config: { labels: { name: "led astray", git_repository: OWNER, git_commit_hash: COMMIT } },
    };
    const { answer } = await deliver("/hooks/generic", sign(request));
    const failed = await until(async () => {
      const view = await hookView(answer.id);
      return view?.state === "accepted" ? undefined : view;
    });
    expect(failed).toMatchObject({
      state: "failed",
      attempts: 1,
      error: expect.stringContaining("not one of artifactHosts"),
    });
    expect(stolen).toEqual([]);
    const status = await until(() => statuses.find(({ body }) => body.context === "xenner/led astray"));
    expect(status.body.state).toBe("error");
  });

  test("the network connects to no private address, though every look said it might", async () => {
    const port = portOf(victim);
    // Exempt from all looks, as a name is that resolved to something else a moment ago.
    const variables = {
      NOTIFY_ALLOW: `localhost:${port},${victimHost},[::1]:${port}`,
      WEBHOOK_SECRET: SECRET,
    };
    const guarded = await LocalServer.start({ variables });
    try {
      await guarded.storeFixture(hello);
      client = guarded.client();
      for (const host of [`localhost:${port}`, victimHost, `[::1]:${port}`]) {
        const { id } = await post(`http://${host}/`);
        expect(await attempted(id)).toMatchObject({
          state: "pending",
          lastStatus: null,
          lastError: expect.stringContaining("cannot be reached"),
        });
      }
    } finally {
      client = server.client();
      await guarded.stop();
    }
    expect(stolen).toEqual([]);
    // It is there, for whoever may.
    await fetch(`http://${victimHost}/seen`);
    expect(stolen).toEqual(["/seen"]);
    stolen = [];
  });
});
