import { beforeAll, describe, expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import { bootWithKills, differences, type Result } from "./soak/boot.ts";
import { planKills, randomFrom } from "./soak/plan.ts";
import { availableFixture } from "./testing/guests.ts";
import { KilledGuests } from "./testing/kills.ts";

/*
 * A small soak: processes are killed while a domain is built, in the run, in checkpoints and at the end, workerd and the node
 * above it by turns, and neither the verdict nor a byte of console nor a count in the statistics is another than in the boot
 * that nothing disturbed. `npm run soak` does the same with Debian and a hundred kills.
 */

const guest = (await availableFixture("grub-pv")) ?? (await prepareFixture("hello", { log: () => {} }));
const KILLS = 6;

const guests = new KilledGuests("soak");
let request: unknown;
let reference: Result;

beforeAll(async () => {
  const { cmdline, memoryMiB: memory, expect } = guest;
  request = await guests.requestFor(guest.kernelPath, { cmdline, memory, expect });
  reference = await guests.boot(request);
}, 300_000);

describe("a plan", () => {
  test("is the same for the same seed, has every phase in each boot and both victims by turns", () => {
    const boots = planKills(100, 10, randomFrom(7));
    expect(planKills(100, 10, randomFrom(7))).toEqual(boots);
    expect(planKills(100, 10, randomFrom(8))).not.toEqual(boots);
    expect(boots.flat().map(({ victim }) => victim)).toEqual(
      Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? "workerd" : "node")),
    );
    for (const kills of boots) {
      const phases = kills.map(({ phase }) => phase);
      expect(phases[0]).toBe("build");
      expect(phases.at(-1)).toBe("end");
      expect(new Set(phases).size).toBe(4);
      const shares = kills.flatMap((kill) => ("share" in kill ? [kill.share] : []));
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
    }
  });
});

test("the undisturbed boot passes", () => {
  expect(reference.job).toMatchObject({ verdict: "pass", resumes: 0, restarts: 0, interruptions: 0 });
});

test(`${KILLS} kills change nothing`, { timeout: 600_000 }, async () => {
  const plan = planKills(KILLS, KILLS, randomFrom(3)).flat();
  const done = await guests.survive(request, reference, plan);
  expect(new Set(done.map(({ victim }) => victim))).toEqual(new Set(["workerd", "node"]));
});

test("a difference would be seen", async () => {
  const boot = await bootWithKills(guests.server, request, [], undefined);
  expect(differences(reference, boot)).toEqual([]);
  const changed = reference.console.slice();
  changed[changed.length >> 1]! ^= 1;
  expect(differences({ ...reference, console: changed }, boot)).toEqual([
    `the console differs at offset ${changed.length >> 1}`,
    `what a follower saw differs at offset ${changed.length >> 1}`,
  ]);
  const job = { ...reference.job, instructions: reference.job.instructions + 1 };
  expect(differences({ ...reference, job }, boot)).toHaveLength(1);
});
