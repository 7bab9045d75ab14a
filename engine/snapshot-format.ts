import { checksumBytes, mixWord } from "./memory/checksum.ts";

/*
 * The file of a snapshot: a whole machine, whatever it is stored in or sent over. All numbers are little-endian and of 32
 * bits; everything begins at a multiple of 4.
 *
 *   offset 0   "XENNERSN"
 *          8   version
 *         12   bytes of the header
 *         16   checksum of the header
 *         20   0
 *         24   the header: JSON in UTF-8, filled up with spaces
 *   then records:
 *          0   what it is: a cluster of neighbouring guest pages, by its number, or RECORD_STATE
 *          4   bytes of its data as stored here
 *          8   bytes of its data when it is decompressed ("deflate", RFC 1951); the same number: it is not compressed
 *         12   checksum of these three and the data as stored
 *         16   the data, filled up with zeros
 *   and at the end one more:
 *          0   RECORD_END
 *          4   32
 *          8   the number of records before
 *         12   checksum
 *         16   SHA-256 of the file up to this record
 *
 * The state comes before the clusters, and those in ascending order. Clusters of nothing but zeros are left out. Every bit
 * of the file is covered by a checksum or compared, so that a reader that looks at a part of it needs no more.
 */

export const SNAPSHOT_VERSION = 1;
/** The record with the rest of the machine: what MachineApi.checkpoint returns. */
export const RECORD_STATE = 0xffff_fffe;
const RECORD_END = 0xffff_ffff;

const MAGIC = new TextEncoder().encode("XENNERSN");
const START_BYTES = 24;
const RECORD_BYTES = 16;
const SHA256_BYTES = 32;
const HEADER_SEED = 0x6865_6164;

/** Bounds for files that come from anywhere. */
export const SNAPSHOT_FORMAT_LIMITS = {
  headerBytes: 256 * 1024,
  /** One record, stored or decompressed: the state of a guest that uses all it may of the xenstore. */
  recordBytes: 8 * 1024 * 1024,
} as const;

/** A file that is no snapshot, or not a whole one. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
  readonly code: "not-a-snapshot" | "wrong-version" | "damaged" | "truncated";

  constructor(code: SnapshotError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A piece of the file, and the bytes it is encoded in. */
export type SnapshotItem = { readonly encoded: Uint8Array } & (
  | { readonly kind: "header"; readonly header: unknown }
  | ({ readonly kind: "record" } & SnapshotRecord)
  | { readonly kind: "end"; readonly records: number; readonly sha256: Uint8Array }
);

const padded = (bytes: number): number => (bytes + 3) & ~3;
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function headerSum(version: number, json: Uint8Array): number {
  return checksumBytes(json, mixWord(HEADER_SEED, version));
}

/** `data`: filled up to a multiple of 4. */
function recordSum(key: number, bytes: number, rawBytes: number, data: Uint8Array): number {
  return checksumBytes(data, mixWord(mixWord(mixWord(0, key), bytes), rawBytes));
}

/** The beginning of a file. */
export function encodeSnapshotHeader(header: unknown): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = padded(json.length);
  const bytes = new Uint8Array(START_BYTES + length).fill(0x20, START_BYTES);
  bytes.set(MAGIC);
  bytes.set(json, START_BYTES);
  const view = viewOf(bytes);
  view.setUint32(8, SNAPSHOT_VERSION, true);
  view.setUint32(12, length, true);
  view.setUint32(16, headerSum(SNAPSHOT_VERSION, bytes.subarray(START_BYTES)), true);
  return bytes;
}

/**
 * The header of a file, given enough of its beginning; what comes behind it is not looked at.
 *
 * @throws SnapshotError
 */
export function decodeSnapshotHeader(beginning: Uint8Array): unknown {
  const length = beginning.length < START_BYTES ? 0 : viewOf(beginning).getUint32(12, true);
  const parser = new SnapshotParser();
  const [item] = parser.push(beginning.subarray(0, START_BYTES + length));
  if (item?.kind === "header") return item.header;
  throw new SnapshotError("truncated", "the snapshot ends before its header is complete");
}

/** `data` as stored; `rawBytes` is its length when decompressed, the same if it is not compressed. */
export function encodeSnapshotRecord(key: number, data: Uint8Array, rawBytes: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES + padded(data.length));
  bytes.set(data, RECORD_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, key, true);
  view.setUint32(4, data.length, true);
  view.setUint32(8, rawBytes, true);
  view.setUint32(12, recordSum(key, data.length, rawBytes, bytes.subarray(RECORD_BYTES)), true);
  return bytes;
}

/** A record of a file. */
export interface SnapshotRecord {
  /** Cluster number, or RECORD_STATE. */
  readonly key: number;
  readonly data: Uint8Array;
  /** Bytes of the data when decompressed. */
  readonly rawBytes: number;
}

/**
 * The record that `bytes` begins with; undefined if there is less than a whole one. `what` names it in errors.
 *
 * @throws SnapshotError
 */
export function decodeSnapshotRecord(
  bytes: Uint8Array,
  what = "a record of the snapshot",
): (SnapshotRecord & { readonly encoded: Uint8Array }) | undefined {
  if (bytes.length < RECORD_BYTES) return undefined;
  const view = viewOf(bytes);
  const key = view.getUint32(0, true);
  const length = view.getUint32(4, true);
  const rawBytes = view.getUint32(8, true);
  if (length > SNAPSHOT_FORMAT_LIMITS.recordBytes) {
    throw new SnapshotError("damaged", `${what} is damaged: no record is of ${length} bytes`);
  }
  const size = RECORD_BYTES + padded(length);
  if (bytes.length < size) return undefined;
  const encoded = bytes.subarray(0, size);
  if (view.getUint32(12, true) !== recordSum(key, length, rawBytes, encoded.subarray(RECORD_BYTES))) {
    throw new SnapshotError("damaged", `${what} has a wrong checksum`);
  }
  return { key, data: encoded.subarray(RECORD_BYTES, RECORD_BYTES + length), rawBytes, encoded };
}

