import { Hono } from "hono";
import { findFixture, listStoredFixtures } from "../blobs/fixtures.ts";
import type { AppEnv } from "../env.ts";

/** The guests that are stored here ready to boot: `{"kernel": {"fixture": NAME}}`. */
export function fixtureRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/", async (context) => {
    const names = await listStoredFixtures(context.env.BLOBS);
    const fixtures = await Promise.all(names.map((name) => findFixture(context.env.BLOBS, name)));
    return context.json({ fixtures: fixtures.filter((fixture) => fixture !== undefined) });
  });
  return app;
}
