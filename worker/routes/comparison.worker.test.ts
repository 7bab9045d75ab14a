import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { JUDGE_INTERVAL } from "../../jobs/limits.ts";
import { findLastGood } from "../database/last-good.ts";
import type { JobView } from "../runner/record.ts";
import { createJob, endOf, errorOf, request } from "../testing/client.ts";
import type { Script, ScriptEvent } from "../testing/scripted-machine.ts";

/*
 * A job is held against the last that passed with the same labels: a kernel developer sees what his change did, and a budget of
 * instructions that is relative to it decides. The guests are scripts, whose instructions the tests choose.
 */

let names = 0;
/** Labels that no other test has. */
const fresh = () => ({ branch: `branch-${++names}`, arch: "x86" });

/** A guest that prints a line each million instructions and powers off. */
function guest(lines: readonly string[], millions = lines.length): Script {
  const end = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
  const stamp = ++names;
  return {
    name: `comparison-${stamp}`,
    events: [
      ...lines.map((line, index): ScriptEvent => {
        return { at: (index + 1) * JUDGE_INTERVAL, print: `[    ${index}.${stamp}00000] ${line}\n` };
      }),
      { at: (millions + 1) * JUDGE_INTERVAL, end },
    ],
  };
}

async function run(script: Script, config: object): Promise<JobView> {
  const { id } = await createJob(script, config);
  const job = await endOf(id);
  // A token's own list is how a client sees that the index knows.
  for (let tries = 0; tries < 100; tries++) {
    const row = await env.DB.prepare("SELECT state FROM jobs WHERE id = ?")
      .bind(id)
      .first<{ state: string }>();
    if (row?.state === job.state) break;
    await scheduler.wait(10);
  }
  return job;
}

async function comparisonOf(id: string, query = ""): Promise<Record<string, unknown>> {
  const response = await request(`/jobs/${id}/comparison${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

test("a job is compared with the newest that passed with the same labels", async () => {
  const labels = fresh();
  const other = await run(guest(["hello", "from elsewhere"]), { labels: { ...labels, arch: "arm" } });
  const old = await run(guest(["hello"]), { labels });
  const good = await run(guest(["hello", "all is well"]), { labels });
  const failed = await run(guest(["hello", "BUG"]), { labels, expect: { fail: ["BUG"] } });
  expect([other, old, good, failed].map(({ verdict }) => verdict)).toEqual(["pass", "pass", "pass", "fail"]);

  const now = await run(guest(["hello", "all is changed"], 5), { labels });
  expect(now.lastGood).toEqual({ id: good.id, instructions: good.instructions });
  expect(await comparisonOf(now.id)).toMatchObject({
    job: now.id,
    with: good.id,
    note: null,
    ignored: "stamps",
    comparison: {
      good: good.id,
      instructions: { before: 3 * JUDGE_INTERVAL, now: 6 * JUDGE_INTERVAL, percent: 100 },
      identical: false,
      // The time stamps differ in each line.
      console: {
        line: 2,
        before: expect.stringMatching(/all is well$/),
        now: expect.stringMatching(/all is changed$/),
      },
      hypercalls: [{ hypercall: "sched_op: SCHEDOP_yield", before: 3000, now: 6000, percent: 100 }],
    },
  });
  expect(await comparisonOf(now.id, "?ignore=nothing")).toMatchObject({
    comparison: { console: { line: 1 } },
  });
  expect(await comparisonOf(now.id, `?with=${old.id}`)).toMatchObject({
    with: old.id,
    comparison: { console: { line: 2, before: null } },
  });
  expect(await comparisonOf(failed.id)).toMatchObject({ with: good.id });
  // Reports say so, too.
  const report = await (await request(`/jobs/${now.id}/report.md`)).text();
  expect(report).toContain(
    `Compared with the last good run \`${good.id}\`: 6,000,000 instructions (+100.000 %)`,
  );
  const { jobs } = await (await request(`/jobs/${now.id}/report.json`)).json<{
    jobs: { comparison: object }[];
  }>();
  expect(jobs[0]?.comparison).toMatchObject({ good: good.id, console: { line: 2 } });
  expect(await comparisonOf(good.id)).toMatchObject({ with: old.id });
});

test("without labels, or with none before that passed, there is nothing, and it is said why", async () => {
  const plain = await run(guest(["hello"]), {});
  expect(plain.lastGood).toBeNull();
  expect(await comparisonOf(plain.id)).toMatchObject({
    with: null,
    comparison: null,
    note: expect.stringMatching(/no labels/),
  });
  const first = await run(guest(["hello"]), { labels: fresh() });
  expect(await comparisonOf(first.id)).toMatchObject({
    with: null,
    comparison: null,
    note: expect.stringMatching(/passed before/),
  });
});

