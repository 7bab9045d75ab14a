import type { WorkMessage } from "../queue.ts";

/** In WORK_QUEUE: make the jobs of this delivery. It may come twice, and then changes nothing. */
export interface HookMessage extends WorkMessage {
  readonly kind: "hook";
  readonly delivery: string;
}

export const hookMessage = (delivery: string): HookMessage => ({ kind: "hook", delivery });

export function isHookMessage(message: WorkMessage): message is HookMessage {
  return message.kind === "hook" && typeof message.delivery === "string";
}
