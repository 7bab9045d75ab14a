import { NOTIFY_LIMITS } from "./limits.ts";
import type { Attempt, DeliveryState, DeliveryView, NewDelivery, Outcome, Subject, Task } from "./record.ts";

interface Row extends Record<string, SqlStorageValue> {
  readonly seq: number;
  readonly id: string;
  readonly kind: string;
  readonly webhook_id: string;
  readonly type: string;
  readonly url: string;
  readonly secret: string | null;
  readonly body: string;
  readonly state: string;
  readonly attempts: number;
  readonly created_at: number;
  readonly give_up_at: number;
  readonly next_at: number;
  readonly delivered_at: number | null;
  readonly claim: number;
  readonly claimed_until: number;
  readonly log: string;
}

/**
 * An earlier one to the same address goes first: an event until it was tried once, so that they come in order if all is well, and a
 * status until it is through, as the last one counts.
 */
const FIRST = `d.state = 'pending' AND NOT EXISTS (
  SELECT 1 FROM delivery AS e WHERE e.url = d.url AND e.seq < d.seq AND e.state = 'pending' AND (e.attempts = 0 OR d.kind = 'status'))`;
const READY = `SELECT * FROM delivery AS d WHERE ${FIRST} AND claimed_until <= ?1 AND next_at <= ?1`;

const iso = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString();

