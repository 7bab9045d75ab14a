import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "./env.ts";

/** What answers carry that do not say otherwise themselves: nothing that is sent is a page, nobody may make it one, or keep it: it is somebody's. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000",
  "cache-control": "no-store",
};

const SWITCHING_PROTOCOLS = 101;

export const securityHeaders: MiddlewareHandler<AppEnv> = async (context, next) => {
  await next();
  if (context.res.status === SWITCHING_PROTOCOLS) return;
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!context.res.headers.has(name)) context.header(name, value);
  }
};
