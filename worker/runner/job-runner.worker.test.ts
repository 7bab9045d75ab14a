import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { TEST_BOUNDS } from "../testing/bounds.ts";
import { consoleOf, createJob, endOf, jobOf, request } from "../testing/client.ts";
import type { Script, ScriptEvent } from "../testing/scripted-machine.ts";

/*
 * One job's life around its machine, in workerd: turns, checkpoints, and everything that can go wrong between them. The
 * machine plays scripts; it keeps its instruction count in a guest page as well as in its state, and refuses to be restored
 * from a pair that does not agree, so a checkpoint that was torn apart would be seen.
 */

const TURN = TEST_BOUNDS.turnInstructions;
const POWEROFF: ScriptEvent["end"] = { kind: "shutdown", reason: "poweroff", code: 0 };

function rowsOf(id: string): Promise<Record<string, number>> {
  return runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) => {
    const count = (table: string) =>
      state.storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;
    return Object.fromEntries(
      ["page", "page_overlay", "checkpoint", "checkpoint_part"].map((table) => [table, count(table)]),
    );
  });
}

describe("verdicts", () => {
  const stories: [string, Script["events"], unknown, object][] = [
    [
      "panic",
      [
        { at: 10, print: "Kernel panic - not syncing: no init\n" },
        { at: 20, end: { kind: "shutdown", reason: "crash", code: 3 } },
      ],
      {},
      { state: "crashed", reasonCode: "panic" },
    ],
    [
      "triple fault",
      [
        { at: 10, print: "x" },
        { at: 20, end: { kind: "crash", message: "triple fault" } },
      ],
      {},
      { state: "crashed", reasonCode: "machine-crash" },
    ],
    [
      "hang",
      [
        { at: 10, print: "x" },
        { at: 20, end: { kind: "idle" } },
      ],
      {},
      { state: "timeout", reasonCode: "hang" },
    ],
    ["silence", [{ at: 20, end: POWEROFF }], {}, { state: "failed", verdict: "no-output" }],
    [
      "flood",
      [{ at: 10, print: "y".repeat(5000) }],
      { limits: { consoleBytes: 1000 } },
      { state: "failed", reasonCode: "console-flood", consoleBytes: 1000 },
    ],
    [
      "stops printing",
      [
        { at: 10, print: "x\n" },
        { at: 20, idle: 500 },
      ],
      { limits: { guestSeconds: 1000 } },
      { state: "timeout", reasonCode: "silent" },
    ],
    [
      "guest time",
      [
        { at: 10, print: "x\n" },
        { at: 20, idle: 50 },
      ],
      { limits: { guestSeconds: 10 } },
      { state: "timeout", reasonCode: "guest-time" },
    ],
    [
      "instructions",
      [{ at: 10, print: "x\n" }],
      { limits: { instructions: 1_500_000 } },
      { state: "timeout", reasonCode: "instructions", instructions: 1_500_000 },
    ],
    [
      "pass pattern, then for ever",
      [
        { at: 10, print: "grub> " },
        { at: 3_000_000, idle: 10 },
      ],
      { expect: { pass: ["grub>"] } },
      { state: "passed", reasonCode: "patterns-seen" },
    ],
    [
      "fail pattern",
      [
        { at: 10, print: "oops\n" },
        { at: 20, end: POWEROFF },
      ],
      { expect: { fail: ["oops"] } },
      { state: "failed", reasonCode: "fail-pattern" },
    ],
  ];
  for (const [name, events, config, expected] of stories) {
    test(name, async () => {
      const { id } = await createJob({ name, events }, config);
      expect(await endOf(id)).toMatchObject(expected);
    });
  }
});

