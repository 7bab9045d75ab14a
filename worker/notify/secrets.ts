import type { Env } from "../env.ts";
import { hooksOf } from "../hooks/stub.ts";

/** The secret that is taken where a job names none. */
export const DEFAULT_SECRET = "default";

/**
 * The secret of this name of this token; null is the default: the one that the token has stored under that name, else the
 * deployment's. Undefined if there is none.
 */
export async function findSecret(env: Env, owner: string, name: string | null): Promise<string | undefined> {
  const stored = await hooksOf(env).secret(owner, name ?? DEFAULT_SECRET);
  if (stored !== null) return stored;
  const { WEBHOOK_SECRET } = env;
  return name !== null || WEBHOOK_SECRET === "" ? undefined : WEBHOOK_SECRET;
}
