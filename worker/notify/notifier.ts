import { DurableObject } from "cloudflare:workers";
import { withDatabase } from "../database/database.ts";
import { deleteDeliveryRows, writeDeliveryRows } from "../database/deliveries.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { logEvent } from "../log.ts";
import { retryDelay } from "./backoff.ts";
import { DeliveryStore } from "./delivery-store.ts";
import { NOTIFY_LIMITS } from "./limits.ts";
import { sendMessage } from "./messages.ts";
import type { DeliveryView, NewDelivery, Outcome, Subject, Task } from "./record.ts";
import { firstRetryOf } from "./settings.ts";

/**
 * What one job or batch tells others, and how far that has come: an object each, named by the job's or batch's id. Nothing is sent from
 * here: the alarm puts a message into the queue for each delivery that is due, and whoever gets it claims the delivery, sends it, and says
 * what came of it. If he dies, or the message is lost, the alarm comes again. The database has a copy for lists.
 */
export class Notifier extends DurableObject<Env> {
  readonly #store: DeliveryStore;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new DeliveryStore(ctx.storage.sql);
  }

  /** Notes what is to be sent. The same delivery again changes nothing. */
  async add(subject: Subject, deliveries: readonly NewDelivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    const now = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.#store.create(subject, now);
      for (const delivery of deliveries) this.#store.add(delivery, now);
    });
    await this.ctx.storage.setAlarm(now);
  }

  /** For whoever got the message; null if there is nothing to send now. */
  claim(id: string): Task | null {
    const subject = this.#store.subject();
    const task = subject && this.#store.claim(id, Date.now());
    return subject === undefined || task === undefined ? null : { ...task, owner: subject.owner };
  }

  async finish(id: string, claim: number, outcome: Outcome): Promise<void> {
    if (this.#store.subject() === undefined) return;
    const first = firstRetryOf(this.env);
    this.#store.finish(id, claim, outcome, Date.now(), (attempts) =>
      retryDelay(attempts, first, Math.random(), outcome.wait),
    );
    await this.ctx.storage.setAlarm(Date.now());
  }

  /** All deliveries, oldest first. */
  list(): DeliveryView[] {
    return this.#store.list();
  }

  /** Whose they are; null if there are none. */
  subject(): Subject | null {
    return this.#store.subject() ?? null;
  }

  /** Sends one again, under the same id. Null if there is none. */
  async redeliver(id: string): Promise<DeliveryView | null> {
    if (this.#store.subject() === undefined || !this.#store.again(id, Date.now())) return null;
    await this.ctx.storage.setAlarm(Date.now());
    return this.#store.list().find((delivery) => delivery.id === id) ?? null;
  }

  /** Tells the index everything once more. */
  async reindex(): Promise<void> {
    if (this.#store.subject() === undefined) return;
    this.#store.notIndexed();
    await this.ctx.storage.setAlarm(Date.now());
  }

  override async alarm(): Promise<void> {
    const subject = this.#store.subject();
    if (subject === undefined) return;
    const now = Date.now();
    const keptUntil = this.#store.changedAt + NOTIFY_LIMITS.keepMilliseconds;
    // Set first, so that it comes again if this is the end of the process.
    await this.ctx.storage.setAlarm(now + NOTIFY_LIMITS.resendMilliseconds);
    if (this.#store.nextDue() === undefined && now >= keptUntil) {
      await this.#forget(subject);
      return;
    }
    for (const id of this.#store.toAsk(now)) {
      this.#store.asked(id, now);
      await this.env.WORK_QUEUE.send(sendMessage(subject.id, id));
    }
    const retryIndex = (await this.#index(subject)) ? keptUntil : now + NOTIFY_LIMITS.indexRetryMilliseconds;
    // After all that waits, so that what came meanwhile is seen.
    const next = Math.min(this.#store.nextDue() ?? keptUntil, retryIndex);
    await this.ctx.storage.setAlarm(Math.max(next, Date.now()));
  }

  /** Nothing is left of them. While the index cannot be written they stay: its rows would else be there for ever. */
  async #forget({ id }: Subject): Promise<void> {
    try {
      await withDatabase(this.env, (database) => deleteDeliveryRows(database, id));
    } catch (error) {
      logEvent("deliveries.not-removed", { subject: id, error: messageOf(error) });
      return;
    }
    // The alarm last: as long as there is anything, it comes again.
    await this.ctx.storage.deleteAll();
    await this.ctx.storage.deleteAlarm();
  }

  /** Whether the index knows everything. */
  async #index(subject: Subject): Promise<boolean> {
    const changed = this.#store.toIndex();
    if (changed.length === 0) return true;
    try {
      await withDatabase(this.env, (database) => writeDeliveryRows(database, subject, changed));
      for (const { view, version } of changed) this.#store.indexed(view.id, version);
      return this.#store.toIndex().length === 0;
    } catch (error) {
      logEvent("deliveries.not-indexed", { subject: subject.id, error: messageOf(error) });
      return false;
    }
  }
}
