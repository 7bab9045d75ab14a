import { dispatcherOf } from "../batches/dispatcher-stub.ts";
import { makeTables, withDatabase } from "../database/database.ts";
import { deleteJobRow, jobIdsAfter } from "../database/jobs.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { INDEXES } from "../events/dispatch.ts";
import type { JobEvent } from "../events/event.ts";
import { hooksOf } from "../hooks/stub.ts";
import { REGISTER_LIMITS } from "../limits.ts";
import { logInfo } from "../log.ts";
import type { Unreadable } from "../runner/job-runner.ts";
import { countSnapshots, uncountLost } from "./files.ts";

/** How a repair goes. Times are milliseconds since 1970. */
export interface RepairReport {
  readonly phase: "tokens" | "jobs" | "rows" | "snapshots" | "files" | "done";
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Jobs that were asked for their state. */
  readonly jobs: number;
  /** Noted jobs that were never made, or of which nothing is left. */
  readonly forgotten: number;
  /** Rows of the database that were of no job. */
  readonly removed: number;
  /** Jobs that could not be asked, and why the last of them could not. */
  readonly failures: number;
  readonly lastError: string | null;
}

interface State extends RepairReport {
  /** The last id that was done in this phase. */
  readonly after: string;
}

/** There is a job, and what is stored of it cannot be read. */
export class UnreadableJob extends Error {
  override readonly name = "UnreadableJob";
}

/** A job's present state; null if there is no such job. Rejects with UnreadableJob if it cannot be read. */
export async function lastEventOf({ JOB_RUNNER }: Env, id: string): Promise<JobEvent | null> {
  const event = (await JOB_RUNNER.getByName(id).lastEvent()) as JobEvent | Unreadable | null;
  if (event !== null && "unreadable" in event) throw new UnreadableJob(event.unreadable);
  return event;
}

/**
 * Makes the database's tables anew from what is known of them: tokens from the register, and jobs from their objects, by the
 * ids in the register. What the register counts of files is held against R2 (files.ts). It goes on in steps, each with a bounded number of jobs, and its state is stored: it survives whatever the jobs
 * survive. What is right already is not written again.
 */
export class Repair {
  readonly #sql: SqlStorage;
  readonly #env: Env;
  readonly #forget: (id: string) => void;

  constructor(sql: SqlStorage, env: Env, forget: (id: string) => void) {
    this.#sql = sql;
    this.#env = env;
    this.#forget = forget;
  }