describe("turns and checkpoints", () => {
  test("a long run takes several turns, each with a checkpoint, and leaves no pages behind", async () => {
    const events = [0.1, 0.9, 1.5, 2.2].map((turns) => ({
      at: Math.round(turns * TURN),
      print: `at ${turns}\n`,
    }));
    const { id } = await createJob({ events: [...events, { at: Math.round(2.5 * TURN), end: POWEROFF }] });
    const job = await endOf(id);
    expect(job).toMatchObject({
      state: "passed",
      instructions: 2.5 * TURN,
      resumes: 0,
      restarts: 0,
      checkpoints: { count: 2, pagesWritten: 2 },
    });
    expect(await consoleOf(id)).toBe("at 0.1\nat 0.9\nat 1.5\nat 2.2\n");
    expect(await rowsOf(id)).toEqual({ page: 0, page_overlay: 0, checkpoint: 0, checkpoint_part: 0 });
  });

  test("an object that is torn down in mid-turn goes on from its checkpoint; the console is whole", async () => {
    const lines = Array.from({ length: 200 }, (_, i) => ({
      at: Math.round(((i + 1) / 10) * TURN),
      print: `line ${i}\n`,
    }));
    const { id } = await createJob({ name: "torn", events: [...lines, { at: 20.5 * TURN, end: POWEROFF }] });
    for (let kills = 0; kills < 3; kills++) {
      const { instructions } = await jobOf(id);
      while ((await jobOf(id)).instructions < instructions + 2 * TURN) await scheduler.wait(2);
      await abortAllDurableObjects();
      // The test's runtime drops the alarm of an aborted object; in production and in Miniflare it comes again.
      await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) =>
        state.storage.setAlarm(Date.now()),
      );
    }
    const job = await endOf(id);
    expect(job).toMatchObject({ state: "passed", instructions: 20.5 * TURN, restarts: 0 });
    expect(job.resumes).toBeGreaterThan(0);
    expect(await consoleOf(id)).toBe(lines.map(({ print }) => print).join(""));
  });

  test("a machine that throws once is begun again from the checkpoint", async () => {
    const name = crypto.randomUUID();
    const events: ScriptEvent[] = [
      { at: 1.2 * TURN, print: "before\n" },
      { at: 1.3 * TURN, fail: "once" },
      { at: 1.4 * TURN, print: "after\n" },
      { at: 1.5 * TURN, end: POWEROFF },
    ];
    const { id } = await createJob({ name, events });
    expect(await endOf(id)).toMatchObject({
      state: "passed",
      resumes: 1,
      lastError: expect.stringMatching(/scripted failure/),
    });
    expect(await consoleOf(id)).toBe("before\nafter\n");
  });

  test("a machine that throws each time ends the job as an error with the reason", async () => {
    const { id } = await createJob({
      events: [
        { at: 10, print: "so far\n" },
        { at: 5_000_000, fail: "always" },
      ],
    });
    const job = await endOf(id);
    expect(job).toMatchObject({ state: "error", verdict: "error", reasonCode: "infrastructure" });
    expect(job.reason).toMatch(/3 times.*scripted failure at 5000000/);
    expect(await consoleOf(id)).toBe("so far\n");
    expect(await rowsOf(id)).toEqual({ page: 0, page_overlay: 0, checkpoint: 0, checkpoint_part: 0 });
  });

  test("a guest that prints something else when it is run again is an error, and the first console stays", async () => {
    const name = crypto.randomUUID();
    const { id } = await createJob({
      name,
      events: [
        { at: 10, diverge: true },
        { at: 0.6 * TURN, fail: "once" },
        { at: 0.8 * TURN, end: POWEROFF },
      ],
    });
    expect(await endOf(id)).toMatchObject({
      state: "error",
      reason: expect.stringMatching(/something else at console offset 4/),
    });
    expect(await consoleOf(id)).toMatch(/^run \d+\n$/);
  });

  test("a checkpoint of another version is refused and the job starts over", async () => {
    const name = crypto.randomUUID();
    const events: ScriptEvent[] = [
      { at: 10, print: "begin\n" },
      { at: 1.2 * TURN, fail: "once" },
      { at: 1.5 * TURN, end: POWEROFF },
    ];
    const { id } = await createJob({ name, events });
    while ((await jobOf(id)).lastError === null) await scheduler.wait(5);
    await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) => {
      state.storage.sql.exec("UPDATE checkpoint SET version = version + 1");
    });
    expect(await endOf(id)).toMatchObject({
      state: "passed",
      restarts: 1,
      lastError: expect.stringMatching(/started over/),
    });
    expect(await consoleOf(id)).toBe("begin\n");
    // Others hear once that it runs.
    expect(await env.JOB_RUNNER.getByName(id).lastEvent()).toMatchObject({
      id: `${id}.3`,
      type: "job.ended",
    });
  });

  test.each([
    ["page", "UPDATE page SET sum = sum + 1"],
    ["manifest", "UPDATE checkpoint SET manifest = 'none'"],
    ["state", "UPDATE checkpoint_part SET data = zeroblob(length(data))"],
  ])("a checkpoint with a damaged %s is refused and the job starts over", async (_, damage) => {
    const name = crypto.randomUUID();
    const events: ScriptEvent[] = [
      { at: 10, print: "begin\n" },
      { at: 1.2 * TURN, fail: "once" },
      { at: 1.5 * TURN, end: POWEROFF },
    ];
    const { id } = await createJob({ name, events });
    while ((await jobOf(id)).lastError === null) await scheduler.wait(5);
    await runInDurableObject(env.JOB_RUNNER.getByName(id), (_, state) => void state.storage.sql.exec(damage));
    expect(await endOf(id)).toMatchObject({
      state: "passed",
      restarts: 1,
      lastError: expect.stringMatching(/started over/),
    });
    expect(await consoleOf(id)).toBe("begin\n");
  });

  test("a damaged page that a running guest touches makes the job start over", async () => {
    const events: ScriptEvent[] = [];
    for (let turn = 0; turn < 40; turn++) events.push({ at: (turn + 0.5) * TURN, print: `${turn}\n` });
    events.push({ at: 39.6 * TURN, touch: true }, { at: 40 * TURN, end: POWEROFF });
    const { id } = await createJob({ name: crypto.randomUUID(), events });
    while ((await jobOf(id)).instructions < 2 * TURN) await scheduler.wait(1);
    await runInDurableObject(
      env.JOB_RUNNER.getByName(id),
      (_, state) => void state.storage.sql.exec("UPDATE page SET sum = sum + 1 WHERE cluster > 0"),
    );
    expect(await endOf(id)).toMatchObject({
      state: "passed",
      instructions: 40 * TURN,
      restarts: 1,
      lastError: expect.stringMatching(/started over/),
    });
    expect(await consoleOf(id)).toBe(Array.from({ length: 40 }, (_, turn) => `${turn}\n`).join(""));
  });

  test("a kernel that is gone ends the job as an error", async () => {
    const name = crypto.randomUUID();
    const { id, kernel } = await createJob({ name, events: [{ at: 10, fail: "once" }] });
    await env.BLOBS.delete(`sha256/${kernel.sha256}`);
    expect(await endOf(id)).toMatchObject({
      state: "error",
      reason: expect.stringMatching(/no longer stored/),
    });
  });
});

