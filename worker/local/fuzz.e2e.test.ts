import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import { bundleWorker, MODULES_ROOT } from "./bundle.ts";
import { type Complaint, complaintsOfLog, describeComplaint, fuzz, fuzzTarget } from "./fuzz/run.ts";
import { COMPATIBILITY } from "./server.ts";

/*
 * Requests that are made from the OpenAPI document, right ones and wrong ones, thousands of them, to the whole worker over HTTP:
 * no answer may be a 5xx, each must be as the document says, the worker must log no rejection that nobody handled, and the
 * jobs must come to their ends. `npm run fuzz:api -- --requests 20000 --seed N` does the same for longer. A worker with one
 * fault of each kind shows that they would be found.
 */

const REQUESTS = 1500;
const hello = await prepareFixture("hello", { log: () => {} });

test("no request is answered with a 5xx or otherwise than the document says", async () => {
  const { complaints, answers, jobs, requests } = await fuzz({ requests: REQUESTS, seed: 1, fixture: hello });
  expect(complaints.map(describeComplaint)).toEqual([]);
  expect(requests).toBe(REQUESTS);
  // It has been to places: jobs were made and looked at, and refused.
  expect(jobs).toBeGreaterThan(2);
  expect(Object.keys(answers["POST /jobs"] ?? {})).toEqual(expect.arrayContaining(["201", "400"]));
  expect(answers["GET /jobs/{id}"]?.[200]).toBeGreaterThan(5);
});

describe("a worker with faults", () => {
  const logged: Complaint[] = [];
  let miniflare: Miniflare;
  let complaints: readonly Complaint[];

  beforeAll(async () => {
    const modules = await bundleWorker(join(import.meta.dirname, "fuzz", "broken-worker.ts"));
    miniflare = new Miniflare(
      convertV4MiniflareOptions({
        cf: false,
        telemetry: { enabled: false },
        log: new Log(LogLevel.NONE),
        handleStructuredLogs: ({ message }) => logged.push(...complaintsOfLog(message)),
        workers: [
          {
            modules: modules.map((module) => ({ ...module })),
            modulesRoot: MODULES_ROOT,
            compatibilityDate: COMPATIBILITY.date,
            compatibilityFlags: [...COMPATIBILITY.flags],
          },
        ],
      }),
    );
    const { origin: url } = await miniflare.ready;
    ({ complaints } = await fuzzTarget({ url, token: "x" }, { requests: 200, seed: 1, fixture: hello }));
  });
  afterAll(() => miniflare.dispose());

  test.each([
    ["throws", /^status 500/],
    ["wordless", /^status 400 without/],
    ["other", /^status 409 is not in the document/],
    ["shape", /^status 200: .*n must be integer/],
  ])("%s", (name, what) => {
    const found = complaints.filter(({ request }) => request?.operation === `GET /${name}`);
    expect(found.length).toBeGreaterThan(0);
    for (const complaint of found) expect(complaint.what).toMatch(what);
  });

  test("a rejection that nobody handles", () => {
    expect(logged.map(({ what }) => what)).toEqual(
      expect.arrayContaining([expect.stringMatching(/nobody waits for this/)]),
    );
  });

  test("and what is good is not complained of", () => {
    expect(complaints.filter(({ request }) => request?.operation === "GET /good")).toEqual([]);
  });
});
