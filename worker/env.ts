import type { Principal } from "./auth/principal.ts";
import type { Batch } from "./batches/batch.ts";
import type { Dispatcher } from "./batches/dispatcher.ts";
import type { Hooks } from "./hooks/hooks.ts";
import type { Notifier } from "./notify/notifier.ts";
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
  /** What a job or batch tells others: worker/notify. */
  readonly NOTIFIER: DurableObjectNamespace<Notifier>;
  /** What others may start, and the secrets of hooks: worker/hooks. */
  readonly HOOKS: DurableObjectNamespace<Hooks>;
  readonly BLOBS: R2Bucket;
  /** The index of jobs: worker/database. */
  readonly DB: D1Database;
  /** Work outside of requests: worker/queue.ts. */
  readonly WORK_QUEUE: Queue<WorkMessage>;
  /** The way to addresses that users name, if it is another than `fetch`: a network without private addresses. */
  readonly EGRESS?: Fetcher;
  /** The same for addresses that NOTIFY_ALLOW exempts. */
  readonly EGRESS_EXEMPT?: Fetcher;
  /** The token that may do everything, with which others are made. */
  readonly TOKEN?: string;
  /** "1": jobs that are public may be read without a token. */
  readonly PUBLIC_READ?: string;
  /** Reads /metrics, and nothing else. */
  readonly METRICS_TOKEN?: string;
  /** "all": log what goes well, too: see log.ts. */
  readonly LOG?: string;
  /** Where others reach this worker: links that are sent to them, and those in reports, begin with it. "none": reports have no links. */
  readonly PUBLIC_URL?: string;
  /** Signs events of tokens that have stored no secret: "whsec_…", several while it is being changed. */
  readonly WEBHOOK_SECRET?: string;
  /** Hosts with ports that events and downloads may go to though they are private or use HTTP: "127.0.0.1:8123,…". */
  readonly NOTIFY_ALLOW?: string;
  /** Address of the resolver that names are looked up with, by HTTPS; "none" to leave it to the network. */
  readonly NOTIFY_RESOLVER?: string;
  /** Wait after the first attempt to tell somebody, in seconds. */
  readonly NOTIFY_RETRY_SECONDS?: string;
  /** Writes commit statuses, and reads release files: in which repositories, and where GitHub's API is. */
  readonly GITHUB_TOKEN?: string;
  readonly GITHUB_REPOSITORIES?: string;
  readonly GITHUB_API?: string;
  /** What POST /hooks/github and POST /hooks/generic are signed with; without one the route is closed. */
  readonly GITHUB_WEBHOOK_SECRET?: string;
  readonly GENERIC_WEBHOOK_SECRET?: string;
  /** See settings.ts. */
  readonly KCIDB_ORIGIN?: string;
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
