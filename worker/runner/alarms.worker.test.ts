import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { RUNNER_LIMITS } from "../limits.ts";
import { TEST_BOUNDS } from "../testing/bounds.ts";
import { consoleOf, createJob, endOf, jobOf } from "../testing/client.ts";
import { JobRunner } from "../testing/index.ts";
import type { ScriptEvent } from "../testing/scripted-machine.ts";
import type { JobRecord } from "./record.ts";

/*
 * Alarms come at least once: twice for one turn, twice at the same time, again after a throw, again after the job's end. None of
 * it may show. An eviction that leaves an old instance of the object behind, still running, is played by two instances on the
 * same storage: one of them has to notice, stop, and have written nothing that counts.
 */

const TURN = TEST_BOUNDS.turnInstructions;
const LINES = Array.from({ length: 60 }, (_, i) => ({ at: ((i + 1) / 3) * TURN, print: `line ${i}\n` }));
const LONG: readonly ScriptEvent[] = [
  ...LINES,
  { at: 20.5 * TURN, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
];
const WHOLE = LINES.map(({ print }) => print).join("");

function inObject<T>(
  id: string,
  action: (object: JobRunner, state: DurableObjectState) => Promise<T>,
): Promise<T> {
  return runInDurableObject(env.JOB_RUNNER.getByName(id), (object, state) =>
    action(object as unknown as JobRunner, state),
  );
}

function storedRecord({ storage }: DurableObjectState): JobRecord {
  return JSON.parse(storage.sql.exec<{ record: string }>("SELECT record FROM job").one().record) as JobRecord;
}

async function begun(events = LONG): Promise<string> {
  const { id } = await createJob({ name: crypto.randomUUID(), events });
  while ((await jobOf(id)).instructions < 2 * TURN) await scheduler.wait(1);
  return id;
}

async function expectWhole(id: string): Promise<void> {
  expect(await endOf(id)).toMatchObject({ state: "passed", instructions: 20.5 * TURN, lastError: null });
  expect(await consoleOf(id)).toBe(WHOLE);
}

test("two alarms at once in the same object are one turn", async () => {
  const id = await begun();
  await inObject(id, async (object) => {
    await Promise.all(Array.from({ length: 5 }, () => object.alarm()));
  });
  await expectWhole(id);
  expect((await jobOf(id)).resumes).toBe(0);
});

test("two instances of the object: the later takes the job over, the earlier stops", async () => {
  const id = await begun();
  const { before, after, epochs } = await inObject(id, async (object, state) => {
    const epochOf = () => state.storage.sql.exec<{ epoch: number }>("SELECT epoch FROM job").one().epoch;
    const before = storedRecord(state).resumes;
    const other = new JobRunner(state, env);
    const epochs = [epochOf()];
    await Promise.all([object.alarm(), other.alarm(), object.alarm()]);
    epochs.push(epochOf());
    return { before, after: storedRecord(state).resumes, epochs };
  });
  expect(epochs[1]).toBeGreaterThan(epochs[0]!);
  expect(after).toBeGreaterThan(before);
  await expectWhole(id);
});

test("instances that take the job from each other all the time: the result is the same", async () => {
  const id = await begun();
  const ended = await inObject(id, async (object, state) => {
    for (let round = 0; round < 60; round++) {
      const other = new JobRunner(state, env);
      await Promise.all([other.alarm(), round % 2 === 0 ? object.alarm() : scheduler.wait(1)]);
    }
    return storedRecord(state).state;
  });
  expect(ended).toBe("passed");
  await expectWhole(id);
});

test("an instance that lost the job while it built the domain writes no more pages", async () => {
  const { id } = await createJob({ name: crypto.randomUUID(), events: LONG, buildMilliseconds: 300 });
  while ((await jobOf(id)).state !== "building") await scheduler.wait(1);
  await inObject(id, async (object, state) => {
    const building = object.alarm();
    await new JobRunner(state, env).alarm();
    const checkpointed = storedRecord(state).checkpoints.count;
    expect(checkpointed).toBeGreaterThan(0);
    await building;
    expect(storedRecord(state).instructions).toBeGreaterThan(0);
  });
  // Whatever goes on, does so from the checkpoint, which knows its pages.
  await abortAllDurableObjects();
  await inObject(id, async (object) => object.alarm());
  await expectWhole(id);
  expect(await jobOf(id)).toMatchObject({ restarts: 1 });
});

test("an instance that lost the job cannot write, not even its end, and says so to whoever waits for a snapshot", async () => {
  const id = await begun();
  const state = await inObject(id, async (object, ctx) => {
    const other = new JobRunner(ctx, env);
    const turn = object.alarm();
    const snapshot = object.snapshot("asked");
    await other.cancel();
    await turn;
    expect(await snapshot).toMatchObject({ refused: { status: 503, code: "taken-over" } });
    return storedRecord(ctx);
  });
  expect(state).toMatchObject({ state: "canceled", outcome: { code: "canceled" } });
  expect(await endOf(id)).toMatchObject({ state: "canceled" });
  const console = await consoleOf(id);
  expect(WHOLE.startsWith(console)).toBe(true);
});

test("an alarm that throws is repeated and nothing is lost", async () => {
  const id = await begun();
  await inObject(id, async (_, state) => {
    let throws = 0;
    const storage = new Proxy(state.storage, {
      get(target, name) {
        if (name === "setAlarm") {
          return async (time: number) => {
            // The turn's own call, and the one that comes of its failing.
            if (throws++ < 2) throw new Error("storage is out of order");
            await target.setAlarm(time);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const broken = new JobRunner(state, env, storage);
    await expect(broken.alarm({ isRetry: false, retryCount: 0, scheduledTime: 0 })).rejects.toThrow(
      "out of order",
    );
    await broken.alarm({ isRetry: true, retryCount: 1, scheduledTime: 0 });
    expect(throws).toBeGreaterThan(2);
  });
  const job = await endOf(id);
  expect(job).toMatchObject({ state: "passed", instructions: 20.5 * TURN });
  expect(await consoleOf(id)).toBe(WHOLE);
});

test("an alarm that the platform is about to give up sets itself anew before anything else", async () => {
  const id = await begun();
  const began = Date.now();
  const set = await inObject(id, async (object, state) => {
    await object.alarm();
    await state.storage.deleteAlarm();
    const turn = object.alarm({ isRetry: true, retryCount: RUNNER_LIMITS.alarmRetries, scheduledTime: 0 });
    const at = await state.storage.getAlarm();
    await turn;
    return at;
  });
  expect(set).toBeGreaterThan(began);
  await expectWhole(id);
});

test("a job whose alarm the platform has given up gets one when somebody asks for it", async () => {
  const id = await begun();
  await abortAllDurableObjects();
  await inObject(id, async (_, state) => state.storage.deleteAlarm());
  await expectWhole(id);
});

test("an alarm after the end changes nothing", async () => {
  const id = await begun();
  await expectWhole(id);
  await inObject(id, async (object, state) => {
    const before = storedRecord(state);
    await object.alarm();
    await new JobRunner(state, env).alarm();
    await object.alarm({ isRetry: true, retryCount: 5, scheduledTime: 0 });
    expect(storedRecord(state)).toEqual(before);
  });
  expect(await consoleOf(id)).toBe(WHOLE);
});

test("a job whose process dies each time ends as an error after a bounded number of tries", async () => {
  const { id } = await createJob({ name: crypto.randomUUID(), events: LONG.slice(-1) });
  await inObject(id, async (object, state) => {
    for (let kills = 0; kills <= RUNNER_LIMITS.attempts; kills++) {
      if (storedRecord(state).state === "error") break;
      // An instance that begins a turn and is never heard of again: it loses its job at its first wait.
      const dying = new JobRunner(state, env);
      const turn = dying.alarm();
      state.storage.sql.exec("UPDATE job SET epoch = epoch + 1");
      await turn;
    }
    await object.alarm();
  });
  expect(await endOf(id)).toMatchObject({
    state: "error",
    reasonCode: "infrastructure",
    reason: `The job was begun ${RUNNER_LIMITS.attempts} times without getting to a checkpoint.`,
    interruptions: RUNNER_LIMITS.attempts - 1,
  });
});
