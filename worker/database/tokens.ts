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

/** The token's JSON; null if there is no row. */
export async function findTokenRow(database: D1Database, hash: string): Promise<string | null> {
  return await database.prepare("SELECT token FROM tokens WHERE hash = ?").bind(hash).first<string>("token");
}
