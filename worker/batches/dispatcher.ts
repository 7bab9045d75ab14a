import { DurableObject } from "cloudflare:workers";
import { Alarm } from "../alarm.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { logEvent } from "../log.ts";
import { settingsOf } from "../settings.ts";
import { DispatcherStore, type Grant, type NewWork } from "./dispatcher-store.ts";
import { BATCH_LIMITS } from "./limits.ts";
import { startMessage } from "./messages.ts";

/** Messages of one call to the queue: Cloudflare takes 100. */
const MESSAGES = 100;
const ASKED_AT_ONCE = 20;

/**
 * Keeps what waits of all batches, and says whose turn it is (jobs/batch/fair.ts). A member that has its turn is granted, here,
 * and a message in the queue starts it: start-member.ts. The grant stays until the batch releases it.
 *
 * A message may be lost, or come twice. So a grant that was not acknowledged is sent again, and starting a member twice is the
 * same as once. A grant that stays for long is asked after.
 */
export class Dispatcher extends DurableObject<Env> {
  readonly #store: DispatcherStore;
  readonly #alarm: Alarm;
  /** When each unacknowledged grant was sent by this instance. What others have sent may have gone with their process. */
  readonly #sent = new Map<string, number>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new DispatcherStore(ctx.storage.sql);
    this.#alarm = new Alarm(ctx);
  }

  async add(work: NewWork): Promise<void> {
    this.#store.add(work);
    await this.#pump();
  }

  /** Counts a batch that is to be made. False if its owner has as many that have not ended as one may have. */
  async admit(batch: string, owner: string): Promise<boolean> {
    const now = Date.now();
    if (this.#store.admit(batch, owner, BATCH_LIMITS.live, now)) return true;
    // Some may never have come to be, as the process died that was to make them.
    const since = now - BATCH_LIMITS.askAfterMilliseconds;
    for (const id of this.#store.toLookAt(owner, since, now, ASKED_AT_ONCE)) {
      const view = await this.env.BATCH.getByName(id).view();
      if (view === null || view.endedAt !== null) this.#store.ended(id);
    }
    return this.#store.admit(batch, owner, BATCH_LIMITS.live, now);
  }

  /** The batch has ended, or was not made. */
  ended(batch: string): void {
    this.#store.ended(batch);
  }

  async withdraw(batch: string): Promise<void> {
    this.#store.withdraw(batch);
    await this.#pump();
  }

  /** Nothing is left of the batch. */
  forget(batch: string): void {
    this.#store.forget(batch);
  }

  /** The index has lost its rows: all batches write theirs again, some with each alarm. */
  async reindex(): Promise<void> {
    this.#store.startReindexing();
    await this.#wakeIn(0);
  }

  acknowledge(grant: Grant): void {
    this.#sent.delete(keyOf(grant));
    this.#store.acknowledge(grant);
  }

  async release(batch: string, members: readonly number[]): Promise<void> {
    for (const member of members) this.#sent.delete(keyOf({ batch, member }));
    this.ctx.storage.transactionSync(() => this.#store.release(batch, members));
    await this.#pump();
  }

  /** There is no room for a member's job now: its place is free for others, and its batch waits until a time (milliseconds since 1970). */
  async postpone(grant: Grant, until: number): Promise<void> {
    const isPostponed = this.ctx.storage.transactionSync(() => this.#store.postpone(grant, until));
    // Otherwise it is sent again in its time.
    if (isPostponed) this.#sent.delete(keyOf(grant));
    await this.#pump();
  }

  /** What waits and runs, of all batches. */
  figures(): { readonly waiting: number; readonly running: number; readonly owners: number } {
    return this.#store.figures();
  }

  override async alarm(): Promise<void> {
    this.#alarm.came();
    await this.#pump();
    await this.#reindexSome();
    const now = Date.now();
    const since = now - BATCH_LIMITS.askAfterMilliseconds;
    for (const { batch, member } of this.#store.toAskAfter(since, now, ASKED_AT_ONCE)) {
      try {
        const isOver = await this.env.BATCH.getByName(batch).isOver(member);
        if (isOver) await this.release(batch, [member]);
      } catch (error) {
        logEvent("dispatcher.ask-failed", { batch, member, error: messageOf(error) });
      }
    }
  }

  /** Gives turns, sends what is to be sent, and sets the alarm for what may have to be sent again. */
  async #pump(): Promise<void> {
    const { storage } = this.ctx;
    const concurrent = settingsOf(this.env).batchConcurrency;
    const now = Date.now();
    storage.transactionSync(() => this.#store.grant({ concurrent, reserve: concurrent }, now));
    const unacknowledged = this.#store.unacknowledged();
    const due = unacknowledged.filter(
      (grant) => now - (this.#sent.get(keyOf(grant)) ?? 0) >= BATCH_LIMITS.resendMilliseconds,
    );
    for (const grant of due) this.#sent.set(keyOf(grant), now);
    // Before anything that may fail, and without a wait: what is granted and its alarm are stored together.
    const { resendPollMilliseconds, askAfterMilliseconds } = BATCH_LIMITS;
    const rested = this.#store.nextRested();
    const waits = [
      ...(unacknowledged.length > 0 ? [resendPollMilliseconds] : []),
      ...(this.#store.figures().running > 0 ? [askAfterMilliseconds] : []),
      ...(rested === undefined ? [] : [Math.max(rested - now, 0)]),
    ];
    if (waits.length > 0) await this.#wakeIn(Math.min(...waits));
    for (let at = 0; at < due.length; at += MESSAGES) {
      const piece = due.slice(at, at + MESSAGES);
      try {
        await this.env.WORK_QUEUE.sendBatch(piece.map((grant) => ({ body: startMessage(grant) })));
      } catch (error) {
        // The alarm sends them again.
        for (const grant of due.slice(at)) this.#sent.delete(keyOf(grant));
        logEvent("dispatcher.send-failed", { messages: due.length - at, error: messageOf(error) });
        return;
      }
    }
  }

  async #reindexSome(): Promise<void> {
    const ids = this.#store.toReindex(BATCH_LIMITS.reindexAtOnce);
    if (ids === undefined) return;
    try {
      await Promise.all(ids.map((id) => this.env.BATCH.getByName(id).reindex()));
      this.#store.reindexed(ids);
      if (ids.length > 0) await this.#wakeIn(0);
    } catch (error) {
      logEvent("dispatcher.reindex-failed", { error: messageOf(error) });
      await this.#wakeIn(BATCH_LIMITS.resendMilliseconds);
    }
  }

  #wakeIn(milliseconds: number): Promise<void> {
    return this.#alarm.atLatest(Date.now() + milliseconds);
  }
}

const keyOf = ({ batch, member }: Grant): string => `${batch} ${member}`;