test("what cannot be compared is an error with its reason", async () => {
  const { id } = await run(guest(["hello"]), {});
  const live = await createJob(
    { name: `live-${++names}`, events: [] },
    { limits: { instructions: 1e12, silentInstructions: 1e12 } },
  );
  for (const [path, status, code, field] of [
    [`/jobs/${live.id}/comparison`, 409, "not-ended", "id"],
    [`/jobs/${id}/comparison?with=${live.id}`, 409, "not-ended", "with"],
    [`/jobs/${id}/comparison?with=${"0".repeat(32)}`, 404, "no-job", "with"],
    [`/jobs/${id}/comparison?with=x`, 404, "no-job", "with"],
    [`/jobs/${id}/comparison?ignore=all`, 400, "wrong-type", "ignore"],
    [`/jobs/${"0".repeat(32)}/comparison`, 404, "no-job", "id"],
  ] as const) {
    const response = await request(path);
    expect([path, response.status]).toEqual([path, status]);
    expect(await errorOf(response)).toMatchObject({ code, field });
  }
  await request(`/jobs/${live.id}`, { method: "DELETE" });
});

describe("a budget of instructions", () => {
  test("relative to the last good run decides to the instruction", async () => {
    const labels = fresh();
    const expectation = { expect: { instructions: "+50%" } };
    // The first has nothing to be compared with, which is noted and no failure.
    const first = await run(guest(["hello"], 9), { labels, ...expectation });
    expect(first).toMatchObject({ verdict: "pass", lastGood: null, budget: { budget: "+50%", limit: null } });
    expect(first.budget?.note).toMatch(/nothing to compare with/);
    const within = await run(guest(["hello"], 14), { labels, ...expectation });
    expect(within).toMatchObject({
      verdict: "pass",
      budget: { limit: 15 * JUDGE_INTERVAL, instructions: 15 * JUDGE_INTERVAL },
    });
    const above = await run(guest(["hello"], 23), { labels, ...expectation });
    expect(above).toMatchObject({
      state: "failed",
      verdict: "fail",
      reasonCode: "instruction-budget",
      lastGood: { id: within.id },
      budget: { limit: 22.5 * JUDGE_INTERVAL, instructions: 24 * JUDGE_INTERVAL, note: null },
    });
    expect(above.reason).toBe(
      `The run took 24,000,000 instructions, 60.000 % more than the last good run ${within.id}; its budget (expect.instructions) is 22,500,000.`,
    );
    // What failed is no measure for the next.
    expect((await run(guest(["hello"], 23), { labels, ...expectation })).lastGood?.id).toBe(within.id);
  });

  test("says if the good run was of another machine", async () => {
    const labels = fresh();
    const expectation = { labels, expect: { instructions: "+50%" } };
    const first = await run(guest(["hello"], 9), { ...expectation, memory: 32 });
    const other = await run(guest(["hello"], 9), { ...expectation, memory: 64, cmdline: "quiet" });
    expect(other).toMatchObject({ verdict: "pass", lastGood: { id: first.id } });
    expect(other.budget?.note).toMatch(
      new RegExp(`${first.id} had another memory \\(32\\), cmdline \\("console=hvc0"\\)`),
    );
    const same = await run(guest(["hello"], 9), { ...expectation, memory: 64, cmdline: "quiet" });
    expect(same.budget).toMatchObject({ limit: 15 * JUDGE_INTERVAL, note: null });
    // A number says what it says, whatever ran before.
    const number = await run(guest(["hello"], 9), { labels, expect: { instructions: 20_000_000 } });
    expect(number).toMatchObject({ lastGood: { id: same.id }, budget: { note: null } });
  });

  test("that is a number needs no other run, and does not make a crash a failure", async () => {
    const tight = await run(guest(["hello"], 5), { expect: { instructions: 5_999_999 } });
    expect(tight).toMatchObject({ verdict: "fail", reasonCode: "instruction-budget" });
    expect((await run(guest(["hello"], 5), { expect: { instructions: 6_000_000 } })).verdict).toBe("pass");
    const crashed = await run(guest(["Kernel panic - not syncing: x"], 5), { expect: { instructions: 1 } });
    expect(crashed.verdict).toBe("crash");
    expect(crashed.findings.map(({ code }) => code)).toContain("instruction-budget");
  });
});

test("the last known good is of the same owner: nobody else sets the measure", async () => {
  const labels = fresh();
  const hidden = await run(guest(["hello"]), { labels });
  const later = { id: "f".repeat(32), labels, createdAt: Date.now() + 1000, visibility: "private" } as const;
  expect((await findLastGood(env, { ...later, owner: "root" }))?.id).toBe(hidden.id);
  expect(await findLastGood(env, { ...later, owner: "somebody" })).toBeNull();
  // Not one that was made after it.
  expect(
    await findLastGood(env, { ...later, owner: "root", createdAt: Date.parse(hidden.createdAt) - 1 }),
  ).toBeNull();
  const open = await run(guest(["hello"]), { labels, visibility: "public" });
  expect(await findLastGood(env, { ...later, owner: "somebody" })).toBeNull();
  expect((await findLastGood(env, { ...later, owner: "root" }))?.id).toBe(open.id);
});

