import { CHECKPOINT_VERSION } from "../../engine/checkpoint.ts";
import { HttpError } from "../errors.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type { SnapshotHeader } from "../snapshots/header.ts";
import { FORMAT, PAGE_BYTES } from "../snapshots/header.ts";
import { admitSnapshot, putSnapshot, type SnapshotView, snapshotKey } from "../snapshots/store.ts";
import { snapshotFile, type WrittenCluster } from "../snapshots/write.ts";
import { loadCheckpoint, type StoredCheckpoint } from "./checkpoint.ts";
import { Superseded } from "./job-store.ts";
import type { JobRecord } from "./record.ts";
import { SqlPageStore } from "./sql-page-store.ts";

/** A snapshot that cannot be made, as an answer: errors lose what they are on their way out of an object. */
export interface RefusedSnapshot {
  readonly refused: { readonly status: 409 | 500 | 503; readonly code: string; readonly message: string };
}

/** The job's snapshots as it tells of them: those it made of itself. */
export type MadeSnapshot =
  | { readonly name: string; readonly instructions: number; readonly bytes: number }
  | { readonly name: string; readonly error: string };

export function refusalOf(error: unknown): RefusedSnapshot {
  if (error instanceof HttpError && error.status === 409) {
    return { refused: { status: 409, code: error.code, message: error.message } };
  }
  if (error instanceof Superseded) {
    const message = "The job has just moved to another process; ask again.";
    return { refused: { status: 503, code: "taken-over", message } };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { refused: { status: 500, code: "snapshot-failed", message: `The snapshot failed: ${message}.` } };
}

/** Why a snapshot of this job cannot be made now. */
export function noMemory(state: string): HttpError {
  return new HttpError(
    409,
    "no-memory",
    `The job is ${state} and its guest's memory is no longer kept; have the job make the snapshot by itself: "snapshots": [{"name": …, "at": …}] in its config.`,
  );
}

function headerOf(
  record: JobRecord,
  stored: StoredCheckpoint,
  name: string,
  clusters: number,
): SnapshotHeader {
  const { request } = record;
  const { cmdline, memory, mode, cpu, seed, startTime } = request.config;
  const { monitor } = stored;
  return {
    format: FORMAT,
    machine: CHECKPOINT_VERSION,
    name,
    job: request.id,
    createdAt: new Date().toISOString(),
    instructions: record.instructions,
    guestNanoseconds: record.guestNanoseconds,
    consoleBytes: (request.from?.consoleBytes ?? 0) + monitor.bytes,
    line: monitor.before + monitor.line,
    ...(monitor.guestEnd === null ? {} : { ended: monitor.guestEnd }),
    config: { cmdline, memory, mode, cpu, seed, startTime },
    kernel: request.kernel,
    ...(request.initrd === undefined ? {} : { initrd: request.initrd }),
    ...(request.fixture === undefined ? {} : { fixture: request.fixture }),
    ...(request.architecture === undefined ? {} : { architecture: request.architecture }),
    pageBytes: PAGE_BYTES,
    pagesPerCluster: STORAGE_LIMITS.pagesPerRow,
    clusters,
  };
}

/**
 * Keeps the job's last checkpoint as a snapshot. Nothing may change the checkpoint meanwhile; `breathe` lets other events in
 * and throws if that happened.
 *
 * @param record the job as of that checkpoint
 * @throws HttpError 409 if there is no checkpoint, or no room for the snapshot
 */
export async function keepSnapshot(
  bucket: R2Bucket,
  sql: SqlStorage,
  record: JobRecord,
  name: string,
  breathe: () => Promise<void>,
): Promise<SnapshotView> {
  const { id, owner } = record.request;
  const reference = { job: id, snapshot: name };
  await admitSnapshot(bucket, reference, owner);
  await breathe();
  const stored = loadCheckpoint(sql);
  if (stored === undefined) throw noMemory(record.state);
  const store = new SqlPageStore(sql);
  const clusters = store.checkpointedClusters();
  const header = headerOf(record, stored, name, clusters.length);
  const file = snapshotFile(header, stored.machine, contentsOf(store, clusters), breathe);
  return putSnapshot(bucket, snapshotKey(reference), header, file, owner);
}

function* contentsOf(store: SqlPageStore, clusters: readonly number[]): Generator<WrittenCluster> {
  for (const cluster of clusters) {
    const contents = store.checkpointedCluster(cluster);
    if (contents !== undefined) yield contents;
  }
}
