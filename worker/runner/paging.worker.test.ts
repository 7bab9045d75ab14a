import { expect, test } from "vitest";
import { FIGURE_LIMITS } from "../limits.ts";
import { createJob, endOf } from "../testing/client.ts";
import type { ScriptEvent } from "../testing/scripted-machine.ts";

/*
 * What a job's result says about paging and state hashes, and the end of a guest that would page for days. The machine is
 * scripted; the core's own paging is tested in engine/cpu/paging.test.ts, and real guests in worker/local.
 */

const POWEROFF: ScriptEvent["end"] = { kind: "shutdown", reason: "poweroff", code: 0 };

test("the result has the paging counts, and hashes of the state only if the job asks for them", async () => {
  const events = [
    { at: 10, print: "x\n", fetch: 3 },
    { at: 4_500_000, end: POWEROFF },
  ];
  const plain = await endOf((await createJob({ name: "plain", events })).id);
  expect(plain).toMatchObject({ verdict: "pass", stateHashes: null, paging: { pagesIn: 3, poolPages: 16 } });
  const hashed = await endOf((await createJob({ name: "hashed", events }, { stateHashEvery: 2_000_000 })).id);
  const hash = (instructions: number): object => ({
    instructions,
    hash: instructions.toString(16).padStart(16, "0"),
  });
  expect(hashed.stateHashes).toEqual([hash(2_000_000), hash(4_000_000), hash(4_500_000)]);
});

test("a guest that the pool cannot follow ends as an error that says what to do, at the first try", async () => {
  const fetch = FIGURE_LIMITS.thrashingPageIns;
  const events = [
    { at: 10, print: "x\n" },
    { at: 20, fetch },
    { at: 90_000_000_000, end: POWEROFF },
  ];
  const job = await endOf((await createJob({ name: "thrashing", events })).id);
  expect(job).toMatchObject({ state: "error", reasonCode: "infrastructure", restarts: 0, resumes: 0 });
  expect(job.reason).toMatch(/500000 pages had to be fetched.*POOL_MIB/);
});
