import type { HypercallStatistics } from "../engine/machine-api.ts";
import { type Comparison, compare, type RunFacts } from "../jobs/compare/compare.ts";
import { compareConsoles, type Ignored } from "../jobs/compare/consoles.ts";
import { runInstructions } from "./database/last-good.ts";
import { HttpError } from "./errors.ts";
import type { JobRunnerObject } from "./runner/job-runner.ts";
import type { JobView } from "./runner/record.ts";

/** A job, and its object. */
export interface ReadJob {
  readonly view: JobView;
  readonly runner: DurableObjectStub<JobRunnerObject>;
}

function factsOf(view: JobView, statistics: HypercallStatistics | null): RunFacts {
  const calls = (statistics?.hypercalls ?? []).map(({ hypercall, subop, calls: count }) => {
    const name = subop === null || subop === "" ? hypercall : `${hypercall}: ${subop}`;
    return [name, count] as const;
  });
  return {
    id: view.id,
    instructions: runInstructions(view),
    guestSeconds: view.from?.since.guestSeconds ?? view.guestSeconds,
    milestones: view.milestones,
    hypercalls: Object.fromEntries(calls),
  };
}

/** Null before the first checkpoint, or if the job cannot be read. */
async function statisticsOf({ runner }: ReadJob): Promise<HypercallStatistics | null> {
  const answer = await runner.hypercalls();
  return answer !== null && "statistics" in answer ? (answer.statistics as HypercallStatistics | null) : null;
}

async function consoleOf({ runner }: ReadJob): Promise<ReadableStream<Uint8Array>> {
  const response = await runner.fetch("http://job/console");
  if (response.ok && response.body !== null) return response.body;
  await response.body?.cancel();
  throw new HttpError(500, "damaged", "A job's console cannot be read. Post it again.");
}

/** What changed from a good run to this one. The consoles are read up to the first line that differs, and not held. */
export async function compareJobs(now: ReadJob, good: ReadJob, ignore: Ignored): Promise<Comparison> {
  const [before, present] = await Promise.all([good, now].map(consoleOf));
  if (before === undefined || present === undefined) throw new Error("two consoles were asked for");
  const consoles = await compareConsoles(before, present, ignore);
  const [statistics, goodStatistics] = await Promise.all([statisticsOf(now), statisticsOf(good)]);
  return compare(factsOf(now.view, statistics), factsOf(good.view, goodStatistics), consoles);
}
