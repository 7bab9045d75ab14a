import { STORAGE_LIMITS } from "../limits.ts";

/** A guest that was run again from a checkpoint printed something else than the first time. */
export class ConsoleDivergence extends Error {
  constructor(offset: number) {
    super(`run again from its checkpoint, the guest printed something else at console offset ${offset}`);
    this.name = "ConsoleDivergence";
  }
}

/**
 * A job's console, append-only. `position` is where the machine is, `length` what has been stored; after a crash the
 * machine starts again behind what clients may have read already, and what it prints there is compared, not stored again.
 */
export class ConsoleLog {
  readonly #sql: SqlStorage;
  #length = 0;
  #position = 0;
  /** Content of the last row, which grows until it is full. */
  #tail: Uint8Array = new Uint8Array(0);

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<{ offset: number; data: ArrayBuffer }>(
      "SELECT offset, data FROM console ORDER BY offset DESC LIMIT 1",
    )) {
      this.#tail = new Uint8Array(row.data);
      this.#length = row.offset + this.#tail.length;
    }
    this.#position = this.#length;
  }

  /** Bytes stored. */
  get length(): number {
    return this.#length;
  }

  /** The machine goes on from this offset. */
  seek(position: number): void {
    if (position > this.#length) throw new ConsoleDivergence(this.#length);
    this.#position = position;
  }

  /** What the machine printed at its position. Throws ConsoleDivergence. */
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
      const room = STORAGE_LIMITS.consoleRowBytes - this.#tail.length;
      if (room <= 0) {
        this.#tail = new Uint8Array(0);
        continue;
      }
      const taken = rest.subarray(0, room);
      const row = new Uint8Array(this.#tail.length + taken.length);
      row.set(this.#tail);
      row.set(taken, this.#tail.length);
      this.#sql.exec("INSERT OR REPLACE INTO console VALUES (?, ?)", this.#length - this.#tail.length, row);
      this.#tail = row;
      this.#length += taken.length;
      rest = rest.subarray(taken.length);
    }
  }

  /** Up to `max` bytes from `offset`; at least one if there is one. */
  read(offset: number, max: number = STORAGE_LIMITS.consoleReadBytes): Uint8Array {
    if (offset >= this.#length) return new Uint8Array(0);
    for (const row of this.#sql.exec<{ offset: number; data: ArrayBuffer }>(
      "SELECT offset, data FROM console WHERE offset <= ? ORDER BY offset DESC LIMIT 1",
      offset,
    )) {
      const start = offset - row.offset;
      return new Uint8Array(row.data).subarray(start, start + max);
    }
    return new Uint8Array(0);
  }
}