/** The end of a file of so many records, the SHA-256 of everything before being known. */
export function encodeSnapshotEnd(records: number, sha256: Uint8Array): Uint8Array {
  return encodeSnapshotRecord(RECORD_END, sha256, records);
}

/**
 * Takes a file apart as it comes. All that can be known of a piece is checked before it is handed out; whether the SHA-256 at
 * the end is right is the caller's to see, who may have hashed the pieces.
 */
export class SnapshotParser {
  /** What came and is not a whole piece yet. */
  #rest: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #began = false;
  #ended = false;
  #records = 0;
  #lastCluster = -1;
  #stateSeen = false;

  /**
   * The pieces that are whole with `bytes`; they are views of it where that is possible. `bytes` begins at a multiple of 4
   * of its buffer if it is the whole file.
   *
   * @throws SnapshotError
   */
  push(bytes: Uint8Array): SnapshotItem[] {
    let at = bytes;
    if (this.#rest.length > 0) {
      at = new Uint8Array(this.#rest.length + bytes.length);
      at.set(this.#rest);
      at.set(bytes, this.#rest.length);
    }
    const items: SnapshotItem[] = [];
    for (;;) {
      const item = this.#next(at);
      if (item === undefined) break;
      items.push(item);
      this.#offset += item.encoded.length;
      at = at.subarray(item.encoded.length);
    }
    // A copy, so that a short rest does not keep a long chunk.
    this.#rest = at.slice();
    return items;
  }

  /** There is no more. @throws SnapshotError unless the file was whole */
  finish(): void {
    if (this.#ended) return;
    const where = this.#began ? `after ${this.#records} records` : "before its header is complete";
    throw new SnapshotError(
      "truncated",
      `the snapshot ends ${where}, at byte ${this.#offset + this.#rest.length}`,
    );
  }

  #next(bytes: Uint8Array): SnapshotItem | undefined {
    if (!this.#began) return this.#header(bytes);
    if (this.#ended) {
      if (bytes.length === 0) return undefined;
      throw new SnapshotError("damaged", `the snapshot goes on behind its end, at byte ${this.#offset}`);
    }
    return this.#record(bytes);
  }

  #header(bytes: Uint8Array): SnapshotItem | undefined {
    const known = Math.min(bytes.length, MAGIC.length);
    for (let i = 0; i < known; i++) {
      if (bytes[i] !== MAGIC[i]) throw new SnapshotError("not-a-snapshot", "this file is no snapshot");
    }
    if (bytes.length < START_BYTES) return undefined;
    const view = viewOf(bytes);
    const version = view.getUint32(8, true);
    if (version !== SNAPSHOT_VERSION) {
      throw new SnapshotError(
        "wrong-version",
        `the snapshot is of version ${version}, this worker reads version ${SNAPSHOT_VERSION}`,
      );
    }
    const length = view.getUint32(12, true);
    if (length > SNAPSHOT_FORMAT_LIMITS.headerBytes || length % 4 !== 0 || view.getUint32(20, true) !== 0) {
      throw new SnapshotError("damaged", "the snapshot's header is damaged");
    }
    if (bytes.length < START_BYTES + length) return undefined;
    const encoded = bytes.subarray(0, START_BYTES + length);
    const json = encoded.subarray(START_BYTES);
    if (view.getUint32(16, true) !== headerSum(version, json)) {
      throw new SnapshotError("damaged", "the checksum of the snapshot's header is wrong");
    }
    this.#began = true;
    return { kind: "header", header: JSON.parse(new TextDecoder().decode(json)), encoded };
  }

  #record(bytes: Uint8Array): SnapshotItem | undefined {
    const what = `record ${this.#records} of the snapshot, at byte ${this.#offset},`;
    const record = decodeSnapshotRecord(bytes, what);
    if (record === undefined) return undefined;
    const { key, data, rawBytes, encoded } = record;
    if (key === RECORD_END) {
      if (rawBytes !== this.#records || data.length !== SHA256_BYTES) {
        throw new SnapshotError(
          "damaged",
          `the snapshot has ${this.#records} records, but its end says ${rawBytes}`,
        );
      }
      this.#ended = true;
      return { kind: "end", records: rawBytes, sha256: data, encoded };
    }
    this.#checkOrder(key, rawBytes, data.length, what);
    this.#records++;
    return { kind: "record", key, data, rawBytes, encoded };
  }

  #checkOrder(key: number, rawBytes: number, length: number, what: string): void {
    if (rawBytes < length || rawBytes > SNAPSHOT_FORMAT_LIMITS.recordBytes) {
      throw new SnapshotError("damaged", `${what} is damaged: ${length} bytes cannot become ${rawBytes}`);
    }
    if (key === RECORD_STATE) {
      if (this.#stateSeen) throw new SnapshotError("damaged", `${what} is a second state`);
      this.#stateSeen = true;
      return;
    }
    if (!this.#stateSeen) throw new SnapshotError("damaged", `${what} comes before the state`);
    if (key <= this.#lastCluster) {
      throw new SnapshotError("damaged", `${what} is cluster ${key}, behind cluster ${this.#lastCluster}`);
    }
    this.#lastCluster = key;
  }
}
