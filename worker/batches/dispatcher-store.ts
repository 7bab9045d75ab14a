import type { FairLimits, WaitingWork } from "../../jobs/batch/fair.ts";
import { nextToServe } from "../../jobs/batch/fair.ts";

/**
 * `next` to `total`: the members that wait. `grants`: members that had their turn and have not ended. `postponed`: members
 * that had theirs and wait again; `resting`: until when their batches do. `live`: batches
 * that were admitted and have not ended, and when they were last looked at. `known`: all batches there are. `reindexing`: the last batch that a repair of the index has come to, while there is one under way.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, next INTEGER NOT NULL, total INTEGER NOT NULL, most INTEGER NOT NULL,
    owner_most INTEGER, served INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE IF NOT EXISTS owners (id TEXT PRIMARY KEY, served INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS grants (
    batch TEXT NOT NULL, member INTEGER NOT NULL, owner TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0,
    asked_at INTEGER NOT NULL, PRIMARY KEY (batch, member)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS postponed (
    batch TEXT NOT NULL, member INTEGER NOT NULL, PRIMARY KEY (batch, member)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS resting (batch TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS live (id TEXT PRIMARY KEY, owner TEXT NOT NULL, seen_at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS live_by_owner ON live (owner, seen_at);
  CREATE TABLE IF NOT EXISTS known (id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS reindexing (id INTEGER PRIMARY KEY CHECK (id = 1), after TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS grants_by_owner ON grants (owner);
  CREATE INDEX IF NOT EXISTS grants_to_acknowledge ON grants (batch, member) WHERE acknowledged = 0;
`;

/** Work that a batch has for the dispatcher. */
export interface NewWork {
  readonly batch: string;
  readonly owner: string;
  /** The first member that waits, and the number of members. */
  readonly next: number;
  readonly total: number;
  /** Members that may run at the same time. */
  readonly most: number;
  /** Batch jobs that the owner may have running; null for no such bound. */
  readonly ownerMost: number | null;
}

/** A member that has its turn. */
export interface Grant {
  readonly batch: string;
  readonly member: number;
}

