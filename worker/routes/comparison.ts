import { type Context, Hono } from "hono";
import type { Comparison } from "../../jobs/compare/compare.ts";
import { IGNORED, type Ignored } from "../../jobs/compare/consoles.ts";
import { compareJobs, type ReadJob } from "../comparison.ts";
import { findLastGood } from "../database/last-good.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { jobRunner, readable } from "./runner.ts";

type AppContext = Context<AppEnv>;

const NO_LABELS =
  "The job has no labels, so there is nothing that it could be compared with; name a job with ?with=JOB.";
const NO_GOOD =
  "No job of the same owner with these labels has passed before (of a public job: no public one), or what passed is kept no more; name a job with ?with=JOB.";

async function readJob(context: AppContext, id: string): Promise<ReadJob> {
  const runner = await jobRunner(context, id);
  return { view: readable(await runner.status()), runner };
}

/** The job that the parameter `field` names. */
async function ended(context: AppContext, id: string, field: "id" | "with"): Promise<ReadJob> {
  const { view, runner } = await readJob(context, id).catch((error: unknown) => {
    if (field === "id" || !(error instanceof HttpError) || error.status !== 404) throw error;
    throw new HttpError(404, error.code, `${field}: ${error.message}`, { field });
  });
  if (view.endedAt !== null) return { view, runner };
  throw new HttpError(
    409,
    "not-ended",
    `The job ${id} has not ended yet (${view.state}); compare it when it has.`,
    { field },
  );
}

function ignoredOf(context: AppContext): Ignored {
  const text = context.req.query("ignore") ?? "stamps";
  const ignored = IGNORED.find((one) => one === text);
  if (ignored !== undefined) return ignored;
  const known = IGNORED.map((one) => `"${one}"`).join(", ");
  throw new HttpError(400, "wrong-type", `ignore must be one of ${known}.`, { field: "ignore" });
}

/** The last known good that is still there: as of the job's end, else as the database knows it now. */
async function lastGood(context: AppContext, { view }: ReadJob): Promise<ReadJob | undefined> {
  const recorded = view.lastGood?.id;
  if (recorded !== undefined) {
    const found = await ended(context, recorded, "id").catch(gone);
    if (found !== undefined) return found;
  }
  const { id, owner, visibility, config } = view;
  const labels = config.labels ?? {};
  const createdAt = Date.parse(view.createdAt);
  const known = await findLastGood(context.env, { id, owner, visibility, labels, createdAt });
  return known === null ? undefined : ended(context, known.id, "id").catch(gone);
}

/** A job that expired, that this token may not see, or that cannot be read is none. */
function gone(error: unknown): undefined {
  if (!(error instanceof HttpError) || (error.status !== 404 && error.code !== "damaged")) throw error;
}

/** What changed since the last known good; undefined if the job runs still, or there is no such. For reports. */
export async function comparisonOf(context: AppContext, job: ReadJob): Promise<Comparison | undefined> {
  if (job.view.endedAt === null) return undefined;
  const good = await lastGood(context, job);
  // The job itself was read already.
  return good && (await compareJobs(job, good, "stamps").catch(gone));
}

/** A job beside its last known good, or beside another: mounted under /jobs. */
export function comparisonRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/:id/comparison", async (context) => {
    const ignored = ignoredOf(context);
    const job = await ended(context, context.req.param("id"), "id");
    const asked = context.req.query("with");
    const good = asked === undefined ? await lastGood(context, job) : await ended(context, asked, "with");
    const headers = { "cache-control": "no-store" };
    if (good === undefined) {
      const note = Object.keys(job.view.config.labels ?? {}).length === 0 ? NO_LABELS : NO_GOOD;
      return context.json({ job: job.view.id, with: null, note, ignored, comparison: null }, 200, headers);
    }
    const comparison = await compareJobs(job, good, ignored);
    const answer = { job: job.view.id, with: good.view.id, note: null, ignored, comparison };
    return context.json(answer, 200, headers);
  });
  return app;
}
