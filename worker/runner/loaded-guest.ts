import type { Guest } from "./guest.ts";
import type { JobRecord, Progress } from "./record.ts";
import { FigureKeeper } from "./run-figures.ts";
import type { SqlPageStore } from "./sql-page-store.ts";

/** A guest in memory, the store its pages are in, and what is counted while it is there. */
export class LoadedGuest {
  readonly guest: Guest;
  readonly store: SqlPageStore;
  /** They go on from those of the checkpoint that the machine came from. */
  readonly figures: FigureKeeper;
  /** Wall time spent running the guest, up to now. */
  runMilliseconds: number;

  /** @param record the job as of where the machine begins, which `runMilliseconds` is of, too */
  constructor(guest: Guest, store: SqlPageStore, record: JobRecord, runMilliseconds: number) {
    const { request, figures } = record;
    this.guest = guest;
    this.store = store;
    this.figures = new FigureKeeper(guest.machine, request.config.stateHashEvery ?? null, figures ?? {});
    this.runMilliseconds = runMilliseconds;
  }

  /** Where the guest is now. */
  get progress(): Progress {
    const { machine, monitor } = this.guest;
    return {
      instructions: machine.instructions,
      guestNanoseconds: machine.guestNanoseconds,
      runMilliseconds: this.runMilliseconds,
      input: monitor.input.typed,
      steps: monitor.input.done,
      milestones: monitor.milestones.times,
      figures: this.figures.figures,
    };
  }
}
