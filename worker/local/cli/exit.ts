import type { JobView } from "../../runner/record.ts";
import { ApiError } from "../client.ts";
import { UsageError } from "./job-options.ts";

/** Exit statuses of all commands: sysexits.h has the last one, EX_USAGE. */
export const EXIT = { pass: 0, fail: 1, infrastructure: 2, usage: 64 } as const;

/** A line on standard error. */
export const note = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** What a job's verdict is for whoever waits for it. */
export function exitOf({ verdict }: Pick<JobView, "verdict">): number {
  switch (verdict) {
    case "pass":
    case "skip":
      return EXIT.pass;
    case "error":
    case "canceled":
    case null:
      return EXIT.infrastructure;
    default:
      return EXIT.fail;
  }
}

/** Statuses of answers that are about what was sent, not about the worker. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 404, 409, 413, 415, 422]);

const UNAUTHORIZED = 401;

/** Errors end as one line on standard error; with --json, also as a document. Returns the exit status. */
export function reportError(error: unknown, json: boolean, program: string): number {
  const message = error instanceof Error ? error.message : String(error);
  const refused = error instanceof ApiError && REFUSALS.has(error.status);
  if (json) {
    const details =
      error instanceof ApiError
        ? error.error
        : { code: error instanceof UsageError ? "usage" : "infrastructure", message };
    const document = { verdict: refused ? "refused" : "error", reason: message, error: details };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }
  if (error instanceof UsageError) note(`${message}\n${program} --help shows the options.`);
  else if (error instanceof ApiError && error.status === UNAUTHORIZED)
    note(`refused: ${message}\nHere that is --token TOKEN; most commands also take $XENNER_TOKEN.`);
  else if (refused) note(`refused: ${message}`);
  else {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    note(`infrastructure error: ${message}${cause}`);
  }
  return error instanceof UsageError || refused ? EXIT.usage : EXIT.infrastructure;
}
