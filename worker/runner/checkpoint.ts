import type { Monitor, MonitorState } from "../../jobs/monitor.ts";
import { STORAGE_LIMITS } from "../limits.ts";

/** Raised whenever what is stored below or in a MonitorState changes its meaning. */
const VERSION = 1;

/** The small state of a checkpoint; the pages are in the page store. */
export interface StoredCheckpoint {
  readonly machine: Uint8Array;
  readonly monitor: MonitorState;
}

/** Only inside the transaction that commits the pages. */
export function saveCheckpoint(sql: SqlStorage, machine: Uint8Array, monitor: Monitor): void {
  dropCheckpoint(sql);
  for (let at = 0, seq = 0; at < machine.length; at += STORAGE_LIMITS.stateRowBytes, seq++) {
    const part = machine.subarray(at, at + STORAGE_LIMITS.stateRowBytes);
    sql.exec("INSERT INTO checkpoint_part VALUES (?, ?)", seq, part);
  }
  sql.exec("INSERT INTO checkpoint VALUES (1, ?, ?)", VERSION, JSON.stringify(monitor.save()));
}

/** The last checkpoint; undefined if there is none. Throws if another version of this program wrote it. */
export function loadCheckpoint(sql: SqlStorage): StoredCheckpoint | undefined {
  const [row] = sql
    .exec<{ version: number; monitor: string }>("SELECT version, monitor FROM checkpoint")
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
  return { machine, monitor: JSON.parse(row.monitor) as MonitorState };
}

export function dropCheckpoint(sql: SqlStorage): void {
  sql.exec("DELETE FROM checkpoint");
  sql.exec("DELETE FROM checkpoint_part");
}
