/** Every bound of the worker, in one place. */

const MiB = 1024 * 1024;

export const UPLOAD_LIMITS = {
  /** Largest kernel or initrd, in bytes. */
  blobBytes: 64 * MiB,
  /** Largest JSON: a config part or a whole JSON body. */
  jsonBytes: 64 * 1024,
  /** Headers of one part of a multipart body. */
  partHeaderBytes: 8 * 1024,
  /** Parts of one multipart body. */
  parts: 8,
  /** The same of the dashboard's form, in which each field is a part. */
  formParts: 32,
  /** A blob of unknown length is sent to R2 in pieces of this size (R2 wants at least 5 MiB, all alike). */
  r2PartBytes: 8 * MiB,
} as const;

export const RUNNER_LIMITS = {
  /** Instructions between two yields to the event loop, before the pace is known: 5 to 10 ms of work. */
  sliceInstructions: 1_000_000,
  /** Bounds of the pace. */
  minSliceInstructions: 1_000_000,
  maxSliceInstructions: 16_000_000,
  /** Where the pace aims. A request passes several hops of the event loop, each of which waits for one slice at most. */
  sliceMilliseconds: 6,
  /** Every so many slices the yield is a timer instead of a mere turn of the event loop: the clock moves on then. */
  slicesPerTimer: 16,
  /** Most instructions between two checkpoints, that is, in one alarm, for where the clock stands still: about 20 s. */
  turnInstructions: 4_000_000_000,
  /** Turns begun without one having ended in a checkpoint, however they broke off: the process was killed, out of memory ... */
  attempts: 20,
  /** Turns that threw since the last checkpoint. */
  failures: 3,
  /** Wait after the first failure; doubled with each further one. */
  failureDelayMilliseconds: 200,
  /** Machines in one isolate at a time; the pool of one takes half of the 128 MB. */
  machines: 1,
  /** How long a job may keep its machine while others wait. */
  machineQuantumMilliseconds: 10_000,
  /** How often a waiting job asks again, times the number of jobs before it. */
  machinePollMilliseconds: 50,
  /** A job that was not heard of for this long has lost its machine, or its place in the queue. */
  machineStaleMilliseconds: 30_000,
  /**
   * The platform gives an alarm up when it has failed this often. One that comes for the last time but some sets itself anew
   * before it does anything else.
   */
  alarmRetries: 3,
  /** How far ahead that is. */
  alarmRenewalMilliseconds: 5_000,
  /** How long the pages of a job that failed are kept, unless the setting KEEP_FAILED_SECONDS says otherwise. */
  keepFailedMilliseconds: 3_600_000,
  /** How long a job's result and console are kept after its end. Then nothing is left of it. */
  keepResultMilliseconds: 30 * 24 * 3_600_000,
} as const;

/** Looking for the last known good, where the verdict depends on it: waits after the first failure, doubled with each further one. */
export const BUDGET_LIMITS = { delayMilliseconds: 250, mostDelayMilliseconds: 8_000 } as const;

/** When to write a checkpoint: see CheckpointPolicy. */
export const CHECKPOINT_LIMITS = {
  /** Least and most wall time between two. */
  minMilliseconds: 1_000,
  maxMilliseconds: 20_000,
  /** How long a process is assumed to live while nothing is known of it. */
  lifeMilliseconds: 300_000,
  /** What a checkpoint is assumed to cost before any was measured: as measured locally, with 64 KiB rows. */
  microsecondsPerPage: 45,
  /** As many pages does that assumption weigh. */
  assumedPages: 1_000,
  /** What one costs without any page. */
  baseMilliseconds: 3,
  /** It costs no less than this, whatever the clock says: in production it stands still while rows are written. */
  minMicrosecondsPerPage: 10,
} as const;

/** Ranges of what a deployment may set: see settings.ts. */
export const SETTING_LIMITS = {
  /** POOL_LIMITS.minPoolPages; Debian boots with it, at little cost (docs/paging.md). */
  minPoolMiB: 2,
  /** Beside it the core needs 14 MiB; an isolate of Workers has 128 MB. */
  maxPoolMiB: 4096,
  maxSliceInstructions: 1_000_000_000_000,
  /** Results are kept for 30 days; their guests' memory no longer. */
  maxKeepFailedSeconds: 30 * 24 * 3600,
} as const;

