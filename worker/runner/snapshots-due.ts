import { Monitor } from "../../jobs/monitor.ts";
import type { Outcome } from "../../jobs/verdict.ts";
import type { SnapshotView } from "../snapshots/store.ts";
import { loadCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { end } from "./ending.ts";
import type { Guest } from "./guest.ts";
import type { JobState } from "./job-state.ts";
import { Superseded } from "./job-store.ts";
import { letOthersIn } from "./let-others-in.ts";
import type { LoadedGuest } from "./loaded-guest.ts";
import { keepSnapshot, type MadeSnapshot, noMemory, refusalOf } from "./snapshots.ts";

/*
 * When a job's snapshots are made, and what becomes of the job then. Each is made from the checkpoint that was just written,
 * while the guest waits. That takes long enough for the job to be canceled or taken over; who calls these looks at
 * `job.ended` when they return.
 */

/** Whether the turn has to end for a snapshot. */
export function isSnapshotDue(job: JobState, { guest }: LoadedGuest): boolean {
  return job.askedSnapshots.length > 0 || guest.monitor.snapshots.due.length > 0;
}

/** Makes what snapshots are due or were asked for, from the checkpoint that was just written. @throws Superseded */
export async function makeSnapshots(job: JobState, guest: Guest): Promise<void> {
  for (const name of guest.monitor.snapshots.due) {
    await makeOwnSnapshot(job, name);
    if (job.ended) return;
    guest.monitor.snapshots.settle(name);
  }
  for (let asked = job.askedSnapshots.shift(); asked !== undefined; asked = job.askedSnapshots.shift()) {
    asked.resolve(await keepCheckpoint(job, asked.name).catch(refusalOf));
    if (job.ended) return;
  }
}

/** A snapshot that the job's config asks for. That there is no room for it is told; any other failure is tried again. */
async function makeOwnSnapshot(job: JobState, name: string): Promise<void> {
  let made: MadeSnapshot;
  try {
    const { bytes, instructions } = await keepCheckpoint(job, name);
    made = { name, instructions, bytes };
  } catch (error) {
    if (job.ended) return;
    const { refused } = refusalOf(error);
    // A verdict that is known is not given up for a snapshot.
    const mayTryAgain = refused.status !== 409 && job.record.ending === undefined;
    if (mayTryAgain || error instanceof Superseded) throw error;
    made = { name, error: refused.message };
  }
  if (job.ended) return;
  const { record } = job;
  const others = (record.snapshots ?? []).filter((other) => other.name !== name);
  job.save({ ...record, snapshots: [...others, made] });
}

/** Keeps the last checkpoint as a snapshot. Throws if the job ends meanwhile, or another instance takes it over. */
export async function keepCheckpoint(job: JobState, name: string): Promise<SnapshotView> {
  const { record, epoch } = job;
  const view = await keepSnapshot(job.bucket, job.sql, record, name, async () => {
    await letOthersIn(false);
    // A large guest takes longer than a slot lasts that nothing is heard of.
    job.shouldYield();
    if (job.found?.state !== record.state) throw noMemory(job.found?.state ?? "gone");
    job.check(epoch);
  });
  await job.countSnapshot(name, view.bytes);
  return view;
}

/**
 * The run is over, and snapshots of its end are to be made. The outcome is stored with the checkpoint they are made from, so
 * that after a crash the job ends with it and does not run on.
 */
export async function endWithSnapshots(job: JobState, outcome: Outcome): Promise<void> {
  const { loaded } = job;
  if (loaded === undefined) {
    const stored = loadCheckpoint(job.sql);
    const { config } = job.record.request;
    const due = stored === undefined ? [] : new Monitor(config, stored.monitor).snapshots.due;
    for (const name of due) await makeOwnSnapshot(job, name);
  } else {
    job.storage.transactionSync(() => {
      const record = writeCheckpoint(job.sql, loaded, job.record, job.console.length);
      job.save({ ...record, ending: outcome });
    });
    await makeSnapshots(job, loaded.guest);
  }
  if (!job.ended) await end(job, outcome);
}
