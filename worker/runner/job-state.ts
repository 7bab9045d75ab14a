import { isFinal, type JobState as State } from "../../jobs/states.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import type { JobEvent, JobEventType } from "../events/event.ts";
import { forgetJob } from "../events/forget.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import { logEvent } from "../log.ts";
import { registerOf } from "../register/stub.ts";
import { type Settings, settingsOf } from "../settings.ts";
import { SNAPSHOT_LIMITS } from "../snapshots/limits.ts";
import { type SnapshotView, snapshotKey } from "../snapshots/store.ts";
import { dropCheckpoint } from "./checkpoint.ts";
import { ConsoleLog } from "./console-log.ts";
import { JobStore } from "./job-store.ts";
import type { LoadedGuest } from "./loaded-guest.ts";
import { MACHINE_SLOTS } from "./machine-slots.ts";
import { Outbox } from "./outbox.ts";
import { type JobRecord, type JobRequest, viewOf } from "./record.ts";
import type { RefusedSnapshot } from "./snapshots.ts";
import { SqlPageStore } from "./sql-page-store.ts";
import { SqlSpool } from "./sql-spool.ts";

/** What others hear of a job that comes to this state. */
function eventOf(state: State): JobEventType | undefined {
  if (isFinal(state)) return "job.ended";
  if (state === "queued") return "job.queued";
  return state === "running" ? "job.running" : undefined;
}

/** Number of the first event of a job. */
const QUEUED_NUMBER = 1;

/** A snapshot that was asked for, to be made when the present slice is over. */
export interface AskedSnapshot {
  readonly name: string;
  readonly resolve: (answer: SnapshotView | RefusedSnapshot) => void;
}

/**
 * What one instance of a job's object knows of its job: the record, the console, the guest if it is in memory. Everything that
 * counts is in storage as well, and what is here may be lost at any moment.
 *
 * The epoch fence: the record is written with the epoch it was read or taken over with. Once another instance has taken the
 * job over, `save` and `check` throw Superseded, and this one must write nothing more. So whoever has waited for anything
 * calls `check` before writing what is not the record; until the next wait nobody can take the job over.
 */
export class JobState {
  readonly storage: DurableObjectStorage;
  /** Those who wait for more console, or the end. */
  readonly followers = new Set<() => void>();
  /** Answered at the end of the present slice, or at the job's end. */
  readonly askedSnapshots: AskedSnapshot[] = [];
  /** While this is set, this instance runs the job and knows it better than the storage. */
  loaded: LoadedGuest | undefined;
  /** Events that others have to hear of: see deliveries.ts. */
  readonly outbox: Outbox;
  /** Called after an event was written. */
  onEvent: (() => void) | undefined;
  readonly #env: Env;
  readonly #jobs: JobStore;
  #record: JobRecord | undefined;
  /** The epoch that #record was read or written with. */
  #epoch = 0;
  #unreadable: string | undefined;
  #console: ConsoleLog | undefined;

  constructor(storage: DurableObjectStorage, env: Env) {
    this.storage = storage;
    this.outbox = new Outbox(storage.sql);
    this.#env = env;
    this.#jobs = new JobStore(storage.sql);
    this.readStored();
  }

  get sql(): SqlStorage {
    return this.storage.sql;
  }

  /** What the worker is bound to. */
  get env(): Env {
    return this.#env;
  }

  get bucket(): R2Bucket {
    return this.#env.BLOBS;
  }

