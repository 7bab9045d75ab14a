import type { Migration } from "./migrations/index.ts";

/** The table in which `wrangler d1 migrations apply` keeps what it has done, so that either may go on where the other was. */
const DONE = `CREATE TABLE IF NOT EXISTS d1_migrations
  (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`;

/** The statements of a migration, without its comments. */
function statementsOf(sql: string): string[] {
  const code = sql.replace(/^\s*--.*$/gm, "");
  return code
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}

/** The changes that were not made yet. */
export async function migrationsDue(
  database: D1Database,
  migrations: readonly Migration[],
): Promise<Migration[]> {
  await database.prepare(DONE).run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const done = new Set(results.map(({ name }) => name));
  return migrations.filter(({ name }) => !done.has(name));
}

/** Makes the changes that were not made yet, each in one transaction; returns their names. */
export async function migrate(database: D1Database, migrations: readonly Migration[]): Promise<string[]> {
  const due = await migrationsDue(database, migrations);
  for (const { name, sql } of due) {
    const statements = statementsOf(sql).map((statement) => database.prepare(statement));
    const note = database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name);
    await database.batch([...statements, note]);
  }
  return due.map(({ name }) => name);
}
