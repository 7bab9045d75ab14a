import type { JobListQuery } from "../../jobs/schema/job-list.ts";
import type { JobSummary } from "./jobs.ts";

/** Whose jobs a list may have: of one token, everybody's that are public, or all. */
export type Whose = { readonly owner: string } | "public" | "all";

export interface JobPage {
  readonly jobs: readonly JobSummary[];
  /** The cursor of the next page; null if this is the last. */
  readonly next: string | null;
}

interface Row {
  readonly id: string;
  readonly created_at: number;
  readonly summary: string;
}

/**
 * The statement of one page, newest first. Each has an index that is in the order of the list, so that a page costs what it shows: of
 * several filters the one before the others in this order leads, and the others are looked at on the way.
 */
export function listStatement(
  query: JobListQuery,
  whose: Whose,
): { readonly sql: string; readonly values: readonly (string | number)[] } {
  const values: (string | number)[] = [];
  const where: string[] = [];
  const and = (condition: string, ...bound: (string | number)[]): void => {
    where.push(condition);
    values.push(...bound);
  };
  const [first, ...others] = query.label;
  // With a label in front, its table gives the order.
  const order = first === undefined ? ["j.created_at", "j.id"] : ["l.created_at", "l.job"];
  if (first !== undefined) and("l.name = ? AND l.value = ?", ...first);
  let isLed = first !== undefined;
  /** A unary plus keeps the planner from leading by this column. */
  const column = (name: string): string => {
    const led = isLed ? `+j.${name}` : `j.${name}`;
    isLed = true;
    return led;
  };
  const oneOf = (name: string, words: readonly string[] | undefined): void => {
    if (words === undefined) return;
    if (words.length === 1) and(`${column(name)} = ?`, ...words);
    // Several words of an index are several pieces, each in order, which would have to be sorted.
    else and(`+j.${name} IN (${words.map(() => "?").join(", ")})`, ...words);
  };
  if (query.batch !== undefined) and(`${column("batch")} = ?`, query.batch);
  oneOf("verdict", query.verdict);
  oneOf("state", query.state);
  if (whose === "public") and(`${column("visibility")} = 'public'`);
  else if (whose !== "all") and(`${column("owner")} = ?`, whose.owner);
  if (query.owner !== undefined) and(`${column("owner")} = ?`, query.owner);
  for (const [name, value] of others) {
    and(
      "EXISTS (SELECT 1 FROM job_labels AS o WHERE o.name = ? AND o.value = ? AND o.created_at = j.created_at AND o.job = j.id)",
      name,
      value,
    );
  }
  if (query.after !== undefined) and(`${order[0]} >= ?`, query.after);
  if (query.before !== undefined) and(`${order[0]} < ?`, query.before);
  if (query.text !== undefined && query.text !== "") and("instr(j.text, ?) > 0", query.text.toLowerCase());
  if (query.cursor !== undefined) {
    and(`(${order.join(", ")}) < (?, ?)`, query.cursor.createdAt, query.cursor.id);
  }
  const from = first === undefined ? "jobs AS j" : "job_labels AS l CROSS JOIN jobs AS j ON j.id = l.job";
  const conditions = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`;
  const sql = `SELECT j.id, j.created_at, j.summary FROM ${from} ${conditions} ORDER BY ${order.map((name) => `${name} DESC`).join(", ")} LIMIT ?`;
  return { sql, values: [...values, query.limit + 1] };
}

/** One page of jobs, newest first. */
export async function listJobs(database: D1Database, query: JobListQuery, whose: Whose): Promise<JobPage> {
  const { sql, values } = listStatement(query, whose);
  const { results } = await database
    .prepare(sql)
    .bind(...values)
    .all<Row>();
  const rows = results.slice(0, query.limit);
  const last = rows.at(-1);
  const isMore = results.length > query.limit && last !== undefined;
  return {
    jobs: rows.map(({ summary }) => JSON.parse(summary) as JobSummary),
    next: isMore ? `${last.created_at}-${last.id}` : null,
  };
}
