import type { createApp } from "./app.ts";
import type { Env } from "./env.ts";
import { setLog } from "./log.ts";
import { consumeQueue } from "./queue.ts";
import { registerOf } from "./register/stub.ts";

/** What the platform calls: requests, messages of the queue, and the clock. */
export function handlersOf(app: ReturnType<typeof createApp>): ExportedHandler<Env> {
  return {
    fetch: (request, env, context) => {
      setLog(env);
      return app.fetch(request, env, context);
    },
    scheduled: async (_, env) => {
      await registerOf(env).startRepair();
    },
    queue: (batch, env) => consumeQueue(batch, env),
  };
}
