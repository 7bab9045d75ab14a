import { withDatabase } from "../database/database.ts";
import { findTokenRow } from "../database/tokens.ts";
import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import { TOKEN_LIMITS } from "../limits.ts";
import { logEvent } from "../log.ts";
import { registerOf } from "../register/stub.ts";
import { hashOf, isTokenText, principalOf, type StoredToken } from "../register/tokens.ts";
import type { Principal } from "./principal.ts";

/** What this isolate knows of tokens, by their hashes, and until when it believes that. */
const known = new Map<string, { readonly token: StoredToken; readonly until: number }>();

/** Looks in the database, and in the register if there is nothing or no database. */
async function lookUp(env: Env, hash: string): Promise<StoredToken | null> {
  try {
    const row = await withDatabase(env, (database) => findTokenRow(database, hash));
    if (row !== null) return JSON.parse(row) as StoredToken;
  } catch (error) {
    logEvent("tokens.no-database", { error: messageOf(error) });
  }
  return await registerOf(env).findToken(hash);
}

/** The principal of a token's text; undefined if there is no such token, or its time is over. */
export async function findToken(env: Env, text: string): Promise<Principal | undefined> {
  if (!isTokenText(text)) return undefined;
  const hash = await hashOf(text);
  const now = Date.now();
  const believed = known.get(hash);
  let token = believed !== undefined && believed.until > now ? believed.token : null;
  if (token === null) {
    token = await lookUp(env, hash);
    if (token === null) {
      known.delete(hash);
      return undefined;
    }
    if (known.size >= TOKEN_LIMITS.remembered) known.clear();
    known.set(hash, { token, until: now + TOKEN_LIMITS.believeMilliseconds });
  }
  if (token.expiresAt !== null && token.expiresAt <= now) return undefined;
  return principalOf(token);
}

/** This isolate forgets a token at once; others within TOKEN_LIMITS.believeMilliseconds. */
export function forgetToken(id: string): void {
  for (const [hash, { token }] of known) {
    if (token.id === id) known.delete(hash);
  }
}
