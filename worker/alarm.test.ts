import { expect, test } from "vitest";
import { Alarm } from "./alarm.ts";

/*
 * An object's alarm that is stored together with what it is for. The platform stores what is written without a wait in between as
 * one transaction; so what is tested is that the alarm is set before anything else gets to run, and never to a later time.
 */

/** What an alarm is kept in; `at` is when it comes. */
function storageWith(at: number | null) {
  const state = { at };
  const storage = {
    getAlarm: async () => state.at,
    setAlarm: async (time: number) => {
      state.at = time;
    },
    deleteAlarm: async () => {
      state.at = null;
    },
  } as unknown as DurableObjectStorage;
  const starting: Promise<unknown>[] = [];
  const blockConcurrencyWhile = async <T>(work: () => Promise<T>): Promise<T> => {
    const done = work();
    starting.push(done);
    return done;
  };
  const alarm = new Alarm({ storage, blockConcurrencyWhile });
  return { state, alarm, started: () => Promise.all(starting) };
}

test("it is set before anything else gets to run", async () => {
  const { state, alarm, started } = storageWith(null);
  await started();
  void alarm.atLatest(100);
  expect(state.at).toBe(100);
  void alarm.delete();
  expect(state.at).toBeNull();
  void alarm.atLatest(300);
  expect(state.at).toBe(300);
});

test("it is moved to earlier times only, unless it is set, or has come", async () => {
  const { state, alarm, started } = storageWith(100);
  await started();
  await alarm.atLatest(200);
  expect(state.at).toBe(100);
  await alarm.atLatest(50);
  expect(state.at).toBe(50);
  await alarm.set(200);
  expect(state.at).toBe(200);
  state.at = null;
  alarm.came();
  await alarm.atLatest(400);
  expect(state.at).toBe(400);
});

test("before it is known when it comes, it is not moved to a later time either", async () => {
  const { state, alarm } = storageWith(100);
  await alarm.atLatest(200);
  expect(state.at).toBe(100);
});
