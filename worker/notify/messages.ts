import type { WorkMessage } from "../queue.ts";

/** In WORK_QUEUE: send this delivery of this job or batch. It may come twice, and then changes nothing. */
export interface SendMessage extends WorkMessage {
  readonly kind: "notify";
  readonly subject: string;
  readonly delivery: string;
}

export const sendMessage = (subject: string, delivery: string): SendMessage => ({
  kind: "notify",
  subject,
  delivery,
});

export function isSendMessage(message: WorkMessage): message is SendMessage {
  return (
    message.kind === "notify" && typeof message.subject === "string" && typeof message.delivery === "string"
  );
}
