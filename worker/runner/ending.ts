import { expectedPatterns } from "../../jobs/input.ts";
import { judgeConsole } from "../../jobs/judge-console.ts";
import { ConsoleReporter } from "../../jobs/report/job.ts";
import { finalState } from "../../jobs/states.ts";
import { judge, type Outcome, type Verdict } from "../../jobs/verdict.ts";
import { OUTBOX_LIMITS, RUNNER_LIMITS } from "../limits.ts";
import { deleteSnapshotsOf } from "../snapshots/store.ts";
import { withinBudget } from "./budget.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import type { JobState } from "./job-state.ts";
import { letOthersIn } from "./let-others-in.ts";
import { MACHINE_SLOTS } from "./machine-slots.ts";
import { saveProfile } from "./profile-store.ts";
import type { JobRecord } from "./record.ts";
import { emptyTables } from "./schema.ts";
import { noMemory, refusalOf } from "./snapshots.ts";

/*
 * The end of a job, and what happens to it afterwards. The end is one transaction: outcome, statistics and what becomes of the
 * guest's memory are stored together or not at all. From there on alarms clean up. They come at least once, so that each looks
 * at what is stored and at the time, and one that has nothing to do only sets the next.
 */

const HOUR_MILLISECONDS = 3_600_000;
const DAY_MILLISECONDS = 24 * HOUR_MILLISECONDS;

/** After these the guest's memory is worth looking at. */
const KEPT: ReadonlySet<Verdict> = new Set<Verdict>(["timeout", "no-output", "fail", "crash"]);

/**
 * The run's outcome, given what its whole console says besides, and what runs before it came to. `instructions`: where the run
 * ended.
 *
 * @throws DamagedConsole, and what the database throws if the verdict depends on it
 */
export async function judged(job: JobState, outcome: Outcome, instructions: number): Promise<Outcome> {
  const log = job.console;
  const reporter = new ConsoleReporter();
  for (let at = 0; at < log.length && !job.ended; ) {
    const piece = log.read(at);
    reporter.output(piece);
    at += piece.length;
    // A long console takes seconds.
    await letOthersIn(false);
  }
  const { expect } = job.record.request.config;
  const whole = judgeConsole(outcome, reporter.end(), expectedPatterns(expect));
  return job.ended || whole.verdict === "error" ? whole : withinBudget(job, whole, instructions);
}

/**
 * The job is over: its outcome and statistics stay. So does its memory for a while if the guest failed, else it goes.
 *
 * @throws Superseded
 */
export async function end(job: JobState, outcome: Outcome): Promise<void> {
  const { loaded, sql } = job;
  const endedAt = Date.now();
  const keep = loaded !== undefined && KEPT.has(outcome.verdict) ? keptMilliseconds(job) : 0;
  const storageMost = Math.max(job.record.storageMost, sql.databaseSize);
  job.storage.transactionSync(() => {
    let { record } = job;
    if (loaded !== undefined && keep > 0) record = writeCheckpoint(sql, loaded, record, job.console.length);
    else {
      if (loaded !== undefined) {
        record = { ...record, ...loaded.progress, statistics: loaded.guest.machine.statistics() };
        saveProfile(sql, loaded.guest.profile);
      }
      job.dropPages();
    }
    job.save({
      ...record,
      inTurn: false,
      consoleBytes: job.console.length,
      storageMost: Math.max(record.storageMost, storageMost),
      state: finalState(outcome.verdict),
      outcome,
      endedAt,
      ...(keep > 0 ? { keptUntil: endedAt + keep } : {}),
    });
  });
  job.unload();
  // Also if it is an instance that is gone, or about to notice, that has it.
  MACHINE_SLOTS.release(job.record.request.id);
  job.wakeFollowers();
  for (const { resolve } of job.askedSnapshots.splice(0)) resolve(refusalOf(noMemory(job.record.state)));
  await job.storage.setAlarm(nextAlarm(job));
}

/** The job is over by no fault of its guest. @throws Superseded */
export function endAsError(job: JobState, message: string): Promise<void> {
  return end(job, judge([{ verdict: "error", code: "infrastructure", message }]));
}

/** How long the memory of a guest that failed is kept: as the job asks, or as the worker is set to, and no longer than its result. */
function keptMilliseconds({ record, settings }: JobState): number {
  const { days, failedMemoryHours } = record.request.config.retention ?? {};
  const asked = typeof failedMemoryHours === "number" ? failedMemoryHours * HOUR_MILLISECONDS : undefined;
  const most = days === undefined ? RUNNER_LIMITS.keepResultMilliseconds : days * DAY_MILLISECONDS;
  return Math.min(asked ?? settings.keepFailedMilliseconds, most);
}

/**
 * When to look at a job that has ended: at its clean-up, or before if others have not heard of it yet. Whoever tells them sets the
 * alarm again; this is for the case that its process dies.
 */
export function nextAlarm({ record, outbox }: JobState): number {
  const cleanUp = nextCleanUp(record);
  const left = outbox.next();
  if (left === undefined) return cleanUp;
  return Math.min(cleanUp, Math.max(left.due, Date.now() + OUTBOX_LIMITS.delayMilliseconds));
}

function nextCleanUp(record: JobRecord): number {
  const { keptUntil } = record;
  return keptUntil ?? goneAt(record);
}

/** When nothing is left of a job that has ended. */
function goneAt({ request, endedAt = 0 }: JobRecord): number {
  // Jobs of an older version say nothing about it.
  const days = request.config.retention?.days;
  return endedAt + (days === undefined ? RUNNER_LIMITS.keepResultMilliseconds : days * DAY_MILLISECONDS);
}

/** After the end: pages go when their time has come, and at last everything does. @throws Superseded */
export async function cleanUp(job: JobState): Promise<void> {
  const { record } = job;
  const now = Date.now();
  if (now >= goneAt(record)) {
    await deleteSnapshotsOf(job.bucket, record.request.id);
    await job.forget();
    // The alarm last: as long as there is anything, it comes again.
    await job.storage.deleteAll();
    await job.storage.deleteAlarm();
    job.readStored();
    return;
  }
  if (record.keptUntil !== undefined && now >= record.keptUntil) {
    job.storage.transactionSync(() => {
      const { keptUntil: _, ...rest } = record;
      job.dropPages();
      job.save(rest);
    });
  }
  await job.storage.setAlarm(nextAlarm(job));
}

/**
 * What cannot be read is of no use to anybody; that there was a job is still told for a while.
 *
 * @param id the object's name, which is the job's id; empty if it has none
 */
export async function cleanUpUnreadable(job: JobState, id: string): Promise<void> {
  const rows = job.sql.exec("SELECT id FROM job").toArray();
  if (rows.length === 0) {
    await job.storage.deleteAll();
    job.readStored();
    return;
  }
  emptyTables(job.sql);
  MACHINE_SLOTS.release(id);
  await job.storage.setAlarm(Date.now() + RUNNER_LIMITS.keepResultMilliseconds);
}
