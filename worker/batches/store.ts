import type { MemberSpec } from "../../jobs/batch/schema.ts";
import type { VerdictCounts } from "../../jobs/batch/summary.ts";
import type { Verdict } from "../../jobs/verdict.ts";
import { pick } from "../pick.ts";
import { type JobNews, type MemberState, type MemberView, SHOWN } from "./member.ts";
import type { BatchRecord } from "./record.ts";

/**
 * `ended` is 0 or 1; `released`: the dispatcher knows it. `cancel`: the job is to be canceled. `event`: number of the last event
 * that changed the row. `report`: what reports say of it, once it was collected.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS member (
    ix INTEGER PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, job TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    verdict TEXT, reason TEXT, code TEXT, field TEXT, instructions INTEGER NOT NULL DEFAULT 0,
    guest_seconds REAL NOT NULL DEFAULT 0, run_seconds REAL NOT NULL DEFAULT 0, started_at TEXT, ended_at TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, event INTEGER NOT NULL DEFAULT 0, made INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0, released INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0, report TEXT);
  CREATE INDEX IF NOT EXISTS member_by_state ON member (state, verdict, ix);
  CREATE INDEX IF NOT EXISTS member_by_verdict ON member (verdict, ix);
  CREATE INDEX IF NOT EXISTS member_to_release ON member (ix) WHERE ended = 1 AND released = 0;
  CREATE INDEX IF NOT EXISTS member_to_cancel ON member (ix) WHERE cancel = 1 AND ended = 0;
  CREATE INDEX IF NOT EXISTS member_to_report ON member (ix) WHERE ended = 1 AND made = 1 AND report IS NULL;
`;

interface Row {
  readonly [column: string]: SqlStorageValue;
  readonly ix: number;
  readonly name: string;
  readonly spec: string;
  readonly job: string;
  readonly state: string;
  readonly verdict: string | null;
  readonly reason: string | null;
  readonly code: string | null;
  readonly field: string | null;
  readonly instructions: number;
  readonly guest_seconds: number;
  readonly run_seconds: number;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly attempts: number;
  readonly event: number;
  readonly made: number;
  readonly ended: number;
  readonly cancel: number;
}
const COLUMNS =
  "ix, name, spec, job, state, verdict, reason, code, field, instructions, guest_seconds, run_seconds, started_at, ended_at, attempts, event, made, ended, cancel";

/** A member as it is stored. */
export interface Member extends Omit<MemberView, "links" | "request" | "job" | "startedAt" | "endedAt"> {
  /** Its job's id, whether or not that was made. */
  readonly job: string;
  readonly spec: Omit<MemberSpec, "name">;
  /** The part of the request that was refused. */
  readonly field: string | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly attempts: number;
  readonly made: boolean;
  readonly ended: boolean;
  readonly cancel: boolean;
}

function memberOf(row: Row): Member {
  return {
    index: row.ix,
    name: row.name,
    spec: JSON.parse(row.spec) as Member["spec"],
    job: row.job,
    state: row.state as MemberState,
    verdict: row.verdict as Verdict | null,
    reason: row.reason,
    reasonCode: row.code,
    field: row.field,
    instructions: row.instructions,
    guestSeconds: row.guest_seconds,
    runSeconds: row.run_seconds,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    attempts: row.attempts,
    made: row.made === 1,
    ended: row.ended === 1,
    cancel: row.cancel === 1,
  };
}

/** Addresses of those who are told may be secrets, and public batches are everybody's to see. */
function withoutNotify(spec: Member["spec"]): Member["spec"] {
  const { notify: _, ...config } = spec.config;
  return { ...spec, config };
}

export function viewOfMember(member: Member): MemberView {
  const job = member.made ? member.job : null;
  return {
    ...pick(member, SHOWN),
    job,
    request: withoutNotify(member.spec),
    links: { job: job === null ? null : `/jobs/${job}` },
  };
}

/** How a member ended that never was a job. */
export interface Ending {
  readonly state: "refused" | "canceled" | "error";
  readonly verdict: Verdict;
  readonly reason: string;
  readonly code: string;
  readonly field?: string;
}

