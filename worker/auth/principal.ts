import { SCOPES } from "../../jobs/schema/token.ts";

export type Scope = (typeof SCOPES)[number];

/** Bounds of what one token's jobs may take; null for none. */
export interface Quotas {
  /** Jobs that have not ended, at a time. */
  readonly concurrentJobs: number | null;
  /** Guest instructions of the jobs that ended on one day (UTC). */
  readonly instructionsPerDay: number | null;
  /** Bytes kept for it: what its jobs store, its snapshots, and its uploads. */
  readonly storageBytes: number | null;
}

/** Whom a request comes from. */
export interface Principal {
  /** Id of the token; ROOT for the deployment's own, ANYONE for a request without one. */
  readonly tokenId: string;
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly quotas: Quotas;
}

export const NO_QUOTAS: Quotas = { concurrentJobs: null, instructionsPerDay: null, storageBytes: null };

/** The deployment's secret TOKEN, with which the first tokens are made. */
export const ROOT = "root";
/** Whoever reads what is public, where a deployment allows that. */
export const ANYONE = "anyone";

export const ROOT_PRINCIPAL: Principal = {
  tokenId: ROOT,
  name: ROOT,
  scopes: new Set(SCOPES),
  quotas: NO_QUOTAS,
};
export const ANYONE_PRINCIPAL: Principal = {
  tokenId: ANYONE,
  name: ANYONE,
  scopes: new Set<Scope>(["read"]),
  quotas: NO_QUOTAS,
};

export function mayDo({ scopes }: Principal, scope: Scope): boolean {
  return scopes.has(scope) || scopes.has("admin");
}

export const VISIBILITIES = ["private", "public"] as const;
/** Who may read a job: its owner and administrators, or whoever may read anything here. */
export type Visibility = (typeof VISIBILITIES)[number];

/** Whose something is, and who else may see it. */
export interface Owned {
  readonly owner: string;
  readonly visibility: Visibility;
}

/** Whom something is asked for: a principal, or of work that is done later, what is known of him. */
export type Asker = Pick<Principal, "tokenId"> & Partial<Pick<Principal, "scopes">>;

export function isAdmin({ tokenId, scopes }: Asker): boolean {
  return tokenId === ROOT || scopes?.has("admin") === true;
}

export function mayRead(asker: Asker, { owner, visibility }: Owned): boolean {
  return visibility === "public" || mayChange(asker, owner);
}

export function mayChange(asker: Asker, owner: string): boolean {
  return isAdmin(asker) || asker.tokenId === owner;
}
