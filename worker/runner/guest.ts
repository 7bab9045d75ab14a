import type { MachineApi } from "../../engine/machine-api.ts";
import type { Monitor } from "../../jobs/monitor.ts";
import type { Outcome } from "../../jobs/verdict.ts";

/** What one slice did. */
export interface Slice {
  /** Console output that is kept. */
  readonly output: readonly Uint8Array[];
  /** The run is over. */
  readonly outcome: Outcome | undefined;
}

/** A machine and the monitor beside it. Needs no platform. */
export class Guest {
  readonly machine: MachineApi;
  readonly monitor: Monitor;

  constructor(machine: MachineApi, monitor: Monitor) {
    this.machine = machine;
    this.monitor = monitor;
  }

  /**
   * Runs about `instructions` instructions: up to the first moment at or after them at which the monitor judges. How a
   * run is cut into slices changes nothing, because the monitor's moments are fixed.
   */
  slice(instructions: number): Slice {
    const output: Uint8Array[] = [];
    const target = this.machine.instructions + instructions;
    do {
      const outcome = this.#runToCheck(output);
      if (outcome !== undefined) return { output, outcome };
    } while (this.machine.instructions < target);
    return { output, outcome: undefined };
  }

  #runToCheck(output: Uint8Array[]): Outcome | undefined {
    const { machine, monitor } = this;
    const check = monitor.nextCheck(machine.instructions);
    while (machine.instructions < check) {
      const before = machine.instructions;
      const end = machine.run(check - before);
      const printed = machine.takeConsole();
      const kept = monitor.output(printed);
      if (kept.length > 0) output.push(kept);
      if (end.kind !== "budget") return monitor.ended(end);
      if (machine.instructions === before && printed.length === 0) {
        throw new Error(`the machine made no progress at instruction ${before}`);
      }
    }
    return monitor.check({ instructions: machine.instructions, guestNanoseconds: machine.guestNanoseconds });
  }
}
