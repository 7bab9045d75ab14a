import { ROOT } from "../auth/principal.ts";
import type { Env } from "../env.ts";
import { registerOf } from "../register/stub.ts";
import type { StoredToken } from "../register/tokens.ts";

/** What a batch is called in the register's list of what is stored. */
export const storedKey = (batch: string): string => `batch ${batch}`;

/** Until when a token is valid, in milliseconds since 1970: 0 if it was deleted, Infinity if it does not expire. */
export async function ownerValidUntil(env: Env, tokenId: string): Promise<number> {
  if (tokenId === ROOT) return Number.POSITIVE_INFINITY;
  const tokens = (await registerOf(env).listTokens()) as StoredToken[];
  const token = tokens.find(({ id }) => id === tokenId);
  return token === undefined ? 0 : (token.expiresAt ?? Number.POSITIVE_INFINITY);
}
