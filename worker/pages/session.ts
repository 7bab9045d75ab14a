import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { withDatabase } from "../database/database.ts";
import type { AppEnv, Env } from "../env.ts";
import { HttpError } from "../errors.ts";

/*
 * Browsers log in once with a token and get a cookie for it. The cookie is a random secret. The database knows its hash, and the token
 * sealed with a key that is made of the secret: so neither the database nor the cookie alone is worth anything, and a token that is
 * revoked, or a TOKEN that is changed, ends its sessions by itself.
 */

const SECRET_BYTES = 32;
const NONCE_BYTES = 12;
const SESSION_SECONDS = 30 * 24 * 3600;
/** How long a link logs in, once. */
const LINK_SECONDS = 600;
const SECRET = /^[A-Za-z0-9_-]{43}$/;
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const ENCODER = new TextEncoder();

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");

function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

async function hashOf(secret: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", ENCODER.encode(secret));
  return base64url(new Uint8Array(digest));
}

async function keyOf(secret: string): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey("raw", fromBase64url(secret), "HKDF", false, ["deriveKey"]);
  const derivation = {
    name: "HKDF",
    hash: "SHA-256",
    salt: new Uint8Array(0),
    info: ENCODER.encode("xenner session"),
  };
  return await crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
}

async function seal(secret: string, token: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv },
    await keyOf(secret),
    ENCODER.encode(token),
  );
  const joined = new Uint8Array(NONCE_BYTES + sealed.byteLength);
  joined.set(iv);
  joined.set(new Uint8Array(sealed), NONCE_BYTES);
  return base64url(joined);
}

async function unseal(secret: string, sealed: string): Promise<string | undefined> {
  const bytes = fromBase64url(sealed);
  try {
    const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, NONCE_BYTES) };
    const token = await crypto.subtle.decrypt(algorithm, await keyOf(secret), bytes.subarray(NONCE_BYTES));
    return new TextDecoder().decode(token);
  } catch {
    return undefined;
  }
}

type Kind = "session" | "link";

/** Keeps a token under a new secret; returns the secret. */
async function keep(env: Env, kind: Kind, token: string, lifeSeconds: number): Promise<string> {
  const secret = base64url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  const [hash, sealed] = await Promise.all([hashOf(secret), seal(secret, token)]);
  const now = Date.now();
  await withDatabase(env, (database) =>
    database.batch([
      database.prepare("DELETE FROM sessions WHERE expires_at < ?").bind(now),
      database
        .prepare("INSERT INTO sessions (hash, kind, sealed, expires_at) VALUES (?, ?, ?, ?)")
        .bind(hash, kind, sealed, now + lifeSeconds * 1000),
    ]),
  );
  return secret;
}

async function tokenOf(env: Env, kind: Kind, secret: string): Promise<string | undefined> {
  if (!SECRET.test(secret)) return undefined;
  const hash = await hashOf(secret);
  const row = await withDatabase(env, (database) =>
    database
      .prepare("SELECT sealed FROM sessions WHERE hash = ? AND kind = ? AND expires_at >= ?")
      .bind(hash, kind, Date.now())
      .first<{ sealed: string }>(),
  );
  return row === null ? undefined : await unseal(secret, row.sealed);
}

/** A secret that logs in once, within minutes. */
export const makeLoginSecret = (env: Env, token: string): Promise<string> =>
  keep(env, "link", token, LINK_SECONDS);

/** The token behind such a secret, which is worth nothing from now on; undefined if it was not worth anything before. */
export async function useLoginSecret(env: Env, secret: string): Promise<string | undefined> {
  const token = await tokenOf(env, "link", secret);
  if (token === undefined) return undefined;
  const hash = await hashOf(secret);
  // Of two at the same time one gets the row.
  const { meta } = await withDatabase(env, (database) =>
    database.prepare("DELETE FROM sessions WHERE hash = ? AND kind = 'link'").bind(hash).run(),
  );
  return meta.changes === 1 ? token : undefined;
}

const isHttps = (context: Context<AppEnv>): boolean => new URL(context.req.url).protocol === "https:";

/** Over https the name's prefix makes browsers refuse the cookie from a neighbour's domain. */
const cookieName = (context: Context<AppEnv>): string => (isHttps(context) ? "__Host-xenner" : "xenner");

/** Begins a session: the answer sets its cookie. */
export async function beginSession(context: Context<AppEnv>, token: string): Promise<void> {
  const secret = await keep(context.env, "session", token, SESSION_SECONDS);
  setCookie(context, cookieName(context), secret, {
    httpOnly: true,
    secure: isHttps(context),
    sameSite: "Strict",
    path: "/",
    maxAge: SESSION_SECONDS,
  });
}

export async function endSession(context: Context<AppEnv>): Promise<void> {
  const secret = getCookie(context, cookieName(context));
  deleteCookie(context, cookieName(context), { path: "/", secure: isHttps(context) });
  if (secret === undefined || !SECRET.test(secret)) return;
  const hash = await hashOf(secret);
  await withDatabase(context.env, (database) =>
    database.prepare("DELETE FROM sessions WHERE hash = ?").bind(hash).run(),
  );
}

/**
 * Whether a request comes from a page of this worker. Browsers say so themselves (Sec-Fetch-Site); older ones send at least the Origin
 * of a form.
 */
export function isSameOrigin(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = request.headers.get("origin");
  return origin !== null && URL.canParse(origin) && new URL(origin).host === new URL(request.url).host;
}

/** @throws HttpError 403 for a form that another site sent */
export function demandSameOrigin(request: Request): void {
  if (isSameOrigin(request)) return;
  throw new HttpError(
    403,
    "cross-site",
    "This request did not come from a page of this worker; open the page and try again.",
  );
}

/** Sends a request on with a token, as if it had brought it; without its body if that was read. */
export function actAs(context: Context<AppEnv>, token: string): void {
  const { raw } = context.req;
  const headers = new Headers(raw.headers);
  headers.set("authorization", `Bearer ${token}`);
  context.req.raw = raw.bodyUsed ? new Request(raw.url, { headers }) : new Request(raw, { headers });
}

/**
 * Turns the cookie of a session into the token it stands for, so that nothing behind this needs to know of cookies. A token in the
 * header goes before. What changes anything is taken from pages of this worker only.
 */
export const sessions: MiddlewareHandler<AppEnv> = async (context, next) => {
  if (context.req.header("authorization") === undefined) {
    const secret = getCookie(context, cookieName(context));
    const token = secret === undefined ? undefined : await tokenOf(context.env, "session", secret);
    if (token !== undefined) {
      if (!SAFE_METHODS.has(context.req.method)) demandSameOrigin(context.req.raw);
      actAs(context, token);
    }
  }
  await next();
};
