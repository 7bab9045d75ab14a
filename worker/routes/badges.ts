import { Hono } from "hono";
import { writeBadge } from "../../jobs/report/badge.ts";
import { latestJobWithLabel } from "../database/latest.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";

const LABEL = /^(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})=(?<value>.{0,200})$/s;
/** What a badge says as long as there is no job. */
const UNKNOWN = "unknown";

/** A badge of the latest job with a label: mounted under /badges. */
export function badgeRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/:label{.+\\.svg}", async (context) => {
    const label = context.req.param("label").replace(/\.svg$/, "");
    const { name, value } = LABEL.exec(label)?.groups ?? {};
    if (name === undefined || value === undefined) {
      throw new HttpError(
        400,
        "bad-label",
        "A badge's address is /badges/NAME=VALUE.svg, with a label's name and text; escape what is special in an address.",
        { field: "label" },
      );
    }
    const { principal } = context.var;
    const owner = context.req.query("owner") ?? principal.tokenId;
    const job = await latestJobWithLabel(context.env, principal, owner, name, value);
    const text = context.req.query("title") ?? value;
    return context.body(writeBadge(text, job?.verdict ?? job?.state ?? UNKNOWN), 200, {
      "content-type": "image/svg+xml; charset=utf-8",
      // Pages that show badges go through caches that keep them otherwise for hours.
      "cache-control": "no-cache, max-age=0",
      "x-content-type-options": "nosniff",
    });
  });
  return app;
}
