import type { EngineParts, StatedMachine } from "../../engine/machine-api.ts";
import { SnapshotError } from "../../engine/snapshot-format.ts";
import { Monitor } from "../../jobs/monitor.ts";
import type { MachineFields, SnapshotReference } from "../../jobs/spec.ts";
import { BlobSource } from "../blobs/source.ts";
import { messageOf } from "../errors.ts";
import { logEvent } from "../log.ts";
import { type OpenedSnapshot, startingPoint } from "../snapshots/read.ts";
import { dropCheckpoint, loadCheckpoint } from "./checkpoint.ts";
import { DamagedCheckpoint, DamagedConsole } from "./damaged.ts";
import { endAsError } from "./ending.ts";
import type { Engine } from "./engine.ts";
import { Guest } from "./guest.ts";
import type { JobState } from "./job-state.ts";
import { Superseded } from "./job-store.ts";
import { LoadedGuest } from "./loaded-guest.ts";
import { loadProfile } from "./profile-store.ts";
import type { JobRecord, StartingSnapshot } from "./record.ts";
import { SqlPageStore } from "./sql-page-store.ts";
import { SqlSpool } from "./sql-spool.ts";

/*
 * How a guest gets into memory: from the job's last checkpoint; else from the snapshot that the job starts from, or from its
 * kernel. Each way comes to the same run, so that whenever a checkpoint cannot be used, starting over costs nothing but time.
 *
 * The caller has the job's epoch. Building and fetching wait for others, so what they write goes through the fence, and the
 * job may have been taken over (Superseded is thrown) or have ended (undefined is returned) meanwhile.
 */

const describeReference = (reference: SnapshotReference): string =>
  "job" in reference ? `"${reference.snapshot}" of the job ${reference.job}` : reference.snapshot;

/**
 * Gets the guest into memory. Undefined if the job ended meanwhile.
 *
 * @param began when the alarm came, in milliseconds since 1970
 * @throws Superseded; a load error of the engine (Engine.isLoadError); whatever storage and R2 throw
 */
export async function loadGuest(
  job: JobState,
  engine: Engine,
  began: number,
): Promise<LoadedGuest | undefined> {
  const { record } = job;
  const fence = (): void => {
    if (job.ended) throw new Superseded();
    job.check();
  };
  const store = new SqlPageStore(job.sql, fence);
  store.rewind();
  job.console.reopen();
  const resumed = resume(job, engine, store);
  if (resumed !== undefined) {
    noteResume(job, Date.now() - began);
    return new LoadedGuest(resumed, store, job.record, record.runMilliseconds);
  }
  const { from } = record.request;
  const guest =
    from === undefined
      ? await build(job, engine, store, new SqlSpool(job.sql, fence))
      : await fork(job, engine, store, from);
  if (guest === undefined) return undefined;
  noteFirstInstruction(job, guest, began);
  return new LoadedGuest(guest, store, job.record, 0);
}

/** The guest of the last checkpoint; undefined if there is none, or none that can be read. */
function resume(job: JobState, engine: Engine, store: SqlPageStore): Guest | undefined {
  const { record } = job;
  try {
    job.console.verify(record.consoleBytes);
    const stored = loadCheckpoint(job.sql);
    if (stored === undefined) return undefined;
    if (store.manifest() !== stored.manifest) {
      throw new DamagedCheckpoint("the stored pages are not those of the checkpoint");
    }
    const machine = engine.factory.restore(partsOf(job, engine), stored.machine, store);
    job.console.seek(stored.monitor.bytes);
    job.save({ ...job.record, state: "running", resumes: record.resumes + 1 });
    return new Guest(machine, new Monitor(record.request.config, stored.monitor), loadProfile(job.sql));
  } catch (error) {
    if (error instanceof Superseded) throw error;
    // Nothing is lost by starting over but time: the run will be the same.
    logEvent("job.checkpoint-refused", { job: record.request.id, error: messageOf(error) });
    startOver(job, error, job.record);
    return undefined;
  }
}

/**
 * The checkpoint cannot be used: each further try would meet the same. The next turn begins without one.
 *
 * @param error why
 * @param record the job, which is stored with that as its last error
 * @throws Superseded
 */
export function startOver(job: JobState, error: unknown, record: JobRecord): void {
  // Followers wait where they are: the guest will print the same again.
  if (error instanceof DamagedConsole) job.console.truncate(error.offset);
  dropCheckpoint(job.sql);
  job.save({
    ...record,
    consoleBytes: job.console.length,
    lastError: `Checkpoint refused, started over: ${messageOf(error)}`,
  });
}

