import { RUNNER_LIMITS } from "../limits.ts";

/**
 * All objects of one isolate share its 128 MB, and a machine takes half of that: so a job has to get a slot before it may
 * hold a machine, first come, first served, and gives it back after a while if others wait. Times are milliseconds of
 * whatever clock the caller has; a job that has not been heard of for long (its object is gone) loses its slot or place.
 *
 * `owner` is the object that asks. A job whose object was made anew takes over what the old one had, and the old one, should
 * it still be about, can no longer give it away.
 */
export class MachineSlots {
  readonly #slots: number;
  readonly #holders = new Map<string, { owner: object; since: number; seen: number }>();
  readonly #waiting = new Map<string, number>();

  constructor(slots: number = RUNNER_LIMITS.machines) {
    this.#slots = slots;
  }

  /** Asks for a slot, or confirms the one held. Answers 0 if the job has one, else its place in the queue from 1. */
  acquire(job: string, owner: object, now: number): number {
    this.#dropStale(now);
    const held = this.#holders.get(job);
    if (held !== undefined) {
      held.owner = owner;
      held.seen = now;
      return 0;
    }
    this.#waiting.set(job, now);
    const place = [...this.#waiting.keys()].indexOf(job) + 1;
    if (place > this.#slots - this.#holders.size) return place;
    this.#waiting.delete(job);
    this.#holders.set(job, { owner, since: now, seen: now });
    return 0;
  }

  /** Tells that the job is alive. Whether it has held its slot long enough while others wait for one, or has lost it. */
  shouldYield(job: string, owner: object, now: number): boolean {
    const held = this.#holders.get(job);
    if (held?.owner !== owner) return true;
    held.seen = now;
    this.#dropStale(now);
    return this.#waiting.size > 0 && now - held.since >= RUNNER_LIMITS.machineQuantumMilliseconds;
  }

  /**
   * Gives back the slot or the place in the queue; harmless if the job has neither, or `owner` is not its object now. Without
   * an owner, whoever has it: the job is over.
   */
  release(job: string, owner?: object): void {
    const held = this.#holders.get(job);
    if (owner !== undefined && held !== undefined && held.owner !== owner) return;
    this.#holders.delete(job);
    this.#waiting.delete(job);
  }

  #dropStale(now: number): void {
    const stale = now - RUNNER_LIMITS.machineStaleMilliseconds;
    for (const [job, { seen }] of this.#holders) if (seen < stale) this.#holders.delete(job);
    for (const [job, seen] of this.#waiting) if (seen < stale) this.#waiting.delete(job);
  }
}

/** Shared by all objects of this isolate. */
export const MACHINE_SLOTS = new MachineSlots();
