import { type Context, Hono } from "hono";
import { isAdmin, mayChange } from "../auth/principal.ts";
import { withDatabase } from "../database/database.ts";
import { type DeliveryPosition, listDeliveries } from "../database/deliveries.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { NOTIFY_LIMITS } from "../notify/limits.ts";
import type { Notifier } from "../notify/notifier.ts";
import { type DeliveryView, type Subject, subjectIn } from "../notify/record.ts";
import { batchOf } from "./batches.ts";
import { noJob, readable, runnerOf } from "./runner.ts";

type AppContext = Context<AppEnv>;

const NO_STORE = { "cache-control": "no-store" } as const;
const STATES = ["pending", "delivered", "failed", "superseded"] as const;

const noDelivery = (): HttpError =>
  new HttpError(404, "no-delivery", "There is no such delivery; GET /deliveries lists them.", {
    field: "id",
  });

/** `?limit=` */
export function limitOf(context: AppContext, usual: number, most: number): number {
  const text = context.req.query("limit") ?? String(usual);
  const limit = Number(text);
  if (/^\d{1,6}$/.test(text) && limit >= 1 && limit <= most) return limit;
  throw new HttpError(400, "bad-limit", `limit must be a whole number from 1 to ${most}.`, {
    field: "limit",
  });
}

function stateOf(context: AppContext): string | undefined {
  const state = context.req.query("state");
  if (state === undefined || STATES.some((known) => known === state)) return state;
  throw new HttpError(400, "bad-state", `state must be one of ${STATES.join(", ")}.`, { field: "state" });
}

function cursorOf(context: AppContext): DeliveryPosition | undefined {
  const cursor = context.req.query("cursor");
  if (cursor === undefined) return undefined;
  const [, createdAt = "", id = ""] = /^(\d{1,15})-(.{1,60})$/.exec(cursor) ?? [];
  if (subjectIn(id) === undefined)
    throw new HttpError(400, "bad-cursor", 'cursor must be the "next" of an earlier answer.', {
      field: "cursor",
    });
  return { createdAt: Number(createdAt), id };
}

/** The object of a job's or batch's deliveries. */
const notifierOf = ({ env }: AppContext, subject: string): DurableObjectStub<Notifier> =>
  env.NOTIFIER.getByName(subject);

/** Deliveries of all jobs and batches: mounted under /deliveries. Addresses may be secrets, so they are shown to their owners only. */
export function deliveryRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/", async (context) => {
    const { principal } = context.var;
    const limit = limitOf(context, NOTIFY_LIMITS.page, NOTIFY_LIMITS.mostPage);
    const state = stateOf(context);
    const before = cursorOf(context);
    const deliveries = await withDatabase(context.env, (database) =>
      listDeliveries(database, {
        limit,
        ...(!isAdmin(principal) && { owner: principal.tokenId }),
        ...(state !== undefined && { state }),
        ...(before !== undefined && { before }),
      }),
    );
    const last = deliveries.at(-1);
    const next =
      last === undefined || deliveries.length < limit ? null : `${Date.parse(last.createdAt)}-${last.id}`;
    return context.json({ deliveries, next }, 200, NO_STORE);
  });

  app.post("/:id/redeliver", async (context) => {
    const id = context.req.param("id");
    const subject = subjectIn(id);
    if (subject === undefined) throw noDelivery();
    const notifier = notifierOf(context, subject);
    const known = (await notifier.subject()) as Subject | null;
    if (known === null || !mayChange(context.var.principal, known.owner)) throw noDelivery();
    const delivery = (await notifier.redeliver(id)) as DeliveryView | null;
    if (delivery === null) throw noDelivery();
    return context.json(delivery, 202);
  });

  return app;
}

/** Deliveries of one job: mounted under /jobs. */
export function jobDeliveryRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/:id/deliveries", async (context) => {
    const { id, owner } = readable(await (await runnerOf(context)).status());
    if (!mayChange(context.var.principal, owner)) throw noJob();
    const deliveries = (await notifierOf(context, id).list()) as DeliveryView[];
    return context.json({ deliveries }, 200, NO_STORE);
  });

  return app;
}

/** Deliveries of one batch: mounted under /batches. */
export function batchDeliveryRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/:id/deliveries", async (context) => {
    const { batch } = await batchOf(context, "change");
    const deliveries = (await notifierOf(context, batch.id).list()) as DeliveryView[];
    return context.json({ deliveries }, 200, NO_STORE);
  });

  return app;
}
