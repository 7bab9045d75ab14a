/** Every bound of batches in the worker. What a batch itself may be: jobs/batch/limits.ts. */
export const BATCH_LIMITS = {
  /** Batches of one token that have not ended. */
  live: 100,
  /** When to try again: one may have ended by then. */
  liveRetrySeconds: 60,
  /** How long a batch that is being made counts as stored, until it says itself how large it is. */
  makingMilliseconds: 600_000,
  /** Body of a POST /batches. */
  bodyBytes: 1024 * 1024,
  /** Batch jobs that run at the same time, of all owners, unless the variable BATCH_CONCURRENCY says otherwise. */
  concurrent: 64,
  /** Most that it may say. */
  mostConcurrent: 10_000,
  /** Members, or batches, of one page: what is given without `limit`, and the most that may be asked for. */
  page: 100,
  mostPage: 1_000,
  /** Times a member is begun without it having become a job. */
  attempts: 50,
  /** How long a batch over a quota waits that does not say when there may be room. */
  restSeconds: 60,
  /** A message that starts a member is sent again when nothing came of it for so long. */
  resendMilliseconds: 30_000,
  /** How often the dispatcher looks for those. */
  resendPollMilliseconds: 2_000,
  /** After so long a member that runs is asked after: its end may have been lost. */
  askAfterMilliseconds: 600_000,
  /** Batches that write their rows of the index anew at a time. */
  reindexAtOnce: 20,
  /** Jobs of a canceled batch that are canceled at a time. */
  cancelAtOnce: 20,
  /** Consoles of members that are read for reports at a time. */
  collectAtOnce: 5,
  /** So often in one call: an invocation may make 1000 calls of others. */
  collectRounds: 40,
  /** What a member's console adds to a batch's reports, as JSON: a row has at most 2 MB. */
  reportCharacters: 256 * 1024,
  /** End of a console in a batch's reports, for a job that did not pass, and for one that did. */
  tailCharacters: 4096,
  passedTailCharacters: 256,
  /** Rows of reports in one call between objects. */
  reportRows: 50,
  /** Waits after an alarm's work failed: doubled with each further time. */
  delayMilliseconds: 1_000,
  mostDelayMilliseconds: 300_000,
} as const;
