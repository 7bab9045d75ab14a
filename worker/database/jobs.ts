import type { JobEvent } from "../events/event.ts";
import { pick } from "../pick.ts";
import type { JobView } from "../runner/record.ts";

/** Fields that lists show as the job does. */
const SHOWN = [
  "id",
  "state",
  "verdict",
  "reason",
  "reasonCode",
  "fixture",
  "owner",
  "visibility",
  "batch",
  "createdAt",
  "startedAt",
  "endedAt",
  "seconds",
  "runSeconds",
  "guestSeconds",
  "instructions",
  "mips",
  "consoleBytes",
] as const satisfies readonly (keyof JobView)[];

/** A job as lists show it. */
export type JobSummary = Pick<JobView, (typeof SHOWN)[number]> & {
  readonly kernel: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cmdline: string;
  readonly memory: number;
  readonly mode: string;
  readonly links: { readonly self: string };
};

export function summaryOf(job: JobView): JobSummary {
  const { config } = job;
  return {
    ...pick(job, SHOWN),
    kernel: job.kernel.sha256,
    // Jobs of an older version have no labels.
    labels: config.labels ?? {},
    cmdline: config.cmdline,
    memory: config.memory,
    mode: config.mode ?? "pv",
    links: { self: job.links.self },
  };
}

/** What a search for text looks in. */
function textOf({ id, reason, reasonCode, fixture, labels, cmdline, kernel }: JobSummary): string {
  const words = [id, kernel, fixture, reasonCode, reason, cmdline, ...Object.values(labels)];
  return words
    .filter((word) => word !== null)
    .join("\n")
    .toLowerCase();
}

const WRITE = `
  INSERT INTO jobs (id, owner, visibility, batch, state, verdict, created_at, ended_at, instructions, run_milliseconds,
    checkpoints, event, text, summary)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, verdict = excluded.verdict, ended_at = excluded.ended_at,
    instructions = excluded.instructions, run_milliseconds = excluded.run_milliseconds, checkpoints = excluded.checkpoints,
    event = excluded.event, text = excluded.text, summary = excluded.summary
  WHERE excluded.event > jobs.event OR (excluded.event = jobs.event AND excluded.summary <> jobs.summary)`;
const WRITE_LABELS = "INSERT OR IGNORE INTO job_labels SELECT key, value, ?, ? FROM json_each(?)";

export async function deleteJobRow(database: D1Database, id: string): Promise<void> {
  await database.batch([
    database.prepare("DELETE FROM jobs WHERE id = ?").bind(id),
    database.prepare("DELETE FROM job_labels WHERE job = ?").bind(id),
    database.prepare("DELETE FROM good_jobs WHERE id = ?").bind(id),
  ]);
}

/** Ids of rows, in order, from the one after this. */
export async function jobIdsAfter(database: D1Database, id: string, most: number): Promise<string[]> {
  const { results } = await database
    .prepare("SELECT id FROM jobs WHERE id > ? ORDER BY id LIMIT ?")
    .bind(id, most)
    .all<{ id: string }>();
  return results.map((row) => row.id);
}

/** What writes a job's row as of an event; an event older than the row changes nothing. */
export function jobStatements(database: D1Database, { number, job }: JobEvent): D1PreparedStatement[] {
  const summary = summaryOf(job);
  const createdAt = Date.parse(job.createdAt);
  const endedAt = job.endedAt === null ? null : Date.parse(job.endedAt);
  return [
    database
      .prepare(WRITE)
      .bind(
        job.id,
        job.owner,
        job.visibility,
        job.batch,
        job.state,
        job.verdict,
        createdAt,
        endedAt,
        job.instructions,
        Math.round(job.runSeconds * 1000),
        job.checkpoints.count,
        number,
        textOf(summary),
        JSON.stringify(summary),
      ),
    database.prepare(WRITE_LABELS).bind(createdAt, job.id, JSON.stringify(summary.labels)),
  ];
}
