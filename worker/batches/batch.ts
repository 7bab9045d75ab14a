import { DurableObject } from "cloudflare:workers";
import { requestOf } from "../../jobs/batch/schema.ts";
import type { ReportedJob } from "../../jobs/report/job.ts";
import { Alarm } from "../alarm.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { RUNNER_LIMITS, TOKEN_LIMITS } from "../limits.ts";
import { logEvent } from "../log.ts";
import { notifyOfBatch } from "../notify/on-batch.ts";
import { registerOf } from "../register/stub.ts";
import { dispatcherOf } from "./dispatcher-stub.ts";
import { forgetBatch, indexBatch } from "./index-batch.ts";
import { BATCH_LIMITS } from "./limits.ts";
import { type JobNews, type MemberPage, newsOf } from "./member.ts";
import { ownerValidUntil, storedKey } from "./owner.ts";
import {
  type BatchOwner,
  type BatchRecord,
  type BatchRequest,
  type BatchView,
  viewOfBatch,
} from "./record.ts";
import { collectReport, reportOf } from "./report-rows.ts";
import { BatchStore, type Ending, type MemberFilter, viewOfMember } from "./store.ts";

/** What whoever starts a member is told to do. */
export type Claim =
  | {
      readonly kind: "start";
      /** The id its job must have, so that there is never a second one. */
      readonly job: string;
      /** The body of a POST /jobs. */
      readonly request: Readonly<Record<string, unknown>>;
      readonly owner: BatchOwner;
    }
  /** A job was made of it already. */
  | { readonly kind: "made" }
  /** The batch was canceled: so is the job, if it was made. */
  | { readonly kind: "cancel"; readonly job: string }
  /** There is nothing to be done. */
  | { readonly kind: "over" };

/** Why no job could be made of a member. */
export interface Refusal {
  readonly code: string;
  readonly field: string | null;
  readonly message: string;
}

const CANCELED: Ending = {
  state: "canceled",
  verdict: "canceled",
  reason: "The batch was canceled by request.",
  code: "canceled",
};

/**
 * One batch: its members, how they stand, and what comes of them together. Everything is in storage. What others have to hear of
 * (the dispatcher, the index, jobs that are to be canceled) is told by the alarm, which comes again until it was heard; so the
 * process may be killed at any moment.
 *
 * A member's job has an id from the beginning. Whoever makes the job brings it along, and a job is made only once.
 */
