/** Raised with every change of the tables below. */
export const LAYOUT = 3;

/**
 * The tables of one job's Durable Object. They are made when the job is created, so that asking for a job that does not
 * exist leaves nothing behind. Every row that a resume or an answer depends on has a checksum, which its key is part of.
 */
export function createTables(sql: SqlStorage): void {
  sql.exec(`
    CREATE TABLE IF NOT EXISTS layout (version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS job_request (id INTEGER PRIMARY KEY CHECK (id = 1), request TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, record TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS console (offset INTEGER PRIMARY KEY, data BLOB NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS page (cluster INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS page_overlay (cluster INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS base_page (cluster INTEGER PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, monitor TEXT NOT NULL, manifest TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS checkpoint_part (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
  `);
  sql.exec("DELETE FROM layout");
  sql.exec("INSERT INTO layout VALUES (?)", LAYOUT);
}

/** The layout of the stored tables; undefined if there are none. 1 is what there was before layouts had numbers. */
export function storedLayout(sql: SqlStorage): number | undefined {
  const tables = sql
    .exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('job', 'layout')",
    )
    .toArray()
    .map(({ name }) => name);
  if (!tables.includes("job")) return undefined;
  if (!tables.includes("layout")) return 1;
  return sql.exec<{ version: number }>("SELECT version FROM layout").toArray()[0]?.version ?? 1;
}

/** Empties all tables, of whatever layout, but those that tell that there was a job. */
export function emptyTables(sql: SqlStorage): void {
  const tables = sql
    .exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .toArray();
  for (const { name } of tables) {
    if (name !== "layout" && name !== "job_request") sql.exec(`DELETE FROM "${name}"`);
  }
}
