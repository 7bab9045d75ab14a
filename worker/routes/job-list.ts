import { type Context, Hono } from "hono";
import { type JobListQuery, parseJobListQuery } from "../../jobs/schema/job-list.ts";
import { demandScope } from "../auth/authenticate.ts";
import { ANYONE, isAdmin, type Principal } from "../auth/principal.ts";
import { withDatabase } from "../database/database.ts";
import { listJobs, type Whose } from "../database/list-jobs.ts";
import type { AppEnv } from "../env.ts";

/** Whose jobs are listed: a token's own, for administrators everybody's, and to whoever has no token what is public. */
function whoseOf(principal: Principal, { visibility, owner }: JobListQuery): Whose {
  if (owner !== undefined && owner !== principal.tokenId) demandScope(principal, "admin");
  if (visibility === "public" || principal.tokenId === ANYONE) return "public";
  return isAdmin(principal) ? "all" : { owner: principal.tokenId };
}

/** The list of jobs: mounted under /jobs. */
export function jobListRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/", async (context: Context<AppEnv>) => {
    const url = new URL(context.req.url);
    const query = parseJobListQuery(url.searchParams);
    const whose = whoseOf(context.var.principal, query);
    const page = await withDatabase(context.env, (database) => listJobs(database, query, whose));
    const headers: Record<string, string> = { "cache-control": "no-store" };
    if (page.next !== null) {
      url.searchParams.set("cursor", page.next);
      headers.link = `<${url.pathname}${url.search}>; rel="next"`;
    }
    return context.json(page, 200, headers);
  });

  return app;
}
