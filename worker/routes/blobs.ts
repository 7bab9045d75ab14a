import { Hono } from "hono";
import { parseSha256 } from "../../jobs/spec.ts";
import { findBlob, putBlob, tooLarge } from "../blobs/store.ts";
import { countUpload, withRoom } from "../create-job.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";
import { lengthOf } from "./body.ts";

/** Stored kernels and initrds, by hash: so that a big file is sent once, however many jobs use it. */
export function blobRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/:sha256", async (context) => {
    const sha256 = parseSha256(context.req.param("sha256"), "sha256");
    const blob = await findBlob(context.env.BLOBS, sha256);
    if (blob === undefined) {
      throw new HttpError(
        404,
        "no-blob",
        "There is no blob of this hash; send it with PUT to the same address.",
        { field: "sha256" },
      );
    }
    return context.json(blob);
  });

  app.put("/:sha256", async (context) => {
    const sha256 = parseSha256(context.req.param("sha256"), "sha256");
    const body = context.req.raw.body;
    const size = lengthOf(context.req.header("content-length"));
    if (size > UPLOAD_LIMITS.blobBytes) throw tooLarge("body");
    if (size === 0 || body === null)
      throw new HttpError(400, "empty", "The body is empty; send the file's bytes.", { field: "body" });
    const { principal } = context.var;
    const { blob, created } = await withRoom(context.env, principal, size, async () => {
      const put = await putBlob(context.env.BLOBS, sha256, body, size);
      // Also if it was here: whoever stored it may have died before it was counted. What is counted stays as it is.
      await countUpload(context.env, principal, put.blob);
      return put;
    });
    return context.json(blob, created ? 201 : 200);
  });

  return app;
}
