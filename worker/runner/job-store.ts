import { checksumBytes } from "../../engine/memory/checksum.ts";
import { type JobRecord, type JobRequest, newRecord, OLDER_REQUEST } from "./record.ts";
import { createTables, LAYOUT, storedLayout } from "./schema.ts";

/** Another instance of this object has taken the job over: whoever meets this stops, and writes nothing more. */
export class Superseded extends Error {
  override readonly name = "Superseded";
  constructor() {
    super("another instance of this object has taken the job over");
  }
}

/** What is stored of a job. */
export type StoredJob =
  | { readonly kind: "none" }
  /** What the job is made from cannot be known any more; `reason` says why. */
  | { readonly kind: "unreadable"; readonly reason: string }
  /** `damaged`: the record was not what had been written, so this is the job as it was when it was created. */
  | { readonly kind: "job"; readonly record: JobRecord; readonly epoch: number; readonly damaged: boolean };

const ENCODER = new TextEncoder();
const sumOf = (text: string, seed: number): number => checksumBytes(ENCODER.encode(text), seed);

/** Seeds, so that no row passes for one of another table. */
const REQUEST_SEED = 0x7265_7175;
const RECORD_SEED = 0x7265_636f;

interface CreatedRequest {
  readonly request: JobRequest;
  readonly createdAt: number;
}

/**
 * A job's request, which never changes, and its record, which does. The record carries an epoch: whoever takes the job over
 * raises it, and from then on nobody with an older one can write. So of two instances of an object that both believe the job
 * is theirs, only one goes on.
 */
export class JobStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  create(request: JobRequest, now: number): JobRecord {
    createTables(this.#sql);
    const record = newRecord(request, now);
    const created: CreatedRequest = { request, createdAt: now };
    const text = JSON.stringify(created);
    this.#sql.exec("INSERT INTO job_request VALUES (1, ?, ?)", text, sumOf(text, REQUEST_SEED));
    const stored = textOf(record);
    this.#sql.exec("INSERT INTO job VALUES (1, 0, ?, ?)", stored, sumOf(stored, RECORD_SEED));
    return record;
  }

  read(): StoredJob {
    const layout = storedLayout(this.#sql);
    if (layout === undefined) return { kind: "none" };
    if (layout !== LAYOUT) {
      const reason = `it was stored with layout ${layout}, this worker's is ${LAYOUT}`;
      return { kind: "unreadable", reason };
    }
    const [row] = this.#sql
      .exec<{ request: string; sum: number }>("SELECT request, sum FROM job_request")
      .toArray();
    if (row === undefined || row.sum !== sumOf(row.request, REQUEST_SEED)) {
      return { kind: "unreadable", reason: "its request is damaged" };
    }
    const created = JSON.parse(row.request) as CreatedRequest;
    const { createdAt } = created;
    const request: JobRequest = { ...OLDER_REQUEST, ...created.request };
    const [job] = this.#sql
      .exec<{ epoch: number; record: string; sum: number }>("SELECT epoch, record, sum FROM job")
      .toArray();
    if (job === undefined || job.sum !== sumOf(job.record, RECORD_SEED)) {
      const record = newRecord(request, createdAt);
      return { kind: "job", record, epoch: job?.epoch ?? 0, damaged: true };
    }
    const record: JobRecord = { ...(JSON.parse(job.record) as Omit<JobRecord, "request">), request };
    return { kind: "job", record, epoch: job.epoch, damaged: false };
  }

  /** @throws Superseded */
  save(record: JobRecord, epoch: number): void {
    const text = textOf(record);
    const updated = this.#sql
      .exec(
        "UPDATE job SET record = ?, sum = ? WHERE epoch = ? RETURNING id",
        text,
        sumOf(text, RECORD_SEED),
        epoch,
      )
      .toArray();
    if (updated.length === 0) throw new Superseded();
  }

  /** Takes the job over: a new epoch, which only the caller has. */
  take(record: JobRecord): number {
    const text = textOf(record);
    return this.#sql
      .exec<{ epoch: number }>(
        `INSERT INTO job VALUES (1, 1, ?, ?)
         ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1, record = excluded.record, sum = excluded.sum RETURNING epoch`,
        text,
        sumOf(text, RECORD_SEED),
      )
      .one().epoch;
  }

  /** @throws Superseded if the job was taken over since `epoch`. */
  check(epoch: number): void {
    const [row] = this.#sql.exec<{ epoch: number }>("SELECT epoch FROM job").toArray();
    if (row?.epoch !== epoch) throw new Superseded();
  }
}

/** The record without the request, which has a row of its own. */
function textOf(record: JobRecord): string {
  const { request: _, ...rest } = record;
  return JSON.stringify(rest);
}
