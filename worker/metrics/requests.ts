import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { AppEnv, Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { METRICS_LIMITS } from "../limits.ts";
import { logEvent, logInfo } from "../log.ts";
import { registerOf } from "../register/stub.ts";

/** Requests of this isolate that the register has not heard of, by what is told of them. */
const counted = new Map<string, number>();
let toldAt = 0;

/** Tells the register what was counted here since the last time. An isolate that dies before loses a few seconds' worth. */
export async function tellRequests(env: Env): Promise<void> {
  const counts = [...counted].map(([labels, value]) => ({ name: "http_requests", labels, value }));
  if (counts.length === 0) return;
  counted.clear();
  toldAt = Date.now();
  try {
    await registerOf(env).count(counts);
  } catch (error) {
    for (const { labels, value } of counts) counted.set(labels, (counted.get(labels) ?? 0) + value);
    logEvent("metrics.not-told", { error: messageOf(error) });
  }
}

/** Counts and logs each request. What is told of its address is the route, which holds nothing that somebody chose. */
export const countRequests: MiddlewareHandler<AppEnv> = async (context, next) => {
  const began = Date.now();
  await next();
  const { method } = context.req;
  const { status } = context.res;
  const matched = matchedRoutes(context).find((one) => one.method !== "ALL")?.path ?? "none";
  // Without the expressions that its parameters have to match.
  const route = matched.replace(/\{[^}]*\}/g, "");
  const known = METRICS_LIMITS.methods.has(method) ? method : "other";
  const key = JSON.stringify({ method: known, route, status: `${status}` });
  counted.set(key, (counted.get(key) ?? 0) + 1);
  const fields = {
    method: known,
    route,
    status,
    milliseconds: Date.now() - began,
    token: context.get("principal")?.tokenId ?? null,
    ray: context.req.header("cf-ray") ?? null,
  };
  if (status >= 500) logEvent("request", fields);
  else logInfo("request", fields);
  if (Date.now() - toldAt < METRICS_LIMITS.tellMilliseconds) return;
  try {
    context.executionCtx.waitUntil(tellRequests(context.env));
  } catch {
    // There is none outside of a Worker: the next request tells.
  }
};
