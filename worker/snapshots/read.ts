import { createHash } from "node:crypto";
import {
  RECORD_STATE,
  SnapshotError,
  type SnapshotItem,
  SnapshotParser,
} from "../../engine/snapshot-format.ts";
import type { SnapshotReference } from "../../jobs/spec.ts";
import { pieces } from "../blobs/store.ts";
import { MemoryBase, type PageBase, SqlBase } from "./base.ts";
import { decompress } from "./codec.ts";
import { CLUSTER_BYTES, PAGE_BYTES, parseSnapshotHeader, type SnapshotHeader } from "./header.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import { openSnapshot } from "./store.ts";

const MEBIBYTE = 1024 * 1024;

/**
 * Pages behind a guest's RAM, beyond as much again: emu's in mode "pv"; in the others special pages and the address space that grant
 * frames are mapped to, up to the end of the next but one 128 MiB (engine/xenner/hvm/layout.ts).
 */
const BEHIND_RAM_MIB = 384;

/** What a job starts from. */
export interface OpenedSnapshot {
  readonly header: SnapshotHeader;
  /** What MachineApi.checkpoint returned. */
  readonly state: Uint8Array;
  readonly base: PageBase;
}

/** Checks that a record fits the header. */
function checkRecord(item: Extract<SnapshotItem, { kind: "record" }>, header: SnapshotHeader): void {
  if (item.key === RECORD_STATE) return;
  const most = (2 * header.config.memory + BEHIND_RAM_MIB) * (MEBIBYTE / PAGE_BYTES);
  if (item.rawBytes !== CLUSTER_BYTES || item.key * (CLUSTER_BYTES / PAGE_BYTES) >= most) {
    throw new SnapshotError("damaged", `cluster ${item.key} of the snapshot is none of this guest's`);
  }
}

function checkCount(clusters: number, header: SnapshotHeader): void {
  if (clusters === header.clusters) return;
  throw new SnapshotError(
    "damaged",
    `the snapshot has ${clusters} clusters, its header says ${header.clusters}`,
  );
}

/** Gathers what is not pages; `page` gets the records that are. */
class Opening {
  header: SnapshotHeader | undefined;
  state: Uint8Array | undefined;
  #clusters = 0;

  take(item: SnapshotItem, page: (record: Extract<SnapshotItem, { kind: "record" }>) => void): void {
    if (item.kind === "header") this.header = parseSnapshotHeader(item.header);
    if (this.header === undefined) throw new SnapshotError("damaged", "the snapshot has no header");
    if (item.kind === "end") checkCount(this.#clusters, this.header);
    if (item.kind !== "record") return;
    checkRecord(item, this.header);
    if (item.key === RECORD_STATE) this.state = decompress(item.data, item.rawBytes);
    else {
      this.#clusters++;
      page(item);
    }
  }

  opened(base: PageBase): OpenedSnapshot {
    const { header, state } = this;
    if (header === undefined || state === undefined) {
      throw new SnapshotError("damaged", "the snapshot has no state");
    }
    return { header, state, base };
  }
}

/** A file that is whole in memory; its pages stay in it. @throws SnapshotError */
export function readSnapshot(file: Uint8Array): OpenedSnapshot {
  const parser = new SnapshotParser();
  const opening = new Opening();
  const base = new MemoryBase();
  for (const item of parser.push(file)) opening.take(item, (record) => base.add(record));
  parser.finish();
  return opening.opened(base);
}

/** A file that is too large for that: its pages go to the job's storage as they come. @throws SnapshotError */
export async function copySnapshot(
  body: AsyncIterable<Uint8Array>,
  sql: SqlStorage,
): Promise<OpenedSnapshot> {
  const parser = new SnapshotParser();
  const opening = new Opening();
  for await (const bytes of pieces(body, SNAPSHOT_LIMITS.pieceBytes)) {
    for (const item of parser.push(bytes)) {
      opening.take(item, ({ key, encoded }) => SqlBase.add(sql, key, encoded));
    }
  }
  parser.finish();
  return opening.opened(new SqlBase(sql));
}

/**
 * What a job that starts from `reference` begins with; undefined if there is no such snapshot any more. A small file stays
 * in memory, the pages of a large one go to the job's storage.
 *
 * @throws SnapshotError
 */
export async function startingPoint(
  bucket: R2Bucket,
  reference: SnapshotReference,
  sql: SqlStorage,
): Promise<OpenedSnapshot | undefined> {
  const object = await openSnapshot(bucket, reference);
  if (object === undefined) return undefined;
  if (object.size > SNAPSHOT_LIMITS.memoryBytes) return copySnapshot(object.body, sql);
  return readSnapshot(new Uint8Array(await object.arrayBuffer()));
}

/** A file on its way in. */
export interface CheckedFile {
  readonly header: SnapshotHeader;
  /** The file's bytes, each piece checked before it is given; throws SnapshotError as soon as something is wrong. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** SHA-256 of all before the end record, in hexadecimal; known when `chunks` are through. */
  sha256(): string;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Checks a file as it comes, and never holds more than a piece of it.
 *
 * @throws SnapshotError at once if its beginning is no snapshot's
 */
export async function checkSnapshot(body: AsyncIterable<Uint8Array>): Promise<CheckedFile> {
  const parser = new SnapshotParser();
  const opening = new Opening();
  const hash = createHash("sha256");
  let digest = "";
  const items = (async function* (): AsyncGenerator<SnapshotItem> {
    for await (const bytes of pieces(body, SNAPSHOT_LIMITS.pieceBytes)) yield* parser.push(bytes);
    parser.finish();
  })();
  const check = (item: SnapshotItem): Uint8Array => {
    opening.take(item, ({ data, rawBytes }) => void decompress(data, rawBytes));
    if (item.kind !== "end") {
      hash.update(item.encoded);
      return item.encoded;
    }
    digest = hash.digest("hex");
    if (digest !== hexOf(item.sha256)) {
      throw new SnapshotError(
        "damaged",
        "the SHA-256 at the end of the snapshot is not that of what came before",
      );
    }
    return item.encoded;
  };
  const first = await items.next();
  if (first.done === true) throw new SnapshotError("truncated", "the snapshot is empty");
  const beginning = check(first.value);
  const { header } = opening;
  if (header === undefined) throw new SnapshotError("damaged", "the snapshot has no header");
  const chunks = (async function* (): AsyncGenerator<Uint8Array> {
    yield beginning;
    for await (const item of items) yield check(item);
  })();
  return { header, chunks, sha256: () => digest };
}