  /** @throws HttpError 500 if a variable of the deployment is wrong */
  get settings(): Settings {
    return settingsOf(this.#env);
  }

  /** The job, if there is one here that can be read. */
  get found(): JobRecord | undefined {
    return this.#record;
  }

  /** Why what is stored here cannot be read; undefined if it can, or nothing is. */
  get unreadable(): string | undefined {
    return this.#unreadable;
  }

  /** The job. Only where it is known that there is one. */
  get record(): JobRecord {
    if (this.#record === undefined) throw new Error("this object has no job");
    return this.#record;
  }

  /** The job's console. Only where it is known that there is a job. */
  get console(): ConsoleLog {
    if (this.#console === undefined) throw new Error("this object has no job");
    return this.#console;
  }

  get ended(): boolean {
    return isFinal(this.record.state);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Stores a new job; `readStored` finds it. */
  create(request: JobRequest): void {
    this.storage.transactionSync(() => {
      const record = this.#jobs.create(request, Date.now());
      this.#tell("job.queued", record);
    });
  }

  /** Tells everyone who keeps something about this job that nothing is left of it. Rejects if one could not be told. */
  forget(): Promise<void> {
    return forgetJob(this.#env, this.record.request.id);
  }

  /** Tells the register of a snapshot that was made, for its owner's quota. It is none the worse if that cannot be told. */
  async countSnapshot(snapshot: string, bytes: number): Promise<void> {
    const { id, owner } = this.record.request;
    const until = Date.now() + SNAPSHOT_LIMITS.keepMilliseconds;
    try {
      await registerOf(this.#env).store(snapshotKey({ job: id, snapshot }), owner, bytes, until, false);
    } catch (error) {
      logEvent("snapshot.not-counted", { job: id, error: messageOf(error) });
    }
  }

  /** Takes the job over: whatever other instance runs it can write nothing from here on. */
  take(): void {
    this.#epoch = this.#jobs.take(this.record);
  }

  /** @throws Superseded if another instance took the job over, since `epoch` if that is given */
  check(epoch: number = this.#epoch): void {
    this.#jobs.check(epoch);
  }

  /** Stores the record, and with it the event if this is a change of state that others want to know. @throws Superseded */
  save(record: JobRecord): void {
    const type = record.state === this.#record?.state ? undefined : this.#newsOf(record.state);
    this.storage.transactionSync(() => {
      this.#jobs.save(record, this.#epoch);
      if (type !== undefined) this.#tell(type, record);
    });
    this.#record = record;
    if (type !== undefined) this.onEvent?.();
  }

  /** As `eventOf`, once each: a guest that starts over, as its process died before the first checkpoint, is running all the time for others. */
  #newsOf(state: State): JobEventType | undefined {
    const type = eventOf(state);
    return type === "job.running" && this.outbox.last > QUEUED_NUMBER ? undefined : type;
  }

  /** The job as it is now, as an event that others had already; undefined if there is none that can be read. */
  lastEvent(): JobEvent | undefined {
    const record = this.#record;
    const type = record && (eventOf(record.state) ?? "job.running");
    if (record === undefined || type === undefined) return undefined;
    const number = this.outbox.last;
    return { id: `${record.request.id}.${number}`, number, type, ...this.#eventFields(record) };
  }

  #tell(type: JobEventType, record: JobRecord): void {
    this.outbox.add(type, this.#eventFields(record));
  }

  #eventFields(record: JobRecord): Omit<JobEvent, "id" | "number" | "type"> {
    const { id: jobId, owner, batch, config } = record.request;
    const notify = config.notify ?? [];
    const bytes = this.sql.databaseSize;
    const storage = { bytes, most: Math.max(bytes, record.storageMost), limit: STORAGE_LIMITS.jobBytes };
    const at = Date.now();
    return { jobId, owner, batch, notify, at, job: viewOf(record, record.consoleBytes, at, storage) };
  }

  /** Changes the record here only: the change is stored with the next `save`, and lost if the process ends before. */
  note(change: Partial<JobRecord>): void {
    this.#record = { ...this.record, ...change };
  }

  /** Forgets what was known and looks at what is stored. A record that is damaged makes the job start over. */
  readStored(): void {
    const stored = this.#jobs.read();
    this.#record = stored.kind === "job" ? stored.record : undefined;
    this.#unreadable = stored.kind === "unreadable" ? stored.reason : undefined;
    if (stored.kind !== "job") {
      this.#console = undefined;
      return;
    }
    this.#epoch = stored.epoch;
    this.#console ??= new ConsoleLog(this.sql);
    this.#console.reopen();
    if (stored.damaged) {
      // Whatever the job had come to, running it again comes to the same.
      this.take();
      this.dropPages();
      this.save({ ...stored.record, restarts: 1, lastError: "The job's record was damaged; started over." });
    }
  }

  /** The guest's memory goes: its pages and its checkpoint. */
  dropPages(): void {
    new SqlPageStore(this.sql).clear();
    // There if the process was killed while the domain was built.
    new SqlSpool(this.sql).clear();
    dropCheckpoint(this.sql);
  }

  /** Asks for a place for the guest in this isolate's memory: 0 if the job has one, else its place in the queue. */
  acquireSlot(): number {
    return MACHINE_SLOTS.acquire(this.record.request.id, this, Date.now());
  }

  /** Tells the others that this job is alive. Whether it has to give its place to one of them now. */
  shouldYield(): boolean {
    return MACHINE_SLOTS.shouldYield(this.record.request.id, this, Date.now());
  }

  /** The guest leaves memory as it is, and its place goes to others. */
  unload(): void {
    this.loaded = undefined;
    if (this.#record !== undefined) MACHINE_SLOTS.release(this.#record.request.id, this);
  }

  /** There is more console, or the end has come. */
  wakeFollowers(): void {
    const followers = [...this.followers];
    this.followers.clear();
    for (const wake of followers) wake();
  }
}
