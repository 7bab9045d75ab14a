import type { JobRunnerObject } from "./runner/job-runner.ts";

/** What wrangler.toml binds, and the settings a deployment may make. */
export interface Env {
  readonly JOB_RUNNER: DurableObjectNamespace<JobRunnerObject>;
  readonly BLOBS: R2Bucket;
  /** Bearer token asked of every request but /healthz; without it the worker is open. */
  readonly TOKEN?: string;
  /** See settings.ts. */
  readonly POOL_MIB?: string;
  readonly SLICE_INSTRUCTIONS?: string;
  readonly KEEP_FAILED_SECONDS?: string;
}
