import { readFileSync } from "node:fs";
import { join } from "node:path";

const MIGRATIONS = join(import.meta.dirname, "..", "..", "database", "migrations");

/** The migrations that the worker carries, in its order, read from their files: node does not import .sql. */
export const MIGRATION_FILES: readonly { readonly name: string; readonly sql: string }[] = [
  ...readFileSync(join(MIGRATIONS, "index.ts"), "utf8").matchAll(/name: "(\d{4}_\w+\.sql)"/g),
].map(([, name = ""]) => ({ name, sql: readFileSync(join(MIGRATIONS, name), "utf8") }));
