import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { Env } from "../env.ts";
import { jobOf } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import { Dispatcher } from "./dispatcher.ts";
import { dispatcherOf } from "./dispatcher-stub.ts";
import type { MemberPage } from "./member.ts";
import { startMessage } from "./messages.ts";
import type { BatchView } from "./record.ts";
import { startMember } from "./start-member.ts";
import {
  batchEnd,
  createBatch,
  createBatchOf,
  getJson,
  membersOf,
  objectOf,
  stored,
  viewOf,
} from "./testing.ts";

/*
 * Messages come twice, or never; objects are gone from memory at any moment; canceling comes between any two steps. Whatever
 * happens, each member becomes one job, and no turn is lost: the dispatcher has nothing left when all is over.
 */

const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
const PASSES: Script = { name: "short", events: [{ at: 1000, print: "BOOT-OK\n", end: POWEROFF }] };
/** Some turns long. */
const LONGER: Script = {
  name: "longer",
  events: [
    ...Array.from({ length: 8 }, (_, i) => ({ at: (i + 1) * 50_000_000, print: `${i}\n` })),
    { at: 450_000_000, end: POWEROFF },
  ],
};

const NOTHING = { waiting: 0, running: 0, owners: 0 };
const bindings = env as unknown as Env;

/** Ids of the jobs that the index has of a batch. */
async function jobsOf(batch: string): Promise<string[]> {
  const { results } = await env.DB.prepare("SELECT id FROM jobs WHERE batch = ? ORDER BY id")
    .bind(batch)
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

async function expectOneJobEach(batch: string): Promise<void> {
  const members = await membersOf(batch);
  const made = members.map(({ job }) => job);
  expect(new Set(made).size).toBe(members.length);
  await expect.poll(() => jobsOf(batch)).toEqual([...made].sort());
  await expect.poll(() => dispatcherOf(bindings).figures()).toEqual(NOTHING);
}

test("each message comes five times at once, and again after the end: one job each", async () => {
  const { id } = await createBatch({ kernel: await stored(PASSES), jobs: Array(6).fill({}) });
  const again = async (): Promise<void> => {
    const messages = Array.from({ length: 30 }, (_, i) => startMessage({ batch: id, member: i % 6 }));
    await Promise.all(messages.map((message) => startMember(bindings, message)));
  };
  await again();
  expect(await batchEnd(id)).toMatchObject({ verdict: "pass", verdicts: { pass: 6 } });
  await again();
  await expectOneJobEach(id);
});

test("all objects lose their memory, over and over: the batch ends whole", async () => {
  const { id } = await createBatch({
    kernel: await stored(LONGER),
    maxConcurrent: 4,
    jobs: Array(12).fill({}),
  });
  for (let round = 0; round < 10; round++) {
    await scheduler.wait(40 + 37 * (round % 7));
    await abortAllDurableObjects();
  }
  expect(await batchEnd(id)).toMatchObject({ verdict: "pass", verdicts: { pass: 12 }, jobs: { total: 12 } });
  await expectOneJobEach(id);
  for (const { job, instructions } of await membersOf(id)) {
    expect(instructions).toBe(450_000_000);
    expect((await jobOf(job ?? "")).consoleBytes).toBe(16);
  }
});

test("a job of which its batch never heard is a member's all the same if the batch is canceled", async () => {
  const { id } = await createBatch({ kernel: await stored(ENDLESS), config: UNLIMITED, jobs: [{}] });
  await expect.poll(async () => (await membersOf(id))[0]?.state).toBe("running");
  const job = (await membersOf(id))[0]?.job ?? "";
  // Whoever made it died before he could say so, and the database is away, without which no event goes on to the batch.
  await env.DB.prepare("ALTER TABLE jobs RENAME TO lost").run();
  await env.DB.prepare("CREATE VIEW jobs AS SELECT * FROM lost").run();
  await runInDurableObject(objectOf(id), (_, { storage }) => {
    storage.sql.exec("UPDATE member SET made = 0, cancel = 1, state = 'starting'");
  });
  await startMember(bindings, startMessage({ batch: id, member: 0 }));
  await env.DB.prepare("DROP VIEW jobs").run();
  await env.DB.prepare("ALTER TABLE lost RENAME TO jobs").run();
  await batchEnd(id);
  const [member] = await membersOf(id);
  const { instructions } = await jobOf(job);
  expect(member).toMatchObject({ job, state: "canceled", instructions });
});

test("messages that the queue loses are sent again", async () => {
  const kernel = await stored(PASSES);
  let lost = 0;
  const losing = {
    ...bindings,
    WORK_QUEUE: {
      sendBatch: async (messages: readonly unknown[]) => {
        lost += messages.length;
      },
    },
  };
  const id = await runInDurableObject(dispatcherOf(bindings), async (_, state) => {
    // Another instance of it, before the one that answers knows of the batch.
    const loser = new Dispatcher(state, losing as unknown as Env);
    const batch = crypto.randomUUID().replaceAll("-", "");
    await loser.add({ batch, owner: "loser", next: 0, total: 3, most: 3, ownerMost: null });
    return batch;
  });
  expect(lost).toBe(3);
  // The batch itself comes to be only now, as if its own call had been the one that was answered.
  await objectOf(id).create({
    id,
    name: null,
    owner: {
      tokenId: "root",
      scopes: ["admin"],
      quotas: { concurrentJobs: null, instructionsPerDay: null, storageBytes: null },
    },
    visibility: "private",
    maxConcurrent: 3,
    common: { kernel, config: {} },
    members: Array.from({ length: 3 }, (_, i) => ({ name: `lost ${i}`, config: {} })),
  });
  expect(await batchEnd(id)).toMatchObject({ verdict: "pass", verdicts: { pass: 3 } });
  await expectOneJobEach(id);
});

test("canceled between any two steps of a member's start: no job is left running", async () => {
  const kernel = await stored(LONGER);
  const members = [{ name: "one", config: {} }];
  const make = () => createBatchOf("nobody", members, { kernel, config: {} }, { maxConcurrent: 0 });
  const settled = async (id: string): Promise<void> => {
    expect(await batchEnd(id)).toMatchObject({ verdict: "canceled", states: { canceled: 1 } });
    await expect.poll(() => dispatcherOf(bindings).figures()).toEqual(NOTHING);
  };
  // Before anything.
  const early = await make();
  await objectOf(early).cancel();
  await startMember(bindings, startMessage({ batch: early, member: 0 }));
  await settled(early);
  // After the claim, by somebody who then died; the message comes again.
  const claimed = await make();
  const claim = await objectOf(claimed).claim(0);
  expect(claim.kind).toBe("start");
  await objectOf(claimed).cancel();
  expect((await viewOf(claimed)).state).toBe("running");
  await startMember(bindings, startMessage({ batch: claimed, member: 0 }));
  await settled(claimed);
  // While the job is being made by one who has not noticed.
  const slow = await make();
  const starting = startMember(bindings, startMessage({ batch: slow, member: 0 }));
  await objectOf(slow).cancel();
  await starting;
  await settled(slow);
  for (const id of [early, claimed, slow]) {
    for (const job of await jobsOf(id)) expect((await jobOf(job)).verdict).toBe("canceled");
  }
});

test("a member for which its owner's quota leaves no room waits, and is no error", async () => {
  const kernel = await stored(PASSES);
  const members = [{ name: "one", config: {} }];
  const id = await createBatchOf(
    "poor",
    members,
    { kernel, config: {} },
    { maxConcurrent: 0, concurrentJobs: 0 },
  );
  for (let i = 0; i < 3; i++) await startMember(bindings, startMessage({ batch: id, member: 0 }));
  expect(await viewOf(id)).toMatchObject({ state: "running", verdict: null, states: { waiting: 1 } });
  await objectOf(id).cancel();
  await startMember(bindings, startMessage({ batch: id, member: 0 }));
  expect(await batchEnd(id)).toMatchObject({ verdict: "canceled" });
});

test("the index loses its batches: a repair brings back all of them, as they are", async () => {
  const kernel = await stored(PASSES);
  const over = await createBatch({ name: "over", kernel, jobs: [{}, {}] });
  const refused = await createBatch({ name: "refused", jobs: [{ kernel: { fixture: "unheard-of" } }] });
  const waiting = await createBatchOf(
    "nobody",
    [{ name: "one", config: {} }],
    { kernel, config: {} },
    { maxConcurrent: 0 },
  );
  for (const { id } of [over, refused]) await batchEnd(id);
  const listed = async (): Promise<unknown[]> => {
    const { batches } = await getJson<{ batches: BatchView[] }>("/batches?limit=1000");
    return [over.id, refused.id, waiting].map((id) => {
      const batch = batches.find((one) => one.id === id);
      return batch && [batch.state, batch.verdict, batch.jobs.ended];
    });
  };
  const whole = [
    ["ended", "pass", 2],
    ["ended", "error", 1],
    ["queued", null, 0],
  ];
  await expect.poll(listed).toEqual(whole);
  await env.DB.prepare("DROP TABLE batches").run();
  await env.DB.prepare("DELETE FROM d1_migrations WHERE name = '0002_batches.sql'").run();
  await expect.poll(listed).toEqual(whole);
  await objectOf(waiting).cancel();
});

test("one with many waiting jobs does not keep another's single one waiting", async () => {
  const kernel = await stored(ENDLESS);
  const many = Array.from({ length: 30 }, (_, i) => ({ name: `many ${i}`, config: { seed: i } }));
  const first = await createBatchOf("many", many, { kernel, config: UNLIMITED });
  await expect.poll(async () => (await viewOf(first)).jobs.running).toBe(8);
  const single = await createBatchOf("single", [{ name: "single", config: {} }], {
    kernel: await stored(PASSES),
    config: {},
  });
  await expect.poll(async () => (await viewOf(single)).jobs.waiting).toBe(0);
  expect((await viewOf(first)).jobs.waiting).toBe(22);
  // The others are of no more use, and would keep this test's only machine.
  await objectOf(first).cancel();
  expect(await batchEnd(single)).toMatchObject({ verdict: "pass" });
  await batchEnd(first);
  await expect.poll(() => dispatcherOf(bindings).figures()).toEqual(NOTHING);
  const page = JSON.parse(
    await objectOf(first).membersJson({ after: -1, limit: 1000, verdict: "pass" }),
  ) as MemberPage;
  expect(page.jobs.length).toBeLessThan(30);
});
