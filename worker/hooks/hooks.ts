import { DurableObject } from "cloudflare:workers";
import { Alarm } from "../alarm.ts";
import { ROOT } from "../auth/principal.ts";
import type { Env } from "../env.ts";
import { retryDelay } from "../notify/backoff.ts";
import { NOTIFY_LIMITS } from "../notify/limits.ts";
import { HOOK_LIMITS } from "./limits.ts";
import { hookMessage } from "./messages.ts";
import type {
  HookOutcome,
  HookPosition,
  HookState,
  HookTask,
  HookView,
  NewHook,
  Run,
  StoredConfig,
} from "./record.ts";

interface Row extends Record<string, SqlStorageValue> {
  readonly key: string;
  readonly id: string;
  readonly source: string;
  readonly event: string;
  readonly state: string;
  readonly received_at: number;
  readonly attempts: number;
  readonly error: string | null;
  readonly runs: string;
  readonly claim: number;
}

/** What makes a delivery the same as another. */
const keyOf = (source: string, id: string): string => `${source} ${id}`;

/** A secret, without itself. */
export interface SecretView {
  readonly name: string;
  readonly createdAt: string;
}

const viewOf = (row: Row): HookView => ({
  id: row.id,
  source: row.source as HookView["source"],
  event: row.event,
  state: row.state as HookState,
  receivedAt: new Date(row.received_at).toISOString(),
  attempts: row.attempts,
  error: row.error,
  runs: (JSON.parse(row.runs) as Run[]).map(({ kind, id, rule }) => ({
    kind,
    id,
    rule,
    links: { self: kind === "job" ? `/jobs/${id}` : `/batches/${id}` },
  })),
});

/**
 * What a deployment knows of hooks: its configuration, the secrets of its tokens, and which deliveries came. One object answers for all
 * deliveries, so that one that comes twice, also at the same time, is accepted once. What is to be run is stored with that, and made by
 * whoever gets the queue's message; the alarm sends it until all is made.
 */
