import type { JobEvent, JobEventType } from "../events/event.ts";

/** An event that is still to be delivered. */
export interface Undelivered {
  readonly event: JobEvent;
  /** Times its delivery failed. */
  readonly attempts: number;
  /** When to try, in milliseconds since 1970. */
  readonly due: number;
}

const TABLE =
  "CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY, event TEXT, attempts INTEGER NOT NULL, due INTEGER NOT NULL)";

/**
 * A job's events on their way out. An event is written in the transaction of the change that it tells of, so that neither is
 * stored without the other; it stays until it was delivered. The last one stays as a row without its event, for its number.
 */
export class Outbox {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** To be called in the transaction of the change. */
  add(type: JobEventType, event: Omit<JobEvent, "id" | "number" | "type">): void {
    // Jobs that were made by an older version of this worker have no such table.
    this.#sql.exec(TABLE);
    const number = this.last + 1;
    const whole: JobEvent = { id: `${event.jobId}.${number}`, number, type, ...event };
    this.#sql.exec("INSERT INTO outbox VALUES (?, ?, 0, 0)", number, JSON.stringify(whole));
  }

  /** Number of the last event; 0 before the first. */
  get last(): number {
    if (!this.#exists) return 0;
    return this.#sql.exec<{ last: number | null }>("SELECT max(number) AS last FROM outbox").one().last ?? 0;
  }

  /** The oldest that was not delivered. */
  next(): Undelivered | undefined {
    if (!this.#exists) return undefined;
    const [row] = this.#sql
      .exec<{ event: string; attempts: number; due: number }>(
        "SELECT event, attempts, due FROM outbox WHERE event IS NOT NULL ORDER BY number LIMIT 1",
      )
      .toArray();
    return row && { event: JSON.parse(row.event) as JobEvent, attempts: row.attempts, due: row.due };
  }

  delivered({ number }: JobEvent): void {
    if (!this.#exists) return;
    this.#sql.exec("UPDATE outbox SET event = NULL WHERE number = ?", number);
    this.#sql.exec("DELETE FROM outbox WHERE event IS NULL AND number < (SELECT max(number) FROM outbox)");
  }

  /** Not delivered: to be tried again when it is `due`. */
  failed({ number }: JobEvent, due: number): void {
    if (!this.#exists) return;
    this.#sql.exec("UPDATE outbox SET attempts = attempts + 1, due = ? WHERE number = ?", due, number);
  }

  get #exists(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'outbox'").toArray().length > 0;
  }
}
