import { DurableObject } from "cloudflare:workers";
import { Alarm } from "../alarm.ts";
import type { Quotas } from "../auth/principal.ts";
import { withDatabase } from "../database/database.ts";
import { deleteOtherTokenRows, deleteTokenRow, writeTokenRow } from "../database/tokens.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import type { JobEvent } from "../events/event.ts";
import { QUOTA_LIMITS, REGISTER_LIMITS } from "../limits.ts";
import { logEvent, setLog } from "../log.ts";
import { snapshotKey } from "../snapshots/store.ts";
import { dayOf, type OverQuota, overQuota, type Usage } from "./quota.ts";
import { lastEventOf, Repair, type RepairReport, UnreadableJob } from "./repair.ts";
import { createRegisterTables } from "./tables.ts";
import type { StoredToken } from "./tokens.ts";

/** One figure of /metrics: its name, its labels, and by how much it grew. */
export interface Count {
  readonly name: string;
  /** As JSON, `{"verdict":"pass"}`; empty for none. */
  readonly labels: string;
  readonly value: number;
}

/**
 * What cannot be found again from anything else: which jobs there are, and the tokens. One object answers for all of them, so that
 * quotas cannot be passed by asking twice at a time. It is the truth about these; the database has copies that are faster to look through.
 *
 * A job's id is written here before the job is made, and goes when nothing is left of the job. So a repair finds every job there is.
 */
