import type { LoadError } from "../engine/loader/errors.ts";
import type { GuestMode } from "../engine/machine-api.ts";
import type { Architecture } from "../jobs/cpu.ts";
import type { Blob } from "./blobs/store.ts";
import type { Env } from "./env.ts";
import { HttpError } from "./errors.ts";

/** What is known about a job before it is made. */
export interface KernelToCheck {
  readonly kernel: Blob;
  /** 0 for none. */
  readonly initrdBytes: number;
  readonly memoryMiB: number;
  readonly mode: GuestMode;
}

/** What is known of a kernel that was checked. */
export interface KernelFacts {
  readonly architecture: Architecture;
}

/**
 * Rejects with a LoadError (engine/loader/errors.ts) or an HttpError for a kernel that cannot be booted. Undefined if nothing was
 * found out.
 */
export type KernelCheck = (env: Env, job: KernelToCheck) => Promise<KernelFacts | undefined>;

/** Checks remembered per isolate. */
const REMEMBERED_CHECKS = 1000;

/** Checking means decompressing; the same kernel with the same memory need not be checked twice. */
export function rememberingCheck(check: KernelCheck): KernelCheck {
  const passed = new Map<string, KernelFacts | undefined>();
  return async (env, job) => {
    const { kernel, initrdBytes, memoryMiB, mode } = job;
    const key = `${kernel.sha256} ${memoryMiB} ${initrdBytes} ${mode}`;
    if (passed.has(key)) return passed.get(key);
    const facts = await check(env, job);
    if (passed.size >= REMEMBERED_CHECKS) passed.clear();
    passed.set(key, facts);
    return facts;
  };
}

/** A refusal as it travels between objects, where errors lose their class. */
export interface KernelRefusal {
  readonly status: 413 | 422;
  readonly code: string;
  readonly field: string;
  readonly message: string;
}

export function refusalOf({ code, field, message }: LoadError): KernelRefusal {
  return {
    status: code === "too-large" ? 413 : 422,
    code,
    field: field === "memory" || field === "cmdline" ? `config.${field}` : field,
    message,
  };
}

/**
 * Has the kernel decompressed and laid out by an object of its own, whose storage holds what does not fit into memory. All
 * jobs that are posted at the same time with the same kernel ask the same one.
 */
export async function checkKernel({ JOB_RUNNER }: Env, job: KernelToCheck): Promise<KernelFacts> {
  const found = await JOB_RUNNER.getByName(`kernel ${job.kernel.sha256}`).inspectKernel(job);
  if (!("status" in found)) return { architecture: found.architecture };
  const { status, code, field, message } = found;
  throw new HttpError(status, code, message, { field });
}
