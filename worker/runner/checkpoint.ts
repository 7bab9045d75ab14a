import { checksumBytes, mixWord } from "../../engine/memory/checksum.ts";
import type { Monitor, MonitorState } from "../../jobs/monitor.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import { DamagedCheckpoint } from "./damaged.ts";
import type { LoadedGuest } from "./loaded-guest.ts";
import { saveProfile } from "./profile-store.ts";
import type { JobRecord } from "./record.ts";

/** Raised whenever what is stored below or in a MonitorState changes its meaning. */
const VERSION = 4;

/** The small state of a checkpoint; the pages are in the page store. */
export interface StoredCheckpoint {
  readonly machine: Uint8Array;
  readonly monitor: MonitorState;
  /** What the page store has to hold: SqlPageStore.manifest. */
  readonly manifest: string;
}

function sumOf(machine: Uint8Array, version: number, texts: readonly string[]): number {
  const text = new TextEncoder().encode(JSON.stringify([version, ...texts]));
  return mixWord(checksumBytes(machine), checksumBytes(text)) >>> 0;
}

/** Only inside the transaction that commits the pages. */
export function saveCheckpoint(
  sql: SqlStorage,
  machine: Uint8Array,
  monitor: Monitor,
  manifest: string,
): void {
  dropCheckpoint(sql);
  for (let at = 0, seq = 0; at < machine.length; at += STORAGE_LIMITS.stateRowBytes, seq++) {
    const part = machine.subarray(at, at + STORAGE_LIMITS.stateRowBytes);
    sql.exec("INSERT INTO checkpoint_part VALUES (?, ?)", seq, part);
  }
  const judged = JSON.stringify(monitor.save());
  const sum = sumOf(machine, VERSION, [judged, manifest]);
  sql.exec("INSERT INTO checkpoint VALUES (1, ?, ?, ?, ?)", VERSION, judged, manifest, sum);
}

/**
 * The last checkpoint; undefined if there is none. Throws if another version of this program wrote it.
 *
 * @throws DamagedCheckpoint
 */
export function loadCheckpoint(sql: SqlStorage): StoredCheckpoint | undefined {
  const [row] = sql
    .exec<{ version: number; monitor: string; manifest: string; sum: number }>(
      "SELECT version, monitor, manifest, sum FROM checkpoint",
    )
    .toArray();
  if (row === undefined) return undefined;
  if (row.version !== VERSION) {
    throw new Error(`the checkpoint is of version ${row.version}, this worker reads version ${VERSION}`);
  }
  const parts = sql
    .exec<{ data: ArrayBuffer }>("SELECT data FROM checkpoint_part ORDER BY seq")
    .toArray()
    .map((part) => new Uint8Array(part.data));
  const machine = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    machine.set(part, at);
    at += part.length;
  }
  if (row.sum !== sumOf(machine, row.version, [row.monitor, row.manifest])) {
    throw new DamagedCheckpoint("the checkpoint's checksum is wrong");
  }
  return { machine, manifest: row.manifest, monitor: JSON.parse(row.monitor) as MonitorState };
}

export function dropCheckpoint(sql: SqlStorage): void {
  sql.exec("DELETE FROM checkpoint");
  sql.exec("DELETE FROM checkpoint_part");
}

/**
 * Writes all of a checkpoint but the record. Only inside a transaction, in which the record that is returned is saved: pages,
 * small state and record become the new checkpoint together, or not at all.
 *
 * @param record the job up to now
 * @param consoleBytes what is stored of its console
 * @returns the job as of this checkpoint
 */
export function writeCheckpoint(
  sql: SqlStorage,
  loaded: LoadedGuest,
  record: JobRecord,
  consoleBytes: number,
): JobRecord {
  const { guest, store } = loaded;
  const began = Date.now();
  const bytesBefore = store.bytesWritten;
  store.begin();
  const { state, pagesWritten: pages } = guest.machine.checkpoint();
  store.commit();
  saveCheckpoint(sql, state, guest.monitor, store.manifest());
  saveProfile(sql, guest.profile);
  const figures = record.checkpoints;
  const bytes = store.bytesWritten - bytesBefore + state.length;
  const milliseconds = Date.now() - began;
  return {
    ...record,
    ...loaded.progress,
    statistics: guest.machine.statistics(),
    consoleBytes,
    storageMost: Math.max(record.storageMost, sql.databaseSize),
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
