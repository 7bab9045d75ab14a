import type { DeliveryView, Subject } from "../notify/record.ts";
import { type Condition, type Position, summariesOf } from "./page.ts";

const WRITE = `
  INSERT INTO deliveries (id, subject, owner, state, created_at, version, summary) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version, summary = excluded.summary
  WHERE excluded.version >= deliveries.version`;

export async function writeDeliveryRows(
  database: D1Database,
  { id: subject, owner }: Subject,
  changed: readonly { readonly view: DeliveryView; readonly version: number }[],
): Promise<void> {
  await database.batch(
    changed.map(({ view, version }) =>
      database
        .prepare(WRITE)
        .bind(view.id, subject, owner, view.state, Date.parse(view.createdAt), version, JSON.stringify(view)),
    ),
  );
}

export async function deleteDeliveryRows(database: D1Database, subject: string): Promise<void> {
  await database.prepare("DELETE FROM deliveries WHERE subject = ?").bind(subject).run();
}

export interface DeliveryQuestion {
  /** Whose; undefined for everybody's. */
  readonly owner?: string;
  readonly state?: string;
  readonly before?: Position;
  readonly limit: number;
}

/** A page of deliveries, newest first. */
export function listDeliveries(
  database: D1Database,
  { owner, state, ...page }: DeliveryQuestion,
): Promise<DeliveryView[]> {
  const conditions: Condition[] = [];
  if (owner !== undefined) conditions.push(["owner = ?", owner]);
  if (state !== undefined) conditions.push(["state = ?", state]);
  return summariesOf(database, "deliveries", conditions, page);
}
