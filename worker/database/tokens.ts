/** The tokens' rows: copies of what the register has, by which a request's token is looked up. */

export async function writeTokenRow(
  database: D1Database,
  id: string,
  hash: string,
  token: string,
): Promise<void> {
  await database
    .prepare(
      "INSERT INTO tokens VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, token = excluded.token",
    )
    .bind(id, hash, token)
    .run();
}

export async function deleteTokenRow(database: D1Database, id: string): Promise<void> {
  await database.prepare("DELETE FROM tokens WHERE id = ?").bind(id).run();
}

/** Removes the copies of all tokens but these. */
export async function deleteOtherTokenRows(database: D1Database, ids: readonly string[]): Promise<void> {
  await database
    .prepare("DELETE FROM tokens WHERE id NOT IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(ids))
    .run();
}

/** The token's JSON; null if there is no row. */
export async function findTokenRow(database: D1Database, hash: string): Promise<string | null> {
  return await database.prepare("SELECT token FROM tokens WHERE hash = ?").bind(hash).first<string>("token");
}
