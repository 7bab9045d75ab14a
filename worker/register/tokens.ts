import type { Principal, Quotas, Scope } from "../auth/principal.ts";
import { QUOTA_LIMITS } from "../limits.ts";

/** A token as it is stored: all but its text, of which only the hash is known. Times are milliseconds since 1970. */
export interface StoredToken {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly quotas: Quotas;
  readonly createdAt: number;
  /** null for never. */
  readonly expiresAt: number | null;
}

const PREFIX = "xen";
const SECRET_BYTES = 32;
const TEXT = /^xen_[A-Za-z0-9_-]{43}$/;

/** 256 random bits, as text that secret scanners can find. */
export function newTokenText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  const text = btoa(String.fromCharCode(...bytes));
  return `${PREFIX}_${text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** Whether this can be a token's text at all: nothing else is looked up. */
export const isTokenText = (text: string): boolean => TEXT.test(text);

/**
 * What is stored of a token's text. A plain SHA-256 is right here, and no slow hash is needed: the text is 256 random bits, so
 * whoever has the hash cannot find it by trying, as he could with a password.
 */
export async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const DEFAULT_QUOTAS: Quotas = {
  concurrentJobs: QUOTA_LIMITS.concurrentJobs,
  instructionsPerDay: QUOTA_LIMITS.instructionsPerDay,
  storageBytes: QUOTA_LIMITS.storageBytes,
};

export function principalOf({ id, name, scopes, quotas }: StoredToken): Principal {
  return { tokenId: id, name, scopes: new Set(scopes), quotas };
}
