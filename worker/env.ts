import type { Principal } from "./auth/principal.ts";
import type { Batch } from "./batches/batch.ts";
import type { Dispatcher } from "./batches/dispatcher.ts";
import type { WorkMessage } from "./queue.ts";
import type { RegisterObject } from "./register/register.ts";
import type { JobRunnerObject } from "./runner/job-runner.ts";

/** What wrangler.toml binds, and the settings a deployment may make. */
export interface Env {
  readonly JOB_RUNNER: DurableObjectNamespace<JobRunnerObject>;
  /** Which jobs and tokens there are: worker/register. */
  readonly REGISTER: DurableObjectNamespace<RegisterObject>;
  /** A batch each, and whose turn it is among them: worker/batches. */
  readonly BATCH: DurableObjectNamespace<Batch>;
  readonly DISPATCHER: DurableObjectNamespace<Dispatcher>;
  readonly BLOBS: R2Bucket;
  /** The index of jobs: worker/database. */
  readonly DB: D1Database;
  /** Work outside of requests: worker/queue.ts. */
  readonly WORK_QUEUE: Queue<WorkMessage>;
  /** The token that may do everything, with which others are made. */
  readonly TOKEN?: string;
  /** "1": jobs that are public may be read without a token. */
  readonly PUBLIC_READ?: string;
  /** Reads /metrics, and nothing else. */
  readonly METRICS_TOKEN?: string;
  /** "all": log what goes well, too: see log.ts. */
  readonly LOG?: string;
  /** See settings.ts. */
  readonly POOL_MIB?: string;
  readonly SLICE_INSTRUCTIONS?: string;
  readonly KEEP_FAILED_SECONDS?: string;
  readonly BATCH_CONCURRENCY?: string;
  readonly BATCH_JOBS?: string;
}

/** What Hono knows of a request: bindings, and what middleware found out. */
export interface AppEnv {
  Bindings: Env;
  Variables: { principal: Principal };
}
