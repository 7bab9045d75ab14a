import { Hono } from "hono";
import { requireScope } from "../auth/authenticate.ts";
import type { AppEnv } from "../env.ts";
import type { RepairReport } from "../register/repair.ts";
import { registerOf } from "../register/stub.ts";

const NO_STORE = { "cache-control": "no-store" };
const iso = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString();

function viewOf({ startedAt, endedAt, ...report }: RepairReport): object {
  return { ...report, startedAt: iso(startedAt), endedAt: iso(endedAt) };
}

/** What those who run the worker may do besides. */
export function adminRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use("*", requireScope("admin"));

  app.post("/repair", async (context) => {
    const report = await registerOf(context.env).startRepair();
    return context.json(viewOf(report), 202, { location: "/admin/repair" });
  });

  app.get("/repair", async (context) => {
    const report = await registerOf(context.env).lastRepair();
    return context.json({ repair: report === null ? null : viewOf(report) }, 200, NO_STORE);
  });

  return app;
}
