import { JOB_STATES } from "../../jobs/states.ts";
import { VERDICTS } from "../../jobs/verdict.ts";
import { withDatabase } from "../database/database.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { logEvent } from "../log.ts";
import { registerOf } from "../register/stub.ts";
import { tellRequests } from "./requests.ts";
import type { Family, Sample } from "./text.ts";

interface Row {
  readonly state: string;
  readonly verdict: string | null;
  readonly jobs: number;
}

const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name: `xenner_${name}_total`,
  type: "counter",
  help,
  samples,
});
const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name: `xenner_${name}`,
  type: "gauge",
  help,
  samples,
});

/** Jobs in the index by state and verdict; undefined if the database cannot be asked. */
async function indexed(env: Env): Promise<readonly Row[] | undefined> {
  try {
    return await withDatabase(env, async (database) => {
      const query = "SELECT state, verdict, count(*) AS jobs FROM jobs GROUP BY state, verdict";
      return (await database.prepare(query).all<Row>()).results;
    });
  } catch (error) {
    logEvent("metrics.no-database", { error: messageOf(error) });
    return undefined;
  }
}

/** Everything that /metrics tells. Counters are the register's, which has each end once; gauges of jobs are the index's. */
export async function figures(env: Env): Promise<Family[]> {
  await tellRequests(env);
  const [totals, kept, rows] = await Promise.all([
    registerOf(env).totals(),
    registerOf(env).kept(),
    indexed(env),
  ]);
  const total = (name: string): number => totals.find((count) => count.name === name)?.value ?? 0;
  const jobs = (is: (row: Row) => boolean): number =>
    (rows ?? []).filter(is).reduce((sum, row) => sum + row.jobs, 0);
  const ended = VERDICTS.map((verdict) => ({
    labels: { verdict },
    value:
      totals.find(({ name, labels }) => name === "jobs_ended" && labels === JSON.stringify({ verdict }))
        ?.value ?? 0,
  }));
  const requests = totals
    .filter(({ name }) => name === "http_requests")
    .map(({ labels, value }) => ({ labels: JSON.parse(labels) as Record<string, string>, value }));
  const seconds = total("run_seconds");
  const instructions = total("guest_instructions");
  const families = [
    gauge("database_up", "Whether the index could be asked.", [{ value: rows === undefined ? 0 : 1 }]),
    counter("jobs_ended", "Jobs that ended, by verdict.", ended),
    counter("guest_instructions", "Guest instructions of jobs that ended.", [{ value: instructions }]),
    counter("guest_run_seconds", "Wall time in which guests of jobs that ended ran.", [{ value: seconds }]),
    gauge("guest_mips", "Million guest instructions a second of running, over all jobs that ended.", [
      { value: seconds > 0 ? instructions / seconds / 1e6 : 0 },
    ]),
    counter("checkpoints", "Checkpoints of jobs that ended.", [{ value: total("checkpoints") }]),
    counter("checkpoint_bytes", "Bytes that those wrote.", [{ value: total("checkpoint_bytes") }]),
    counter("interruptions", "Turns of jobs that were broken off, as when a process was killed.", [
      { value: total("interruptions") },
    ]),
    gauge("jobs_live", "Jobs that have not ended.", [{ value: kept.live }]),
    gauge("stored_bytes", "Bytes kept of jobs, snapshots and uploads.", [{ value: kept.bytes }]),
    gauge("tokens", "Tokens there are.", [{ value: kept.tokens }]),
    counter("http_requests", "Requests, by route and status.", requests),
  ];
  if (rows === undefined) return families;
  return [
    ...families,
    gauge(
      "jobs",
      "Jobs that are kept, by state.",
      JOB_STATES.map((state) => ({ labels: { state }, value: jobs((row) => row.state === state) })),
    ),
    gauge("queue_depth", "Jobs that wait for their turn.", [
      { value: jobs(({ state }) => state === "queued") },
    ]),
  ];
}
