import type { createApp } from "./app.ts";
import type { Env } from "./env.ts";
import { consumeQueue } from "./queue.ts";

/** What the platform calls: requests, messages of the queue. */
export function handlersOf(app: ReturnType<typeof createApp>): ExportedHandler<Env> {
  return {
    fetch: (request, env, context) => app.fetch(request, env, context),
    queue: (batch, env) => consumeQueue(batch, env),
  };
}