/** A guest at its kernel's entry. Undefined if the job ended meanwhile. */
async function build(
  job: JobState,
  engine: Engine,
  store: SqlPageStore,
  spool: SqlSpool,
): Promise<Guest | undefined> {
  const { record } = job;
  const { config, kernel, initrd } = record.request;
  job.save({
    ...record,
    state: "building",
    startedAt: record.startedAt ?? Date.now(),
    restarts: record.restarts + (record.startedAt === undefined ? 0 : 1),
  });
  store.clear();
  const machine = await engine.factory
    .create(
      partsOf(job, engine),
      {
        kernel: new BlobSource(job.bucket, kernel, "kernel"),
        ...(initrd === undefined ? {} : { initrd: new BlobSource(job.bucket, initrd, "initrd") }),
        cmdline: config.cmdline,
        memoryMiB: config.memory,
        seed: BigInt(config.seed),
        startTime: config.startTime,
        cpu: config.cpu,
        mode: config.mode,
      },
      store,
      spool,
    )
    .finally(() => spool.clear());
  if (job.ended) {
    // Canceled while it was built.
    store.clear();
    return undefined;
  }
  job.check();
  job.console.seek(0);
  job.save({ ...job.record, state: "running" });
  return new Guest(machine, new Monitor(config));
}

/** Nothing can go on from the snapshot, and trying again would not help. @throws Superseded */
function cannotUse(job: JobState, { snapshot }: StartingSnapshot, why: string): Promise<void> {
  const described = describeReference(snapshot);
  return endAsError(job, `The snapshot ${described} that the job starts from cannot be used: ${why}.`);
}

/** How a snapshot's machine differs from what its header says; a file from elsewhere may say anything. */
function otherMachine(
  engine: Engine,
  state: Uint8Array,
  { mode, memory }: MachineFields,
): string | undefined {
  let stated: StatedMachine | undefined;
  try {
    stated = engine.statedMachine(state);
  } catch (error) {
    return messageOf(error);
  }
  if (stated === undefined || (stated.mode === mode && stated.memoryMiB === memory)) return undefined;
  return `its machine has ${stated.memoryMiB} MiB in mode "${stated.mode}", its header says ${memory} MiB in mode "${mode}"`;
}

/** The guest of the snapshot that the job starts from. Undefined if the job ended meanwhile. */
async function fork(
  job: JobState,
  engine: Engine,
  store: SqlPageStore,
  from: StartingSnapshot,
): Promise<Guest | undefined> {
  store.clear();
  let opened: OpenedSnapshot | undefined;
  try {
    opened = await startingPoint(job.bucket, from.snapshot, job.sql);
  } catch (error) {
    if (!(error instanceof SnapshotError) || job.ended) throw error;
    await cannotUse(job, from, error.message);
  }
  if (job.ended) return undefined;
  job.check();
  if (opened === undefined) {
    await endAsError(
      job,
      `The snapshot ${describeReference(from.snapshot)} that the job starts from was removed before it had started.`,
    );
    return undefined;
  }
  const { record } = job;
  const { header, state, base } = opened;
  const difference = otherMachine(engine, state, header.config);
  if (difference !== undefined) {
    await cannotUse(job, from, difference);
    return undefined;
  }
  store.startFrom(base);
  const machine = engine.factory.restore(partsOf(job, engine), state, store);
  const clock = { instructions: machine.instructions, guestNanoseconds: machine.guestNanoseconds };
  if (clock.instructions !== from.instructions || clock.guestNanoseconds !== from.guestNanoseconds) {
    await cannotUse(job, from, "its machine is not where its header says");
    return undefined;
  }
  job.console.seek(0);
  job.save({
    ...record,
    state: "running",
    startedAt: record.startedAt ?? Date.now(),
    restarts: record.restarts + (record.startedAt === undefined ? 0 : 1),
    ...clock,
  });
  return new Guest(machine, new Monitor(record.request.config, undefined, { clock, line: header.line }));
}

/** Notes when the guest's first instruction is executed; stored with the next checkpoint. */
function noteFirstInstruction(job: JobState, guest: Guest, began: number): void {
  guest.onFirstInstruction = () => {
    const at = Date.now();
    job.note({ firstInstruction: { at, milliseconds: at - began } });
  };
}

/** How long a resume took; stored with the next checkpoint. */
function noteResume(job: JobState, milliseconds: number): void {
  const most = Math.max(milliseconds, job.record.resumeMilliseconds?.most ?? 0);
  job.note({ resumeMilliseconds: { last: milliseconds, most } });
}

function partsOf(job: JobState, engine: Engine): EngineParts {
  return { ...engine.parts, poolPages: job.settings.poolPages };
}
