/**
 * The alarm of a Durable Object that has several reasons to wake. Setting it takes no wait, so it is stored in one transaction with what
 * was written just before: a process that dies leaves both or neither. For that it has to know when the alarm comes, and whoever
 * has one sets the object's alarm by it alone. (Cloudflare's documentation: Durable Objects, "Alarms" and "SQLite storage API".)
 */
export class Alarm {
  readonly #storage: DurableObjectStorage;
  /** Milliseconds since 1970; null if there is none; undefined until that is known. */
  #at: number | null | undefined;

  /** To be made in the object's constructor. */
  constructor(ctx: Pick<DurableObjectState, "storage" | "blockConcurrencyWhile">) {
    this.#storage = ctx.storage;
    void ctx.blockConcurrencyWhile(async () => {
      this.#at = await ctx.storage.getAlarm();
    });
  }

  /** To be called first when it has come. */
  came(): void {
    this.#at = null;
  }

  /** Sees to it that it comes at this time, at the latest. */
  async atLatest(at: number): Promise<void> {
    if (this.#at === undefined) this.#at = await this.#storage.getAlarm();
    if (this.#at === null || this.#at > at) await this.set(at);
  }

  /** It comes at this time, whatever was set before. */
  async set(at: number): Promise<void> {
    this.#at = at;
    await this.#storage.setAlarm(at);
  }

  /** It does not come. */
  async delete(): Promise<void> {
    this.#at = null;
    await this.#storage.deleteAlarm();
  }
}