export const FIGURE_LIMITS = {
  /** State hashes of one job. */
  stateHashes: 1000,
  /**
   * A pool is too small for its guest if each page fetched buys fewer instructions than this, over so many of them: minutes
   * of fetching. Debian in a pool of 2 MiB executes 44,000 (docs/paging.md).
   */
  thrashingInstructions: 1000,
  thrashingPageIns: 500_000,
} as const;

/** Events on their way out of a job's object: see runner/outbox.ts. */
export const OUTBOX_LIMITS = {
  /** Wait after the first failure; doubled with each further one. */
  delayMilliseconds: 1_000,
  mostDelayMilliseconds: 300_000,
  /** One delivery. Whoever waits for it (a turn, a POST /jobs) waits no longer. */
  deliveryMilliseconds: 10_000,
} as const;

/** Quotas of tokens: see register/quota.ts. */
export const QUOTA_LIMITS = {
  /** Of a token that is made without quotas of its own. A boot of Debian takes 2 to 3 thousand million instructions. */
  concurrentJobs: 20,
  instructionsPerDay: 1_000_000_000_000,
  storageBytes: 20 * 1024 * MiB,
  /** When to try again: a job may have ended by then. */
  jobRetrySeconds: 10,
  storageRetrySeconds: 3600,
  /** What a job without its guest's memory takes besides its console. */
  jobBytes: 64 * 1024,
  /** How long an upload counts: README.md advises a rule that removes them by then. */
  uploadMilliseconds: 90 * 24 * 3_600_000,
  /** How long room is held for what is on its way, if nobody says that it has come: the process died. */
  roomMilliseconds: 3_600_000,
} as const;

export const TOKEN_LIMITS = {
  /** Tokens of one deployment. */
  tokens: 1000,
  /** How long an isolate believes what it knows of a token. */
  believeMilliseconds: 10_000,
  /** Tokens that an isolate remembers. */
  remembered: 1000,
} as const;

export const REGISTER_LIMITS = {
  /** How often live jobs are looked at, and after how long without news one is asked. */
  sweepMilliseconds: 300_000,
  leastSweepMilliseconds: 1_000,
  silentMilliseconds: 600_000,
  /** The same of a job that was admitted and of which nothing was heard yet: it may never have been made. */
  unheardMilliseconds: 30_000,
  /** Jobs asked in one go. */
  sweepJobs: 50,
  /** When the copy of a token that was removed is removed again, if the process died. */
  copyMilliseconds: 10_000,
  repairJobs: 50,
  repairRows: 500,
  repairFiles: 100,
  /** When a step of a repair that died comes again. */
  repairRetryMilliseconds: 30_000,
  /** How long the instructions of a day are kept. */
  usedMilliseconds: 35 * 24 * 3_600_000,
} as const;

export const METRICS_LIMITS = {
  /** How often an isolate tells what it counted. */
  tellMilliseconds: 10_000,
  /** Methods that are counted by their names. */
  methods: new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
} as const;

export const HEALTH_LIMITS = {
  /** Longest wait for one check. */
  milliseconds: 5_000,
} as const;

export const QUEUE_LIMITS = {
  /** Longest wait before a message is tried again. */
  mostDelaySeconds: 300,
} as const;

export const INSPECTION_LIMITS = {
  /** How long one inspection of a kernel may keep others of its isolate waiting. */
  milliseconds: 30_000,
  /** How often those look whether it is over. */
  pollMilliseconds: 20,
} as const;

export const STORAGE_LIMITS = {
  /**
   * Most that one job's storage may take. The largest guest (512 MiB) whose every page is stored twice, in a checkpoint and
   * in what came after it, needs 1.1 GiB.
   */
  jobBytes: 1536 * MiB,
  /** Pages in one row. 64 KiB rows are written at 155-197 MB/s, 4 KiB rows at 80-125, and rows written are what is paid for. */
  pagesPerRow: 16,
  /** Rows of changed pages kept in memory before they are written. */
  bufferedRows: 64,
  /** Rows kept in memory after reading. */
  cachedRows: 32,
  /** One row of console output. */
  consoleRowBytes: 16 * 1024,
  /** One row of machine state (a row is at most 2 MiB). */
  stateRowBytes: MiB,
  /** Console bytes in one piece of a response. */
  consoleReadBytes: 64 * 1024,
} as const;