export class Batch extends DurableObject<Env> {
  readonly #store: BatchStore;
  readonly #alarm: Alarm;
  #record: BatchRecord | undefined;
  /** Until when the owner's token is believed to be valid. */
  #ownerBelievedUntil = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new BatchStore(ctx.storage.sql);
    this.#alarm = new Alarm(ctx);
    const record = this.#store.read();
    // An older version let private jobs into public batches, and what is shown of a batch shows each of its jobs.
    const isHidden = record?.visibility === "public" && this.#store.hasPrivateMember();
    this.#record = isHidden ? { ...record, visibility: "private" } : record;
  }

  /** Creating it again changes nothing. */
  async create({ members, ...request }: BatchRequest): Promise<BatchView> {
    if (this.#record === undefined) {
      const record: BatchRecord = {
        ...request,
        total: members.length,
        createdAt: Date.now(),
        registered: false,
        withdrawn: false,
        version: 1,
        indexed: 0,
        failures: 0,
      };
      this.ctx.storage.transactionSync(() => this.#store.create(record, members));
      this.#record = record;
      await this.#wake();
      // Now rather than with the alarm: whoever made it wants to find it in lists. The alarm makes up for a failure.
      await this.#tryDuties();
    }
    return this.#view(this.#record);
  }

  /** Null if this object has no batch. */
  view(): BatchView | null {
    return this.#record === undefined ? null : this.#view(this.#record);
  }

  /** A page of members as the API shows it. */
  membersJson(filter: MemberFilter): string {
    const members = this.#record === undefined ? [] : this.#store.members(filter);
    const last = members.at(-1);
    const next = last === undefined || members.length < filter.limit ? null : String(last.index);
    const page: MemberPage = { jobs: members.map(viewOfMember), next };
    return JSON.stringify(page);
  }

  /** The members that wait are over, and the jobs of the others are canceled. Null if this object has no batch. */
  async cancel(): Promise<BatchView | null> {
    const record = this.#record;
    if (record === undefined) return null;
    await this.#cancelFor({});
    return this.#view(this.#record ?? record);
  }

  /** For whoever is to start a member. From then on a job may be made of it, unless the batch's token is no longer valid. */
  async claim(index: number): Promise<Claim> {
    if (this.#isToStart(index) && !(await this.#isOwnerValid())) {
      const why = "its token was deleted, or has expired.";
      await this.#cancelFor({ cancelReason: `The batch was canceled: ${why}`, cancelCode: "no-token" });
    }
    const record = this.#record;
    const member = record === undefined ? undefined : this.#store.member(index);
    if (record === undefined || member === undefined || member.ended) return { kind: "over" };
    const { job } = member;
    if (member.cancel) return { kind: "cancel", job };
    if (member.made) return { kind: "made" };
    if (member.attempts >= BATCH_LIMITS.attempts) {
      this.#end(index, {
        state: "error",
        verdict: "error",
        reason: `No job could be made of it in ${member.attempts} attempts.`,
        code: "infrastructure",
      });
      await this.#wake();
      return { kind: "over" };
    }
    if (record.startedAt === undefined) {
      this.#change({ startedAt: Date.now() }, () => this.#store.starting(index));
      await this.#wake();
    } else this.#store.starting(index);
    const request = requestOf(record.common, member.spec);
    return { kind: "start", job, request, owner: record.owner };
  }

  /** A job was made of a member. Whether it may live: it may not if the batch was canceled meanwhile. */
  async made(index: number): Promise<boolean> {
    const member = this.#record === undefined ? undefined : this.#store.member(index);
    if (member === undefined) return false;
    if (member.ended && !member.made) return false;
    this.#store.made(index);
    if (member.cancel) await this.#wake();
    return !member.cancel;
  }

  /** No job can be made of a member. */
  async refused(index: number, { code, field, message }: Refusal): Promise<void> {
    this.#end(index, {
      state: "refused",
      verdict: "error",
      reason: message,
      code,
      ...(field === null ? {} : { field }),
    });
    await this.#wake();
  }

  /**
   * There is no room for a member's job now. That is no failure, however often it happens. Answers what becomes of the member: it waits
   * for another turn, unless it was made a job or was canceled meanwhile.
   */
  async postponed(
    index: number,
    { code, message }: Pick<Refusal, "code" | "message">,
  ): Promise<"waits" | "made" | "over"> {
    const member = this.#record === undefined ? undefined : this.#store.member(index);
    if (member === undefined || member.ended) return "over";
    if (member.made) return "made";
    if (member.cancel) {
      await this.abandoned(index);
      return "over";
    }
    this.#store.postponed(index, message, code);
    return "waits";
  }

  /** Nothing came of a member before its batch was canceled. */
  async abandoned(index: number): Promise<void> {
    if (this.#record === undefined) return;
    this.#end(index, this.#canceled);
    await this.#wake();
  }

  /** Something happened to a job of this batch. What is older than what is known changes nothing. */
  async hear(news: JobNews): Promise<void> {
    const record = this.#record;
    if (record === undefined) return;
    const member = this.#store.memberOfJob(news.job);
    if (member === undefined) return;
    if (news.view.endedAt === null) {
      this.#store.news(news);
      // It was made after the batch had given it up. The job waits for this answer, so this does not wait for the job.
      if (member.cancel || (member.ended && !member.made))
        this.ctx.waitUntil(this.env.JOB_RUNNER.getByName(news.job).cancel());
      return;
    }
    // A repair of the index tells everything again.
    if (member.ended) return;
    this.#change({}, () => this.#store.news(news));
    await this.#wake();
  }

  /** Whether a member has ended. Its job is asked if that is not known. */
  async isOver(index: number): Promise<boolean> {
    const member = this.#record === undefined ? undefined : this.#store.member(index);
    if (member === undefined || member.ended) return true;
    await this.#ask(member.job);
    return this.#store.member(index)?.ended ?? true;
  }

  /** Writes the batch's row in the index again. */
  async reindex(): Promise<void> {
    if (this.#record === undefined) return;
    this.#change({}, () => {});
    await this.#wake();
  }

  /** What reports say of the members after an index, at most `limit`. */
  reportsJson(after: number, limit: number): string {
    const record = this.#record;
    if (record === undefined) return "[]";
    const rows = this.#store.reports(after, limit);
    return JSON.stringify(rows.map(({ member, report }): ReportedJob => reportOf(record, member, report)));
  }

  /** Reads the consoles of members that have ended lately. If there are too many for one call, the alarm reads the others. */
  async collect(): Promise<void> {
    for (let round = 0; round < BATCH_LIMITS.collectRounds; round++) if (!(await this.#collectSome())) return;
  }

  override async alarm(): Promise<void> {
    this.#alarm.came();
    if (this.#record !== undefined) await this.#tryDuties();
  }

  /** What is to be done that others take part in. It comes again if it fails. */
  async #tryDuties(): Promise<void> {
    try {
      const isMore = await this.#duties();
      const record = this.#record;
      if (record === undefined) return;
      if (record.failures > 0) this.#save({ ...record, failures: 0 });
      if (isMore) await this.#wake();
      else if (record.endedAt !== undefined)
        await this.#wake(record.endedAt + RUNNER_LIMITS.keepResultMilliseconds);
    } catch (error) {
      const record = this.#record;
      if (record === undefined) return;
      const { delayMilliseconds, mostDelayMilliseconds } = BATCH_LIMITS;
      const delay = Math.min(mostDelayMilliseconds, delayMilliseconds * 2 ** Math.min(record.failures, 20));
      this.#save({ ...record, failures: record.failures + 1 });
      logEvent("batch.delayed", { batch: record.id, failures: record.failures + 1, error: messageOf(error) });
      await this.#wake(Date.now() + delay);
    }
  }

  /** Whether there is more to do at once. */
  async #duties(): Promise<boolean> {
    const store = this.#store;
    const dispatcher = dispatcherOf(this.env);
    const isExpired = this.#isExpired();
    if (isExpired) {
      await forgetBatch(this.env, this.#now.id);
      await dispatcher.forget(this.#now.id);
      await registerOf(this.env).unstore(storedKey(this.#now.id));
      // The alarm last: as long as there is anything, it comes again.
      await this.ctx.storage.deleteAll();
      await this.#alarm.delete();
      this.#record = undefined;
      return false;
    }
    if (!this.#now.registered) {
      const { id, owner, total, maxConcurrent } = this.#now;
      await dispatcher.add({
        batch: id,
        owner: owner.tokenId,
        next: store.firstWaiting() ?? total,
        total,
        most: maxConcurrent,
        ownerMost: owner.quotas.concurrentJobs,
      });
      this.#save({ ...this.#now, registered: true });
    }
    if (this.#now.canceledAt !== undefined && !this.#now.withdrawn) {
      await dispatcher.withdraw(this.#now.id);
      this.#save({ ...this.#now, withdrawn: true });
    }
    const toCancel = store.toCancel(BATCH_LIMITS.cancelAtOnce);
    await Promise.all(toCancel.map(({ job }) => this.#cancelJob(job)));
    const toRelease = store.toRelease(BATCH_LIMITS.mostPage);
    if (toRelease.length > 0) {
      await dispatcher.release(this.#now.id, toRelease);
      store.released(toRelease);
    }
    const { version } = this.#now;
    if (this.#now.indexed < version) {
      await indexBatch(this.env, this.#view(this.#now), version);
      this.#save({ ...this.#now, indexed: version });
    }
    // After what others wait for: those who are told may be long in answering.
    await this.#tellOthers();
    const isCollecting = await this.#collectSome();
    if (!isCollecting) await this.#account();
    return (
      isCollecting || toRelease.length > 0 || toCancel.length > 0 || this.#now.indexed < this.#now.version
    );
  }

  /** Counts the batch for its token: how large it is, at first and at the end, and that it has ended. */
  async #account(): Promise<void> {
    const { id, owner, endedAt, accounted } = this.#now;
    const state = endedAt === undefined ? "live" : "ended";
    if (accounted === state) return;
    // One that has not ended is kept until then, however long that takes.
    const until =
      endedAt === undefined ? Number.MAX_SAFE_INTEGER : endedAt + RUNNER_LIMITS.keepResultMilliseconds;
    const { databaseSize } = this.ctx.storage.sql;
    await registerOf(this.env).store(storedKey(id), owner.tokenId, databaseSize, until, false);
    if (state === "ended") await dispatcherOf(this.env).ended(id);
    this.#save({ ...this.#now, accounted: state });
  }

  /** Those whom the batch names are told that it was made, and that it has ended. */
  async #tellOthers(): Promise<void> {
    const { told, endedAt, common } = this.#now;
    if (told === undefined) {
      await notifyOfBatch(this.env, "created", this.#view(this.#now), common.config);
      this.#save({ ...this.#now, told: "created" });
    }
    if (this.#now.told === "ended" || endedAt === undefined) return;
    await notifyOfBatch(this.env, "ended", this.#view(this.#now), common.config);
    this.#save({ ...this.#now, told: "ended" });
  }

  /** Cancels the batch, if it was not canceled before. */
  async #cancelFor(why: Pick<BatchRecord, "cancelReason" | "cancelCode">): Promise<void> {
    if (this.#now.endedAt !== undefined || this.#now.canceledAt !== undefined) return;
    const now = Date.now();
    this.#save({ ...this.#now, ...why });
    this.#change({ canceledAt: now }, () => this.#store.cancel(this.#canceled, now));
    await this.#wake();
    await this.#tryDuties();
  }

  /** How members end of which no job was made before the batch was canceled. */
  get #canceled(): Ending {
    const { cancelReason = CANCELED.reason, cancelCode = CANCELED.code } = this.#now;
    return { ...CANCELED, reason: cancelReason, code: cancelCode };
  }

  #isToStart(index: number): boolean {
    const member = this.#record === undefined ? undefined : this.#store.member(index);
    return member !== undefined && !member.ended && !member.cancel && !member.made;
  }

  /** Whether the batch's token may still have jobs made. */
  async #isOwnerValid(): Promise<boolean> {
    const { tokenId } = this.#now.owner;
    if (Date.now() >= this.#ownerBelievedUntil) {
      const until = await ownerValidUntil(this.env, tokenId);
      this.#ownerBelievedUntil = Math.min(until, Date.now() + TOKEN_LIMITS.believeMilliseconds);
    }
    return Date.now() < this.#ownerBelievedUntil;
  }

  #isExpired(): boolean {
    const { endedAt, indexed, version } = this.#now;
    return (
      endedAt !== undefined &&
      indexed === version &&
      Date.now() >= endedAt + RUNNER_LIMITS.keepResultMilliseconds
    );
  }

  async #cancelJob(job: string): Promise<void> {
    const view = await this.env.JOB_RUNNER.getByName(job).cancel();
    if (view === null || "unreadable" in view) this.#lost(job);
    else if (view.endedAt !== null)
      this.#change({}, () => this.#store.news(newsOf(Number.MAX_SAFE_INTEGER, view)));
  }

  async #ask(job: string): Promise<void> {
    const view = await this.env.JOB_RUNNER.getByName(job).status();
    if (view === null || "unreadable" in view) {
      if (this.#store.memberOfJob(job)?.made === true) this.#lost(job);
    } else if (view.endedAt !== null) {
      this.#change({}, () => this.#store.news(newsOf(Number.MAX_SAFE_INTEGER, view)));
      await this.#wake();
    }
  }

  #lost(job: string): void {
    const member = this.#store.memberOfJob(job);
    if (member === undefined) return;
    const reason = "Its job is no longer there, or cannot be read.";
    this.#end(member.index, { state: "error", verdict: "error", reason, code: "infrastructure" });
  }

  /** Whether there was anything to collect. */
  async #collectSome(): Promise<boolean> {
    const members = this.#store.toReport(BATCH_LIMITS.collectAtOnce);
    await Promise.all(
      members.map(async (member) => {
        const report = await collectReport(this.env, member.job);
        this.#store.report(member.index, JSON.stringify(report ?? {}));
      }),
    );
    return members.length > 0;
  }

  #end(index: number, ending: Ending): void {
    this.#change({}, () => this.#store.end(index, ending, Date.now()));
  }

  /** Changes members, and the record with them; lists have to hear of it. */
  #change(change: Partial<BatchRecord>, members: () => void): void {
    this.ctx.storage.transactionSync(() => {
      members();
      const record = { ...this.#now, ...change, version: this.#now.version + 1 };
      const { verdicts } = this.#store.counts();
      const ended = Object.values(verdicts).reduce((sum, count) => sum + count, 0);
      const isOver = ended >= record.total && record.endedAt === undefined;
      this.#save(isOver ? { ...record, endedAt: Date.now() } : record);
    });
  }

  get #now(): BatchRecord {
    if (this.#record === undefined) throw new Error("this object has no batch");
    return this.#record;
  }

  #save(record: BatchRecord): void {
    this.#store.save(record);
    this.#record = record;
  }

  #view(record: BatchRecord): BatchView {
    return viewOfBatch(record, this.#store.counts(), this.#store.sums(), Date.now());
  }

  /** Sees to it that the alarm comes, at the latest then. Right after what it is to see: then both are stored, or neither. */
  #wake(at: number = Date.now()): Promise<void> {
    return this.#alarm.atLatest(at);
  }
}
