import { CPU_DEFAULT } from "../jobs/cpu.ts";
import { ConsoleReporter, type ReportedJob } from "../jobs/report/job.ts";
import { VERDICTS } from "../jobs/verdict.ts";
import { HttpError } from "./errors.ts";
import type { JobView } from "./runner/record.ts";

/** What has a console: a job's object, from wherever. */
interface HasConsole {
  fetch(url: string): Promise<Response>;
}

/**
 * A job with what its console says; the console is read in pieces and not held.
 *
 * @param base what the job's address begins with, such as "https://worker.example"; null if it has none that lasts
 * @throws HttpError 404 if the job has gone meanwhile, 500 if its console is damaged
 */
export async function reportedJob(
  view: JobView,
  runner: HasConsole,
  base: string | null,
): Promise<ReportedJob> {
  const response = await runner.fetch("http://job/console");
  if (response.status === 404 || response.body === null)
    throw new HttpError(404, "no-job", "There is no such job any more.", { field: "id" });
  if (!response.ok) throw new HttpError(500, "damaged", "This job's console cannot be read. Post it again.");
  const reporter = new ConsoleReporter();
  for await (const chunk of response.body) reporter.output(chunk);
  return {
    id: view.id,
    state: view.state,
    verdict: VERDICTS.find((verdict) => verdict === view.verdict) ?? null,
    reason: view.reason,
    reasonCode: view.reasonCode,
    findings: view.findings,
    kernel: { sha256: view.kernel.sha256, name: view.fixture },
    cmdline: view.config.cmdline,
    memory: view.config.memory,
    // Jobs of an older version have none of these.
    mode: view.config.mode ?? "pv",
    cpu: view.config.cpu ?? CPU_DEFAULT,
    architecture: view.architecture ?? null,
    labels: view.config.labels ?? {},
    createdAt: view.createdAt,
    startedAt: view.startedAt,
    endedAt: view.endedAt,
    seconds: view.runSeconds,
    guestSeconds: view.guestSeconds,
    instructions: view.instructions,
    consoleBytes: view.consoleBytes,
    url: base === null ? null : new URL(`/jobs/${view.id}`, base).href,
    console: reporter.end(),
  };
}
