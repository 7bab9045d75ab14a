/** Every number that bounds a job, in one place. Those a user may set are ranges with a default. */

/** A setting's default and the range it may be set to, both ends included. */
export interface Range {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export const MEMORY_MIB: Range = { default: 128, min: 8, max: 512 };

/** COMMAND_LINE_SIZE of Linux on x86 is 2048, and xen/include/public/xen.h MAX_GUEST_CMDLINE is 1024. */
export const CMDLINE_BYTES = 1023;

export const LIMIT_RANGES = {
  /** Guest time, idle time included. */
  guestSeconds: { default: 300, min: 0.001, max: 86_400 },
  /** Retired guest instructions, emu's included. */
  instructions: { default: 20_000_000_000, min: 1_000, max: 1_000_000_000_000 },
  /** Console output; more than that is a flood. */
  consoleBytes: { default: 4 << 20, min: 64, max: 64 << 20 },
  /** Longest silence in guest time. */
  silentSeconds: { default: 120, min: 0.001, max: 86_400 },
  /** Longest silence in instructions. Debian's kernel is silent for 1.3 G while it rebuilds its p2m. */
  silentInstructions: { default: 8_000_000_000, min: 1_000, max: 1_000_000_000_000 },
  /** How long a guest may go on after its verdict is known, to power off by itself or to end its call trace. */
  graceSeconds: { default: 0.5, min: 0, max: 3_600 },
} as const satisfies Record<string, Range>;

/** Patterns in one list (`expect.pass` or `expect.fail`). */
export const PATTERNS = 16;
/** Characters of one pattern. */
export const PATTERN_CHARACTERS = 300;
/** Instructions a pattern may compile to; a counted repetition is written out, so it can be much larger than its text. */
export const PATTERN_PROGRAM = 400;
/** Instructions all patterns of a job may compile to: the worst line of LINE_BYTES then takes some 0.4 s. */
export const PATTERNS_PROGRAM = 5000;
/** Longest line patterns are matched against; a longer one is cut into lines of this length. */
export const LINE_BYTES = 4096;

/**
 * Output and limits are judged when the instruction count is a multiple of this, never in between. So the instruction at
 * which a job ends depends on the guest alone, not on how its run was cut into slices.
 */
export const JUDGE_INTERVAL = 1_000_000;

/** Steps of a job's input. */
export const INPUT_STEPS = 64;
/** Bytes of all steps together. */
export const INPUT_BYTES = 16 * 1024;

/** Labels of a job, and what they may be. */
export const LABELS = 16;
export const LABEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;
export const LABEL_CHARACTERS = 200;

/** Addresses that are told of one job, and how long each may be. */
export const NOTIFICATIONS = 4;
export const NOTIFY_URL_CHARACTERS = 2048;

/** How long what is left of a job is kept. */
export const RETENTION_RANGES = {
  /** Result, console and statistics, in days after the end. */
  days: { default: 30, min: 0.01, max: 90 },
  /** Memory of a guest that failed, in hours. Its default is the deployment's. */
  failedMemoryHours: { min: 0, max: 24 * 7 },
} as const;

/** Pages of GET /jobs. */
export const JOB_LIST = { limit: 50, mostLimit: 500, labels: 16, textCharacters: 200 } as const;

/** Tokens: see schema/token.ts. Larger quotas than these are none. */
export const TOKEN_NAME_CHARACTERS = 64;
export const TOKEN_QUOTA = { min: 0, max: 2 ** 52 } as const;
export const TOKEN_DAYS = { min: 0.0001, max: 3650 } as const;

/** Snapshots a job may make of itself. */
export const SNAPSHOT_POINTS = 4;
/** What a snapshot may be called: it is part of an address. */
export const SNAPSHOT_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/** Instructions between two hashes of a guest's state; one takes as long as some millions of them. */
export const STATE_HASH_EVERY = { min: 1_000_000, max: 1_000_000_000_000 } as const;

export const SEED_DEFAULT = 1n;
export const SEED_MAX = (1n << 64n) - 1n;

/**
 * Wall-clock time at which a guest starts when the job names none: 2026-01-01T00:00:00Z. Fixed, because the date is in
 * Linux's console output, and the same job has to print the same bytes tomorrow.
 */
export const START_TIME_DEFAULT = 1_767_225_600;
/** The last second that fits the 32-bit seconds of Xen's wall clock (struct shared_info.wc_sec). */
export const START_TIME_MAX = 0xffff_ffff;
