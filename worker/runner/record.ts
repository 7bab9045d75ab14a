import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { Milestones } from "../../jobs/compare/milestones.ts";
import type { Architecture } from "../../jobs/cpu.ts";
import type { StepDone, TypedInput } from "../../jobs/input.ts";
import type { JobConfig, SnapshotReference } from "../../jobs/spec.ts";
import type { JobState } from "../../jobs/states.ts";
import type { Outcome } from "../../jobs/verdict.ts";
import { ROOT, type Visibility } from "../auth/principal.ts";
import type { Blob } from "../blobs/store.ts";
import type { GoodJob } from "../database/last-good.ts";
import type { BudgetView } from "./budget.ts";
import type { PagingFigures, RunFigures, StatePoint } from "./run-figures.ts";
import type { MadeSnapshot } from "./snapshots.ts";

/** What a job is made from; fixed when it is created. */
export interface JobRequest {
  readonly id: string;
  readonly kernel: Blob;
  readonly initrd?: Blob;
  /** The fixture the kernel came from. */
  readonly fixture?: string;
  /** The snapshot the job starts from; kernel, initrd and fixture are then the snapshot's. */
  readonly from?: StartingSnapshot;
  readonly config: JobConfig;
  /** What the kernel is built for; jobs of an older version do not say. */
  readonly architecture?: Architecture;
  /** Id of the token that made the job: Principal.tokenId. */
  readonly owner: string;
  /** The batch it belongs to. */
  readonly batch: string | null;
}

/** What jobs lack that were made by a version of this worker without it. */
export const OLDER_REQUEST = { owner: ROOT, batch: null } as const;

/** Who may read the job. Jobs of an older version are private. */
export const visibilityOf = ({ config }: JobRequest): Visibility => config.visibility ?? "private";

/** Where a job starts that does not start from its kernel. */
export interface StartingSnapshot {
  readonly snapshot: SnapshotReference;
  readonly name: string;
  readonly instructions: number;
  readonly guestNanoseconds: number;
  /** Bytes the guest had printed; the job's own console begins behind them. */
  readonly consoleBytes: number;
}

/** What the checkpoints of a job did and cost. */
export interface CheckpointFigures {
  readonly count: number;
  /** Instruction count of the last one. */
  readonly instructions: number;
  /** Sums over all. `bytesWritten` are rows of pages, which neighbours of dirty pages are written with, and state. */
  readonly pagesWritten: number;
  readonly bytesWritten: number;
  readonly stateBytes: number;
  readonly milliseconds: number;
  /** The last one by itself. */
  readonly last: { readonly pages: number; readonly bytes: number; readonly milliseconds: number } | null;
}

/** What a job's storage takes, in bytes. */
export interface StorageFigures {
  readonly bytes: number;
  readonly most: number;
  readonly limit: number;
}

/** From the alarm (from the making of its object, if it had to be made) to the first guest instruction. */
export interface ResumeTimes {
  readonly last: number;
  readonly most: number;
}

