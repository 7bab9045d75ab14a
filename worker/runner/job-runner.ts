import { DurableObject } from "cloudflare:workers";
import type { EngineParts, HypercallStatistics, MachineFactory } from "../../engine/machine-api.ts";
import { Monitor } from "../../jobs/monitor.ts";
import { finalState, isFinal } from "../../jobs/states.ts";
import { judge, type Outcome } from "../../jobs/verdict.ts";
import { readBlob } from "../blobs/store.ts";
import type { Env } from "../env.ts";
import { RUNNER_LIMITS } from "../limits.ts";
import { dropCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { ConsoleDivergence, ConsoleLog } from "./console-log.ts";
import { consoleResponse } from "./console-response.ts";
import { DamagedCheckpoint } from "./damaged.ts";
import { Guest } from "./guest.ts";
import { MachineSlots } from "./machine-slots.ts";
import { Pace } from "./pace.ts";
import { type JobRecord, type JobRequest, type JobView, newRecord, type Progress, viewOf } from "./record.ts";
import { createTables, tablesExist } from "./schema.ts";
import { SqlPageStore } from "./sql-page-store.ts";

/** The machine and its compiled parts. */
export interface Engine {
  readonly factory: MachineFactory;
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
}

/** Shared by all objects of this isolate. */
const SLOTS = new MachineSlots();

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
 */
export abstract class JobRunnerObject extends DurableObject<Env> {
  protected abstract readonly engine: Engine;

  readonly #sql: SqlStorage;
  readonly #pace = new Pace();
  readonly #followers = new Set<() => void>();
  #record: JobRecord | undefined;
  #console: ConsoleLog | undefined;
  #loaded: Loaded | undefined;
  #inTurn = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    if (!tablesExist(this.#sql)) return;
    const [row] = this.#sql.exec<{ record: string }>("SELECT record FROM job").toArray();
    if (row === undefined) return;
    this.#record = JSON.parse(row.record) as JobRecord;
    this.#console = new ConsoleLog(this.#sql);
  }

  /** Creates the job of this object and queues it. Creating it again changes nothing. */
  async create(request: JobRequest): Promise<JobView> {
    if (this.#record === undefined) {
      createTables(this.#sql);
      this.#console = new ConsoleLog(this.#sql);
      this.#save(newRecord(request, Date.now()));
      await this.ctx.storage.setAlarm(Date.now());
    }
    return this.#view(this.#job());
  }

  /** The job; null if this object has none. */
  status(): JobView | null {
    return this.#record === undefined ? null : this.#view(this.#record);
  }

  /** Ends the job unless it has ended; null if this object has none. */
  cancel(): JobView | null {
    if (this.#record === undefined) return null;
    if (!isFinal(this.#record.state)) {
      this.#end(
        judge([{ verdict: "canceled", code: "canceled", message: "The job was canceled by request." }]),
      );
    }
    return this.#view(this.#record);
  }

  /** Hypercall statistics up to now, or up to the last checkpoint if no machine is in memory; null before the first. */
  hypercalls(): { readonly job: boolean; readonly statistics: HypercallStatistics | null } {
    const statistics = this.#loaded?.guest.machine.statistics() ?? this.#record?.statistics ?? null;
    return { job: this.#record !== undefined, statistics };
  }

  /** The console, as GET /jobs/:id/console serves it: `?offset=N`, `?follow=1`. */
  override fetch(request: Request): Response {
    const { searchParams } = new URL(request.url);
    const log = this.#console;
    if (log === undefined) return new Response(null, { status: 404 });
    return consoleResponse({
      log,
      offset: Number(searchParams.get("offset") ?? 0),
      follow: searchParams.has("follow"),
      state: () => this.#job().state,
      followers: this.#followers,
    });
  }

  override async alarm(): Promise<void> {
    const record = this.#record;
    // An alarm comes at least once: it may find the job ended, or a turn under way.
    if (record === undefined || isFinal(record.state) || this.#inTurn) return;
    this.#inTurn = true;
    try {
      await this.#turn(record);
    } finally {
      this.#inTurn = false;
    }
  }

  async #turn(record: JobRecord): Promise<void> {
    const { id } = record.request;
    const place = SLOTS.acquire(id, Date.now());
    if (place > 0) {
      await this.ctx.storage.setAlarm(Date.now() + place * RUNNER_LIMITS.machinePollMilliseconds);
      return;
    }
    if (record.attempts >= RUNNER_LIMITS.attempts) {
      this.#endAsError(`The job was begun ${record.attempts} times without getting to a checkpoint.`);
      return;
    }
    this.#save({ ...record, attempts: record.attempts + 1 });
    try {
      const loaded = this.#loaded ?? (await this.#load());
      if (loaded === undefined) return;
      this.#loaded = loaded;
      const outcome = await this.#run(loaded);
      if (this.#ended()) return;
      if (outcome !== undefined) {
        this.#end(outcome);
        return;
      }
      this.#checkpoint(loaded);
      if (SLOTS.shouldYield(id, Date.now())) this.#unload();
      await this.ctx.storage.setAlarm(Date.now());
    } catch (error) {
      if (this.#ended()) return;
      await this.#failed(error);
    }
  }

  /** Runs slices until the turn's instructions are used up; an outcome if the run is over. */
  async #run(loaded: Loaded): Promise<Outcome | undefined> {
    const { guest } = loaded;
    const log = this.#console!;
    const until = guest.machine.instructions + RUNNER_LIMITS.turnInstructions;
    let counted = Date.now();
    for (let slices = 1; guest.machine.instructions < until; slices++) {
      const began = Date.now();
      const from = guest.machine.instructions;
      const { output, outcome } = guest.slice(this.#pace.instructions);
      for (const bytes of output) log.append(bytes);
      if (output.length > 0) this.#wakeFollowers();
      this.#pace.took(guest.machine.instructions - from, Date.now() - began);
      await letOthersIn(slices % RUNNER_LIMITS.slicesPerTimer === 0);
      const now = Date.now();
      loaded.runMilliseconds += now - counted;
      counted = now;
      if (this.#ended()) return undefined;
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }

  /** Gets the guest into memory: from the last checkpoint, or from its kernel. Undefined if the job ended meanwhile. */
  async #load(): Promise<Loaded | undefined> {
    const { engine } = this;
    const record = this.#job();
    const store = new SqlPageStore(this.#sql);
    store.rewind();
    const log = this.#console!;
    const resumed = this.#resume(record, store, log);
    if (resumed !== undefined) return { guest: resumed, store, runMilliseconds: record.runMilliseconds };

    const begunBefore = record.startedAt !== undefined;
    this.#save({
      ...this.#job(),
      state: "building",
      startedAt: record.startedAt ?? Date.now(),
      restarts: record.restarts + (begunBefore ? 1 : 0),
    });
    const [kernel, initrd] = await Promise.all([
      this.#blob(record.request.kernel.sha256, "kernel"),
      record.request.initrd === undefined ? undefined : this.#blob(record.request.initrd.sha256, "initrd"),
    ]);
    if (this.#ended()) return undefined;
    const { config } = record.request;
    store.clear();
    const machine = engine.factory.create(
      engine.parts,
      {
        kernel,
        ...(initrd === undefined ? {} : { initrd }),
        cmdline: config.cmdline,
        memoryMiB: config.memory,
        seed: BigInt(config.seed),
        startTime: config.startTime,
      },
      store,
    );
    log.seek(0);
    this.#save({ ...this.#job(), state: "running" });
    return { guest: new Guest(machine, new Monitor(config)), store, runMilliseconds: 0 };
  }

  /** The guest of the last checkpoint; undefined if there is none, or none that can be read. */
  #resume(record: JobRecord, store: SqlPageStore, log: ConsoleLog): Guest | undefined {
    try {
      const stored = loadCheckpoint(this.#sql);
      if (stored === undefined) return undefined;
      if (store.manifest() !== stored.manifest) {
        throw new DamagedCheckpoint("the stored pages are not those of the checkpoint");
      }
      const machine = this.engine.factory.restore(this.engine.parts, stored.machine, store);
      log.seek(stored.monitor.bytes);
      this.#save({ ...this.#job(), state: "running", resumes: record.resumes + 1 });
      return new Guest(machine, new Monitor(record.request.config, stored.monitor));
    } catch (error) {
      // Nothing is lost by starting over but time: the run will be the same.
      console.warn(`job ${record.request.id}: checkpoint refused, starting over: ${messageOf(error)}`);
      this.#save({ ...this.#job(), lastError: `Checkpoint refused, started over: ${messageOf(error)}` });
      dropCheckpoint(this.#sql);
      return undefined;
    }
  }

  async #blob(sha256: string, what: string): Promise<Uint8Array> {
    const bytes = await readBlob(this.env.BLOBS, sha256);
    if (bytes === undefined) throw new Error(`the ${what} ${sha256} is no longer stored`);
    return bytes;
  }

  /** Pages, processor, devices, monitor and progress become the new checkpoint together, or not at all. */
  #checkpoint(loaded: Loaded): void {
    const { guest, store } = loaded;
    const began = Date.now();
    this.ctx.storage.transactionSync(() => {
      store.begin();
      const { state, pagesWritten } = guest.machine.checkpoint();
      store.commit();
      saveCheckpoint(this.#sql, state, guest.monitor, store.manifest());
      const record = this.#job();
      const figures = record.checkpoints;
      this.#save({
        ...record,
        ...this.#progress(loaded),
        statistics: guest.machine.statistics(),
        attempts: 0,
        failures: 0,
        checkpoints: {
          count: figures.count + 1,
          instructions: guest.machine.instructions,
          pagesWritten: figures.pagesWritten + pagesWritten,
          stateBytes: figures.stateBytes + state.length,
          milliseconds: figures.milliseconds + (Date.now() - began),
        },
      });
    });
  }

  /** A turn threw: try again from the last checkpoint, a few times. */
  async #failed(error: unknown): Promise<void> {
    this.#unload();
    const message = messageOf(error);
    if (this.engine.isLoadError(error)) {
      this.#end(judge([{ verdict: "error", code: "bad-kernel", message }]));
      return;
    }
    console.error(`job ${this.#job().request.id}: ${error instanceof Error ? error.stack : message}`);
    // The storage may be what failed; what counts is what it holds.
    const record = this.#job();
    const failures = record.failures + 1;
    if (failures >= RUNNER_LIMITS.failures || error instanceof ConsoleDivergence) {
      this.#endAsError(
        `The worker failed ${failures === 1 ? "" : `${failures} times `}while running the guest: ${message}`,
      );
      return;
    }
    if (error instanceof DamagedCheckpoint) {
      // Each further try from it would meet the same damage.
      dropCheckpoint(this.#sql);
      this.#save({ ...record, failures, lastError: `Checkpoint refused, started over: ${message}` });
    } else this.#save({ ...record, failures, lastError: message });
    await this.ctx.storage.setAlarm(
      Date.now() + RUNNER_LIMITS.failureDelayMilliseconds * 2 ** (failures - 1),
    );
  }

  #endAsError(message: string): void {
    this.#end(judge([{ verdict: "error", code: "infrastructure", message }]));
  }

  /** The job is over: its outcome and statistics stay, its memory goes. */
  #end(outcome: Outcome): void {
    const loaded = this.#loaded;
    this.ctx.storage.transactionSync(() => {
      this.#save({
        ...this.#job(),
        ...(loaded === undefined
          ? {}
          : { ...this.#progress(loaded), statistics: loaded.guest.machine.statistics() }),
        state: finalState(outcome.verdict),
        outcome,
        endedAt: Date.now(),
      });
      new SqlPageStore(this.#sql).clear();
      dropCheckpoint(this.#sql);
    });
    this.#unload();
    this.#wakeFollowers();
  }

  #unload(): void {
    this.#loaded = undefined;
    SLOTS.release(this.#job().request.id);
  }

  #progress(loaded: Loaded): Progress {
    const { machine } = loaded.guest;
    return {
      instructions: machine.instructions,
      guestNanoseconds: machine.guestNanoseconds,
      runMilliseconds: loaded.runMilliseconds,
    };
  }

  #job(): JobRecord {
    if (this.#record === undefined) throw new Error("this object has no job");
    return this.#record;
  }

  #ended(): boolean {
    return isFinal(this.#job().state);
  }

  #save(record: JobRecord): void {
    this.#sql.exec("INSERT OR REPLACE INTO job VALUES (1, ?)", JSON.stringify(record));
    this.#record = record;
  }

  #view(record: JobRecord): JobView {
    const progress = this.#loaded === undefined ? record : this.#progress(this.#loaded);
    return viewOf(record, this.#console?.length ?? 0, Date.now(), progress);
  }

  #wakeFollowers(): void {
    const followers = [...this.#followers];
    this.#followers.clear();
    for (const wake of followers) wake();
  }
}