/** What members are asked for. */
export interface MemberFilter {
  /** Those after this index; -1 for all. */
  readonly after: number;
  readonly limit: number;
  readonly state?: string;
  readonly verdict?: string;
}

/** The tables of one batch's object. All that is known of the batch is here. */
export class BatchStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Tables are made with the batch, so that asking for one that does not exist leaves nothing behind. */
  create(record: BatchRecord, members: readonly MemberSpec[]): void {
    this.#sql.exec(TABLES);
    for (const [index, { name, ...spec }] of members.entries()) {
      const job = crypto.randomUUID().replaceAll("-", "");
      const text = JSON.stringify(spec);
      this.#sql.exec(
        "INSERT INTO member (ix, name, spec, job, state) VALUES (?, ?, ?, ?, 'waiting')",
        index,
        name,
        text,
        job,
      );
    }
    this.save(record);
  }

  read(): BatchRecord | undefined {
    const found = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'batch'").toArray();
    if (found.length === 0) return undefined;
    const [row] = this.#sql.exec<{ record: string }>("SELECT record FROM batch").toArray();
    return row && (JSON.parse(row.record) as BatchRecord);
  }

  save(record: BatchRecord): void {
    this.#sql.exec("INSERT OR REPLACE INTO batch VALUES (1, ?)", JSON.stringify(record));
  }

  member(index: number): Member | undefined {
    const [row] = this.#sql.exec<Row>(`SELECT ${COLUMNS} FROM member WHERE ix = ?`, index).toArray();
    return row && memberOf(row);
  }

  memberOfJob(job: string): Member | undefined {
    const [row] = this.#sql.exec<Row>(`SELECT ${COLUMNS} FROM member WHERE job = ?`, job).toArray();
    return row && memberOf(row);
  }

  members({ after, limit, state, verdict }: MemberFilter): Member[] {
    const where = ["ix > ?"];
    const values: SqlStorageValue[] = [after];
    for (const [column, value] of Object.entries({ state, verdict })) {
      if (value === undefined) continue;
      where.push(`${column} = ?`);
      values.push(value);
    }
    return this.#sql
      .exec<Row>(
        `SELECT ${COLUMNS} FROM member WHERE ${where.join(" AND ")} ORDER BY ix LIMIT ?`,
        ...values,
        limit,
      )
      .toArray()
      .map(memberOf);
  }

  /** Whether a member says for itself that its job is private. */
  hasPrivateMember(): boolean {
    const query = "SELECT 1 FROM member WHERE json_extract(spec, '$.config.visibility') = 'private' LIMIT 1";
    return this.#sql.exec(query).toArray().length > 0;
  }

  /** The first that waits; undefined if none does. */
  firstWaiting(): number | undefined {
    const [row] = this.#sql
      .exec<{ ix: number }>("SELECT ix FROM member WHERE state = 'waiting' ORDER BY ix LIMIT 1")
      .toArray();
    return row?.ix;
  }

  counts(): { readonly states: Readonly<Record<string, number>>; readonly verdicts: VerdictCounts } {
    const rows = this.#sql
      .exec<{ state: string; verdict: string | null; count: number }>(
        "SELECT state, verdict, count(*) AS count FROM member GROUP BY state, verdict",
      )
      .toArray();
    const states: Record<string, number> = {};
    const verdicts: Partial<Record<Verdict, number>> = {};
    for (const { state, verdict, count } of rows) {
      states[state] = (states[state] ?? 0) + count;
      if (verdict !== null) verdicts[verdict as Verdict] = (verdicts[verdict as Verdict] ?? 0) + count;
    }
    return { states, verdicts };
  }

  sums(): { readonly instructions: number; readonly runSeconds: number } {
    return this.#sql
      .exec<{ instructions: number; runSeconds: number }>(
        "SELECT total(instructions) AS instructions, total(run_seconds) AS runSeconds FROM member",
      )
      .one();
  }

  /** A job is about to be made of the member. */
  starting(index: number): void {
    this.#sql.exec(
      "UPDATE member SET state = 'starting', attempts = attempts + 1, reason = NULL, code = NULL WHERE ix = ? AND ended = 0",
      index,
    );
  }

  /** It waits for another turn, and says why. */
  postponed(index: number, reason: string, code: string): void {
    this.#sql.exec(
      "UPDATE member SET state = 'waiting', attempts = 0, reason = ?, code = ? WHERE ix = ? AND made = 0 AND ended = 0",
      reason,
      code,
      index,
    );
  }

  made(index: number): void {
    this.#sql.exec("UPDATE member SET made = 1 WHERE ix = ?", index);
    this.#sql.exec("UPDATE member SET state = 'queued' WHERE ix = ? AND state = 'starting'", index);
  }

  /** What was heard of a job, unless something newer was. Whether it changed anything. */
  news({ job, number, view }: JobNews): boolean {
    return (
      this.#sql
        .exec(
          `UPDATE member SET made = 1, event = ?, state = ?, verdict = ?, reason = ?, code = ?, instructions = ?,
             guest_seconds = ?, run_seconds = ?, started_at = ?, ended_at = ?, ended = ?
           WHERE job = ? AND ended = 0 AND event < ? RETURNING ix`,
          number,
          view.state,
          view.verdict,
          view.reason,
          view.reasonCode,
          view.instructions,
          view.guestSeconds,
          view.runSeconds,
          view.startedAt,
          view.endedAt,
          view.endedAt === null ? 0 : 1,
          job,
          number,
        )
        .toArray().length > 0
    );
  }

  /** The member is over without a job. Whether it was not over before. */
  end(index: number, { state, verdict, reason, code, field }: Ending, now: number): boolean {
    return (
      this.#sql
        .exec(
          `UPDATE member SET state = ?, verdict = ?, reason = ?, code = ?, field = ?, ended_at = ?, ended = 1
           WHERE ix = ? AND ended = 0 RETURNING ix`,
          state,
          verdict,
          reason,
          code,
          field ?? null,
          new Date(now).toISOString(),
          index,
        )
        .toArray().length > 0
    );
  }

  /** Members that wait are over; the jobs of the others are to be canceled. */
  cancel({ state, verdict, reason, code }: Ending, now: number): void {
    // Nobody but the dispatcher's withdrawal need know of those that never had their turn.
    this.#sql.exec(
      `UPDATE member SET state = ?, verdict = ?, reason = ?, code = ?, ended_at = ?, ended = 1, released = 1
       WHERE state = 'waiting'`,
      state,
      verdict,
      reason,
      code,
      new Date(now).toISOString(),
    );
    this.#sql.exec("UPDATE member SET cancel = 1 WHERE ended = 0");
  }

  toCancel(limit: number): Member[] {
    return this.#sql
      .exec<Row>(`SELECT ${COLUMNS} FROM member WHERE cancel = 1 AND ended = 0 AND made = 1 LIMIT ?`, limit)
      .toArray()
      .map(memberOf);
  }

  toRelease(limit: number): number[] {
    return this.#sql
      .exec<{ ix: number }>("SELECT ix FROM member WHERE ended = 1 AND released = 0 LIMIT ?", limit)
      .toArray()
      .map(({ ix }) => ix);
  }

  released(indices: readonly number[]): void {
    this.#sql.exec(
      "UPDATE member SET released = 1 WHERE ix IN (SELECT value FROM json_each(?))",
      JSON.stringify(indices),
    );
  }

  toReport(limit: number): Member[] {
    return this.#sql
      .exec<Row>(
        `SELECT ${COLUMNS} FROM member WHERE ended = 1 AND made = 1 AND report IS NULL LIMIT ?`,
        limit,
      )
      .toArray()
      .map(memberOf);
  }

  report(index: number, text: string): void {
    this.#sql.exec("UPDATE member SET report = ? WHERE ix = ?", text, index);
  }

  /** Reports of the members after an index, as JSON; null for one that has none yet. */
  reports(after: number, limit: number): { readonly member: Member; readonly report: string | null }[] {
    return this.#sql
      .exec<Row & { readonly report: string | null }>(
        `SELECT ${COLUMNS}, report FROM member WHERE ix > ? ORDER BY ix LIMIT ?`,
        after,
        limit,
      )
      .toArray()
      .map((row) => ({ member: memberOf(row), report: row.report }));
  }
}
