/** Where a page of a list ends: the next one begins behind it. */
export interface Position {
  readonly createdAt: number;
  readonly id: string;
}

/** A condition of a query, and what it is bound to. */
export type Condition = readonly [sql: string, ...values: (string | number)[]];

/** A page of the summaries in a table, newest first. */
export async function summariesOf<T>(
  database: D1Database,
  table: "batches" | "deliveries",
  conditions: readonly Condition[],
  { before, limit }: { readonly before?: Position; readonly limit: number },
): Promise<T[]> {
  const all: Condition[] = [...conditions];
  if (before !== undefined) all.push(["(created_at, id) < (?, ?)", before.createdAt, before.id]);
  const where = all.length === 0 ? "" : `WHERE ${all.map(([sql]) => sql).join(" AND ")}`;
  const { results } = await database
    .prepare(`SELECT summary FROM ${table} ${where} ORDER BY created_at DESC, id DESC LIMIT ?`)
    .bind(...all.flatMap(([, ...values]) => values), limit)
    .all<{ summary: string }>();
  return results.map(({ summary }) => JSON.parse(summary) as T);
}
