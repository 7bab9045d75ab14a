import { type Context, Hono } from "hono";
import type { Comparison } from "../../jobs/compare/compare.ts";
import { writeBadge } from "../../jobs/report/badge.ts";
import { REPORTS } from "../../jobs/report/formats.ts";
import { ConsoleReporter, type ReportedJob } from "../../jobs/report/job.ts";
import { writeJsonReport } from "../../jobs/report/json.ts";
import { writeJunit } from "../../jobs/report/junit.ts";
import { writeKcidb } from "../../jobs/report/kcidb.ts";
import { writeKtapReport } from "../../jobs/report/ktap.ts";
import { writeMarkdown } from "../../jobs/report/markdown.ts";
import { VERDICTS } from "../../jobs/verdict.ts";
import type { ReadJob } from "../comparison.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import type { JobView } from "../runner/record.ts";
import { comparisonOf } from "./comparison.ts";
import { noJob, readable, runnerOf } from "./runner.ts";

type AppContext = Context<AppEnv>;
type Extension = keyof typeof REPORTS;

/** The submitting system in KCIDB reports. */
export const KCIDB_ORIGIN = "xenner";

type Comparisons = ReadonlyMap<string, Comparison>;

const WRITERS: Readonly<Record<Extension, (job: ReportedJob, comparisons: Comparisons) => string>> = {
  json: (job, comparisons) => writeJsonReport([job], comparisons),
  xml: (job) => writeJunit([job]),
  ktap: (job) => writeKtapReport([job]),
  kcidb: (job) => writeKcidb([job], { origin: KCIDB_ORIGIN }),
  md: (job, comparisons) => writeMarkdown([job], comparisons),
};

/** Those that say what changed since the last known good. */
const COMPARING: ReadonlySet<Extension> = new Set<Extension>(["json", "md"]);

function isExtension(text: string): text is Extension {
  return Object.hasOwn(WRITERS, text);
}

/** The job with what its console says; the console is read in pieces and not held. */
async function reported(context: AppContext, { runner, view }: ReadJob): Promise<ReportedJob> {
  const response = await runner.fetch("http://job/console");
  if (response.status === 404 || response.body === null) throw noJob();
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
    // Jobs of an older version have no labels.
    labels: view.config.labels ?? {},
    createdAt: view.createdAt,
    startedAt: view.startedAt,
    endedAt: view.endedAt,
    seconds: view.runSeconds,
    guestSeconds: view.guestSeconds,
    instructions: view.instructions,
    consoleBytes: view.consoleBytes,
    url: new URL(`/jobs/${view.id}`, context.req.url).href,
    console: reporter.end(),
  };
}

/** Reports of one job: mounted under /jobs. */
export function reportRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/:id/:report{report\\.[a-z]+}", async (context) => {
    const extension = context.req.param("report").slice("report.".length);
    if (!isExtension(extension)) {
      const known = Object.keys(WRITERS).map((name) => `report.${name}`);
      throw new HttpError(
        404,
        "no-report",
        `There is no report.${extension.slice(0, 16)}; there are ${known.join(", ")}.`,
      );
    }
    const runner = await runnerOf(context);
    const view: JobView = readable(await runner.status());
    const job = await reported(context, { runner, view });
    const comparison = COMPARING.has(extension) ? await comparisonOf(context, { runner, view }) : undefined;
    const comparisons = new Map(comparison === undefined ? [] : [[view.id, comparison]]);
    const text = WRITERS[extension](job, comparisons);
    return context.body(text, 200, {
      "content-type": `${REPORTS[extension][0]}; charset=utf-8`,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
  });

  app.get("/:id/badge.svg", async (context) => {
    const view: JobView = readable(await (await runnerOf(context)).status());
    const verdict = view.verdict ?? view.state;
    const label = view.config.labels?.name ?? view.fixture ?? "boot";
    return context.body(writeBadge(label, verdict), 200, {
      "content-type": "image/svg+xml; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
  });

  return app;
}
