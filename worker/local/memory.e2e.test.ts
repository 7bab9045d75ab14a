import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { JobView } from "../runner/record.ts";
import { LocalServer } from "./server.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * A guest of 512 MiB in an isolate of 128 MB: Debian boots with the default pool of 64 MiB, and V8's own inspector is asked
 * all the while, from the POST to the verdict, what the isolate holds: heap, buffers and linear memory, garbage included. At
 * the same time the same guest boots in another workerd whose pool holds all of it: paging must not cost much more time.
 */

const debian = await availableFixture("debian-cloud");
const MOST_BYTES = 120e6;
const MEMORY_MIB = 512;
const SLOWER = 1.3;
const SAMPLE_MILLISECONDS = 25;
const CLOCK_TICKS = 100;

let paged: LocalServer;
let unlimited: LocalServer;
/** Of the two workerds. */
let pids: [number, number];

beforeAll(async () => {
  if (debian === undefined) return;
  paged = await LocalServer.start({ inspect: true });
  const first = paged.workerd()!;
  unlimited = await LocalServer.start({ variables: { POOL_MIB: "1024" } });
  pids = [first, unlimited.workerd()!];
  for (const server of [paged, unlimited]) await server.storeFixture(debian);
});

afterAll(async () => {
  await paged?.stop();
  await unlimited?.stop();
});

/** Posts the guest and waits for its end; `posted` gets the job's id. */
async function boot(server: LocalServer, posted: (id: string) => void = () => {}): Promise<JobView> {
  const client = server.client();
  const config = { memory: MEMORY_MIB };
  const { id } = await client.createJob({ kernel: { fixture: "debian-cloud" }, config });
  posted(id);
  return client.followConsole(id, () => {});
}

/** Processor time of a process so far, in seconds: proc(5), fields 14 and 15 of stat. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

describe("Debian with 512 MiB of RAM and a pool of 64 MiB", () => {
  testWith(debian)(
    "keeps its isolate below 120 MB, and takes at most 1.3 times as long as with all pages in memory",
    { timeout: 600_000 },
    async () => {
      const inspector = await paged.inspector();
      const client = paged.client();
      let id: string | undefined;
      let running = true;
      let samples = 0;
      let most = { total: 0, heap: 0, buffers: 0, linear: 0 };
      const sampling = (async () => {
        while (running) {
          const { heap, buffers } = await inspector.memory();
          // Asked for later, and it never shrinks: no less than it was.
          const linear = id === undefined ? 0 : ((await client.job(id)).paging?.linearMemoryBytes ?? 0);
          const total = heap + buffers + linear;
          if (total > most.total) most = { total, heap, buffers, linear };
          samples++;
          await sleep(SAMPLE_MILLISECONDS);
        }
      })();
      const [job, other] = await Promise.all([
        boot(paged, (posted) => {
          id = posted;
        }),
        boot(unlimited),
      ]);
      const [cpu, otherCpu] = [cpuSeconds(pids[0]), cpuSeconds(pids[1])];
      running = false;
      await sampling;
      inspector.close();
      console.log(
        `${samples} samples, at most ${Object.entries(most)
          .map(([name, bytes]) => `${name} ${(bytes / 1e6).toFixed(1)} MB`)
          .join(", ")}; ${job.runSeconds} s and ${cpu} s of processor, all in memory ` +
          `${other.runSeconds} s and ${otherCpu} s; ${JSON.stringify(job.paging)}`,
      );
      expect(job).toMatchObject({ verdict: "pass", resumes: 0, restarts: 0 });
      expect(other).toMatchObject({ verdict: "pass", instructions: job.instructions });
      expect(job.paging?.evictions).toBeGreaterThan(0);
      expect(job.paging?.peakResidentPages).toBe(job.paging?.poolPages);
      expect(other.paging?.evictions).toBe(0);
      expect(samples).toBeGreaterThan(50);
      expect(most.total).toBeLessThan(MOST_BYTES);
      expect(cpu / otherCpu).toBeLessThan(SLOWER);
    },
  );
});
