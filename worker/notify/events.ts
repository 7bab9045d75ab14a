import type { Notification } from "../../jobs/spec.ts";
import type { BatchView } from "../batches/record.ts";
import { summaryOf } from "../database/jobs.ts";
import type { Env } from "../env.ts";
import type { JobEvent } from "../events/event.ts";
import type { JobView } from "../runner/record.ts";
import { type Labels, statusDelivery, statusStateOf } from "./github-status.ts";
import { NOTIFY_LIMITS } from "./limits.ts";
import type { NewDelivery, Subject } from "./record.ts";
import { publicUrl } from "./settings.ts";

/** Something that happened to a job or a batch, for those who are to be told. */
interface Happening {
  readonly subject: Subject;
  readonly number: number;
  readonly type: string;
  readonly at: number;
  /** Beside `type` and `timestamp`. */
  readonly data: object;
  readonly notify: readonly Notification[];
}

/** One for each address that wants to know; an address that is named twice is told once. */
function webhookDeliveries({ subject, number, type, at, data, notify }: Happening): NewDelivery[] {
  const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
  const seen = new Set<string>();
  const deliveries: NewDelivery[] = [];
  for (const [index, { url, events, secret = null }] of notify.entries()) {
    if (!events.some((wanted) => wanted === type) || seen.has(url)) continue;
    seen.add(url);
    const webhookId = `evt_${subject.id}_${number}`;
    deliveries.push({
      id: `${subject.id}.${number}.${index}`,
      kind: "webhook",
      webhookId,
      type,
      url,
      secret,
      body,
    });
  }
  return deliveries;
}

/** The job as a receiver is told of it: as GET /jobs/:id has it, but for who else is told. One that is very large comes in short. */
function told(job: JobView): object {
  const { notify: _, ...config } = job.config;
  const whole = { ...job, config };
  return JSON.stringify(whole).length <= NOTIFY_LIMITS.bodyCharacters ? whole : summaryOf(job);
}

/** What has to be sent because of a job's event. */
export function deliveriesOfJob(env: Env, event: JobEvent): NewDelivery[] {
  const { jobId, owner, number, type, at, notify, batch, job } = event;
  const subject: Subject = { kind: "job", id: jobId, owner };
  const url = publicUrl(env, `/jobs/${jobId}`);
  const data = { id: event.id, batch, ...(url !== undefined && { url }), job: told(job) };
  const deliveries = webhookDeliveries({ subject, number, type, at, data, notify });
  // Of a batch the batch has one, not each of its thousand jobs.
  if (batch !== null || type === "job.running") return deliveries;
  // Jobs of an older version have no labels.
  const labels = job.config.labels ?? {};
  const status = statusDelivery(env, subject, {
    number,
    type,
    labels,
    name: labels.name ?? job.fixture ?? "boot",
    state: statusStateOf(type === "job.ended" ? (job.verdict ?? "error") : null),
    description: job.reason ?? "The kernel is being booted.",
  });
  return status === undefined ? deliveries : [...deliveries, status];
}

/** Events of a batch: 1 when it was made, 2 when all of its jobs have ended. */
export const BATCH_EVENTS = { created: 1, ended: 2 } as const;

/** What has to be sent because a batch was made, or has ended. */
export function deliveriesOfBatch(
  env: Env,
  what: keyof typeof BATCH_EVENTS,
  batch: BatchView,
  { notify, labels }: { readonly notify: readonly Notification[]; readonly labels: Labels },
): NewDelivery[] {
  const { id, owner, name, verdict, endedAt, jobs, verdicts } = batch;
  const subject: Subject = { kind: "batch", id, owner };
  const number = BATCH_EVENTS[what];
  const type = `batch.${what}`;
  const at = Date.parse(endedAt ?? batch.createdAt);
  const url = publicUrl(env, `/batches/${id}`);
  const data = { id: `${id}.${number}`, ...(url !== undefined && { url }), batch };
  const counts = Object.entries(verdicts).map(([word, count]) => `${count} ${word}`);
  const status = statusDelivery(env, subject, {
    number,
    type,
    labels,
    name: name ?? labels.name ?? "batch",
    state: statusStateOf(what === "ended" ? (verdict ?? "error") : null),
    description:
      what === "ended" ? `${jobs.total} jobs: ${counts.join(", ")}` : `${jobs.total} jobs to be run.`,
  });
  const deliveries = webhookDeliveries({ subject, number, type, at, data, notify });
  return status === undefined ? deliveries : [...deliveries, status];
}
