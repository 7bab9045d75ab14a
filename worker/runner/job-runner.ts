import { DurableObject } from "cloudflare:workers";
import { PROFILE_LIMITS } from "../../engine/limits.ts";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { FoldedProfile } from "../../engine/profile/fold.ts";
import { Profile } from "../../engine/profile/profile.ts";
import { isFinal } from "../../jobs/states.ts";
import { judge } from "../../jobs/verdict.ts";
import type { Owned } from "../auth/principal.ts";
import type { Blob } from "../blobs/store.ts";
import type { Env } from "../env.ts";
import { errorBody } from "../errors.ts";
import type { JobEvent } from "../events/event.ts";
import type { KernelFacts, KernelRefusal, KernelToCheck } from "../kernel-check.ts";
import { RUNNER_LIMITS, STORAGE_LIMITS } from "../limits.ts";
import { setLog } from "../log.ts";
import type { SnapshotView } from "../snapshots/store.ts";
import { consoleResponse } from "./console-response.ts";
import { DamagedCheckpoint, DamagedConsole } from "./damaged.ts";
import { Deliveries } from "./deliveries.ts";
import { cleanUp, cleanUpUnreadable, end } from "./ending.ts";
import type { Engine } from "./engine.ts";
import { JobState } from "./job-state.ts";
import { Superseded } from "./job-store.ts";
import { KernelInspector } from "./kernel-inspector.ts";
import { loadNamed, loadProfile, saveNamed } from "./profile-store.ts";
import {
  type JobRecord,
  type JobRequest,
  type JobView,
  type StorageFigures,
  viewOf,
  visibilityOf,
} from "./record.ts";
import { type RefusedSnapshot, refusalOf } from "./snapshots.ts";
import { keepCheckpoint } from "./snapshots-due.ts";
import { type RunnerBounds, Turns } from "./turn.ts";

/** The answer for a job that is stored but cannot be read. */
export interface Unreadable {
  /** Why. */
  readonly unreadable: string;
}

function damagedResponse(reason: string): Response {
  return Response.json(errorBody("damaged", `This job cannot be answered for: ${reason}. Post it again.`), {
    status: 500,
  });
}

/**
 * Runs one job, and answers for it. Its alarm does a turn: it runs slices, lets other events in between them, ends with a
 * checkpoint, and sets the next alarm. All that matters is in storage, so the process may be killed at any moment: the alarm
 * comes again, the turn starts at the last checkpoint (or from the kernel, when there is none), and determinism makes the guest
 * print the same bytes once more.
 *
 * An alarm comes at least once. The same object lets a second one wait for the first; another instance of the object takes the
 * job over by a new epoch, after which this one can write nothing (JobState). After the job's end, alarms clean up.
 *
 * What is done is elsewhere: load-guest.ts gets the guest into memory, turn.ts runs it, snapshots-due.ts makes its snapshots,
 * ending.ts ends the job and cleans up.
 */
export abstract class JobRunnerObject extends DurableObject<Env> {
  protected abstract readonly engine: Engine;
  protected readonly bounds: RunnerBounds = {
    turnInstructions: RUNNER_LIMITS.turnInstructions,
    storageBytes: STORAGE_LIMITS.jobBytes,
  };

  readonly #job: JobState;
  readonly #deliveries: Deliveries;
  #turns: Turns | undefined;
  /** The turn or clean-up under way. */
  #alarm: Promise<void> | undefined;
  #inspector: KernelInspector | undefined;
  /** When this object was made; undefined once its first alarm came. */
  #made: number | undefined = Date.now();

  /** @param storage the object's own, or in tests something around it */
  constructor(ctx: DurableObjectState, env: Env, storage: DurableObjectStorage = ctx.storage) {
    super(ctx, env);
    setLog(env);
    this.#job = new JobState(storage, env);
    this.#deliveries = new Deliveries(this.#job, env);
    // In the middle of a turn: others need not wait for its end to hear that the guest runs.
    this.#job.onEvent = () => {
      if (!this.#job.ended) queueMicrotask(() => void this.#deliveries.deliver());
    };
  }

