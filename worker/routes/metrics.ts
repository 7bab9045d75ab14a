import { type Context, Hono } from "hono";
import {
  authenticate,
  bearerOf,
  demandScope,
  equalSecrets,
  SEND_A_TOKEN,
  unauthorized,
} from "../auth/authenticate.ts";
import { ANYONE } from "../auth/principal.ts";
import type { AppEnv } from "../env.ts";
import { figures } from "../metrics/figures.ts";
import { METRICS_TYPE, metricsText } from "../metrics/text.ts";

/** Whether the request has the token that is for this alone. */
async function isScraper(context: Context<AppEnv>): Promise<boolean> {
  const { METRICS_TOKEN } = context.env;
  const token = bearerOf(context.req.header("authorization"));
  if (METRICS_TOKEN === undefined || METRICS_TOKEN === "" || token === undefined) return false;
  return await equalSecrets(token, METRICS_TOKEN);
}

/** Figures for Prometheus: to METRICS_TOKEN, and to tokens that may read. What is public to read does not include them. */
export function metricsRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/metrics", async (context) => {
    if (!(await isScraper(context))) {
      await authenticate(context, async () => {});
      const { principal } = context.var;
      if (principal.tokenId === ANYONE) throw unauthorized(SEND_A_TOKEN);
      demandScope(principal, "read");
    }
    const text = metricsText(await figures(context.env));
    return context.body(text, 200, { "content-type": METRICS_TYPE, "cache-control": "no-store" });
  });
  return app;
}
