import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { registerOf } from "../register/stub.ts";
import { migrate, migrationsDue } from "./migrate.ts";
import { MIGRATIONS } from "./migrations/index.ts";

type HasDatabase = Pick<Env, "DB" | "REGISTER">;

const NO_TABLE = /no such (table|column)|has no column/i;

/**
 * Works with the database. If a table or a column is missing (the database is new, of an older version, or was lost and made anew)
 * the tables are made, a repair begins to fill them, and the work is done once more; so it must be such that doing it twice is the
 * same as once.
 */
export async function withDatabase<T>(
  env: HasDatabase,
  work: (database: D1Database) => Promise<T>,
): Promise<T> {
  try {
    return await work(env.DB);
  } catch (error) {
    if (!NO_TABLE.test(messageOf(error))) throw error;
    if ((await migrationsDue(env.DB, MIGRATIONS)).length > 0) {
      // Whatever was in them can be made anew from the jobs. In this order: tables that are there and empty are missed by nobody.
      await registerOf(env).startRepair();
      await makeTables(env);
    }
    return await work(env.DB);
  }
}

/** Brings the tables up to date; returns the names of the migrations that were due. */
export async function makeTables({ DB }: Pick<Env, "DB">): Promise<string[]> {
  for (let races = 0; ; races++) {
    try {
      return await migrate(DB, MIGRATIONS);
    } catch (error) {
      // Another request makes them at the same time, and was first with the next one: each race is a migration that is done.
      const isRace = /already exists|duplicate column|UNIQUE constraint failed: d1_migrations/i.test(
        messageOf(error),
      );
      if (!isRace || races > MIGRATIONS.length) throw error;
    }
  }
}
