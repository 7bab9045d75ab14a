import { type Context, Hono } from "hono";
import { parseBatch } from "../../jobs/batch/schema.ts";
import { JOB_STATES } from "../../jobs/states.ts";
import { VERDICTS } from "../../jobs/verdict.ts";
import { mayChange, mayRead } from "../auth/principal.ts";
import type { Batch } from "../batches/batch.ts";
import { BATCH_LIMITS } from "../batches/limits.ts";
import { makeBatch } from "../batches/make-batch.ts";
import type { BatchView } from "../batches/record.ts";
import { listBatches } from "../database/batches.ts";
import { withDatabase } from "../database/database.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { settingsOf } from "../settings.ts";
import { jsonOf } from "./body.ts";
import { badCursor, limitOf, nextOf, positionOf, wordOf } from "./page.ts";

type AppContext = Context<AppEnv>;

const ID = /^[0-9a-f]{32}$/;
const BATCH_STATES = ["queued", "running", "ended"] as const;
const MEMBER_STATES = ["waiting", "starting", "refused", ...JOB_STATES] as const;

const noBatch = (): HttpError =>
  new HttpError(404, "no-batch", "There is no such batch; its id is in the answer to POST /batches.", {
    field: "id",
  });

/** The batch in the address, and its object, for whoever may see it. What belongs to others is not there. */
export async function batchOf(
  context: AppContext,
  access: "read" | "change" = "read",
): Promise<{ readonly batch: BatchView; readonly object: DurableObjectStub<Batch> }> {
  const id = context.req.param("id") ?? "";
  // Any other name would wake an object only to find it empty.
  if (!ID.test(id)) throw noBatch();
  const object = context.env.BATCH.getByName(id);
  const batch = (await object.view()) as BatchView | null;
  const { principal } = context.var;
  if (batch === null || !mayRead(principal, batch)) throw noBatch();
  if (access === "change" && !mayChange(principal, batch.owner)) {
    throw new HttpError(
      403,
      "not-yours",
      "This batch is public, but another token's: it can be read, not changed.",
      { field: "id" },
    );
  }
  return { batch, object };
}

/** @throws HttpError 415, 413, 400 */
function batchIn(request: Request): Promise<unknown> {
  if (/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? ""))
    return jsonOf(request.body, BATCH_LIMITS.bodyBytes, '{"kernel": …, "matrix": …}');
  throw new HttpError(415, "unsupported-media-type", "Send the batch as application/json.", {
    field: "content-type",
  });
}

/** The index after which a page of members begins. */
function memberCursor(context: AppContext): number {
  const cursor = context.req.query("cursor");
  if (cursor === undefined) return -1;
  if (!/^\d{1,6}$/.test(cursor)) throw badCursor();
  return Number(cursor);
}

const NO_STORE = { "cache-control": "no-store" } as const;

/** Batches: mounted under /batches. */
export function batchRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/", async (context) => {
    const { env, req, var: variables } = context;
    const most = settingsOf(env).batchJobs;
    const batch = await makeBatch(env, variables.principal, parseBatch(await batchIn(req.raw), most));
    return context.json(batch, 201, { location: batch.links.self });
  });

  app.get("/", async (context) => {
    const limit = limitOf(context, BATCH_LIMITS.page, BATCH_LIMITS.mostPage);
    const state = wordOf(context, "state", BATCH_STATES);
    const before = positionOf(context, (id) => ID.test(id));
    const question = {
      limit,
      ...(state === undefined ? {} : { state }),
      ...(before === undefined ? {} : { before }),
    };
    const batches = await withDatabase(context.env, (database) =>
      listBatches(database, context.var.principal, question),
    );
    const next = nextOf(batches, limit);
    return context.json({ batches, next }, 200, NO_STORE);
  });

  app.get("/:id", async (context) => {
    return context.json((await batchOf(context)).batch, 200, NO_STORE);
  });

  app.delete("/:id", async (context) => {
    const { object } = await batchOf(context, "change");
    const batch = (await object.cancel()) as BatchView | null;
    if (batch === null) throw noBatch();
    return context.json(batch);
  });

  app.get("/:id/jobs", async (context) => {
    const limit = limitOf(context, BATCH_LIMITS.page, BATCH_LIMITS.mostPage);
    const after = memberCursor(context);
    const state = wordOf(context, "state", MEMBER_STATES);
    const verdict = wordOf(context, "verdict", VERDICTS);
    const { object } = await batchOf(context);
    const filter = {
      after,
      limit,
      ...(state === undefined ? {} : { state }),
      ...(verdict === undefined ? {} : { verdict }),
    };
    const text = await object.membersJson(filter);
    return context.body(text, 200, { ...NO_STORE, "content-type": "application/json" });
  });

  return app;
}