/** The deliveries of one job or batch, in the storage of its Notifier. Times are milliseconds since 1970. */
export class DeliveryStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Makes the tables; whoever only looks need not. */
  create(subject: Subject, now: number): void {
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS subject (one INTEGER PRIMARY KEY CHECK (one = 1), subject TEXT NOT NULL, changed_at INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS delivery (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, webhook_id TEXT NOT NULL,
        type TEXT NOT NULL, url TEXT NOT NULL, secret TEXT, body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        created_at INTEGER NOT NULL, give_up_at INTEGER NOT NULL, next_at INTEGER NOT NULL, delivered_at INTEGER,
        claim INTEGER NOT NULL DEFAULT 0, claimed_until INTEGER NOT NULL DEFAULT 0, asked_at INTEGER NOT NULL DEFAULT 0,
        log TEXT NOT NULL DEFAULT '[]', version INTEGER NOT NULL DEFAULT 1, indexed INTEGER NOT NULL DEFAULT 0);
    `);
    this.#sql.exec("INSERT OR IGNORE INTO subject VALUES (1, ?, ?)", JSON.stringify(subject), now);
  }

  /** What the deliveries are about; undefined if there are none. */
  subject(): Subject | undefined {
    if (this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'subject'").toArray().length === 0)
      return undefined;
    const [row] = this.#sql.exec<{ subject: string }>("SELECT subject FROM subject").toArray();
    return row && (JSON.parse(row.subject) as Subject);
  }

  get changedAt(): number {
    return this.#sql.exec<{ at: number }>("SELECT changed_at AS at FROM subject").one().at;
  }

  #touch(now: number): void {
    this.#sql.exec("UPDATE subject SET changed_at = ?", now);
  }

  /** One that is there already is left as it is. A new status makes those before it pointless. */
  add({ id, kind, webhookId, type, url, secret, body }: NewDelivery, now: number): void {
    const { n } = this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM delivery").one();
    if (n >= NOTIFY_LIMITS.deliveries) return;
    const isNew =
      this.#sql
        .exec(
          `INSERT OR IGNORE INTO delivery (id, kind, webhook_id, type, url, secret, body, state, attempts, created_at, give_up_at, next_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?, ?, ?) RETURNING seq`,
          id,
          kind,
          webhookId,
          type,
          url,
          secret,
          body,
          now,
          now + NOTIFY_LIMITS.giveUpMilliseconds,
          now,
        )
        .toArray().length > 0;
    if (isNew && kind === "status") {
      this.#sql.exec(
        `UPDATE delivery SET state = 'superseded', version = version + 1
         WHERE kind = 'status' AND url = ? AND id <> ? AND state = 'pending' AND claimed_until <= ?`,
        url,
        id,
        now,
      );
    }
    this.#touch(now);
  }

  /** Those that are to be sent now, and of which nobody was told lately. */
  toAsk(now: number): string[] {
    return this.#sql
      .exec<Row & { asked_at: number }>(
        `${READY} AND asked_at <= ?2`,
        now,
        now - NOTIFY_LIMITS.resendMilliseconds,
      )
      .toArray()
      .map(({ id }) => id);
  }

  asked(id: string, now: number): void {
    this.#sql.exec("UPDATE delivery SET asked_at = ? WHERE id = ?", now, id);
  }

  /** For whoever is to send it now; undefined if nobody is to, or somebody else does. */
  claim(id: string, now: number): Omit<Task, "owner"> | undefined {
    const [row] = this.#sql.exec<Row>(`${READY} AND d.id = ?2`, now, id).toArray();
    if (row === undefined) return undefined;
    const claim = row.claim + 1;
    this.#sql.exec(
      "UPDATE delivery SET claim = ?, claimed_until = ? WHERE id = ?",
      claim,
      now + NOTIFY_LIMITS.claimMilliseconds,
      id,
    );
    const { kind, webhook_id: webhookId, url, secret, body } = row;
    return { id, kind: kind as Task["kind"], webhookId, url, secret, body, claim };
  }

  /** What came of a claim. `nextDelay` says how long to wait after so many attempts. */
  finish(
    id: string,
    claim: number,
    outcome: Outcome,
    now: number,
    nextDelay: (attempts: number) => number,
  ): void {
    const [row] = this.#sql
      .exec<Row>("SELECT * FROM delivery WHERE id = ? AND claim = ?", id, claim)
      .toArray();
    if (row === undefined || row.state !== "pending") return;
    const attempts = row.attempts + 1;
    const { status, error, again, milliseconds } = outcome;
    const attempt: Attempt = { at: new Date(now).toISOString(), milliseconds, status, error };
    const log = [...(JSON.parse(row.log) as Attempt[]), attempt].slice(-NOTIFY_LIMITS.attempts);
    const next = now + nextDelay(attempts);
    let state: DeliveryState = "pending";
    if (error === null) state = "delivered";
    else if (this.#isSuperseded(row)) state = "superseded";
    else if (!again || next > row.give_up_at) state = "failed";
    this.#sql.exec(
      `UPDATE delivery SET state = ?, attempts = ?, log = ?, next_at = ?, delivered_at = ?, claimed_until = 0, asked_at = 0,
         version = version + 1 WHERE id = ?`,
      state,
      attempts,
      JSON.stringify(log),
      next,
      state === "delivered" ? now : null,
      id,
    );
    this.#touch(now);
  }

  #isSuperseded({ kind, url, seq }: Row): boolean {
    return (
      kind === "status" &&
      this.#sql
        .exec("SELECT 1 FROM delivery WHERE kind = 'status' AND url = ? AND seq > ?", url, seq)
        .toArray().length > 0
    );
  }

  /** It is sent once more, now, whatever became of it. False if there is none of this id. */
  again(id: string, now: number): boolean {
    const found = this.#sql
      .exec(
        `UPDATE delivery SET state = 'pending', next_at = ?, give_up_at = ?, delivered_at = NULL, asked_at = 0, version = version + 1
         WHERE id = ? RETURNING id`,
        now,
        now + NOTIFY_LIMITS.giveUpMilliseconds,
        id,
      )
      .toArray();
    if (found.length > 0) this.#touch(now);
    return found.length > 0;
  }

  /** When there is something to send next; undefined if nothing waits. */
  nextDue(): number | undefined {
    const { due } = this.#sql
      .exec<{ due: number | null }>(
        `SELECT min(max(next_at, claimed_until, CASE asked_at WHEN 0 THEN 0 ELSE asked_at + ? END)) AS due
         FROM delivery AS d WHERE ${FIRST}`,
        NOTIFY_LIMITS.resendMilliseconds,
      )
      .one();
    return due ?? undefined;
  }

  list(): DeliveryView[] {
    const subject = this.subject();
    if (subject === undefined) return [];
    return this.#sql
      .exec<Row>("SELECT * FROM delivery ORDER BY seq")
      .toArray()
      .map((row) => viewOf(row, subject));
  }

  /** What the index has not heard of yet. */
  toIndex(): { readonly view: DeliveryView; readonly version: number }[] {
    const subject = this.subject();
    if (subject === undefined) return [];
    return this.#sql
      .exec<Row & { readonly version: number }>("SELECT * FROM delivery WHERE indexed < version ORDER BY seq")
      .toArray()
      .map((row) => ({ view: viewOf(row, subject), version: row.version }));
  }

  indexed(id: string, version: number): void {
    this.#sql.exec("UPDATE delivery SET indexed = max(indexed, ?) WHERE id = ?", version, id);
  }

  /** The index has lost what it had. */
  notIndexed(): void {
    this.#sql.exec("UPDATE delivery SET indexed = 0");
  }
}

function viewOf(row: Row, { kind, id: subject }: Subject): DeliveryView {
  const log = JSON.parse(row.log) as Attempt[];
  const last = log.at(-1);
  return {
    id: row.id,
    kind: row.kind as DeliveryView["kind"],
    job: kind === "job" ? subject : null,
    batch: kind === "batch" ? subject : null,
    webhookId: row.webhook_id,
    type: row.type,
    url: row.url,
    state: row.state as DeliveryState,
    attempts: row.attempts,
    createdAt: new Date(row.created_at).toISOString(),
    deliveredAt: iso(row.delivered_at),
    nextAttemptAt: row.state === "pending" ? iso(row.next_at) : null,
    lastStatus: last?.status ?? null,
    lastError: last?.error ?? null,
    log,
    links: { redeliver: `/deliveries/${row.id}/redeliver` },
  };
}
