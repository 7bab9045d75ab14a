import type { Principal } from "../auth/principal.ts";
import type { BatchView } from "../batches/record.ts";
import { type Condition, type Position, summariesOf } from "./page.ts";

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

/** A page of the batches that a principal may read, newest first. */
export function listBatches(
  database: D1Database,
  principal: Principal,
  { state, ...page }: { readonly before?: Position; readonly limit: number; readonly state?: string },
): Promise<BatchView[]> {
  const conditions: Condition[] = [];
  if (!principal.scopes.has("admin"))
    conditions.push(["(owner = ? OR visibility = 'public')", principal.tokenId]);
  if (state !== undefined) conditions.push(["state = ?", state]);
  return summariesOf(database, "batches", conditions, page);
}
