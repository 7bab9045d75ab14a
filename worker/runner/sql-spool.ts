import type { Spool } from "../../engine/loader/spool.ts";
import { freeBuffer } from "../../engine/memory/free-buffer.ts";

/**
 * A decompressed kernel in SQLite while its domain is built. The table is there only as long as it is needed; what a
 * process that was killed left in it is dropped when the next one begins.
 */
export class SqlSpool implements Spool {
  readonly #sql: SqlStorage;
  readonly #fence: () => void;
  #isEmpty = false;

  /** @param fence called before anything is written or dropped; what it throws keeps it from being done. */
  constructor(sql: SqlStorage, fence: () => void = () => {}) {
    this.#sql = sql;
    this.#fence = fence;
  }

  write(index: number, chunk: Uint8Array): void {
    this.#fence();
    if (this.#isEmpty) {
      this.#sql.exec("CREATE TABLE spool (chunk INTEGER PRIMARY KEY, data BLOB NOT NULL)");
      this.#isEmpty = false;
    }
    this.#sql.exec("INSERT OR REPLACE INTO spool VALUES (?, ?)", index, chunk);
  }

  read(index: number, into: Uint8Array): void {
    const { data } = this.#sql
      .exec<{ data: ArrayBuffer }>("SELECT data FROM spool WHERE chunk = ?", index)
      .one();
    into.set(new Uint8Array(data));
    freeBuffer(data);
  }

  clear(): void {
    if (this.#isEmpty) return;
    this.#fence();
    this.#sql.exec("DROP TABLE IF EXISTS spool");
    this.#isEmpty = true;
  }
  rest(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
