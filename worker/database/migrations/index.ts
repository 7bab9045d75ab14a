import platform from "./0001_platform.sql";
import batches from "./0002_batches.sql";
import hooks from "./0003_hooks.sql";
import goodJobs from "./0004_good_jobs.sql";
import sessions from "./0005_sessions.sql";

/** A change of the database's tables. */
export interface Migration {
  /** Its file's name, under which wrangler, too, notes that it was made. */
  readonly name: string;
  /** Statements, each of which ends with a semicolon at the end of a line. */
  readonly sql: string;
}

/** All of them, in order. */
export const MIGRATIONS: readonly Migration[] = [
  { name: "0001_platform.sql", sql: platform },
  { name: "0002_batches.sql", sql: batches },
  { name: "0003_hooks.sql", sql: hooks },
  { name: "0004_good_jobs.sql", sql: goodJobs },
  { name: "0005_sessions.sql", sql: sessions },
];
