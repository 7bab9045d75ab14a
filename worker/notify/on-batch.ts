import { CONFIG } from "../../jobs/schema/config.ts";
import type { Notification } from "../../jobs/spec.ts";
import type { BatchView } from "../batches/record.ts";
import type { Env } from "../env.ts";
import { type BATCH_EVENTS, deliveriesOfBatch } from "./events.ts";
import type { Labels } from "./github-status.ts";

/** A batch's common config, as its user wrote it. */
export type CommonConfig = Readonly<Record<string, unknown>>;

/** Whom a batch's common config names. It was checked when the batch was made. */
export function notifyIn({ notify }: CommonConfig): readonly Notification[] {
  return CONFIG.shape.notify.parse(notify);
}

function labelsIn({ labels }: CommonConfig): Labels {
  return CONFIG.shape.labels.parse(labels);
}

/** Sees to it that those are told whom the batch's common config names. The same thing again is told once. */
export async function notifyOfBatch(
  env: Env,
  what: keyof typeof BATCH_EVENTS,
  batch: BatchView,
  config: CommonConfig,
): Promise<void> {
  const told = { notify: notifyIn(config), labels: labelsIn(config) };
  const deliveries = deliveriesOfBatch(env, what, batch, told);
  if (deliveries.length === 0) return;
  const { id, owner } = batch;
  await env.NOTIFIER.getByName(id).add({ kind: "batch", id, owner }, deliveries);
}
