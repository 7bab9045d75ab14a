import type { Finding } from "../verdict.ts";
import type { KernelEvent } from "./kernel-log.ts";
import { KIND_VERDICTS, PANIC_KINDS } from "./kinds.ts";
import { parsePrintk } from "./printk.ts";

/** What each event means for a run's verdict. A panic that only follows from another event is told with its cause. */
export function findingsOfEvents(events: readonly KernelEvent[]): readonly Finding[] {
  return events.map((event) => {
    const where = event.initcall === null ? "" : ` (in initcall ${event.initcall})`;
    const cause = event.cause === null ? "" : `, after: ${event.cause}`;
    const times = event.count > 1 ? `, ${event.count} times` : "";
    return {
      verdict: KIND_VERDICTS[event.kind],
      code: event.kind,
      // A panic's numbers, such as init's exit status, say what happened; elsewhere the place says more.
      message: `${PANIC_KINDS.has(event.kind) ? parsePrintk(event.text).text.trim() : event.title}${where}${cause}${times}`,
    };
  });
}