  /** Creates the job of this object and queues it. Creating it again changes nothing. */
  async create(request: JobRequest): Promise<JobView> {
    const job = this.#job;
    if (job.found === undefined) {
      job.create(request);
      this.#reread();
      await job.storage.setAlarm(Date.now());
      await this.#deliveries.deliver();
    }
    return this.#view(job.record);
  }

  /** Checks a kernel for POST /jobs. This object has no job, and keeps nothing. */
  inspectKernel(job: KernelToCheck): Promise<KernelRefusal | KernelFacts> {
    return this.#kernels().inspect(job, this.engine.inspect);
  }

  #kernels(): KernelInspector {
    this.#inspector ??= new KernelInspector(this.#job.storage, this.env.BLOBS);
    return this.#inspector;
  }

  /** The job; null if this object has none. */
  async status(): Promise<JobView | Unreadable | null> {
    this.#reread();
    const job = this.#job;
    if (job.unreadable !== undefined) return { unreadable: job.unreadable };
    if (job.found === undefined) return null;
    await this.#wake(job.found);
    return this.#view(job.record);
  }

  /**
   * The job's present state, as an event that others had already: for whoever lost what it made of it. Null if this object has no
   * job.
   */
  async lastEvent(): Promise<JobEvent | Unreadable | null> {
    this.#reread();
    const job = this.#job;
    if (job.unreadable !== undefined) return { unreadable: job.unreadable };
    if (job.found === undefined) return null;
    await this.#wake(job.found);
    return job.lastEvent() ?? null;
  }

  /** Whose job this is, and who else may read it; null if there is none that can be read. */
  access(): Owned | null {
    const request = this.#job.found?.request;
    return request === undefined ? null : { owner: request.owner, visibility: visibilityOf(request) };
  }

  /** Ends the job unless it has ended; null if this object has none. */
  async cancel(): Promise<JobView | Unreadable | null> {
    this.#reread();
    const job = this.#job;
    if (job.unreadable !== undefined) return { unreadable: job.unreadable };
    if (job.found === undefined) return null;
    if (!job.ended) {
      // Whoever else runs it must not go on.
      if (job.loaded === undefined) job.take();
      await end(
        job,
        judge([{ verdict: "canceled", code: "canceled", message: "The job was canceled by request." }]),
      );
      await this.#deliveries.deliver();
    }
    return this.#view(job.record);
  }

  /**
   * Keeps the guest as it is under a name: at the end of the present slice, or as it was at the end if the job has ended and
   * its memory is still kept. Null if this object has no job.
   */
  async snapshot(name: string): Promise<SnapshotView | RefusedSnapshot | Unreadable | null> {
    this.#reread();
    const job = this.#job;
    if (job.unreadable !== undefined) return { unreadable: job.unreadable };
    if (job.found === undefined) return null;
    if (job.ended) return keepCheckpoint(job, name).catch(refusalOf);
    await this.#wake(job.found);
    return new Promise((resolve) => {
      job.askedSnapshots.push({ name, resolve });
    });
  }

  /**
   * Hypercall statistics up to now, or up to the last checkpoint if no machine is in memory; null before the first. Null in all if
   * this object has no job.
   */
  hypercalls(): { readonly statistics: HypercallStatistics | null } | Unreadable | null {
    const { loaded, found, unreadable } = this.#job;
    if (unreadable !== undefined) return { unreadable };
    if (found === undefined) return null;
    return { statistics: loaded?.guest.machine.statistics() ?? found.statistics ?? null };
  }

  /**
   * Where the run's instructions went, up to now, or up to the last checkpoint if no machine is in memory. Null if this object has no
   * job. The kernel is read again for its symbols: a second or two, once after the job's end, each time before.
   */
  async profile(): Promise<FoldedProfile | Unreadable | null> {
    this.#reread();
    const job = this.#job;
    if (job.unreadable !== undefined) return { unreadable: job.unreadable };
    if (job.found === undefined) return null;
    // As of now: while the kernel is read the job may end, and what was sampled until now is not all then.
    const isWhole = job.ended;
    const known = isWhole ? loadNamed(job.sql) : undefined;
    if (known !== undefined) return known;
    let profile: Profile;
    try {
      profile = job.loaded?.guest.profile ?? loadProfile(job.sql) ?? new Profile(PROFILE_LIMITS.interval, 0);
    } catch (error) {
      if (error instanceof DamagedCheckpoint) return { unreadable: error.message };
      throw error;
    }
    const { kernel } = job.record.request;
    const inspector = this.env.JOB_RUNNER.getByName(`kernel ${kernel.sha256}`);
    // A copy: what a call of another object returns has a disposer, and with it this answer's reader would have to dispose of that.
    const named: FoldedProfile = structuredClone(await inspector.nameProfile(profile.save(), kernel));
    // Nothing is kept where nothing is left of the job.
    if (isWhole && job.found !== undefined) saveNamed(job.sql, named);
    return named;
  }

  /** Names the functions of a profile. As `inspectKernel`, for an object that has no job. */
  nameProfile(profile: Uint8Array, kernel: Blob): Promise<FoldedProfile> {
    return this.#kernels().name(Profile.load(profile), kernel);
  }

  /** The console, as GET /jobs/:id/console serves it: `?offset=N`, `?follow=1`. */
  override fetch(request: Request): Response {
    const { searchParams } = new URL(request.url);
    const job = this.#job;
    if (job.unreadable !== undefined) return damagedResponse(job.unreadable);
    if (job.found === undefined) return new Response(null, { status: 404 });
    const log = job.console;
    const offset = Number(searchParams.get("offset") ?? 0);
    try {
      // What is damaged later breaks the answer off.
      log.read(offset, 1);
      if (job.ended) log.verify(job.record.consoleBytes);
    } catch (error) {
      if (!(error instanceof DamagedConsole)) throw error;
      return damagedResponse(error.message);
    }
    return consoleResponse({
      log,
      offset,
      follow: searchParams.has("follow"),
      state: () => job.record.state,
      followers: job.followers,
    });
  }

  /** At least once for each time that it is due: whoever calls while one is under way waits for that one. */
  override alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm ??= this.#handleAlarm(info?.retryCount ?? 0)
      .finally(() => this.#deliveries.deliver())
      .finally(() => {
        this.#alarm = undefined;
      });
    return this.#alarm;
  }

  async #handleAlarm(retryCount: number): Promise<void> {
    const job = this.#job;
    const began = this.#made ?? Date.now();
    this.#made = undefined;
    this.#reread();
    if (retryCount >= RUNNER_LIMITS.alarmRetries) {
      await job.storage.setAlarm(Date.now() + RUNNER_LIMITS.alarmRenewalMilliseconds);
    }
    if (job.found === undefined) {
      if (job.unreadable === undefined) await this.#kernels().cleanUp();
      else await cleanUpUnreadable(job, this.ctx.id.name ?? "");
      return;
    }
    if (job.ended) {
      await cleanUp(job);
      return;
    }
    // Not in the constructor: engine and bounds are the subclass's.
    this.#turns ??= new Turns(job, this.engine, this.bounds);
    try {
      await this.#turns.turn(began);
    } catch (error) {
      // What is in memory may be anything now; what counts is what is stored.
      job.unload();
      job.readStored();
      if (!(error instanceof Superseded)) throw error;
      // The other instance does not know of them.
      for (const { resolve } of job.askedSnapshots.splice(0)) resolve(refusalOf(error));
      if (job.found !== undefined && (await job.storage.getAlarm()) === null) {
        await job.storage.setAlarm(Date.now() + RUNNER_LIMITS.machineStaleMilliseconds);
      }
    }
  }

  /** Looks at what is stored, unless this object runs the job and knows better. */
  #reread(): void {
    if (this.#job.loaded === undefined && this.#alarm === undefined) this.#job.readStored();
  }

  /** A job that has not ended has an alarm, unless the platform has given it up: then it gets one again. */
  async #wake(record: JobRecord): Promise<void> {
    if (isFinal(record.state) || this.#alarm !== undefined) return;
    const { storage } = this.#job;
    if ((await storage.getAlarm()) === null) await storage.setAlarm(Date.now());
  }

  #view(record: JobRecord): JobView {
    const job = this.#job;
    const bytes = job.sql.databaseSize;
    const most = Math.max(bytes, record.storageMost);
    const storage: StorageFigures = { bytes, most, limit: this.bounds.storageBytes };
    return viewOf(record, job.console.length, Date.now(), storage, job.loaded?.progress ?? record);
  }
}