/** A job as its Durable Object stores it. Times are milliseconds since 1970. */
export interface JobRecord {
  readonly request: JobRequest;
  readonly state: JobState;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly outcome?: Outcome;
  /** Progress as of the last checkpoint, or the end. */
  readonly instructions: number;
  readonly guestNanoseconds: number;
  /** Wall time spent running the guest. */
  readonly runMilliseconds: number;
  /** Input typed so far. */
  readonly input?: readonly TypedInput[];
  /** Steps done so far. */
  readonly steps?: readonly StepDone[];
  /** When the kernel passed its milestones. */
  readonly milestones?: Milestones;
  /** The last known good at the job's end; null if there is none. */
  readonly lastGood?: GoodJob | null;
  /** What expect.instructions came to. */
  readonly budget?: BudgetView;
  /** Figures of the machine, as of the last checkpoint, or the end. */
  readonly figures?: RunFigures;
  /** When the first instruction was executed, and how long after the alarm. */
  readonly firstInstruction?: { readonly at: number; readonly milliseconds: number };
  /** Snapshots the job made of itself. */
  readonly snapshots?: readonly MadeSnapshot[];
  /** The run is over with this outcome, and what is left to do are snapshots of its end. */
  readonly ending?: Outcome;
  readonly checkpoints: CheckpointFigures;
  readonly statistics?: HypercallStatistics;
  /** Times the job went on from a checkpoint, and times it began anew without one. */
  readonly resumes: number;
  readonly restarts: number;
  readonly resumeMilliseconds?: ResumeTimes;
  /** The guest is in some process's memory. If it is in none when a turn finds this set, that process was killed. */
  readonly inTurn: boolean;
  /** Turns that were killed. */
  readonly interruptions: number;
  /** Turns begun, and turns that threw, since the last checkpoint. */
  readonly attempts: number;
  readonly failures: number;
  readonly lastError?: string;
  /** Bytes the console had when this was stored: it never has fewer. */
  readonly consoleBytes: number;
  /** Most bytes of storage seen in use. */
  readonly storageMost: number;
  /** Until when the pages are kept; not set if there are none. */
  readonly keptUntil?: number;
}

export function newRecord(request: JobRequest, now: number): JobRecord {
  return {
    request,
    state: "queued",
    createdAt: now,
    instructions: 0,
    guestNanoseconds: 0,
    runMilliseconds: 0,
    checkpoints: {
      count: 0,
      instructions: 0,
      pagesWritten: 0,
      bytesWritten: 0,
      stateBytes: 0,
      milliseconds: 0,
      last: null,
    },
    resumes: 0,
    restarts: 0,
    inTurn: false,
    interruptions: 0,
    attempts: 0,
    failures: 0,
    consoleBytes: 0,
    storageMost: 0,
  };
}

/** A job as the API shows it. */
export interface JobView {
  readonly id: string;
  readonly state: JobState;
  readonly verdict: string | null;
  readonly reason: string | null;
  readonly reasonCode: string | null;
  readonly findings: Outcome["findings"];
  readonly kernel: Blob;
  readonly initrd: Blob | null;
  readonly fixture: string | null;
  readonly config: JobConfig;
  /** What the kernel is built for; null if that is not known. */
  readonly architecture: Architecture | null;
  /** Id of the token that made the job. */
  readonly owner: string;
  readonly visibility: Visibility;
  readonly batch: string | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Wall time from creation to the end, or to now. */
  readonly seconds: number;
  readonly runSeconds: number;
  readonly guestSeconds: number;
  readonly instructions: number;
  /** The snapshot the job started from, and what it has done since; the figures above count from the kernel's start. */
  readonly from: StartView | null;
  /** What was typed, and at which instruction. */
  readonly input: readonly TypedInput[];
  /** The steps that are over, and at which instruction each was. */
  readonly steps: readonly StepDone[];
  /** When the kernel passed its milestones, at the first moment of judging after each. */
  readonly milestones: Milestones;
  /** The last known good of the same labels, as of the job's end. */
  readonly lastGood: GoodJob | null;
  /** What expect.instructions came to; null as long as the job runs, or if it asks for none. */
  readonly budget: BudgetView | null;
  readonly snapshots: readonly MadeSnapshot[];
  /** When the first instruction was executed, and how many milliseconds after the alarm that started the job. */
  readonly firstInstruction: { readonly at: string; readonly milliseconds: number } | null;
  /** Million guest instructions a second of running. */
  readonly mips: number | null;
  readonly consoleBytes: number;
  readonly checkpoints: CheckpointFigures;
  readonly resumes: number;
  readonly restarts: number;
  readonly interruptions: number;
  readonly resumeMilliseconds: ResumeTimes | null;
  readonly lastError: string | null;
  readonly storage: StorageFigures;
  /** What paging did; null before the first checkpoint. It depends on the worker's pool, and nothing else depends on it. */
  readonly paging: PagingFigures | null;
  /** Hashes of the guest's whole state, if the job asks for them. */
  readonly stateHashes: readonly StatePoint[] | null;
  /** Until when the memory of a guest that failed is kept for inspection. */
  readonly keptUntil: string | null;
  readonly links: {
    readonly self: string;
    readonly console: string;
    readonly hypercalls: string;
    readonly snapshots: string;
  };
}

