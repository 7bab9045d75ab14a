import { Hono } from "hono";
import { parseTokenRequest, type TokenRequest } from "../../jobs/schema/token.ts";
import { requireScope } from "../auth/authenticate.ts";
import { forgetToken } from "../auth/find-token.ts";
import type { Quotas } from "../auth/principal.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { TOKEN_LIMITS, UPLOAD_LIMITS } from "../limits.ts";
import type { Usage } from "../register/quota.ts";
import { registerOf } from "../register/stub.ts";
import { DEFAULT_QUOTAS, hashOf, newTokenText, type StoredToken } from "../register/tokens.ts";
import { jsonOf } from "./body.ts";

const NO_STORE = { "cache-control": "no-store" };
const DAY_MILLISECONDS = 24 * 3_600_000;
const EXAMPLE = '{"name": "…", "scopes": ["read", "run"]}';

/** A token as the API shows it. Its text is in the answer that makes it, and nowhere else. */
export interface TokenView {
  readonly id: string;
  readonly name: string;
  readonly scopes: StoredToken["scopes"];
  readonly quotas: StoredToken["quotas"];
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly usage: Usage;
}

function viewOf(token: StoredToken, usage: Usage): TokenView {
  const { id, name, scopes, quotas, createdAt, expiresAt } = token;
  return {
    id,
    name,
    scopes,
    quotas,
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    usage: {
      concurrentJobs: usage.concurrentJobs,
      instructionsToday: usage.instructionsToday,
      storageBytes: usage.storageBytes,
    },
  };
}

/** What was asked for, and the default of what was not. */
function quotasOf({ concurrentJobs, instructionsPerDay, storageBytes }: TokenRequest["quotas"]): Quotas {
  const given = <T>(value: T | undefined, otherwise: T): T => (value === undefined ? otherwise : value);
  return {
    concurrentJobs: given(concurrentJobs, DEFAULT_QUOTAS.concurrentJobs),
    instructionsPerDay: given(instructionsPerDay, DEFAULT_QUOTAS.instructionsPerDay),
    storageBytes: given(storageBytes, DEFAULT_QUOTAS.storageBytes),
  };
}

/** Tokens: who may use this worker, for what, and how much. */
export function tokenRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use("*", requireScope("admin"));

  app.post("/", async (context) => {
    const asked = parseTokenRequest(await jsonOf(context.req.raw.body, UPLOAD_LIMITS.jsonBytes, EXAMPLE));
    const register = registerOf(context.env);
    const existing = await register.listTokens();
    if (existing.length >= TOKEN_LIMITS.tokens) {
      throw new HttpError(
        409,
        "too-many-tokens",
        `There are ${existing.length} tokens, the most there may be; delete one.`,
      );
    }
    const createdAt = Date.now();
    const text = newTokenText();
    const token: StoredToken = {
      id: crypto.randomUUID().replaceAll("-", "").slice(0, 16),
      name: asked.name,
      scopes: asked.scopes,
      quotas: quotasOf(asked.quotas),
      createdAt,
      expiresAt: asked.days === null ? null : createdAt + asked.days * DAY_MILLISECONDS,
    };
    await register.addToken(token, await hashOf(text));
    const usage = { concurrentJobs: 0, instructionsToday: 0, storageBytes: 0 };
    return context.json({ ...viewOf(token, usage), token: text }, 201, {
      ...NO_STORE,
      location: `/tokens/${token.id}`,
    });
  });

  app.get("/", async (context) => {
    const listed = await registerOf(context.env).listUsages();
    const views = listed.map(({ token, usage }) => viewOf(token as StoredToken, usage));
    return context.json({ tokens: views }, 200, NO_STORE);
  });

  app.delete("/:id", async (context) => {
    const id = context.req.param("id");
    const removed = await registerOf(context.env)
      .removeToken(id)
      .catch(() => {
        throw new HttpError(
          503,
          "not-removed",
          "The token is deleted, but a copy of it could not be removed yet, and may still be taken; that is tried until it is done.",
          {
            headers: { "retry-after": "5" },
          },
        );
      });
    forgetToken(id);
    if (!removed)
      throw new HttpError(404, "no-token", "There is no such token; GET /tokens lists them.", {
        field: "id",
      });
    return context.body(null, 204);
  });

  return app;
}
