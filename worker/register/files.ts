import { keyOf } from "../blobs/store.ts";
import type { Env } from "../env.ts";
import { QUOTA_LIMITS, REGISTER_LIMITS } from "../limits.ts";
import { keptSnapshotsAfter, SNAPSHOTS } from "../snapshots/store.ts";

/*
 * What the register counts for tokens' quotas, and what is in R2: two stores, so a process that dies between writing the one and the
 * other leaves a snapshot that nobody counts, or counts what is not there. A repair looks.
 */

const BLOB = "blob ";

/** Counts the snapshots that there are, some at a time: those whose keys follow `after`. The last key; undefined if there are no more. */
export async function countSnapshots(sql: SqlStorage, env: Env, after: string): Promise<string | undefined> {
  const { kept, last } = await keptSnapshotsAfter(env.BLOBS, after, REGISTER_LIMITS.repairFiles);
  for (const { key, owner, bytes, until } of kept) {
    sql.exec(
      `INSERT INTO stored VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, until = excluded.until WHERE bytes <> excluded.bytes`,
      key,
      owner,
      bytes,
      until,
    );
  }
  return last;
}

/** Counts no more what is not there, some at a time: of what is counted under keys that follow `after`. The last key; undefined if there are no more. */
export async function uncountLost(sql: SqlStorage, env: Env, after: string): Promise<string | undefined> {
  const rows = sql
    .exec<{ key: string; until: number }>(
      "SELECT key, until FROM stored WHERE key > ? AND (substr(key, 1, ?) = ? OR substr(key, 1, ?) = ?) ORDER BY key LIMIT ?",
      after,
      BLOB.length,
      BLOB,
      SNAPSHOTS.length,
      SNAPSHOTS,
      REGISTER_LIMITS.repairFiles,
    )
    .toArray();
  // A file is counted before it is stored, and may be on its way; a snapshot is stored before.
  const settled = Date.now() + QUOTA_LIMITS.uploadMilliseconds - QUOTA_LIMITS.roomMilliseconds;
  await Promise.all(
    rows.map(async ({ key, until }) => {
      const isBlob = key.startsWith(BLOB);
      if (isBlob && until > settled) return;
      const object = await env.BLOBS.head(isBlob ? keyOf(key.slice(BLOB.length)) : key);
      if (object === null) sql.exec("DELETE FROM stored WHERE key = ? AND until = ?", key, until);
    }),
  );
  return rows.at(-1)?.key;
}
