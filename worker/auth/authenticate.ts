import type { MiddlewareHandler } from "hono";
import type { AppEnv, Env } from "../env.ts";
import { HttpError } from "../errors.ts";
import { findToken } from "./find-token.ts";
import { ANYONE_PRINCIPAL, mayDo, type Principal, ROOT_PRINCIPAL, type Scope } from "./principal.ts";

const ENCODER = new TextEncoder();

/** Whether two secrets are equal, in a time that depends on neither (they are hashed to equal lengths first). */
export async function equalSecrets(a: string, b: string): Promise<boolean> {
  const [hashA, hashB] = await Promise.all(
    [a, b].map((text) => crypto.subtle.digest("SHA-256", ENCODER.encode(text))),
  );
  if (hashA === undefined || hashB === undefined) return false;
  return crypto.subtle.timingSafeEqual(hashA, hashB);
}

/** What RFC 6750 (section 3) wants in the header of a refusal; without an error for a request that has no bearer token. */
const challenge = (error = ""): Readonly<Record<string, string>> => ({
  "www-authenticate": `Bearer realm="xenner"${error}`,
});

/** @param error as challenge() has it */
export function unauthorized(message: string, error?: string): HttpError {
  return new HttpError(401, "unauthorized", message, { headers: challenge(error) });
}

export const SEND_A_TOKEN = "Send a token of this worker in the header: Authorization: Bearer TOKEN.";

/** The bearer token of a request (RFC 6750; RFC 9110, section 11.4, has one or more spaces before it); undefined if it has none. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^bearer +(\S+)$/i.exec(header ?? "")?.[1];
}

/** Who sends this token; undefined if nobody does. */
async function principalOf(env: Env, token: string): Promise<Principal | undefined> {
  const { TOKEN } = env;
  if (TOKEN !== undefined && TOKEN !== "" && (await equalSecrets(token, TOKEN))) return ROOT_PRINCIPAL;
  return await findToken(env, token);
}

/** Finds out whom the request comes from. Without a token that is nobody, unless reading what is public is allowed (PUBLIC_READ). */
export const authenticate: MiddlewareHandler<AppEnv> = async (context, next) => {
  const header = context.req.header("authorization");
  if (header === undefined) {
    if (context.env.PUBLIC_READ !== "1") throw unauthorized(SEND_A_TOKEN);
    context.set("principal", ANYONE_PRINCIPAL);
  } else {
    const token = bearerOf(header);
    if (token === undefined)
      throw unauthorized(`The header Authorization is there, but is no bearer token. ${SEND_A_TOKEN}`);
    const principal = await principalOf(context.env, token);
    if (principal === undefined)
      throw unauthorized(
        `This token is not known here, or is no longer valid. ${SEND_A_TOKEN}`,
        ', error="invalid_token"',
      );
    context.set("principal", principal);
  }
  await next();
};

/** @throws HttpError 401 for whoever sent no token and could do with one, 403 for a token without the scope */
export function demandScope(principal: Principal, scope: Scope): void {
  if (mayDo(principal, scope)) return;
  if (principal === ANYONE_PRINCIPAL) throw unauthorized(SEND_A_TOKEN);
  throw new HttpError(
    403,
    "wrong-scope",
    `This needs a token with the scope "${scope}"; yours has ${[...principal.scopes].join(", ") || "none"}.`,
    { headers: challenge(`, error="insufficient_scope", scope="${scope}"`) },
  );
}

/** Lets only tokens with this scope pass. */
export function requireScope(scope: Scope): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    demandScope(context.var.principal, scope);
    await next();
  };
}

/** What every route asks for at least: `read` to look, `run` for everything else. */
export const requireScopeOfMethod: MiddlewareHandler<AppEnv> = async (context, next) => {
  const looks = context.req.method === "GET" || context.req.method === "HEAD";
  demandScope(context.var.principal, looks ? "read" : "run");
  await next();
};
