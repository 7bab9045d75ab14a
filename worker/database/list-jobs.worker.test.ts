import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { JOB_LIST_QUERY, parseJobListQuery } from "../../jobs/schema/job-list.ts";
import { createJob, endOf, errorOf, request } from "../testing/client.ts";
import type { JobSummary } from "./jobs.ts";
import { type JobPage, listStatement, type Whose } from "./list-jobs.ts";

/*
 * The list of jobs over 10,000 rows. That a page is right is seen by comparing it with a filter in JavaScript over all that was
 * written; that it is quick, by what D1 says of it: its plan (an index in the list's order, nothing to sort) and the rows it read,
 * which unlike milliseconds are the same on every machine.
 */

const JOBS = 10_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const STATES = ["passed", "passed", "passed", "failed", "crashed", "timeout", "running", "queued"] as const;
const VERDICTS = ["pass", "pass", "skip", "fail", "crash", "timeout", null, null] as const;

interface Written {
  readonly id: string;
  readonly owner: string;
  readonly visibility: string;
  readonly batch: string | null;
  readonly state: string;
  readonly verdict: string | null;
  readonly createdAt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly text: string;
}

const hex = (number: number): string => ((number * 2654435761) % 2 ** 32).toString(16).padStart(32, "0");

const ALL: readonly Written[] = Array.from({ length: JOBS }, (_, i) => ({
  id: hex(i),
  owner: `owner${i % 3}`,
  visibility: i % 10 === 0 ? "public" : "private",
  batch: i % 4 === 0 ? hex(i % 40) : null,
  state: STATES[i % STATES.length]!,
  verdict: VERDICTS[i % VERDICTS.length]!,
  // Many at the same moment, as those of a batch are.
  createdAt: START + Math.floor(i / 50) * 1000,
  labels: { branch: i % 7 === 0 ? "main" : "next", tree: `t${i % 100}` },
  text: `console=hvc0 number ${i}`,
}));

/** The order of the list. */
const NEWEST_FIRST = [...ALL].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));

beforeAll(async () => {
  await env.DB.prepare("DELETE FROM jobs").run();
  for (let i = 0; i < JOBS; i += 500) {
    const rows = JSON.stringify(ALL.slice(i, i + 500));
    await env.DB.batch([
      env.DB.prepare(
        `INSERT INTO jobs SELECT value->>'id', value->>'owner', value->>'visibility', value->>'batch', value->>'state', value->>'verdict',
           value->>'createdAt', NULL, 0, 0, 0, 1, value->>'text', json_object('id', value->>'id') FROM json_each(?)`,
      ).bind(rows),
      env.DB.prepare(
        `INSERT INTO job_labels SELECT label.key, label.value, job.value->>'createdAt', job.value->>'id'
           FROM json_each(?) AS job, json_each(job.value->'labels') AS label`,
      ).bind(rows),
    ]);
  }
});

const queryOf = (text: string) => parseJobListQuery(new URLSearchParams(text));

async function run(text: string, whose: Whose = "all") {
  const { sql, values } = listStatement(queryOf(text), whose);
  const { results, meta } = await env.DB.prepare(sql)
    .bind(...values)
    .all<{ id: string }>();
  const plan = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .bind(...values)
    .all<{ detail: string }>();
  return {
    ids: results.map(({ id }) => id),
    read: meta.rows_read,
    plan: plan.results.map(({ detail }) => detail).join("; "),
  };
}

const CASES: readonly [string, Whose, (job: Written) => boolean, RegExp][] = [
  ["", "all", () => true, /jobs_by_time/],
  ["", { owner: "owner1" }, ({ owner }) => owner === "owner1", /jobs_by_owner/],
  ["", "public", ({ visibility }) => visibility === "public", /jobs_by_visibility/],
  ["state=failed", "all", ({ state }) => state === "failed", /jobs_by_state/],
  ["state=failed,crashed", "all", ({ state }) => /failed|crashed/.test(state), /jobs_by_time/],
  [
    "verdict=skip",
    { owner: "owner2" },
    (job) => job.verdict === "skip" && job.owner === "owner2",
    /jobs_by_verdict/,
  ],
  [`batch=${hex(8)}`, "all", ({ batch }) => batch === hex(8), /jobs_by_batch/],
  ["label=branch=main", "all", ({ labels }) => labels.branch === "main", /SEARCH l USING PRIMARY KEY/],
  [
    "label=tree=t8&label=branch=main&state=passed",
    "all",
    ({ labels, state }) => labels.tree === "t8" && labels.branch === "main" && state === "passed",
    /SEARCH l USING PRIMARY KEY/,
  ],
  [
    `after=2026-01-01T00:01:00Z&before=${START + 90_000}`,
    "all",
    ({ createdAt }) => createdAt >= START + 60_000 && createdAt < START + 90_000,
    /jobs_by_time/,
  ],
  ["text=NUMBER+1234", "all", ({ text }) => text.includes("number 1234"), /jobs_by_time/],
];

