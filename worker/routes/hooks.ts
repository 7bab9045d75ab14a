import { type Context, Hono } from "hono";
import { requireScope } from "../auth/authenticate.ts";
import { BATCH_LIMITS } from "../batches/limits.ts";
import { newJobId } from "../create-job.ts";
import type { AppEnv, Env } from "../env.ts";
import { HttpError } from "../errors.ts";
import { type Allowed, checkRun, type HooksConfig, NO_HOOKS, parseHooksConfig } from "../hooks/config.ts";
import { readGithubEvent, runsOf } from "../hooks/github.ts";
import { HOOK_LIMITS } from "../hooks/limits.ts";
import type { HookPosition, HookSource, HookView, NewHook, StoredConfig } from "../hooks/record.ts";
import { hooksOf } from "../hooks/stub.ts";
import { exemptOf } from "../notify/guarded-fetch.ts";
import { isSecret, isSignedByGithub, newSecret, wrongWith } from "../notify/signature.ts";
import { settingsOf } from "../settings.ts";
import { bodyOf } from "./body.ts";
import { limitOf } from "./page.ts";

type AppContext = Context<AppEnv>;

const NO_STORE = { "cache-control": "no-store" } as const;
const SECRET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const SECRET_BODY_BYTES = 4096;

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    throw new HttpError(400, "bad-json", "The body is not valid JSON.", {
      field: "body",
    });
  }
}

/** GitHub's own default content type is a form, with the event in its field `payload`. */
function payloadIn(bytes: Uint8Array, contentType = ""): Uint8Array {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) return bytes;
  const form = new URLSearchParams(new TextDecoder().decode(bytes));
  return new TextEncoder().encode(form.get("payload") ?? "");
}

const hexOf = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

const closed = (setting: string): HttpError =>
  new HttpError(404, "no-hook", `This worker takes no such deliveries: its secret ${setting} is not set.`);

const unsigned = (message: string): HttpError => new HttpError(401, "bad-signature", message);

const allowedBy = (env: Env): Omit<Allowed, "hosts"> => ({
  exempt: exemptOf(env),
  batchJobs: settingsOf(env).batchJobs,
});

async function configOf(context: AppContext): Promise<HooksConfig> {
  const stored = (await hooksOf(context.env).config()) as StoredConfig | null;
  return stored === null ? NO_HOOKS : parseHooksConfig(stored.config, allowedBy(context.env));
}

async function accept(context: AppContext, hook: NewHook): Promise<Response> {
  const { view, isNew } = (await hooksOf(context.env).accept(hook)) as {
    readonly view: HookView;
    readonly isNew: boolean;
  };
  return context.json({ ...view, duplicate: !isNew }, 202, NO_STORE);
}

/** What others' systems send, with signatures for tokens: mounted under /hooks before anybody is asked for a token. */
export function hookRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.post("/github", async (context) => {
    const { GITHUB_WEBHOOK_SECRET: secret = "" } = context.env;
    if (secret === "") throw closed("GITHUB_WEBHOOK_SECRET");
    const bytes = await bodyOf(context.req.raw.body, HOOK_LIMITS.bodyBytes);
    if (!(await isSignedByGithub(context.req.header("x-hub-signature-256") ?? "", bytes, secret)))
      throw unsigned(
        "The header X-Hub-Signature-256 is missing, or is not of this body by this worker's secret.",
      );
    const id = context.req.header("x-github-delivery") ?? "";
    const event = context.req.header("x-github-event") ?? "";
    if (!/^[\w-]{1,100}$/.test(id) || !/^[a-z_]{1,60}$/.test(event))
      throw new HttpError(400, "missing", "The header X-GitHub-Delivery or X-GitHub-Event is missing.");
    const happened = readGithubEvent(event, parseJson(payloadIn(bytes, context.req.header("content-type"))));
    const runs = happened === undefined ? [] : runsOf(await configOf(context), happened);
    const hash = hexOf(await crypto.subtle.digest("SHA-256", bytes));
    return accept(context, { id, source: "github", event, hash, runs });
  });

  app.post("/generic", async (context) => {
    const { GENERIC_WEBHOOK_SECRET: secret = "" } = context.env;
    if (secret === "") throw closed("GENERIC_WEBHOOK_SECRET");
    // What is to be run is stored in one row, which has at most 2 MB.
    const bytes = await bodyOf(context.req.raw.body, BATCH_LIMITS.bodyBytes);
    const text = new TextDecoder().decode(bytes);
    const wrong = await wrongWith(context.req.raw.headers, text, secret, Date.now() / 1000);
    if (wrong !== undefined) throw unsigned(wrong);
    const request = parseJson(bytes);
    if (typeof request !== "object" || request === null || Array.isArray(request))
      throw new HttpError(
        400,
        "wrong-type",
        "The body must be a JSON object: what POST /jobs or POST /batches take.",
      );
    const kind = "jobs" in request || "matrix" in request ? "batch" : "job";
    const { artifactHosts: hosts, generic } = await configOf(context);
    checkRun(kind, request, { ...allowedBy(context.env), hosts }, "body");
    const id = context.req.header("webhook-id") ?? "";
    const run = {
      kind,
      id: newJobId(),
      rule: null,
      token: generic.token,
      request: { ...request },
      hosts,
    } as const;
    // The id is signed, so the same body under another is another delivery.
    return accept(context, { id, source: "generic", event: kind, hash: id, runs: [run] });
  });

  return app;
}

