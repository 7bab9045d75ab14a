import { deleteBatchRow, writeBatchRow } from "../database/batches.ts";
import { withDatabase } from "../database/database.ts";
import type { Env } from "../env.ts";
import type { BatchView } from "./record.ts";

/** Keeps the batch's row in the index up to date. An older version changes nothing. */
export async function indexBatch(env: Env, batch: BatchView, version: number): Promise<void> {
  await withDatabase(env, (database) => writeBatchRow(database, batch, version));
}

export async function forgetBatch(env: Env, id: string): Promise<void> {
  await withDatabase(env, (database) => deleteBatchRow(database, id));
}
