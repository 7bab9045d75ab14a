/** Every bound of what this worker sends to others. */
export const NOTIFY_LIMITS = {
  /** Characters of an address, as jobs/limits.ts has it. */
  urlCharacters: 2048,
  /** One attempt, from the look-up of the name to the end of the answer. */
  attemptMilliseconds: 15_000,
  /** Whoever sends one may be gone; after so long another may try. */
  claimMilliseconds: 60_000,
  /** A message of the queue that nothing came of is sent again. */
  resendMilliseconds: 60_000,
  /** Wait after the first failure, unless the setting NOTIFY_RETRY_SECONDS says otherwise; doubled with each further one. */
  retryMilliseconds: 5_000,
  mostRetryMilliseconds: 4 * 3_600_000,
  /** How long an event is tried. */
  giveUpMilliseconds: 24 * 3_600_000,
  /** Deliveries of one job or batch: 4 addresses, 3 events, and statuses. */
  deliveries: 64,
  /** Attempts that the log keeps of one delivery. */
  attempts: 20,
  /** A body. A job that is larger is told of in short. */
  bodyCharacters: 128 * 1024,
  /** What is read, and kept, of an answer. */
  answerBytes: 64 * 1024,
  excerptCharacters: 300,
  /** How long deliveries are kept after the last change. */
  keepMilliseconds: 30 * 24 * 3_600_000,
  /** Waits after the index could not be written. */
  indexRetryMilliseconds: 10_000,
  /** Deliveries of one page: what is given without `limit`, and the most that may be asked for. */
  page: 50,
  mostPage: 500,
  /** Secrets of one token. */
  secrets: 100,
  /** Bytes of a secret's key, as Standard Webhooks has it. */
  leastSecretBytes: 24,
  mostSecretBytes: 64,
  /** How far the clock of whoever signs may be from ours. */
  toleranceSeconds: 300,
} as const;
