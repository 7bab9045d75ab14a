/**
 * The register's tables. `job` has every job there is, from before it is made until nothing is left of it; `stored` what else is kept
 * for a token; `uncopied` tokens that were removed and whose rows in the database may still be there; `used` what its jobs executed a day; `total` what ever happened, for /metrics.
 */
export function createRegisterTables(sql: SqlStorage): void {
  sql.exec(`
    CREATE TABLE IF NOT EXISTS token (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, token TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS uncopied (id TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at INTEGER NOT NULL, live INTEGER NOT NULL,
      heard_at INTEGER NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, kept_until INTEGER NOT NULL DEFAULT 0, bytes_after INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX IF NOT EXISTS job_by_owner ON job (owner, live);
    CREATE INDEX IF NOT EXISTS job_by_hearing ON job (live, heard_at);
    CREATE TABLE IF NOT EXISTS stored (key TEXT PRIMARY KEY, owner TEXT NOT NULL, bytes INTEGER NOT NULL, until INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS stored_by_owner ON stored (owner, until);
    CREATE TABLE IF NOT EXISTS used (owner TEXT NOT NULL, day TEXT NOT NULL, instructions INTEGER NOT NULL, PRIMARY KEY (owner, day));
    CREATE TABLE IF NOT EXISTS total (name TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (name, labels));
    CREATE TABLE IF NOT EXISTS repair (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL);
  `);
}
