import { Hono } from "hono";
import { writeBadge } from "../../jobs/report/badge.ts";
import { MANY_WRITERS, type ManyJobs } from "../../jobs/report/batch.ts";
import { REPORTS } from "../../jobs/report/formats.ts";
import type { ReportedJob } from "../../jobs/report/job.ts";
import type { Batch } from "../batches/batch.ts";
import { BATCH_LIMITS } from "../batches/limits.ts";
import type { BatchView } from "../batches/record.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { kcidbOriginOf, reportBase } from "../settings.ts";
import { batchOf } from "./batches.ts";

/** What is sent at a time, at least. */
const CHUNK_CHARACTERS = 64 * 1024;

type Extension = keyof typeof REPORTS;

const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;
/** What reports of a batch without a name are about. */
const UNNAMED = "batch";

function isExtension(text: string): text is Extension {
  return Object.hasOwn(MANY_WRITERS, text);
}

/** The batch's jobs, some at a time. */
async function* jobsOf(object: DurableObjectStub<Batch>, base: string | null): AsyncIterable<ReportedJob> {
  for (let after = -1; ; ) {
    const jobs = JSON.parse(await object.reportsJson(after, BATCH_LIMITS.reportRows)) as ReportedJob[];
    for (const job of jobs)
      yield { ...job, url: job.url === null || base === null ? null : new URL(job.url, base).href };
    after += jobs.length;
    if (jobs.length < BATCH_LIMITS.reportRows) return;
  }
}

function manyJobs(batch: BatchView, object: DurableObjectStub<Batch>, base: string | null): ManyJobs {
  const bad = batch.worst !== null && batch.worst !== "pass" && batch.worst !== "skip";
  return {
    id: batch.id,
    name: batch.name,
    verdict: batch.verdict ?? (bad ? (batch.worst ?? "running") : "running"),
    total: batch.jobs.total,
    passed: batch.verdicts.pass ?? 0,
    jobs: () => jobsOf(object, base),
  };
}

/** Sends text as it is made, no faster than it is read. */
function streamOf(pieces: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let text = "";
      while (text.length < CHUNK_CHARACTERS) {
        const { value, done } = await iterator.next();
        if (done === true) {
          if (text !== "") controller.enqueue(encoder.encode(text));
          controller.close();
          return;
        }
        text += value;
      }
      controller.enqueue(encoder.encode(text));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

/** Reports of all jobs of a batch: mounted under /batches. */
export function batchReportRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/:id/:report{report\\.[a-z]+}", async (context) => {
    const extension = context.req.param("report").slice("report.".length);
    if (!isExtension(extension)) {
      const known = Object.keys(MANY_WRITERS).map((name) => `report.${name}`);
      throw new HttpError(
        404,
        "no-report",
        `There is no report.${extension.slice(0, 16)}; there are ${known.join(", ")}.`,
      );
    }
    const { batch, object } = await batchOf(context);
    await object.collect();
    const pieces = MANY_WRITERS[extension](
      manyJobs(batch, object, reportBase(context.env, context.req.url)),
      {
        origin: kcidbOriginOf(context.env),
      },
    );
    return context.body(streamOf(pieces), 200, {
      ...HEADERS,
      "content-type": `${REPORTS[extension][0]}; charset=utf-8`,
    });
  });

  app.get("/:id/badge.svg", async (context) => {
    const { batch } = await batchOf(context);
    return context.body(writeBadge(batch.name ?? UNNAMED, batch.verdict ?? batch.state), 200, {
      ...HEADERS,
      "content-type": "image/svg+xml; charset=utf-8",
    });
  });

  return app;
}
