import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PreparedFixture } from "../../../r2-fixtures/index.ts";
import type { JobView } from "../../runner/record.ts";
import { ApiError, type Client } from "../client.ts";
import { newToken } from "../kept-token.ts";
import { KillableServer } from "../soak/killable-server.ts";

/** What the checkpoints of one boot cost. */
export interface CheckpointBoot {
  readonly memoryMiB: number;
  readonly instructions: number;
  readonly count: number;
  /** Wall time inside checkpoints over wall time from POST to verdict. */
  readonly share: number;
  readonly pagesEach: number;
  readonly bytesEach: number;
  readonly microsecondsPerPage: number;
}

export interface CheckpointFigures {
  readonly boots: readonly CheckpointBoot[];
  /** From alarm to first guest instruction, after workerd was killed with 128 MiB of RAM. */
  readonly resumeMilliseconds: readonly number[];
}

const MEMORIES = [128, 512];
const POLL_MILLISECONDS = 50;
/** A workerd that was killed is back within a few seconds. */
const AWAY_MILLISECONDS = 60_000;

/** Boots the fixture with little and with much RAM, and once with a workerd that is killed after its first checkpoints. */
export async function measureCheckpoints(
  fixture: PreparedFixture,
  runs: number,
  log: (line: string) => void,
): Promise<CheckpointFigures> {
  const directory = await mkdtemp(join(tmpdir(), "xenner-bench-"));
  const server = new KillableServer(directory, newToken());
  try {
    await server.start();
    const client = server.client();
    const kernel = { sha256: await client.putFile(fixture.kernelPath) };
    const initrd =
      fixture.initrdPath === undefined
        ? {}
        : { initrd: { sha256: await client.putFile(fixture.initrdPath) } };
    const begin = async (memory: number): Promise<string> => {
      const config = { cmdline: fixture.cmdline, memory, expect: fixture.expect };
      return (await client.createJob({ kernel, ...initrd, config })).id;
    };
    const boots: CheckpointBoot[] = [];
    const resumeMilliseconds: number[] = [];
    for (let run = 0; run < runs; run++) {
      for (const memoryMiB of MEMORIES) {
        log(`checkpoints: boot with ${memoryMiB} MiB, run ${run + 1} of ${runs}`);
        boots.push(costOf(await jobWhen(client, await begin(memoryMiB), isOver)));
      }
      log(`checkpoints: resume, run ${run + 1} of ${runs}`);
      const id = await begin(MEMORIES[0]!);
      await jobWhen(client, id, (job) => isOver(job) || job.checkpoints.count > 0);
      await server.kill("workerd");
      const { resumeMilliseconds: resumes } = await jobWhen(server.client(), id, isOver);
      if (resumes !== null) resumeMilliseconds.push(resumes.most);
    }
    return { boots, resumeMilliseconds };
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

const isOver = (job: JobView): boolean => job.endedAt !== null;

/** @throws what the client throws, if the worker does not come back or does not know the job */
async function jobWhen(client: Client, id: string, condition: (job: JobView) => boolean): Promise<JobView> {
  let heard = performance.now();
  for (;;) {
    try {
      const job = await client.job(id);
      if (condition(job)) return job;
      heard = performance.now();
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) throw error;
      if (performance.now() - heard > AWAY_MILLISECONDS) throw error;
    }
    await sleep(POLL_MILLISECONDS);
  }
}

function costOf({ config, instructions, seconds, verdict, reason, checkpoints }: JobView): CheckpointBoot {
  if (verdict !== "pass") throw new Error(`the boot ended as ${verdict}: ${reason}`);
  const { count, milliseconds, pagesWritten, bytesWritten } = checkpoints;
  return {
    memoryMiB: config.memory,
    instructions,
    count,
    share: milliseconds / 1000 / seconds,
    pagesEach: count === 0 ? 0 : pagesWritten / count,
    bytesEach: count === 0 ? 0 : bytesWritten / count,
    microsecondsPerPage: pagesWritten === 0 ? 0 : (milliseconds * 1000) / pagesWritten,
  };
}
