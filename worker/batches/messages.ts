import type { WorkMessage } from "../queue.ts";
import type { Grant } from "./dispatcher-store.ts";

/** In WORK_QUEUE: start this member of this batch. It may come twice, and then changes nothing. */
export interface StartMessage extends WorkMessage {
  readonly kind: "batch";
  readonly batch: string;
  readonly member: number;
}

export const startMessage = ({ batch, member }: Grant): StartMessage => ({ kind: "batch", batch, member });

export function isStartMessage(message: WorkMessage): message is StartMessage {
  return message.kind === "batch" && typeof message.batch === "string" && typeof message.member === "number";
}