test("a public job tells nothing of its owner's private ones", async () => {
  const labels = fresh();
  const hidden = await run(guest(["hello"]), { labels });
  const config = { labels, visibility: "public", expect: { instructions: "+0.5%" } };
  const first = await run(guest(["hello"], 9), config);
  expect(first).toMatchObject({ verdict: "pass", lastGood: null, budget: { limit: null } });
  expect(await comparisonOf(first.id)).toMatchObject({ with: null });
  expect(JSON.stringify(first)).not.toContain(hidden.id);
  // One that everybody may read anyway is compared with.
  const second = await run(guest(["hello"], 9), config);
  expect(second.lastGood?.id).toBe(first.id);
});

test("a badge shows the latest job with a label", async () => {
  const labels = fresh();
  const badge = async (label: string, query = "") => {
    const response = await request(`/badges/${encodeURIComponent(label)}.svg${query}`);
    expect(response.headers.get("content-type")).toMatch(/^image\/svg\+xml/);
    return response.text();
  };
  expect(await badge(`branch=${labels.branch}`)).toContain(`aria-label="${labels.branch}: unknown"`);
  await run(guest(["hello"]), { labels });
  expect(await badge(`branch=${labels.branch}`)).toContain(`aria-label="${labels.branch}: pass"`);
  await run(guest(["BUG"]), { labels, expect: { fail: ["BUG"] } });
  expect(await badge(`branch=${labels.branch}`, "?title=main")).toContain('aria-label="main: fail"');
  expect(await badge("branch=<script>")).not.toContain("<script>");
  const response = await request("/badges/nothing.svg");
  expect([response.status, (await errorOf(response)).code]).toEqual([400, "bad-label"]);
});

test("a badge is of one's own jobs, or of those of the owner that its address names", async () => {
  const labels = fresh();
  const made = async (scopes: string[]): Promise<{ id: string; token: string }> => {
    const body = JSON.stringify({ name: "badges", scopes });
    return await (await request("/tokens", { method: "POST", body })).json();
  };
  const other = await made(["run", "read"]);
  const reader = await made(["read"]);
  const headers = (token: string) => ({ authorization: `Bearer ${token}` });
  const badge = async (token: string, query = "") =>
    (await request(`/badges/branch=${labels.branch}.svg${query}`, { headers: headers(token) })).text();
  const says = (text: string) => `aria-label="${labels.branch}: ${text}"`;

  await run(guest(["hello"]), { labels, visibility: "public" });
  expect(await badge(other.token)).toContain(says("unknown"));
  expect(await badge(reader.token, "?owner=root")).toContain(says("pass"));
  // What is private does not show, not even to who names its owner.
  const failed = await run(guest(["BUG"]), { labels, expect: { fail: ["BUG"] } });
  expect(await badge(reader.token, "?owner=root")).toContain(says("pass"));
  // Another's public job changes neither the owner's badge, nor anybody's but his own.
  const give = "UPDATE jobs SET owner = ?, visibility = 'public' WHERE id = ?";
  await env.DB.prepare(give).bind(other.id, failed.id).run();
  expect(await badge(reader.token, "?owner=root")).toContain(says("pass"));
  expect(await badge(reader.token, `?owner=${other.id}`)).toContain(says("fail"));
  expect(await badge(other.token)).toContain(says("fail"));
});

test("a last good run that cannot be read is none; the job's own report does not depend on it", async () => {
  const labels = fresh();
  const good = await run(guest(["hello"]), { labels });
  const now = await run(guest(["hello"]), { labels });
  expect(now.lastGood?.id).toBe(good.id);
  const damage = (statement: string) =>
    runInDurableObject(env.JOB_RUNNER.getByName(good.id), (_, { storage }) => {
      storage.sql.exec(statement);
    });
  await damage("UPDATE console SET data = x'00'");
  expect((await request(`/jobs/${now.id}/report.md`)).status).toBe(200);
  await damage("UPDATE job_request SET sum = sum + 1");
  expect(await comparisonOf(now.id)).toMatchObject({ with: null, comparison: null });
  expect((await request(`/jobs/${now.id}/report.md`)).status).toBe(200);
  expect((await request(`/jobs/${now.id}/comparison?with=${good.id}`)).status).toBe(500);
});

test("a budget that is relative waits for a database that is away for a moment", async () => {
  const labels = fresh();
  const good = await run(guest(["hello"]), { labels });
  await env.DB.prepare("ALTER TABLE good_jobs RENAME TO lost").run();
  const log = vi.spyOn(console, "log");
  const failures = () => log.mock.calls.filter(([line]) => String(line).includes("job.no-last-good")).length;
  const { id } = await createJob(guest(["hello"]), { labels, expect: { instructions: "+50%" } });
  await expect.poll(failures, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
  log.mockRestore();
  await env.DB.prepare("ALTER TABLE lost RENAME TO good_jobs").run();
  expect(await endOf(id)).toMatchObject({ verdict: "pass", lastError: null, lastGood: { id: good.id } });
});
