import { expect, test } from "vitest";
import { createJob, request } from "../testing/client.ts";

/*
 * A job that was canceled before its guest ran has a profile like any other, an empty one.
 */

test("a job that never ran has an empty profile", { timeout: 60_000 }, async () => {
  const { id } = await createJob({ name: "never-run", buildMilliseconds: 60_000, events: [] });
  await request(`/jobs/${id}`, { method: "DELETE" });
  for (let times = 0; times < 2; times++) {
    const response = await request(`/jobs/${id}/profile`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ samples: 0, frames: [] });
  }
});
