import type { Context } from "hono";
import { mayChange, mayRead, type Owned } from "../auth/principal.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import type { JobRunnerObject, Unreadable } from "../runner/job-runner.ts";

const JOB_ID = /^[0-9a-f]{32}$/;
/** Jobs whose owners an isolate remembers: neither owner nor visibility ever changes. */
const REMEMBERED = 10_000;

export const noJob = (): HttpError =>
  new HttpError(404, "no-job", "There is no such job; its id is in the answer to POST /jobs.", {
    field: "id",
  });

const owned = new Map<string, Owned>();

async function accessOf(id: string, runner: DurableObjectStub<JobRunnerObject>): Promise<Owned | null> {
  const known = owned.get(id);
  if (known !== undefined) return known;
  const access = await runner.access();
  if (access === null) return null;
  if (owned.size >= REMEMBERED) owned.clear();
  const { owner, visibility } = access;
  owned.set(id, { owner, visibility });
  return { owner, visibility };
}

/**
 * The Durable Object of a job that the request's token may read or, with `change`, also change.
 *
 * @throws HttpError 404 if there is none, or it is another token's: whether it is there is nobody else's business; 403 to change a public
 *   job of another's
 */
export async function jobRunner(
  context: Context<AppEnv>,
  id: string,
  change: "read" | "change" = "read",
): Promise<DurableObjectStub<JobRunnerObject>> {
  const { env } = context;
  const { principal } = context.var;
  // Any other name would wake an object only to find it empty.
  if (!JOB_ID.test(id)) throw noJob();
  const runner = env.JOB_RUNNER.getByName(id);
  if (principal.scopes.has("admin")) return runner;
  const access = await accessOf(id, runner);
  if (access === null || !mayRead(principal, access)) throw noJob();
  if (change === "change" && !mayChange(principal, access.owner)) {
    throw new HttpError(
      403,
      "not-yours",
      "This job is public, but another token's: it can be read, not changed.",
      {
        field: "id",
      },
    );
  }
  return runner;
}

/** The same for the job in the address. */
export function runnerOf(
  context: Context<AppEnv>,
  change: "read" | "change" = "read",
): Promise<DurableObjectStub<JobRunnerObject>> {
  return jobRunner(context, context.req.param("id") ?? "", change);
}

/** An object's answer about a job that is there and can be read. Throws HttpError otherwise. */
export function readable<T extends object | null>(answer: T): Exclude<T, Unreadable | null> {
  if (answer === null) throw noJob();
  if (!("unreadable" in answer)) return answer as Exclude<T, Unreadable | null>;
  throw new HttpError(
    500,
    "damaged",
    `This job is stored, but cannot be read: ${answer.unreadable}. Post it again.`,
  );
}
