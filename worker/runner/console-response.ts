import { isFinal, type JobState } from "../../jobs/states.ts";
import type { ConsoleLog } from "./console-log.ts";

export interface ConsoleRequest {
  readonly log: ConsoleLog;
  /** First byte to serve. */
  readonly offset: number;
  /** Go on until the job ends. */
  readonly follow: boolean;
  readonly state: () => JobState;
  /** Called, and removed, when there is more output or the job has ended. */
  readonly followers: Set<() => void>;
}

/** The console as plain text; read row by row as the client takes it, so a slow client holds nothing in memory. */
export function consoleResponse({ log, offset, follow, state, followers }: ConsoleRequest): Response {
  let at = offset;
  // Without follow, what came after the request is not part of the answer.
  const end = log.length;
  let wake: (() => void) | undefined;
  const body = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      for (;;) {
        const chunk = follow ? log.read(at) : log.read(at, Math.max(0, end - at));
        if (chunk.length > 0) {
          at += chunk.length;
          controller.enqueue(chunk);
          return;
        }
        if (!follow || isFinal(state())) {
          controller.close();
          // A byte stream with a pending BYOB read is only closed by this.
          controller.byobRequest?.respond(0);
          return;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          followers.add(resolve);
        });
      }
    },
    cancel() {
      if (wake !== undefined) followers.delete(wake);
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/plain; charset=utf-8",
      // Whoever compressed this on its way would hold back what a follower waits for.
      "cache-control": "no-store, no-transform",
      ...(follow && { "content-encoding": "identity" }),
      "x-content-type-options": "nosniff",
      "x-job-state": state(),
    },
  });
}
