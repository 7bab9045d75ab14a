import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "./env.ts";
import { HttpError } from "./errors.ts";

/** Methods whose bodies are read here. */
const WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/**
 * Refuses bodies with a content coding, as RFC 9110 (section 15.5.16) has it. Nothing here undoes one: JSON would be no JSON, and a file
 * have another hash than its sender knows.
 */
export const plainBodies: MiddlewareHandler<AppEnv> = async (context, next) => {
  const coding = context.req.header("content-encoding")?.trim().toLowerCase() ?? "";
  if (WITH_BODY.has(context.req.method) && coding !== "" && coding !== "identity")
    throw new HttpError(
      415,
      "content-coding",
      "Send the body as it is, without a Content-Encoding. A compressed kernel or initrd is a file like others: it needs no such header.",
      { field: "content-encoding", headers: { "accept-encoding": "identity" } },
    );
  await next();
};

/** A body piece by piece. If it breaks off it is left unlocked, unlike by the stream's own iterator here, so that isBrokenOff can look at it. */
export async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        isOver = true;
        reader.releaseLock();
        throw error;
      });
      isOver = done;
      if (done) return;
      yield value;
    }
  } finally {
    // The rest of what was too much, or wrong at its beginning.
    if (!isOver) await reader.cancel();
  }
}

/** Whether a body's sender went away before its end. What is still to come is not waited for. */
export async function isBrokenOff(body: ReadableStream<Uint8Array> | null): Promise<boolean> {
  if (body === null || body.locked) return false;
  // Nobody reads it after this, so it stays locked: a reader that still waits cannot be released.
  return await Promise.race([
    body
      .getReader()
      .read()
      .then(
        () => false,
        () => true,
      ),
    scheduler.wait(0).then(() => false),
  ]);
}
