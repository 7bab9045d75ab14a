import { LoadError } from "../../engine/loader/errors.ts";
import type { ByteSource } from "../../engine/loader/source.ts";
import type { Spool } from "../../engine/loader/spool.ts";
import type { GuestMode } from "../../engine/machine-api.ts";
import { type FoldedProfile, fold } from "../../engine/profile/fold.ts";
import { readKernelMap } from "../../engine/profile/kernel-map.ts";
import type { Profile } from "../../engine/profile/profile.ts";
import { BlobSource, MissingBlob } from "../blobs/source.ts";
import type { Blob } from "../blobs/store.ts";
import { type KernelFacts, type KernelRefusal, type KernelToCheck, refusalOf } from "../kernel-check.ts";
import { INSPECTION_LIMITS } from "../limits.ts";
import { SqlSpool } from "./sql-spool.ts";

/** The engine's check: rejects with a LoadError for a kernel that cannot be booted. */
export type Inspect = (
  kernel: ByteSource,
  memoryMiB: number,
  initrdBytes: number,
  spool: Spool,
  mode: GuestMode,
) => Promise<{ readonly bits: 32 | 64 }>;

/** Until when the inspection that is under way in this isolate may take. One at a time: each needs some 20 MB. */
let busyUntil = 0;

/**
 * Checks kernels, and reads their symbols, in an object that has no job. The decompressed kernel is in its storage meanwhile,
 * of which nothing is left afterwards.
 */
export class KernelInspector {
  readonly #storage: DurableObjectStorage;
  readonly #bucket: R2Bucket;
  /** Inspections under way, by what they inspect; and the last of them, for the next one to wait for. */
  readonly #running = new Map<string, Promise<KernelRefusal | KernelFacts>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(storage: DurableObjectStorage, bucket: R2Bucket) {
    this.#storage = storage;
    this.#bucket = bucket;
  }

  /** Why the kernel is refused, or what is known of it if it is not. */
  inspect(job: KernelToCheck, inspect: Inspect): Promise<KernelRefusal | KernelFacts> {
    const key = `${job.memoryMiB} ${job.initrdBytes} ${job.mode}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const begun = this.#alone((spool) => this.#inspect(job, inspect, spool)).finally(() =>
      this.#running.delete(key),
    );
    this.#running.set(key, begun);
    return begun;
  }

  /** Names the functions in a profile of this kernel; as addresses, if the kernel is gone or has no symbols. */
  name(profile: Profile, kernel: Blob): Promise<FoldedProfile> {
    return this.#alone(async (spool) => {
      try {
        return fold(profile, await readKernelMap(new BlobSource(this.#bucket, kernel, "kernel"), spool));
      } catch (error) {
        if (error instanceof LoadError || error instanceof MissingBlob) return fold(profile, undefined);
        throw error;
      }
    });
  }

  /** Removes what an inspection has left whose process died. One that is under way ends before. */
  cleanUp(): Promise<void> {
    const done = this.#last.catch(() => {}).then(() => this.#empty());
    this.#last = done;
    return done;
  }

  /** The alarm goes last: as long as there is anything, it comes again. */
  async #empty(): Promise<void> {
    await this.#storage.deleteAll();
    await this.#storage.deleteAlarm();
  }

  /** Does something that needs a spool, when what was to be done before is done. */
  #alone<T>(work: (spool: Spool) => Promise<T>): Promise<T> {
    const begun = this.#last.catch(() => {}).then(() => this.#withSpool(work));
    this.#last = begun;
    return begun;
  }

  async #withSpool<T>(work: (spool: Spool) => Promise<T>): Promise<T> {
    // Polling, because an object that is gone wakes nobody.
    while (Date.now() < busyUntil) await scheduler.wait(INSPECTION_LIMITS.pollMilliseconds);
    const until = Date.now() + INSPECTION_LIMITS.milliseconds;
    busyUntil = until;
    try {
      // Should this be the end of the process, somebody comes and removes what is left.
      await this.#storage.setAlarm(until + INSPECTION_LIMITS.milliseconds);
      return await work(new SqlSpool(this.#storage.sql));
    } finally {
      // One that took longer than it may must not end the time of the next.
      if (busyUntil === until) busyUntil = 0;
      await this.#empty();
    }
  }

  async #inspect(job: KernelToCheck, inspect: Inspect, spool: Spool): Promise<KernelRefusal | KernelFacts> {
    try {
      const kernel = new BlobSource(this.#bucket, job.kernel, "kernel");
      const { bits } = await inspect(kernel, job.memoryMiB, job.initrdBytes, spool, job.mode);
      return { architecture: bits === 64 ? "x86_64" : "i386" };
    } catch (error) {
      if (error instanceof LoadError) return refusalOf(error);
      throw error;
    }
  }
}