export interface StartView {
  readonly snapshot: SnapshotReference;
  readonly name: string;
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly consoleBytes: number;
  readonly since: { readonly instructions: number; readonly guestSeconds: number };
}

/** Where a running machine is now. */
export type Progress = Pick<
  JobRecord,
  "instructions" | "guestNanoseconds" | "runMilliseconds" | "input" | "steps" | "milestones" | "figures"
>;

const iso = (milliseconds: number | undefined): string | null =>
  milliseconds === undefined ? null : new Date(milliseconds).toISOString();

function startOf(from: StartingSnapshot, progress: Progress): StartView {
  // Before its first instruction the job is where the snapshot was.
  const instructions = Math.max(progress.instructions, from.instructions);
  const nanoseconds = Math.max(progress.guestNanoseconds, from.guestNanoseconds);
  return {
    snapshot: from.snapshot,
    name: from.name,
    instructions: from.instructions,
    guestSeconds: from.guestNanoseconds / 1e9,
    consoleBytes: from.consoleBytes,
    since: {
      instructions: instructions - from.instructions,
      guestSeconds: (nanoseconds - from.guestNanoseconds) / 1e9,
    },
  };
}

/** `progress` is given while a machine is in memory. */
export function viewOf(
  record: JobRecord,
  consoleBytes: number,
  now: number,
  storage: StorageFigures,
  progress: Progress = record,
): JobView {
  const { request, outcome } = record;
  const from = request.from === undefined ? null : startOf(request.from, progress);
  const executed = from?.since.instructions ?? progress.instructions;
  return {
    id: request.id,
    state: record.state,
    verdict: outcome?.verdict ?? null,
    reason: outcome?.reason ?? null,
    reasonCode: outcome?.code ?? null,
    findings: outcome?.findings ?? [],
    kernel: request.kernel,
    initrd: request.initrd ?? null,
    fixture: request.fixture ?? null,
    config: request.config,
    architecture: request.architecture ?? null,
    owner: request.owner,
    visibility: visibilityOf(request),
    batch: request.batch,
    createdAt: new Date(record.createdAt).toISOString(),
    startedAt: iso(record.startedAt),
    endedAt: iso(record.endedAt),
    seconds: ((record.endedAt ?? now) - record.createdAt) / 1000,
    runSeconds: progress.runMilliseconds / 1000,
    guestSeconds: progress.guestNanoseconds / 1e9,
    instructions: progress.instructions,
    from,
    input: progress.input ?? [],
    steps: progress.steps ?? [],
    milestones: progress.milestones ?? {},
    lastGood: record.lastGood ?? null,
    budget: record.budget ?? null,
    snapshots: record.snapshots ?? [],
    firstInstruction:
      record.firstInstruction === undefined
        ? null
        : {
            at: new Date(record.firstInstruction.at).toISOString(),
            milliseconds: record.firstInstruction.milliseconds,
          },
    mips: progress.runMilliseconds > 0 ? Math.round(executed / progress.runMilliseconds / 10) / 100 : null,
    consoleBytes,
    checkpoints: record.checkpoints,
    resumes: record.resumes,
    restarts: record.restarts,
    interruptions: record.interruptions,
    resumeMilliseconds: record.resumeMilliseconds ?? null,
    lastError: record.lastError ?? null,
    storage,
    paging: progress.figures?.paging ?? null,
    stateHashes: progress.figures?.stateHashes ?? null,
    keptUntil: iso(record.keptUntil),
    links: {
      self: `/jobs/${request.id}`,
      console: `/jobs/${request.id}/console`,
      hypercalls: `/jobs/${request.id}/hypercalls`,
      snapshots: `/jobs/${request.id}/snapshots`,
    },
  };
}
