import { checksumBytes } from "../../engine/memory/checksum.ts";
import type { FoldedProfile } from "../../engine/profile/fold.ts";
import { Profile, ProfileError } from "../../engine/profile/profile.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import { DamagedCheckpoint } from "./damaged.ts";

/*
 * The profile of a job's run: rows of samples, which belong to the checkpoint and are written with it; and, once somebody has
 * asked for it after the end, the same with names, for which the kernel had to be read again.
 */

const ENCODER = new TextEncoder();

/** Jobs of an older version have no such tables. */
function createTables(sql: SqlStorage): void {
  sql.exec(`
    CREATE TABLE IF NOT EXISTS profile (seq INTEGER PRIMARY KEY, data BLOB NOT NULL, sum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS profile_named (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL, sum INTEGER NOT NULL);
  `);
}

/** Only inside the transaction that writes the checkpoint, or the end. */
export function saveProfile(sql: SqlStorage, profile: Profile): void {
  createTables(sql);
  sql.exec("DELETE FROM profile");
  sql.exec("DELETE FROM profile_named");
  const bytes = profile.save();
  for (let at = 0, seq = 0; at < bytes.length; at += STORAGE_LIMITS.stateRowBytes, seq++) {
    const part = bytes.slice(at, at + STORAGE_LIMITS.stateRowBytes);
    sql.exec("INSERT INTO profile VALUES (?, ?, ?)", seq, part, checksumBytes(part, seq));
  }
}

/**
 * What is stored; undefined before the first checkpoint.
 *
 * @throws DamagedCheckpoint
 */
export function loadProfile(sql: SqlStorage): Profile | undefined {
  createTables(sql);
  const rows = sql
    .exec<{ seq: number; data: ArrayBuffer; sum: number }>("SELECT seq, data, sum FROM profile ORDER BY seq")
    .toArray();
  if (rows.length === 0) return undefined;
  const parts = rows.map(({ seq, data, sum }) => {
    const part = new Uint8Array(data);
    if (checksumBytes(part, seq) !== sum) throw new DamagedCheckpoint("the profile's checksum is wrong");
    return part;
  });
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  try {
    return Profile.load(bytes);
  } catch (error) {
    if (error instanceof ProfileError)
      throw new DamagedCheckpoint(`the profile cannot be read: ${error.message}`);
    throw error;
  }
}

/** Keeps a profile with names, if it is not too large for a row; it can always be made again. */
export function saveNamed(sql: SqlStorage, named: FoldedProfile): void {
  createTables(sql);
  const text = JSON.stringify(named);
  const bytes = ENCODER.encode(text);
  if (bytes.length > STORAGE_LIMITS.stateRowBytes) return;
  sql.exec("INSERT OR REPLACE INTO profile_named VALUES (1, ?, ?)", text, checksumBytes(bytes));
}

/** undefined if there is none, or it is damaged. */
export function loadNamed(sql: SqlStorage): FoldedProfile | undefined {
  // A job that never ran has none, either.
  createTables(sql);
  const [row] = sql.exec<{ text: string; sum: number }>("SELECT text, sum FROM profile_named").toArray();
  if (row === undefined || checksumBytes(ENCODER.encode(row.text)) !== row.sum) return undefined;
  return JSON.parse(row.text) as FoldedProfile;
}