  get #state(): State | undefined {
    const [row] = this.#sql.exec<{ state: string }>("SELECT state FROM repair").toArray();
    return row && (JSON.parse(row.state) as State);
  }

  #save(state: State): void {
    this.#sql.exec(
      "INSERT INTO repair VALUES (1, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
      JSON.stringify(state),
    );
  }

  report(): RepairReport | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    const { after: _, ...report } = state;
    return report;
  }

  get phase(): RepairReport["phase"] | undefined {
    return this.#state?.phase;
  }

  get isUnderWay(): boolean {
    const { phase = "done" } = this;
    return phase !== "done";
  }

  /** Begins one, from the beginning: what one under way has done already may have been undone since. */
  start(): RepairReport {
    this.#save({
      phase: "tokens",
      startedAt: Date.now(),
      endedAt: null,
      jobs: 0,
      forgotten: 0,
      removed: 0,
      failures: 0,
      lastError: null,
      after: "",
    });
    return this.report()!;
  }

  /** Does some of it. Rejects if the database cannot be reached: the same step comes again then. */
  async step(): Promise<void> {
    const state = this.#state;
    if (state === undefined || state.phase === "done") return;
    const next = await this.#next(state);
    // It may have been started anew meanwhile.
    if (this.#state?.startedAt !== state.startedAt) return;
    this.#save(next);
    if (next.phase !== "done") return;
    const { jobs, forgotten, removed, failures } = next;
    logInfo("repair.done", { jobs, forgotten, removed, failures });
  }

  #next(state: State): Promise<State> {
    switch (state.phase) {
      case "tokens":
        return this.#begin(state);
      case "jobs":
        return this.#jobs(state);
      case "rows":
        return this.#rows(state);
      default:
        return this.#files(state);
    }
  }

  /** What is counted for tokens' quotas is what is in R2. */
  async #files(state: State): Promise<State> {
    const isFirst = state.phase === "snapshots";
    const last = await (isFirst ? countSnapshots : uncountLost)(this.#sql, this.#env, state.after);
    if (last !== undefined) return { ...state, after: last };
    return isFirst
      ? { ...state, phase: "files", after: "" }
      : { ...state, phase: "done", endedAt: Date.now(), after: "" };
  }

  async #begin(state: State): Promise<State> {
    await makeTables(this.#env);
    await dispatcherOf(this.#env).reindex();
    // The one time of the day at which somebody looks.
    const tokens = this.#sql.exec<{ id: string }>("SELECT id FROM token").toArray();
    await hooksOf(this.#env).keepSecretsOf(tokens.map(({ id }) => id));
    return { ...state, phase: "jobs" };
  }

  /** Each job's present state, for all that is made from events. */
  async #jobs(state: State): Promise<State> {
    const ids = this.#sql
      .exec<{ id: string }>(
        "SELECT id FROM job WHERE id > ? ORDER BY id LIMIT ?",
        state.after,
        REGISTER_LIMITS.repairJobs,
      )
      .toArray()
      .map(({ id }) => id);
    const results = await Promise.all(ids.map((id) => this.#job(id)));
    const errors = results.filter((result) => result.kind === "failed");
    return {
      ...state,
      phase: ids.length < REGISTER_LIMITS.repairJobs ? "rows" : "jobs",
      after: ids.length < REGISTER_LIMITS.repairJobs ? "" : (ids.at(-1) ?? ""),
      jobs: state.jobs + ids.length,
      forgotten: state.forgotten + results.filter(({ kind }) => kind === "forgotten").length,
      failures: state.failures + errors.length,
      lastError: errors.at(-1)?.error ?? state.lastError,
    };
  }

  async #job(
    id: string,
  ): Promise<{ readonly kind: "done" | "forgotten" } | { readonly kind: "failed"; readonly error: string }> {
    try {
      const event = await lastEventOf(this.#env, id);
      if (event === null) {
        const [row] = this.#sql
          .exec<{ created_at: number }>("SELECT created_at FROM job WHERE id = ?", id)
          .toArray();
        // It may be about to be made.
        if (row !== undefined && row.created_at > Date.now() - REGISTER_LIMITS.silentMilliseconds) {
          return { kind: "done" };
        }
        this.#forget(id);
        await withDatabase(this.#env, (database) => deleteJobRow(database, id));
        return { kind: "forgotten" };
      }
      for (const index of INDEXES) await index(this.#env, event);
      return { kind: "done" };
    } catch (error) {
      return { kind: "failed", error: `${id}: ${messageOf(error)}` };
    }
  }

  /** Rows of jobs that are not there. */
  async #rows(state: State): Promise<State> {
    const ids = await withDatabase(this.#env, (database) =>
      jobIdsAfter(database, state.after, REGISTER_LIMITS.repairRows),
    );
    let removed = 0;
    for (const id of ids) {
      if (this.#sql.exec("SELECT 1 FROM job WHERE id = ?", id).toArray().length > 0) continue;
      // The object knows best.
      if ((await this.#env.JOB_RUNNER.getByName(id).lastEvent()) !== null) continue;
      await withDatabase(this.#env, (database) => deleteJobRow(database, id));
      removed++;
    }
    const isLast = ids.length < REGISTER_LIMITS.repairRows;
    return {
      ...state,
      phase: isLast ? "snapshots" : "rows",
      after: isLast ? "" : (ids.at(-1) ?? ""),
      removed: state.removed + removed,
    };
  }
}
