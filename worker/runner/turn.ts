import { judge, type Outcome } from "../../jobs/verdict.ts";
import { messageOf } from "../errors.ts";
import { RUNNER_LIMITS } from "../limits.ts";
import { logEvent } from "../log.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import { isCheckpointDue } from "./checkpoint-policy.ts";
import { ConsoleDivergence } from "./console-log.ts";
import { DamagedCheckpoint } from "./damaged.ts";
import { end, endAsError, judged } from "./ending.ts";
import type { Engine } from "./engine.ts";
import type { JobState } from "./job-state.ts";
import { Superseded } from "./job-store.ts";
import { letOthersIn } from "./let-others-in.ts";
import { loadGuest, startOver } from "./load-guest.ts";
import type { LoadedGuest } from "./loaded-guest.ts";
import { Pace } from "./pace.ts";
import { PoolTooSmall } from "./run-figures.ts";
import { endWithSnapshots, isSnapshotDue, makeSnapshots } from "./snapshots-due.ts";

/** What bounds a job; tests have smaller ones. */
export interface RunnerBounds {
  /** RUNNER_LIMITS.turnInstructions */
  readonly turnInstructions: number;
  /** STORAGE_LIMITS.jobBytes */
  readonly storageBytes: number;
}

/** The job has stored more than it may. */
class StorageExceeded extends Error {
  override readonly name = "StorageExceeded";
  constructor(limit: number) {
    super(`The job's storage has outgrown its limit of ${limit / 2 ** 20} MiB; give the guest less memory.`);
  }
}

/**
 * The turns of one job, each of which is an alarm: slices up to a checkpoint, and the next alarm. A turn that is broken off at
 * any point loses what came after the last checkpoint, and the next one does it again to the same bytes. So nothing here may
 * depend on how a run is cut into turns and slices but the order in which others get to run.
 */
export class Turns {
  readonly #job: JobState;
  readonly #engine: Engine;
  readonly #bounds: RunnerBounds;
  readonly #pace = new Pace();

  constructor(job: JobState, engine: Engine, bounds: RunnerBounds) {
    this.#job = job;
    this.#engine = engine;
    this.#bounds = bounds;
  }

  /**
   * Does a turn of a job that has not ended. When it returns, an alarm is set: for the next turn, or for the clean-up.
   *
   * @param began when the alarm came, in milliseconds since 1970
   * @throws Superseded if another instance runs the job now; what is in memory then must be forgotten
   */
  async turn(began: number): Promise<void> {
    const job = this.#job;
    const place = job.acquireSlot();
    if (place > 0) {
      const { machinePollMilliseconds, machineStaleMilliseconds } = RUNNER_LIMITS;
      // However many are before it: whoever asks too seldom loses its place.
      const wait = Math.min(place * machinePollMilliseconds, machineStaleMilliseconds / 2);
      await job.storage.setAlarm(Date.now() + wait);
      return;
    }
    if (job.loaded === undefined) job.take();
    const { record } = job;
    if (record.attempts >= RUNNER_LIMITS.attempts) {
      await endAsError(job, `The job was begun ${record.attempts} times without getting to a checkpoint.`);
      return;
    }
    job.save({
      ...record,
      inTurn: true,
      attempts: record.attempts + 1,
      interruptions: record.interruptions + (record.inTurn && job.loaded === undefined ? 1 : 0),
    });
    try {
      if (record.ending !== undefined) await endWithSnapshots(job, record.ending);
      else await this.#runToCheckpoint(began);
    } catch (error) {
      if (error instanceof Superseded) throw error;
      if (job.ended) return;
      if (error instanceof PoolTooSmall) await endAsError(job, error.message);
      else if (error instanceof StorageExceeded) {
        await end(job, judge([{ verdict: "error", code: "storage", message: error.message }]));
      } else await this.#failed(error);
    }
  }

  /** Runs the guest to its end, or to a checkpoint and sets the next alarm. The job may have ended meanwhile. */
  async #runToCheckpoint(began: number): Promise<void> {
    const job = this.#job;
    const loaded = job.loaded ?? (await loadGuest(job, this.#engine, began));
    if (loaded === undefined) return;
    job.loaded = loaded;
    const outcome = await this.#run(loaded);
    if (job.ended) return;
    if (outcome !== undefined) {
      await this.#over(loaded, outcome);
      return;
    }
    this.#checkpoint(loaded);
    await makeSnapshots(job, loaded.guest);
    if (job.ended) return;
    if (job.shouldYield()) {
      job.unload();
      job.save({ ...job.record, inTurn: false });
    }
    await job.storage.setAlarm(Date.now());
  }

  /** The run has come to its end. @throws ConsoleDivergence, DamagedConsole */
  async #over(loaded: LoadedGuest, outcome: Outcome): Promise<void> {
    const job = this.#job;
    job.console.finish();
    job.console.verify();
    loaded.guest.monitor.snapshots.end();
    const whole = await judged(job, outcome, loaded.guest.machine.instructions);
    if (job.ended) return;
    if (isSnapshotDue(job, loaded)) await endWithSnapshots(job, whole);
    else await end(job, whole);
  }

