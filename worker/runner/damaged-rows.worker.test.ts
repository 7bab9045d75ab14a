import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { STORAGE_LIMITS } from "../limits.ts";
import { TEST_BOUNDS } from "../testing/bounds.ts";
import { consoleOf, createJob, endOf, errorOf, jobOf, request } from "../testing/client.ts";
import type { ScriptEvent } from "../testing/scripted-machine.ts";
import { ConsoleLog } from "./console-log.ts";
import { DamagedConsole } from "./damaged.ts";
import type { JobView } from "./record.ts";

/*
 * Damage to what is stored of a job beside its checkpoint: the console, the record, the request. A single flipped bit is seen
 * wherever it is. A job that was running starts over and says so, and prints what it had printed; one that has ended is not
 * answered for with anything but an error.
 */

const TURN = TEST_BOUNDS.turnInstructions;
const ROW = STORAGE_LIMITS.consoleRowBytes;

let state = 4711;
function random(n: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

/** Three and a half rows of console. */
const LINES = Array.from({ length: 35 }, (_, i) => ({
  at: Math.round(((i + 1) / 10) * TURN),
  print: `line ${i} ${"x".repeat(ROW / 10)}\n`,
}));
const WHOLE = LINES.map(({ print }) => print).join("");
const EVENTS: readonly ScriptEvent[] = [
  ...LINES,
  { at: 12.5 * TURN, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
];
const LIMITS = { limits: { silentInstructions: 1e12, silentSeconds: 1000 } };

type Sql = SqlStorage;
const inStorage = <T>(id: string, action: (sql: Sql) => T): Promise<T> =>
  runInDurableObject(env.JOB_RUNNER.getByName(id), (_, { storage }) => action(storage.sql));

function flipInBlob(sql: Sql, table: string, key: string, column: string): void {
  const rows = sql
    .exec<{ key: number; data: ArrayBuffer }>(
      `SELECT ${key} AS key, CAST(${column} AS BLOB) AS data FROM ${table}`,
    )
    .toArray();
  const row = rows[random(rows.length)]!;
  const bytes = new Uint8Array(row.data);
  const bit = random(bytes.length * 8);
  bytes[bit >>> 3]! ^= 1 << (bit & 7);
  const text = column === "data" ? "?" : "CAST(? AS TEXT)";
  sql.exec(`UPDATE ${table} SET ${column} = ${text} WHERE ${key} = ?`, bytes, row.key);
}

function flipInNumber(sql: Sql, table: string, column: string, bits: number): void {
  const rows = sql.exec<{ value: number }>(`SELECT ${column} AS value FROM ${table}`).toArray();
  const { value } = rows[random(rows.length)]!;
  const other = Number(BigInt(value) ^ (1n << BigInt(random(bits))));
  if (rows.some((row) => row.value === other)) flipInNumber(sql, table, column, bits);
  else sql.exec(`UPDATE ${table} SET ${column} = ? WHERE ${column} = ?`, other, value);
}

test("the console: every kind of damage to a row is seen, and nothing before it is lost", () =>
  runInDurableObject(env.JOB_RUNNER.getByName(crypto.randomUUID()), async (_, { storage }) => {
    const { createTables } = await import("./schema.ts");
    createTables(storage.sql);
    const bytes = Uint8Array.from({ length: 3.5 * ROW }, () => random(256));
    new ConsoleLog(storage.sql).append(bytes);
    const damages: ((sql: Sql) => void)[] = [
      (sql) => flipInBlob(sql, "console", "offset", "data"),
      (sql) => flipInNumber(sql, "console", "sum", 32),
      (sql) => flipInNumber(sql, "console", "offset", 20),
      (sql) => sql.exec("DELETE FROM console WHERE offset = ?", ROW * random(4)),
      (sql) =>
        sql.exec(
          `UPDATE console SET offset = CASE offset WHEN 0 THEN ${-ROW} WHEN ${ROW} THEN 0 ELSE offset END`,
        ),
    ];
    const undo = new Error("undo");
    for (let n = 0; n < 200; n++) {
      const which = n % damages.length;
      let damaged: unknown;
      let wrong = false;
      try {
        storage.transactionSync(() => {
          damages[which]!(storage.sql);
          const log = new ConsoleLog(storage.sql);
          try {
            log.verify(bytes.length);
          } catch (error) {
            damaged = error;
          }
          // Reading gives what was written, or nothing.
          for (let at = 0; at < bytes.length; ) {
            try {
              const part = log.read(at);
              wrong ||= part.some((byte, i) => byte !== bytes[at + i]);
              if (part.length === 0) break;
              at += part.length;
            } catch (error) {
              if (!(error instanceof DamagedConsole)) throw error;
              at = (Math.floor(at / ROW) + 1) * ROW;
            }
          }
          throw undo;
        });
      } catch (error) {
        if (error !== undo) throw error;
      }
      expect([which, damaged instanceof DamagedConsole, wrong]).toEqual([which, true, false]);
    }
    new ConsoleLog(storage.sql).verify(bytes.length);
  }));

describe("a running job whose process is gone", () => {
  const damages: [string, (sql: Sql) => void, RegExp][] = [
    ["a console row", (sql) => flipInBlob(sql, "console", "offset", "data"), /console is damaged/],
    ["a console row's sum", (sql) => flipInNumber(sql, "console", "sum", 32), /console is damaged/],
    ["a lost console row", (sql) => sql.exec("DELETE FROM console WHERE offset > 0"), /console is damaged/],
    ["the record", (sql) => flipInBlob(sql, "job", "id", "record"), /record was damaged/],
    ["the record's sum", (sql) => flipInNumber(sql, "job", "sum", 32), /record was damaged/],
    ["a lost record", (sql) => sql.exec("DELETE FROM job"), /record was damaged/],
  ];
  test.each(damages)(
    "with damage to %s starts over and says so; the console stays true",
    async (_, damage, said) => {
      const { id } = await createJob({ name: crypto.randomUUID(), events: EVENTS }, LIMITS);
      while ((await jobOf(id)).instructions < 6 * TURN) await scheduler.wait(1);
      const served = await consoleOf(id);
      expect(served).toBe(WHOLE);
      await abortAllDurableObjects();
      await inStorage(id, damage);
      await abortAllDurableObjects();
      const job = await endOf(id);
      expect(job).toMatchObject({
        state: "passed",
        instructions: 12.5 * TURN,
        restarts: 1,
        lastError: expect.stringMatching(said),
      });
      expect(await consoleOf(id)).toBe(WHOLE);
    },
  );

  test("with damage to its request is an error, and what it stored goes", async () => {
    const { id } = await createJob({ name: crypto.randomUUID(), events: EVENTS }, LIMITS);
    while ((await jobOf(id)).instructions < 2 * TURN) await scheduler.wait(1);
    await abortAllDurableObjects();
    await inStorage(id, (sql) => flipInBlob(sql, "job_request", "id", "request"));
    await abortAllDurableObjects();
    for (const path of [`/jobs/${id}`, `/jobs/${id}/console`]) {
      const response = await request(path);
      expect(response.status).toBe(500);
      expect(await errorOf(response)).toMatchObject({
        code: "damaged",
        message: expect.stringMatching(/request is damaged/),
      });
    }
    expect((await request(`/jobs/${id}/hypercalls`)).status).toBe(500);
    // It takes no place of its token's, once the register has asked after it.
    await runInDurableObject(env.REGISTER.getByName("register"), async (object, { storage: { sql } }) => {
      const isLive = (): unknown => sql.exec("SELECT live FROM job WHERE id = ?", id).one().live;
      expect(isLive()).toBe(1);
      sql.exec("UPDATE job SET heard_at = 0 WHERE id = ?", id);
      await object.alarm();
      expect(isLive()).toBe(0);
    });
    await runInDurableObject(env.JOB_RUNNER.getByName(id), async (object, { storage: { sql } }) => {
      await object.alarm();
      for (const table of ["page", "checkpoint", "checkpoint_part", "console", "job"]) {
        expect([table, sql.exec(`SELECT * FROM ${table}`).toArray().length]).toEqual([table, 0]);
      }
    });
  });

  test("stored by a worker with other tables is an error that says so", async () => {
    const { id } = await createJob({ events: [{ at: 10, print: "x", end: { kind: "idle" } }] });
    await endOf(id);
    await inStorage(id, (sql) => sql.exec("UPDATE layout SET version = version + 1"));
    await abortAllDurableObjects();
    const response = await request(`/jobs/${id}`);
    expect(response.status).toBe(500);
    expect((await errorOf(response)).message).toMatch(/layout/);
  });
});

test("an ended job's console that is damaged is not served", async () => {
  const { id } = await createJob({
    events: [
      { at: 10, print: WHOLE },
      { at: 20, end: { kind: "idle" } },
    ],
  });
  await endOf(id);
  await inStorage(id, (sql) => flipInBlob(sql, "console", "offset", "data"));
  for (const query of ["", "?follow", `?offset=${2 * ROW}`]) {
    const response = await request(`/jobs/${id}/console${query}`);
    expect(response.status).toBe(500);
    expect(await errorOf(response)).toMatchObject({
      code: "damaged",
      message: expect.stringMatching(/console is damaged/),
    });
  }
});

test("a running job whose console is damaged behind it starts over before it ends", async () => {
  const { id } = await createJob({ name: crypto.randomUUID(), events: EVENTS }, LIMITS);
  while ((await jobOf(id)).instructions < 6 * TURN) await scheduler.wait(1);
  await inStorage(id, (sql) => flipInBlob(sql, "console", "offset", "data"));
  expect(await endOf(id)).toMatchObject({
    state: "passed",
    restarts: 1,
    lastError: expect.stringMatching(/console is damaged/),
  });
  expect(await consoleOf(id)).toBe(WHOLE);
});

test("a guest that, run again, ends before it has printed all that was served is an error", async () => {
  const run = async (): Promise<JobView> => {
    const { id } = await createJob({
      name: crypto.randomUUID(),
      events: [
        { at: 0.1 * TURN, print: "first\n" },
        { at: 0.2 * TURN, printOnce: "second\n" },
        { at: 0.3 * TURN, fail: "once" },
        { at: 0.4 * TURN, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
      ],
    });
    return endOf(id);
  };
  let job = await run();
  // On a machine that stood still for long a checkpoint came between the second line and the failure: then it is not run again.
  while (job.checkpoints.count > 0) job = await run();
  expect(job).toMatchObject({ state: "error", reason: expect.stringMatching(/ended at console offset 6/) });
  expect(await consoleOf(job.id)).toBe("first\nsecond\n");
});
