import { DurableObject } from "cloudflare:workers";
import type { EngineParts, HypercallStatistics, MachineFactory } from "../../engine/machine-api.ts";
import { SnapshotError } from "../../engine/snapshot-format.ts";
import { judgeConsole } from "../../jobs/judge-console.ts";
import { Monitor } from "../../jobs/monitor.ts";
import { ConsoleReporter } from "../../jobs/report/job.ts";
import type { SnapshotReference } from "../../jobs/spec.ts";
import { finalState, isFinal } from "../../jobs/states.ts";
import { judge, type Outcome, type Verdict } from "../../jobs/verdict.ts";
import { BlobSource } from "../blobs/source.ts";
import type { Env } from "../env.ts";
import { errorBody } from "../errors.ts";
import type { KernelRefusal, KernelToCheck } from "../kernel-check.ts";
import { RUNNER_LIMITS, STORAGE_LIMITS } from "../limits.ts";
import { type Settings, settingsOf } from "../settings.ts";
import { type OpenedSnapshot, startingPoint } from "../snapshots/read.ts";
import { deleteSnapshotsOf, type SnapshotView } from "../snapshots/store.ts";
import { dropCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { isCheckpointDue } from "./checkpoint-policy.ts";
import { ConsoleDivergence, ConsoleLog } from "./console-log.ts";
import { consoleResponse } from "./console-response.ts";
import { DamagedCheckpoint, DamagedConsole } from "./damaged.ts";
import { Guest } from "./guest.ts";
import { JobStore, Superseded } from "./job-store.ts";
import { type Inspect, KernelInspector } from "./kernel-inspector.ts";
import { MachineSlots } from "./machine-slots.ts";
import { Pace } from "./pace.ts";
import {
  type JobRecord,
  type JobRequest,
  type JobView,
  type Progress,
  type StartingSnapshot,
  type StorageFigures,
  viewOf,
} from "./record.ts";
import { FigureKeeper, PoolTooSmall } from "./run-figures.ts";
import { emptyTables } from "./schema.ts";
import { keepSnapshot, type MadeSnapshot, noMemory, type RefusedSnapshot, refusalOf } from "./snapshots.ts";
import { SqlPageStore } from "./sql-page-store.ts";
import { SqlSpool } from "./sql-spool.ts";

/** The machine and its compiled parts. */
export interface Engine {
  readonly factory: MachineFactory;
  readonly inspect: Inspect;
  readonly parts: EngineParts;
  /** Whether an error thrown by `create` means that the kernel or initrd is at fault. */
  isLoadError(error: unknown): boolean;
}

/** A guest in memory, and the store its pages are in. */
interface Loaded {
  readonly guest: Guest;
  readonly store: SqlPageStore;
  /** Wall time spent running the guest, up to now. */
  runMilliseconds: number;
  figures?: FigureKeeper;
}

/** What bounds a job; tests have smaller ones. */
export interface RunnerBounds {
  /** RUNNER_LIMITS.turnInstructions */
  readonly turnInstructions: number;
  /** STORAGE_LIMITS.jobBytes */
  readonly storageBytes: number;
}

/** The answer for a job that is stored but cannot be read. */
export interface Unreadable {
  /** Why. */
  readonly unreadable: string;
}

/** A snapshot that was asked for, to be made when the present slice is over. */
interface AskedSnapshot {
  readonly name: string;
  readonly resolve: (answer: SnapshotView | RefusedSnapshot) => void;
}

/** Shared by all objects of this isolate. */
const SLOTS = new MachineSlots();

function damagedResponse(reason: string): Response {
  return Response.json(errorBody("damaged", `This job cannot be answered for: ${reason}. Post it again.`), {
    status: 500,
  });
}

/** After these the guest's memory is worth looking at. */
const KEPT: ReadonlySet<Verdict> = new Set<Verdict>(["timeout", "no-output", "fail", "crash"]);

/** The job has stored more than it may. */
class StorageExceeded extends Error {
  override readonly name = "StorageExceeded";
  constructor(limit: number) {
    super(`The job's storage has outgrown its limit of ${limit / 2 ** 20} MiB; give the guest less memory.`);
  }
}

const describeReference = (reference: SnapshotReference): string =>
  "job" in reference ? `"${reference.snapshot}" of the job ${reference.job}` : reference.snapshot;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Lets the other events of this process happen. Awaiting a promise or the storage would not. A turn of the event loop takes
 * 5 us, a timer 0.5 ms; in production the clock stands still until something like a timer.
 */
function letOthersIn(moveClock: boolean): Promise<void> {
  return moveClock ? scheduler.wait(0) : new Promise((resolve) => setImmediate(resolve));
}

/**
 * Runs one job. Its alarm does a turn: it runs slices, lets other events in between them, ends with a checkpoint, and sets
 * the next alarm. All that matters is in storage, so the process may be killed at any moment: the alarm comes again, the
 * turn starts at the last checkpoint (or from the kernel, when there is none), and determinism makes the guest print the
 * same bytes once more.
 *
 * An alarm comes at least once. The same object lets a second one wait for the first; another instance of the object takes the
 * job over by a new epoch, after which this one can write nothing (JobStore). After the job's end, alarms clean up.
 */
export abstract class JobRunnerObject extends DurableObject<Env> {
  protected abstract readonly engine: Engine;
  protected readonly bounds: RunnerBounds = {
    turnInstructions: RUNNER_LIMITS.turnInstructions,
    storageBytes: STORAGE_LIMITS.jobBytes,
  };

  readonly #sql: SqlStorage;
  readonly #jobs: JobStore;
  readonly #pace = new Pace();
  readonly #followers = new Set<() => void>();
  #record: JobRecord | undefined;
  /** The epoch that #record was read or written with. */
  #epoch = 0;
  #unreadable: string | undefined;
  #console: ConsoleLog | undefined;
  #loaded: Loaded | undefined;
  #alarm: Promise<void> | undefined;
  #inspector: KernelInspector | undefined;
  #askedSnapshots: AskedSnapshot[] = [];
  /** When this object was made; undefined once its first alarm came. */
  #made: number | undefined = Date.now();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#jobs = new JobStore(this.#sql);
    this.#reread();
  }

  /** Creates the job of this object and queues it. Creating it again changes nothing. */
  async create(request: JobRequest): Promise<JobView> {
    if (this.#record === undefined) {
      this.ctx.storage.transactionSync(() => this.#jobs.create(request, Date.now()));
      this.#reread();
      await this.ctx.storage.setAlarm(Date.now());
    }
    return this.#view(this.#job());
  }

  /** Checks a kernel for POST /jobs. This object has no job, and keeps nothing. */
  inspectKernel(job: KernelToCheck): Promise<KernelRefusal | null> {
    this.#inspector ??= new KernelInspector(this.ctx.storage, this.env.BLOBS);
    return this.#inspector.inspect(job, this.engine.inspect);
  }

  /** The job; null if this object has none. */
  async status(): Promise<JobView | Unreadable | null> {
    this.#reread();
    if (this.#unreadable !== undefined) return { unreadable: this.#unreadable };
    if (this.#record === undefined) return null;
    await this.#wake(this.#record);
    return this.#view(this.#record);
  }

  /** Ends the job unless it has ended; null if this object has none. */
  async cancel(): Promise<JobView | Unreadable | null> {
    this.#reread();
    if (this.#unreadable !== undefined) return { unreadable: this.#unreadable };
    if (this.#record === undefined) return null;
    if (!isFinal(this.#record.state)) {
      // Whoever else runs it must not go on.
      if (this.#loaded === undefined) this.#epoch = this.#jobs.take(this.#record);
      await this.#end(
        judge([{ verdict: "canceled", code: "canceled", message: "The job was canceled by request." }]),
      );
    }
    return this.#view(this.#record);
  }

  /**
   * Keeps the guest as it is under a name: at the end of the present slice, or as it was at the end if the job has ended and
   * its memory is still kept. Null if this object has no job.
   */
  async snapshot(name: string): Promise<SnapshotView | RefusedSnapshot | Unreadable | null> {
    this.#reread();
    if (this.#unreadable !== undefined) return { unreadable: this.#unreadable };
    const record = this.#record;
    if (record === undefined) return null;
    if (isFinal(record.state)) return this.#keep(name).catch(refusalOf);
    await this.#wake(record);
    return new Promise((resolve) => {
      this.#askedSnapshots.push({ name, resolve });
    });
  }

  /** Hypercall statistics up to now, or up to the last checkpoint if no machine is in memory; null before the first. */
  hypercalls(): { readonly job: boolean; readonly statistics: HypercallStatistics | null } {
    const statistics = this.#loaded?.guest.machine.statistics() ?? this.#record?.statistics ?? null;
    return { job: this.#record !== undefined, statistics };
  }

  /** The console, as GET /jobs/:id/console serves it: `?offset=N`, `?follow=1`. */
  override fetch(request: Request): Response {
    const { searchParams } = new URL(request.url);
    if (this.#unreadable !== undefined) return damagedResponse(this.#unreadable);
    const log = this.#console;
    if (log === undefined) return new Response(null, { status: 404 });
    try {
      // What is damaged later breaks the answer off.
      log.read(Number(searchParams.get("offset") ?? 0), 1);
      if (this.#ended()) log.verify(this.#job().consoleBytes);
    } catch (error) {
      if (!(error instanceof DamagedConsole)) throw error;
      return damagedResponse(error.message);
    }
    return consoleResponse({
      log,
      offset: Number(searchParams.get("offset") ?? 0),
      follow: searchParams.has("follow"),
      state: () => this.#job().state,
      followers: this.#followers,
    });
  }

  override alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm ??= this.#handleAlarm(info?.retryCount ?? 0).finally(() => {
      this.#alarm = undefined;
    });
    return this.#alarm;
  }

  async #handleAlarm(retryCount: number): Promise<void> {
    const began = this.#made ?? Date.now();
    this.#made = undefined;
    this.#reread();
    if (retryCount >= RUNNER_LIMITS.alarmRetries) {
      await this.ctx.storage.setAlarm(Date.now() + RUNNER_LIMITS.alarmRenewalMilliseconds);
    }
    const record = this.#record;
    if (record === undefined) {
      if (this.#unreadable !== undefined) await this.#cleanUpUnreadable();
      return;
    }
    if (isFinal(record.state)) {
      await this.#cleanUp(record);
      return;
    }
    try {
      await this.#turn(record, began);
    } catch (error) {
      // What is in memory may be anything now; what counts is what is stored.
      this.#unload();
      this.#readStored();
      if (!(error instanceof Superseded)) throw error;
      if (this.#record !== undefined && (await this.ctx.storage.getAlarm()) === null) {
        await this.ctx.storage.setAlarm(Date.now() + RUNNER_LIMITS.machineStaleMilliseconds);
      }
    }
  }

  async #turn(record: JobRecord, began: number): Promise<void> {
    const { id } = record.request;
    const place = SLOTS.acquire(id, this, Date.now());
    if (place > 0) {
      await this.ctx.storage.setAlarm(Date.now() + place * RUNNER_LIMITS.machinePollMilliseconds);
      return;
    }
    if (this.#loaded === undefined) this.#epoch = this.#jobs.take(record);
    if (record.attempts >= RUNNER_LIMITS.attempts) {
      await this.#endAsError(`The job was begun ${record.attempts} times without getting to a checkpoint.`);
      return;
    }
    this.#save({
      ...record,
      inTurn: true,
      attempts: record.attempts + 1,
      interruptions: record.interruptions + (record.inTurn && this.#loaded === undefined ? 1 : 0),
    });
    try {
      if (record.ending !== undefined) {
        await this.#endWithSnapshots(record.ending);
        return;
      }
      const loaded = this.#loaded ?? (await this.#load(began));
      if (loaded === undefined) return;
      this.#loaded = loaded;
      const outcome = await this.#run(loaded);
      if (this.#ended()) return;
      if (outcome !== undefined) {
        this.#console?.finish();
        this.#console?.verify();
        loaded.guest.monitor.snapshots.end();
        const judged = await this.#judged(outcome);
        if (this.#ended()) return;
        if (this.#isSnapshotDue(loaded)) await this.#endWithSnapshots(judged);
        else await this.#end(judged);
        return;
      }
      this.#checkpoint(loaded);
      await this.#makeSnapshots(loaded);
      if (this.#ended()) return;
      if (SLOTS.shouldYield(id, this, Date.now())) {
        this.#unload();
        this.#save({ ...this.#job(), inTurn: false });
      }
      await this.ctx.storage.setAlarm(Date.now());
    } catch (error) {
      if (error instanceof Superseded) throw error;
      if (this.#ended()) return;
      if (error instanceof PoolTooSmall) await this.#endAsError(error.message);
      else if (error instanceof StorageExceeded) {
        await this.#end(judge([{ verdict: "error", code: "storage", message: error.message }]));
      } else await this.#failed(error);
    }
  }

  /** Runs slices until it is time for a checkpoint; an outcome if the run is over. */
  async #run(loaded: Loaded): Promise<Outcome | undefined> {
    const { guest } = loaded;
    const figures = this.#figuresOf(loaded);
    const log = this.#console!;
    const until = guest.machine.instructions + this.bounds.turnInstructions;
    const runBefore = loaded.runMilliseconds;
    let counted = Date.now();
    for (let slices = 1; guest.machine.instructions < until && !this.#isSnapshotDue(loaded); slices++) {
      const began = Date.now();
      const from = guest.machine.instructions;
      const pace = this.#settings.sliceInstructions ?? this.#pace.instructions;
      const { output, outcome } = guest.slice(Math.min(pace, figures.untilHash));
      for (const bytes of output) log.append(bytes);
      if (output.length > 0) this.#wakeFollowers();
      this.#pace.took(guest.machine.instructions - from, Date.now() - began);
      figures.moment(outcome !== undefined);
      const isTimer = slices % RUNNER_LIMITS.slicesPerTimer === 0;
      await letOthersIn(isTimer);
      // From here to the next wait nobody can take the job over.
      if (this.#ended()) return undefined;
      this.#jobs.check(this.#epoch);
      const now = Date.now();
      loaded.runMilliseconds += now - counted;
      counted = now;
      if (outcome !== undefined) return outcome;
      if (isTimer && this.#isTurnOver(loaded, loaded.runMilliseconds - runBefore)) return undefined;
    }
    return undefined;
  }

  #isSnapshotDue({ guest }: Loaded): boolean {
    return this.#askedSnapshots.length > 0 || guest.monitor.snapshots.due.length > 0;
  }

  /** Makes what snapshots are due or were asked for, from the checkpoint that was just written. */
  async #makeSnapshots({ guest }: Loaded): Promise<void> {
    for (const name of guest.monitor.snapshots.due) {
      await this.#makeOwnSnapshot(name);
      if (this.#ended()) return;
      guest.monitor.snapshots.settle(name);
    }
    for (
      let asked = this.#askedSnapshots.shift();
      asked !== undefined;
      asked = this.#askedSnapshots.shift()
    ) {
      asked.resolve(await this.#keep(asked.name).catch(refusalOf));
      if (this.#ended()) return;
    }
  }

  /** A snapshot that the job's config asks for. That there is no room for it is told; any other failure is tried again. */
  async #makeOwnSnapshot(name: string): Promise<void> {
    let made: MadeSnapshot;
    try {
      const { bytes, instructions } = await this.#keep(name);
      made = { name, instructions, bytes };
    } catch (error) {
      if (this.#ended()) return;
      const { refused } = refusalOf(error);
      // A verdict that is known is not given up for a snapshot.
      const mayTryAgain = refused.status !== 409 && this.#job().ending === undefined;
      if (mayTryAgain || error instanceof Superseded) throw error;
      made = { name, error: refused.message };
    }
    if (this.#ended()) return;
    const record = this.#job();
    const others = (record.snapshots ?? []).filter((other) => other.name !== name);
    this.#save({ ...record, snapshots: [...others, made] });
  }

  /** Keeps the last checkpoint as a snapshot. Throws if the job ends meanwhile, or another instance takes it over. */
  #keep(name: string): Promise<SnapshotView> {
    const record = this.#job();
    const epoch = this.#epoch;
    return keepSnapshot(this.env.BLOBS, this.#sql, record, name, async () => {
      await letOthersIn(false);
      // A large guest takes longer than a slot lasts that nothing is heard of.
      SLOTS.shouldYield(record.request.id, this, Date.now());
      if (this.#record?.state !== record.state) throw noMemory(this.#record?.state ?? "gone");
      this.#jobs.check(epoch);
    });
  }

  /**
   * The run is over, and snapshots of its end are to be made. The outcome is stored with the checkpoint they are made from, so
   * that after a crash the job ends with it and does not run on.
   */
  async #endWithSnapshots(outcome: Outcome): Promise<void> {
    const loaded = this.#loaded;
    if (loaded === undefined) {
      const stored = loadCheckpoint(this.#sql);
      const { config } = this.#job().request;
      const due = stored === undefined ? [] : new Monitor(config, stored.monitor).snapshots.due;
      for (const name of due) await this.#makeOwnSnapshot(name);
    } else {
      this.ctx.storage.transactionSync(() =>
        this.#save({ ...this.#writeCheckpoint(loaded), ending: outcome }),
      );
      await this.#makeSnapshots(loaded);
    }
    if (!this.#ended()) await this.#end(outcome);
  }

  /** Whether a checkpoint is due, or others have waited for this machine long enough. */
  #isTurnOver({ guest, runMilliseconds }: Loaded, millisecondsSince: number): boolean {
    const { request, checkpoints, interruptions } = this.#job();
    if (SLOTS.shouldYield(request.id, this, Date.now())) return true;
    this.#checkStorage();
    const { pagesWritten, milliseconds } = checkpoints;
    const { dirtyPages } = guest.machine;
    const circumstances = { millisecondsSince, dirtyPages, pagesWritten, milliseconds };
    return isCheckpointDue({ ...circumstances, runMilliseconds, interruptions });
  }

  /** Gets the guest into memory: from the last checkpoint, or from its kernel. Undefined if the job ended meanwhile. */
  async #load(began: number): Promise<Loaded | undefined> {
    const { engine } = this;
    const record = this.#job();
    const fence = (): void => {
      if (this.#ended()) throw new Superseded();
      this.#jobs.check(this.#epoch);
    };
    const store = new SqlPageStore(this.#sql, fence);
    store.rewind();
    const log = this.#console!;
    log.reopen();
    const resumed = this.#resume(record, store, log);
    if (resumed !== undefined) {
      this.#resumedAfter(Date.now() - began);
      return { guest: resumed, store, runMilliseconds: record.runMilliseconds };
    }

    if (record.request.from !== undefined) return this.#fork(record.request.from, store, began);
    const begunBefore = record.startedAt !== undefined;
    this.#save({
      ...this.#job(),
      state: "building",
      startedAt: record.startedAt ?? Date.now(),
      restarts: record.restarts + (begunBefore ? 1 : 0),
    });
    const { config, kernel, initrd } = record.request;
    store.clear();
    const spool = new SqlSpool(this.#sql, fence);
    const machine = await engine.factory
      .create(
        this.#parts,
        {
          kernel: new BlobSource(this.env.BLOBS, kernel, "kernel"),
          ...(initrd === undefined ? {} : { initrd: new BlobSource(this.env.BLOBS, initrd, "initrd") }),
          cmdline: config.cmdline,
          memoryMiB: config.memory,
          seed: BigInt(config.seed),
          startTime: config.startTime,
        },
        store,
        spool,
      )
      .finally(() => spool.clear());
    if (this.#ended()) {
      // Canceled while it was built.
      store.clear();
      return undefined;
    }
    this.#jobs.check(this.#epoch);
    log.seek(0);
    this.#save({ ...this.#job(), state: "running" });
    const guest = this.#starting(new Guest(machine, new Monitor(config)), began);
    return { guest, store, runMilliseconds: 0 };
  }

  /** The guest of the snapshot that the job starts from. Undefined if the job ended meanwhile. */
  async #fork(from: StartingSnapshot, store: SqlPageStore, began: number): Promise<Loaded | undefined> {
    store.clear();
    let opened: OpenedSnapshot | undefined;
    try {
      opened = await startingPoint(this.env.BLOBS, from.snapshot, this.#sql);
    } catch (error) {
      if (!(error instanceof SnapshotError) || this.#ended()) throw error;
      await this.#endAsError(
        `The snapshot ${describeReference(from.snapshot)} that the job starts from cannot be used: ${error.message}.`,
      );
    }
    if (this.#ended()) return undefined;
    this.#jobs.check(this.#epoch);
    const record = this.#job();
    if (opened === undefined) {
      await this.#endAsError(
        `The snapshot ${describeReference(from.snapshot)} that the job starts from was removed before it had started.`,
      );
      return undefined;
    }
    const { header, state, base } = opened;
    store.startFrom(base);
    const machine = this.engine.factory.restore(this.#parts, state, store);
    const clock = { instructions: machine.instructions, guestNanoseconds: machine.guestNanoseconds };
    if (clock.instructions !== from.instructions || clock.guestNanoseconds !== from.guestNanoseconds) {
      throw new DamagedCheckpoint("the snapshot's machine is not where its header says");
    }
    this.#console?.seek(0);
    this.#save({
      ...record,
      state: "running",
      startedAt: record.startedAt ?? Date.now(),
      restarts: record.restarts + (record.startedAt === undefined ? 0 : 1),
      ...clock,
    });
    const monitor = new Monitor(record.request.config, undefined, { clock, line: header.line });
    return { guest: this.#starting(new Guest(machine, monitor), began), store, runMilliseconds: 0 };
  }

  /** Notes when the guest's first instruction was executed; stored with the next checkpoint. */
  #starting(guest: Guest, began: number): Guest {
    guest.onFirstInstruction = () => {
      const at = Date.now();
      const record = this.#job();
      this.#record = { ...record, firstInstruction: { at, milliseconds: at - began } };
    };
    return guest;
  }

  /** The guest of the last checkpoint; undefined if there is none, or none that can be read. */
  #resume(record: JobRecord, store: SqlPageStore, log: ConsoleLog): Guest | undefined {
    try {
      log.verify(record.consoleBytes);
      const stored = loadCheckpoint(this.#sql);
      if (stored === undefined) return undefined;
      if (store.manifest() !== stored.manifest) {
        throw new DamagedCheckpoint("the stored pages are not those of the checkpoint");
      }
      const machine = this.engine.factory.restore(this.#parts, stored.machine, store);
      log.seek(stored.monitor.bytes);
      this.#save({ ...this.#job(), state: "running", resumes: record.resumes + 1 });
      return new Guest(machine, new Monitor(record.request.config, stored.monitor));
    } catch (error) {
      if (error instanceof Superseded) throw error;
      // Nothing is lost by starting over but time: the run will be the same.
      console.warn(`job ${record.request.id}: checkpoint refused, starting over: ${messageOf(error)}`);
      this.#startOver(error, this.#job());
      return undefined;
    }
  }

  /** The checkpoint cannot be used: each further try would meet the same. */
  #startOver(error: unknown, record: JobRecord): void {
    // Followers wait where they are: the guest will print the same again.
    if (error instanceof DamagedConsole) this.#console?.truncate(error.offset);
    dropCheckpoint(this.#sql);
    this.#save({
      ...record,
      consoleBytes: this.#console?.length ?? 0,
      lastError: `Checkpoint refused, started over: ${messageOf(error)}`,
    });
  }

  /** Noted here, stored with the next checkpoint. */
  #resumedAfter(milliseconds: number): void {
    const record = this.#job();
    const most = Math.max(milliseconds, record.resumeMilliseconds?.most ?? 0);
    this.#record = { ...record, resumeMilliseconds: { last: milliseconds, most } };
  }

  /** Pages, processor, devices, monitor and progress become the new checkpoint together, or not at all. */
  #checkpoint(loaded: Loaded): void {
    this.ctx.storage.transactionSync(() => this.#save(this.#writeCheckpoint(loaded)));
    this.#checkStorage();
  }

  /** All of a checkpoint but the record, which is returned. Only inside a transaction. */
  #writeCheckpoint(loaded: Loaded): JobRecord {
    const { guest, store } = loaded;
    const began = Date.now();
    const bytesBefore = store.bytesWritten;
    store.begin();
    const { state, pagesWritten: pages } = guest.machine.checkpoint();
    store.commit();
    saveCheckpoint(this.#sql, state, guest.monitor, store.manifest());
    const record = this.#job();
    const figures = record.checkpoints;
    const bytes = store.bytesWritten - bytesBefore + state.length;
    const milliseconds = Date.now() - began;
    return {
      ...record,
      ...this.#progress(loaded),
      statistics: guest.machine.statistics(),
      consoleBytes: this.#console?.length ?? 0,
      storageMost: Math.max(record.storageMost, this.#sql.databaseSize),
      attempts: 0,
      failures: 0,
      checkpoints: {
        count: figures.count + 1,
        instructions: guest.machine.instructions,
        pagesWritten: figures.pagesWritten + pages,
        bytesWritten: figures.bytesWritten + bytes,
        stateBytes: figures.stateBytes + state.length,
        milliseconds: figures.milliseconds + milliseconds,
        last: { pages, bytes, milliseconds },
      },
    };
  }

  /** @throws StorageExceeded */
  #checkStorage(): void {
    if (this.#sql.databaseSize > this.bounds.storageBytes)
      throw new StorageExceeded(this.bounds.storageBytes);
  }

  /** A turn threw: try again from the last checkpoint, a few times. */
  async #failed(error: unknown): Promise<void> {
    this.#unload();
    const message = messageOf(error);
    if (this.engine.isLoadError(error)) {
      await this.#end(judge([{ verdict: "error", code: "bad-kernel", message }]));
      return;
    }
    console.error(`job ${this.#job().request.id}: ${error instanceof Error ? error.stack : message}`);
    // The storage may be what failed; what counts is what it holds.
    const record = { ...this.#job(), inTurn: false };
    const failures = record.failures + 1;
    if (failures >= RUNNER_LIMITS.failures || error instanceof ConsoleDivergence) {
      await this.#endAsError(
        `The worker failed ${failures === 1 ? "" : `${failures} times `}while running the guest: ${message}`,
      );
      return;
    }
    if (error instanceof DamagedCheckpoint) this.#startOver(error, { ...record, failures });
    else this.#save({ ...record, failures, lastError: message });
    await this.ctx.storage.setAlarm(
      Date.now() + RUNNER_LIMITS.failureDelayMilliseconds * 2 ** (failures - 1),
    );
  }

  #endAsError(message: string): Promise<void> {
    return this.#end(judge([{ verdict: "error", code: "infrastructure", message }]));
  }

  /** The run's outcome, given what its whole console says besides. */
  async #judged(outcome: Outcome): Promise<Outcome> {
    const log = this.#console;
    if (log === undefined) return outcome;
    const reporter = new ConsoleReporter();
    for (let at = 0; at < log.length && !this.#ended(); ) {
      const piece = log.read(at);
      reporter.output(piece);
      at += piece.length;
      // A long console takes seconds.
      await letOthersIn(false);
    }
    return judgeConsole(outcome, reporter.end(), this.#job().request.config.expect.pass);
  }

  /** The job is over: its outcome and statistics stay. So does its memory for a while if the guest failed, else it goes. */
  async #end(outcome: Outcome): Promise<void> {
    const loaded = this.#loaded;
    const endedAt = Date.now();
    const keep =
      loaded !== undefined && KEPT.has(outcome.verdict) ? this.#settings.keepFailedMilliseconds : 0;
    const storageMost = Math.max(this.#job().storageMost, this.#sql.databaseSize);
    this.ctx.storage.transactionSync(() => {
      let record = this.#job();
      if (loaded !== undefined && keep > 0) record = this.#writeCheckpoint(loaded);
      else {
        if (loaded !== undefined) {
          record = { ...record, ...this.#progress(loaded), statistics: loaded.guest.machine.statistics() };
        }
        this.#dropPages();
      }
      this.#save({
        ...record,
        inTurn: false,
        consoleBytes: this.#console?.length ?? 0,
        storageMost: Math.max(record.storageMost, storageMost),
        state: finalState(outcome.verdict),
        outcome,
        endedAt,
        ...(keep > 0 ? { keptUntil: endedAt + keep } : {}),
      });
    });
    this.#unload();
    // Also if it is an instance that is gone, or about to notice, that has it.
    SLOTS.release(this.#job().request.id);
    this.#wakeFollowers();
    for (const { resolve } of this.#askedSnapshots.splice(0)) {
      resolve(refusalOf(noMemory(this.#job().state)));
    }
    await this.ctx.storage.setAlarm(this.#nextCleanUp(this.#job()));
  }

  #nextCleanUp({ keptUntil, endedAt = 0 }: JobRecord): number {
    return keptUntil ?? endedAt + RUNNER_LIMITS.keepResultMilliseconds;
  }

  /** After the end: pages go when their time has come, and at last everything does. */
  async #cleanUp(record: JobRecord): Promise<void> {
    const now = Date.now();
    if (now >= (record.endedAt ?? 0) + RUNNER_LIMITS.keepResultMilliseconds) {
      await deleteSnapshotsOf(this.env.BLOBS, record.request.id);
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      this.#readStored();
      return;
    }
    if (record.keptUntil !== undefined && now >= record.keptUntil) {
      this.ctx.storage.transactionSync(() => {
        const { keptUntil: _, ...rest } = record;
        this.#dropPages();
        this.#save(rest);
      });
    }
    await this.ctx.storage.setAlarm(this.#nextCleanUp(this.#job()));
  }

  /** What cannot be read is of no use to anybody; that there was a job is still told for a while. */
  async #cleanUpUnreadable(): Promise<void> {
    const rows = this.#sql.exec("SELECT id FROM job").toArray();
    if (rows.length === 0) {
      await this.ctx.storage.deleteAll();
      this.#readStored();
      return;
    }
    emptyTables(this.#sql);
    SLOTS.release(this.ctx.id.name ?? "");
    await this.ctx.storage.setAlarm(Date.now() + RUNNER_LIMITS.keepResultMilliseconds);
  }

  #dropPages(): void {
    new SqlPageStore(this.#sql).clear();
    // There if the process was killed while the domain was built.
    new SqlSpool(this.#sql).clear();
    dropCheckpoint(this.#sql);
  }

  #unload(): void {
    this.#loaded = undefined;
    if (this.#record !== undefined) SLOTS.release(this.#record.request.id, this);
  }

  #progress(loaded: Loaded): Progress {
    const { machine, monitor } = loaded.guest;
    return {
      instructions: machine.instructions,
      guestNanoseconds: machine.guestNanoseconds,
      runMilliseconds: loaded.runMilliseconds,
      input: monitor.input.typed,
      milestones: monitor.milestones.times,
      figures: this.#figuresOf(loaded).figures,
    };
  }

  /** The figures of the machine that was loaded, which go on from those of the checkpoint it came from. */
  #figuresOf(loaded: Loaded): FigureKeeper {
    const { request, figures } = this.#job();
    loaded.figures ??= new FigureKeeper(
      loaded.guest.machine,
      request.config.stateHashEvery ?? null,
      figures ?? {},
    );
    return loaded.figures;
  }

  get #settings(): Settings {
    return settingsOf(this.env);
  }

  get #parts(): EngineParts {
    const { core, emu64 } = this.engine.parts;
    return { core, emu64, poolPages: this.#settings.poolPages };
  }

  #job(): JobRecord {
    if (this.#record === undefined) throw new Error("this object has no job");
    return this.#record;
  }

  #ended(): boolean {
    return isFinal(this.#job().state);
  }

  /** @throws Superseded */
  #save(record: JobRecord): void {
    this.#jobs.save(record, this.#epoch);
    this.#record = record;
  }

  /** Looks at what is stored, unless this object runs the job and knows better. */
  #reread(): void {
    if (this.#loaded === undefined && this.#alarm === undefined) this.#readStored();
  }

  #readStored(): void {
    const stored = this.#jobs.read();
    this.#record = stored.kind === "job" ? stored.record : undefined;
    this.#unreadable = stored.kind === "unreadable" ? stored.reason : undefined;
    if (stored.kind !== "job") {
      this.#console = undefined;
      return;
    }
    this.#epoch = stored.epoch;
    this.#console ??= new ConsoleLog(this.#sql);
    this.#console.reopen();
    if (stored.damaged) {
      // Whatever the job had come to, running it again comes to the same.
      this.#epoch = this.#jobs.take(stored.record);
      this.#dropPages();
      this.#save({ ...stored.record, restarts: 1, lastError: "The job's record was damaged; started over." });
    }
  }

  /** A job that has not ended has an alarm, unless the platform has given it up: then it gets one again. */
  async #wake(record: JobRecord): Promise<void> {
    if (isFinal(record.state) || this.#alarm !== undefined) return;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now());
  }

  #view(record: JobRecord): JobView {
    const progress = this.#loaded === undefined ? record : this.#progress(this.#loaded);
    const bytes = this.#sql.databaseSize;
    const most = Math.max(bytes, record.storageMost);
    const storage: StorageFigures = { bytes, most, limit: this.bounds.storageBytes };
    return viewOf(record, this.#console?.length ?? 0, Date.now(), storage, progress);
  }

  #wakeFollowers(): void {
    const followers = [...this.#followers];
    this.#followers.clear();
    for (const wake of followers) wake();
  }
}