  /** Runs slices until it is time for a checkpoint; an outcome if the run is over. */
  async #run(loaded: LoadedGuest): Promise<Outcome | undefined> {
    const job = this.#job;
    const { guest, figures } = loaded;
    const until = guest.machine.instructions + this.#bounds.turnInstructions;
    const runBefore = loaded.runMilliseconds;
    let counted = Date.now();
    for (let slices = 1; guest.machine.instructions < until && !isSnapshotDue(job, loaded); slices++) {
      const began = Date.now();
      const from = guest.machine.instructions;
      const pace = job.settings.sliceInstructions ?? this.#pace.instructions;
      const { output, outcome } = guest.slice(Math.min(pace, figures.untilHash));
      for (const bytes of output) job.console.append(bytes);
      if (output.length > 0) job.wakeFollowers();
      this.#pace.took(guest.machine.instructions - from, Date.now() - began);
      figures.moment(outcome !== undefined);
      const isTimer = slices % RUNNER_LIMITS.slicesPerTimer === 0;
      await letOthersIn(isTimer);
      // From here to the next wait nobody can take the job over.
      if (job.ended) return undefined;
      job.check();
      const now = Date.now();
      loaded.runMilliseconds += now - counted;
      counted = now;
      if (outcome !== undefined) return outcome;
      if (isTimer && this.#isTurnOver(loaded, loaded.runMilliseconds - runBefore)) return undefined;
    }
    return undefined;
  }

  /** Whether a checkpoint is due, or others have waited for this machine long enough. @throws StorageExceeded */
  #isTurnOver({ guest, runMilliseconds }: LoadedGuest, millisecondsSince: number): boolean {
    if (this.#job.shouldYield()) return true;
    this.#checkStorage();
    const { checkpoints, interruptions } = this.#job.record;
    const { pagesWritten, milliseconds } = checkpoints;
    const { dirtyPages } = guest.machine;
    const circumstances = { millisecondsSince, dirtyPages, pagesWritten, milliseconds };
    return isCheckpointDue({ ...circumstances, runMilliseconds, interruptions });
  }

  /**
   * Pages, processor, devices, monitor and progress become the new checkpoint together, or not at all.
   *
   * @throws Superseded, StorageExceeded
   */
  #checkpoint(loaded: LoadedGuest): void {
    const job = this.#job;
    job.storage.transactionSync(() =>
      job.save(writeCheckpoint(job.sql, loaded, job.record, job.console.length)),
    );
    this.#checkStorage();
  }

  /** @throws StorageExceeded */
  #checkStorage(): void {
    const { storageBytes } = this.#bounds;
    if (this.#job.sql.databaseSize > storageBytes) throw new StorageExceeded(storageBytes);
  }

  /** A turn threw: try again from the last checkpoint, a few times. */
  async #failed(error: unknown): Promise<void> {
    const job = this.#job;
    job.unload();
    const message = messageOf(error);
    if (this.#engine.isLoadError(error)) {
      await end(job, judge([{ verdict: "error", code: "bad-kernel", message }]));
      return;
    }
    const stack = error instanceof Error ? (error.stack ?? message) : message;
    logEvent("job.turn-failed", { job: job.record.request.id, error: stack });
    // The storage may be what failed; what counts is what it holds.
    const record = { ...job.record, inTurn: false };
    const failures = record.failures + 1;
    if (failures >= RUNNER_LIMITS.failures || error instanceof ConsoleDivergence) {
      await endAsError(
        job,
        `The worker failed ${failures === 1 ? "" : `${failures} times `}while running the guest: ${message}`,
      );
      return;
    }
    if (error instanceof DamagedCheckpoint) startOver(job, error, { ...record, failures });
    else job.save({ ...record, failures, lastError: message });
    await job.storage.setAlarm(Date.now() + RUNNER_LIMITS.failureDelayMilliseconds * 2 ** (failures - 1));
  }
}