/** What waits and what runs. */
export class DispatcherStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  /** Adding it again changes nothing. */
  add({ batch, owner, next, total, most, ownerMost }: NewWork): void {
    this.#sql.exec("INSERT OR IGNORE INTO known VALUES (?)", batch);
    if (next >= total) return;
    this.#sql.exec(
      "INSERT OR IGNORE INTO batches (id, owner, next, total, most, owner_most) VALUES (?, ?, ?, ?, ?, ?)",
      batch,
      owner,
      next,
      total,
      most,
      ownerMost,
    );
    this.#sql.exec("INSERT OR IGNORE INTO owners VALUES (?, 0)", owner);
  }

  /** Counts a batch as live, if its owner has fewer than `most`. Whether it does; one that is counted already does. */
  admit(batch: string, owner: string, most: number, now: number): boolean {
    if (this.#sql.exec("SELECT 1 FROM live WHERE id = ?", batch).toArray().length > 0) return true;
    const { count } = this.#sql
      .exec<{ count: number }>("SELECT count(*) AS count FROM live WHERE owner = ?", owner)
      .one();
    if (count >= most) return false;
    this.#sql.exec("INSERT INTO live VALUES (?, ?, ?)", batch, owner, now);
    return true;
  }

  /** The batch is no longer live. */
  ended(batch: string): void {
    this.#sql.exec("DELETE FROM live WHERE id = ?", batch);
  }

  /** Live batches of an owner that have not been looked at since; from now on they have. */
  toLookAt(owner: string, since: number, now: number, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        `UPDATE live SET seen_at = ?
         WHERE id IN (SELECT id FROM live WHERE owner = ? AND seen_at < ? ORDER BY seen_at LIMIT ?) RETURNING id`,
        now,
        owner,
        since,
        limit,
      )
      .toArray()
      .map(({ id }) => id);
  }

  /** Nothing is left of the batch. */
  forget(batch: string): void {
    this.withdraw(batch);
    this.ended(batch);
    this.#sql.exec("DELETE FROM known WHERE id = ?", batch);
  }

  /** A repair of the index begins, or begins anew. */
  startReindexing(): void {
    this.#sql.exec("INSERT OR REPLACE INTO reindexing VALUES (1, '')");
  }

  /** The batches that a repair comes to next; undefined if there is none under way. */
  toReindex(limit: number): string[] | undefined {
    const [state] = this.#sql.exec<{ after: string }>("SELECT after FROM reindexing").toArray();
    if (state === undefined) return undefined;
    return this.#sql
      .exec<{ id: string }>("SELECT id FROM known WHERE id > ? ORDER BY id LIMIT ?", state.after, limit)
      .toArray()
      .map(({ id }) => id);
  }

  /** These were repaired; none if all were. */
  reindexed(ids: readonly string[]): void {
    const last = ids.at(-1);
    if (last === undefined) this.#sql.exec("DELETE FROM reindexing");
    else this.#sql.exec("UPDATE reindexing SET after = ? WHERE after < ?", last, last);
  }

  /** What waits of a batch does so no longer. */
  withdraw(batch: string): void {
    this.#sql.exec("DELETE FROM batches WHERE id = ?", batch);
    this.#sql.exec("DELETE FROM postponed WHERE batch = ?", batch);
    this.#sql.exec("DELETE FROM resting WHERE batch = ?", batch);
    this.#forgetOwners();
  }

  /** A member's turn came too early: it gives its place to others, and its batch has none before a time (milliseconds since 1970). False if it has none. */
  postpone({ batch, member }: Grant, until: number): boolean {
    // A batch that was withdrawn has nothing that could wait: its member is asked for again, and is over.
    if (this.#sql.exec("SELECT 1 FROM batches WHERE id = ?", batch).toArray().length === 0) return false;
    const granted = this.#sql
      .exec("DELETE FROM grants WHERE batch = ? AND member = ? RETURNING member", batch, member)
      .toArray();
    if (granted.length === 0) return false;
    this.#sql.exec("INSERT OR IGNORE INTO postponed VALUES (?, ?)", batch, member);
    this.#sql.exec(
      "INSERT INTO resting VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
      batch,
      until,
    );
    return true;
  }

  /** When the next batch may go on; undefined if none rests. */
  nextRested(): number | undefined {
    const query = "SELECT min(until) AS until FROM resting";
    return this.#sql.exec<{ until: number | null }>(query).one().until ?? undefined;
  }

  /** Gives turns to whoever may have one now. */
  grant(limits: FairLimits, now: number): Grant[] {
    const grants: Grant[] = [];
    this.#sql.exec("DELETE FROM resting WHERE until <= ?", now);
    const waiting = this.#sql
      .exec<{
        batch: string;
        owner: string;
        next: number;
        total: number;
        most: number;
        ownerMost: number | null;
        served: number;
        ownerServed: number;
        running: number;
        postponed: number;
      }>(
        `SELECT b.id AS batch, b.owner, b.next, b.total, b.most, b.owner_most AS ownerMost, b.served, o.served AS ownerServed,
           (SELECT count(*) FROM grants g WHERE g.batch = b.id) AS running,
           (SELECT count(*) FROM postponed p WHERE p.batch = b.id) AS postponed
         FROM batches b JOIN owners o ON o.id = b.owner WHERE b.id NOT IN (SELECT batch FROM resting)`,
      )
      .toArray();
    if (waiting.length === 0) return grants;
    const running = new Map<string, number>();
    for (const { owner, count } of this.#sql
      .exec<{ owner: string; count: number }>("SELECT owner, count(*) AS count FROM grants GROUP BY owner")
      .toArray())
      running.set(owner, count);
    let clock = Math.max(...waiting.map(({ ownerServed }) => ownerServed), this.#lastServed());
    for (;;) {
      const left: readonly WaitingWork[] = waiting.filter(
        ({ next, total, postponed }) => postponed > 0 || next < total,
      );
      const chosen = nextToServe(left, running, limits);
      const work = waiting.find(({ batch }) => batch === chosen?.batch);
      if (work === undefined) break;
      const { batch, owner } = work;
      const again = work.postponed > 0;
      const member = again ? this.#takePostponed(batch) : work.next;
      clock++;
      if (again) work.postponed--;
      else work.next++;
      work.running++;
      work.served = clock;
      for (const other of waiting) if (other.owner === owner) other.ownerServed = clock;
      running.set(owner, (running.get(owner) ?? 0) + 1);
      this.#sql.exec(
        "INSERT OR IGNORE INTO grants (batch, member, owner, asked_at) VALUES (?, ?, ?, ?)",
        batch,
        member,
        owner,
        now,
      );
      this.#sql.exec("UPDATE batches SET next = ?, served = ? WHERE id = ?", work.next, clock, batch);
      this.#sql.exec("UPDATE owners SET served = ? WHERE id = ?", clock, owner);
      grants.push({ batch, member });
    }
    return grants;
  }

  /** The first that was postponed, which no longer is. */
  #takePostponed(batch: string): number {
    return this.#sql
      .exec<{ member: number }>(
        "DELETE FROM postponed WHERE batch = ?1 AND member = (SELECT min(member) FROM postponed WHERE batch = ?1) RETURNING member",
        batch,
      )
      .one().member;
  }

  /** A job was made of it. */
  acknowledge({ batch, member }: Grant): void {
    this.#sql.exec("UPDATE grants SET acknowledged = 1 WHERE batch = ? AND member = ?", batch, member);
  }

  /** They have ended. */
  release(batch: string, members: readonly number[]): void {
    this.#sql.exec(
      "DELETE FROM grants WHERE batch = ? AND member IN (SELECT value FROM json_each(?))",
      batch,
      JSON.stringify(members),
    );
    this.#sql.exec(
      "DELETE FROM postponed WHERE batch = ? AND member IN (SELECT value FROM json_each(?))",
      batch,
      JSON.stringify(members),
    );
    // A batch of which a member runs stays: that one may yet be postponed.
    this.#sql.exec(
      "DELETE FROM batches WHERE id = ?1 AND next >= total AND id NOT IN (SELECT batch FROM grants WHERE batch = ?1 UNION SELECT batch FROM postponed WHERE batch = ?1)",
      batch,
    );
    this.#forgetOwners();
  }

  /** Whoever has nothing here is as good as new. */
  #forgetOwners(): void {
    this.#sql.exec(
      "DELETE FROM owners WHERE id NOT IN (SELECT owner FROM grants) AND id NOT IN (SELECT owner FROM batches)",
    );
  }

  unacknowledged(): Grant[] {
    return this.#sql
      .exec<{ batch: string; member: number }>("SELECT batch, member FROM grants WHERE acknowledged = 0")
      .toArray();
  }

  /** Those that have not been asked after since; from now on they have. */
  toAskAfter(since: number, now: number, limit: number): Grant[] {
    const grants = this.#sql
      .exec<{ batch: string; member: number }>(
        "SELECT batch, member FROM grants WHERE acknowledged = 1 AND asked_at < ? LIMIT ?",
        since,
        limit,
      )
      .toArray();
    for (const { batch, member } of grants)
      this.#sql.exec("UPDATE grants SET asked_at = ? WHERE batch = ? AND member = ?", now, batch, member);
    return grants;
  }

  figures(): { readonly waiting: number; readonly running: number; readonly owners: number } {
    return this.#sql
      .exec<{ waiting: number; running: number; owners: number }>(
        "SELECT (SELECT total(total - next) FROM batches) + (SELECT count(*) FROM postponed) AS waiting, (SELECT count(*) FROM grants) AS running, (SELECT count(*) FROM owners) AS owners",
      )
      .one();
  }

  #lastServed(): number {
    return this.#sql.exec<{ last: number | null }>("SELECT max(served) AS last FROM owners").one().last ?? 0;
  }
}
