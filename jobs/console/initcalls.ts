import { INITCALLS } from "./limits.ts";
import { functionOf } from "./title.ts";

/** An initcall that has begun and not returned. */
export interface RunningInitcall {
  readonly name: string;
  readonly pid: number;
}

const CALLING = /^calling {1,2}(\S{1,256}(?: \[[\w-]{1,64}\])?) @ (\d{1,10})$/;
const RETURNED = /^initcall (\S{1,256}(?: \[[\w-]{1,64}\])?) returned -?\d{1,10} after /;

/** Follows initcall_debug's lines (init/main.c, trace_initcall_start_cb and trace_initcall_finish_cb). */
export class InitcallTracker {
  #running: readonly RunningInitcall[];

  constructor(running: readonly RunningInitcall[] = []) {
    this.#running = running;
  }

  get running(): readonly RunningInitcall[] {
    return this.#running;
  }

  /** The one that began last. */
  get last(): string | null {
    return this.#running.at(-1)?.name ?? null;
  }

  take(text: string): void {
    if (text.startsWith("calling ")) {
      const match = CALLING.exec(text);
      if (match?.[1] === undefined) return;
      const name = functionOf(match[1]) ?? match[1];
      this.#running = [...this.#running, { name, pid: Number(match[2]) }].slice(-INITCALLS);
    } else if (text.startsWith("initcall ")) {
      const match = RETURNED.exec(text);
      if (match?.[1] === undefined) return;
      const name = functionOf(match[1]) ?? match[1];
      const at = this.#running.findLastIndex((call) => call.name === name);
      if (at >= 0) this.#running = this.#running.filter((_, index) => index !== at);
    }
  }
}