export class RegisterObject extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  readonly #alarm: Alarm;
  readonly #repair: Repair;
  /** Changes of tokens' rows in the database, one after the other: what is written last is what is here. */
  #copying: Promise<unknown> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#alarm = new Alarm(ctx);
    setLog(env);
    createRegisterTables(this.#sql);
    this.#repair = new Repair(this.#sql, env, (id) => this.forget(id));
  }

  /** Notes a job that is about to be made; null, or which quota it would exceed. The same job again is admitted again. */
  async admit(id: string, owner: string, quotas: Quotas): Promise<OverQuota | null> {
    const now = Date.now();
    const known = this.#sql.exec("SELECT 1 FROM job WHERE id = ?", id).toArray().length > 0;
    if (known) return null;
    const over = overQuota(quotas, this.#usage(owner, now), now, { job: true, bytes: 0 });
    if (over !== undefined) return over;
    // The process may die before the job is made: one of which nothing is heard is asked after soon, as its place is taken meanwhile.
    const { silentMilliseconds, unheardMilliseconds } = REGISTER_LIMITS;
    this.#sql.exec(
      "INSERT INTO job (id, owner, created_at, live, heard_at) VALUES (?, ?, ?, 1, ?)",
      id,
      owner,
      now,
      now - silentMilliseconds + unheardMilliseconds,
    );
    await this.#alarmIn(unheardMilliseconds + 1);
    return null;
  }

  /** Whether a token may store so much more; null, or why not. */
  room(owner: string, quotas: Quotas, bytes: number): OverQuota | null {
    const now = Date.now();
    return overQuota(quotas, this.#usage(owner, now), now, { job: false, bytes }) ?? null;
  }

  /** As `room`, and holds it under a key until a time: whoever asks next finds that much less. */
  hold(key: string, owner: string, quotas: Quotas, bytes: number, until: number): OverQuota | null {
    const over = this.room(owner, quotas, bytes);
    if (over === null) this.store(key, owner, bytes, until, false);
    return over;
  }

  /**
   * Notes a file that a token is about to store, unless it is noted already; null, or why there is no room for it. It takes its room from
   * what was `held` for it, and what that lacks must be free.
   */
  keep(
    file: { readonly key: string; readonly bytes: number; readonly until: number },
    owner: string,
    quotas: Quotas,
    held: string | null,
  ): OverQuota | null {
    const { key, bytes, until } = file;
    const now = Date.now();
    const [known] = this.#sql.exec("SELECT 1 FROM stored WHERE key = ? AND until > ?", key, now).toArray();
    if (known !== undefined) return null;
    const [row] = this.#sql
      .exec<{ bytes: number }>("SELECT bytes FROM stored WHERE key = ? AND until > ?", held ?? "", now)
      .toArray();
    const taken = Math.min(bytes, row?.bytes ?? 0);
    const over = this.room(owner, quotas, bytes - taken);
    if (over !== null) return over;
    if (held !== null) this.#sql.exec("UPDATE stored SET bytes = bytes - ? WHERE key = ?", taken, held);
    this.store(key, owner, bytes, until, false);
    return null;
  }

  /** Notes something that is kept for a token until a time. What had the same key is replaced, or if it is `shared` stays as it is. */
  store(key: string, owner: string, bytes: number, until: number, shared: boolean): void {
    this.#sql.exec("DELETE FROM stored WHERE until <= ?", Date.now());
    if (shared && this.#sql.exec("SELECT 1 FROM stored WHERE key = ?", key).toArray().length > 0) return;
    this.#sql.exec(
      "INSERT INTO stored VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, bytes = excluded.bytes, until = excluded.until",
      key,
      owner,
      bytes,
      until,
    );
  }

  unstore(key: string): void {
    this.#sql.exec("DELETE FROM stored WHERE key = ?", key);
  }

  /** What happened to a job. The end is accounted once, however often it comes. */
  heard({ type, jobId, owner, job, at }: Pick<JobEvent, "type" | "jobId" | "owner" | "job" | "at">): void {
    const now = Date.now();
    if (type !== "job.ended") {
      // It may have been asked after before it was made, and forgotten.
      this.#sql.exec(
        `INSERT INTO job (id, owner, created_at, live, heard_at) VALUES (?, ?, ?, 1, ?)
         ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at`,
        jobId,
        owner,
        Date.parse(job.createdAt),
        now,
      );
      return;
    }
    const [known] = this.#sql.exec<{ live: number }>("SELECT live FROM job WHERE id = ?", jobId).toArray();
    if (known?.live === 0) return;
    const keptUntil = job.keptUntil === null ? 0 : Date.parse(job.keptUntil);
    const after = job.consoleBytes + QUOTA_LIMITS.jobBytes;
    // Never negative, whatever a snapshot claims: that would give back what other jobs took.
    const executed = Math.max(0, job.from?.since.instructions ?? job.instructions);
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec(
        `INSERT INTO job VALUES (?, ?, ?, 0, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
         SET live = 0, heard_at = excluded.heard_at, bytes = excluded.bytes, kept_until = excluded.kept_until, bytes_after = excluded.bytes_after`,
        jobId,
        owner,
        Date.parse(job.createdAt),
        now,
        job.storage.bytes,
        keptUntil,
        after,
      );
      this.#sql.exec(
        "INSERT INTO used VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET instructions = instructions + excluded.instructions",
        owner,
        dayOf(at),
        executed,
      );
      this.#sql.exec("DELETE FROM used WHERE day < ?", dayOf(now - REGISTER_LIMITS.usedMilliseconds));
      this.#count([
        { name: "jobs_ended", labels: JSON.stringify({ verdict: job.verdict ?? "none" }), value: 1 },
        { name: "guest_instructions", labels: "", value: executed },
        { name: "run_seconds", labels: "", value: job.runSeconds },
        { name: "checkpoints", labels: "", value: job.checkpoints.count },
        { name: "checkpoint_bytes", labels: "", value: job.checkpoints.bytesWritten },
        { name: "interruptions", labels: "", value: job.interruptions },
      ]);
    });
  }

  /** Nothing is left of a job. */
  forget(id: string): void {
    this.#sql.exec("DELETE FROM job WHERE id = ?", id);
    const snapshots = snapshotKey({ job: id, snapshot: "" });
    this.#sql.exec("DELETE FROM stored WHERE substr(key, 1, ?) = ?", snapshots.length, snapshots);
  }

  usage(owner: string): Usage {
    return this.#usage(owner, Date.now());
  }

  #usage(owner: string, now: number): Usage {
    const one = (query: string, ...values: (string | number)[]): number =>
      this.#sql.exec<{ n: number | null }>(query, ...values).one().n ?? 0;
    const jobBytes = one(
      "SELECT sum(CASE WHEN kept_until > ? THEN bytes ELSE bytes_after END) AS n FROM job WHERE owner = ? AND live = 0",
      now,
      owner,
    );
    const stored = one("SELECT sum(bytes) AS n FROM stored WHERE owner = ? AND until > ?", owner, now);
    return {
      concurrentJobs: one("SELECT count(*) AS n FROM job WHERE owner = ? AND live = 1", owner),
      instructionsToday: one(
        "SELECT sum(instructions) AS n FROM used WHERE owner = ? AND day = ?",
        owner,
        dayOf(now),
      ),
      storageBytes: jobBytes + stored,
    };
  }

  /** Keeps a new token; `hash` is of its text. */
  async addToken(token: StoredToken, hash: string): Promise<void> {
    this.#sql.exec("INSERT INTO token VALUES (?, ?, ?)", token.id, hash, JSON.stringify(token));
    // It is valid without its copy, only slower.
    await this.#copyToken(token.id).catch((error: unknown) =>
      logEvent("tokens.not-copied", { token: token.id, error: messageOf(error) }),
    );
  }

  /** The token whose text has this hash. */
  findToken(hash: string): StoredToken | null {
    const [row] = this.#sql.exec<{ token: string }>("SELECT token FROM token WHERE hash = ?", hash).toArray();
    return row === undefined ? null : (JSON.parse(row.token) as StoredToken);
  }

  listTokens(): StoredToken[] {
    const rows = this.#sql.exec<{ token: string }>("SELECT token FROM token").toArray();
    return rows
      .map(({ token }) => JSON.parse(token) as StoredToken)
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /** The same, each with what it takes of its quotas. */
  listUsages(): { readonly token: StoredToken; readonly usage: Usage }[] {
    const now = Date.now();
    return this.listTokens().map((token) => ({ token, usage: this.#usage(token.id, now) }));
  }

  /** False if there was none. Rejects if its copy could not be removed: until the repair that begins has done so it may still be valid. */
  async removeToken(id: string): Promise<boolean> {
    const removed = this.#sql.exec("DELETE FROM token WHERE id = ? RETURNING id", id).toArray().length > 0;
    // Stored with that, without a wait: should the process die now, the alarm removes the copy, which else would be valid for ever.
    this.#sql.exec("INSERT OR IGNORE INTO uncopied VALUES (?)", id);
    void this.#alarmIn(REGISTER_LIMITS.copyMilliseconds);
    try {
      await this.#copyToken(id);
      this.#sql.exec("DELETE FROM uncopied WHERE id = ?", id);
    } catch (error) {
      logEvent("tokens.not-removed", { token: id, error: messageOf(error) });
      await this.startRepair();
      throw error;
    }
    return removed;
  }

  /** Makes the database's row of a token what is here. */
  #copyToken(id: string): Promise<void> {
    return this.#copy((database) => {
      const [row] = this.#sql
        .exec<{ hash: string; token: string }>("SELECT hash, token FROM token WHERE id = ?", id)
        .toArray();
      return row === undefined
        ? deleteTokenRow(database, id)
        : writeTokenRow(database, id, row.hash, row.token);
    });
  }

  /** Removes the copies of tokens that were removed, where that was broken off. It comes again if it fails. */
  async #copyRemoved(): Promise<void> {
    const ids = this.#sql
      .exec<{ id: string }>("SELECT id FROM uncopied")
      .toArray()
      .map(({ id }) => id);
    if (ids.length === 0) return;
    void this.#alarmIn(REGISTER_LIMITS.repairRetryMilliseconds);
    try {
      for (const id of ids) {
        await this.#copyToken(id);
        this.#sql.exec("DELETE FROM uncopied WHERE id = ?", id);
      }
    } catch (error) {
      logEvent("tokens.not-removed", { error: messageOf(error) });
    }
  }

  /** The same of all tokens; a copy that outlived its token goes: it would be valid for ever. */
  async #copyTokens(): Promise<void> {
    const ids = (): string[] => this.listTokens().map(({ id }) => id);
    for (const id of ids()) await this.#copyToken(id);
    await this.#copy((database) => deleteOtherTokenRows(database, ids()));
    this.#sql.exec("DELETE FROM uncopied WHERE id NOT IN (SELECT id FROM token)");
  }

  /** Changes tokens' rows when those before have. */
  #copy(change: (database: D1Database) => Promise<void>): Promise<void> {
    const copied = this.#copying.then(() => withDatabase(this.env, change));
    this.#copying = copied.catch(() => {});
    return copied;
  }

  /** Adds to the figures of /metrics. */
  count(counts: readonly Count[]): void {
    this.ctx.storage.transactionSync(() => this.#count(counts));
  }

  #count(counts: readonly Count[]): void {
    for (const { name, labels, value } of counts) {
      this.#sql.exec(
        "INSERT INTO total VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        name,
        labels,
        value,
      );
    }
  }

  totals(): Count[] {
    return this.#sql
      .exec<{ name: string; labels: string; value: number }>("SELECT * FROM total ORDER BY name, labels")
      .toArray();
  }

  /** What there is now, of everybody's. */
  kept(): { readonly live: number; readonly tokens: number; readonly bytes: number } {
    const now = Date.now();
    const one = (query: string, ...values: number[]): number =>
      this.#sql.exec<{ n: number | null }>(query, ...values).one().n ?? 0;
    return {
      live: one("SELECT count(*) AS n FROM job WHERE live = 1"),
      tokens: one("SELECT count(*) AS n FROM token"),
      bytes:
        one(
          "SELECT sum(CASE WHEN kept_until > ? THEN bytes ELSE bytes_after END) AS n FROM job WHERE live = 0",
          now,
        ) + one("SELECT sum(bytes) AS n FROM stored WHERE until > ?", now),
    };
  }

  /** Begins to make the database's tables anew from the jobs; one that is under way goes on. */
  async startRepair(): Promise<RepairReport> {
    const report = this.#repair.start();
    await this.#alarm.set(Date.now());
    return report;
  }

  /** The last repair, or the one under way; null if there was none. */
  lastRepair(): RepairReport | null {
    return this.#repair.report() ?? null;
  }

  override async alarm(): Promise<void> {
    this.#alarm.came();
    await this.#copyRemoved();
    if (this.#repair.isUnderWay) {
      // Set first, so that a step that dies comes again.
      await this.#alarm.set(Date.now() + REGISTER_LIMITS.repairRetryMilliseconds);
      try {
        if (this.#repair.phase === "tokens") await this.#copyTokens();
        await this.#repair.step();
      } catch (error) {
        // The database may be away for long; jobs can be asked all the same.
        logEvent("repair.delayed", { error: messageOf(error) });
        await this.#sweep();
        return;
      }
      if (this.#repair.isUnderWay) {
        await this.#alarm.set(Date.now());
        return;
      }
    }
    await this.#sweep();
  }

  /**
   * Asks after live jobs that were not heard of for long. One that was never made, as the process died before, frees its place; one that
   * ended and could not say so is accounted; one whose alarm the platform gave up gets it again by being asked; one that cannot be
   * read will never say that it has ended, and takes no place any more.
   */
  async #sweep(): Promise<void> {
    const silent = this.#sql
      .exec<{ id: string }>(
        "SELECT id FROM job WHERE live = 1 AND heard_at < ? ORDER BY heard_at LIMIT ?",
        Date.now() - REGISTER_LIMITS.silentMilliseconds,
        REGISTER_LIMITS.sweepJobs,
      )
      .toArray();
    for (const { id } of silent) {
      try {
        const event = await lastEventOf(this.env, id);
        if (event === null) this.forget(id);
        else this.heard(event);
      } catch (error) {
        logEvent("register.unreachable", { job: id, error: messageOf(error) });
        const live = error instanceof UnreadableJob ? 0 : 1;
        this.#sql.exec("UPDATE job SET heard_at = ?, live = ? WHERE id = ?", Date.now(), live, id);
      }
    }
    const { silentMilliseconds, sweepMilliseconds, leastSweepMilliseconds } = REGISTER_LIMITS;
    const { at } = this.#sql
      .exec<{ at: number | null }>("SELECT min(heard_at) AS at FROM job WHERE live = 1")
      .one();
    if (at === null) return;
    const wait = at + silentMilliseconds + 1 - Date.now();
    await this.#alarmIn(Math.min(Math.max(wait, leastSweepMilliseconds), sweepMilliseconds));
  }

  #alarmIn(milliseconds: number): Promise<void> {
    return this.#alarm.atLatest(Date.now() + milliseconds);
  }
}
