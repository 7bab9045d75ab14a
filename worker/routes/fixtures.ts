import { Hono } from "hono";
import { findFixture, listStoredFixtures } from "../blobs/fixtures.ts";
import type { Env } from "../env.ts";

/** The guests that are stored here ready to boot: `{"kernel": {"fixture": NAME}}`. */
export function fixtureRoutes(): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();
  app.get("/", async (context) => {
    const names = await listStoredFixtures(context.env.BLOBS);
    const fixtures = await Promise.all(names.map((name) => findFixture(context.env.BLOBS, name)));
    return context.json({ fixtures: fixtures.filter((fixture) => fixture !== undefined) });
  });
  return app;
}
