import { type Context, Hono } from "hono";
import { isAdmin, mayChange } from "../auth/principal.ts";
import { withDatabase } from "../database/database.ts";
import { listDeliveries } from "../database/deliveries.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { NOTIFY_LIMITS } from "../notify/limits.ts";
import type { Notifier } from "../notify/notifier.ts";
import { type DeliveryView, type Subject, subjectIn } from "../notify/record.ts";
import { batchOf } from "./batches.ts";
import { limitOf, nextOf, positionOf, wordOf } from "./page.ts";
import { noJob, readable, runnerOf } from "./runner.ts";

type AppContext = Context<AppEnv>;

const NO_STORE = { "cache-control": "no-store" } as const;
const STATES = ["pending", "delivered", "failed", "superseded"] as const;

const noDelivery = (): HttpError =>
  new HttpError(404, "no-delivery", "There is no such delivery; GET /deliveries lists them.", {
    field: "id",
  });

/** The object of a job's or batch's deliveries. */
const notifierOf = ({ env }: AppContext, subject: string): DurableObjectStub<Notifier> =>
  env.NOTIFIER.getByName(subject);

/** Deliveries of all jobs and batches: mounted under /deliveries. Addresses may be secrets, so they are shown to their owners only. */
export function deliveryRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/", async (context) => {
    const { principal } = context.var;
    const limit = limitOf(context, NOTIFY_LIMITS.page, NOTIFY_LIMITS.mostPage);
    const state = wordOf(context, "state", STATES);
    const before = positionOf(context, (id) => subjectIn(id) !== undefined);
    const deliveries = await withDatabase(context.env, (database) =>
      listDeliveries(database, {
        limit,
        ...(!isAdmin(principal) && { owner: principal.tokenId }),
        ...(state !== undefined && { state }),
        ...(before !== undefined && { before }),
      }),
    );
    const next = nextOf(deliveries, limit);
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
