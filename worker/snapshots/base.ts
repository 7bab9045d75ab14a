import { freeBuffer } from "../../engine/memory/free-buffer.ts";
import { decodeSnapshotRecord, SnapshotError, type SnapshotItem } from "../../engine/snapshot-format.ts";
import { DamagedCheckpoint } from "../runner/damaged.ts";
import { decompress } from "./codec.ts";

/**
 * The pages that a job started from a snapshot with: compressed, never changed, and shadowed by what the job wrote. They are
 * in memory first, so that the guest need not wait until they are stored; the first checkpoint puts them into the job's
 * own storage, from where on the job needs the snapshot no more.
 */
export interface PageBase {
  /** Whether there is a cluster of this number, that is, one that is not all zero. */
  has(cluster: number): boolean;
  /** The cluster, checked and decompressed, in a buffer of its own; undefined if it is all zero. @throws DamagedCheckpoint */
  read(cluster: number): Uint8Array | undefined;
}

type StoredRecord = Extract<SnapshotItem, { kind: "record" }>;

function damaged(error: unknown): never {
  if (error instanceof SnapshotError) throw new DamagedCheckpoint(error.message);
  throw error;
}

/** A base in memory: the snapshot's file, or so much of it as has come. */
export class MemoryBase implements PageBase {
  readonly #records = new Map<number, StoredRecord>();

  /** The encoded records, in order. */
  *records(): Generator<{ readonly cluster: number; readonly encoded: Uint8Array }> {
    for (const [cluster, { encoded }] of this.#records) yield { cluster, encoded };
  }

  add(record: StoredRecord): void {
    this.#records.set(record.key, record);
  }

  has(cluster: number): boolean {
    return this.#records.has(cluster);
  }

  read(cluster: number): Uint8Array | undefined {
    const record = this.#records.get(cluster);
    if (record === undefined) return undefined;
    try {
      const raw = decompress(record.data, record.rawBytes);
      return raw === record.data ? raw.slice() : raw;
    } catch (error) {
      return damaged(error);
    }
  }
}

/** A base in the job's storage: the table base_page, whose rows are records of the snapshot's file with their own checksums. */
export class SqlBase implements PageBase {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The base that is stored, if one is. */
  static stored(sql: SqlStorage): SqlBase | undefined {
    return sql.exec("SELECT 1 FROM base_page LIMIT 1").toArray().length > 0 ? new SqlBase(sql) : undefined;
  }

  /** Stores one record. */
  static add(sql: SqlStorage, cluster: number, encoded: Uint8Array): void {
    sql.exec("INSERT OR REPLACE INTO base_page VALUES (?, ?)", cluster, encoded);
  }

  has(cluster: number): boolean {
    return this.#sql.exec("SELECT 1 FROM base_page WHERE cluster = ?", cluster).toArray().length > 0;
  }

  /** The record as it is in the file. @throws DamagedCheckpoint */
  record(cluster: number): Uint8Array | undefined {
    const [row] = this.#sql
      .exec<{ record: ArrayBuffer }>("SELECT record FROM base_page WHERE cluster = ?", cluster)
      .toArray();
    return row === undefined ? undefined : new Uint8Array(row.record);
  }

  read(cluster: number): Uint8Array | undefined {
    const encoded = this.record(cluster);
    if (encoded === undefined) return undefined;
    try {
      const record = decodeSnapshotRecord(encoded);
      if (record === undefined || record.key !== cluster) {
        throw new DamagedCheckpoint(`cluster ${cluster} of the pages this job started with is damaged`);
      }
      const raw = decompress(record.data, record.rawBytes);
      if (raw !== record.data) freeBuffer(encoded.buffer as ArrayBuffer);
      return raw;
    } catch (error) {
      return damaged(error);
    }
  }
}