describe("of 10,000 jobs", () => {
  for (const [query, whose, filter, index] of CASES) {
    test(`a page of "${query}" for ${JSON.stringify(whose)} is right, by an index and without sorting`, async () => {
      const { ids, plan } = await run(query, whose);
      const expected = NEWEST_FIRST.filter(filter).map(({ id }) => id);
      expect(expected.length).toBeGreaterThan(0);
      expect(ids).toEqual(expected.slice(0, 51));
      expect(plan).toMatch(index);
      expect(plan).not.toMatch(/TEMP B-TREE|AUTOMATIC/);
    });
  }

  test("a page reads no more rows at the end of the list than at its beginning, nor at 10,000 than at few", async () => {
    const near = NEWEST_FIRST[100]!;
    const far = NEWEST_FIRST[9_800]!;
    const first = await run("");
    const early = await run(`cursor=${near.createdAt}-${near.id}`);
    const late = await run(`cursor=${far.createdAt}-${far.id}`);
    expect(first.ids.length).toBe(51);
    expect(late.ids).toEqual(NEWEST_FIRST.slice(9_801, 9_852).map(({ id }) => id));
    for (const { read } of [first, early, late]) expect(read).toBeLessThan(51 * 3);
    const labelled = NEWEST_FIRST.filter(({ labels }) => labels.branch === "next")[8_000]!;
    const byLabel = await run(`label=branch=next&cursor=${labelled.createdAt}-${labelled.id}`);
    expect(byLabel.read).toBeLessThan(51 * 3);
    // The test can see a scan.
    expect((await run("text=nowhere")).read).toBeGreaterThanOrEqual(JOBS);
  });

  test("pages through HTTP are all of them, each once and in order", async () => {
    const ids: string[] = [];
    let pages = 0;
    const began = Date.now();
    for (let path: string | null = "/jobs?limit=500&label=branch=next"; path !== null; pages++) {
      const response = await request(path);
      expect(response.status).toBe(200);
      const page = (await response.json()) as JobPage;
      ids.push(...page.jobs.map(({ id }) => id));
      const link = /<(.*)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1] ?? null;
      expect(link === null).toBe(page.next === null);
      path = link;
    }
    console.log(`${ids.length} jobs in ${pages} pages: ${Date.now() - began} ms`);
    expect(ids).toEqual(NEWEST_FIRST.filter(({ labels }) => labels.branch === "next").map(({ id }) => id));
  });
});

test("a job is in the list as soon as it is made, and its row goes with it through its life", async () => {
  const script = {
    events: [
      { at: 1000, print: "x\n" },
      { at: 2000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
    ],
  } as const;
  const job = await createJob(script, { labels: { name: "listed" }, cmdline: "quiet" });
  const list = async (query: string): Promise<readonly JobSummary[]> =>
    ((await (await request(`/jobs?${query}`)).json()) as JobPage).jobs;
  expect((await list("label=name=listed")).map(({ id }) => id)).toEqual([job.id]);
  await endOf(job.id);
  while ((await list("label=name=listed"))[0]?.state !== "passed") await scheduler.wait(5);
  expect(await list("label=name=listed&verdict=pass&text=QUIET")).toMatchObject([
    {
      id: job.id,
      verdict: "pass",
      instructions: 2000,
      labels: { name: "listed" },
      cmdline: "quiet",
      owner: "root",
    },
  ]);
  expect(await list("label=name=listed&verdict=fail")).toEqual([]);
});

test("a parameter that is wrong is named", async () => {
  for (const [query, field] of [
    ["stat=passed", "query.stat"],
    ["state=done", "query.state"],
    ["label=x", "query.label[0]"],
    ["limit=0", "query.limit"],
    ["limit=501", "query.limit"],
    ["cursor=x", "query.cursor"],
    ["after=yesterday", "query.after"],
    ["state=passed&state=failed", "state"],
  ]) {
    const response = await request(`/jobs?${query}`);
    expect([response.status, (await errorOf(response)).field]).toEqual([400, field]);
  }
  expect(Object.keys(JOB_LIST_QUERY.shape).length).toBe(11);
});
