const MiB = 1024 * 1024;

/** Every bound on snapshots. */
export const SNAPSHOT_LIMITS = {
  /** Snapshots one job may have. */
  perJob: 16,
  /** Snapshots of one token, those that it imported included, and the bytes of all. */
  perOwner: 200,
  bytesPerOwner: 16 * 1024 * MiB,
  /** The same of all tokens. */
  inAll: 2000,
  bytesInAll: 160 * 1024 * MiB,
  /** Largest file: 512 MiB of RAM that do not compress, and their records. */
  fileBytes: 520 * MiB,
  /** How long a snapshot is kept. */
  keepMilliseconds: 30 * 24 * 3_600_000,
  /**
   * A file up to this size is held in memory while a job starts from it, beside the pool of frames; a larger one is copied to
   * the job's storage first. A booted Debian with 128 MB takes 15 MiB.
   */
  memoryBytes: 24 * MiB,
  /** Enough of a file to hold its header, which begins it. */
  beginningBytes: MiB / 2,
  /** Pieces a file that comes in is looked at in. */
  pieceBytes: MiB / 16,
  /** Clusters compressed between two yields to other events: some 6 ms. */
  clustersPerYield: 8,
} as const;