const CURSOR = /^(\d{1,15})-(github|generic)-(\S{1,200})$/;

const cursorOf = ({ receivedAt, source, id }: HookView): string =>
  `${Date.parse(receivedAt)}-${source}-${id}`;

/** Where a page of deliveries begins; null for the first. */
function positionOf(context: AppContext): HookPosition | null {
  const cursor = context.req.query("cursor");
  if (cursor === undefined) return null;
  const [, receivedAt, source, id] = CURSOR.exec(cursor) ?? [];
  if (source === undefined || id === undefined)
    throw new HttpError(400, "bad-cursor", 'cursor must be the "next" of an earlier answer.', {
      field: "cursor",
    });
  return { receivedAt: Number(receivedAt), source: source as HookSource, id };
}

/** The configuration of hooks: mounted under /hooks. */
export function hookAdminRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use("/config", requireScope("admin"));
  app.use("/deliveries", requireScope("admin"));

  app.get("/config", async (context) => {
    const version = context.req.query("version");
    if (version !== undefined && !/^[1-9]\d{0,8}$/.test(version))
      throw new HttpError(400, "bad-version", "version must be a whole number from 1.", { field: "version" });
    const stored = (await hooksOf(context.env).config(
      ...(version === undefined ? [] : [Number(version)]),
    )) as StoredConfig | null;
    if (stored === null)
      throw new HttpError(404, "no-config", "There is no such configuration; PUT /hooks/config makes one.");
    return context.json(stored, 200, { ...NO_STORE, etag: `"${stored.version}"` });
  });

  app.put("/config", async (context) => {
    const value = parseJson(await bodyOf(context.req.raw.body, HOOK_LIMITS.configBytes));
    parseHooksConfig(value, allowedBy(context.env));
    const match = context.req.header("if-match");
    const [, after] = /^"(\d{1,9})"$/.exec(match ?? "") ?? [];
    if (match !== undefined && match !== "*" && after === undefined)
      throw new HttpError(400, "bad-version", 'If-Match must be the ETag of GET /hooks/config, such as "3".');
    const by = context.var.principal.tokenId;
    const stored = (await hooksOf(context.env).putConfig(
      JSON.stringify(value),
      by,
      after === undefined ? null : Number(after),
    )) as StoredConfig | null;
    if (stored === null)
      throw new HttpError(
        412,
        "changed",
        "The configuration was changed meanwhile; get it, and change that.",
      );
    return context.json(stored, 200, { etag: `"${stored.version}"` });
  });

  app.get("/deliveries", async (context) => {
    const limit = limitOf(context, HOOK_LIMITS.page, HOOK_LIMITS.mostPage);
    const deliveries = (await hooksOf(context.env).list(positionOf(context), limit)) as HookView[];
    const last = deliveries.at(-1);
    const next = last === undefined || deliveries.length < limit ? null : cursorOf(last);
    return context.json({ deliveries, next }, 200, NO_STORE);
  });

  return app;
}

function secretName(context: AppContext): string {
  const name = context.req.param("name") ?? "";
  if (SECRET_NAME.test(name)) return name;
  throw new HttpError(
    400,
    "bad-name",
    "A secret's name has at most 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit.",
    { field: "name" },
  );
}

/** Secrets that a token's events are signed with: mounted under /webhook-secrets. They can be written, and not read. */
export function webhookSecretRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get("/", async (context) => {
    const secrets = await hooksOf(context.env).secrets(context.var.principal.tokenId);
    return context.json({ secrets }, 200, NO_STORE);
  });

  app.put("/:name", async (context) => {
    const name = secretName(context);
    const bytes = await bodyOf(context.req.raw.body, SECRET_BODY_BYTES);
    const given = bytes.length === 0 ? {} : parseJson(bytes);
    const { secret } = ((typeof given === "object" ? given : null) ?? {}) as { readonly secret?: unknown };
    if (secret !== undefined && (typeof secret !== "string" || !isSecret(secret))) {
      throw new HttpError(
        400,
        "bad-secret",
        'secret must be "whsec_" and 24 to 64 bytes in base64; leave it out to have one made.',
        { field: "secret" },
      );
    }
    const text = secret ?? newSecret();
    const put = await hooksOf(context.env).putSecret(context.var.principal.tokenId, name, text);
    if (put === "full")
      throw new HttpError(409, "too-many-secrets", "This token has too many secrets; remove one first.");
    // One that was made here is told once; one that was sent is known already.
    return context.json(
      { name, ...(secret === undefined && { secret: text }) },
      put === "created" ? 201 : 200,
      NO_STORE,
    );
  });

  app.delete("/:name", async (context) => {
    if (!(await hooksOf(context.env).removeSecret(context.var.principal.tokenId, secretName(context))))
      throw new HttpError(404, "no-secret", "There is no such secret; GET /webhook-secrets lists them.");
    return context.body(null, 204);
  });

  return app;
}