describe("many jobs", () => {
  test("share the machine slot and all end with their own verdict", async () => {
    const jobs = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        createJob({
          name: `many ${i}`,
          events: [
            { at: 10, print: `job ${i}\n` },
            { at: 5_000_000, end: i % 2 === 0 ? POWEROFF : { kind: "idle" } },
          ],
        } as Script),
      ),
    );
    const ends = await Promise.all(jobs.map(({ id }) => endOf(id)));
    expect(ends.map(({ state }) => state)).toEqual(jobs.map((_, i) => (i % 2 === 0 ? "passed" : "timeout")));
    expect(await Promise.all(jobs.map(({ id }) => consoleOf(id)))).toEqual(jobs.map((_, i) => `job ${i}\n`));
  });

  test("followers all get every byte once, also those who come late or leave early", async () => {
    const events: ScriptEvent[] = Array.from({ length: 40 }, (_, i) => ({
      at: (i + 1) * 4_000_000,
      print: `${i}\n`.repeat(50),
    }));
    const { id } = await createJob({ events: [...events, { at: 170_000_000, end: POWEROFF }] });
    const early = await request(`/jobs/${id}/console?follow`);
    await early.body?.cancel();
    const texts = await Promise.all(Array.from({ length: 10 }, () => consoleOf(id, "?follow")));
    const whole = events.map((event) => event.print).join("");
    for (const text of texts) expect(text).toBe(whole);
  });
});
