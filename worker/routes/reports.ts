import { Hono } from "hono";
import type { Comparison } from "../../jobs/compare/compare.ts";
import { writeBadge } from "../../jobs/report/badge.ts";
import { REPORTS } from "../../jobs/report/formats.ts";
import type { ReportedJob } from "../../jobs/report/job.ts";
import { writeJsonReport } from "../../jobs/report/json.ts";
import { writeJunit } from "../../jobs/report/junit.ts";
import { type KcidbOptions, writeKcidb } from "../../jobs/report/kcidb.ts";
import { writeKtapReport } from "../../jobs/report/ktap.ts";
import { writeMarkdown } from "../../jobs/report/markdown.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { reportedJob } from "../reported-job.ts";
import type { JobView } from "../runner/record.ts";
import { kcidbOriginOf, reportBase } from "../settings.ts";
import { comparisonOf } from "./comparison.ts";
import { readable, runnerOf } from "./runner.ts";

type Extension = keyof typeof REPORTS;

type Comparisons = ReadonlyMap<string, Comparison>;
type Writer = (job: ReportedJob, comparisons: Comparisons, options: KcidbOptions) => string;

const WRITERS: Readonly<Record<Extension, Writer>> = {
  json: (job, comparisons) => writeJsonReport([job], comparisons),
  xml: (job) => writeJunit([job]),
  ktap: (job) => writeKtapReport([job]),
  kcidb: (job, _, options) => writeKcidb([job], options),
  md: (job, comparisons) => writeMarkdown([job], comparisons),
};

/** Those that say what changed since the last known good. */
const COMPARING: ReadonlySet<Extension> = new Set<Extension>(["json", "md"]);

function isExtension(text: string): text is Extension {
  return Object.hasOwn(WRITERS, text);
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
    const job = await reportedJob(view, runner, reportBase(context.env, context.req.url));
    const comparison = COMPARING.has(extension) ? await comparisonOf(context, { runner, view }) : undefined;
    const comparisons = new Map(comparison === undefined ? [] : [[view.id, comparison]]);
    const text = WRITERS[extension](job, comparisons, { origin: kcidbOriginOf(context.env) });
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
