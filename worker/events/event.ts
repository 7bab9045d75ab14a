import type { JobConfig } from "../../jobs/spec.ts";
import type { JobView } from "../runner/record.ts";

/** What may happen to a job that others want to know. */
export type JobEventType = "job.queued" | "job.running" | "job.ended";

/**
 * Something that happened to a job. It comes to each consumer at least once, and in order for each job, so a consumer looks at
 * `id` or `number` and does nothing for one it had.
 */
export interface JobEvent {
  /** `<jobId>.<number>` */
  readonly id: string;
  /** 1, 2, 3 ... for each job. */
  readonly number: number;
  readonly type: JobEventType;
  readonly jobId: string;
  /** Id of the token that made the job. */
  readonly owner: string;
  readonly batch: string | null;
  /** What the job asks to be told, as its configuration has it. */
  readonly notify: JobConfig["notify"];
  /** The job as GET /jobs/:id shows it, at that moment. */
  readonly job: JobView;
  /** When it happened, in milliseconds since 1970. */
  readonly at: number;
}

/** Whoever wants to know. It rejects to have the event again later. */
export type JobEventConsumer = (env: import("../env.ts").Env, event: JobEvent) => Promise<void>;
