/** The tables of one job's Durable Object. They are made when the job is created, so that asking for a job that does not exist leaves nothing behind. */
export function createTables(sql: SqlStorage): void {
  sql.exec(`
    CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS console (offset INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS page (cluster INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS page_overlay (cluster INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, monitor TEXT NOT NULL, manifest TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS checkpoint_part (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
  `);
}

export function tablesExist(sql: SqlStorage): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'job'").toArray().length > 0;
}
