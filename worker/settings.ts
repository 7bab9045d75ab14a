import { POOL_LIMITS } from "../engine/limits.ts";
import { BATCH_JOBS } from "../jobs/batch/limits.ts";
import { BATCH_LIMITS } from "./batches/limits.ts";
import type { Env } from "./env.ts";
import { HttpError } from "./errors.ts";
import { RUNNER_LIMITS, SETTING_LIMITS } from "./limits.ts";

/** What a deployment sets by variables (`[vars]` of wrangler.toml); nothing a guest does or shows depends on it. */
export interface Settings {
  /** POOL_MIB: most guest pages in memory at a time. */
  readonly poolPages: number;
  /** SLICE_INSTRUCTIONS: instructions between two turns of the event loop; undefined for a pace by the clock. */
  readonly sliceInstructions: number | undefined;
  /** KEEP_FAILED_SECONDS: how long the memory of a guest that failed is kept. */
  readonly keepFailedMilliseconds: number;
  /** BATCH_CONCURRENCY: jobs of batches that run at the same time. */
  readonly batchConcurrency: number;
  /** BATCH_JOBS: jobs that a batch may have. */
  readonly batchJobs: number;
}

const PAGES_PER_MIB = 256;

/** Reads the settings; an HttpError 500 names the variable that is wrong and what it may be. */
export function settingsOf(env: Env): Settings {
  const { minPoolMiB, maxPoolMiB, maxSliceInstructions, maxKeepFailedSeconds } = SETTING_LIMITS;
  const pool = numberOf(env.POOL_MIB, "POOL_MIB", minPoolMiB, maxPoolMiB);
  const keep = numberOf(env.KEEP_FAILED_SECONDS, "KEEP_FAILED_SECONDS", 0, maxKeepFailedSeconds);
  return {
    batchConcurrency:
      numberOf(env.BATCH_CONCURRENCY, "BATCH_CONCURRENCY", 1, BATCH_LIMITS.mostConcurrent) ??
      BATCH_LIMITS.concurrent,
    batchJobs: numberOf(env.BATCH_JOBS, "BATCH_JOBS", 1, BATCH_JOBS.most) ?? BATCH_JOBS.default,
    keepFailedMilliseconds: keep === undefined ? RUNNER_LIMITS.keepFailedMilliseconds : keep * 1000,
    poolPages: pool === undefined ? POOL_LIMITS.poolPages : pool * PAGES_PER_MIB,
    sliceInstructions: numberOf(env.SLICE_INSTRUCTIONS, "SLICE_INSTRUCTIONS", 1, maxSliceInstructions),
  };
}

function numberOf(text: string | undefined, name: string, least: number, most: number): number | undefined {
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new HttpError(
    500,
    "bad-setting",
    `This worker's variable ${name} is "${text}"; set it to a whole number from ${least} to ${most}.`,
  );
}

/** As KCIDB has it: kcidb_io/schema/v05_03.py. */
const ORIGIN = /^[a-z0-9_]{1,64}$/;

/** KCIDB_ORIGIN: the submitting system in KCIDB reports. An HttpError 500 says what it may be. */
export function kcidbOriginOf({ KCIDB_ORIGIN = "" }: Pick<Env, "KCIDB_ORIGIN">): string {
  if (KCIDB_ORIGIN === "") return "xenner";
  if (ORIGIN.test(KCIDB_ORIGIN)) return KCIDB_ORIGIN;
  throw new HttpError(
    500,
    "bad-setting",
    `This worker's variable KCIDB_ORIGIN is "${KCIDB_ORIGIN}"; set it to lower-case letters, digits and "_", at most 64.`,
  );
}

const NO_ADDRESS = "none";

/** What links of reports begin with: PUBLIC_URL, else what the request went to. Null for a worker that is gone before they are read. */
export function reportBase({ PUBLIC_URL }: Pick<Env, "PUBLIC_URL">, requested: string): string | null {
  if (PUBLIC_URL === NO_ADDRESS) return null;
  return PUBLIC_URL === undefined || !URL.canParse(PUBLIC_URL) ? requested : PUBLIC_URL;
}
