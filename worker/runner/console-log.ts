import { checksumBytes } from "../../engine/memory/checksum.ts";
import { freeBuffer } from "../../engine/memory/free-buffer.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import { DamagedConsole } from "./damaged.ts";

/** A guest that was run again from a checkpoint printed something else than the first time. */
export class ConsoleDivergence extends Error {
  constructor(offset: number, what = "printed something else at") {
    super(`run again from its checkpoint, the guest ${what} console offset ${offset}`);
    this.name = "ConsoleDivergence";
  }
}

type Row = { readonly offset: number; readonly data: ArrayBuffer; readonly sum: number };

/** The row's place counts, so that a row cannot pass for another. */
const sumOf = (offset: number, data: Uint8Array): number => checksumBytes(data, offset);

/**
 * A job's console, append-only. `position` is where the machine is, `length` what has been stored; after a crash the
 * machine starts again behind what clients may have read already, and what it prints there is compared, not stored again.
 */
export class ConsoleLog {
  readonly #sql: SqlStorage;
  #length = 0;
  #position = 0;
  /** The last row, which grows until it is full, in a buffer that is used again for the next ones. */
  #tail: Uint8Array | undefined;
  /** Bytes of it that are stored; undefined if they have to be read first. */
  #tailBytes: number | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.reopen();
  }

  /** Looks at what is stored, which another instance of this object may have changed. Nothing is checked yet. */
  reopen(): void {
    this.#tailBytes = undefined;
    const [row] = this.#sql
      .exec<{ end: number }>("SELECT offset + length(data) AS end FROM console ORDER BY offset DESC LIMIT 1")
      .toArray();
    this.#length = row?.end ?? 0;
    this.#position = this.#length;
  }

  /** Bytes stored. */
  get length(): number {
    return this.#length;
  }

  /** Where the machine is. */
  get position(): number {
    return this.#position;
  }

  /**
   * Reads every row.
   *
   * @param least how many bytes there were at some time: fewer are a loss.
   * @throws DamagedConsole
   */
  verify(least = 0): void {
    let end = 0;
    for (const row of this.#sql.exec<Row>("SELECT offset, data, sum FROM console ORDER BY offset")) {
      if (row.offset !== end) throw new DamagedConsole(end);
      const data = this.#checked(row);
      end += data.length;
      freeBuffer(row.data);
    }
    if (end < least) throw new DamagedConsole(end);
  }

  /** Forgets what begins at `offset` or later: it cannot be trusted, and a guest that is run again will print it once more. */
  truncate(offset: number): void {
    this.#sql.exec("DELETE FROM console WHERE offset >= ?", offset);
    this.reopen();
  }

  /**
   * The machine goes on from this offset.
   *
   * @throws DamagedConsole if less than that is stored
   */
  seek(position: number): void {
    if (position > this.#length) throw new DamagedConsole(this.#length);
    this.#position = position;
  }

  /** The machine has ended: it must have printed all that was served. @throws ConsoleDivergence */
  finish(): void {
    if (this.#position < this.#length) throw new ConsoleDivergence(this.#position, "ended at");
  }

  /** What the machine printed at its position. @throws ConsoleDivergence, DamagedConsole */
  append(bytes: Uint8Array): void {
    const known = Math.min(bytes.length, this.#length - this.#position);
    for (let at = 0; at < known; ) {
      const stored = this.read(this.#position + at, known - at);
      const differs = stored.findIndex((byte, index) => byte !== bytes[at + index]);
      if (differs >= 0) throw new ConsoleDivergence(this.#position + at + differs);
      at += stored.length;
    }
    this.#position += bytes.length;
    let rest = bytes.subarray(known);
    while (rest.length > 0) {
      this.#tail ??= new Uint8Array(STORAGE_LIMITS.consoleRowBytes);
      this.#tailBytes ??= this.#readLastRow(this.#tail);
      const stored = this.#tailBytes < this.#tail.length ? this.#tailBytes : 0;
      const taken = rest.subarray(0, this.#tail.length - stored);
      this.#tail.set(taken, stored);
      const row = this.#tail.subarray(0, stored + taken.length);
      const offset = this.#length - stored;
      this.#sql.exec("INSERT OR REPLACE INTO console VALUES (?, ?, ?)", offset, row, sumOf(offset, row));
      this.#tailBytes = row.length;
      this.#length += taken.length;
      rest = rest.subarray(taken.length);
    }
  }

  /** Up to `max` bytes from `offset`, a copy; at least one if there is one. @throws DamagedConsole */
  read(offset: number, max: number = STORAGE_LIMITS.consoleReadBytes): Uint8Array {
    if (offset >= this.#length) return new Uint8Array(0);
    const [row] = this.#sql
      .exec<Row>(
        "SELECT offset, data, sum FROM console WHERE offset <= ? ORDER BY offset DESC LIMIT 1",
        offset,
      )
      .toArray();
    if (row === undefined) throw new DamagedConsole(0);
    const data = this.#checked(row);
    const start = offset - row.offset;
    // A row between this one and the next is lost.
    if (start >= data.length) throw new DamagedConsole(row.offset + data.length);
    const part = data.slice(start, start + max);
    freeBuffer(row.data);
    return part;
  }

  /** Copies the last row, as far as it fits, into `into`; returns its length, 0 if there is none. */
  #readLastRow(into: Uint8Array): number {
    const [row] = this.#sql
      .exec<Row>("SELECT offset, data, sum FROM console ORDER BY offset DESC LIMIT 1")
      .toArray();
    if (row === undefined) return 0;
    const data = this.#checked(row);
    const { length } = data;
    into.set(data.subarray(0, into.length));
    freeBuffer(row.data);
    return length;
  }

  #checked(row: Row): Uint8Array {
    const data = new Uint8Array(row.data);
    if (row.sum !== sumOf(row.offset, data)) throw new DamagedConsole(row.offset);
    return data;
  }
}
