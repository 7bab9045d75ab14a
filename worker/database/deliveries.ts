import type { DeliveryView, Subject } from "../notify/record.ts";

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

/** Where a page of a list ends: the next one begins behind it. */
export interface DeliveryPosition {
  readonly createdAt: number;
  readonly id: string;
}

export interface DeliveryQuestion {
  /** Whose; undefined for everybody's. */
  readonly owner?: string;
  readonly state?: string;
  readonly before?: DeliveryPosition;
  readonly limit: number;
}

/** A page of deliveries, newest first. */
export async function listDeliveries(
  database: D1Database,
  { owner, state, before, limit }: DeliveryQuestion,
): Promise<DeliveryView[]> {
  const where: string[] = [];
  const values: (string | number)[] = [];
  for (const [column, value] of Object.entries({ owner, state })) {
    if (value === undefined) continue;
    where.push(`${column} = ?`);
    values.push(value);
  }
  if (before !== undefined) {
    where.push("(created_at, id) < (?, ?)");
    values.push(before.createdAt, before.id);
  }
  const condition = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`;
  const { results } = await database
    .prepare(`SELECT summary FROM deliveries ${condition} ORDER BY created_at DESC, id DESC LIMIT ?`)
    .bind(...values, limit)
    .all<{ summary: string }>();
  return results.map(({ summary }) => JSON.parse(summary) as DeliveryView);
}
