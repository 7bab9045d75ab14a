import { PROFILE_LIMITS } from "../../engine/limits.ts";
import type { MachineApi, SliceEnd } from "../../engine/machine-api.ts";
import { Profile } from "../../engine/profile/profile.ts";
import type { Clock, Monitor } from "../../jobs/monitor.ts";
import type { Outcome } from "../../jobs/verdict.ts";

/** What one slice did. */
export interface Slice {
  /** Console output that is kept. */
  readonly output: readonly Uint8Array[];
  /** The run is over. */
  readonly outcome: Outcome | undefined;
}

const ENCODER = new TextEncoder();

/** A machine and the monitor beside it. Needs no platform. */
export class Guest {
  readonly machine: MachineApi;
  readonly monitor: Monitor;
  /** Where the instructions went. */
  readonly profile: Profile;
  /** Called once, when the first instruction has been executed. */
  onFirstInstruction: (() => void) | undefined;
  #isStarted = false;

  /** @param profile of the run so far; by default there was none */
  constructor(
    machine: MachineApi,
    monitor: Monitor,
    profile = new Profile(PROFILE_LIMITS.interval, machine.instructions),
  ) {
    this.machine = machine;
    this.monitor = monitor;
    this.profile = profile;
  }

  /**
   * Runs about `instructions` instructions: up to the first moment at or after them at which the monitor judges, or to the
   * moment at which a snapshot is due (`monitor.snapshots.due`). How a run is cut into slices changes nothing, because the
   * monitor's moments are fixed.
   */
  slice(instructions: number): Slice {
    const output: Uint8Array[] = [];
    const target = this.machine.instructions + instructions;
    do {
      const outcome = this.#runToCheck(output);
      if (outcome !== undefined) return { output, outcome };
    } while (this.machine.instructions < target && this.monitor.snapshots.due.length === 0);
    return { output, outcome: undefined };
  }

  #runToCheck(output: Uint8Array[]): Outcome | undefined {
    const { machine, monitor } = this;
    this.#type();
    const check = monitor.nextCheck(machine.instructions);
    while (machine.instructions < check) {
      const before = machine.instructions;
      const end = this.#run(check - before);
      const printed = machine.takeConsole();
      const kept = monitor.output(printed);
      if (kept.length > 0) output.push(kept);
      if (end.kind === "idle" && monitor.rests(this.#clock)) {
        if (monitor.snapshots.due.length > 0) return undefined;
        this.#type();
        continue;
      }
      if (end.kind !== "budget") return monitor.ended(end, this.#clock);
      if (machine.instructions === before && printed.length === 0) {
        throw new Error(`the machine made no progress at instruction ${before}`);
      }
    }
    this.profile.at(machine.instructions, () => machine.sample());
    return monitor.check(this.#clock);
  }

  get #clock(): Clock {
    const { instructions, guestNanoseconds } = this.machine;
    return { instructions, guestNanoseconds };
  }

  #run(budget: number): SliceEnd {
    if (this.#isStarted) return this.machine.run(budget);
    const end = this.machine.run(1);
    this.#isStarted = true;
    this.onFirstInstruction?.();
    return end;
  }

  /** Types what is due at this instruction. */
  #type(): void {
    const { machine, monitor } = this;
    if (!monitor.input.isDue) return;
    for (const text of monitor.input.take(this.#clock)) machine.input(ENCODER.encode(text));
  }
}
