import type { MiddlewareHandler } from "hono";
import { nearestName } from "../jobs/nearest.ts";
import { operationsAt } from "./api-operations.ts";
import type { AppEnv } from "./env.ts";
import { HttpError } from "./errors.ts";

const SHOWN_CHARACTERS = 64;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
const CONTROL = /[\u0000-\u001f\u007f]/g;

function refusal(sent: string, known: readonly string[]): HttpError {
  const shown = sent.slice(0, SHOWN_CHARACTERS).replace(CONTROL, "\ufffd");
  const advice =
    known.length === 0
      ? "This address takes none; leave it out."
      : `Did you mean "${nearestName(sent, known)}"? Known: ${known.join(", ")}.`;
  return new HttpError(400, "unknown-field", `There is no parameter "${shown}" here. ${advice}`, {
    field: `query.${shown}`,
  });
}

/**
 * Refuses requests whose query has a parameter that the API does not know there: a misspelt filter would otherwise silently be none.
 * Addresses that are not the API's (pages for browsers) have their own.
 */
export const knownParameters: MiddlewareHandler<AppEnv> = async (context, next) => {
  const { searchParams } = new URL(context.req.url);
  // The path as routes are matched with: /%6aobs is /jobs.
  const { method, path } = context.req;
  const known = operationsAt(path)?.get(method === "HEAD" ? "GET" : method);
  if (known !== undefined)
    for (const name of searchParams.keys()) if (!known.includes(name)) throw refusal(name, known);
  await next();
};
