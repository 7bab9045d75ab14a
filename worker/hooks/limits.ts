/** Every bound of what others send to make this worker run jobs. */
export const HOOK_LIMITS = {
  /** Body of a delivery of GitHub's. They have at most 25 MB, and seldom more than a tenth of a megabyte. */
  bodyBytes: 4 * 1024 * 1024,
  /** Body of PUT /hooks/config. */
  configBytes: 512 * 1024,
  rules: 100,
  artifactHosts: 50,
  /** Versions of the configuration that are kept. */
  versions: 50,
  patternCharacters: 200,
  /** Attempts to make the jobs of a delivery, if it is not its own fault that they fail. */
  attempts: 8,
  /** Times that somebody begins with a delivery, most of whom then were never heard of again. */
  claims: 20,
  retryMilliseconds: 5_000,
  mostRetryMilliseconds: 10 * 60_000,
  /** Whoever makes them may be gone; when nothing was heard of him for so long another may try. More than one artifact takes. */
  claimMilliseconds: 5 * 60_000,
  /** A message of the queue that nothing came of is sent again. */
  resendMilliseconds: 60_000,
  /** How long deliveries are remembered: one that is seen again within that time runs nothing. And secrets of tokens that are no more. */
  keepMilliseconds: 30 * 24 * 3_600_000,
  /** An artifact, from the first look to its last byte. */
  artifactMilliseconds: 120_000,
  redirects: 5,
  /** Deliveries of one page. */
  page: 50,
  mostPage: 500,
} as const;
