import { Hono } from "hono";
import { foldedText } from "../../engine/profile/fold.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { readable, runnerOf } from "./runner.ts";

/** GET /jobs/:id/profile: where the boot's instructions went. */
export function profileRoutes(): Hono<AppEnv> {
  const routes = new Hono<AppEnv>();
  routes.get("/:id/profile", async (context) => {
    const format = context.req.query("format") ?? "json";
    if (format !== "json" && format !== "folded") {
      throw new HttpError(
        400,
        "bad-format",
        `"${format}" is no format of a profile; ask for json or folded.`,
        {
          field: "format",
        },
      );
    }
    const runner = await runnerOf(context);
    const profile = readable(await runner.profile());
    return format === "json" ? context.json(profile) : context.text(foldedText(profile));
  });
  return routes;
}
