import { createHash } from "node:crypto";
import {
  encodeSnapshotEnd,
  encodeSnapshotHeader,
  encodeSnapshotRecord,
  RECORD_STATE,
} from "../../engine/snapshot-format.ts";
import { compress } from "./codec.ts";
import type { SnapshotHeader } from "./header.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";

/** A cluster to be written: its 64 KiB, or the record it is in an older snapshot. */
export type WrittenCluster =
  | { readonly cluster: number; readonly raw: Uint8Array }
  | { readonly cluster: number; readonly encoded: Uint8Array };

/**
 * The file of a snapshot, piece by piece. `clusters` gives them in ascending order, as many as the header says; `breathe`
 * is awaited now and then and lets other events in.
 */
export async function* snapshotFile(
  header: SnapshotHeader,
  state: Uint8Array,
  clusters: Iterable<WrittenCluster>,
  breathe: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  const hashed = (bytes: Uint8Array): Uint8Array => {
    hash.update(bytes);
    return bytes;
  };
  yield hashed(encodeSnapshotHeader(header));
  yield hashed(encodeSnapshotRecord(RECORD_STATE, compress(state), state.length));
  let count = 0;
  for (const item of clusters) {
    yield hashed(
      "encoded" in item
        ? item.encoded
        : encodeSnapshotRecord(item.cluster, compress(item.raw), item.raw.length),
    );
    if (++count % SNAPSHOT_LIMITS.clustersPerYield === 0) await breathe();
  }
  if (count !== header.clusters) {
    throw new Error(
      `a snapshot of ${header.clusters} clusters was changed while it was written: there were ${count}`,
    );
  }
  yield encodeSnapshotEnd(count + 1, hash.digest());
}