export class Hooks extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  readonly #alarm: Alarm;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#alarm = new Alarm(ctx);
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS config (version INTEGER PRIMARY KEY, created_at INTEGER NOT NULL, by TEXT NOT NULL, config TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS secret (owner TEXT NOT NULL, name TEXT NOT NULL, secret TEXT NOT NULL, created_at INTEGER NOT NULL,
        PRIMARY KEY (owner, name));
      CREATE TABLE IF NOT EXISTS orphan (owner TEXT PRIMARY KEY, since INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS delivery (key TEXT PRIMARY KEY, id TEXT NOT NULL, source TEXT NOT NULL, event TEXT NOT NULL,
        hash TEXT NOT NULL, state TEXT NOT NULL, received_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT,
        runs TEXT NOT NULL, next_at INTEGER NOT NULL, asked_at INTEGER NOT NULL DEFAULT 0, claim INTEGER NOT NULL DEFAULT 0,
        claimed_until INTEGER NOT NULL DEFAULT 0);
      CREATE UNIQUE INDEX IF NOT EXISTS delivery_by_hash ON delivery (source, event, hash);
      CREATE INDEX IF NOT EXISTS delivery_by_state ON delivery (state, next_at);
      CREATE INDEX IF NOT EXISTS delivery_by_time ON delivery (received_at);
    `);
    // Whoever had a claim may have died with the last instance of this object. If not, what he makes is made once all the same.
    const left = this.#sql
      .exec("UPDATE delivery SET claimed_until = 0, asked_at = 0 WHERE state = 'accepted' RETURNING key")
      .toArray();
    if (left.length > 0) ctx.blockConcurrencyWhile(() => this.#wake(Date.now()));
  }

  /** The configuration of a version, or the latest; null if there is none. */
  config(version?: number): StoredConfig | null {
    const [row] = this.#sql
      .exec<{ version: number; created_at: number; by: string; config: string }>(
        `SELECT * FROM config ${version === undefined ? "" : "WHERE version = ?"} ORDER BY version DESC LIMIT 1`,
        ...(version === undefined ? [] : [version]),
      )
      .toArray();
    if (row === undefined) return null;
    const createdAt = new Date(row.created_at).toISOString();
    return { version: row.version, createdAt, by: row.by, config: JSON.parse(row.config) as unknown };
  }

  /** Makes this the configuration. Null if the latest version is not the one that it was to follow. */
  putConfig(config: string, by: string, after: number | null): StoredConfig | null {
    const latest = this.config()?.version ?? 0;
    if (after !== null && after !== latest) return null;
    this.#sql.exec("INSERT INTO config VALUES (?, ?, ?, ?)", latest + 1, Date.now(), by, config);
    this.#sql.exec("DELETE FROM config WHERE version <= ?", latest + 1 - HOOK_LIMITS.versions);
    return this.config();
  }

  secret(owner: string, name: string): string | null {
    const [row] = this.#sql
      .exec<{ secret: string }>("SELECT secret FROM secret WHERE owner = ? AND name = ?", owner, name)
      .toArray();
    return row?.secret ?? null;
  }

  /** "created", "replaced", or "full" if the token has too many. */
  putSecret(owner: string, name: string, secret: string): "created" | "replaced" | "full" {
    const isKnown = this.secret(owner, name) !== null;
    if (!isKnown && this.secrets(owner).length >= NOTIFY_LIMITS.secrets) return "full";
    this.#sql.exec("INSERT OR REPLACE INTO secret VALUES (?, ?, ?, ?)", owner, name, secret, Date.now());
    return isKnown ? "replaced" : "created";
  }

  secrets(owner: string): SecretView[] {
    return this.#sql
      .exec<{ name: string; created_at: number }>(
        "SELECT name, created_at FROM secret WHERE owner = ? ORDER BY name",
        owner,
      )
      .toArray()
      .map(({ name, created_at }) => ({ name, createdAt: new Date(created_at).toISOString() }));
  }

  removeSecret(owner: string, name: string): boolean {
    return (
      this.#sql.exec("DELETE FROM secret WHERE owner = ? AND name = ? RETURNING name", owner, name).toArray()
        .length > 0
    );
  }

  /**
   * Which tokens there are. Secrets of those that are no more go, but not at once: their last jobs may still have something to tell.
   * To be called now and then.
   */
  keepSecretsOf(tokens: readonly string[]): void {
    const now = Date.now();
    const ids = JSON.stringify([ROOT, ...tokens]);
    this.#sql.exec("DELETE FROM orphan WHERE owner IN (SELECT value FROM json_each(?))", ids);
    this.#sql.exec(
      "INSERT OR IGNORE INTO orphan SELECT DISTINCT owner, ? FROM secret WHERE owner NOT IN (SELECT value FROM json_each(?))",
      now,
      ids,
    );
    const until = now - HOOK_LIMITS.keepMilliseconds;
    this.#sql.exec("DELETE FROM secret WHERE owner IN (SELECT owner FROM orphan WHERE since <= ?)", until);
    this.#sql.exec("DELETE FROM orphan WHERE owner NOT IN (SELECT owner FROM secret)");
  }

  /** Accepts a delivery, unless it or one of the same content was accepted before. */
  async accept(hook: NewHook): Promise<{ readonly view: HookView; readonly isNew: boolean }> {
    const { id, source, event, hash, runs } = hook;
    const key = keyOf(source, id);
    const [known] = this.#sql
      .exec<Row>(
        "SELECT * FROM delivery WHERE key = ? OR (source = ? AND event = ? AND hash = ?)",
        key,
        source,
        event,
        hash,
      )
      .toArray();
    if (known !== undefined) return { view: viewOf(known), isNew: false };
    const now = Date.now();
    const state: HookState = runs.length === 0 ? "done" : "accepted";
    this.#sql.exec(
      "INSERT INTO delivery (key, id, source, event, hash, state, received_at, runs, next_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      key,
      id,
      source,
      event,
      hash,
      state,
      now,
      JSON.stringify(runs),
      now,
    );
    await this.#wake(now);
    return { view: viewOf(this.#row(key) as Row), isNew: true };
  }

  /** A page of deliveries, newest first: those behind where another page ended. */
  list(before: HookPosition | null, limit: number): HookView[] {
    const [where, ...values] =
      before === null
        ? [""]
        : ["WHERE (received_at, key) < (?, ?)", before.receivedAt, keyOf(before.source, before.id)];
    return this.#sql
      .exec<Row>(
        `SELECT * FROM delivery ${where} ORDER BY received_at DESC, key DESC LIMIT ?`,
        ...values,
        limit,
      )
      .toArray()
      .map(viewOf);
  }

  /** For whoever got the message; null if there is nothing to be made now, or somebody does. */
  claim(key: string): HookTask | null {
    const now = Date.now();
    const [row] = this.#sql
      .exec<Row>(
        "SELECT * FROM delivery WHERE key = ? AND state = 'accepted' AND next_at <= ? AND claimed_until <= ?",
        key,
        now,
        now,
      )
      .toArray();
    if (row === undefined) return null;
    if (row.claim >= HOOK_LIMITS.claims) {
      const why = `Its jobs were begun ${row.claim} times, and nothing was heard of most of that.`;
      this.#sql.exec("UPDATE delivery SET state = 'failed', error = ? WHERE key = ?", why, key);
      return null;
    }
    const claim = row.claim + 1;
    const until = now + HOOK_LIMITS.claimMilliseconds;
    this.#sql.exec("UPDATE delivery SET claim = ?, claimed_until = ? WHERE key = ?", claim, until, key);
    const isLast = row.attempts + 1 >= HOOK_LIMITS.attempts;
    return { runs: JSON.parse(row.runs) as Run[], claim, isLast };
  }

  /** Whoever has a claim is still at it. False if it is another's by now, or all is made. */
  renew(key: string, claim: number): boolean {
    return (
      this.#sql
        .exec(
          "UPDATE delivery SET claimed_until = ? WHERE key = ? AND claim = ? AND state = 'accepted' RETURNING key",
          Date.now() + HOOK_LIMITS.claimMilliseconds,
          key,
          claim,
        )
        .toArray().length > 0
    );
  }

  async finish(key: string, claim: number, { error, again }: HookOutcome): Promise<void> {
    const row = this.#row(key);
    if (row === undefined || row.claim !== claim || row.state !== "accepted") return;
    const attempts = row.attempts + 1;
    const mayTry = again && attempts < HOOK_LIMITS.attempts;
    const state: HookState = error === null ? "done" : mayTry ? "accepted" : "failed";
    const delay = Math.min(
      HOOK_LIMITS.mostRetryMilliseconds,
      retryDelay(attempts, HOOK_LIMITS.retryMilliseconds, Math.random()),
    );
    const now = Date.now();
    this.#sql.exec(
      "UPDATE delivery SET state = ?, attempts = ?, error = ?, next_at = ?, claimed_until = 0, asked_at = 0 WHERE key = ?",
      state,
      attempts,
      error,
      now + delay,
      key,
    );
    await this.#wake(now);
  }

  override async alarm(): Promise<void> {
    this.#alarm.came();
    const now = Date.now();
    const { resendMilliseconds, keepMilliseconds } = HOOK_LIMITS;
    // Set first, so that it comes again if this is the end of the process.
    await this.#alarm.set(now + resendMilliseconds);
    this.#sql.exec(
      "DELETE FROM delivery WHERE received_at < ? AND state <> 'accepted'",
      now - keepMilliseconds,
    );
    const due = this.#sql
      .exec<{ key: string }>(
        "SELECT key FROM delivery WHERE state = 'accepted' AND next_at <= ? AND claimed_until <= ? AND asked_at <= ?",
        now,
        now,
        now - resendMilliseconds,
      )
      .toArray();
    for (const { key } of due) {
      this.#sql.exec("UPDATE delivery SET asked_at = ? WHERE key = ?", now, key);
      await this.env.WORK_QUEUE.send(hookMessage(key));
    }
    const one = (query: string, ...values: number[]): number | null =>
      this.#sql.exec<{ at: number | null }>(query, ...values).one().at;
    const next = one(
      `SELECT min(max(next_at, claimed_until, CASE asked_at WHEN 0 THEN 0 ELSE asked_at + ? END)) AS at
       FROM delivery WHERE state = 'accepted'`,
      resendMilliseconds,
    );
    const oldest = one("SELECT min(received_at) AS at FROM delivery");
    if (next !== null) await this.#alarm.set(Math.max(next, Date.now()));
    else if (oldest !== null) await this.#alarm.set(oldest + keepMilliseconds + 1);
    else await this.#alarm.delete();
  }

  #row(key: string): Row | undefined {
    return this.#sql.exec<Row>("SELECT * FROM delivery WHERE key = ?", key).toArray()[0];
  }

  #wake(at: number): Promise<void> {
    return this.#alarm.atLatest(at);
  }
}
