import { Hono } from "hono";
import { withDatabase } from "../database/database.ts";
import type { AppEnv, Env } from "../env.ts";
import { HttpError, messageOf } from "../errors.ts";
import { HEALTH_LIMITS } from "../limits.ts";
import { logEvent } from "../log.ts";
import { firstRetryOf } from "../notify/settings.ts";
import { isSecret } from "../notify/signature.ts";
import { registerOf } from "../register/stub.ts";
import { kcidbOriginOf, settingsOf } from "../settings.ts";

/** @throws HttpError naming a variable that is wrong, before it is needed */
function checkSettings(env: Env): void {
  settingsOf(env);
  kcidbOriginOf(env);
  firstRetryOf(env);
  for (const name of ["WEBHOOK_SECRET", "GENERIC_WEBHOOK_SECRET"] as const) {
    const secret = env[name] ?? "";
    if (secret === "" || isSecret(secret)) continue;
    throw new HttpError(
      500,
      "bad-setting",
      `This worker's secret ${name} is none; set it to "whsec_" and 24 to 64 bytes in base64.`,
    );
  }
  for (const name of ["PUBLIC_URL", "GITHUB_API", "NOTIFY_RESOLVER"] as const) {
    const address = env[name] ?? "";
    if (address === "" || address === "none" || URL.canParse(address)) continue;
    throw new HttpError(
      500,
      "bad-setting",
      `This worker's variable ${name} is "${address}"; set it to an address.`,
    );
  }
}

/** What this worker needs, and how to see that it is there. */
const CHECKS: Readonly<Record<string, (env: Env) => unknown>> = {
  settings: checkSettings,
  database: (env) => withDatabase(env, (database) => database.prepare("SELECT 1 FROM jobs LIMIT 1").first()),
  register: (env) => registerOf(env).usage("nobody"),
  blobs: (env) => env.BLOBS.head("nothing"),
};

/** "ok", or what is wrong; no more of it than its name is told to whoever asks, the rest is logged. */
async function check(env: Env, name: string, look: (env: Env) => unknown): Promise<"ok" | "failed"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("it took too long")), HEALTH_LIMITS.milliseconds);
    });
    await Promise.race([Promise.resolve().then(() => look(env)), late]);
    return "ok";
  } catch (error) {
    logEvent("health.failed", { check: name, error: messageOf(error) });
    return "failed";
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the worker answers and, with `?deep`, whether all that it needs does. Without a token: it tells nothing else. */
export function healthRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get("/healthz", async (context) => {
    if (context.req.query("deep") === undefined) return context.json({ status: "ok" });
    const checked = await Promise.all(
      Object.entries(CHECKS).map(
        async ([name, look]) => [name, await check(context.env, name, look)] as const,
      ),
    );
    const isWell = checked.every(([, result]) => result === "ok");
    const body = { status: isWell ? "ok" : "failed", checks: Object.fromEntries(checked) };
    return context.json(body, isWell ? 200 : 503, { "cache-control": "no-store" });
  });
  return app;
}
