import type * as z from "zod";
import { TOKEN_DAYS, TOKEN_NAME_CHARACTERS, TOKEN_QUOTA } from "../limits.ts";
import { coded, fields, PATH, parseWith } from "./errors.ts";
import { list, number, oneOf, text } from "./values.ts";

/** What a token may do. `admin` may do everything, to everybody's jobs. */
export const SCOPES = ["read", "run", "admin"] as const;

const NAME = text()
  .min(1, { error: `${PATH} is empty; say what the token is for.` })
  .max(TOKEN_NAME_CHARACTERS, {
    error: ({ input }) =>
      `${PATH} has ${String(input).length} characters; shorten it to ${TOKEN_NAME_CHARACTERS}.`,
  });

const SCOPES_SCHEMA = list(oneOf(SCOPES), "scopes", SCOPES.length).min(1, {
  error: coded("too-short", `${PATH} is empty; name at least one of ${SCOPES.join(", ")}.`),
});

const quota = (unit: string, description: string) =>
  number(TOKEN_QUOTA, unit, true).nullable().optional().meta({ description });

/** The body of POST /tokens. */
export const TOKEN_REQUEST = fields({
  name: NAME.meta({ description: "What the token is for." }),
  scopes: SCOPES_SCHEMA.default(["read", "run"]).meta({
    description: "read: look at jobs; run: make and change them; admin: everything.",
  }),
  quotas: fields({
    concurrentJobs: quota("jobs", "Jobs that have not ended, at a time; null for no bound."),
    instructionsPerDay: quota("instructions", "Guest instructions a day (UTC); null for no bound."),
    storageBytes: quota("bytes", "Bytes kept of jobs, snapshots and uploads; null for no bound."),
  })
    .prefault({})
    .meta({ description: "What the token's jobs may take; what is left out has a default." }),
  days: number(TOKEN_DAYS, "days", false)
    .nullable()
    .default(null)
    .meta({ description: "How long it is valid; null for always." }),
});

/** What a token may be asked to be. Quotas that are null have no bound; those that are left out, the default. */
export type TokenRequest = z.output<typeof TOKEN_REQUEST>;

/** Throws SpecError. */
export function parseTokenRequest(value: unknown): TokenRequest {
  return parseWith(TOKEN_REQUEST, value, "body");
}
