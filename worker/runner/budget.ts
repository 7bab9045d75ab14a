import { budgetLimit, judgeBudget, parseBudget } from "../../jobs/compare/budget.ts";
import { judge, type Outcome } from "../../jobs/verdict.ts";
import { findLastGood, type GoodJob } from "../database/last-good.ts";
import { messageOf } from "../errors.ts";
import { BUDGET_LIMITS } from "../limits.ts";
import { logEvent } from "../log.ts";
import type { JobState } from "./job-state.ts";
import { visibilityOf } from "./record.ts";

/** What expect.instructions came to. */
export interface BudgetView {
  /** As the configuration has it. */
  readonly budget: string;
  /** Instructions of the run. */
  readonly instructions: number;
  /** The most that it allows; null if there is no good run to compare with. */
  readonly limit: number | null;
  /** For people: why there is no limit, or what makes it a poor one. */
  readonly note: string | null;
}

const NO_GOOD =
  "No job of the same owner with these labels has passed before (of a public job: no public one), so there is nothing to compare with; the budget was not applied.";

/** Fields of a configuration that change how many instructions the same kernel takes. */
const TELLING = ["mode", "memory", "cpu", "cmdline"] as const;

/** Says that the good run was of another machine; null if it was of the same, or is kept no more. */
async function differenceNote(job: JobState, good: string): Promise<string | null> {
  const { config } = job.record.request;
  try {
    const view = await job.env.JOB_RUNNER.getByName(good).status();
    if (view === null || "unreadable" in view) return null;
    // Jobs of an older version lack some.
    const others = TELLING.filter((name) => (view.config[name] ?? config[name]) !== config[name]);
    if (others.length === 0) return null;
    const what = others.map((name) => `${name} (${JSON.stringify(view.config[name])})`).join(", ");
    return `The last good run ${good} had another ${what}, so that its instructions say less; give such jobs labels of their own.`;
  } catch (error) {
    // The verdict does not depend on it.
    logEvent("job.no-last-good", { job: job.record.request.id, error: messageOf(error) });
    return null;
  }
}

/**
 * The last known good, as the index has it. Where the verdict depends on it, a database that is away is waited for a while: the run
 * that is over took longer.
 *
 * @throws what the database throws, if the verdict depends on it
 */
async function lookUpLastGood(job: JobState, isNeeded: boolean): Promise<GoodJob | null> {
  const { request, createdAt } = job.record;
  const { config, id, owner } = request;
  const labels = config.labels ?? {};
  const comparable = { id, owner, visibility: visibilityOf(request), labels, createdAt };
  for (let delay: number = BUDGET_LIMITS.delayMilliseconds; ; delay *= 2) {
    try {
      return await findLastGood(job.env, comparable);
    } catch (error) {
      logEvent("job.no-last-good", { job: id, error: messageOf(error) });
      if (!isNeeded) return null;
      if (delay > BUDGET_LIMITS.mostDelayMilliseconds) throw error;
    }
    await scheduler.wait(delay);
    if (job.ended) return null;
    // The guest is still in memory, and its job alive.
    job.shouldYield();
  }
}

/**
 * Looks for the last known good of a job whose run is over, and holds the run against its budget. What is found is noted in
 * the record, and stored with the end.
 *
 * @throws what the database throws, if the verdict depends on it: then the turn is tried again
 */
export async function withinBudget(job: JobState, outcome: Outcome, instructions: number): Promise<Outcome> {
  const { request } = job.record;
  const { config } = request;
  // Jobs of an older version have neither.
  const text = config.expect.instructions ?? null;
  const budget = text === null ? undefined : parseBudget(text);
  const lastGood = await lookUpLastGood(job, budget !== undefined && budget.kind !== "absolute");
  if (job.ended) return outcome;
  if (text === null || budget === undefined) {
    job.note({ lastGood });
    return outcome;
  }
  // As the job's figures have it: a run that ended before its guest was there has executed nothing.
  const run = Math.max(0, instructions - (request.from?.instructions ?? 0));
  const limit = budgetLimit(budget, lastGood?.instructions ?? null);
  let note = limit === null ? NO_GOOD : null;
  if (budget.kind !== "absolute" && lastGood !== null) note = await differenceNote(job, lastGood.id);
  if (job.ended) return outcome;
  const view: BudgetView = { budget: text, instructions: run, limit, note };
  job.note({ lastGood, budget: view });
  const finding = judgeBudget(budget, run, lastGood);
  const [first, ...rest] = outcome.findings;
  if (finding === undefined || first === undefined) return outcome;
  return judge([first, ...rest, finding]);
}
