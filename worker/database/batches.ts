import type { Principal } from "../auth/principal.ts";
import type { BatchView } from "../batches/record.ts";

const WRITE = `
  INSERT INTO batches (id, owner, visibility, state, verdict, created_at, version, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET visibility = excluded.visibility, state = excluded.state, verdict = excluded.verdict,
    version = excluded.version, summary = excluded.summary
  WHERE excluded.version >= batches.version`;

export async function writeBatchRow(database: D1Database, batch: BatchView, version: number): Promise<void> {
  await database
    .prepare(WRITE)
    .bind(
      batch.id,
      batch.owner,
      batch.visibility,
      batch.state,
      batch.verdict,
      Date.parse(batch.createdAt),
      version,
      JSON.stringify(batch),
    )
    .run();
}

export async function deleteBatchRow(database: D1Database, id: string): Promise<void> {
  await database.prepare("DELETE FROM batches WHERE id = ?").bind(id).run();
}

/** Where a page of a list ends: the next one begins behind it. */
export interface BatchPosition {
  readonly createdAt: number;
  readonly id: string;
}

/** A page of the batches that a principal may read, newest first. */
export async function listBatches(
  database: D1Database,
  principal: Principal,
  {
    before,
    limit,
    state,
  }: { readonly before?: BatchPosition; readonly limit: number; readonly state?: string },
): Promise<BatchView[]> {
  const where: string[] = [];
  const values: (string | number)[] = [];
  if (!principal.scopes.has("admin")) {
    where.push("(owner = ? OR visibility = 'public')");
    values.push(principal.tokenId);
  }
  if (state !== undefined) {
    where.push("state = ?");
    values.push(state);
  }
  if (before !== undefined) {
    where.push("(created_at, id) < (?, ?)");
    values.push(before.createdAt, before.id);
  }
  const condition = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`;
  const { results } = await database
    .prepare(`SELECT summary FROM batches ${condition} ORDER BY created_at DESC, id DESC LIMIT ?`)
    .bind(...values, limit)
    .all<{ summary: string }>();
  return results.map(({ summary }) => JSON.parse(summary) as BatchView);
}
