import { referenceName } from "../../jobs/batch/names.ts";
import { requestOf } from "../../jobs/batch/schema.ts";
import { CPU_DEFAULT } from "../../jobs/cpu.ts";
import type { ConsoleReport, ReportedJob } from "../../jobs/report/job.ts";
import { MODES } from "../../jobs/schema/guest.ts";
import { isFinal, JOB_STATES, type JobState } from "../../jobs/states.ts";
import type { FindingCode } from "../../jobs/verdict.ts";
import type { Env } from "../env.ts";
import { HttpError } from "../errors.ts";
import { reportedJob } from "../reported-job.ts";
import { BATCH_LIMITS } from "./limits.ts";
import type { BatchRecord } from "./record.ts";
import type { Member } from "./store.ts";

/** Only the path of the job's address is known here. */
const BASE = "http://worker";

const NOTHING: ConsoleReport = { events: [], tests: { results: [], problems: [], dropped: 0 }, tail: "" };

/**
 * What reports say of a job that has ended, cut to what a batch keeps of each. Undefined if the job is gone, or its console cannot
 * be read: then there is only what the batch knows itself.
 */
export async function collectReport(env: Env, job: string): Promise<ReportedJob | undefined> {
  const runner = env.JOB_RUNNER.getByName(job);
  const view = await runner.status();
  if (view === null || "unreadable" in view || !isFinal(view.state)) return undefined;
  try {
    return shortened(await reportedJob(view, runner, BASE));
  } catch (error) {
    if (error instanceof HttpError) return undefined;
    throw error;
  }
}

/** What is least missed goes first. */
function shortened(job: ReportedJob): ReportedJob {
  const { tailCharacters, passedTailCharacters, reportCharacters } = BATCH_LIMITS;
  const most = job.verdict === "pass" ? passedTailCharacters : tailCharacters;
  const { events, tests, tail } = job.console;
  const console = { events, tests, tail: tail.slice(-most).toWellFormed() };
  const steps: ((report: ConsoleReport) => ConsoleReport)[] = [
    (report) => report,
    ({ tests, ...rest }) => ({ ...rest, tests: withoutPassed(tests) }),
    ({ events, ...rest }) => ({ ...rest, events: events.slice(0, 4) }),
    (report) => ({
      ...report,
      tests: { ...NOTHING.tests, problems: ["There are more tests than fit into a batch's report."] },
    }),
  ];
  let report = console;
  for (const step of steps) {
    report = step(report);
    if (JSON.stringify(report).length <= reportCharacters) break;
  }
  return { ...job, console: report };
}

/** Only groups that hold a test that did not pass, and such tests. */
function withoutPassed(tests: ConsoleReport["tests"]): ConsoleReport["tests"] {
  type Results = typeof tests.results;
  let dropped = 0;
  const kept = (results: Results): Results =>
    results.flatMap((result) => {
      const children = kept(result.children);
      if (result.status === "pass" && children.length === 0) {
        dropped++;
        return [];
      }
      return [{ ...result, children }];
    });
  const results = kept(tests.results);
  return { ...tests, results, dropped: tests.dropped + dropped };
}

/** What reports say of a member, from what was collected of its job, or from what the batch knows of it. */
export function reportOf(record: BatchRecord, member: Member, collected: string | null): ReportedJob {
  const report = collected === null ? {} : (JSON.parse(collected) as Partial<ReportedJob>);
  const request = requestOf(record.common, member.spec);
  const config = request.config as Partial<Record<"cmdline" | "memory" | "mode" | "cpu", unknown>> & {
    labels?: Record<string, string>;
  };
  const machine = {
    mode: MODES.find((mode) => mode === config.mode) ?? "pv",
    cpu: typeof config.cpu === "string" ? config.cpu : CPU_DEFAULT,
    // The job knows, if there is one.
    architecture: null,
  };
  // What an older version collected does not say what the machine was.
  if (report.console !== undefined)
    return { ...machine, ...(report as ReportedJob), url: `/jobs/${member.job}` };
  const kernel = (request.kernel ?? {}) as { sha256?: string };
  const { state, verdict, reason, reasonCode } = member;
  const code = (reasonCode ?? "infrastructure") as FindingCode;
  return {
    id: member.job,
    state: reportedState(state),
    verdict,
    reason,
    reasonCode,
    findings: verdict === null ? [] : [{ verdict, code, message: reason ?? "" }],
    kernel: { sha256: kernel.sha256 ?? "", name: referenceName(request.kernel ?? request.from) },
    cmdline: typeof config.cmdline === "string" ? config.cmdline : "",
    memory: typeof config.memory === "number" ? config.memory : 0,
    ...machine,
    labels: { name: member.name, ...config.labels },
    createdAt: new Date(record.createdAt).toISOString(),
    startedAt: member.startedAt,
    endedAt: member.endedAt,
    seconds: member.runSeconds,
    guestSeconds: member.guestSeconds,
    instructions: member.instructions,
    consoleBytes: 0,
    url: member.made ? `/jobs/${member.job}` : null,
    console: NOTHING,
  };
}

/** As a job's state: one that was refused is an error, one that waits is queued. */
function reportedState(state: Member["state"]): JobState {
  return JOB_STATES.find((known) => known === state) ?? (state === "refused" ? "error" : "queued");
}
