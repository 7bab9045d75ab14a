import { checksum, isZero } from "../../engine/memory/checksum.ts";
import { freeBuffer } from "../../engine/memory/free-buffer.ts";
import type { PageStore } from "../../engine/memory/page-store.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import { MemoryBase, type PageBase, SqlBase } from "../snapshots/base.ts";
import type { WrittenCluster } from "../snapshots/write.ts";
import { DamagedCheckpoint } from "./damaged.ts";

const PAGE = 4096;
const PAGES = STORAGE_LIMITS.pagesPerRow;
const ROW = PAGE * PAGES;
const ALL = 2 ** PAGES - 1;
const ZERO_ROW = new Uint8Array(0);
/** Bytes of the mask behind a row that lacks pages. */
const MASK = 4;

/** Neighbouring pages that were written but not yet stored; `written` has bit i set for page i. */
interface Buffered {
  readonly data: Uint8Array;
  written: number;
}

/** `row` is a whole buffer, so it is aligned. */
function wordsOf(row: Uint8Array): Uint32Array {
  return new Uint32Array(row.buffer, row.byteOffset, row.length / 4);
}

function pageIn(row: Uint8Array, index: number): Uint8Array {
  return row.subarray(index * PAGE, (index + 1) * PAGE);
}

/**
 * A row without its zero pages: the others, and a mask of 32 bits that says which they are. A row of 16 others is as it is, one
 * of none is empty. `room` holds the result.
 */
function pack(row: Uint8Array, room: Uint8Array): Uint8Array {
  let mask = 0;
  let packed = 0;
  for (let index = 0; index < PAGES; index++) {
    const page = pageIn(row, index);
    if (isZero(wordsOf(page))) continue;
    mask |= 1 << index;
    room.set(page, packed++ * PAGE);
  }
  if (mask === ALL) return row;
  if (mask === 0) return ZERO_ROW;
  new DataView(room.buffer, room.byteOffset).setUint32(packed * PAGE, mask, true);
  return room.subarray(0, packed * PAGE + MASK);
}

/** The row that was packed into `stored`, in `room`; undefined if `stored` is no such thing. */
function unpack(stored: Uint8Array, room: Uint8Array): Uint8Array | undefined {
  if (stored.length === 0) return ZERO_ROW;
  if (stored.length === ROW) {
    room.set(stored);
    return room.subarray(0, ROW);
  }
  const pages = (stored.length - MASK) / PAGE;
  if (!Number.isInteger(pages) || pages < 1 || pages >= PAGES) return undefined;
  const mask = new DataView(stored.buffer, stored.byteOffset).getUint32(pages * PAGE, true);
  room.fill(0, 0, ROW);
  let packed = 0;
  for (let index = 0; index < PAGES; index++) {
    if (((mask >>> index) & 1) === 0) continue;
    if (packed === pages) return undefined;
    room.set(pageIn(stored, packed++), index * PAGE);
  }
  return packed === pages && mask <= ALL ? room.subarray(0, ROW) : undefined;
}

/** The cluster counts, so that a row cannot pass for another's. */
function sumOf(cluster: number, row: Uint8Array): number {
  return checksum(wordsOf(row), cluster);
}

/**
 * Guest pages in SQLite, clustered into rows of PAGES neighbours.
 *
 * Two tables: `page` holds memory as of the last checkpoint, `page_overlay` what was written since (pages that had to
 * leave their frame in between). `commit` folds everything into `page` and must run inside the transaction that stores
 * the rest of the checkpoint; `rewind` forgets what came after the last one. Zero pages are not stored; a cluster of nothing else has no
 * row in `page`, and an empty one in `page_overlay`. Before the first checkpoint everything goes to `page`. A job that began from a snapshot has that one's pages behind these two
 * (PageBase), and an empty row in `page` for a cluster that is zero now and was not then.
 *
 * Each row carries a checksum, looked at whenever it is read; that no row is lost or moved is what the manifest is for.
 */
export class SqlPageStore implements PageStore {
  readonly #sql: SqlStorage;
  readonly #fence: () => void;
  readonly #buffered = new Map<number, Buffered>();
  /** Buffers to use again, because an isolate gets its memory back late. */
  readonly #spare: Uint8Array[] = [];
  /** For a row that is packed or unpacked; good until the next one. */
  readonly #room = new Uint8Array(ROW + MASK);
  /** Whole clusters as stored, least recently used first. */
  readonly #cache = new Map<number, Uint8Array | undefined>();
  /** What a job that began from a snapshot began with. */
  #base: PageBase | undefined;
  #committing = false;
  /** There is no checkpoint to go back to: pages need no overlay. */
  #isNew = false;
  #rowsWritten = 0;
  #bytesWritten = 0;

