/** Something that is sent to somebody when something happens to a job or a batch. */

/** `webhook`: an event to an address that the job names; `status`: a commit status to GitHub. */
export type DeliveryKind = "webhook" | "status";
/** `superseded`: a status that was not sent before there was a newer one. */
export type DeliveryState = "pending" | "delivered" | "failed" | "superseded";

/** What deliveries are about. */
export interface Subject {
  readonly kind: "job" | "batch";
  /** The job's or batch's. */
  readonly id: string;
  readonly owner: string;
}

export interface NewDelivery {
  /** `<subject>.<number of the event>.<index>`: the same one is not made twice. */
  readonly id: string;
  readonly kind: DeliveryKind;
  /** What receivers tell messages apart by: the same in each attempt. */
  readonly webhookId: string;
  /** What happened: "job.ended". */
  readonly type: string;
  readonly url: string;
  /** Name of the secret to sign with; null for the default. */
  readonly secret: string | null;
  readonly body: string;
}

/** One attempt, as the log has it. */
export interface Attempt {
  readonly at: string;
  readonly milliseconds: number;
  /** Of the answer; null if there was none. */
  readonly status: number | null;
  /** What went wrong; null if nothing did. */
  readonly error: string | null;
}

/** A delivery as the API shows it. */
export interface DeliveryView {
  readonly id: string;
  readonly kind: DeliveryKind;
  readonly job: string | null;
  readonly batch: string | null;
  readonly webhookId: string;
  readonly type: string;
  readonly url: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly createdAt: string;
  readonly deliveredAt: string | null;
  readonly nextAttemptAt: string | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** The latest attempts, oldest first. */
  readonly log: readonly Attempt[];
  readonly links: { readonly redeliver: string };
}

/** What came of an attempt. */
export interface Outcome {
  readonly status: number | null;
  /** null if it was delivered. */
  readonly error: string | null;
  /** Whether trying again makes sense. */
  readonly again: boolean;
  /** What the receiver asked to wait, in milliseconds. */
  readonly wait: number;
  readonly milliseconds: number;
}

/** What whoever sends a delivery is told. */
export interface Task {
  readonly id: string;
  readonly kind: DeliveryKind;
  readonly webhookId: string;
  readonly url: string;
  readonly secret: string | null;
  readonly body: string;
  readonly owner: string;
  /** Which claim this is: the outcome of an older one counts for nothing. */
  readonly claim: number;
}

const DELIVERY_ID = /^([0-9a-f]{32})\.\d{1,9}\.(?:\d{1,3}|s)$/;

/** The job or batch in a delivery's id; undefined if it is none. */
export const subjectIn = (id: string): string | undefined => DELIVERY_ID.exec(id)?.[1];
