import type { MiddlewareHandler } from "hono";
import type { Env } from "./env.ts";
import { HttpError } from "./errors.ts";

const ENCODER = new TextEncoder();

/** Whether two secrets are equal, in a time that depends on neither (they are hashed to equal lengths first). */
async function equalSecrets(a: string, b: string): Promise<boolean> {
  const [hashA, hashB] = await Promise.all(
    [a, b].map((text) => crypto.subtle.digest("SHA-256", ENCODER.encode(text))),
  );
  if (hashA === undefined || hashB === undefined) return false;
  return crypto.subtle.timingSafeEqual(hashA, hashB);
}

/** Asks for the bearer token (RFC 6750) when the deployment has one. */
export const requireToken: MiddlewareHandler<{ Bindings: Env }> = async (context, next) => {
  const expected = context.env.TOKEN;
  if (expected !== undefined && expected !== "") {
    const [scheme, token] = (context.req.header("authorization") ?? "").split(" ", 2);
    if (scheme?.toLowerCase() !== "bearer" || !(await equalSecrets(token ?? "", expected))) {
      throw new HttpError(
        401,
        "unauthorized",
        "Send the worker's token in the header: Authorization: Bearer TOKEN.",
        {
          headers: { "www-authenticate": 'Bearer realm="xenner"' },
        },
      );
    }
  }
  await next();
};