  /** @param fence called before rows are written; what it throws keeps them from being written. */
  constructor(sql: SqlStorage, fence: () => void = () => {}) {
    this.#sql = sql;
    this.#fence = fence;
    this.#base = SqlBase.stored(sql);
  }

  /** The job begins from a snapshot: these are its pages, until it writes others. The store was empty. */
  startFrom(base: PageBase): void {
    this.#base = base;
    this.#cache.clear();
  }

  /** Rows written since this store was made. */
  get rowsWritten(): number {
    return this.#rowsWritten;
  }

  /** Bytes of the rows written since this store was made; those that a commit moves out of the overlay count twice. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  read(gfn: number, into: Uint8Array): boolean {
    const cluster = Math.floor(gfn / PAGES);
    const index = gfn % PAGES;
    const buffered = this.#buffered.get(cluster);
    if (buffered !== undefined && (buffered.written >>> index) & 1) {
      into.set(buffered.data.subarray(index * PAGE, (index + 1) * PAGE));
      return true;
    }
    const stored = this.#stored(cluster);
    if (stored === undefined) return false;
    into.set(stored.subarray(index * PAGE, (index + 1) * PAGE));
    return true;
  }

  write(gfn: number, page: Uint8Array): void {
    const cluster = Math.floor(gfn / PAGES);
    const index = gfn % PAGES;
    let buffered = this.#buffered.get(cluster);
    if (buffered === undefined) {
      if (this.#buffered.size >= STORAGE_LIMITS.bufferedRows) this.#flush();
      buffered = { data: this.#spare.pop()?.fill(0) ?? new Uint8Array(ROW), written: 0 };
      this.#buffered.set(cluster, buffered);
    }
    buffered.data.set(page, index * PAGE);
    buffered.written |= 1 << index;
  }

  /** Begins a checkpoint: from here to `commit`, pages go straight to `page`. Only inside a transaction. */
  begin(): void {
    this.#committing = true;
    if (this.#base instanceof MemoryBase) {
      for (const { cluster, encoded } of this.#base.records()) {
        SqlBase.add(this.#sql, cluster, encoded);
        this.#bytesWritten += encoded.length;
      }
      this.#base = new SqlBase(this.#sql);
    }
  }

  /** Ends a checkpoint: everything written so far is in `page`, and the overlay is empty. */
  commit(): void {
    this.#flush();
    this.#bytesWritten += this.#sql
      .exec<{ bytes: number }>("SELECT total(length(data)) AS bytes FROM page_overlay")
      .one().bytes;
    this.#sql.exec(
      `INSERT OR REPLACE INTO page SELECT cluster, sum, data FROM page_overlay
       WHERE length(data) > 0 OR cluster IN (SELECT cluster FROM base_page)`,
    );
    this.#sql.exec(
      `DELETE FROM page WHERE cluster IN (SELECT cluster FROM page_overlay WHERE length(data) = 0)
       AND cluster NOT IN (SELECT cluster FROM base_page)`,
    );
    this.#sql.exec("DELETE FROM page_overlay");
    this.#committing = false;
    this.#isNew = false;
  }

  /** Goes back to the last checkpoint; to nothing, if there was none since `clear`. */
  rewind(): void {
    if (this.#isNew) this.#sql.exec("DELETE FROM page");
    this.#buffered.clear();
    this.#cache.clear();
    this.#committing = false;
    this.#sql.exec("DELETE FROM page_overlay");
  }

  /** What `page` holds, for the checkpoint that it belongs to. Only looks at the beginning of each row. */
  manifest(): string {
    const { rows, sums, clusters } = this.#sql
      .exec<{ rows: number; sums: number; clusters: number }>(
        "SELECT count(*) AS rows, total(sum) AS sums, total(cluster) AS clusters FROM page",
      )
      .one();
    const base = this.#sql
      .exec<{ rows: number; clusters: number }>(
        "SELECT count(*) AS rows, total(cluster) AS clusters FROM base_page",
      )
      .one();
    return `${rows} rows, sums ${sums}, clusters ${clusters}; base ${base.rows} rows, clusters ${base.clusters}`;
  }

  /** Forgets every page. Until the next checkpoint there is nothing to go back to. */
  clear(): void {
    this.rewind();
    this.#isNew = true;
    this.#base = undefined;
    this.#sql.exec("DELETE FROM page");
    this.#sql.exec("DELETE FROM base_page");
  }

  /** The clusters of the last checkpoint that are not all zero, in ascending order. */
  checkpointedClusters(): number[] {
    return this.#sql
      .exec<{ cluster: number }>(
        `SELECT cluster FROM page WHERE length(data) > 0
         UNION SELECT cluster FROM base_page WHERE cluster NOT IN (SELECT cluster FROM page) ORDER BY cluster`,
      )
      .toArray()
      .map(({ cluster }) => cluster);
  }

  /**
   * One of checkpointedClusters, as it was then; undefined if it is not there any more.
   *
   * @throws DamagedCheckpoint
   */
  checkpointedCluster(cluster: number): WrittenCluster | undefined {
    const raw = this.#select("page", cluster);
    if (raw !== undefined) return raw.length === 0 ? undefined : { cluster, raw: raw.slice() };
    const encoded = new SqlBase(this.#sql).record(cluster);
    return encoded === undefined ? undefined : { cluster, encoded };
  }

  #stored(cluster: number): Uint8Array | undefined {
    if (this.#cache.has(cluster)) {
      const cached = this.#cache.get(cluster);
      this.#cache.delete(cluster);
      this.#cache.set(cluster, cached);
      return cached;
    }
    const row =
      this.#select("page_overlay", cluster) ?? this.#select("page", cluster) ?? this.#readBase(cluster);
    return this.#remember(cluster, row === undefined || row.length === 0 ? undefined : row);
  }

  /** What is returned is good until the next row is read or packed; so it is with `#select`. */
  #readBase(cluster: number): Uint8Array | undefined {
    const raw = this.#base?.read(cluster);
    if (raw === undefined) return undefined;
    this.#room.set(raw);
    const row = this.#room.subarray(0, raw.length);
    // A small one may be a part of a buffer that others use.
    if (raw.length === ROW) freeBuffer(raw.buffer as ArrayBuffer);
    return row;
  }

  #select(table: "page" | "page_overlay", cluster: number): Uint8Array | undefined {
    const [row] = this.#sql
      .exec<{ sum: number; data: ArrayBuffer }>(`SELECT sum, data FROM ${table} WHERE cluster = ?`, cluster)
      .toArray();
    if (row === undefined) return undefined;
    const data = new Uint8Array(row.data);
    const mayBeZero = table === "page_overlay" || this.#base !== undefined;
    const isSound =
      data.length % 4 === 0 && (data.length > 0 || mayBeZero) && row.sum === sumOf(cluster, data);
    const whole = isSound ? unpack(data, this.#room) : undefined;
    freeBuffer(data.buffer);
    if (whole === undefined) {
      throw new DamagedCheckpoint(
        `guest pages ${cluster * PAGES} to ${(cluster + 1) * PAGES - 1} are damaged`,
      );
    }
    return whole;
  }

  /** Puts a copy of a row, or that there is none, into the cache. */
  #remember(cluster: number, row: Uint8Array | undefined): Uint8Array | undefined {
    if (this.#cache.size >= STORAGE_LIMITS.cachedRows) {
      for (const oldest of this.#cache.keys()) {
        this.#forget(oldest);
        break;
      }
    }
    let kept: Uint8Array | undefined;
    if (row !== undefined) {
      kept = this.#spare.pop() ?? new Uint8Array(ROW);
      kept.set(row);
    }
    this.#cache.set(cluster, kept);
    return kept;
  }

  #forget(cluster: number): void {
    const kept = this.#cache.get(cluster);
    if (kept !== undefined) this.#spare.push(kept);
    this.#cache.delete(cluster);
  }

  #flush(): void {
    this.#fence();
    for (const [cluster, { data, written }] of this.#buffered) {
      if (written !== ALL) this.#fillUnwritten(cluster, data, written);
      const row = pack(data, this.#room);
      const zero = row.length === 0;
      const sum = sumOf(cluster, row);
      if (!this.#committing && !this.#isNew) {
        this.#sql.exec("INSERT OR REPLACE INTO page_overlay VALUES (?, ?, ?)", cluster, sum, row);
      } else {
        this.#sql.exec("DELETE FROM page_overlay WHERE cluster = ?", cluster);
        if (zero && this.#base?.has(cluster) !== true) {
          this.#sql.exec("DELETE FROM page WHERE cluster = ?", cluster);
        } else this.#sql.exec("INSERT OR REPLACE INTO page VALUES (?, ?, ?)", cluster, sum, row);
      }
      this.#rowsWritten++;
      this.#bytesWritten += row.length;
      this.#forget(cluster);
    }
    for (const { data } of this.#buffered.values()) this.#spare.push(data);
    this.#buffered.clear();
  }

  #fillUnwritten(cluster: number, data: Uint8Array, written: number): void {
    const old = this.#stored(cluster);
    if (old === undefined) return;
    for (let index = 0; index < PAGES; index++) {
      if ((written >>> index) & 1) continue;
      data.set(old.subarray(index * PAGE, (index + 1) * PAGE), index * PAGE);
    }
  }
}
